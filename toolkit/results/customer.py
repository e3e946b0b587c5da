"""The forecast of a customer: what they order next, product by product. Plain data, for JSON.

Probabilities lie in [0, 1]; orders, quantities and revenue are expectations unless a quantile is
named; dates are ISO text. Each product's row is that of the product's own forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from toolkit.card import SHOWN_ROWS, Card, Figure, Grid, Shown, counted, in_a_line
from toolkit.results.customer_fields import (
    CUSTOMER_PRODUCTS,
    CUSTOMER_WEEKS,
    CustomerPairs,
    CustomerProduct,
    CustomerSummary,
    CustomerWeek,
    product_of,
    soonest,
    summary_of,
    week_of,
)
from toolkit.results.metadata import ModelMetadata
from toolkit.results.pair import BEYOND
from toolkit.results.tables import frame_of, table_named

if TYPE_CHECKING:
    import pandas as pd

type CustomerTable = Literal["products", "weeks"]


@dataclass(frozen=True, slots=True)
class CustomerForecast(Shown):
    """What a customer orders next: their products, the soonest first, and their weeks."""

    customer_id: int
    forecast_period_weeks: int
    summary: CustomerSummary
    products: list[CustomerProduct]
    weekly_forecasts: list[CustomerWeek]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        customer_id: int,
        customer_name: str | None,
        pairs: CustomerPairs,
        as_of: date,
        weeks: int,
        metadata: ModelMetadata,
    ) -> "CustomerForecast":
        """What the customer's pairs make; ``Customer 456`` for a missing name."""
        products = [product_of(pairs, row, as_of) for row in range(len(pairs.product_id))]
        name = customer_name or f"Customer {customer_id}"
        return cls(
            customer_id=customer_id,
            forecast_period_weeks=weeks,
            summary=summary_of(name, products, as_of, weeks),
            products=sorted(products, key=soonest),
            weekly_forecasts=[week_of(pairs, week, as_of) for week in range(weeks)],
            model_metadata=metadata,
        )

    @property
    def overdue(self) -> list[CustomerProduct]:
        """The products that have probably lapsed or are overdue, the longest history first."""
        return overdue_among(self.products)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self, table: CustomerTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``products``: a row a product, the soonest first.

        ``weeks``: a row a week. Columns and types are ``CUSTOMER_PRODUCTS`` and
        ``CUSTOMER_WEEKS``. ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        whose = {"customer_id": self.customer_id}
        return {
            "products": frame_of(self.products, CUSTOMER_PRODUCTS, whose),
            "weeks": frame_of(self.weekly_forecasts, CUSTOMER_WEEKS, whose),
        }

    def __repr__(self) -> str:
        """Which customer, which weeks and how much; not every product."""
        summary = self.summary
        return (
            f"<CustomerForecast of customer {self.customer_id} "
            f"({in_a_line(summary['customer_name'])}), {summary['forecast_start_date']} to "
            f"{summary['forecast_end_date']}: {counted(summary['product_count'], 'product')}, "
            f"{summary['expected_quantity']:,.0f} units expected>"
        )

    def to_card(
        self,
        top: int | None = SHOWN_ROWS,
        customer_code: str | None = None,
        product_codes: Mapping[int, str] | None = None,
    ) -> Card:
        """What comes next, what is overdue, and the weeks; ``top`` rows each, None for all.

        The codes are shown where ids stand for codes.
        """
        summary, made = self.summary, self.model_metadata
        code = in_a_line(customer_code or str(self.customer_id))
        failed = made["failed_pairs"]
        return Card(
            title=f"{in_a_line(summary['customer_name'])} (customer {code})",
            subtitle=(
                f"{summary['forecast_start_date']} to {summary['forecast_end_date']}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=figures_of(summary, self.forecast_period_weeks),
            warnings=[f"{counted(failed, 'pair')} failed, left out."] if failed else [],
            grids=[
                *_next_orders(self.products, top, product_codes),
                *_overdue(self.overdue, top, product_codes),
                _weeks(self.weekly_forecasts),
            ],
        )


def figures_of(summary: CustomerSummary, weeks: int) -> list[Figure]:
    """What comes first of a customer, over so many weeks."""
    unpriced = summary["unpriced_products"]
    return [
        Figure("next order", summary["next_order_date"] or BEYOND),
        Figure(f"units in {counted(weeks, 'week')}", f"{summary['expected_quantity']:,.0f}"),
        Figure("orders", f"{summary['expected_orders']:,.1f}", "counted by product"),
        Figure(
            "revenue",
            money(summary["expected_revenue"]),
            f"{counted(unpriced, 'product')} without a price left out" if unpriced else "",
        ),
        Figure("last order", summary["last_order_date"]),
        Figure("products", f"{summary['product_count']:,}"),
        Figure("overdue or lapsed", f"{summary['overdue_count']:,}"),
    ]


def overdue_among[P: CustomerProduct](products: Sequence[P]) -> list[P]:
    """Those that have probably lapsed or are overdue, the longest history first."""
    late = [product for product in products if product["overdue"]]
    return sorted(late, key=lambda product: (-product["order_count"], product["product_id"]))


def money(amount: float | None) -> str:
    """An amount for a person; a dash for one that is not known."""
    return "–" if amount is None else f"{amount:,.0f}"


def code_cells(codes: Mapping[int, str] | None, number: int) -> tuple[str, ...]:
    """The cell in front of a row that tells one name from its like: the id, or its code."""
    return (str(number) if codes is None else in_a_line(codes.get(number, "")),)


def coded(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[str],
    top: int | None,
    codes: Mapping[int, str] | None,
) -> list[Grid]:
    """A table, if it has rows, with ids in front, or codes if ids stand for codes."""
    heads = ("id" if codes is None else "code", *heads)
    return [Grid(title, heads, rows, frozenset(numbers)).first(top)] if rows else []


def _next_orders(
    products: Sequence[CustomerProduct], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("product", "next order", "90 % by", "orders", "units", "")
    rows = [
        (
            *code_cells(codes, product["product_id"]),
            in_a_line(product["product_name"]),
            product["next_order_date"] or BEYOND,
            product["next_order_quantiles"]["q90"] or BEYOND,
            f"{product['expected_orders']:,.1f}",
            f"{product['expected_quantity']:,.0f}",
            "overdue" if product["overdue"] else "",
        )
        for product in products
    ]
    return coded("What comes next", heads, rows, heads[3:5], top, codes)


def _overdue(
    products: Sequence[CustomerProduct], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("product", "why", "last order", "orders so far")
    rows = [
        (
            *code_cells(codes, product["product_id"]),
            in_a_line(product["product_name"]),
            product["risk_reason"] or "",
            product["last_order_date"],
            f"{product['order_count']:,}",
        )
        for product in products
    ]
    return coded("Overdue, or probably lapsed", heads, rows, heads[3:], top, codes)


def _weeks(weeks: Sequence[CustomerWeek]) -> Grid:
    heads = ("week", "from", "orders", "units", "revenue")
    rows = [
        (
            f"{week['week_number']}",
            week["week_start_date"],
            f"{week['expected_orders']:,.1f}",
            f"{week['expected_quantity']:,.0f}",
            money(week["expected_revenue"]),
        )
        for week in weeks
    ]
    return Grid("By week, all products", heads, rows, frozenset(heads[2:]))
