"""Order data behind a SQL connection: DuckDB natively, any other database through DB-API 2.0.

``SqlSource`` is the source; a dialect knows how one kind of driver binds parameters and how
it hands over columns. The connection stays its owner's: it is never opened, closed, committed
or configured here, and every cursor is closed, after an error too.
"""

import logging
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from typing import Protocol, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SourceError
from toolkit.sources.base import OrderSource, ProductInfo
from toolkit.sources.embedded import is_interrupt
from toolkit.sources.queries import (
    CUSTOMER_DAYS,
    CUSTOMER_NAMES,
    FRACTION_DIGITS,
    ORDER_EVENTS,
    ORDER_EVENTS_OF_PRODUCTS,
    PRODUCTS,
    Query,
)
from toolkit.tables import CustomerDays, Floats, Ints, OrderEvents

logger = logging.getLogger(__name__)

type Parameters = Mapping[str, date | list[int]]
type Column = NDArray[np.generic]
type Row = Sequence[object] | Mapping[str, object]

_LIST_PARAMETER = re.compile(r"(\S+) IN \(:(\w+)\)")
_PARAMETER = re.compile(r":(\w+)")


class Cursor(Protocol):
    """What is needed of a DB-API cursor."""

    def execute(self, operation: str, parameters: dict[str, object], /) -> object:
        """Run one query."""
        ...

    def fetchmany(self, size: int, /) -> Sequence[Row]:
        """The next rows; none at the end."""
        ...

    def close(self) -> None:
        """Give the cursor back."""
        ...


class Connection(Protocol):
    """What is needed of a DB-API connection; a pooled one will do."""

    def cursor(self) -> Cursor:
        """A new cursor."""
        ...


class Dialect(Protocol):
    """How one kind of driver binds parameters and hands over columns."""

    @property
    def ids_per_query(self) -> int:
        """The longest list bound in one query; longer ones take several."""
        ...

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """The statement and its parameters as the driver takes them."""
        ...

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[Column]:
        """All rows of an executed query, one array per column; NULL is NaN or None."""
        ...


class DuckDbDialect:
    """DuckDB: ``$name`` parameters, a list as one parameter, columns straight into NumPy."""

    ids_per_query = 10_000_000

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """``x IN (:ids)`` becomes ``list_contains($ids, x)``.

        DuckDB sees through it to the values: it skips blocks by them and joins from the few lines
        that they leave, which it does not with a subquery over ``unnest``.
        """
        sql = _LIST_PARAMETER.sub(r"list_contains($\2, \1)", sql)
        return _PARAMETER.sub(r"$\1", sql), dict(parameters)

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[Column]:
        """Columns as DuckDB lays them out, without a Python object per value."""
        columns = cast("duckdb.DuckDBPyConnection", cursor).fetchnumpy().values()
        return [_unmasked(column, d) for column, d in zip(columns, dtypes, strict=True)]


class DbApiDialect:
    """Any DB-API driver with ``%(name)s`` parameters (``pyformat``), pymssql first of all.

    Lists are spelled out, one placeholder per id: SQL Server has no list parameter, and drivers
    differ in what they make of a Python list. It refuses statements with very long lists.
    """

    ids_per_query = 10_000
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

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[Column]:
        """Rows in portions, each turned into arrays before the next is read."""
        portions = [[np.empty(0, dtype) for dtype in dtypes]]
        while rows := cursor.fetchmany(self.rows_per_fetch):
            columns = zip(*map(_values, rows), strict=True)
            portions.append([np.array(c, dtype=d) for c, d in zip(columns, dtypes, strict=True)])
        return [np.concatenate(column) for column in zip(*portions, strict=True)]


class SqlSource:
    """Order data in the tables ``dbo.Client``, ``ClientAgreement``, ``Order``, ``OrderItem``,
    ``Product``, read over a connection that its caller owns; see ``OrderSource``.

    A DB-API connection answers up to 10,000 ids with one query, and more with one per 10,000.
    """

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        """``as_source`` picks the dialect of a connection."""
        self._connection = connection
        self._dialect = dialect

    def order_events(
        self, as_of_date: date, product_ids: Sequence[int] | None = None
    ) -> OrderEvents:
        """Order events before the date, sorted by product, customer, day; None: all products.

        Returns are netted against the same customer, product and day; what nets to zero or less
        is no order event. Raises ``SourceError`` if the database fails.
        """
        as_of_date = _plain_date(as_of_date)
        if product_ids is None:
            columns = self._read(ORDER_EVENTS, {"as_of_date": as_of_date})
        else:
            columns = self._read_ids(
                ORDER_EVENTS_OF_PRODUCTS, "product_ids", product_ids, as_of_date
            )
        return _to_events(as_of_date, columns)

    def customer_days(self, as_of_date: date, customer_ids: Sequence[int]) -> CustomerDays:
        """Days before the date on which the customers ordered any product."""
        as_of_date = _plain_date(as_of_date)
        customer_id, order_date, products = self._read_ids(
            CUSTOMER_DAYS, "customer_ids", customer_ids, as_of_date
        )
        return CustomerDays(
            customer_id.astype(np.int64, copy=False),
            _days_from(as_of_date, order_date),
            products.astype(np.int64, copy=False),
        )

    def products(self, as_of_date: date, product_ids: Sequence[int]) -> dict[int, ProductInfo]:
        """Name and last price before the date, for those of the products that exist."""
        ids, names, prices = self._read_ids(
            PRODUCTS, "product_ids", product_ids, _plain_date(as_of_date)
        )
        rows = zip(ids.tolist(), names.tolist(), prices.tolist(), strict=True)
        return {i: ProductInfo(name, _finite_or_none(price)) for i, name, price in rows}

    def customer_names(self, customer_ids: Sequence[int]) -> dict[int, str]:
        """Names of those of the customers that have one."""
        ids, names = self._read_ids(CUSTOMER_NAMES, "customer_ids", customer_ids)
        return dict(zip(ids.tolist(), names.tolist(), strict=True))

    def _read_ids(
        self, query: Query, name: str, ids: Sequence[int], as_of_date: date | None = None
    ) -> list[Column]:
        dated: Parameters = {} if as_of_date is None else {"as_of_date": as_of_date}
        portions = [[np.empty(0, dtype) for dtype in query.dtypes]]
        for portion in _portions(ids, self._dialect.ids_per_query):
            portions.append(self._read(query, {**dated, name: portion}))
        return [np.concatenate(column) for column in zip(*portions, strict=True)]

    def _read(self, query: Query, parameters: Parameters) -> list[Column]:
        sql, bound = self._dialect.bind(query.sql, parameters)
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, bound)
                return self._dialect.fetch(cursor, query.dtypes)
        except Exception as exc:  # drivers share no base class of errors
            if is_interrupt(exc):
                raise KeyboardInterrupt from exc
            reason = str(exc) or type(exc).__name__
            raise SourceError(f"{query.subject} could not be read: {reason}") from exc


def as_source(connection: OrderSource | Connection) -> OrderSource:
    """The order data behind a connection; an ``OrderSource`` is returned as it is.

    ``connection`` is a DuckDB connection, any DB-API connection with ``%(name)s`` parameters
    (pymssql, from a pool or not), or a source. Raises ``TypeError`` for anything else.

    DuckDB is read in a session of its own, so that results the caller has not fetched yet stay
    whole. What is set on the caller's session is not seen there: ``USE``, the time zone, a
    transaction that is still open.

    >>> import duckdb
    >>> isinstance(as_source(duckdb.connect()), OrderSource)
    True
    """
    if isinstance(connection, OrderSource):
        return connection
    if isinstance(connection, duckdb.DuckDBPyConnection):
        return SqlSource(cast("Connection", connection), DuckDbDialect())
    if callable(getattr(connection, "cursor", None)):
        return SqlSource(connection, DbApiDialect())
    raise TypeError(
        "orders are read from a DuckDB or DB-API connection, or from an OrderSource; "
        f"received {type(connection).__name__}"
    )


def _to_events(as_of_date: date, columns: Sequence[Column]) -> OrderEvents:
    product_id, customer_id, order_date, quantity = columns
    events = OrderEvents(
        as_of_date,
        product_id.astype(np.int64, copy=False),
        customer_id.astype(np.int64, copy=False),
        _days_from(as_of_date, order_date),
        _settled(quantity.astype(np.float64, copy=False)),
    )
    cancelled = events.quantity <= 0
    if not cancelled.any():
        return events
    logger.debug("%d customer days left out: returns cancel their orders", cancelled.sum())
    return events.where(~cancelled)


def _days_from(as_of_date: date, dates: Column) -> Ints:
    """Days from the as-of date on, negative before it; ``dates`` [rows] as ``datetime64[D]``."""
    days: Ints = dates.astype(np.int64) - np.datetime64(as_of_date, "D").astype(np.int64)
    return days


def _settled(quantity: Floats) -> Floats:
    """Fractions rounded, so that 0.1 + 0.2 - 0.3 is zero in whatever order it was added."""
    finite = np.where(np.isfinite(quantity), quantity, np.nan)
    whole: NDArray[np.bool_] = finite == np.rint(finite)
    return np.where(whole, finite, np.round(finite, FRACTION_DIGITS))


def _portions(ids: Sequence[int], size: int) -> Iterator[list[int]]:
    """The distinct ids in ascending order, so that sorted portions join up sorted."""
    distinct = sorted({operator.index(i) for i in ids})
    for start in range(0, len(distinct), size):
        yield distinct[start : start + size]


def _plain_date(moment: date) -> date:
    """A ``datetime`` is a ``date`` to Python; to a database its clock time would count."""
    return date(moment.year, moment.month, moment.day)


def _values(row: Row) -> Sequence[object]:
    """pymssql connections opened ``as_dict`` hand out mappings, in column order."""
    return tuple(row.values()) if isinstance(row, Mapping) else row


def _unmasked(column: object, dtype: str) -> Column:
    """A column of DuckDB's (masked if it holds NULL, a pandas Categorical for an ENUM)."""
    if isinstance(column, np.ma.MaskedArray):
        filled = np.array(np.ma.getdata(column), dtype=dtype)
        nothing = np.array(np.nan if dtype == "float64" else None, dtype=dtype)
        filled[np.ma.getmaskarray(column)] = nothing
        return filled
    return np.asarray(column).astype(dtype, copy=False)


def _finite_or_none(price: float) -> float | None:
    return price if np.isfinite(price) else None
