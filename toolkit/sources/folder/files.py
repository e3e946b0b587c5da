"""A folder of tables, as files: finds each table's file and stages it for checking.

A file becomes the view ``staged_<table>`` with three things per row: ``place`` (where it stands
in the file), each column ``as it was read`` (``raw_<column>``) and each column typed, NULL where
the text is no such value. CSV is read as text, so that a wrong value can be shown.

Ids stay text where any file has one that is no whole number: then each is a code.
"""

import csv
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from toolkit.errors import Finding
from toolkit.sources.folder.id_texts import (
    ID_TEXT_TYPES,
    IdTexts,
    code_sql,
    read_id_texts,
    trimmed_sql,
)

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

_FORMATS = (".parquet", ".csv")
_DELIMITERS = (",", ";", "\t", "|")
_ZONED_TYPES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")  # of micro- and nanoseconds
_HAS_ZONE = r":[0-9.:]+\s*([+-][0-9:]+|[A-Za-z][A-Za-z_/]*)\s*$"


@dataclass(frozen=True, slots=True)
class Staged:
    """A table as staged: its usable columns, what forbids the import and what is only told.

    ``codes`` are those of its columns of ids that hold codes, each with an example.
    """

    table: str
    columns: frozenset[str] = frozenset()
    failures: tuple[Finding, ...] = ()
    notices: tuple[Finding, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """A file made readable: a relation in SQL, its columns' types, and the place of a row.

    ``id_texts`` tells of the columns of ids that came as text, ``made_up`` names those that nobody
    gave: no message does. ``optional`` are the columns that it may have beside those of ``LAYOUT``.
    """

    table: str
    relation: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    failures: tuple[Finding, ...] = ()
    id_texts: Mapping[str, IdTexts] = field(default_factory=dict)
    made_up: frozenset[str] = frozenset()
    optional: Mapping[str, ColumnKind] = field(default_factory=dict)

    @property
    def kinds(self) -> Mapping[str, ColumnKind]:
        """The columns that it has to have, and the optional ones that it has."""
        there = {name: kind for name, kind in self.optional.items() if name in self.types}
        return {**LAYOUT[self.table], **there}


def read_file(conn: duckdb.DuckDBPyConnection, folder: Path, table: str) -> File:
    """Find and open one table's file; what makes it unreadable comes back as failures."""
    paths = [path for path in (folder / f"{table}{end}" for end in _FORMATS) if path.is_file()]
    if not paths:
        return _failed(table, f"the file is missing: neither {table}.parquet nor {table}.csv")
    if len(paths) > 1:
        return _failed(table, f"there are both {paths[0].name} and {paths[1].name}: keep one")
    try:
        read = _read_csv if paths[0].suffix == ".csv" else _read_parquet
        file = read(conn, table, paths[0])
        ids = [column for column, kind in LAYOUT[table].items() if kind is ID]
        texts = read_id_texts(conn, file.relation, file.types, ids)
        return replace(file, id_texts=texts, optional=OPTIONAL.get(table, {}))
    except (duckdb.Error, OSError, UnicodeDecodeError, csv.Error) as exc:
        return _failed(table, f"{paths[0].name} cannot be read: {str(exc).splitlines()[0]}")


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
    if not file.types:
        return Staged(file.table, failures=file.failures)
    kinds = file.kinds
    failures, notices = list(file.failures), []
    rows = _count(conn, file.relation)
    extra = [column for column in file.types if column not in kinds]
    there = [column for column in file.types if column not in file.made_up]
    for column in kinds:
        if column not in file.types:
            failures.append(Finding(file.table, _missing(column, there, extra), rows))
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
    return Staged(file.table, frozenset(usable), tuple(failures), tuple(notices), here)


def _missing(column: str, there: Collection[str], extra: Iterable[str]) -> str:
    """The rule that a column has to be there, and which one may be it by another name."""
    if not there:
        return f"column {column} is missing; there are no columns"
    meant = next((name for name in extra if _may_be(name, column)), "the one that holds it")
    listed = ", ".join(there)
    return f"column {column} is missing; the columns are {listed}: rename {meant} to {column}"


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
        # The lines' products and customers are those of the other tables.
        if texts.example is not None and column == next(iter(LAYOUT[file.table])):
            rule = f"{column} is no whole number, so that all are taken as codes"
            yield Finding(file.table, rule, texts.codes, (texts.example,))


def unread_files(folder: Path) -> list[str]:
    """Names in the folder that are no part of the layout."""
    expected = {f"{table}{end}" for table in LAYOUT for end in _FORMATS}
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    return sorted(names - expected)


def shown(values: Iterable[object]) -> tuple[str, ...]:
    """The first few of some values, for a finding."""
    return tuple(str(value) for value in list(values)[:EXAMPLES])


def _failed(table: str, rule: str) -> File:
    return File(table, failures=(Finding(table, rule, 0),))


def _view(file: File, usable: Iterable[str], codes: Mapping[str, str]) -> str:
    selected = [f"{file.place} AS place"]
    for column in sorted(usable):
        kind = file.kinds[column]
        raw = f'"{column}"'
        typed = (
            _typed_id(file, column, column in codes) if kind is ID else kind.cast.format(raw=raw)
        )
        selected += [f"{raw} AS raw_{column}", f"{typed} AS {column}"]
        if kind is MOMENT:
            selected.append(f"{_has_zone(raw, file.types[column])} AS has_zone")
    staged = f"CREATE TEMP VIEW staged_{file.table}"
    return f"{staged} AS SELECT {', '.join(selected)} FROM {file.relation}"


def _typed_id(file: File, column: str, is_code: bool) -> str:
    """A whole number, or a code; whole numbers in one file are compared with codes in another."""
    raw, texts = f'"{column}"', file.id_texts.get(column)
    if texts is None:
        whole = ID.cast.format(raw=raw)
        return f"CAST({whole} AS VARCHAR)" if is_code else whole
    text = f"CAST({raw} AS VARCHAR)"
    if is_code:
        return code_sql(text, padded=texts.padded > 0)
    return ID.cast.format(raw=trimmed_sql(text) if texts.padded else text)


def _has_zone(raw: str, type_: str) -> str:
    if type_ == "VARCHAR":
        return f"regexp_matches({raw}, '{_HAS_ZONE}')"
    return str(type_ in _ZONED_TYPES)


def _read_parquet(conn: duckdb.DuckDBPyConnection, table: str, path: Path) -> File:
    relation = f"read_parquet({_path_literal(path)}, file_row_number = true)"
    described = conn.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {name: type_ for name, type_, *_ in described if name != "file_row_number"}
    return File(table, relation, types, "'row ' || (file_row_number + 1)")


def _read_csv(conn: duckdb.DuckDBPyConnection, table: str, path: Path) -> File:
    header, delimiter = _header(path, LAYOUT[table])
    columns = dict.fromkeys(header, "VARCHAR")
    declared = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in columns)
    conn.execute(
        f"CREATE TEMP TABLE text_{table} AS SELECT * FROM read_csv({_path_literal(path)},"
        f" auto_detect = false, header = true, delim = {_literal(delimiter)}, quote = '\"',"
        f" escape = '\"', columns = {{{declared}}}, store_rejects = true,"
        f" rejects_table = 'rejects_{table}', rejects_scan = 'rejected_{table}')"
    )
    return File(table, f"text_{table}", columns, "'line ' || (rowid + 2)", _rejects(conn, table))


def _header(path: Path, expected: Iterable[str]) -> tuple[list[str], str]:
    """The column names of a CSV file, cut by the delimiter that yields most of the expected."""
    with path.open("rb") as file:
        first = file.readline().decode("utf-8-sig")

    def cut(delimiter: str) -> list[str]:
        return [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]

    delimiter = max(_DELIMITERS, key=lambda d: len(set(cut(d)) & set(expected)))
    header = cut(delimiter)
    if not header:
        raise csv.Error("it is empty")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise csv.Error(f"column {', '.join(twice)} appears twice")
    return header, delimiter


def _rejects(conn: duckdb.DuckDBPyConnection, table: str) -> tuple[Finding, ...]:
    """Lines that are no CSV of that many columns; DuckDB sets them aside."""
    rejects = conn.execute(
        f"SELECT line, any_value(error_message) FROM rejects_{table} GROUP BY line ORDER BY line"
    ).fetchall()
    if not rejects:
        return ()
    examples = shown(f"line {line}: {reason}" for line, reason in rejects)
    return (Finding(table, "lines cannot be read", len(rejects), examples),)


def _count(conn: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _path_literal(path: Path) -> str:
    """A path as SQL text in which ``*``, ``?`` and ``[`` are no wildcards."""
    wild = {ord(sign): f"[{sign}]" for sign in "*?["}
    return _literal(str(path).translate(wild))


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
