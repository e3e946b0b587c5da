"""Where a command's orders come from, a file or a SQL Server, and what is asked of them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.options import one_of
from toolkit.data.ids import Kind
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.sources.open import OpenSource

LAST = "last"
STALE_DAYS = 28
"""Orders that ended longer ago than that are told of, where nobody named an as-of date."""


def orders_of(
    db: Path | None, mssql: bool, config: Path | None
) -> "AbstractContextManager[OpenSource]":
    """The orders of a file or a server, and the codes of its ids.

    Raises ``ArgumentError`` unless just one of both is given, with its own options, and what
    opening it raises.
    """
    from toolkit.sources.open import file_address, open_server, open_source
    from toolkit.sources.sqlserver.settings import read_server

    one_of("--db", db is not None, mssql, config=config)
    return open_server(read_server(config)) if db is None else open_source(file_address(db))


def day_of(orders: "OpenSource", as_of: str | None) -> date:
    """The as-of date; ``last`` is the day after the last order, None today where the orders are.

    ``ArgumentError`` for what is no date, or none that a forecast can follow.
    """
    from toolkit.sources.base import today_of
    from toolkit.sources.sql import last_order_day
    from toolkit.stages.arguments import parse_date

    if as_of is None:
        return today_of(orders.source)
    if as_of != LAST:
        return parse_date(as_of)
    last = last_order_day(orders.source)
    if last is None:
        raise ArgumentError(f"--as-of {LAST}: there is no order before today")
    return last + timedelta(days=1)


def tell_age(orders: "OpenSource", as_of: str | None) -> None:
    """Say so where the as-of date is today for want of another, and orders ended long before."""
    from toolkit.sources.base import today_of
    from toolkit.sources.sql import last_order_day

    last = last_order_day(orders.source) if as_of is None else None
    days = 0 if last is None else (today_of(orders.source) - last).days
    if days > STALE_DAYS:
        typer.echo(
            f"Notice: the last order is of {last}, {days:,} days before today; --as-of {LAST} "
            "forecasts from there",
            err=True,
        )


def numbers_of(orders: "OpenSource", kind: Kind, texts: Sequence[str]) -> list[int]:
    """The ids that texts mean. ``ArgumentError`` with all that are unknown."""
    from toolkit.sources.search import find_all
    from toolkit.sources.sql import all_names

    return find_all(kind, texts, orders.codes, lambda: all_names(orders.source, kind))


def replaced_by(orders: "OpenSource", product_id: int, as_of: date) -> str | None:
    """That another product had replaced it before the date, in words; None where none had."""
    from toolkit.sources.base import replacements_of

    found = replacements_of(orders.source).before(as_of).get(product_id)
    if found is None:
        return None
    heir = orders.codes.code("product", found.replaced_by) or found.replaced_by
    return (
        f"product {heir} has replaced it since {found.since_date}, and its orders are the history "
        f"of {heir}"
    )
