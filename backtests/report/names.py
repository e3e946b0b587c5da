"""What the page asks of the run's database: names of products and what they sold before.

The report can do without: a run may be read where its database is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, Floats, OrderEvents, by_week
from toolkit.errors import ToolkitError
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source

HISTORY_WEEKS = 26


@dataclass(frozen=True, slots=True)
class Known:
    """Names, and units by week before each date, oldest first; ``problem`` says why they lack."""

    names: Mapping[int, str] = field(default_factory=dict)
    before: Mapping[tuple[int, date], Floats] = field(default_factory=dict)  # [HISTORY_WEEKS]
    problem: str | None = None


def look_up(database: Path, product_ids: Sequence[int], dates: Sequence[date]) -> Known:
    """Names and history of the products; empty, with the reason, if the database has none."""
    if not product_ids:
        return Known()
    try:
        with open_database(database) as conn:
            source = as_source(conn)
            events = source.order_events(dates[-1], product_ids)
            found = source.products(dates[-1], product_ids)
    except ToolkitError as exc:
        return Known(problem=str(exc))
    names = {id_: product.name for id_, product in found.items() if product.name}
    before = {
        (id_, day): weekly(events, id_, (dates[-1] - day).days)
        for id_ in product_ids
        for day in dates
    }
    return Known(names, before)


def weekly(events: OrderEvents, product_id: int, days_earlier: int) -> Floats:
    """Units in each of the weeks that end ``days_earlier`` before the events' date, [weeks]."""
    own = events.where(events.product_id == product_id)
    day = own.day + days_earlier + DAYS_PER_WEEK * HISTORY_WEEKS
    units = by_week(np.zeros_like(day), day, np.nan_to_num(own.quantity), 1, HISTORY_WEEKS)
    return units.ravel()
