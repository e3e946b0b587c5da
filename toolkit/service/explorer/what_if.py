"""A scenario of a product beside its forecast: sliders whose address is the scenario."""

from collections.abc import Mapping
from http import HTTPStatus

from toolkit.errors import ArgumentError
from toolkit.results.scenario import ScenarioComparison
from toolkit.service.explorer.charts import scenario_chart
from toolkit.service.explorer.context import NO_ENGINE, Context
from toolkit.service.explorer.forms import LOST, SLIDERS, Asked, asked_by
from toolkit.service.explorer.products import SECTION, ServedProduct, find
from toolkit.service.explorer.shell import View
from toolkit.service.forecasts import sentence
from toolkit.service.replies import ProblemError


async def what_if(context: Context, code: str, query: Mapping[str, str]) -> View:
    """The form, and once anything is changed, what comes of it; what is wrong stays in the form."""
    one = await find(context, code)
    asked, wrong, found = Asked(), "", None
    try:
        asked = asked_by(query)
        if context.has_engine:
            found = await _compared(context, one, asked)
    except ArgumentError as error:
        wrong = sentence(error)
    content = {
        "one": one,
        "asked": asked,
        "sliders": SLIDERS,
        "lost": LOST,
        "customers": _customers(one, asked),
        "wrong": wrong,
        "lacking": "" if context.has_engine else f"What if something changes: {NO_ENGINE}",
        "card": None if found is None else found.to_card(),
        "chart": None if found is None else scenario_chart(found.scenarios[0]),
        "differs": "" if found is None else context.differs(found.model_metadata, one.release),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return View("what_if", f"What if: {one.name}", content, one.about, SECTION, status)


async def _compared(
    context: Context, one: ServedProduct, asked: Asked
) -> ScenarioComparison | None:
    """None where nothing is changed, or there is nothing to change.

    ``ArgumentError`` for a scenario that cannot be.
    """
    if one.forecast is None or not asked.changes_anything:
        return None
    lost = await context.customer_number(asked.lost)
    price = one.forecast.summary["unit_price"]
    scenario = asked.scenario(one.product_id, price, lost)
    try:
        return await context.ask(
            one.release,
            ("what-if", one.product_id, scenario),
            lambda desk: desk.comparison(one.release, one.product_id, scenario),
        )
    except ProblemError as problem:
        if isinstance(problem.__cause__, ArgumentError):
            raise problem.__cause__ from None
        raise


def _customers(one: ServedProduct, asked: Asked) -> list[tuple[str, str]]:
    """Who may be lost: the top customers by code, and whoever the address names."""
    listed = () if one.forecast is None else one.forecast.top_customers_by_volume
    found = {one.labels.customer_code(row["customer_id"]): row["customer_name"] for row in listed}
    if asked.lost and asked.lost not in found:
        found[asked.lost] = f"Customer {asked.lost}"
    return list(found.items())
