"""Products that others replaced: from then on their orders are the history of the new ones.

A source reads the orders of each product as they are, and hands them over to the product that had
taken its place by the as-of date: that of a later replacement, where there is a chain. Only
replacements dated before the as-of date are known, as only orders before it are. The old product
then has no order event any more, so that its demand counts once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import duckdb
import numpy as np

from toolkit.data.tables import Ints, OrderEvents, starts_of
from toolkit.errors import SourceError
from toolkit.sources.dialects import Connection, run_once

TABLE = "ProductReplaced"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A product, the one that replaced it, and since when; as of that day it is not known yet."""

    product_id: int
    replaced_by: int
    since_date: date


@dataclass(frozen=True, slots=True)
class Replacements:
    """All replacements of a database; a product has one successor at most, and none is its own.

    >>> first, then = Replaced(1, 2, date(2024, 3, 1)), Replaced(2, 3, date(2024, 5, 1))
    >>> Replacements((first, then)).heirs(date(2024, 4, 1))
    {1: 2}
    >>> Replacements((first, then)).heirs(date(2024, 6, 1))
    {1: 3, 2: 3}
    """

    each: tuple[Replaced, ...] = ()

    @classmethod
    def of(cls, conn: duckdb.DuckDBPyConnection | Connection) -> "Replacements":
        """Those behind a connection; only an embedded database has any. Raises ``SourceError`` if
        they cannot be read, or go round in a circle.
        """
        if not isinstance(conn, duckdb.DuckDBPyConnection):
            return NO_REPLACEMENTS
        return run_once("replaced products", lambda: cls(_read(conn)))

    def heirs(self, as_of_date: date) -> dict[int, int]:
        """By product that was replaced before the date: the one that its orders belong to."""
        direct = {r.product_id: r.replaced_by for r in self.each if r.since_date < as_of_date}
        return {product: _last(product, direct) for product in direct}

    def before(self, as_of_date: date) -> dict[int, Replaced]:
        """Those before the date, by the product that was replaced, with the last of a chain."""
        heirs = self.heirs(as_of_date)
        known = (r for r in self.each if r.product_id in heirs)
        return {r.product_id: replace(r, replaced_by=heirs[r.product_id]) for r in known}


NO_REPLACEMENTS = Replacements()


def inherited(net: OrderEvents, heirs: Mapping[int, int]) -> OrderEvents:
    """The rows with the orders of replaced products at their heirs, sorted, days added up."""
    product_id = heirs_of(net.product_id, heirs)
    if product_id is net.product_id:
        return net
    order = np.lexsort((net.day, net.customer_id, product_id))
    product_id, customer_id, day = product_id[order], net.customer_id[order], net.day[order]
    start = starts_of(product_id, customer_id, day)
    quantity = np.add.reduceat(net.quantity[order], start)
    return OrderEvents(net.as_of_date, product_id[start], customer_id[start], day[start], quantity)


def heirs_of(product_id: Ints, heirs: Mapping[int, int]) -> Ints:
    """Whose the products' orders are, [rows]; the same array where none was replaced."""
    old = np.array(sorted(heirs), np.int64)
    was_replaced = np.isin(product_id, old)
    if not was_replaced.any():
        return product_id
    new = np.array([heirs[product] for product in old.tolist()], np.int64)
    out = product_id.copy()
    out[was_replaced] = new[np.searchsorted(old, product_id[was_replaced])]
    return out


def circles(direct: Mapping[int, int]) -> list[list[int]]:
    """Products that replace each other in a circle, by product and the one that replaced it.

    >>> circles({1: 2, 2: 3, 3: 2, 4: 1})
    [[2, 3]]
    """
    found: list[list[int]] = []
    done: set[int] = set()
    for product in direct:
        way: list[int] = []
        while product in direct and product not in done:
            done.add(product)
            way.append(product)
            product = direct[product]  # noqa: PLW2901
        if product in way:
            found.append(way[way.index(product) :])
    return found


def keep_replaced(conn: duckdb.DuckDBPyConnection, each: Iterable[Replaced]) -> None:
    """Write replacements, if there are any, into a table of their own."""
    rows = sorted((r.product_id, r.replaced_by, r.since_date) for r in each)
    if rows:
        conn.execute(
            f"CREATE TABLE dbo.{TABLE} (ProductID BIGINT, ReplacedBy BIGINT, ReplacedOn DATE)"
        )
        conn.executemany(f"INSERT INTO dbo.{TABLE} VALUES (?, ?, ?)", rows)


def _last(product: int, direct: Mapping[int, int]) -> int:
    while product in direct:
        product = direct[product]
    return product


def _read(conn: duckdb.DuckDBPyConnection) -> tuple[Replaced, ...]:
    with conn.cursor() as cursor:
        there = cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'dbo'"
            f" AND table_name = '{TABLE}' AND table_catalog = current_catalog()"
        ).fetchall()
        found = (
            cursor.execute(
                f"SELECT ProductID, ReplacedBy, ReplacedOn FROM dbo.{TABLE} ORDER BY ALL"
            ).fetchall()
            if there
            else []
        )
    round_ = circles({old: new for old, new, _ in found})
    if round_:
        raise SourceError(f"dbo.{TABLE} goes round in a circle: {', '.join(map(str, round_[0]))}")
    return tuple(Replaced(*row) for row in found)
