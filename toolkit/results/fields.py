"""What a product's forecast says: each kind of record, and below it the formulas of its fields.

A field is a line of its record and a line of the function below; what is stored, sent and checked
follows from these. The formulas read columns (``ProductColumns``): only what a forecast lists
becomes a record. Probabilities lie in [0, 1]; orders and quantities are expectations unless a
quantile is named; dates are ISO text.
"""

from typing import TypedDict

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats
from toolkit.results.columns import CustomerColumns, ProductColumns
from toolkit.results.pair import date_of
from toolkit.results.risk import NO_RISK, reason_of, severity_of

TOP_CUSTOMERS = AT_RISK_CUSTOMERS = EXPECTED_CUSTOMERS_PER_WEEK = 10
MIN_EXPECTED_ORDERS = 0.1
"""A customer expected to order less often than this in a week is not named in it."""


class Demand(TypedDict):
    """Demand of every customer, listed or not, new ones included; quantiles by name.

    ``known_expected_quantity`` is the part of those who ordered before. Revenue is None where the
    product has no price.
    """

    expected_quantity: float
    expected_orders: float
    quantity_quantiles: dict[str, float] | None
    expected_revenue: float | None
    known_expected_quantity: float


def _demand(product: ProductColumns, weeks: slice, quantiles: Floats | None) -> Demand:
    """Demand over a slice of weeks, with the quantiles of that slice."""
    demand = product.demand
    quantity = float(demand.expected_quantity[weeks].sum())
    return Demand(
        expected_quantity=quantity,
        expected_orders=float(demand.expected_orders[weeks].sum()),
        quantity_quantiles=None
        if quantiles is None
        else dict(zip(QUANTILE_NAMES, quantiles.tolist(), strict=True)),
        expected_revenue=_revenue(quantity, product.unit_price),
        known_expected_quantity=float(demand.known_expected_quantity[weeks].sum()),
    )


class ExpectedCustomer(TypedDict):
    """A customer who is likely to order in a week."""

    customer_id: int
    customer_name: str
    predicted_quantity: float
    expected_orders: float
    confidence: float


def _expected_customers(listed: CustomerColumns, week: int) -> list[ExpectedCustomer]:
    """The customers most likely to order in a week, most expected orders first."""
    orders = listed.predicted.expected_orders[:, week]
    ranked = np.argsort(-orders, kind="stable")[:EXPECTED_CUSTOMERS_PER_WEEK]
    return [
        ExpectedCustomer(
            customer_id=int(listed.customer_id[i]),
            customer_name=_unnamed(listed.customer_id[i]),
            predicted_quantity=float(listed.predicted.expected_quantity[i, week]),
            expected_orders=float(orders[i]),
            confidence=float(listed.predicted.confidence[i]),
        )
        for i in ranked
        if orders[i] >= MIN_EXPECTED_ORDERS
    ]


class WeeklyForecast(TypedDict):
    """One week: ``demand`` is everybody's, predicted_… is of the listed customers alone."""

    week_number: int
    week_start_date: str
    week_end_date: str
    demand: Demand
    predicted_quantity: float
    predicted_orders: float
    predicted_revenue: float | None
    avg_confidence: float
    expected_customers: list[ExpectedCustomer]


def weekly_forecast(product: ProductColumns, week: int) -> WeeklyForecast:
    """Week ``week`` of a product, counted from 0."""
    predicted, quantiles = product.listed.predicted, product.demand.quantiles
    quantity = float(predicted.expected_quantity[:, week].sum())
    return WeeklyForecast(
        week_number=week + 1,
        week_start_date=product.day(DAYS_PER_WEEK * week),
        week_end_date=product.day(DAYS_PER_WEEK * (week + 1) - 1),
        demand=_demand(
            product, slice(week, week + 1), None if quantiles is None else quantiles[week]
        ),
        predicted_quantity=quantity,
        predicted_orders=float(predicted.expected_orders[:, week].sum()),
        predicted_revenue=_revenue(quantity, product.unit_price),
        avg_confidence=_weighted_mean(predicted.confidence, predicted.expected_orders[:, week]),
        expected_customers=_expected_customers(product.listed, week),
    )


class TopCustomer(TypedDict):
    """A listed customer by predicted quantity over the horizon."""

    customer_id: int
    customer_name: str
    total_quantity: float
    total_orders: float
    avg_confidence: float
    next_order_date: str | None


def top_customers(product: ProductColumns) -> list[TopCustomer]:
    """The listed customers with the largest predicted quantity."""
    ranked = np.argsort(-np.array(product.listed.quantity), kind="stable")[:TOP_CUSTOMERS]
    top = product.listed.select(ranked)
    quantity, orders = top.quantity, top.orders
    days = [date_of(product.as_of, day) for day in top.predicted.next_order_day.tolist()]
    return [
        TopCustomer(
            customer_id=int(top.customer_id[i]),
            customer_name=_unnamed(top.customer_id[i]),
            total_quantity=float(quantity[i]),
            total_orders=float(orders[i]),
            avg_confidence=float(top.predicted.confidence[i]),
            next_order_date=None if day is None else day.isoformat(),
        )
        for i, day in enumerate(days)
    ]


class AtRiskCustomer(TypedDict):
    """A customer to call: ``risk_reason`` says why, with its number."""

    customer_id: int
    customer_name: str
    avg_confidence: float
    p_alive: float
    open_interval_days: float
    expected_interval_days: float
    risk_reason: str


def at_risk_customers(product: ProductColumns) -> list[AtRiskCustomer]:
    """The gravest among the watched, within a reason those with the longest history first."""
    watched, predicted = product.watched, product.watched.predicted
    min_confidence = product.metadata["min_confidence_threshold"]
    severity = severity_of(watched.order_count, predicted, min_confidence)
    ranked = np.lexsort((watched.customer_id, -watched.order_count, severity))
    listed = ranked[severity[ranked] < NO_RISK][:AT_RISK_CUSTOMERS]
    return [
        AtRiskCustomer(
            customer_id=int(watched.customer_id[i]),
            customer_name=_unnamed(watched.customer_id[i]),
            avg_confidence=float(predicted.confidence[i]),
            p_alive=float(predicted.p_alive[i]),
            open_interval_days=float(watched.open_interval[i]),
            expected_interval_days=float(predicted.expected_interval[i]),
            risk_reason=reason_of(severity[i], predicted, watched.open_interval, i) or "",
        )
        for i in listed
    ]


class Summary(Demand):
    """Totals over the horizon: everybody's demand first, then listed_… of the listed customers.

    total_predicted_… are listed_… by older names. ``unit_price`` is None where no line before the
    date tells one; ``avg_confidence`` is 0 where nobody is listed.
    """

    product_name: str
    unit_price: float | None
    forecast_start_date: str
    forecast_end_date: str
    unique_customers: int
    avg_confidence: float
    listed_quantity: float
    listed_orders: float
    listed_revenue: float | None
    total_predicted_quantity: float
    total_predicted_orders: float
    total_predicted_revenue: float | None


def summary(product: ProductColumns) -> Summary:
    """The totals of a product."""
    listed = product.listed
    quantity, orders = float(sum(listed.quantity)), float(sum(listed.orders))
    revenue = _revenue(quantity, product.unit_price)
    return {
        **_demand(product, slice(None), product.demand.total_quantiles),
        "product_name": product.product_name,
        "unit_price": product.unit_price,
        "forecast_start_date": product.day(0),
        "forecast_end_date": product.day(DAYS_PER_WEEK * product.weeks - 1),
        "unique_customers": len(listed),
        "avg_confidence": float(listed.predicted.confidence.mean()) if len(listed) else 0.0,
        "listed_quantity": quantity,
        "listed_orders": orders,
        "listed_revenue": revenue,
        "total_predicted_quantity": quantity,
        "total_predicted_orders": orders,
        "total_predicted_revenue": revenue,
    }


def _unnamed(customer_id: int) -> str:
    """What a customer without a name is called; stage 6 fills in the names."""
    return f"Customer {customer_id}"


def _revenue(quantity: float, unit_price: float | None) -> float | None:
    return None if unit_price is None else quantity * unit_price


def _weighted_mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else 0.0
