"""The forecast of many products together: totals, movers, customers at risk. Plain data, for JSON.

Quantiles of totals are those of sums of draws: week by week and over the horizon they agree with
each other and with the products' own draws. Dates are ISO text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from toolkit.card import SHOWN_ROWS, Card, CardCell, Figure, Grid, Shown, counted, in_a_line, spans
from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats, Ints, quantiles_of
from toolkit.results.customer import code_cells, coded, money
from toolkit.results.metadata import ModelMetadata
from toolkit.results.tables import Schema, frame_of, quantile_columns, table_named

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.results.figures import Drawing

type PortfolioTable = Literal["weeks", "products", "at_risk"]


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


@dataclass(frozen=True, slots=True)
class PortfolioForecast(Shown):
    """Many products together. ``products``: those that change most come first."""

    forecast_period_weeks: int
    summary: PortfolioSummary
    weekly_forecasts: list[PortfolioWeek]
    products: list[PortfolioProduct]
    at_risk_customers: list[CustomerAtRisk]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        products: PortfolioProducts,
        draws: PortfolioDraws,
        at_risk: Sequence[CustomerAtRisk],
        customer_count: int,
        never_ordered: Sequence[int],
        as_of: date,
        metadata: ModelMetadata,
    ) -> "PortfolioForecast":
        """What products, their summed draws and customers at risk make."""
        weeks = draws.quantity.shape[0]
        total = _totals(products, draws, slice(None))
        lost = [customer["revenue_lost"] for customer in at_risk]
        known = [amount for amount in lost if amount is not None]
        summary = PortfolioSummary(
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
            product_count=len(products.product_id),
            customer_count=customer_count,
            unpriced_products=sum(price is None for price in products.unit_price),
            previous_quantity=float(products.previous_quantity.sum()),
            customers_at_risk=len(at_risk),
            quantity_lost=float(sum(customer["quantity_lost"] for customer in at_risk)),
            revenue_lost=sum(known) if known else None,
            never_ordered=list(never_ordered),
            **total,
        )
        return cls(
            forecast_period_weeks=weeks,
            summary=summary,
            weekly_forecasts=[_week(products, draws, week, as_of) for week in range(weeks)],
            products=sorted(_products(products), key=_most_changed),
            at_risk_customers=list(at_risk),
            model_metadata=metadata,
        )

    def plot(self, actual: Sequence[float] | None = None) -> "Drawing":
        """Weekly demand of all products with its intervals, and ``actual`` units if known."""
        from toolkit.results.figures import plot_weeks

        summary = self.summary
        days = [date.fromisoformat(week["week_start_date"]) for week in self.weekly_forecasts]
        bands = [week["quantity_quantiles"] for week in self.weekly_forecasts]
        title = f"{counted(summary['product_count'], 'product')}: weekly demand"
        return plot_weeks(f"{title} as of {summary['forecast_start_date']}", days, bands, actual)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self, table: PortfolioTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``weeks``: a row a week.

        ``products``: a row a product, those that change most first. ``at_risk``: a row a customer
        at risk, the largest loss first. Columns and types are ``PORTFOLIO_WEEKS``,
        ``PORTFOLIO_PRODUCTS`` and ``PORTFOLIO_AT_RISK``. ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        return {
            "weeks": frame_of(self.weekly_forecasts, PORTFOLIO_WEEKS),
            "products": frame_of(self.products, PORTFOLIO_PRODUCTS),
            "at_risk": frame_of(self.at_risk_customers, PORTFOLIO_AT_RISK),
        }

    def __repr__(self) -> str:
        """How many products, which weeks and how much."""
        summary = self.summary
        return (
            f"<PortfolioForecast of {counted(summary['product_count'], 'product')}, "
            f"{summary['forecast_start_date']} to {summary['forecast_end_date']}: "
            f"{summary['expected_quantity']:,.0f} units expected, "
            f"{counted(summary['customers_at_risk'], 'customer')} at risk>"
        )

    def to_card(
        self,
        top: int | None = SHOWN_ROWS,
        product_codes: Mapping[int, str] | None = None,
        customer_codes: Mapping[int, str] | None = None,
    ) -> Card:
        """The weeks, the ``top`` movers and customers at risk, None for all.

        The codes are shown where ids stand for codes.
        """
        summary, made = self.summary, self.model_metadata
        missing, failed = len(summary["never_ordered"]), made["failed_pairs"]
        warnings = [f"{counted(failed, 'pair')} failed, left out."] if failed else []
        if missing:
            warnings.append(f"{counted(missing, 'product')} never ordered before, left out.")
        return Card(
            title=f"{counted(summary['product_count'], 'product')} together",
            subtitle=(
                f"{summary['forecast_start_date']} to {summary['forecast_end_date']}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=self._figures(),
            warnings=warnings,
            grids=[
                _weeks(self.weekly_forecasts),
                *_movers(self.products, self.forecast_period_weeks, top, product_codes),
                *_at_risk(self.at_risk_customers, top, customer_codes),
            ],
        )

    def _figures(self) -> list[Figure]:
        summary, weeks = self.summary, self.forecast_period_weeks
        units, revenue = summary["quantity_quantiles"], summary["revenue_quantiles"]
        unpriced = summary["unpriced_products"]
        notes = [] if revenue is None else [_interval(revenue)]
        if unpriced:
            notes.append(f"{counted(unpriced, 'product')} without a price left out")
        return [
            Figure(
                f"units in {counted(weeks, 'week')}",
                f"{summary['expected_quantity']:,.0f}",
                f"{_interval(units)}; {summary['previous_quantity']:,.0f} before",
            ),
            Figure("orders", f"{summary['expected_orders']:,.0f}", "counted by product"),
            Figure("revenue", money(summary["expected_revenue"]), "; ".join(notes)),
            Figure("customers so far", f"{summary['customer_count']:,}"),
            Figure("at risk", f"{summary['customers_at_risk']:,}"),
        ]


class _Totals(TypedDict):
    expected_orders: float
    expected_quantity: float
    known_expected_quantity: float
    quantity_quantiles: dict[str, float]
    expected_revenue: float | None
    revenue_quantiles: dict[str, float] | None


def _totals(products: PortfolioProducts, draws: PortfolioDraws, weeks: slice) -> _Totals:
    """Sums over all products and a slice of weeks, and the quantiles of the draws' sums."""
    quantity = products.expected_quantity[:, weeks].sum(axis=1)
    prices = np.array([np.nan if price is None else price for price in products.unit_price])
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


def _week(
    products: PortfolioProducts, draws: PortfolioDraws, week: int, as_of: date
) -> PortfolioWeek:
    start = as_of + timedelta(DAYS_PER_WEEK * week)
    return PortfolioWeek(
        week_number=week + 1,
        week_start_date=start.isoformat(),
        week_end_date=(start + timedelta(DAYS_PER_WEEK - 1)).isoformat(),
        **_totals(products, draws, slice(week, week + 1)),
    )


def _products(products: PortfolioProducts) -> list[PortfolioProduct]:
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


def _named(quantiles: Floats) -> dict[str, float]:
    return dict(zip(QUANTILE_NAMES, quantiles.tolist(), strict=True))


def _most_changed(product: PortfolioProduct) -> tuple[float, int]:
    return -abs(product["difference"]), product["product_id"]


def _interval(quantiles: Mapping[str, float]) -> str:
    return f"80 %: {quantiles['q10']:,.0f} to {quantiles['q90']:,.0f}"


def _weeks(weeks: Sequence[PortfolioWeek]) -> Grid:
    bands = [week["quantity_quantiles"] for week in weeks]
    drawn = spans(*([band[name] for band in bands] for name in ("q10", "q50", "q90")))
    rows: list[Sequence[CardCell]] = [
        (
            f"{week['week_number']}",
            week["week_start_date"],
            f"{week['expected_orders']:,.1f}",
            f"{week['expected_quantity']:,.0f}",
            f"{bands[place]['q10']:,.0f} – {bands[place]['q90']:,.0f}",
            drawn[place],
            money(week["expected_revenue"]),
        )
        for place, week in enumerate(weeks)
    ]
    heads = ("week", "from", "orders", "units", "80 % interval", "", "revenue")
    return Grid("Demand by week, all customers", heads, rows, frozenset({*heads[2:5], heads[6]}))


def _movers(
    products: Sequence[PortfolioProduct],
    weeks: int,
    top: int | None,
    codes: Mapping[int, str] | None,
) -> list[Grid]:
    heads = ("product", "before", "expected", "80 % interval", "difference")
    rows = [
        (
            *code_cells(codes, product["product_id"]),
            in_a_line(product["product_name"]),
            f"{product['previous_quantity']:,.0f}",
            f"{product['expected_quantity']:,.0f}",
            f"{product['quantity_quantiles']['q10']:,.0f} – "
            f"{product['quantity_quantiles']['q90']:,.0f}",
            f"{product['difference']:+,.0f}",
        )
        for product in products
    ]
    title = f"Top movers: units in {weeks} weeks before, and expected"
    return coded(title, heads, rows, heads[1:], top, codes)


def _at_risk(
    customers: Sequence[CustomerAtRisk], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("customer", "revenue lost", "units lost", "products", "most of all")
    rows = [
        (
            *code_cells(codes, customer["customer_id"]),
            in_a_line(customer["customer_name"]),
            money(customer["revenue_lost"]),
            f"{customer['quantity_lost']:,.0f}",
            f"{customer['products_at_risk']:,}",
            f"{in_a_line(customer['product_name'])}: {customer['risk_reason'].split(';')[0]}",
        )
        for customer in customers
    ]
    return coded("Customers at risk", heads, rows, heads[1:4], top, codes)
