"""A table's files, read: the columns that are meant by name, and the place of each row."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from toolkit.errors import Finding
from toolkit.sources.folder.files import CATEGORY, ID, LAYOUT, NAMES, OPTIONAL, File, Row, shown
from toolkit.sources.folder.id_texts import MISSING, read_id_texts, without_zero
from toolkit.sources.folder.inputs import is_parquet
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.moments import read_moments
from toolkit.sources.folder.spellings import LINE_FIELDS, Recognised, recognise
from toolkit.sources.folder.text import CsvText, line_at, open_csv, row_lines
from toolkit.sources.folder.values import read_numbers

REJECTED = "rejected_order_lines"
"""Lines of order lines' files that are no rows: their file, line, reason and text."""

NO_ORDERS = "no column is order_id, so that each line counts as an order of its own"

_FIELDS = {
    "order_lines": LINE_FIELDS,
    "products": ("product_id", "name", "category"),
    "customers": ("customer_id", "name"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a table: the mapping, tables derived from lines, and room for copies."""

    mapping: OrderMapping
    room: Path
    derived: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table as read, and what was found out about its files."""

    file: File
    encoding: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    excluded: int = 0
    questions: tuple[str, ...] = field(default=())


def read_table(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> TableRead:
    """Read a table's files; what makes them unreadable comes back as failures."""
    try:
        kinds = {is_parquet(path) for path in parts}
        if len(kinds) > 1:
            raise csv.Error("there are Parquet and CSV files: keep those of one kind")
        read = _read_parquet if True in kinds else _read_csv
        return read(conn, table, parts, asked)
    except UnicodeDecodeError as exc:
        reason = f"it is not written in {exc.encoding}; name its encoding with --encoding"
    except (duckdb.Error, OSError, csv.Error, EOFError) as exc:
        reason = str(exc).splitlines()[0]
    names = ", ".join(path.name for path in parts[:3])
    return TableRead(
        File(table, failures=(Finding(table, f"{names} cannot be read: {reason}", 0),))
    )


def _read_parquet(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> TableRead:
    listed = ", ".join(map(_path_literal, parts))
    files = f"read_parquet([{listed}], file_row_number = true, filename = true)"
    described = conn.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()
    types = {n: t for n, t, *_ in described if n not in ("file_row_number", "filename")}
    found = _recognised(table, list(types), asked)
    kept = _relation(found.columns, types, files, ["filename", "file_row_number"])
    several = len(parts) > 1
    origin = "parse_filename(filename)"
    number = "(file_row_number + 1)"
    row = Row(
        f"{origin} || ' row ' || {number}" if several else f"'row ' || {number}",
        f"(filename, {number})" if several else number,
        origin,
        number,
    )
    return _understood(conn, table, kept, _types(conn, kept), row, found, types, asked)


def _read_csv(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> TableRead:
    expected = list(LAYOUT[table])
    texts = [open_csv(path, expected, asked.mapping.encoding, asked.room) for path in parts]
    header = texts[0].header
    for text in texts[1:]:
        if set(text.header) != set(header):
            odd = ", ".join(sorted(set(text.header) ^ set(header)))
            raise csv.Error(f"{text.source.name} has other columns than the first file ({odd})")
    found = _recognised(table, header, asked)
    if not found.columns:
        nothing = File(table, "(SELECT 1 WHERE false)", unread=header, called={"": ""})
        return TableRead(nothing, questions=found.questions)
    rows, failures = _load(conn, table, texts, found.columns)
    relation = f"(SELECT rowid AS row_id, * FROM text_{table})"
    row = _csv_rows(conn, table, texts, rows, failures)
    if table == "order_lines" and failures:
        _keep_rejects(conn, failures)
    types = dict.fromkeys(found.columns, "VARCHAR")
    read = _understood(conn, table, relation, types, row, found, header, asked)
    file = replace(read.file, failures=(*read.file.failures, *_told(table, failures, len(texts))))
    return replace(read, file=file, encoding=_encoding(texts))


@dataclass(frozen=True, slots=True)
class _Reject:
    """A line that is no row of its file."""

    part: int
    origin: str
    line: int
    reason: str
    text: str


def _load(
    conn: duckdb.DuckDBPyConnection,
    table: str,
    texts: Sequence[CsvText],
    columns: Mapping[str, str],
) -> tuple[list[int], list[_Reject]]:
    """Fill ``text_<table>`` with the columns by field; rows per file, and lines set aside."""
    rows: list[int] = []
    rejects: list[_Reject] = []
    selected = ", ".join(_present(field, name) for field, name in columns.items())
    for i, text in enumerate(texts):
        declared = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in text.header)
        source = (
            f"SELECT {selected} FROM read_csv({_path_literal(text.path)}, auto_detect = false,"
            f" header = true, skip = {text.skip}, delim = {_literal(text.delimiter)}, quote = '\"',"
            f" escape = '\"', columns = {{{declared}}}, store_rejects = true,"
            f" rejects_table = 'rejects_{table}_{i}', rejects_scan = 'scanned_{table}_{i}')"
        )
        into = f"CREATE TEMP TABLE text_{table} AS" if i == 0 else f"INSERT INTO text_{table}"
        conn.execute(f"{into} {source}")
        rows.append(_one(conn, f"SELECT count(*) FROM text_{table}") - sum(rows))
        rejects += _rejects(conn, table, i, text)
    return rows, rejects


def _present(field: str, name: str) -> str:
    """A column as text, NULL where an id is written as missing."""
    column = _quoted(name)
    if field.endswith("_id"):
        missing = ", ".join(map(_literal, MISSING))
        return f'CASE WHEN {column} IN ({missing}) THEN NULL ELSE {column} END AS "{field}"'
    return f'{column} AS "{field}"'


def _rejects(
    conn: duckdb.DuckDBPyConnection, table: str, part: int, text: CsvText
) -> list[_Reject]:
    """Lines that are no CSV of that many columns; DuckDB sets them aside."""
    found = conn.execute(
        "SELECT line, min(line_byte_position), any_value(error_message), any_value(csv_line)"
        f" FROM rejects_{table}_{part} GROUP BY line ORDER BY line"
    ).fetchall()
    return [
        _Reject(part, text.source.name, line_at(text, at) if at else line, reason, line_text or "")
        for line, at, reason, line_text in found
    ]


def _told(table: str, rejects: Sequence[_Reject], files: int) -> tuple[Finding, ...]:
    if not rejects:
        return ()
    where = [f"{r.origin} line {r.line}" if files > 1 else f"line {r.line}" for r in rejects]
    examples = shown(f"{place}: {r.reason}" for place, r in zip(where, rejects, strict=True))
    return (Finding(table, UNREADABLE, len(rejects), examples),)


UNREADABLE = "lines cannot be read"


def _keep_rejects(conn: duckdb.DuckDBPyConnection, rejects: Sequence[_Reject]) -> None:
    conn.execute(
        f"CREATE TEMP TABLE {REJECTED}"
        " (origin VARCHAR, number BIGINT, reason VARCHAR, text VARCHAR)"
    )
    conn.executemany(
        f"INSERT INTO {REJECTED} VALUES (?, ?, ?, ?)",
        [[r.origin, r.line, f"the line cannot be read: {r.reason}", r.text] for r in rejects],
    )


def _csv_rows(
    conn: duckdb.DuckDBPyConnection,
    table: str,
    texts: Sequence[CsvText],
    rows: Sequence[int],
    rejects: Sequence[_Reject],
) -> Row:
    """Where each row stands. Lines follow rows, unless blank lines or breaks within a field do not
    let them: then the file is read once more to count.
    """
    odd = {reject.part for reject in rejects}
    even = all(
        text.breaks == count + 1 + text.skip and i not in odd
        for i, (text, count) in enumerate(zip(texts, rows, strict=True))
    )
    starts = np.concatenate([[0], np.cumsum(rows)]).tolist()
    if even:
        numbers = [
            f"row_id - {start} + {text.skip + 2}"
            for start, text in zip(starts[:-1], texts, strict=True)
        ]
        number = _by_part("row_id", starts, numbers)
    else:
        _number_lines(conn, table, texts, rows)
        number = f"(SELECT line FROM lines_{table} WHERE lines_{table}.id = row_id)"
    origin = _by_part("row_id", starts, [_literal(text.source.name) for text in texts])
    word = f"{origin} || ' line ' || " if len(texts) > 1 else "'line ' || "
    return Row(f"{word}({number})", "row_id", origin, f"({number})")


def _by_part(id_: str, starts: Sequence[int], values: Sequence[str]) -> str:
    """SQL for the value of the file that a row is of."""
    if len(values) == 1:
        return values[0]
    cases = " ".join(
        f"WHEN {id_} < {end} THEN {value}" for end, value in zip(starts[1:], values, strict=True)
    )
    return f"CASE {cases} END"


def _number_lines(
    conn: duckdb.DuckDBPyConnection, table: str, texts: Sequence[CsvText], rows: Sequence[int]
) -> None:
    """The line of each row in a table of its own; counted rows where the two do not agree."""
    lines = []
    for text, count in zip(texts, rows, strict=True):
        found = np.fromiter(row_lines(text), np.int64)
        lines.append(found if len(found) == count else np.arange(count) + text.skip + 2)
    numbers = np.concatenate(lines)
    arrow = pa.table({"id": np.arange(len(numbers)), "line": numbers})
    conn.register("counted_lines", arrow)
    conn.execute(f"CREATE TEMP TABLE lines_{table} AS SELECT * FROM counted_lines")
    conn.unregister("counted_lines")


def _recognised(table: str, header: Sequence[str], asked: Asked) -> Recognised:
    given = asked.mapping.columns if table == "order_lines" else {}
    fields = [
        name
        for name in _FIELDS[table]
        if name not in ("product_name", "customer_name", "category")
        or table != "order_lines"
        or _derived_of(name) in asked.derived
    ]
    return recognise(header, fields, given)


def _derived_of(field: str) -> str:
    return "customers" if field == "customer_name" else "products"


def _relation(
    columns: Mapping[str, str], types: Mapping[str, str], files: str, more: Iterable[str]
) -> str:
    """A relation with the columns by field; ids as bytes are text if they hold any."""

    def selected(field: str, name: str) -> str:
        if types[name] == "BLOB" and field.endswith("_id"):
            return f'TRY(decode({_quoted(name)})) AS "{field}"'
        if types[name] == "VARCHAR":
            return _present(field, name)
        return f'{_quoted(name)} AS "{field}"'

    kept = [*more, *(selected(field, name) for field, name in columns.items())]
    return f"(SELECT {', '.join(kept)} FROM {files})"


def _understood(
    conn: duckdb.DuckDBPyConnection,
    table: str,
    relation: str,
    types: Mapping[str, str],
    row: Row,
    found: Recognised,
    header: Iterable[str],
    asked: Asked,
) -> TableRead:
    """The table with its values read as they are written."""
    mapping, kinds = asked.mapping, LAYOUT[table]
    excluded = 0
    if table == "order_lines" and mapping.exclude_products and "product_id" in types:
        codes = ", ".join(map(_literal, mapping.exclude_products))
        text = "trim(CAST(product_id AS VARCHAR))"
        listed = f"coalesce({text} IN ({codes}) OR {without_zero(text)} IN ({codes}), false)"
        excluded = _one(conn, f"SELECT count(*) FROM {relation} WHERE {listed}")
        relation = f"(SELECT * FROM {relation} WHERE NOT {listed})"
    made_up: frozenset[str] = frozenset()
    if table == "order_lines" and "order_id" not in types and len(types) > 1:
        made_up = frozenset({"order_id"})
        relation = f"(SELECT row_number() OVER () AS order_id, * FROM {relation})"
        types = {"order_id": "BIGINT", **types}
    notices = (Finding(table, NO_ORDERS, 0),) if made_up else ()
    read = TableRead(
        File(table, relation, notices=notices), excluded=excluded, questions=found.questions
    )
    if table == "order_lines":
        read = _values_read(conn, read, types, mapping)
    unread = tuple(name for name in header if name not in found.columns.values())
    texts = read_id_texts(conn, relation, types, [c for c, kind in kinds.items() if kind is ID])
    optional = {**CATEGORY, **NAMES} if table == "order_lines" else OPTIONAL.get(table, {})
    file = replace(
        read.file,
        types=types,
        unread=unread,
        row=row,
        id_texts=texts,
        made_up=made_up,
        optional=optional,
        called=found.columns,
    )
    return replace(read, file=file)


def _values_read(
    conn: duckdb.DuckDBPyConnection,
    read: TableRead,
    types: Mapping[str, str],
    mapping: OrderMapping,
) -> TableRead:
    """The order lines with SQL for dates and numbers that are not written in the usual way."""
    kinds, relation = LAYOUT["order_lines"], read.file.relation
    text = [column for column in kinds if types.get(column) == "VARCHAR"]
    casts: dict[str, str] = {}
    said: dict[str, str] = {}
    questions, notices = list(read.questions), list(read.file.notices)
    if "ordered_at" in types:
        moments = read_moments(conn, relation, types["ordered_at"], mapping)
        casts.update(moments.casts)
        said |= {"ordered_at": moments.said} if moments.said else {}
        questions += moments.questions
        read = replace(read, date_format=moments.order)
    columns = [column for column in ("quantity", "unit_price") if column in text]
    numbers = read_numbers(conn, relation, columns, mapping.decimal, mapping.thousands)
    if numbers.casts:
        casts.update(numbers.casts)
        said.update(dict.fromkeys(columns, numbers.said))
        read = replace(read, decimal=numbers.decimal, thousands=numbers.thousands or None)
    questions += [numbers.question] if numbers.question else []
    notices += [Finding("order_lines", rule, rows) for rule, rows in numbers.notices]
    file = replace(read.file, casts=casts, said=said, notices=tuple(notices), zone=mapping.timezone)
    return replace(read, file=file, questions=tuple(questions))


def _types(conn: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = conn.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {n: t for n, t, *_ in described if n not in ("filename", "file_row_number")}


def _encoding(texts: Sequence[CsvText]) -> str | None:
    """The encoding of the files, unless it is plain UTF-8."""
    others = [text.encoding for text in texts if text.encoding not in ("utf-8", "utf-8-sig")]
    return others[0] if others else None


def _one(conn: duckdb.DuckDBPyConnection, query: str) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _path_literal(path: Path) -> str:
    """A path as SQL text in which ``*``, ``?`` and ``[`` are no wildcards."""
    wild = {ord(sign): f"[{sign}]" for sign in "*?["}
    return _literal(str(path).translate(wild))


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
