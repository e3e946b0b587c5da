"""What scenarios say beside the baseline: each kind of record, and below them their formulas.

Differences are of the same draws: their quantiles are those of draw-wise differences, never
differences of quantiles. Dates are ISO text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypedDict, cast

import numpy as np

from toolkit.data.scenario import NumberedScenario
from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats, Ints, quantiles_of

MEASURES = ("orders", "quantity", "revenue")
ORDERS, QUANTITY, REVENUE = range(3)
"""Rows of an array of measures."""


@dataclass(frozen=True, slots=True)
class ComparedProducts:
    """The products that are compared, a row each, by id."""

    product_id: Ints  # [products], ascending
    product_name: Sequence[str]  # [products]
    unit_price: Sequence[float | None]  # [products], without any change


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws of what products come to; revenue is NaN where there is no price."""

    totals: Floats  # [products, MEASURES, draws], over the horizon
    draws: Floats  # [MEASURES, weeks, draws], summed over products; revenue: those with a price


@dataclass(frozen=True, slots=True)
class Outcome:
    """What products come to in one scenario; revenue is NaN where there is no price.

    ``coupled``: draws that differences from the baseline are taken of, its own but where an order
    was received.
    """

    expected: Floats  # [products, MEASURES, weeks]
    own: Drawn
    coupled: Drawn


class Difference(TypedDict):
    """A scenario's numbers, those without it, and the first less the second, draw by draw.

    Revenue is None where no price is known.
    """

    expected_orders: float
    orders_quantiles: dict[str, float]
    baseline_orders: float
    difference_orders: float
    difference_orders_quantiles: dict[str, float]
    expected_quantity: float
    quantity_quantiles: dict[str, float]
    baseline_quantity: float
    baseline_quantity_quantiles: dict[str, float]
    difference_quantity: float
    difference_quantity_quantiles: dict[str, float]
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None
    baseline_revenue: float | None
    difference_revenue: float | None
    difference_revenue_quantiles: dict[str, float] | None


class ComparedWeek(Difference):
    """A week of all products."""

    week_number: int
    week_start_date: str


class ComparedProduct(Difference):
    """A product over the horizon."""

    product_id: int
    product_name: str


class ComparedScenario(TypedDict):
    """A scenario: its changes in words, all products over the horizon, by week, by product."""

    scenario: str
    changes: list[str]
    changes_customers: bool
    receives_orders: bool
    wins_customers: bool
    total: Difference
    weekly: list[ComparedWeek]
    products: list[ComparedProduct]


def compared_scenario(
    scenario: NumberedScenario,
    products: ComparedProducts,
    baseline: Outcome,
    outcome: Outcome,
    as_of: date,
) -> ComparedScenario:
    """What a scenario makes of the products, which start at ``as_of``."""
    changes = list(scenario.changes.values())
    weeks = range(baseline.own.draws.shape[1])
    return ComparedScenario(
        scenario=scenario.name,
        changes=[str(change) for change in changes],
        changes_customers=any(c.customers and c.kind != "order_received" for c in changes),
        receives_orders=any(c.kind == "order_received" for c in changes),
        wins_customers=any(c.kind == "customer_won" for c in changes),
        total=_sum_of(baseline, outcome, slice(None)),
        weekly=[
            ComparedWeek(
                week_number=week + 1,
                week_start_date=(as_of + timedelta(DAYS_PER_WEEK * week)).isoformat(),
                **_sum_of(baseline, outcome, slice(week, week + 1)),
            )
            for week in weeks
        ],
        products=_products(products, baseline, outcome),
    )


def _sum_of(baseline: Outcome, outcome: Outcome, weeks: slice) -> Difference:
    """All products over some weeks."""

    def of(one: Outcome) -> Floats:
        expected = one.expected[:, :, weeks].sum(axis=2)  # [products, MEASURES]
        priced = np.isfinite(expected[:, REVENUE])
        sums = np.array([column.sum() for column in np.ascontiguousarray(expected.T)])
        sums[REVENUE] = expected[priced, REVENUE].sum() if priced.any() else np.nan
        return sums

    before, after, coupled = (
        one.draws[:, weeks].sum(axis=1) for one in (baseline.own, outcome.own, outcome.coupled)
    )
    return _difference(
        of(baseline),
        of(outcome),
        _quantiles(before[None])[0],
        _quantiles(after[None])[0],
        _quantiles((coupled - before)[None])[0],
    )


def _products(
    products: ComparedProducts, baseline: Outcome, outcome: Outcome
) -> list[ComparedProduct]:
    before, after = baseline.expected.sum(axis=2), outcome.expected.sum(axis=2)
    quantiles = (
        _quantiles(baseline.own.totals),
        _quantiles(outcome.own.totals),
        _quantiles(outcome.coupled.totals - baseline.own.totals),
    )
    return [
        ComparedProduct(
            product_id=product_id,
            product_name=products.product_name[i],
            **_difference(before[i], after[i], *(of[i] for of in quantiles)),
        )
        for i, product_id in enumerate(products.product_id.tolist())
    ]


def _quantiles(draws: Floats) -> Floats:
    """``QUANTILES`` of [products, MEASURES, draws], [products, MEASURES, QUANTILES]."""
    quantiles: Floats = np.moveaxis(quantiles_of(draws, axis=2), 0, 2)
    return quantiles


def _difference(
    before: Floats, after: Floats, of_before: Floats, of_after: Floats, of_both: Floats
) -> Difference:
    """From expectations [MEASURES], and the quantiles of draws [MEASURES, QUANTILES]."""
    values: dict[str, object] = {}
    for row, name in enumerate(MEASURES):
        known = bool(np.isfinite(before[row]))
        values |= {
            f"expected_{name}": float(after[row]) if known else None,
            f"{name}_quantiles": _named(of_after[row]) if known else None,
            f"baseline_{name}": float(before[row]) if known else None,
            f"difference_{name}": float(after[row] - before[row]) if known else None,
            f"difference_{name}_quantiles": _named(of_both[row]) if known else None,
        }
    values["baseline_quantity_quantiles"] = _named(of_before[QUANTITY])
    return cast("Difference", {name: values[name] for name in Difference.__annotations__})


def _named(quantiles: Floats) -> dict[str, float]:
    return dict(zip(QUANTILE_NAMES, quantiles.tolist(), strict=True))
