"""How kinds of database drivers differ: binding of parameters, columns, what a failure means.

A dialect is chosen by the connection (``sql.as_source``) and knows nothing of the queries.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Protocol, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Ints
from toolkit.errors import SourceError
from toolkit.sources.embedded.session import is_interrupt
from toolkit.sources.names import PLAIN_NAMES, Names

type Parameters = Mapping[str, date | int | list[int] | list[str]]
type ResultColumn = NDArray[np.generic]
type Row = Sequence[object] | Mapping[str, object]

WHOLE: Mapping[str, Ints] = MappingProxyType({})
"""Order lines that lie in no parts."""

_LIST_PARAMETER = re.compile(r"(\S+) IN \(:(\w+)\)")
_PARAMETER = re.compile(r":(\w+)")


class Cursor(Protocol):
    """What is needed of a DB-API cursor."""

    def execute(self, operation: str, parameters: dict[str, object], /) -> object:
        """Run one query."""

    def fetchmany(self, size: int, /) -> Sequence[Row]:
        """The next rows; none at the end."""

    def close(self) -> None:
        """Give the cursor back."""


class Connection(Protocol):
    """What is needed of a DB-API connection; a pooled one will do."""

    def cursor(self) -> Cursor:
        """A new cursor."""


class Dialect(Protocol):
    """How one kind of driver binds parameters and hands over columns."""

    @property
    def ids_per_query(self) -> int:
        """The longest list bound in one query; longer ones take several."""

    @property
    def is_tsql(self) -> bool:
        """Whether queries are sent in the form that SQL Server prefers."""

    @property
    def digests_rows(self) -> bool:
        """Whether it tells in milliseconds that no row of the tables has changed."""

    @property
    def names(self) -> Names:
        """What the tables are called."""

    @property
    def parts(self) -> Mapping[str, Ints]:
        """Where order lines lie in parts: by parameter of ids, the least id in each part."""

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """The statement and its parameters as the driver takes them."""

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[ResultColumn]:
        """All rows of an executed query, one array per column; NULL is NaN or None."""

    def run[T](self, subject: str, read: Callable[[], T]) -> T:
        """``read()``; what the driver raises becomes a ``SourceError`` about the subject."""


class DuckDbDialect:
    """DuckDB: ``$name`` parameters, a list as one parameter, columns straight into NumPy."""

    ids_per_query = 10_000_000
    is_tsql = False
    digests_rows = True
    names = PLAIN_NAMES
    parts = WHOLE

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """``x IN (:ids)`` becomes ``list_contains($ids, x)``.

        DuckDB sees through it to the values: it skips blocks by them and joins from the few lines
        that they leave, which it does not with a subquery over ``unnest``.
        """
        sql = _LIST_PARAMETER.sub(r"list_contains($\2, \1)", sql)
        return _PARAMETER.sub(r"$\1", sql), dict(parameters)

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[ResultColumn]:
        """Columns as DuckDB lays them out, without a Python object per value."""
        columns = cast("duckdb.DuckDBPyConnection", cursor).fetchnumpy().values()
        return [_unmasked(column, d) for column, d in zip(columns, dtypes, strict=True)]

    def run[T](self, subject: str, read: Callable[[], T]) -> T:
        """Once: nothing about an embedded database gets better by waiting."""
        return run_once(subject, read)


class DbApiDialect:
    """Any DB-API driver with ``%(name)s`` parameters (``pyformat``).

    Lists are spelled out, one placeholder per id: SQL Server has no list parameter, and drivers
    differ in what they make of a Python list. It refuses statements with very long lists.
    """

    ids_per_query = 2_000
    is_tsql = False
    digests_rows = False
    names = PLAIN_NAMES
    parts = WHOLE
    rows_per_fetch = 20_000

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """``IN (:ids)`` becomes ``IN (%(ids_0)s, %(ids_1)s, …)``."""
        bound: dict[str, object] = {}
        for name, value in parameters.items():
            if isinstance(value, list):
                each = {f"{name}_{i}": item for i, item in enumerate(value)}
                listed = ", ".join(f"%({key})s" for key in each)
                sql = re.sub(rf"IN \(:{name}\)", f"IN ({listed})", sql)
                bound |= each
            else:
                bound[name] = value
        return _PARAMETER.sub(r"%(\1)s", sql), bound

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[ResultColumn]:
        """Rows in portions, each turned into arrays before the next is read."""
        portions = [[np.empty(0, dtype) for dtype in dtypes]]
        while rows := cursor.fetchmany(self.rows_per_fetch):
            columns = zip(*map(_values, rows), strict=True)
            portions.append([np.array(c, dtype=d) for c, d in zip(columns, dtypes, strict=True)])
        return [np.concatenate(column) for column in zip(*portions, strict=True)]

    def run[T](self, subject: str, read: Callable[[], T]) -> T:
        """Once: what an unknown driver's errors mean is not known."""
        return run_once(subject, read)


def run_once[T](subject: str, read: Callable[[], T]) -> T:
    """``read()``, whatever it raises as a ``SourceError``; Ctrl-C stays Ctrl-C."""
    try:
        return read()
    except Exception as exc:  # drivers share no base class of errors
        if is_interrupt(exc):
            raise KeyboardInterrupt from exc
        reason = str(exc) or type(exc).__name__
        raise SourceError(f"{subject} could not be read: {reason}") from exc


def _values(row: Row) -> Sequence[object]:
    """pymssql connections opened ``as_dict`` hand out mappings, in column order."""
    return tuple(row.values()) if isinstance(row, Mapping) else row


def _unmasked(column: object, dtype: str) -> ResultColumn:
    """A column of DuckDB's (masked if it holds NULL, a pandas Categorical for an ENUM)."""
    if isinstance(column, np.ma.MaskedArray):
        filled = np.array(np.ma.getdata(column), dtype=dtype)
        nothing = np.array(np.nan if dtype == "float64" else None, dtype=dtype)
        filled[np.ma.getmaskarray(column)] = nothing
        return filled
    return np.asarray(column).astype(dtype, copy=False)
