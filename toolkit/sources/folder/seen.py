"""The distinct texts of some columns, and which ways of reading fit most of them."""

from collections.abc import Iterable, Mapping

import duckdb

SEEN = "texts_seen"


class Seen:
    """While it is open, the distinct texts of some columns, with how often each is in a part.

    ``part`` is SQL for the part of the rows that a row is of.
    """

    def __init__(
        self,
        conn: duckdb.DuckDBPyConnection,
        relation: str,
        columns: Iterable[str],
        part: str = "0",
    ) -> None:
        self.conn, self.relation, self.columns, self.part = conn, relation, columns, part

    def __enter__(self) -> None:
        """Look at the texts."""
        texts = " UNION ALL ".join(
            f'SELECT "{column}" AS text, {self.part} AS part, count(*) AS n FROM {self.relation}'
            f' WHERE "{column}" IS NOT NULL GROUP BY ALL'
            for column in self.columns
        )
        self.conn.execute(f"CREATE OR REPLACE TEMP TABLE {SEEN} AS {texts}")

    def __exit__(self, *_: object) -> None:
        """Forget them."""
        self.conn.execute(f"DROP TABLE {SEEN}")


def unread(conn: duckdb.DuckDBPyConnection, relation: str, column: str, cast: str) -> int:
    """Rows with a text of which the usual way makes nothing; ``02-01-24`` is no day of year 2."""
    strange = f"({cast}) IS NULL"
    if "TIMESTAMP" in cast:
        strange = f"({strange} OR ({cast}) < DATE '1000-01-01')"
    query = f'SELECT count(*) FROM {relation} WHERE "{column}" IS NOT NULL AND {strange}'
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def best_of(conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str]) -> list[str]:
    """The ways that read most of the texts, if they read any."""
    if not casts:
        return []
    counts = conn.execute(f"SELECT {_counts(casts)} FROM {SEEN}").fetchall()[0]
    return _most(casts, counts)


def best_by_part(conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str]) -> dict[int, list[str]]:
    """The same for each part of the rows; parts of which nothing is read are left out."""
    rows = conn.execute(f"SELECT part, {_counts(casts)} FROM {SEEN} GROUP BY part ORDER BY 1")
    best = {int(part): _most(casts, counts) for part, *counts in rows.fetchall()}
    return {part: ways for part, ways in best.items() if ways}


def differing(
    conn: duckdb.DuckDBPyConnection, one: str, other: str, part: int | None = None
) -> tuple[str, object, object] | None:
    """A text of which two ways make different values, with both."""
    here = "" if part is None else f" AND part = {part}"
    found = conn.execute(
        f"SELECT text, {one}, {other} FROM {SEEN} WHERE ({one}) <> ({other}){here}"
        " ORDER BY 1 LIMIT 1"
    ).fetchall()
    return found[0] if found else None


def only_read_by(
    conn: duckdb.DuckDBPyConnection, one: str, other: str
) -> tuple[str | None, str | None]:
    """A text of which only the one way makes something, and one of which only the other does."""
    first, second = conn.execute(
        f"SELECT min(text) FILTER (({one}) IS NOT NULL AND ({other}) IS NULL),"
        f" min(text) FILTER (({one}) IS NULL AND ({other}) IS NOT NULL) FROM {SEEN}"
    ).fetchall()[0]
    return first, second


def _counts(casts: Mapping[str, str]) -> str:
    return ", ".join(
        f"coalesce(sum(n) FILTER (({cast}) IS NOT NULL"
        + (f" AND ({cast}) >= DATE '1000-01-01'" if "TIMESTAMP" in cast else "")
        + "), 0)"
        for cast in casts.values()
    )


def _most(casts: Iterable[str], counts: Iterable[int]) -> list[str]:
    counted = dict(zip(casts, counts, strict=True))
    most = max(counted.values())
    return [way for way, count in counted.items() if count == most and most]
