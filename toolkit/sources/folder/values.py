"""How the dates and numbers of a table are written, as far as its texts leave no other reading.

Each way of writing is tried on the distinct texts. The one that reads most of them is taken; where
two read as many and make different values of them, that is a question, never a guess.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import duckdb

from toolkit.sources.folder.mapping import DATE_ORDERS

EXCEL_EPOCH = "1899-12-30"
_SEEN = "texts_seen"
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
_NUMBERS = [pair.split("|") for pair in (".|", ".|,", ",|.", ".|'", ",|'", ".| ", ",| ", ",|")]
"""Decimal signs, and what sets thousands apart."""
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

    ``zoned``: all that it reads have a time zone.
    """

    order: str | None = None
    cast: str | None = None
    zoned: bool = False
    question: str | None = None

    @property
    def said(self) -> str:
        """In words."""
        return "" if self.order is None else _SAID.get(self.order, f"dates like {self.order}")


@dataclass(frozen=True, slots=True)
class NumberReading:
    """How numbers are read: their signs, SQL by column, and what has to be asked or told."""

    decimal: str = "."
    thousands: str = ""
    casts: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None
    notices: tuple[tuple[str, int], ...] = ()

    @property
    def said(self) -> str:
        """In words, if it is not the usual way."""
        if not self.casts:
            return ""
        apart = f", thousands apart by {_NAMES[self.thousands]}" if self.thousands else ""
        return f"decimal {_NAMES[self.decimal]}{apart}"


_NAMES = {".": "dot", ",": "comma", " ": "blank", "'": "apostrophe"}


def read_dates(
    conn: duckdb.DuckDBPyConnection, relation: str, column: str, usual: str, wanted: str | None
) -> DateReading:
    """How a column of texts writes its dates; ``usual`` is SQL for how they should be written."""
    if wanted is None and not _unread(conn, relation, column, usual):
        return DateReading()
    with _Seen(conn, relation, [column]):
        shapes = _shapes(conn)
        ways = _ways_of(shapes) if wanted is None or wanted in DATE_ORDERS else {wanted: [wanted]}
        if wanted is not None:
            ways = {order: formats for order, formats in ways.items() if order == wanted}
        casts = {order: _date_cast(order, formats) for order, formats in ways.items()}
        if wanted is None:
            plain = usual.replace(f'"{column}"', "text")
            casts = {"": plain, _OFFSET: plain.replace("text", _colon_in_offset("text")), **casts}
        best = _best(conn, casts)
        if not best and wanted in casts and _unread(conn, relation, column, usual):
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


def read_numbers(
    conn: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[str],
    decimal: str | None,
    thousands: str | None,
) -> NumberReading:
    """How columns of texts write their numbers, all in one way."""
    asked = decimal is not None or thousands is not None
    unread = sum(_unread(conn, relation, c, f'TRY_CAST("{c}" AS DOUBLE)') for c in columns)
    dotted = _dotted(conn, relation, columns)
    if not columns or not (asked or unread or dotted):
        return NumberReading()
    with _Seen(conn, relation, columns):
        ways = [(d, t) for d, t in _NUMBERS if decimal in (None, d) and thousands in (None, t)]
        if not ways:
            return NumberReading()
        casts = {f"{d}{t}": _number_cast(d, t) for d, t in ways}
        if not asked:
            casts = {"": "TRY_CAST(text AS DOUBLE)", **casts}
        best = _best(conn, casts)
        question = None if asked else _number_question(conn, casts, best)
        chosen = best[0] if best else ""
        if not chosen:
            return NumberReading(question=question, notices=tuple(_told(dotted)))
        made = {column: casts[chosen].replace("text", f'"{column}"') for column in columns}
        return NumberReading(chosen[0], chosen[1:], made, question)


class _Seen:
    """While it is open, the distinct texts of some columns, with how often each is there."""

    def __init__(
        self, conn: duckdb.DuckDBPyConnection, relation: str, columns: Iterable[str]
    ) -> None:
        self.conn, self.relation, self.columns = conn, relation, columns

    def __enter__(self) -> None:
        texts = " UNION ALL ".join(
            f'SELECT "{column}" AS text, count(*) AS n FROM {self.relation}'
            f' WHERE "{column}" IS NOT NULL GROUP BY ALL'
            for column in self.columns
        )
        self.conn.execute(f"CREATE OR REPLACE TEMP TABLE {_SEEN} AS {texts}")

    def __exit__(self, *_: object) -> None:
        self.conn.execute(f"DROP TABLE {_SEEN}")


def _unread(conn: duckdb.DuckDBPyConnection, relation: str, column: str, cast: str) -> int:
    """Rows with a text of which the usual way makes nothing; ``02-01-24`` is no day of year 2."""
    strange = f"({cast}) IS NULL"
    if "TIMESTAMP" in cast:
        strange = f"({strange} OR ({cast}) < DATE '1000-01-01')"
    return _one(conn, f'SELECT count(*) FROM {relation} WHERE "{column}" IS NOT NULL AND {strange}')


def _shapes(conn: duckdb.DuckDBPyConnection) -> list[str]:
    """The texts with 9 for each digit and a for each letter, the most frequent first."""
    digits = "translate(trim(text), '012345678', '999999999')"
    found = conn.execute(
        f"SELECT regexp_replace({digits}, '[A-Za-z]', 'a', 'g') AS shape, sum(n) FROM {_SEEN}"
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


def _best(conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str]) -> list[str]:
    """The ways that read most of the texts, if they read any."""
    if not casts:
        return []
    read = ", ".join(
        f"coalesce(sum(n) FILTER (({cast}) IS NOT NULL"
        + (f" AND ({cast}) >= DATE '1000-01-01'" if "TIMESTAMP" in cast else "")
        + "), 0)"
        for cast in casts.values()
    )
    counts = conn.execute(f"SELECT {read} FROM {_SEEN}").fetchall()[0]
    most = max(counts)
    return [way for way, count in zip(casts, counts, strict=True) if count == most and most]


def _differing(
    conn: duckdb.DuckDBPyConnection, one: str, other: str
) -> tuple[str, object, object] | None:
    """A text of which two ways make different values, with both."""
    found = conn.execute(
        f"SELECT text, {one}, {other} FROM {_SEEN} WHERE ({one}) <> ({other}) ORDER BY 1 LIMIT 1"
    ).fetchall()
    return found[0] if found else None


def _date_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], column: str, orders: Sequence[str]
) -> str | None:
    for one, other in combinations(orders, 2):
        found = _differing(conn, f"({casts[one]})::DATE", f"({casts[other]})::DATE")
        if found is not None:
            text, this, that = found
            return (
                f"{column} may be written {_ORDER_SAID[one]} or {_ORDER_SAID[other]} "
                f"({text} is {this} or {that}): "
                f"give --date-format {one} or --date-format {other}"
            )
    return None


def _mixed_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], column: str
) -> str | None:
    """Where some dates can only be day first and others only month first, none is certain."""
    day, month = casts["day-first"], casts["month-first"]
    only_day, only_month = conn.execute(
        f"SELECT min(text) FILTER (({day}) IS NOT NULL AND ({month}) IS NULL),"
        f" min(text) FILTER (({day}) IS NULL AND ({month}) IS NOT NULL) FROM {_SEEN}"
    ).fetchall()[0]
    either = _differing(conn, f"({day})::DATE", f"({month})::DATE")
    if only_day is None or only_month is None or either is None:
        return None
    return (
        f"{column} is written both day first ({only_day}) and month first ({only_month}), so that "
        f"{either[0]} may be either: give --date-format day-first or --date-format month-first"
    )


def _number_cast(decimal: str, thousands: str) -> str:
    """SQL for a number, NULL where it is written otherwise; the sign may come last."""
    point = "[.]" if decimal == "." else ","
    apart = {"": "", " ": r"[ \x{a0}\x{202f}]", "'": "['’]"}.get(thousands, f"[{thousands}]")
    apart = apart.replace("'", "''")
    whole = rf"([1-9][0-9]{{0,2}}({apart}[0-9]{{3}})+|[0-9]+)" if apart else "[0-9]+"
    pattern = rf"[+-]?({whole}({point}[0-9]*)?|{point}[0-9]+)-?"
    kept = f"regexp_replace(trim(text), '{apart}', '', 'g')" if apart else "trim(text)"
    number = f"replace({kept}, '{decimal}', '.')"
    turned = f"CASE WHEN {number} LIKE '%-' THEN '-' || rtrim({number}, '-') ELSE {number} END"
    fits = f"regexp_full_match(trim(text), '{pattern}')"
    return f"CASE WHEN {fits} THEN TRY_CAST({turned} AS DOUBLE) END"


def _number_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], best: Sequence[str]
) -> str | None:
    for other in best[1:]:
        found = _differing(conn, casts[best[0]], casts[other])
        if found is not None:
            text, one, another = found
            return (
                f"numbers may have a decimal {_NAMES[(best[0] or '.')[0]]} or "
                f"{_NAMES[(other or '.')[0]]} ({text} is {one:g} or {another:g}): "
                "give --decimal . or --decimal ,"
            )
    return None


def _dotted(
    conn: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]
) -> list[tuple[str, int, bool]]:
    """Columns with texts like ``1.000``: how many those are, and whether they are all."""
    found = []
    for column in columns:
        shaped = f"regexp_full_match(\"{column}\", '-?[1-9][0-9]{{0,2}}([.][0-9]{{3}})+')"
        every, those = conn.execute(
            f'SELECT count("{column}"), count(*) FILTER (WHERE {shaped}) FROM {relation}'
        ).fetchall()[0]
        if those:
            found.append((column, those, those == every))
    return found


def _told(dotted: Iterable[tuple[str, int, bool]]) -> Iterable[tuple[str, int]]:
    for column, rows, every in dotted:
        if every:
            yield (
                f"{column} is always written like 1.000, which is read as 1; if its dots set "
                "thousands apart, give --decimal , --thousands .",
                rows,
            )


def _one(conn: duckdb.DuckDBPyConnection, query: str) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
