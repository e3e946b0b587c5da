"""The records of many products together, and below them their formulas. Plain data, for JSON.

Quantiles of totals are those of sums of draws: week by week, by category and over the horizon they
agree with each other and with the products' own draws. Dates are ISO text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypedDict

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats, Ints, quantiles_of
from toolkit.results.tables import Schema, quantile_columns


@dataclass(frozen=True, slots=True)
class PortfolioDraws:
    """Draws summed over products, draw by draw, each [weeks, draws].

    ``revenue`` is that of the products with a price.
    """

    orders: Floats
    quantity: Floats
    revenue: Floats


@dataclass(frozen=True, slots=True)
class PortfolioProducts:
    """The products, a row each, by id; expectations of all demand, new customers included."""

    product_id: Ints  # [products], ascending
    product_name: Sequence[str]  # [products]
    unit_price: Sequence[float | None]  # [products]
    customers: Ints  # [products], who ordered it before the date
    expected_orders: Floats  # [products, weeks]
    expected_quantity: Floats  # [products, weeks]
    known_expected_quantity: Floats  # [products, weeks]
    total_quantiles: Floats  # [products, QUANTILES], of the units over the horizon
    previous_quantity: Floats  # [products], units in as many weeks before the date


@dataclass(frozen=True, slots=True)
class PortfolioCategories:
    """The categories of the products, by name; None, of products without one, comes last.

    Draws are of the horizon, summed over the category's products draw by draw.
    """

    names: Sequence[str | None]  # [categories], none where no product has one
    code: Ints  # [products], the category of each
    customers: Ints  # [categories], who ordered any of its products before the date
    quantity: Floats  # [categories, draws]
    revenue: Floats  # [categories, draws], of the products with a price


class PortfolioWeek(TypedDict):
    """A week of all products; ``known_expected_quantity`` is of customers known at the date."""

    week_number: int
    week_start_date: str
    week_end_date: str
    expected_orders: float
    expected_quantity: float
    known_expected_quantity: float
    quantity_quantiles: dict[str, float]
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None


class PortfolioProduct(TypedDict):
    """A product's total, beside what was ordered in as many weeks before the date.

    ``difference``: expected less previous units.
    """

    product_id: int
    product_name: str
    customers: int
    expected_orders: float
    expected_quantity: float
    quantity_quantiles: dict[str, float]
    previous_quantity: float
    difference: float
    unit_price: float | None
    expected_revenue: float | None


class PortfolioCategory(TypedDict):
    """A category's total, beside what was ordered in as many weeks before the date.

    ``category`` is None for the products without one. ``difference``: expected less previous units.
    Revenue is that of the products with a price, None without any.
    """

    category: str | None
    products: int
    customers: int
    expected_orders: float
    expected_quantity: float
    quantity_quantiles: dict[str, float]
    previous_quantity: float
    difference: float
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None


class CustomerAtRisk(TypedDict):
    """A customer with products that have probably lapsed or are overdue by their own rhythm.

    Lost is what they ordered of these products in the year before the date, scaled to the horizon,
    less what is expected of them now. ``revenue_lost``: of the products with a price, None without
    any. ``risk_reason`` is that of the product with the largest loss.
    """

    customer_id: int
    customer_name: str
    products_at_risk: int
    quantity_lost: float
    revenue_lost: float | None
    product_id: int
    product_name: str
    risk_reason: str


class PortfolioSummary(TypedDict):
    """Totals over the horizon and all products.

    Revenue is that of the products with a price (``unpriced_products`` have none); None without
    any. ``never_ordered``: products that were asked for, and that nobody ordered before the date.
    """

    forecast_start_date: str
    forecast_end_date: str
    product_count: int
    customer_count: int
    expected_quantity: float
    quantity_quantiles: dict[str, float]
    expected_orders: float
    known_expected_quantity: float
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None
    unpriced_products: int
    previous_quantity: float
    customers_at_risk: int
    quantity_lost: float
    revenue_lost: float | None
    never_ordered: list[int]


PORTFOLIO_WEEKS: Schema = {
    "week_number": "int64",
    "week_start_date": "date",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    **quantile_columns("quantity"),
    "known_expected_quantity": "float64",
    "expected_revenue": "float64",
    **quantile_columns("revenue"),
}
PORTFOLIO_PRODUCTS: Schema = {
    "product_id": "int64",
    "product_name": "string",
    "customers": "int64",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    **quantile_columns("quantity"),
    "previous_quantity": "float64",
    "difference": "float64",
    "unit_price": "float64",
    "expected_revenue": "float64",
}
PORTFOLIO_AT_RISK: Schema = {
    "customer_id": "int64",
    "customer_name": "string",
    "products_at_risk": "int64",
    "quantity_lost": "float64",
    "revenue_lost": "float64",
    "product_id": "int64",
    "product_name": "string",
    "risk_reason": "string",
}
PORTFOLIO_CATEGORIES: Schema = {
    "category": "string",
    "products": "int64",
    "customers": "int64",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    **quantile_columns("quantity"),
    "previous_quantity": "float64",
    "difference": "float64",
    "expected_revenue": "float64",
    **quantile_columns("revenue"),
}


class _Totals(TypedDict):
    expected_orders: float
    expected_quantity: float
    known_expected_quantity: float
    quantity_quantiles: dict[str, float]
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None


def totals(products: PortfolioProducts, draws: PortfolioDraws, weeks: slice) -> _Totals:
    """Sums over all products and a slice of weeks, and the quantiles of the draws' sums."""
    quantity = products.expected_quantity[:, weeks].sum(axis=1)
    prices = _prices(products)
    priced = np.isfinite(prices)
    return _Totals(
        expected_orders=float(products.expected_orders[:, weeks].sum()),
        expected_quantity=float(quantity.sum()),
        known_expected_quantity=float(products.known_expected_quantity[:, weeks].sum()),
        quantity_quantiles=_named(quantiles_of(draws.quantity[weeks].sum(axis=0), axis=0)),
        expected_revenue=float((quantity * prices)[priced].sum()) if priced.any() else None,
        revenue_quantiles=_named(quantiles_of(draws.revenue[weeks].sum(axis=0), axis=0))
        if priced.any()
        else None,
    )


def week_of(
    products: PortfolioProducts, draws: PortfolioDraws, week: int, as_of: date
) -> PortfolioWeek:
    """A week, from 0, of all products."""
    start = as_of + timedelta(DAYS_PER_WEEK * week)
    return PortfolioWeek(
        week_number=week + 1,
        week_start_date=start.isoformat(),
        week_end_date=(start + timedelta(DAYS_PER_WEEK - 1)).isoformat(),
        **totals(products, draws, slice(week, week + 1)),
    )


def products_of(products: PortfolioProducts) -> list[PortfolioProduct]:
    """The products, by id."""
    quantity = products.expected_quantity.sum(axis=1).tolist()
    orders = products.expected_orders.sum(axis=1).tolist()
    previous = products.previous_quantity.tolist()
    return [
        PortfolioProduct(
            product_id=product_id,
            product_name=products.product_name[i],
            customers=int(products.customers[i]),
            expected_orders=orders[i],
            expected_quantity=quantity[i],
            quantity_quantiles=_named(products.total_quantiles[i]),
            previous_quantity=previous[i],
            difference=quantity[i] - previous[i],
            unit_price=price,
            expected_revenue=None if price is None else quantity[i] * price,
        )
        for i, (product_id, price) in enumerate(
            zip(products.product_id.tolist(), products.unit_price, strict=True)
        )
    ]


def categories_of(
    products: PortfolioProducts, categories: PortfolioCategories
) -> list[PortfolioCategory]:
    """The categories, by name, with sums over their products."""
    prices = _prices(products)
    quantity = products.expected_quantity.sum(axis=1)

    def summed(values: Floats) -> list[float]:
        sums = np.bincount(categories.code, values, len(categories.names))
        return [float(value) for value in sums]

    count = np.bincount(categories.code, minlength=len(categories.names)).tolist()
    priced = summed(np.isfinite(prices).astype(float))
    revenue = summed(np.nan_to_num(quantity * prices))
    orders, units = summed(products.expected_orders.sum(axis=1)), summed(quantity)
    previous = summed(products.previous_quantity)
    return [
        PortfolioCategory(
            category=name,
            products=count[i],
            customers=int(categories.customers[i]),
            expected_orders=orders[i],
            expected_quantity=units[i],
            quantity_quantiles=_named(quantiles_of(categories.quantity[i], axis=0)),
            previous_quantity=previous[i],
            difference=units[i] - previous[i],
            expected_revenue=revenue[i] if priced[i] else None,
            revenue_quantiles=_named(quantiles_of(categories.revenue[i], axis=0))
            if priced[i]
            else None,
        )
        for i, name in enumerate(categories.names)
    ]


def _prices(products: PortfolioProducts) -> Floats:
    """NaN where there is none, [products]."""
    return np.array([np.nan if price is None else price for price in products.unit_price])


def _named(quantiles: Floats) -> dict[str, float]:
    return dict(zip(QUANTILE_NAMES, quantiles.tolist(), strict=True))
