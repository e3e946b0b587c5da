"""What makes the forecast of a product, or of one of its customers, what it is: by an engine."""

from collections.abc import Mapping
from http import HTTPStatus

from toolkit.errors import ArgumentError, ModelError
from toolkit.service.explorer.charts import parts_chart
from toolkit.service.explorer.context import NO_ENGINE, Context
from toolkit.service.explorer.products import SECTION, ServedProduct, find
from toolkit.service.explorer.shell import View
from toolkit.service.replies import ProblemError

CUSTOMER = "customer"
"""The part of an address that names the customer whose orders are explained."""


async def why(context: Context, code: str, query: Mapping[str, str]) -> View:
    """The parts of an expectation, drawn, in a table and in words."""
    one, customer = await find(context, code), query.get(CUSTOMER, "").strip()
    if not context.has_engine:
        return _lacking(one, f"Why a forecast is what it is: {NO_ENGINE}")
    number = await context.customer_number(customer)
    try:
        found = await context.ask(
            one.release,
            ("why", one.product_id, number),
            lambda desk: desk.explanation(one.release, one.product_id, number),
        )
    except ProblemError as problem:
        if isinstance(problem.__cause__, ModelError | ArgumentError):
            return _lacking(one, problem.detail)
        raise
    if found is None:
        by = f" by customer {customer}" if customer else ""
        said = f"Nothing to explain: no order{by} before {one.release.pointer.as_of}."
        raise ProblemError(HTTPStatus.NOT_FOUND, said)
    content = {
        "one": one,
        "lacking": "",
        "customer": customer,
        "card": found.to_card(one.code, customer or None),
        "chart": parts_chart(found),
        "differs": context.differs(found.model_metadata, one.release),
    }
    return View("why", f"Why: {one.name}", content, one.about, SECTION)


def _lacking(one: ServedProduct, sentence: str) -> View:
    content = {"one": one, "lacking": sentence}
    return View("why", f"Why: {one.name}", content, one.about, SECTION)
