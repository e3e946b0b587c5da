"""How the dates of a table are written, as far as its texts leave no other reading.

Each way of writing is tried on the distinct texts. The one that reads most of them is taken; where
two read as many and make different values of them, that is a question, never a guess.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

from toolkit.sources.folder.mapping import DATE_ORDERS
from toolkit.sources.folder.questions import Question, choice_of_date
from toolkit.sources.folder.seen import SEEN, Seen, best_of, differing, only_read_by, unread

EXCEL_EPOCH = "1899-12-30"
_EXCEL = r"[1-9][0-9]{4}([.,][0-9]+)?"
_SHAPE = re.compile(r"(9{1,4})([./-])(9{1,2})\2(9{2,4})(?:\s+(.+))?")
_COMPACT = re.compile(r"9{8}(?:\s+(.+))?")
_CLOCK = re.compile(r"9{1,2}:99(:99)?([.,]9+)?(\s?aa)?")
_NAMED = (
    "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d. %b %Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%y",
    "%d-%b-%Y %H:%M:%S", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S",
)  # fmt: skip
_OFFSET = "offset"
_NAMED_MONTHS = "named-months"
_ORDER_SAID = {
    "day-first": "day first", "month-first": "month first", "year-first": "year first"
}  # fmt: skip
_OPPOSITE = {"day-first": "month-first", "month-first": "day-first"}
_SAID = {
    "day-first": "dates, day first",
    "month-first": "dates, month first",
    "year-first": "dates, year first",
    "excel-days": "days as Excel counts them",
    _NAMED_MONTHS: "dates with names of months",
}


@dataclass(frozen=True, slots=True)
class DateReading:
    """How dates are read: SQL that makes a timestamp of the column, None for the usual way.

    ``zoned``: what it reads has a time zone; all of it, where it has an ``order``.
    """

    order: str | None = None
    cast: str | None = None
    zoned: bool = False
    question: Question | None = None

    @property
    def said(self) -> str:
        """In words."""
        return "" if self.order is None else _SAID.get(self.order, f"dates like {self.order}")


def read_dates(
    conn: duckdb.DuckDBPyConnection, relation: str, column: str, usual: str, wanted: str | None
) -> DateReading:
    """How a column of texts writes its dates; ``usual`` is SQL for how they should be written."""
    plain = f'CASE WHEN {_plain_moment(column)} THEN TRY_CAST("{column}" AS TIMESTAMP) END'
    if wanted is None and not unread(conn, relation, column, plain):
        return DateReading(cast=plain)
    if wanted is None and not unread(conn, relation, column, usual):
        return DateReading()
    with Seen(conn, relation, [column]):
        shapes = _shapes(conn)
        ways = _ways_of(shapes) if wanted is None or wanted in DATE_ORDERS else {wanted: [wanted]}
        if wanted is not None:
            ways = {order: formats for order, formats in ways.items() if order == wanted}
        casts = {order: _date_cast(order, formats) for order, formats in ways.items()}
        if wanted is None:
            plain = usual.replace(f'"{column}"', "text")
            casts = {"": plain, _OFFSET: plain.replace("text", _colon_in_offset("text")), **casts}
        best = best_of(conn, casts)
        if not best and wanted in casts and unread(conn, relation, column, usual):
            best = [wanted]  # its own rule then tells that it does not fit
        if not best or best[0] == "":
            return DateReading()
        if best[0] == _OFFSET:
            return DateReading(None, casts[_OFFSET].replace("text", f'"{column}"'), zoned=True)
        question = None
        orders = [order for order in best if order in _ORDER_SAID]
        if len(orders) > 1:
            question = _date_question(conn, casts, column, orders)
        elif wanted is None and best[0] in _OPPOSITE and _OPPOSITE[best[0]] in casts:
            question = _mixed_question(conn, casts, column)
        cast = casts[best[0]].replace("text", f'"{column}"')
        zoned = "%z" in best[0].lower()
        return DateReading(best[0], cast, zoned, question)


def _plain_moment(column: str) -> str:
    """SQL for a text like 2024-01-31 or 2024-01-31 09:30:00: no time zone makes it slow to read."""
    return f"(\"{column}\" LIKE '____-__-__' OR \"{column}\" LIKE '____-__-__ __:__:__')"


def _shapes(conn: duckdb.DuckDBPyConnection) -> list[str]:
    """The texts with 9 for each digit and a for each letter, the most frequent first."""
    digits = "translate(trim(text), '012345678', '999999999')"
    found = conn.execute(
        f"SELECT regexp_replace({digits}, '[A-Za-z]', 'a', 'g') AS shape, sum(n) FROM {SEEN}"
        " GROUP BY shape ORDER BY 2 DESC, 1 LIMIT 100"
    ).fetchall()
    return [shape for shape, _ in found]


def _ways_of(shapes: Iterable[str]) -> dict[str, list[str]]:
    """The formats, by the order of day, month and year, that texts of those shapes may have."""
    ways: dict[str, list[str]] = {}
    for shape in shapes:
        for order, text in _formats_of(shape):
            formats = ways.setdefault(order, [])
            formats += [] if text in formats else [text]
    return {order: ways[order] for order in DATE_ORDERS if order in ways}


def _formats_of(shape: str) -> Iterable[tuple[str, str]]:
    if parts := _SHAPE.fullmatch(shape):
        first, sign, _, last, clock = parts.groups()
        time = _clock(clock)
        if time is None:
            return
        if len(first) == 4:
            yield "year-first", f"%Y{sign}%m{sign}%d{time}"
        elif len(first) <= 2 and len(last) in (2, 4):
            year = "%Y" if len(last) == 4 else "%y"
            yield "day-first", f"%d{sign}%m{sign}{year}{time}"
            if sign != ".":  # dots are written where days come first
                yield "month-first", f"%m{sign}%d{sign}{year}{time}"
            if sign == "-" and len(last) == 2:
                yield "year-first", f"%y-%m-%d{time}"
    elif parts := _COMPACT.fullmatch(shape):
        time = _clock(parts[1])
        if time is not None:
            yield "year-first", f"%Y%m%d{time}"
    elif re.fullmatch(r"9{5}([.,]9+)?", shape):
        yield "excel-days", "%"
    elif "a" in shape:
        yield from ((_NAMED_MONTHS, text) for text in _NAMED)


def _clock(shape: str | None) -> str | None:
    """The format of a time of day; None where it is no such time."""
    if shape is None:
        return ""
    parts = _CLOCK.fullmatch(shape)
    if parts is None:
        return None
    seconds, fraction, half = parts.groups()
    hour = "%I" if half else "%H"
    tail = (":%S" if seconds else "") + (f"{fraction[0]}%f" if fraction else "")
    return f" {hour}:%M{tail}" + (half.replace("aa", "%p") if half else "")


def _colon_in_offset(text: str) -> str:
    """SQL for a time whose offset from UTC is written ``+0100`` or `` +01:00``, as ``+01:00``."""
    return rf"regexp_replace({text}, '\s*([+-]\d\d):?(\d\d)$', '\1:\2')"


def _date_cast(order: str, formats: Sequence[str]) -> str:
    if order == "excel-days":
        days = "CAST(replace(text, ',', '.') AS DOUBLE)"
        since = f"TIMESTAMP '{EXCEL_EPOCH}' + to_seconds(CAST(round({days} * 86400) AS BIGINT))"
        return f"CASE WHEN regexp_full_match(trim(text), '{_EXCEL}') THEN {since} END"
    short = [one for one in formats if "%y" in one and order in _ORDER_SAID]
    long = [one for one in formats if one not in short]
    parsed = [_parsed(some) for some in (long, short) if some]
    if short:  # 31-01-24 is not of 2031
        # … and it may be tomorrow already where it was written
        parsed[-1] = f"CASE WHEN {parsed[-1]} < today() + 2 THEN {parsed[-1]} END"
    return f"coalesce({', '.join(parsed)})"


def _parsed(formats: Sequence[str]) -> str:
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in formats)
    return f"try_strptime(trim(text), [{listed}])"


def _date_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], column: str, orders: Sequence[str]
) -> Question | None:
    for one, other in combinations(orders, 2):
        found = differing(conn, f"({casts[one]})::DATE", f"({casts[other]})::DATE")
        if found is not None:
            text, this, that = found
            return choice_of_date(
                f"{column} may be written {_ORDER_SAID[one]} or {_ORDER_SAID[other]} "
                f"({text} is {this} or {that})",
                {
                    one: f"{_ORDER_SAID[one]}: {text} is {this}",
                    other: f"{_ORDER_SAID[other]}: {text} is {that}",
                },
            )
    return None


def _mixed_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], column: str
) -> Question | None:
    """Where some dates can only be day first and others only month first, none is certain."""
    day, month = casts["day-first"], casts["month-first"]
    only_day, only_month = only_read_by(conn, day, month)
    either = differing(conn, f"({day})::DATE", f"({month})::DATE")
    if only_day is None or only_month is None or either is None:
        return None
    return choice_of_date(
        f"{column} is written both day first ({only_day}) and month first ({only_month}), so that "
        f"{either[0]} may be either",
        {
            "day-first": f"day first: {either[0]} is {either[1]}",
            "month-first": f"month first: {either[0]} is {either[2]}",
        },
    )
