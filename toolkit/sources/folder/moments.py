"""When order lines were made: how their times are written, and the day of each in the zone.

An instant (a time with an offset from UTC) is of one day here and of another there: it becomes the
local time of the zone that is named. A time without an offset is local already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from toolkit.sources.folder.files import LAYOUT, ZONED_TYPES, has_zone_sql
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.questions import Question, which_zone
from toolkit.sources.folder.values import DateReading, read_dates

COLUMN = "ordered_at"
_RAW = f'"{COLUMN}"'
_USUAL = LAYOUT["order_lines"][COLUMN].cast.format(raw=_RAW)


@dataclass(frozen=True, slots=True)
class MomentReading:
    """How times are read: SQL where it is not the usual way, in words, and what has to be asked."""

    casts: Mapping[str, str] = field(default_factory=dict)
    order: str | None = None
    said: str = ""
    questions: tuple[Question, ...] = ()


def read_moments(
    conn: duckdb.DuckDBPyConnection, relation: str, type_: str, mapping: OrderMapping
) -> MomentReading:
    """How a relation's column of that type writes when order lines were made."""
    dates = DateReading()
    if type_ == "VARCHAR":
        dates = read_dates(conn, relation, COLUMN, _USUAL, mapping.date_format)
    return in_zone(conn, relation, type_, dates, mapping.timezone)


def in_zone(
    conn: duckdb.DuckDBPyConnection,
    relation: str,
    type_: str,
    dates: DateReading,
    zone: str | None,
    named_as: str = "--timezone Europe/Berlin",
) -> MomentReading:
    """The same, of dates that are written so, in a zone; ``named_as`` is how one is given."""
    casts = {} if dates.cast is None else {COLUMN: dates.cast}
    has_zone = _has_zone(type_, dates)
    example = None if has_zone is None else _example(conn, relation, has_zone)
    asked = [dates.question] if dates.question else []
    if has_zone is None or example is None:
        return MomentReading({**casts, "has_zone": "false"}, dates.order, dates.said, tuple(asked))
    if zone is None:
        asked.append(which_zone(COLUMN, example, named_as))
    casts = {COLUMN: f"timezone('{zone or 'UTC'}', {_instant(dates)})", "has_zone": has_zone}
    said = ", ".join(filter(None, [dates.said, f"times in {zone or 'UTC'}"]))
    return MomentReading(casts, dates.order, said, tuple(asked))


def _has_zone(type_: str, dates: DateReading) -> str | None:
    """SQL for whether a time has a zone; None where none can have."""
    if type_ in ZONED_TYPES or (dates.zoned and dates.order is not None):
        return "true"
    if type_ != "VARCHAR" or (dates.cast is not None and not dates.zoned):
        return None
    return f"({has_zone_sql(_RAW)} AND ({dates.cast or _USUAL}) IS NOT NULL)"


def _instant(dates: DateReading) -> str:
    """SQL for the instant: of a format with an offset DuckDB makes one by itself."""
    if dates.order is not None and dates.zoned:
        return str(dates.cast)
    return f"timezone('UTC', {dates.cast or _USUAL})"


def _example(conn: duckdb.DuckDBPyConnection, relation: str, has_zone: str) -> str | None:
    found = conn.execute(
        f"SELECT CAST({_RAW} AS VARCHAR) FROM {relation}"
        f" WHERE {_RAW} IS NOT NULL AND {has_zone} LIMIT 1"
    ).fetchone()
    return None if found is None else str(found[0])
