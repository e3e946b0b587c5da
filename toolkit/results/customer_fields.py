"""The records of a customer's forecast, and below them their formulas. Plain data, for JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypedDict

from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILE_NAMES,
    Floats,
    Ints,
    PairPredictions,
)
from toolkit.results.pair import date_of
from toolkit.results.risk import LAPSED, OVERDUE, reason_of
from toolkit.results.tables import Schema, quantile_columns


@dataclass(frozen=True, slots=True)
class CustomerPairs:
    """A customer's pairs, a row each, by product; all that the fields are made of."""

    product_id: Ints  # [pairs], ascending
    product_name: Sequence[str]  # [pairs]
    unit_price: Sequence[float | None]  # [pairs]
    order_count: Ints  # [pairs]
    open_interval: Floats  # [pairs], days since the last order
    severity: Ints  # [pairs], see ``risk.py``
    predicted: PairPredictions  # of [pairs]


class CustomerProduct(TypedDict):
    """A product that the customer ordered before the date, and when they order it next.

    ``next_order_date`` is the median, None beyond two years or where none comes, as quantiles are.
    ``p_order``: of at least one order within the horizon. ``risk_reason``: None unless the pair is
    at risk, by the rule of a product's ``at_risk_customers``; ``overdue`` where it has probably
    lapsed or is overdue by its own rhythm. Price and revenue are None where no price is known.
    """

    product_id: int
    product_name: str
    order_count: int
    last_order_date: str
    open_interval_days: float
    expected_interval_days: float
    p_alive: float
    confidence: float
    next_order_date: str | None
    next_order_quantiles: dict[str, str | None]
    p_order: float
    expected_orders: float
    expected_quantity: float
    unit_price: float | None
    expected_revenue: float | None
    overdue: bool
    risk_reason: str | None


class CustomerWeek(TypedDict):
    """What the customer orders in a week, of all their products."""

    week_number: int
    week_start_date: str
    week_end_date: str
    expected_orders: float
    expected_quantity: float
    expected_revenue: float | None


class CustomerSummary(TypedDict):
    """Totals over the horizon. Revenue is that of the products with a price, None without any.

    ``next_order_date`` is the earliest of the products' medians: of many products one is likely to
    be ordered before it. Orders count by product: three products ordered on one day are three.
    There are no quantiles: a customer's pairs are predicted independently given what they share,
    so that those of the total would be too narrow.
    """

    customer_name: str
    forecast_start_date: str
    forecast_end_date: str
    last_order_date: str
    next_order_date: str | None
    product_count: int
    overdue_count: int
    expected_orders: float
    expected_quantity: float
    expected_revenue: float | None
    unpriced_products: int


CUSTOMER_PRODUCTS: Schema = {
    "customer_id": "int64",
    "product_id": "int64",
    "product_name": "string",
    "order_count": "int64",
    "last_order_date": "date",
    "open_interval_days": "float64",
    "expected_interval_days": "float64",
    "p_alive": "float64",
    "confidence": "float64",
    "next_order_date": "date",
    **quantile_columns("next_order", "date"),
    "p_order": "float64",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    "unit_price": "float64",
    "expected_revenue": "float64",
    "risk_reason": "string",
}
CUSTOMER_WEEKS: Schema = {
    "customer_id": "int64",
    "week_number": "int64",
    "week_start_date": "date",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    "expected_revenue": "float64",
}


def product_of(pairs: CustomerPairs, row: int, as_of: date) -> CustomerProduct:
    """The product in ``row``."""
    predicted, price = pairs.predicted, pairs.unit_price[row]
    silent, severity = float(pairs.open_interval[row]), int(pairs.severity[row])
    quantity = float(sum(predicted.expected_quantity[row].tolist()))
    days = predicted.next_order_quantiles[row].tolist()
    return CustomerProduct(
        product_id=int(pairs.product_id[row]),
        product_name=pairs.product_name[row],
        order_count=int(pairs.order_count[row]),
        last_order_date=(as_of - timedelta(silent)).isoformat(),
        open_interval_days=silent,
        expected_interval_days=float(predicted.expected_interval[row]),
        p_alive=float(predicted.p_alive[row]),
        confidence=float(predicted.confidence[row]),
        next_order_date=_day(as_of, predicted.next_order_day[row]),
        next_order_quantiles={
            name: _day(as_of, day) for name, day in zip(QUANTILE_NAMES, days, strict=True)
        },
        p_order=float(predicted.p_order_by_week[row, -1]),
        expected_orders=float(sum(predicted.expected_orders[row].tolist())),
        expected_quantity=quantity,
        unit_price=price,
        expected_revenue=None if price is None else quantity * price,
        overdue=severity in (LAPSED, OVERDUE),
        risk_reason=reason_of(severity, predicted, pairs.open_interval, row),
    )


def summary_of(
    customer_name: str, products: Sequence[CustomerProduct], as_of: date, weeks: int
) -> CustomerSummary:
    """The totals of a customer's products, at least one."""
    known_dates = [p["next_order_date"] for p in products if p["next_order_date"] is not None]
    return CustomerSummary(
        customer_name=customer_name,
        forecast_start_date=as_of.isoformat(),
        forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
        last_order_date=max(p["last_order_date"] for p in products),
        next_order_date=min(known_dates, default=None),
        product_count=len(products),
        overdue_count=sum(p["overdue"] for p in products),
        expected_orders=sum(p["expected_orders"] for p in products),
        expected_quantity=sum(p["expected_quantity"] for p in products),
        expected_revenue=total([p["expected_revenue"] for p in products]),
        unpriced_products=sum(p["unit_price"] is None for p in products),
    )


def soonest(product: CustomerProduct) -> tuple[bool, str, float, int]:
    """A key that sorts what is ordered soonest first; on one day what is ordered more."""
    day = product["next_order_date"]
    return day is None, day or "", -product["expected_quantity"], product["product_id"]


def week_of(pairs: CustomerPairs, week: int, as_of: date) -> CustomerWeek:
    """Week number ``week`` from 0."""
    quantity = pairs.predicted.expected_quantity[:, week].tolist()
    start = as_of + timedelta(DAYS_PER_WEEK * week)
    return CustomerWeek(
        week_number=week + 1,
        week_start_date=start.isoformat(),
        week_end_date=(start + timedelta(DAYS_PER_WEEK - 1)).isoformat(),
        expected_orders=float(sum(pairs.predicted.expected_orders[:, week].tolist())),
        expected_quantity=float(sum(quantity)),
        expected_revenue=total(
            [
                None if price is None else units * price
                for units, price in zip(quantity, pairs.unit_price, strict=True)
            ]
        ),
    )


def _day(as_of: date, day: float) -> str | None:
    found = date_of(as_of, day)
    return None if found is None else found.isoformat()


def total(amounts: Sequence[float | None]) -> float | None:
    """The sum of what is known; None if nothing is.

    >>> total([1.0, None, 2.0]), total([None])
    (3.0, None)
    """
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
