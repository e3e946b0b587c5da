"""Which of a product's customers a forecast lists: thresholds filter names, never demand."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.engine.aggregation import ProductDemand
from toolkit.engine.arguments import check_share, check_whole
from toolkit.tables import Predictions
from toolkit.types import CustomerPrediction, FailedPair

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which customers are listed: at least so many orders, at least so much confidence."""

    min_orders: int = 2
    min_confidence: float = 0.3

    def __post_init__(self) -> None:
        """Plain numbers, whatever they came as; ArgumentError where one is out of range."""
        object.__setattr__(self, "min_orders", check_whole("min_orders", self.min_orders, 1))
        confidence = check_share("min_confidence", self.min_confidence)
        object.__setattr__(self, "min_confidence", confidence)


@dataclass(frozen=True, slots=True)
class ProductListing:
    """One product with a customer to list: ``listed`` passes both thresholds, ``watched`` (to
    search for customers at risk) the number of orders; ``demand`` is everybody's.
    """

    product_id: int
    listed: Sequence[CustomerPrediction]
    watched: Sequence[CustomerPrediction]
    demand: ProductDemand
    failed_pairs: int


def list_customers(
    predictions: Predictions, failed: Sequence[FailedPair], thresholds: Thresholds
) -> Iterator[ProductListing]:
    """The products with at least one customer that passes; the others get a warning."""
    failures = Counter(pair.product_id for pair in failed)
    for pair in failed:
        logger.warning(
            "Left out customer %d of product %d: %s",
            pair.customer_id, pair.product_id, pair.reason,
        )  # fmt: skip
    ids, offset = predictions.patterns.product_offsets()
    for product_id in sorted(failures.keys() - set(ids.tolist())):
        logger.warning("No predictable customers for product %d: all failed", product_id)
    for j, product_id in enumerate(ids.tolist()):
        watched = _watched(predictions, range(offset[j], offset[j + 1]), thresholds)
        listed = [p for p in watched if p.prediction_confidence >= thresholds.min_confidence]
        logger.info(
            "Pattern analysis: %d/%d customers, Predictions: %d (confidence >= %s)",
            len(watched), offset[j + 1] - offset[j] + failures[product_id], len(listed),
            thresholds.min_confidence,
        )  # fmt: skip
        if not listed:
            logger.warning("No predictable customers for product %d", product_id)
            continue
        demand = ProductDemand.from_draws(predictions.products, j)
        yield ProductListing(product_id, listed, watched, demand, failures[product_id])


def _watched(
    predictions: Predictions, rows: range, thresholds: Thresholds
) -> list[CustomerPrediction]:
    """Predictions of the pairs with enough orders; what is left out is logged for debugging."""
    orders = predictions.patterns.order_count[rows.start : rows.stop]
    if logger.isEnabledFor(logging.DEBUG):
        for row in rows:
            _explain(predictions, row, thresholds)
    passing = rows.start + np.flatnonzero(orders >= thresholds.min_orders)
    return [
        CustomerPrediction.from_tables(predictions.patterns, predictions.pairs, row)
        for row in passing.tolist()
    ]


def _explain(predictions: Predictions, row: int, thresholds: Thresholds) -> None:
    """One debug line for a pair that is not listed."""
    customer_id = int(predictions.patterns.customer_id[row])
    orders = int(predictions.patterns.order_count[row])
    if orders < thresholds.min_orders:
        logger.debug("Customer %d has only %d orders", customer_id, orders)
    elif predictions.pairs.confidence[row] < thresholds.min_confidence:
        logger.debug("Customer %d confidence too low", customer_id)
