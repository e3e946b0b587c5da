"""The page of a product: its forecast as the release holds it, and by an engine its history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus

from toolkit.cache.current import CurrentRelease
from toolkit.card import in_a_line
from toolkit.results.forecast import ProductForecast
from toolkit.results.pair import BEYOND
from toolkit.service.explorer.cells import (
    Calendar,
    Expected,
    Labels,
    Link,
    PageCell,
    Table,
    product_path,
)
from toolkit.service.explorer.charts import Ordered, fan
from toolkit.service.explorer.context import NO_ENGINE, Context
from toolkit.service.explorer.shell import About, View
from toolkit.service.pages import Page
from toolkit.service.replies import ProblemError

SECTION = "products"


@dataclass(frozen=True, slots=True)
class ServedProduct:
    """A product of a release: its forecast, if there is one, and what all is called."""

    product_id: int
    code: str
    release: CurrentRelease
    about: About
    forecast: ProductForecast | None
    labels: Labels

    @property
    def name(self) -> str:
        """The product, for people."""
        if self.forecast is None:
            return f"Product {self.code}"
        return in_a_line(self.forecast.summary["product_name"])

    def path(self, page: str = "", **query: object) -> str:
        """Where one of its pages is."""
        return product_path(self.code, page, **query)


async def find(context: Context, code: str) -> ServedProduct:
    """The product of an id or code; 404 where the release does not serve it."""
    found = await context.forecasts.find(code)
    assert found.value is not None
    product_id, forecast = read(found.value)
    listed = (
        () if forecast is None else (*forecast.top_customers_by_volume, *forecast.at_risk_customers)
    )
    labels = await context.labels([product_id], {row["customer_id"] for row in listed})
    about = context.about_of(found.release, found.stale_s)
    return ServedProduct(
        product_id, labels.product_code(product_id), found.release, about, forecast, labels
    )


def read(page: Page) -> tuple[int, ProductForecast | None]:
    """A record's product and its forecast, None for nothing to forecast.

    A 500 that says so where another release of this toolkit has written something else.
    """
    said = json.loads(page.body)
    product_id, fields = int(said["product_id"]), said["forecast"]
    if fields is None:
        return product_id, None
    try:
        made = ProductForecast.from_dict(fields)
        made.to_card(0)
        return product_id, made
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            f"The record of product {product_id} is not one that this page can show; "
            f"/v1/forecasts/{product_id} gives it as it is.",
        ) from error


async def product(context: Context, code: str) -> View:
    """A product's weeks, its next orders, whom it lists and who is at risk."""
    one = await find(context, code)
    if one.forecast is None:
        return View("product", one.name, {"one": one, "card": None}, one.about, SECTION)
    weeks = None
    if context.has_engine:
        weeks = await context.ask(
            one.release,
            ("weeks", one.product_id),
            lambda desk: desk.weeks(one.release, one.product_id),
        )
    before, since = (None, None) if weeks is None else (weeks.before, weeks.since)
    card = one.forecast.to_card(None, one.code)
    content = {
        "one": one,
        "card": card,
        "chart": fan(one.forecast.weekly_forecasts, before, since),
        "weeks": card.grids[0],
        "before": None if before is None else _before(before),
        "calendar": _next_orders(one.forecast, one.labels),
        "top": _top(one.forecast, one.labels),
        "at_risk": _at_risk(one, one.forecast),
        "lacking": "" if context.has_engine else f"What was ordered before: {NO_ENGINE}",
    }
    return View("product", one.name, content, one.about, SECTION)


def _next_orders(forecast: ProductForecast, labels: Labels) -> Calendar:
    expected = [
        Expected(
            date.fromisoformat(row["next_order_date"]),
            labels.customer(row["customer_id"], row["customer_name"]),
            f"confidence {row['avg_confidence']:.2f}",
        )
        for row in forecast.top_customers_by_volume
        if row["next_order_date"] is not None
    ]
    weeks = forecast.forecast_period_weeks
    return Calendar.of("Next orders of the top customers", forecast.start_date, weeks, expected)


def _top(forecast: ProductForecast, labels: Labels) -> Table:
    heads = ("customer", "next order", "orders", "units", "confidence")
    rows = [
        (
            labels.customer(row["customer_id"], row["customer_name"]),
            row["next_order_date"] or BEYOND,
            f"{row['total_orders']:,.1f}",
            f"{row['total_quantity']:,.0f}",
            f"{row['avg_confidence']:.2f}",
        )
        for row in forecast.top_customers_by_volume
    ]
    return Table("Top customers by volume", heads, rows, frozenset(heads[2:]))


def _at_risk(one: ServedProduct, forecast: ProductForecast) -> Table:
    """Each customer leads to themselves, and each reason to what it is made of."""
    heads = ("customer", "why", "confidence")
    rows = [
        (
            one.labels.customer(row["customer_id"], row["customer_name"]),
            _reason(one, row["customer_id"], row["risk_reason"]),
            f"{row['avg_confidence']:.2f}",
        )
        for row in forecast.at_risk_customers
    ]
    return Table("Customers at risk", heads, rows, frozenset(heads[2:]))


def _reason(one: ServedProduct, customer_id: int, reason: str) -> PageCell:
    if not one.labels.explained:
        return in_a_line(reason)
    return Link(in_a_line(reason), one.path("why", customer=one.labels.customer_code(customer_id)))


def _before(before: Ordered) -> Table:
    """The weeks before the as-of date, the latest first."""
    rows: Sequence[Sequence[PageCell]] = [
        (day, f"{units:,g}")
        for day, units in zip(before.days[::-1], before.units[::-1], strict=True)
        if units is not None
    ]
    heads = ("week from", "units ordered")
    return Table("Weeks before", heads, rows, frozenset(heads[1:]))
