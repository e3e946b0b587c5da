"""Finding products and customers by what people type: ids and codes, and names by an engine."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from toolkit.cache.customers import Customers
from toolkit.card import in_a_line
from toolkit.data.ids import KINDS, Kind, numbers_meant
from toolkit.service.customers import find_customer
from toolkit.service.explorer.cells import Link, Table, customer_path, product_path
from toolkit.service.explorer.context import Context
from toolkit.service.explorer.shell import View
from toolkit.service.forecasts import LONGEST_CODE
from toolkit.service.replies import ProblemError

if TYPE_CHECKING:
    from toolkit.service.explorer.desk import Desk, Known

MOST_FOUND = 20
TITLES: Mapping[Kind, str] = {"product": "Products", "customer": "Customers"}
PATHS: Mapping[Kind, Callable[[str], str]] = {"product": product_path, "customer": customer_path}


async def search(context: Context, query: Mapping[str, str]) -> View:
    """Whom a text may mean, a table of each kind."""
    text = query.get("q", "").strip()[:LONGEST_CODE]
    content = {
        "text": text,
        "tables": await _found(context, text) if text else [],
        "has_engine": context.has_engine,
    }
    return View("search", f"Search: {text}" if text else "Search", content, context.about())


async def _found(context: Context, text: str) -> list[Table]:
    """Tables with at least a row. Products are those that the release serves."""
    served = frozenset(await context.product_ids())
    known = await context.known()
    if known is None:
        tables = [_products(text, served), await _customers(context, text)]
        return [table for table in tables if table.rows]
    release = context.release()
    tables = [
        await context.ask(
            release, ("search", kind, text), partial(_named, known, kind, text, served)
        )
        for kind in KINDS
    ]
    return [table for table in tables if table.rows]


def _products(text: str, served: Collection[int]) -> Table:
    """Those of an id or code."""
    rows = [
        (Link(f"Product {i}", product_path(str(i))), str(i))
        for i in numbers_meant(text)
        if i in served
    ]
    return Table(TITLES["product"], ("", "id"), rows)


async def _customers(context: Context, text: str) -> Table:
    """The same of customers; none where the release does not tell of them."""
    try:
        number, _, pairs = await find_customer(Customers(context.records), text)
    except ProblemError:
        return Table(TITLES["customer"], (), [])
    name = pairs[0].customer_name if pairs else f"Customer {number}"
    row = Link(in_a_line(name), customer_path(str(number))), str(number)
    return Table(TITLES["customer"], ("name", "id"), [row])


def _named(known: "Known", kind: Kind, text: str, served: Collection[int], _: "Desk") -> Table:
    """Those whose id or code is the text, or whose name holds it; else those called alike."""
    found = known.matching(kind, text, MOST_FOUND, served if kind == "product" else None)
    rows = []
    for number in found.ids:
        code = known.code(kind, number) or str(number)
        rows.append((Link(in_a_line(known.name(kind, number)), PATHS[kind](code)), code))
    left_out = found.total - len(rows)
    note = f"and {left_out:,} more: type more of the name" if left_out else ""
    title = TITLES[kind] + (" called alike" if found.alike else "")
    return Table(title, ("name", "id" if not known.codes.has(kind) else "code"), rows, note=note)
