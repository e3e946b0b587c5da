"""Stage 5: a product's weekly forecast from the predictions of its customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, Floats, ProductDraws, quantiles_of
from toolkit.results.forecast import (
    QUANTILE_NAMES,
    Demand,
    ExpectedCustomer,
    ModelMetadata,
    ProductForecast,
    Summary,
    TopCustomer,
    WeeklyForecast,
)
from toolkit.results.pair import CustomerPrediction, fallback_name
from toolkit.sources.base import OrderSource, ProductInfo
from toolkit.sources.dialects import Connection
from toolkit.sources.sql import as_source
from toolkit.stages.arguments import parse_date
from toolkit.stages.metadata import NamedProduct, product_metadata, with_fallbacks
from toolkit.stages.risk import at_risk_customers

TOP_CUSTOMERS = 10
EXPECTED_CUSTOMERS_PER_WEEK = 10
MIN_EXPECTED_ORDERS = 0.1
"""A customer expected to order less often than this in a week is not named in it."""


@dataclass(frozen=True, slots=True)
class ProductDemand:
    """All demand for one product: expectations, and quantity quantiles by week and in total."""

    expected_orders: Floats  # [weeks]
    expected_quantity: Floats  # [weeks]
    known_expected_quantity: Floats  # [weeks]
    quantiles: Floats | None = None  # [weeks, QUANTILES]
    total_quantiles: Floats | None = None  # [QUANTILES]

    @classmethod
    def from_draws(cls, products: ProductDraws, row: int) -> "ProductDemand":
        """Demand of product ``row``; quantiles over its draws, the total's over their sums."""
        quantity = products.quantity[row].astype(float)
        return cls(
            expected_orders=products.expected_orders[row],
            expected_quantity=products.expected_quantity[row],
            known_expected_quantity=products.known_expected_quantity[row],
            quantiles=quantiles_of(quantity, axis=1).T,
            total_quantiles=quantiles_of(quantity.sum(axis=0), axis=0),
        )

    @classmethod
    def from_predictions(
        cls, predictions: Sequence[CustomerPrediction], weeks: int
    ) -> "ProductDemand":
        """Demand of these customers alone. Their sum's quantiles need draws: there are none."""
        quantity = _weekly([p.expected_quantity for p in predictions], weeks).sum(axis=0)
        orders = _weekly([p.expected_orders for p in predictions], weeks).sum(axis=0)
        return cls(orders, quantity, quantity)


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """Where the model of an engine comes from: its number in the registry, and its MLflow run.

    ``data_sha256`` and ``fitted_as_of``: the fingerprint of what it was fitted to, and the date
    before which that was known; None where there is none, or it was not kept.
    """

    number: int
    run_id: str
    data_sha256: str | None = None
    fitted_as_of: date | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a forecast is made with; goes into its metadata."""

    model_name: str
    model_version: str
    min_orders: int
    min_confidence: float
    draws: int
    seed: int
    failed_pairs: int
    generated_at: datetime
    registered: RegisteredVersion | None = None


@dataclass(frozen=True, slots=True)
class ProductAggregator:
    """Sums predictions into ``weeks`` weeks of seven days from the as-of date on."""

    weeks: int = 12

    def aggregate_forecast(
        self,
        product_id: int,
        predictions: Sequence[CustomerPrediction],
        as_of_date: str | date,
        conn: OrderSource | Connection | None = None,
        product_name: str | None = None,
        unit_price: float | None = None,
        *,
        watched: Sequence[CustomerPrediction] | None = None,
        demand: ProductDemand | None = None,
        provenance: Provenance | None = None,
    ) -> ProductForecast:
        """The forecast of one product.

        ``predictions`` are the customers to list; ``watched`` (by default the same) those to
        search for customers at risk; ``demand`` everybody's (by default that of the listed,
        without quantiles). Name and price, where not given, are looked up over ``conn``; they
        fall back to ``Product 123`` and 35.0.
        """
        as_of = parse_date(as_of_date)
        if conn is not None and (product_name is None or unit_price is None):
            stored = product_metadata(as_source(conn), as_of, [product_id])[product_id]
            product_name = product_name or stored.name
            unit_price = stored.unit_price if unit_price is None else unit_price
        product = with_fallbacks(product_id, ProductInfo(product_name, unit_price))
        provenance = provenance or _by_hand()
        demand = demand or ProductDemand.from_predictions(predictions, self.weeks)
        return ProductForecast(
            product_id=product_id,
            forecast_period_weeks=self.weeks,
            summary=self._summary(product, predictions, as_of, demand),
            weekly_forecasts=self._weeks(predictions, as_of, product.unit_price, demand),
            top_customers_by_volume=_top_customers(predictions),
            at_risk_customers=at_risk_customers(
                predictions if watched is None else watched, provenance.min_confidence
            ),
            model_metadata=_metadata(as_of, provenance),
        )

    def _summary(
        self,
        product: NamedProduct,
        predictions: Sequence[CustomerPrediction],
        as_of: date,
        demand: ProductDemand,
    ) -> Summary:
        price = product.unit_price
        quantity = float(sum(sum(p.expected_quantity) for p in predictions))
        confidences = [p.prediction_confidence for p in predictions]
        return Summary(
            product_name=product.name,
            unit_price=price,
            total_predicted_quantity=quantity,
            total_predicted_orders=float(sum(sum(p.expected_orders) for p in predictions)),
            total_predicted_revenue=quantity * price,
            avg_confidence=float(np.mean(confidences)) if confidences else 0.0,
            unique_customers=len(predictions),
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * self.weeks - 1)).isoformat(),
            demand=_demand(demand, slice(None), price, demand.total_quantiles),
        )

    def _weeks(
        self,
        predictions: Sequence[CustomerPrediction],
        as_of: date,
        price: float,
        demand: ProductDemand,
    ) -> list[WeeklyForecast]:
        orders = _weekly([p.expected_orders for p in predictions], self.weeks)
        quantity = _weekly([p.expected_quantity for p in predictions], self.weeks)
        confidence = np.array([p.prediction_confidence for p in predictions])
        return [
            WeeklyForecast(
                week_number=week + 1,
                week_start_date=(as_of + timedelta(DAYS_PER_WEEK * week)).isoformat(),
                week_end_date=(as_of + timedelta(DAYS_PER_WEEK * (week + 1) - 1)).isoformat(),
                predicted_quantity=float(quantity[:, week].sum()),
                predicted_orders=float(orders[:, week].sum()),
                predicted_revenue=float(quantity[:, week].sum()) * price,
                avg_confidence=_weighted_mean(confidence, orders[:, week]),
                expected_customers=_expected_customers(
                    predictions, orders[:, week], quantity[:, week]
                ),
                demand=_demand(
                    demand,
                    slice(week, week + 1),
                    price,
                    None if demand.quantiles is None else demand.quantiles[week],
                ),
            )
            for week in range(self.weeks)
        ]


def _by_hand() -> Provenance:
    """The provenance of a forecast put together outside the engine."""
    return Provenance("", "", 0, 0.0, 0, 0, 0, datetime.now(UTC))


def _metadata(as_of: date, provenance: Provenance) -> ModelMetadata:
    version = provenance.registered
    fitted_as_of = None if version is None else version.fitted_as_of
    return ModelMetadata(
        as_of_date=as_of.isoformat(),
        generated_at=provenance.generated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        model_name=provenance.model_name,
        model_version=provenance.model_version,
        min_orders_threshold=provenance.min_orders,
        min_confidence_threshold=provenance.min_confidence,
        draws=provenance.draws,
        seed=provenance.seed,
        failed_pairs=provenance.failed_pairs,
        registered_version=None if version is None else version.number,
        mlflow_run_id=None if version is None else version.run_id,
        data_sha256=None if version is None else version.data_sha256,
        fitted_as_of_date=None if fitted_as_of is None else fitted_as_of.isoformat(),
        knows_the_future=fitted_as_of is not None and fitted_as_of > as_of,
    )


def _weekly(rows: Sequence[tuple[float, ...]], weeks: int) -> Floats:
    """Rows of weekly numbers as an array [rows, weeks], also when there are none."""
    return np.array(rows, dtype=float).reshape(len(rows), weeks)


def _weighted_mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else 0.0


def _demand(demand: ProductDemand, weeks: slice, price: float, quantiles: Floats | None) -> Demand:
    """Demand over a slice of weeks, with the quantiles of that slice."""
    quantity = float(demand.expected_quantity[weeks].sum())
    return Demand(
        expected_orders=float(demand.expected_orders[weeks].sum()),
        expected_quantity=quantity,
        known_expected_quantity=float(demand.known_expected_quantity[weeks].sum()),
        expected_revenue=quantity * price,
        quantity_quantiles=None
        if quantiles is None
        else dict(zip(QUANTILE_NAMES, quantiles.tolist(), strict=True)),
    )


def _expected_customers(
    predictions: Sequence[CustomerPrediction], orders: Floats, quantity: Floats
) -> list[ExpectedCustomer]:
    """The customers most likely to order in a week, most expected orders first."""
    ranked = np.argsort(-orders, kind="stable")[:EXPECTED_CUSTOMERS_PER_WEEK]
    return [
        ExpectedCustomer(
            customer_id=predictions[i].customer_id,
            customer_name=fallback_name(predictions[i].customer_id),
            predicted_quantity=float(quantity[i]),
            expected_orders=float(orders[i]),
            confidence=predictions[i].prediction_confidence,
        )
        for i in ranked
        if orders[i] >= MIN_EXPECTED_ORDERS
    ]


def _top_customers(predictions: Sequence[CustomerPrediction]) -> list[TopCustomer]:
    """The listed customers with the largest predicted quantity."""
    ranked = sorted(predictions, key=lambda p: -sum(p.expected_quantity))[:TOP_CUSTOMERS]
    return [
        TopCustomer(
            customer_id=p.customer_id,
            customer_name=fallback_name(p.customer_id),
            total_quantity=float(sum(p.expected_quantity)),
            total_orders=float(sum(p.expected_orders)),
            avg_confidence=p.prediction_confidence,
            next_order_date=p.next_order_date.isoformat() if p.next_order_date else None,
        )
        for p in ranked
    ]
