"""Pairs as a release keeps them: a row of numbers each, of which the customer's view is made."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import COUNTS, QUANTILE_NAMES, Floats, Ints, PairPredictions, Patterns
from toolkit.results.customer_fields import CustomerPairs
from toolkit.results.risk import NO_RISK

COLUMNS = (
    "order_count",
    "open_interval",
    "severity",
    "p_alive",
    "confidence",
    "expected_interval",
    "open_interval_p",
    "next_order_day",
    *QUANTILE_NAMES,
    "p_order",
    "expected_orders",
    "expected_quantity",
)
"""Days count from the as-of date of the product's forecast; the last three are of its horizon."""

_AT = {name: place for place, name in enumerate(COLUMNS)}
_QUANTILES = slice(_AT[QUANTILE_NAMES[0]], _AT[QUANTILE_NAMES[-1]] + 1)


@dataclass(frozen=True, slots=True)
class PairRows:
    """The pairs of a product."""

    customer_id: Ints  # [pairs]
    values: Floats  # [pairs, COLUMNS]

    @classmethod
    def of(cls, known: Patterns, predicted: PairPredictions, severity: Ints) -> "PairRows":
        """The rows of pairs; ``severity`` [pairs] as the view of a customer has it."""
        return cls(
            known.customer_id,
            np.column_stack(
                [
                    known.order_count,
                    known.open_interval,
                    severity,
                    predicted.p_alive,
                    predicted.confidence,
                    predicted.expected_interval,
                    predicted.open_interval_p,
                    predicted.next_order_day,
                    predicted.next_order_quantiles,
                    predicted.p_order_by_week[:, -1],
                    _total(predicted.expected_orders),
                    _total(predicted.expected_quantity),
                ]
            ).astype(float),
        )

    @classmethod
    def none(cls) -> "PairRows":
        """No pairs."""
        return cls(np.zeros(0, np.int64), np.zeros((0, len(COLUMNS))))

    def column(self, name: str) -> Floats:
        """One of ``COLUMNS``, [pairs]."""
        column: Floats = self.values[:, _AT[name]]
        return column

    def at_risk(self) -> NDArray[np.bool_]:
        """Which pairs are, [pairs]."""
        watched: NDArray[np.bool_] = self.column("severity") < NO_RISK
        return watched


def pairs_of(
    values: Floats,
    product_id: Sequence[int],
    product_name: Sequence[str],
    unit_price: Sequence[float | None],
) -> CustomerPairs:
    """The pairs of ``values`` [pairs, COLUMNS], of which the fields of views are made.

    Their predictions have one week, the horizon.
    """
    rows = PairRows(np.zeros(len(values), np.int64), values)
    return CustomerPairs(
        product_id=np.array(product_id, np.int64),
        product_name=product_name,
        unit_price=unit_price,
        order_count=rows.column("order_count").astype(np.int64),
        open_interval=rows.column("open_interval"),
        severity=rows.column("severity").astype(np.int64),
        predicted=PairPredictions(
            p_alive=rows.column("p_alive"),
            confidence=rows.column("confidence"),
            expected_interval=rows.column("expected_interval"),
            open_interval_p=rows.column("open_interval_p"),
            next_order_day=rows.column("next_order_day"),
            next_order_quantiles=values[:, _QUANTILES],
            p_order_by_week=rows.column("p_order")[:, None],
            expected_orders=rows.column("expected_orders")[:, None],
            expected_quantity=rows.column("expected_quantity")[:, None],
            order_count_p=np.zeros((len(values), COUNTS)),
        ),
    )


def _total(by_week: Floats) -> list[float]:
    """Over the weeks, [pairs], to the last bit as the view of a customer sums them."""
    return [float(sum(weeks)) for weeks in by_week.tolist()]
