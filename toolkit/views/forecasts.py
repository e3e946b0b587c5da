"""Forecasts of products: the six stages in a row, for one product or a batch."""

import logging
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np

from toolkit.data.tables import Predictions
from toolkit.results.forecast import ProductForecast
from toolkit.results.metadata import ModelMetadata
from toolkit.results.pair_rows import PairRows
from toolkit.results.risk import NO_RISK, severity_of
from toolkit.stages.aggregation import ProductAggregator
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, ProductListing, list_customers
from toolkit.stages.metadata import NamedProduct, product_metadata
from toolkit.stages.names import fill_in_customer_names
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.views.making import Making

BATCH_SIZE = 1000

type Forecasts = dict[int, ProductForecast | None]
type Note = Callable[[Predictions, Chooser], None]
"""Is shown what a batch of products is made of."""


def ignored(predictions: Predictions, chooser: Chooser) -> None:
    """For whoever needs the forecasts only."""


def product_forecasts(
    analyzer: PatternAnalyzer,
    aggregator: ProductAggregator,
    making: Making,
    product_ids: Sequence[int],
    as_of: date,
    chooser: Chooser,
    logger: logging.Logger,
    note: Note,
) -> Forecasts:
    """Of each product, None where nobody ordered it before the date."""
    forecasts: Forecasts = {}
    for start in range(0, len(product_ids), BATCH_SIZE):
        ids = product_ids[start : start + BATCH_SIZE]
        named = f"product {ids[0]}" if len(ids) == 1 else f"{len(ids)} products"
        logger.info("Generating forecast for %s as of %s", named, as_of)
        try:
            made = _batch(analyzer, aggregator, making, ids, as_of, chooser, note)
        except Exception as exc:
            logger.error("Error generating forecast for %s: %s", named, exc)
            raise
        for forecast in made.values():
            logger.info(
                "Forecast complete for product %d: %.0f units, %.0f orders",
                forecast.product_id,
                forecast.summary["expected_quantity"],
                forecast.summary["expected_orders"],
            )
        forecasts |= dict.fromkeys(ids) | made
    return forecasts


def _batch(
    analyzer: PatternAnalyzer,
    aggregator: ProductAggregator,
    making: Making,
    ids: Sequence[int],
    as_of: date,
    chooser: Chooser,
    note: Note,
) -> dict[int, ProductForecast]:
    """The six stages."""
    source = analyzer.source
    patterns, broken = analyzer.analyze(discover(source, as_of, ids))
    predictions, failed = making.predictor.predict(patterns)
    products = product_metadata(source, as_of, ids, making.default_price)
    forecasts = {
        listing.product_id: aggregator.aggregate(
            listing,
            products[listing.product_id],
            as_of,
            _metadata_of(making, as_of, listing, products[listing.product_id]),
        )
        for listing in list_customers(predictions, (*broken, *failed), chooser)
    }
    fill_in_customer_names(source, forecasts.values())
    note(predictions, chooser)
    return forecasts


def pairs_by_product(predictions: Predictions, chooser: Chooser) -> dict[int, PairRows]:
    """The pairs of each product, with what the view of a customer says of their risk."""
    ids, offset = predictions.patterns.product_offsets()
    thresholds = {product_id: chooser(product_id) for product_id in ids.tolist()}
    own = [thresholds[product_id] for product_id in predictions.patterns.product_id.tolist()]
    severity = severity_of(
        predictions.patterns.order_count,
        predictions.pairs,
        np.array([one.min_confidence for one in own]),
    )
    watched = predictions.patterns.order_count >= np.array([one.min_orders for one in own])
    rows = PairRows.of(
        predictions.patterns, predictions.pairs, np.where(watched, severity, NO_RISK)
    )
    return {
        product_id: PairRows(rows.customer_id[first:last], rows.values[first:last])
        for product_id, first, last in zip(ids.tolist(), offset[:-1], offset[1:], strict=True)
    }


def _metadata_of(
    making: Making, as_of: date, listing: ProductListing, product: NamedProduct
) -> ModelMetadata:
    price = product.unit_price if product.is_default else None
    return making.metadata_at(as_of, listing.failed_pairs, listing.thresholds, price)
