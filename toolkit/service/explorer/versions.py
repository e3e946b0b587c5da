"""The page of the registered versions and how they compare, and the history of promotions."""

import time

from toolkit.card import Card
from toolkit.service.explorer.context import Context
from toolkit.service.explorer.shell import View

FRESH_S = 60.0
"""The store is asked again after so long."""

NO_STORE = "`toolkit serve --store ADDRESS` shows them: MLflow's tracking store knows them."


async def versions(context: Context) -> View:
    """The registered versions, and what the latest backtests say of them."""
    content: dict[str, object] = {"shelf": None, "lacking": ""}
    if context.store is None:
        content["lacking"] = f"Versions and their comparison: {NO_STORE}"
    else:
        from toolkit.service.explorer.shelf import shelf

        store = context.store
        content["shelf"] = await context.questions.ask(("shelf", _while()), lambda: shelf(store))
    return View("versions", "Versions", content, context.about(), "versions")


async def promotions(context: Context) -> Card | None:
    """What was promoted, rolled back and released; None without a store to tell it."""
    if context.store is None:
        return None
    from toolkit.service.explorer.shelf import promotions as told

    store = context.store
    return await context.questions.ask(("promotions", _while()), lambda: told(store))


def _while() -> float:
    return time.monotonic() // FRESH_S
