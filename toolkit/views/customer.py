"""What a customer orders next: their pairs, out of the predictions of the products they ordered.

The rows are those of the products' own forecasts, bit for bit.
"""

from datetime import date

import numpy as np

from toolkit.errors import PredictionError
from toolkit.results.customer import CustomerForecast
from toolkit.results.customer_fields import CustomerPairs
from toolkit.results.risk import NO_RISK, severity_of
from toolkit.stages.listing import Chooser, warn_of
from toolkit.stages.metadata import with_fallbacks
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.views.held import HeldPairs, HeldProduct, HeldProducts
from toolkit.views.making import Making


def customer_forecast(
    analyzer: PatternAnalyzer,
    making: Making,
    held: HeldProducts,
    customer_id: int,
    as_of: date,
    chooser: Chooser,
) -> CustomerForecast | None:
    """What the customer orders next; None for one who ordered nothing before the date.

    Four queries, or five if the model reads customers' order days, for one product or a thousand;
    two or three where ``held`` has them all. Raises ``PredictionError`` where all pairs failed.
    """
    source = analyzer.source
    product_ids = source.ordered_products(as_of, [customer_id])
    if not product_ids:
        return None
    products = held.of(analyzer, making.predictor, as_of, product_ids)
    failed = tuple(f for of in products for f in of.failed if f.customer_id == customer_id)
    warn_of(failed)
    ours = [of for of in products if _has(of, customer_id)]
    if not ours and failed:
        raise PredictionError(
            f"no pair of customer {customer_id} could be predicted: {failed[0].reason}"
        )
    if not ours:
        return None
    return CustomerForecast.of(
        customer_id,
        source.customer_names([customer_id]).get(customer_id),
        _columns(customer_id, ours, chooser, making.default_price),
        as_of,
        making.predictor.weeks,
        making.metadata(as_of, len(failed)),
    )


def _has(product: HeldProduct, customer_id: int) -> bool:
    return product.pairs is not None and customer_id in product.pairs.customer_id


def _columns(
    customer_id: int,
    products: list[HeldProduct],
    chooser: Chooser,
    default_price: float | None,
) -> CustomerPairs:
    pairs = HeldPairs.of_customer(
        customer_id, [of.pairs for of in products if of.pairs is not None]
    )
    named = [with_fallbacks(of.product_id, of.info, default_price) for of in products]
    thresholds = [chooser(of.product_id) for of in products]
    severity = severity_of(
        pairs.order_count, pairs.predicted, np.array([own.min_confidence for own in thresholds])
    )
    watched = pairs.order_count >= np.array([own.min_orders for own in thresholds])
    return CustomerPairs(
        product_id=np.array([of.product_id for of in products], dtype=np.int64),
        product_name=[product.name for product in named],
        unit_price=[product.unit_price for product in named],
        order_count=pairs.order_count,
        open_interval=pairs.open_interval,
        severity=np.where(watched, severity, NO_RISK),
        predicted=pairs.predicted,
    )
