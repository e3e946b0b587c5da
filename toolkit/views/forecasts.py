"""Forecasts of products: the six stages in a row, for one product or a batch."""

import logging
from collections.abc import Sequence
from datetime import date

from toolkit.results.forecast import ProductForecast
from toolkit.results.metadata import ModelMetadata
from toolkit.stages.aggregation import ProductAggregator
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, ProductListing, list_customers
from toolkit.stages.metadata import NamedProduct, product_metadata
from toolkit.stages.names import fill_in_customer_names
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.views.making import Making

BATCH_SIZE = 1000

type Forecasts = dict[int, ProductForecast | None]


def product_forecasts(
    analyzer: PatternAnalyzer,
    aggregator: ProductAggregator,
    making: Making,
    product_ids: Sequence[int],
    as_of: date,
    chooser: Chooser,
    logger: logging.Logger,
) -> Forecasts:
    """Of each product, None where nobody ordered it before the date."""
    forecasts: Forecasts = {}
    for start in range(0, len(product_ids), BATCH_SIZE):
        ids = product_ids[start : start + BATCH_SIZE]
        named = f"product {ids[0]}" if len(ids) == 1 else f"{len(ids)} products"
        logger.info("Generating forecast for %s as of %s", named, as_of)
        try:
            made = _batch(analyzer, aggregator, making, ids, as_of, chooser)
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
    return forecasts


def _metadata_of(
    making: Making, as_of: date, listing: ProductListing, product: NamedProduct
) -> ModelMetadata:
    price = product.unit_price if product.is_default else None
    return making.metadata_at(as_of, listing.failed_pairs, listing.thresholds, price)
