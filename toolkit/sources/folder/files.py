"""The tables of an import, and how each is staged for checking.

A file becomes the view ``staged_<table>`` with three things per row: ``place`` (where it stands
in the file), each column ``as it was read`` (``raw_<column>``) and each column typed, NULL where
the text is no such value. CSV is read as text, so that a wrong value can be shown.

Ids stay text where any file has one that is no whole number: then each is a code.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import duckdb

from toolkit.errors import Finding
from toolkit.sources.folder.id_texts import (
    ID_TEXT_TYPES,
    IdTexts,
    code_sql,
    escaped,
    trimmed_sql,
)
from toolkit.sources.folder.mapping import UNKNOWN

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """A kind of value: its name, the DuckDB types it may come in, and the cast to it."""

    name: str
    types: tuple[str, ...]
    cast: str


_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_WHOLE_TYPES = (*_WHOLE, *(f"U{name}" for name in _WHOLE))
_NUMBER_TYPES = (*_WHOLE_TYPES, "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR")

ID = ColumnKind(
    "a whole number (int64) or text",
    (*_NUMBER_TYPES, *ID_TEXT_TYPES),
    # The cast to BIGINT alone would round 12.5.
    "CASE WHEN TRY_CAST({raw} AS DOUBLE) = TRY_CAST({raw} AS BIGINT)"
    " THEN TRY_CAST({raw} AS BIGINT) END",
)
NUMBER = ColumnKind("a number", _NUMBER_TYPES, "TRY_CAST({raw} AS DOUBLE)")
MOMENT = ColumnKind(
    "a date (2024-01-31, 2024-01-31 09:30:00, with or without a time zone)",
    ("DATE", "TIMESTAMP", "VARCHAR"),
    # The session's zone is UTC, so what has no zone stays as it is.
    "TRY_CAST({raw} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'",
)
TEXT = ColumnKind("text", (*_NUMBER_TYPES, "BOOLEAN"), "CAST({raw} AS VARCHAR)")

LAYOUT: Mapping[str, Mapping[str, ColumnKind]] = {
    "order_lines": {
        "order_id": ID,
        "customer_id": ID,
        "product_id": ID,
        "ordered_at": MOMENT,
        "quantity": NUMBER,
        "unit_price": NUMBER,
    },
    "products": {"product_id": ID, "name": TEXT},
    "customers": {"customer_id": ID, "name": TEXT},
}
"""The tables of a folder and their columns."""

CATEGORY = {
    "category": ColumnKind(
        TEXT.name,
        TEXT.types,
        # Whole numbers among which some are missing come as DOUBLE: 3.0 is called 3.
        "NULLIF(TRIM(CASE WHEN typeof({raw}) = 'DOUBLE'"
        " THEN regexp_replace(CAST({raw} AS VARCHAR), '\\.0$', '')"
        " ELSE CAST({raw} AS VARCHAR) END), '')",
    )
}
OPTIONAL = {"products": CATEGORY}
"""Columns that a file may have, too; a blank is none."""

NAMES = {"product_name": TEXT, "customer_name": TEXT}
"""Columns of lines that name their product and customer where no file does."""

_CONSTANT = {
    "customer_id": ("ALL", "there are no customers"),
    "unit_price": (UNKNOWN, "there are no prices"),
}
"""Columns that order lines may well lack, and what is to be given then."""

_EXACT = {"FLOAT": 1 << 24, "DOUBLE": 1 << 53}
"""From here on whole numbers of a type cannot all be told apart."""

ZONED_TYPES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")  # of micro- and nanoseconds
_HAS_ZONE = r":[0-9.:]+\s*([+-][0-9:]+|[A-Za-z][A-Za-z_/]*)\s*$"


@dataclass(frozen=True, slots=True)
class Staged:
    """A table as staged: its usable columns, what forbids the import and what is only told.

    ``codes`` are those of its columns of ids that hold codes, each with an example, ``said`` how
    the values of a column are written, ``inexact`` columns of ids by the number from which on their
    type tells no two apart, ``unknown`` those that no row has a value of, as was said.
    """

    table: str
    columns: frozenset[str] = frozenset()
    failures: tuple[Finding, ...] = ()
    notices: tuple[Finding, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    inexact: Mapping[str, int] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """SQL for where a row stands: its rank among all, its file, its line there, and in words."""

    place: str
    position: str = "0"
    origin: str = "''"
    number: str = "0"


@dataclass(frozen=True, slots=True)
class File:
    """A table made readable: a relation in SQL, its columns' types, and the place of a row.

    ``id_texts`` tells of the columns of ids that came as text, ``made_up`` names those that nobody
    gave: no message does. ``optional`` are the columns that it may have beside those of ``LAYOUT``.
    ``casts`` is SQL for columns that are not written in the usual way, ``said`` that way in words;
    ``called`` is what its columns are called where they come from, ``unread`` are those that are
    no part of the relation. ``unsettled`` are columns that were told of otherwise, ``constants``
    those that were given one value for all rows. ``zone`` is the time zone of the orders, where one
    was named.
    """

    table: str
    relation: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    row: Row = Row("''")
    failures: tuple[Finding, ...] = ()
    notices: tuple[Finding, ...] = ()
    id_texts: Mapping[str, IdTexts] = field(default_factory=dict)
    made_up: frozenset[str] = frozenset()
    optional: Mapping[str, ColumnKind] = field(default_factory=dict)
    casts: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    unsettled: frozenset[str] = frozenset()
    constants: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None

    @property
    def kinds(self) -> Mapping[str, ColumnKind]:
        """The columns that it has to have, and the optional ones that it has."""
        there = {name: kind for name, kind in self.optional.items() if name in self.types}
        return {**LAYOUT[self.table], **there}


def code_columns(files: Iterable[File]) -> dict[str, str]:
    """The columns of ids that hold codes in any of the files, each with an example."""
    return {
        column: texts.example
        for file in files
        for column, texts in file.id_texts.items()
        if texts.example is not None
    }


def stage(conn: duckdb.DuckDBPyConnection, file: File, codes: Mapping[str, str]) -> Staged:
    """Make a file readable as the view ``staged_<table>``, if it has any usable column.

    ``codes`` are the columns whose ids are codes, in whatever file; they are text in the view.
    """
    if not file.types and not file.unread:
        return Staged(file.table, failures=file.failures)
    kinds = file.kinds
    failures, notices = list(file.failures), list(file.notices)
    rows = _count(conn, file.relation)
    extra = [column for column in file.types if column not in kinds] + [*file.unread]
    nowhere = {*file.made_up, *file.constants}
    there = [file.called.get(name, name) for name in file.types if name not in nowhere]
    there += file.unread
    for column in kinds:
        if column not in file.types and column not in file.unsettled:
            mapped = bool(file.called) and file.table == "order_lines"
            failures.append(Finding(file.table, _missing(column, there, extra, mapped), rows))
    usable = {column for column in kinds if column in file.types}
    for column in sorted(usable):
        if not file.types[column].startswith(kinds[column].types):
            rule = f"column {column} is {file.types[column]}, not {kinds[column].name}"
            failures.append(Finding(file.table, rule, rows))
            usable.remove(column)
    if extra:
        notices.append(Finding(file.table, f"columns not read: {', '.join(extra)}", rows))
    if usable:
        conn.execute(_view(file, usable, codes))
    here = {column: example for column, example in codes.items() if column in usable}
    notices += _id_notices(file)
    inexact = {
        column: _EXACT[file.types[column]]
        for column in usable
        if kinds[column] is ID and file.types[column] in _EXACT
    }
    unknown = frozenset(name for name, value in file.constants.items() if value == UNKNOWN)
    return Staged(
        file.table, frozenset(usable), tuple(failures), tuple(notices), here, file.said, inexact,
        unknown & {"unit_price"},
        file.zone,
    )  # fmt: skip


def _missing(
    column: str, there: Collection[str], extra: Iterable[str], mapped: bool = False
) -> str:
    """The rule that a column has to be there, and which one may be it by another name.

    Columns that may be ``mapped`` need not be renamed.
    """
    if not there:
        return f"column {column} is missing; there are no columns"
    meant = next((name for name in extra if _may_be(name, column)), "the one that holds it")
    listed, otherwise = ", ".join(there), ""
    if mapped:
        name = "COLUMN" if meant.startswith("the one") else meant
        otherwise = f", or give --map {column}={name}"
        if column in _CONSTANT and name == "COLUMN":
            value, why = _CONSTANT[column]
            otherwise += f", or --constant {column}={value} if {why}"
    return (
        f"column {column} is missing; the columns are {listed}: rename {meant} to {column}"
        f"{otherwise}"
    )


def _may_be(name: str, column: str) -> bool:
    """Whether a column called ``name`` is likely to be the one that has to be ``column``.

    >>> [_may_be(name, "product_id") for name in ("ProductID", "Product", "OrderID")]
    [True, True, False]
    >>> _may_be("price", "unit_price"), _may_be("ProductName", "name")
    (True, True)
    """
    has, wanted = (re.sub("[^a-z]", "", text.lower()) for text in (name, column))
    return wanted in has or f"{has}id" == wanted or (len(has) > 3 and wanted.endswith(has))


def _id_notices(file: File) -> Iterable[Finding]:
    for column, texts in file.id_texts.items():
        if texts.padded:
            yield Finding(file.table, f"blanks around {column}, left out", texts.padded)
        if texts.floats:
            rule = f"{column} has whole numbers written like 17850.0, taken as 17850"
            yield Finding(file.table, rule, texts.floats)
        if texts.invisible:
            rule = f"{column} holds signs that nobody sees, so that equal codes may differ"
            yield Finding(file.table, rule, len(texts.invisible), shown(texts.invisible))
        # The lines' products and customers are those of the other tables.
        if texts.example is not None and column == next(iter(LAYOUT[file.table])):
            rule = f"{column} is no whole number, so that all are taken as codes"
            yield Finding(file.table, rule, texts.codes, (texts.example,))


def shown(values: Iterable[object]) -> tuple[str, ...]:
    """The first few of some values, for a finding."""
    return tuple(escaped(str(value)) for value in list(values)[:EXAMPLES])


def _view(file: File, usable: Iterable[str], codes: Mapping[str, str]) -> str:
    row = file.row
    selected = [
        f"{row.place} AS place", f"{row.position} AS position",
        f"{row.origin} AS origin", f"{row.number} AS number",
    ]  # fmt: skip
    for column in sorted(usable):
        kind = file.kinds[column]
        raw = f'"{column}"'
        if kind is ID:
            typed = _typed_id(file, column, column in codes)
        elif file.types[column] == "TIMESTAMP":
            typed = raw  # as it is, so that DuckDB knows its range and sorts it faster
        else:
            typed = file.casts.get(column, kind.cast.format(raw=raw))
        selected += [f"{raw} AS raw_{column}", f"{typed} AS {column}"]
        if kind is MOMENT:
            selected.append(f"{file.casts.get('has_zone', 'false')} AS has_zone")
    staged = f"CREATE TEMP VIEW staged_{file.table}"
    return f"{staged} AS SELECT {', '.join(selected)} FROM {file.relation}"


def _typed_id(file: File, column: str, is_code: bool) -> str:
    """A whole number, or a code; whole numbers in one file are compared with codes in another."""
    raw, texts = f'"{column}"', file.id_texts.get(column)
    if texts is None:
        whole = raw if file.types[column] == "BIGINT" else ID.cast.format(raw=raw)
        return f"CAST({whole} AS VARCHAR)" if is_code else whole
    text = f"CAST({raw} AS VARCHAR)"
    if is_code:
        return code_sql(text, padded=texts.padded > 0, floats=texts.floats > 0)
    if texts.plain:
        return f"TRY_CAST({text} AS BIGINT)"
    return ID.cast.format(raw=trimmed_sql(text) if texts.padded else text)


def has_zone_sql(raw: str) -> str:
    """SQL for whether a text ends like a time with a zone."""
    return f"regexp_matches({raw}, '{_HAS_ZONE}')"


def _count(conn: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0
