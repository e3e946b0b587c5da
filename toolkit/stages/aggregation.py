"""Stage 5: a product's weekly forecast from the predictions of its customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from toolkit.data.defaults import WEEKS
from toolkit.data.tables import COUNTS, QUANTILES, Floats, PairPredictions
from toolkit.results.columns import CustomerColumns, ProductColumns, ProductDemand
from toolkit.results.forecast import ProductForecast
from toolkit.results.metadata import ModelMetadata, model_metadata
from toolkit.results.pair import CustomerPrediction
from toolkit.sources.base import OrderSource, ProductInfo
from toolkit.sources.dialects import Connection
from toolkit.sources.sql import as_source
from toolkit.stages.arguments import check_price, parse_date
from toolkit.stages.listing import ProductListing
from toolkit.stages.metadata import NamedProduct, product_metadata, with_fallbacks


@dataclass(frozen=True, slots=True)
class ProductAggregator:
    """Sums predictions into ``weeks`` weeks of seven days from the as-of date on.

    ``default_price`` is that of products of which no line tells a price; None: they have none.
    """

    weeks: int = WEEKS
    default_price: float | None = None

    def __post_init__(self) -> None:
        """``ArgumentError`` for a price that is none."""
        object.__setattr__(self, "default_price", check_price("default_price", self.default_price))

    def aggregate(
        self,
        listing: ProductListing,
        product: NamedProduct,
        as_of_date: date,
        metadata: ModelMetadata,
    ) -> ProductForecast:
        """The forecast of one product, whose ``metadata`` say how it was made."""
        return ProductForecast.of(
            ProductColumns(
                product_id=listing.product_id,
                product_name=product.name,
                unit_price=product.unit_price,
                as_of=as_of_date,
                weeks=self.weeks,
                listed=listing.listed,
                watched=listing.watched,
                demand=listing.demand,
                metadata=metadata,
            )
        )

    def aggregate_forecast(
        self,
        product_id: int,
        predictions: Sequence[CustomerPrediction],
        as_of_date: str | date,
        conn: OrderSource | Connection | None = None,
        product_name: str | None = None,
        unit_price: float | None = None,
    ) -> ProductForecast:
        """The forecast of one product from predictions at hand, each of them listed.

        Demand is theirs alone, without quantiles. Name and price, where not given, are looked up
        over ``conn``; they fall back to ``Product 123`` and ``default_price``.
        """
        as_of = parse_date(as_of_date)
        if conn is not None and (product_name is None or unit_price is None):
            stored = product_metadata(as_source(conn), as_of, [product_id])[product_id]
            product_name = product_name or stored.name
            unit_price = stored.unit_price if unit_price is None else unit_price
        info = ProductInfo(product_name, unit_price)
        product = with_fallbacks(product_id, info, self.default_price)
        customers = _columns(predictions, as_of, self.weeks)
        demand = ProductDemand.of_customers(customers)
        listing = ProductListing(product_id, customers, customers, demand)
        made = model_metadata(
            as_of,
            datetime.now(UTC),
            default_price=product.unit_price if product.is_default else None,
        )
        return self.aggregate(listing, product, as_of, made)


def _columns(rows: Sequence[CustomerPrediction], as_of: date, weeks: int) -> CustomerColumns:
    """Predictions as columns; what a row does not say is NaN."""
    n = len(rows)

    def weekly(values: Sequence[tuple[float, ...]]) -> Floats:
        return np.array(values, dtype=float).reshape(n, weeks)

    def day(of: date | None) -> float:
        return np.nan if of is None else float((of - as_of).days)

    quantiles = [[day(of) for of in row.next_order_quantiles] for row in rows]
    return CustomerColumns(
        customer_id=np.array([row.customer_id for row in rows], dtype=np.int64),
        order_count=np.array([row.total_orders for row in rows], dtype=np.int64),
        open_interval=np.array([row.open_interval_days for row in rows]),
        predicted=PairPredictions(
            p_alive=np.array([row.p_alive for row in rows]),
            confidence=np.array([row.prediction_confidence for row in rows]),
            expected_interval=np.array([row.expected_interval_days for row in rows]),
            open_interval_p=np.array([row.open_interval_p for row in rows]),
            next_order_day=np.array([day(row.next_order_date) for row in rows]),
            next_order_quantiles=np.array(quantiles).reshape(n, len(QUANTILES)),
            p_order_by_week=weekly([row.p_order_by_week for row in rows]),
            expected_orders=weekly([row.expected_orders for row in rows]),
            expected_quantity=weekly([row.expected_quantity for row in rows]),
            order_count_p=np.full((n, COUNTS), np.nan),
        ),
    )
