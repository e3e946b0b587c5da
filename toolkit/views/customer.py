"""What a customer orders next: their pairs, out of the predictions of the products they ordered.

A product's columns sum over its customers, and its draws are one stream, so that all its pairs are
predicted: the customer's rows are then those of the products' own forecasts, bit for bit.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from toolkit.data.tables import PairPredictions, Patterns
from toolkit.errors import PredictionError
from toolkit.results.customer import CustomerForecast
from toolkit.results.customer_fields import CustomerPairs
from toolkit.results.pair import FailedPair
from toolkit.results.risk import NO_RISK, severity_of
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, warn_of
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, concatenated, in_chunks
from toolkit.views.making import Making
from toolkit.views.products import named


def customer_forecast(
    analyzer: PatternAnalyzer, making: Making, customer_id: int, as_of: date, chooser: Chooser
) -> CustomerForecast | None:
    """What the customer orders next; None for one who ordered nothing before the date."""
    found = customer_pairs(
        analyzer, making.predictor, customer_id, as_of, chooser, making.default_price
    )
    if found is None:
        return None
    pairs, failed = found
    return CustomerForecast.of(
        customer_id,
        analyzer.source.customer_names([customer_id]).get(customer_id),
        pairs,
        as_of,
        making.predictor.weeks,
        making.metadata(as_of, len(failed)),
    )


def customer_pairs(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    customer_id: int,
    as_of: date,
    chooser: Chooser,
    default_price: float | None = None,
) -> tuple[CustomerPairs, tuple[FailedPair, ...]] | None:
    """The customer's pairs, and those left out because they failed; None without any.

    Three queries, or four if the model reads customers' order days, for one product or a thousand.
    Raises ``PredictionError`` where every one of them failed.
    """
    source = analyzer.source
    product_ids = source.ordered_products(as_of, [customer_id])
    if not product_ids:
        return None
    patterns, broken = analyzer.analyze(discover(source, as_of, product_ids))
    rows, failed = _rows_of(customer_id, patterns, predictor)
    ours = tuple(f for f in (*broken, *failed) if f.customer_id == customer_id)
    warn_of(ours)
    if not rows and ours:
        raise PredictionError(
            f"no pair of customer {customer_id} could be predicted: {ours[0].reason}"
        )
    if not rows:
        return None
    return _columns(analyzer, rows, as_of, chooser, default_price), ours


type _Rows = tuple[Patterns, PairPredictions]


def _rows_of(
    customer_id: int, patterns: Patterns, predictor: CustomerPredictor
) -> tuple[list[_Rows], list[FailedPair]]:
    """The customer's rows of each chunk, and all pairs that failed."""
    rows: list[_Rows] = []
    failed: list[FailedPair] = []
    for chunk in in_chunks(predictor, patterns):
        predictions, failures = predictor.predict(chunk)
        failed += failures
        ours = predictions.patterns.customer_id == customer_id
        if ours.any():
            rows.append((predictions.patterns.select(ours), predictions.pairs.select(ours)))
    return rows, failed


def _columns(
    analyzer: PatternAnalyzer,
    rows: Sequence[_Rows],
    as_of: date,
    chooser: Chooser,
    default_price: float | None,
) -> CustomerPairs:
    predicted = concatenated([pairs for _, pairs in rows])
    product_id = np.concatenate([known.product_id for known, _ in rows])
    order_count = np.concatenate([known.order_count for known, _ in rows])
    products = named(analyzer.source, as_of, product_id, default_price)
    thresholds = [chooser(product) for product in product_id.tolist()]
    severity = severity_of(
        order_count, predicted, np.array([own.min_confidence for own in thresholds])
    )
    watched = order_count >= np.array([own.min_orders for own in thresholds])
    return CustomerPairs(
        product_id=product_id,
        product_name=products.names,
        unit_price=products.prices,
        order_count=order_count,
        open_interval=np.concatenate([known.open_interval for known, _ in rows]),
        severity=np.where(watched, severity, NO_RISK),
        predicted=predicted,
    )
