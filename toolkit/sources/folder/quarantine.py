"""Broken order lines, set aside with their reasons, so that the others can be imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from toolkit.disk import whole_file
from toolkit.errors import ArgumentError, DataError, Finding
from toolkit.sources.folder.csv_rows import REJECTED
from toolkit.sources.folder.files import LAYOUT
from toolkit.sources.folder.rules import ImportRule, findings

LIMIT = 5.0
"""Percent of the lines that may be broken, unless the caller says otherwise."""

_HEAD = b"file,line,reason,"
_ASIDE = "lines_set_aside"
_ALL = "all_order_lines"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Where broken lines go, and how many percent of all may."""

    file: Path
    limit: float = LIMIT

    def __post_init__(self) -> None:
        """Refuse a limit that is no percentage."""
        if not 0 <= self.limit <= 100:
            raise ArgumentError(
                f"the quarantine's limit has to be from 0 to 100 percent, got {self.limit}"
            )


def set_aside(
    conn: duckdb.DuckDBPyConnection,
    where: str,
    rules: Sequence[ImportRule],
    unreadable: Sequence[Finding],
    quarantine: Quarantine,
) -> list[Finding]:
    """Take the lines that break a rule out of ``staged_order_lines``; tell of each rule.

    Raises ``DataError`` where they are more than the limit.
    """
    broken = [*unreadable, *findings(conn, "order_lines", "staged_order_lines", rules)]
    if not broken:
        return []
    conn.execute(f"CREATE TEMP TABLE {_ASIDE} AS {_broken_lines(rules)}")
    rows = _one(conn, "SELECT count(*) FROM staged_order_lines")
    aside = _one(conn, f"SELECT count(*) FROM {_ASIDE}")
    lost = sum(finding.rows for finding in unreadable)
    _refuse_beyond_limit(where, aside + lost, rows + lost, broken, quarantine.limit)
    conn.execute(f"ALTER VIEW staged_order_lines RENAME TO {_ALL}")
    conn.execute(
        f"CREATE TEMP VIEW staged_order_lines AS SELECT * FROM {_ALL}"
        f" WHERE position NOT IN (SELECT position FROM {_ASIDE})"
    )
    told = f"lines set aside in {quarantine.file}"
    counts = [Finding(f.table, f"set aside: {f.rule}", f.rows, f.examples) for f in broken]
    return [Finding("order_lines", told, aside + lost), *counts]


def holds_lines_aside(file: Path) -> bool:
    """Whether a file holds lines that an import has set aside."""
    with file.open("rb") as text:
        return text.read(len(_HEAD)) == _HEAD


def write_aside(conn: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Write what was set aside, with the file, line and reasons of each."""
    tables = {name for (name,) in conn.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    columns = list(LAYOUT["order_lines"])
    parts = []
    if _ASIDE in tables:
        parts.append(
            f"SELECT origin, number, reason, {', '.join(columns)}, NULL AS text FROM {_ASIDE}"
        )
    if REJECTED in tables:
        empty = ", ".join("NULL" for _ in columns)
        parts.append(f"SELECT origin, number, reason, {empty}, text FROM {REJECTED}")
    if not parts:
        empty = ", ".join(f"NULL AS {name}" for name in columns)
        parts.append(
            f"SELECT '' AS origin, 0 AS number, '' AS reason, {empty}, '' AS text WHERE false"
        )
    query = (
        f"SELECT origin AS file, number AS line, * EXCLUDE (origin, number)"
        f" FROM ({' UNION ALL '.join(parts)}) ORDER BY file, line"
    )
    with whole_file(file) as part:
        literal = str(part).replace("'", "''")
        conn.execute(f"COPY ({query}) TO '{literal}' (FORMAT csv, HEADER)")


def _broken_lines(rules: Sequence[ImportRule]) -> str:
    """The lines that break any of the rules, with the reasons and the texts that were read."""
    reasons = ", ".join(
        f"CASE WHEN {rule.broken} THEN '{rule.text.replace(chr(39), chr(39) * 2)}' END"
        for rule in rules
    )
    broken = " OR ".join(f"coalesce({rule.broken}, false)" for rule in rules)
    texts = ", ".join(
        f"CAST(raw_{column} AS VARCHAR) AS {column}" for column in LAYOUT["order_lines"]
    )
    return (
        f"SELECT position, origin, number, concat_ws('; ', {reasons}) AS reason, {texts}"
        f" FROM staged_order_lines WHERE {broken}"
    )


def _refuse_beyond_limit(
    where: str, aside: int, rows: int, broken: Sequence[Finding], limit: float
) -> None:
    share = 100 * aside / rows
    if share <= limit:
        return
    needed = min(100, int(share) + 1)
    too_many = (
        f"{aside:,} of {rows:,} lines would be set aside, {share:.1f} %, which is above the limit "
        f"of {limit:g} %; if that is right, give --quarantine-limit {needed}"
    )
    raise DataError(where, [Finding("order_lines", too_many, 0), *broken])


def _one(conn: duckdb.DuckDBPyConnection, query: str) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
