"""A table's files, read: its rows by field, with SQL for values that are written in other ways."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from toolkit.errors import Finding
from toolkit.sources.folder.csv_rows import read_csv
from toolkit.sources.folder.files import (
    CATEGORY,
    ID,
    LAYOUT,
    MOMENT,
    NAMES,
    NUMBER,
    OPTIONAL,
    TEXT,
    ZONED_TYPES,
    ColumnKind,
    File,
    Row,
)
from toolkit.sources.folder.given import GIVEN, OrderTable, read_given
from toolkit.sources.folder.id_texts import read_id_texts, without_zero
from toolkit.sources.folder.inputs import CSV, PARQUET, WORKBOOK, kind_of
from toolkit.sources.folder.mapping import UNKNOWN, OrderMapping
from toolkit.sources.folder.moments import read_moments
from toolkit.sources.folder.numbers import Parts, read_numbers
from toolkit.sources.folder.questions import Question
from toolkit.sources.folder.rows import (
    Asked,
    Rows,
    UnreadableError,
    count,
    literal,
    meant,
    path_literal,
    typed,
    types_of,
)
from toolkit.sources.folder.workbook import read_workbooks

NO_ORDERS = "no column is order_id, so that each line counts as an order of its own"

type _Reader = Callable[[duckdb.DuckDBPyConnection, str, Sequence[Path], Asked], Rows]


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table as read, and what was found out about its files."""

    file: File
    encoding: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    excluded: int = 0
    questions: tuple[Question, ...] = field(default=())


def read_table(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> TableRead:
    """Read a table's files; what makes them unreadable comes back as failures."""
    try:
        kinds = {kind_of(path) for path in parts}
        if len(kinds) > 1:
            called = " and ".join(name for kind, (name, _) in _READERS.items() if kind in kinds)
            raise UnreadableError(f"there are {called} files: keep those of one kind")
        _, read = _READERS[kinds.pop()]
        return _understood(conn, table, read(conn, table, parts, asked), asked.mapping)
    except UnicodeDecodeError as exc:
        reason = f"it is not written in {exc.encoding}; name its encoding with --encoding"
    except (duckdb.Error, OSError, csv.Error, EOFError, UnreadableError) as exc:
        reason = str(exc).splitlines()[0]
    names = ", ".join(path.name for path in parts[:3])
    return TableRead(
        File(table, failures=(Finding(table, f"{names} cannot be read: {reason}", 0),))
    )


def read_order_table(conn: duckdb.DuckDBPyConnection, given: OrderTable, asked: Asked) -> TableRead:
    """Read order lines that were given as a table, as those of files are."""
    try:
        return _understood(conn, "order_lines", read_given(conn, given, asked), asked.mapping)
    except UnreadableError as exc:
        failure = Finding("order_lines", f"{GIVEN} cannot be read: {exc}", 0)
        return TableRead(File("order_lines", failures=(failure,)))


def _read_parquet(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> Rows:
    listed = ", ".join(map(path_literal, parts))
    files = f"read_parquet([{listed}], file_row_number = true, filename = true)"
    types = types_of(conn, files)
    header = tuple(name for name in types if name not in _OF_PARQUET)
    found = meant(table, header, asked)
    if len(parts) > 1 and _differ(conn, table, listed, found.columns):
        files = files.replace("filename = true", "filename = true, union_by_name = true")
        types = types_of(conn, files)
    columns = [typed(f, name, types[name]) for f, name in found.columns.items()]
    kept = f"(SELECT {', '.join([*_OF_PARQUET, *columns])} FROM {files})"
    several = len(parts) > 1
    origin = "parse_filename(filename)"
    number = "(file_row_number + 1)"
    row = Row(
        f"{origin} || ' row ' || {number}" if several else f"'row ' || {number}",
        f"(filename, {number})" if several else number,
        origin,
        number,
    )
    places = ", ".join(literal(str(path)) for path in parts)
    index = f"(list_position([{places}], filename) - 1)"
    by_field = {f: t for f, t in types_of(conn, kept).items() if f not in _OF_PARQUET}
    names = tuple(path.name for path in parts)
    return Rows(kept, by_field, row, header, found, Parts(index, names))


def _differ(
    conn: duckdb.DuckDBPyConnection, table: str, files: str, columns: Mapping[str, str]
) -> bool:
    """Whether files hold several types that go together; ``UnreadableError`` if they do not.

    DuckDB would make the first file's type of them all: text ids whole numbers, instants UTC.
    """
    found = conn.execute(
        "SELECT name, list(DISTINCT duckdb_type ORDER BY duckdb_type)"
        f" FROM parquet_schema([{files}])"
        " WHERE duckdb_type IS NOT NULL GROUP BY name HAVING count(DISTINCT duckdb_type) > 1"
    ).fetchall()
    several = {name: types for name, types in found if name in columns.values()}
    for field_, name in columns.items():
        types = several.get(name, [])
        if not _go_together(LAYOUT[table].get(field_, TEXT), types):
            raise UnreadableError(
                f"column {name} is {' in one file and '.join(types)} in another: save it alike"
            )
    return bool(several)


def _go_together(kind: ColumnKind, types: Sequence[str]) -> bool:
    """Whether a common type has the values of all; numbers as text hide what floats have lost."""
    if kind is MOMENT:
        zoned = {type_ in ZONED_TYPES for type_ in types}
        return len(zoned) < 2 and all(t.startswith(("DATE", "TIMESTAMP")) for t in types)
    known = all(type_.startswith(NUMBER.types) for type_ in types)
    if kind is ID:
        lossy = any(type_.startswith(("FLOAT", "DOUBLE", "DECIMAL")) for type_ in types)
        return known and not (lossy and "VARCHAR" in types)
    return kind is not NUMBER or (known and "VARCHAR" not in types)


_OF_PARQUET = ("filename", "file_row_number")
_READERS: dict[tuple[str, ...], tuple[str, _Reader]] = {
    PARQUET: ("Parquet", _read_parquet),
    CSV: ("CSV", read_csv),
    WORKBOOK: ("Excel", read_workbooks),
}


def _understood(
    conn: duckdb.DuckDBPyConnection, table: str, rows: Rows, mapping: OrderMapping
) -> TableRead:
    """The table with its values read as they are written."""
    found = rows.found
    wrong = [Finding(table, failure, 0) for failure in found.failures]
    questions = (*rows.questions, *found.questions)
    if table == "order_lines":
        rows = _with_constants(rows, mapping)
    if not rows.types:
        unread = File(
            table, rows.relation, unread=rows.header, called={"": ""},
            failures=(*wrong, *rows.failures), unsettled=found.unsettled,
        )  # fmt: skip
        return TableRead(unread, questions=questions)
    excluded = 0
    if table == "order_lines":
        rows, excluded = _without_excluded(conn, rows, mapping)
    made_up: frozenset[str] = frozenset()
    if table == "order_lines" and "order_id" not in rows.types and len(rows.types) > 1:
        made_up = frozenset({"order_id"})
        relation = f"(SELECT row_number() OVER () AS order_id, * FROM {rows.relation})"
        rows = replace(rows, relation=relation, types={"order_id": "BIGINT", **rows.types})
    notices = [*rows.notices, *([Finding(table, NO_ORDERS, 0)] if made_up else [])]
    ids = [c for c, kind in LAYOUT[table].items() if kind is ID]
    optional = {**CATEGORY, **NAMES} if table == "order_lines" else OPTIONAL.get(table, {})
    file = File(
        table,
        rows.relation,
        rows.types,
        rows.row,
        failures=(*wrong, *rows.failures),
        notices=tuple(notices),
        id_texts=read_id_texts(conn, rows.relation, rows.types, ids),
        made_up=made_up,
        optional=optional,
        called=found.columns,
        unread=tuple(name for name in rows.header if name not in found.columns.values()),
        unsettled=found.unsettled,
        constants=mapping.constants if table == "order_lines" else {},
    )
    read = TableRead(file, rows.encoding, excluded=excluded, questions=questions)
    return _values_read(conn, read, rows, mapping) if table == "order_lines" else read


def _with_constants(rows: Rows, mapping: OrderMapping) -> Rows:
    """The rows with the columns that have the same value in all of them."""
    if not mapping.constants or not rows.types:
        return rows
    values = {
        f: "NULL::DOUBLE" if value == UNKNOWN and f == "unit_price" else literal(value)
        for f, value in mapping.constants.items()
    }
    types = {f: "DOUBLE" if "DOUBLE" in value else "VARCHAR" for f, value in values.items()}
    selected = ", ".join(f'{value} AS "{f}"' for f, value in values.items())
    return replace(
        rows,
        relation=f"(SELECT *, {selected} FROM {rows.relation})",
        types={**rows.types, **types},
        plain=rows.plain | values.keys(),
    )


def _without_excluded(
    conn: duckdb.DuckDBPyConnection, rows: Rows, mapping: OrderMapping
) -> tuple[Rows, int]:
    """The rows without those of excluded products, and how many those are."""
    if not mapping.exclude_products or "product_id" not in rows.types:
        return rows, 0
    codes = ", ".join(map(literal, mapping.exclude_products))
    text = "trim(CAST(product_id AS VARCHAR))"
    listed = f"coalesce({text} IN ({codes}) OR {without_zero(text)} IN ({codes}), false)"
    excluded = count(conn, f"SELECT count(*) FROM {rows.relation} WHERE {listed}")
    return replace(rows, relation=f"(SELECT * FROM {rows.relation} WHERE NOT {listed})"), excluded


def _values_read(
    conn: duckdb.DuckDBPyConnection, read: TableRead, rows: Rows, mapping: OrderMapping
) -> TableRead:
    """The order lines with SQL for dates and numbers that are not written in the usual way."""
    kinds = LAYOUT["order_lines"]
    text = [c for c in kinds if rows.types.get(c) == "VARCHAR" and c not in rows.plain]
    casts: dict[str, str] = {}
    said: dict[str, str] = {}
    questions, notices = list(read.questions), list(read.file.notices)
    if "ordered_at" in rows.types:
        moments = read_moments(conn, rows.relation, rows.types["ordered_at"], mapping)
        casts.update(moments.casts)
        said |= {"ordered_at": moments.said} if moments.said else {}
        questions += moments.questions
        read = replace(read, date_format=moments.order)
    columns = [column for column in ("quantity", "unit_price") if column in text]
    numbers = read_numbers(
        conn, rows.relation, columns, mapping.decimal, mapping.thousands, rows.parts
    )
    if numbers.casts:
        casts.update(numbers.casts)
        said.update(dict.fromkeys(columns, numbers.said))
        read = replace(read, decimal=numbers.decimal, thousands=numbers.thousands or None)
    questions += [numbers.question] if numbers.question else []
    notices += [Finding("order_lines", rule, rows_) for rule, rows_ in numbers.notices]
    file = replace(read.file, casts=casts, said=said, notices=tuple(notices), zone=mapping.timezone)
    return replace(read, file=file, questions=tuple(questions))
