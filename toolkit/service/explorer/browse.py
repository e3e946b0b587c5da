"""Pages to look around on: the first one, lists of products, customers at risk, and releases."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from toolkit.cache.customers import Customers
from toolkit.cache.directory import PublishedRelease
from toolkit.cache.records import Found
from toolkit.card import in_a_line
from toolkit.errors import CacheError
from toolkit.service.customers import at_risk_rows
from toolkit.service.explorer.cells import Labels, PageCell, Pager, Table
from toolkit.service.explorer.context import Context
from toolkit.service.explorer.products import SECTION
from toolkit.service.explorer.shell import View
from toolkit.service.explorer.versions import NO_STORE, promotions
from toolkit.service.forecasts import sentence
from toolkit.service.pages import Page
from toolkit.service.replies import ProblemError

PAGE = 50
"""Rows of a page of a list."""

FEW = 5
"""Rows of a list on the first page."""

MOST_OFFSET = 10**9


async def home(context: Context) -> View:
    """The search, the gravest customers at risk, and the first products."""
    release = context.release()
    products, total = await _products(context, 0, FEW)
    risks, lacking = None, ""
    try:
        risks = await _at_risk(context, 0, FEW)
    except ProblemError as problem:  # an older release has no such list
        lacking = problem.detail
    content = {
        "products": products,
        "total": total,
        "risks": risks,
        "at_risk": release.at_risk or 0,
        "lacking": lacking,
        "has_engine": context.has_engine,
    }
    return View("home", "Forecasts", content, context.about())


async def products(context: Context, query: Mapping[str, str]) -> View:
    """The products of the release, by id."""
    offset = _offset(query)
    table, total = await _products(context, offset, PAGE)
    pager = Pager.of("/products", offset, len(table.rows), PAGE, total)
    content = {"table": table, "pager": pager}
    return View("list", "Products", content, context.about(), SECTION)


async def at_risk(context: Context, query: Mapping[str, str]) -> View:
    """Customers at risk over all products, the gravest first."""
    offset, total = _offset(query), context.release().at_risk or 0
    table = await _at_risk(context, offset, PAGE)
    pager = Pager.of("/at-risk", offset, len(table.rows), PAGE, total)
    content = {"table": table, "pager": pager}
    return View("list", "Customers at risk", content, context.about(), "at-risk")


async def releases(context: Context) -> View:
    """The releases that the cache keeps, those that were current last first."""
    current = context.release().pointer.release
    try:
        found = await context.directory.releases()
    except CacheError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
    heads = ("release", "", "as of", "published (UTC)", "products", "model", "in place of")
    rows = [_release_row(one, one.release == current) for one in found]
    content = {
        "table": Table("", heads, rows, frozenset({"products"})),
        "promotions": await promotions(context),
        "lacking": f"What was promoted and released when, and why: {NO_STORE}",
    }
    return View("releases", "Releases", content, context.about(), "releases")


def _release_row(one: PublishedRelease, current: bool) -> Sequence[PageCell]:
    return (
        one.release,
        "current" if current else "kept",
        one.as_of_date,
        one.published_at[:16].replace("T", " "),
        f"{one.products:,}",
        in_a_line(str(one.details.get("model") or one.computed_with.get("model_name") or "–")),
        one.replaced or "–",
    )


async def _products(context: Context, offset: int, size: int) -> tuple[Table, int]:
    """Some of the release's products with what is expected, and how many there are."""
    ids = await context.product_ids()
    try:
        found = await context.records.many(ids[offset : offset + size])
    except CacheError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
    labels = await context.labels(found)
    heads = ("product", labels.product_head, "units", "80 % interval", "orders", "customers listed")
    rows = [
        _product_row(labels, i, one.value)
        for i, one in found.items()
        if isinstance(one, Found) and one.value is not None
    ]
    return Table("", heads, rows, frozenset(heads[2:])), len(ids)


def _product_row(labels: Labels, product_id: int, page: Page) -> Sequence[PageCell]:
    """A product by its totals; without them where there are none that can be shown."""
    code = labels.product_code(product_id)
    try:
        summary = json.loads(page.forecast)["summary"]
        band = summary["quantity_quantiles"]
        return (
            labels.product(product_id, summary["product_name"]),
            in_a_line(code),
            f"{summary['expected_quantity']:,.0f}",
            "–" if band is None else f"{band['q10']:,.0f} – {band['q90']:,.0f}",
            f"{summary['expected_orders']:,.0f}",
            f"{summary['unique_customers']:,}",
        )
    except (ValueError, KeyError, TypeError):  # nothing to forecast, or of another toolkit
        return (labels.product(product_id, f"Product {code}"), in_a_line(code), *4 * ("–",))


async def _at_risk(context: Context, offset: int, size: int) -> Table:
    """Some of the release's customers at risk."""
    try:
        _, pairs = await Customers(context.records).at_risk(offset, size)
    except CacheError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
    rows = at_risk_rows(pairs)
    labels = await context.labels(
        {row["product_id"] for row in rows}, {row["customer_id"] for row in rows}
    )
    heads = ("customer", "product", "why", "days silent", "usual interval", "confidence")
    return Table("", heads, [_risk_row(labels, row) for row in rows], frozenset(heads[3:]))


def _risk_row(labels: Labels, row: Mapping[str, Any]) -> Sequence[PageCell]:
    return (
        labels.customer(row["customer_id"], row["customer_name"]),
        labels.product(row["product_id"], row["product_name"]),
        in_a_line(row["risk_reason"]),
        f"{row['open_interval_days']:,.0f}",
        f"{row['expected_interval_days']:,.0f}",
        f"{row['avg_confidence']:.2f}",
    )


def _offset(query: Mapping[str, str]) -> int:
    """Where a page of a list begins; 422 for what is no such place."""
    said = query.get("offset", "0")
    if not said.isdecimal() or int(said[:20]) > MOST_OFFSET:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The offset has to be a whole number from 0 on."
        )
    return int(said)
