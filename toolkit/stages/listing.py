"""Which of a product's customers a forecast lists: thresholds filter names, never demand."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, TypedDict

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field, PlainSerializer, PlainValidator

from toolkit.data.defaults import MIN_CONFIDENCE, MIN_ORDERS
from toolkit.data.tables import Predictions
from toolkit.errors import PredictionError
from toolkit.results.columns import CustomerColumns, ProductDemand
from toolkit.results.pair import FailedPair
from toolkit.stages.arguments import check_share, check_whole
from toolkit.validation import has_to_be, parse

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which customers are listed: at least so many orders, at least so much confidence."""

    min_orders: int = MIN_ORDERS
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        """Plain numbers, whatever they came as; ArgumentError where one is out of range."""
        object.__setattr__(self, "min_orders", check_whole("min_orders", self.min_orders, 1))
        confidence = check_share("min_confidence", self.min_confidence)
        object.__setattr__(self, "min_confidence", confidence)

    def passed_by(self, customers: CustomerColumns) -> NDArray[np.bool_]:
        """Which customers pass both, [customers]."""
        orders: NDArray[np.bool_] = customers.order_count >= self.min_orders
        return orders & (customers.predicted.confidence >= self.min_confidence)


type Chooser = Callable[[int], Thresholds]
"""The thresholds of a product, by its id."""


def _of_a_product(own: object) -> Thresholds:
    if isinstance(own, Thresholds):
        return own
    if not isinstance(own, list) or len(own) != 2:
        raise ValueError("not both of them")
    return Thresholds(*own)


type OwnThresholds = Annotated[
    Thresholds,
    PlainValidator(_of_a_product),
    PlainSerializer(lambda own: (own.min_orders, own.min_confidence)),
    has_to_be("a list of min_orders, from 1 up, and min_confidence, from 0 to 1"),
]
"""A product's own: JSON has both in a list."""


class _Overall(TypedDict):
    min_orders: Annotated[int, Field(ge=1)]
    min_confidence: Annotated[float, Field(ge=0, le=1)]


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class _Attached:
    """A choice as JSON, of which other fields are not read."""

    overall: _Overall
    by_product: Mapping[int, OwnThresholds]
    known_before: date | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class ProductThresholds:
    """Thresholds chosen from evidence: ``by_product`` holds those that are not ``overall``.

    ``known_before``: what they were chosen from was known before this date; None where nothing
    was looked at. At earlier as-of dates they would tell the future. ``evidence``: the key of the
    backtest that they were chosen from.
    """

    overall: Thresholds = Thresholds()
    by_product: Mapping[int, Thresholds] = field(default_factory=dict)
    known_before: date | None = None
    evidence: str | None = None

    def of(self, product_id: int) -> Thresholds:
        """The thresholds of a product."""
        return self.by_product.get(product_id, self.overall)

    def chooser(self, min_orders: int | None, min_confidence: float | None) -> Chooser:
        """What is given for every product, and for what is not a product's own.

        Raises ``ArgumentError`` where one is out of range.
        """
        given = Thresholds(
            MIN_ORDERS if min_orders is None else min_orders,
            MIN_CONFIDENCE if min_confidence is None else min_confidence,
        )

        def choose(product_id: int) -> Thresholds:
            own = self.of(product_id)
            return Thresholds(
                own.min_orders if min_orders is None else given.min_orders,
                own.min_confidence if min_confidence is None else given.min_confidence,
            )

        return choose

    def usable_at(self, as_of: date) -> bool:
        """Whether they hold nothing that was not known at ``as_of``."""
        return self.known_before is None or self.known_before <= as_of

    @classmethod
    def from_dict(cls, content: Mapping[str, object]) -> "ProductThresholds":
        """What ``toolkit thresholds`` chose: ``overall`` {min_orders, min_confidence},
        ``by_product`` {"7": [min_orders, min_confidence]}, ``known_before`` and ``evidence`` as
        text; other fields are not read. Raises ``ArgumentError`` that lists all that is wrong.
        """
        read = parse(_Attached, content, "the choice of thresholds")
        overall = Thresholds(**read.overall)
        return cls(overall, read.by_product, read.known_before, read.evidence)


@dataclass(frozen=True, slots=True)
class ProductListing:
    """One product: ``listed`` are the customers that pass both thresholds, ``watched`` (to search
    for customers at risk) those with enough orders, perhaps none; ``demand`` is everybody's.
    """

    product_id: int
    listed: CustomerColumns
    watched: CustomerColumns
    demand: ProductDemand
    thresholds: Thresholds = Thresholds()
    failed_pairs: int = 0


def list_customers(
    predictions: Predictions, failed: Sequence[FailedPair], chooser: Chooser
) -> Iterator[ProductListing]:
    """Every product that is predicted, whoever passes.

    Raises ``PredictionError`` that names the products of which every pair is among the ``failed``.
    """
    failures = Counter(pair.product_id for pair in failed)
    warn_of(failed)
    ids, offset = predictions.patterns.product_offsets()
    _refuse_what_failed(failed, failures.keys() - set(ids.tolist()))
    for j, product_id in enumerate(ids.tolist()):
        thresholds = chooser(product_id)
        watched = _watched(predictions, range(offset[j], offset[j + 1]), thresholds)
        listed = watched.select(thresholds.passed_by(watched))
        logger.info(
            "Pattern analysis: %d/%d customers, Predictions: %d (confidence >= %s)",
            len(watched), offset[j + 1] - offset[j] + failures[product_id], len(listed),
            thresholds.min_confidence,
        )  # fmt: skip
        if not len(listed):
            logger.info("No predictable customers for product %d: none is listed", product_id)
        demand = ProductDemand.from_draws(predictions.products, j)
        yield ProductListing(product_id, listed, watched, demand, thresholds, failures[product_id])


def warn_of(failed: Sequence[FailedPair]) -> None:
    """Log the pairs that are left out, and why."""
    for pair in failed:
        logger.warning(
            "Left out customer %d of product %d: %s",
            pair.customer_id, pair.product_id, pair.reason,
        )  # fmt: skip


def _refuse_what_failed(failed: Sequence[FailedPair], products: AbstractSet[int]) -> None:
    """Nothing is known of their demand, and neither a forecast nor None may say that it is none."""
    lost = [pair for pair in failed if pair.product_id in products]
    if lost:
        named = ", ".join(map(str, sorted(products)))
        raise PredictionError(
            f"no pair could be predicted of product {named}; product {lost[0].product_id}, "
            f"customer {lost[0].customer_id}: {lost[0].reason}"
        )


def _watched(predictions: Predictions, rows: range, thresholds: Thresholds) -> CustomerColumns:
    """The pairs with enough orders; what is left out is logged for debugging."""
    orders = predictions.patterns.order_count[rows.start : rows.stop]
    if logger.isEnabledFor(logging.DEBUG):
        for row in rows:
            _explain(predictions, row, thresholds)
    passing = rows.start + np.flatnonzero(orders >= thresholds.min_orders)
    return CustomerColumns.of(predictions, passing)


def _explain(predictions: Predictions, row: int, thresholds: Thresholds) -> None:
    """One debug line for a pair that is not listed."""
    customer_id = int(predictions.patterns.customer_id[row])
    orders = int(predictions.patterns.order_count[row])
    if orders < thresholds.min_orders:
        logger.debug("Customer %d has only %d orders", customer_id, orders)
    elif predictions.pairs.confidence[row] < thresholds.min_confidence:
        logger.debug("Customer %d confidence too low", customer_id)
