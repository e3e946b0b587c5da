"""The forecast of many products together: totals, categories, movers, customers at risk."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from toolkit.card import SHOWN_ROWS, Card, CardCell, Figure, Grid, Shown, counted, in_a_line, spans
from toolkit.data.grouping import no_category
from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.results.customer import code_cells, coded, money
from toolkit.results.metadata import ModelMetadata
from toolkit.results.portfolio_fields import (
    PORTFOLIO_AT_RISK,
    PORTFOLIO_CATEGORIES,
    PORTFOLIO_PRODUCTS,
    PORTFOLIO_WEEKS,
    CustomerAtRisk,
    PortfolioCategories,
    PortfolioCategory,
    PortfolioDraws,
    PortfolioProduct,
    PortfolioProducts,
    PortfolioSummary,
    PortfolioWeek,
    categories_of,
    products_of,
    totals,
    week_of,
)
from toolkit.results.tables import frame_of, table_named

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.results.figures import Drawing

type PortfolioTable = Literal["weeks", "products", "at_risk", "categories"]


@dataclass(frozen=True, slots=True)
class PortfolioForecast(Shown):
    """Many products together. ``products``: those that change most come first.

    ``categories``: by name, and the products without one last; none where no product has one.
    """

    forecast_period_weeks: int
    summary: PortfolioSummary
    weekly_forecasts: list[PortfolioWeek]
    products: list[PortfolioProduct]
    at_risk_customers: list[CustomerAtRisk]
    categories: list[PortfolioCategory]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        products: PortfolioProducts,
        draws: PortfolioDraws,
        categories: PortfolioCategories,
        at_risk: Sequence[CustomerAtRisk],
        customer_count: int,
        never_ordered: Sequence[int],
        as_of: date,
        metadata: ModelMetadata,
    ) -> "PortfolioForecast":
        """What products, their summed draws and customers at risk make."""
        weeks = draws.quantity.shape[0]
        total = totals(products, draws, slice(None))
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
            weekly_forecasts=[week_of(products, draws, week, as_of) for week in range(weeks)],
            products=sorted(products_of(products), key=_most_changed),
            at_risk_customers=list(at_risk),
            categories=categories_of(products, categories),
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
        at risk, the largest loss first. ``categories``: a row a category of products, by name, and
        last of those without one (NA). Columns and types are ``PORTFOLIO_WEEKS``,
        ``PORTFOLIO_PRODUCTS``, ``PORTFOLIO_AT_RISK`` and ``PORTFOLIO_CATEGORIES``.
        ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        return {
            "weeks": frame_of(self.weekly_forecasts, PORTFOLIO_WEEKS),
            "products": frame_of(self.products, PORTFOLIO_PRODUCTS),
            "at_risk": frame_of(self.at_risk_customers, PORTFOLIO_AT_RISK),
            "categories": frame_of(self.categories, PORTFOLIO_CATEGORIES),
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
        """The weeks, the ``top`` categories, movers and customers at risk, None for all.

        The codes are shown where ids stand for codes.
        """
        summary, made = self.summary, self.model_metadata
        missing, failed = len(summary["never_ordered"]), made["failed_pairs"]
        warnings = [f"{counted(failed, 'pair')} failed, left out."] if failed else []
        if missing:
            left_out = counted(missing, "product")
            warnings.append(f"{left_out} never ordered before, or replaced since, left out.")
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
                *_categories(self.categories, top),
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


def _categories(categories: Sequence[PortfolioCategory], top: int | None) -> list[Grid]:
    """The largest first; nothing where no product has a category."""
    heads = ("category", "before", "expected", "80 % interval", "difference")
    without = no_category([category["category"] for category in categories])
    rows = [
        (
            without if (name := category["category"]) is None else in_a_line(name),
            f"{category['previous_quantity']:,.0f}",
            f"{category['expected_quantity']:,.0f}",
            f"{category['quantity_quantiles']['q10']:,.0f} – "
            f"{category['quantity_quantiles']['q90']:,.0f}",
            f"{category['difference']:+,.0f}",
        )
        for category in sorted(categories, key=lambda one: -one["expected_quantity"])
    ]
    grid = Grid("Categories of products: the largest", heads, rows, frozenset(heads[1:]))
    return [grid.first(top)] if rows else []


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
