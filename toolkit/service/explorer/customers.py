"""The page of a customer: what they order next, of every product, by an engine."""

from datetime import date
from http import HTTPStatus

from toolkit.card import in_a_line
from toolkit.results.customer import CustomerForecast
from toolkit.results.pair import BEYOND
from toolkit.service.explorer.cells import (
    Calendar,
    Expected,
    Labels,
    Link,
    Table,
    product_path,
)
from toolkit.service.explorer.context import NO_ENGINE, Context
from toolkit.service.explorer.shell import View
from toolkit.service.replies import ProblemError

SHOWN_PRODUCTS = 100
"""In its tables; a customer may have thousands."""


async def customer(context: Context, code: str) -> View:
    """What comes next, what is overdue, and the weeks."""
    release = context.release()
    if not context.has_engine:
        said = f"What a customer orders next: {NO_ENGINE}"
        return View("customer", f"Customer {code}", {"lacking": said}, context.about())
    number = await context.customer_number(code)
    assert number is not None
    found = await context.ask(
        release, ("customer", number), lambda desk: desk.customer(release, number)
    )
    if found is None:
        said = f"Customer {code} ordered nothing before {release.pointer.as_of}."
        raise ProblemError(HTTPStatus.NOT_FOUND, said)
    labels = await context.labels([row["product_id"] for row in found.products], [number])
    card = found.to_card(0, labels.customer_code(number))
    content = {
        "lacking": "",
        "card": card,
        "code": labels.customer_code(number),
        "calendar": _next_orders(found, labels),
        "products": _products(found, labels),
        "overdue": _overdue(found, labels),
        "weeks": card.grids[-1],
        "differs": context.differs(found.model_metadata, release),
    }
    return View("customer", in_a_line(found.summary["customer_name"]), content, context.about())


def _next_orders(found: CustomerForecast, labels: Labels) -> Calendar:
    expected = [
        Expected(
            date.fromisoformat(row["next_order_date"]),
            labels.product(row["product_id"], row["product_name"]),
            f"confidence {row['confidence']:.2f}",
        )
        for row in found.products[:SHOWN_PRODUCTS]
        if row["next_order_date"] is not None
    ]
    start = date.fromisoformat(found.summary["forecast_start_date"])
    return Calendar.of("Next orders", start, found.forecast_period_weeks, expected)


def _products(found: CustomerForecast, labels: Labels) -> Table:
    heads = ("product", "next order", "90 % by", "orders", "units", "")
    rows = [
        (
            labels.product(row["product_id"], row["product_name"]),
            row["next_order_date"] or BEYOND,
            row["next_order_quantiles"]["q90"] or BEYOND,
            f"{row['expected_orders']:,.1f}",
            f"{row['expected_quantity']:,.0f}",
            _why(labels, found.customer_id, row["product_id"]),
        )
        for row in found.products[:SHOWN_PRODUCTS]
    ]
    left_out = len(found.products) - len(rows)
    note = f"and {left_out:,} more" if left_out else ""
    return Table("What comes next", heads, rows, frozenset(heads[3:5]), note)


def _overdue(found: CustomerForecast, labels: Labels) -> Table:
    heads = ("product", "why", "last order", "orders so far")
    overdue = found.overdue
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


def _why(labels: Labels, customer_id: int, product_id: int) -> Link:
    code, customer = labels.product_code(product_id), labels.customer_code(customer_id)
    return Link("why", product_path(code, "why", customer=customer))
