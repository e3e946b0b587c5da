"""Rows of CSV files, loaded as text with the line of each; what is no row is set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from toolkit.errors import Finding
from toolkit.sources.folder.files import LAYOUT, Row, shown
from toolkit.sources.folder.numbers import Parts
from toolkit.sources.folder.rows import (
    Asked,
    Rows,
    any_given,
    count,
    literal,
    meant,
    one_header,
    path_literal,
    present,
)
from toolkit.sources.folder.text import CsvText, line_at, open_csv, row_lines

REJECTED = "rejected_order_lines"
"""Lines of order lines' files that are no rows: their file, line, reason and text."""


def read_csv(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> Rows:
    """The rows of a table's CSV files. Raises what makes one unreadable."""
    expected = list(LAYOUT[table])
    texts = [open_csv(path, expected, asked.mapping.encoding, asked.room) for path in parts]
    header = one_header([(text.source.name, text.header) for text in texts])
    found = meant(table, header, asked)
    if not found.columns:
        return Rows("(SELECT 1 WHERE false)", {}, Row("''"), header, found)
    rows, rejects = _load(conn, table, texts, found.columns)
    if table == "order_lines" and rejects:
        _keep_rejects(conn, rejects)
    starts = np.concatenate([[0], np.cumsum(rows)]).tolist()
    names = tuple(text.source.name for text in texts)
    return Rows(
        f"(SELECT rowid AS row_id, * FROM text_{table})",
        dict.fromkeys(found.columns, "VARCHAR"),
        _csv_rows(conn, table, texts, rows, rejects),
        header,
        found,
        Parts(_by_part("row_id", starts, [str(i) for i in range(len(texts))]), names),
        failures=_told(table, rejects, len(texts)),
        encoding=_encoding(texts),
    )


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
    selected = ", ".join(present(field, name) for field, name in columns.items())
    for i, text in enumerate(texts):
        declared = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in text.header)
        source = (
            f"SELECT {selected} FROM read_csv({path_literal(text.path)}, auto_detect = false,"
            f" header = true, skip = {text.skip}, delim = {literal(text.delimiter)}, quote = '\"',"
            f" escape = '\"', columns = {{{declared}}}, store_rejects = true,"
            f" rejects_table = 'rejects_{table}_{i}', rejects_scan = 'scanned_{table}_{i}')"
            f" WHERE {any_given(text.header)}"  # Excel writes ;;;; below the last line
        )
        into = f"CREATE TEMP TABLE text_{table} AS" if i == 0 else f"INSERT INTO text_{table}"
        conn.execute(f"{into} {source}")
        rows.append(count(conn, f"SELECT count(*) FROM text_{table}") - sum(rows))
        rejects += _rejects(conn, table, i, text)
    return rows, rejects


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
        if line_text is None or line_text.strip(f"{text.delimiter} \t\r\n")
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
        text.breaks == loaded + 1 + text.skip and i not in odd
        for i, (text, loaded) in enumerate(zip(texts, rows, strict=True))
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
    origin = _by_part("row_id", starts, [literal(text.source.name) for text in texts])
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
    for text, loaded in zip(texts, rows, strict=True):
        found = np.fromiter(row_lines(text), np.int64)
        lines.append(found if len(found) == loaded else np.arange(loaded) + text.skip + 2)
    numbers = np.concatenate(lines)
    arrow = pa.table({"id": np.arange(len(numbers)), "line": numbers})
    conn.register("counted_lines", arrow)
    conn.execute(f"CREATE TEMP TABLE lines_{table} AS SELECT * FROM counted_lines")
    conn.unregister("counted_lines")


def _encoding(texts: Sequence[CsvText]) -> str | None:
    """The encoding of the files, unless it is plain UTF-8."""
    others = [text.encoding for text in texts if text.encoding not in ("utf-8", "utf-8-sig")]
    return others[0] if others else None
