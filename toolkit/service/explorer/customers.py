"""The page of a customer: what they order next, by the release, and by an engine week by week."""

from collections.abc import Sequence
from datetime import date

from toolkit.cache.current import CurrentRelease
from toolkit.cache.customers import Customers
from toolkit.card import Card, in_a_line
from toolkit.results.customer import figures_of, overdue_among
from toolkit.results.pair import BEYOND
from toolkit.service.customers import find_customer, view_of
from toolkit.service.explorer.cells import (
    Calendar,
    Expected,
    Labels,
    Link,
    PageCell,
    Table,
    product_path,
)
from toolkit.service.explorer.context import NO_ENGINE, Context
from toolkit.service.explorer.shell import View
from toolkit.service.schemas import CustomerView, ReleasedProduct

SHOWN_PRODUCTS = 100
"""In its tables; a customer may have thousands."""


async def customer(context: Context, code: str) -> View:
    """What comes next, what is overdue, and by an engine the weeks."""
    number, release, pairs = await find_customer(Customers(context.records), code)
    if not pairs:
        said = f"All that customer {code} ordered was taken out of the release."
        return View("customer", f"Customer {code}", {"nothing": said}, context.about())
    view = view_of(number, pairs)
    labels = await context.labels([pair.product_id for pair in pairs], [number])
    content = {"nothing": "", **_told(view, labels), **await _weeks(context, release, number)}
    return View("customer", in_a_line(view["summary"]["customer_name"]), content, context.about())


def _told(view: CustomerView, labels: Labels) -> dict[str, object]:
    summary = view["summary"]
    return {
        "code": labels.customer_code(view["customer_id"]),
        "dates": f"{summary['forecast_start_date']} to {summary['forecast_end_date']}",
        "card": Card("", figures=figures_of(summary, view["forecast_period_weeks"])),
        "calendar": _next_orders(view, labels),
        "products": _products(view, labels),
        "overdue": _overdue(overdue_among(view["products"]), labels),
    }


async def _weeks(context: Context, release: CurrentRelease, number: int) -> dict[str, object]:
    """The weeks of all products together, as an engine has them."""
    if not context.has_engine:
        said = f"What they order week by week: {NO_ENGINE}"
        return {"weeks": None, "differs": "", "lacking": said}
    found = await context.ask(
        release, ("customer", number), lambda desk: desk.customer(release, number)
    )
    if found is None:
        return {"weeks": None, "differs": "", "lacking": ""}
    return {
        "weeks": found.to_card(0).grids[-1],
        "differs": context.differs(found.model_metadata, release),
        "lacking": "",
    }


def _next_orders(view: CustomerView, labels: Labels) -> Calendar:
    expected = [
        Expected(
            date.fromisoformat(row["next_order_date"]),
            labels.product(row["product_id"], row["product_name"]),
            f"confidence {row['confidence']:.2f}",
        )
        for row in view["products"][:SHOWN_PRODUCTS]
        if row["next_order_date"] is not None
    ]
    start = date.fromisoformat(view["summary"]["forecast_start_date"])
    return Calendar.of("Next orders", start, view["forecast_period_weeks"], expected)


def _products(view: CustomerView, labels: Labels) -> Table:
    heads = ("product", "next order", "90 % by", "orders", "units", "")
    rows = [
        (
            labels.product(row["product_id"], row["product_name"]),
            row["next_order_date"] or BEYOND,
            row["next_order_quantiles"]["q90"] or BEYOND,
            f"{row['expected_orders']:,.1f}",
            f"{row['expected_quantity']:,.0f}",
            _why(labels, view["customer_id"], row["product_id"]),
        )
        for row in view["products"][:SHOWN_PRODUCTS]
    ]
    left_out = len(view["products"]) - len(rows)
    note = f"and {left_out:,} more" if left_out else ""
    return Table("What comes next", heads, rows, frozenset(heads[3:5]), note)


def _overdue(overdue: Sequence[ReleasedProduct], labels: Labels) -> Table:
    heads = ("product", "why", "last order", "orders so far")
    rows = [
        (
            labels.product(row["product_id"], row["product_name"]),
            in_a_line(row["risk_reason"] or ""),
            row["last_order_date"],
            f"{row['order_count']:,}",
        )
        for row in overdue[:SHOWN_PRODUCTS]
    ]
    left_out = len(overdue) - len(rows)
    note = f"and {left_out:,} more" if left_out else ""
    return Table("Overdue, or probably lapsed", heads, rows, frozenset(heads[3:]), note)


def _why(labels: Labels, customer_id: int, product_id: int) -> PageCell:
    if not labels.explained:
        return ""
    code, customer = labels.product_code(product_id), labels.customer_code(customer_id)
    return Link("why", product_path(code, "why", customer=customer))
