"""Queries of orders in Parquet: the order lines of a question come from the files that hold them.

A line carries its order's customer and date, so that nothing is joined. Lines asked for by product
come from the buckets of these products, lines asked for by customer from those of the second copy.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import duckdb
import numpy as np

from toolkit.data.tables import Ints
from toolkit.errors import SourceError
from toolkit.sources.dialects import DuckDbDialect, Parameters

_READ = re.compile(
    r'FROM dbo\.OrderItem oi(\s+INNER JOIN dbo\."Order" o ON o\.ID = oi\.OrderID)?'
    r"(\s+INNER JOIN dbo\.ClientAgreement ca ON ca\.ID = o\.ClientAgreementID)?"
)
"""How queries read order lines."""

_CARRIED = {r"\bo\.Created\b": "oi.OrderCreated", r"\bca\.ClientID\b": "oi.ClientID"}
"""Columns of what is not joined any more, and those of a line that hold the same."""

SCHEMA = "parquet"
FILES = f"{SCHEMA}.OrderLines"
"""The table of a connection that says in which files its order lines lie."""

_CUT_BY = {"customer_ids": "customers", "product_ids": "lines"}
"""The copy of the order lines that is cut by the ids of a parameter; customers come first."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The files of one copy of the order lines, and the least id in each, both [files]."""

    first_ids: Ints
    files: tuple[str, ...]

    def holding(self, ids: Sequence[int] | None) -> list[str]:
        """Files that may hold lines of the ids, one at least; None stands for all ids.

        >>> buckets = Buckets(np.array([1, 10, 20]), ("a", "b", "c"))
        >>> buckets.holding([25, 12, 19]), buckets.holding([0])
        (['b', 'c'], ['a'])
        """
        if ids is None:
            return [*self.files]
        number = np.searchsorted(self.first_ids[1:], np.asarray(ids, np.int64), side="right")
        return [self.files[i] for i in np.unique(number)] or [self.files[0]]


def buckets_of(conn: duckdb.DuckDBPyConnection) -> dict[str, Buckets]:
    """Where the order lines behind a connection lie, by copy; empty where not in Parquet.

    A database that is asked first which tables it has takes ten times as long.
    """
    query = f"SELECT Copy, FirstID, File FROM {FILES} ORDER BY Copy, Bucket"
    try:
        with conn.cursor() as cursor:
            rows = cursor.execute(query).fetchall()
    except duckdb.Error:  # it has no such table; of other faults the first question will tell
        return {}
    return {
        copy: Buckets(
            np.array([first for name, first, _ in rows if name == copy], np.int64),
            tuple(file for name, _, file in rows if name == copy),
        )
        for copy, *_ in rows
    }


class ParquetDialect(DuckDbDialect):
    """DuckDB's, with order lines from files of Parquet in place of tables."""

    digests_rows = False

    def __init__(self, buckets: Mapping[str, Buckets], wrong: Callable[[], str | None]) -> None:
        """``wrong`` says what is wrong with the files, if anything; it is asked after a failure."""
        self._buckets = buckets
        self._wrong = wrong
        self.parts = {name: buckets[copy].first_ids for name, copy in _CUT_BY.items()}

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """As DuckDB's; order lines come from the fewest files."""
        sql, bound = super().bind(sql, parameters)
        if _READ.search(sql):
            lines = f"FROM {self._lines(parameters)} oi"
            sql = _READ.sub(lambda _: lines, sql)
            for joined, carried in _CARRIED.items():
                sql = re.sub(joined, carried, sql)
        return sql, bound

    def run[T](self, subject: str, read: Callable[[], T]) -> T:
        """Once; where files are missing or cut short, that is what is said."""
        try:
            return super().run(subject, read)
        except SourceError as exc:
            wrong = self._wrong()
            if wrong is None:
                raise
            raise SourceError(f"{subject} could not be read: {wrong}") from exc

    def _lines(self, parameters: Parameters) -> str:
        name = next((name for name in _CUT_BY if name in parameters), "product_ids")
        ids = cast("list[int] | None", parameters.get(name))
        return files_sql(self._buckets[_CUT_BY[name]].holding(ids))


def files_sql(files: Sequence[str]) -> str:
    """A table function over files of Parquet, for SQL."""
    listed = ", ".join("'{}'".format(file.replace("'", "''")) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"
