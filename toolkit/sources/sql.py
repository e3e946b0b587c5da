"""Order data behind a SQL connection: DuckDB natively, SQL Server and others through DB-API 2.0.

``SqlSource`` is the source; a dialect knows how one kind of driver binds parameters, how it
hands over columns, and what its failures mean. The connection stays its owner's: it is never
opened, closed, committed or configured here, and every cursor is closed, after an error too.
"""

import math
import operator
import re
from collections.abc import Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from itertools import batched
from typing import cast

import duckdb
import numpy as np

from toolkit.data.ids import Kind
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    CustomerDays,
    OrderEvents,
    by_week,
    observed_weeks,
)
from toolkit.data.zones import today_in
from toolkit.sources.base import OrderSource, ProductInfo
from toolkit.sources.columns import (
    before_all_dates,
    cut,
    joined,
    to_customer_days,
    to_events,
    to_products,
)
from toolkit.sources.dialects import (
    Connection,
    DbApiDialect,
    Dialect,
    DuckDbDialect,
    Parameters,
    ResultColumn,
    run_once,
)
from toolkit.sources.embedded.zone import zone_of
from toolkit.sources.names import PLAIN_NAMES, Names
from toolkit.sources.parquet.reading import dialect_of
from toolkit.sources.queries import (
    ALL_NAMES,
    CATEGORIES,
    CATEGORIES_OF_PRODUCTS,
    CUSTOMER_DAYS,
    CUSTOMER_DAYS_OF_HEIRS,
    CUSTOMER_NAMES,
    CUSTOMERS_KNOWN,
    DIGESTS,
    LAST_DAY,
    ORDER_EVENTS,
    ORDER_EVENTS_OF_PRODUCTS,
    ORDERED_PRODUCTS,
    PRODUCT_COLUMNS,
    PRODUCTS,
    PRODUCTS_KNOWN,
    Query,
)
from toolkit.sources.replaced import Replacements, heirs_of
from toolkit.sources.sqlserver.dialect import SqlServerDialect, is_pymssql, is_renewed
from toolkit.sources.sqlserver.faults import PATIENCE, Patience

_NO_DAY = re.compile(r"Could not convert DATE \((.*)\) to microseconds")


class SqlSource:
    """Order data in the tables ``dbo.Client``, ``ClientAgreement``, ``Order``, ``OrderItem``,
    ``Product``, read over a connection that its caller owns; see ``OrderSource``.

    A DB-API connection answers up to 2,000 ids with one query, and more with one per 2,000. Orders
    of replaced products are those of their heirs (``toolkit.sources.replaced``): an embedded
    database tells of them, once.
    """

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        """``as_source`` picks the dialect of a connection."""
        self._connection = connection
        self._dialect = dialect

    @cached_property
    def _replacements(self) -> Replacements:
        return Replacements.of(self._connection)

    def replacements(self) -> Replacements:
        """Which products others replaced: those that an embedded database tells of."""
        return self._replacements

    def order_events(
        self,
        as_of_date: date,
        product_ids: Sequence[int] | None = None,
        *,
        replaced_before: date | None = None,
    ) -> OrderEvents:
        """Order events before the date, sorted by product, customer, day; None: all products.

        Orders of a product that was replaced before the date are those of the one that replaced it,
        or, to see what came after an earlier date, only if it was ``replaced_before`` that. Returns
        before the date are taken out of the orders that they reverse, see
        ``returns.offset_returns``; what is wholly taken back is no order event. Raises
        ``SourceError`` if the database fails.
        """
        as_of_date = _plain_date(as_of_date)
        heirs = self._replacements.heirs(_plain_date(replaced_before or as_of_date))
        if product_ids is None and not self._replacements.each:
            parts = self.product_parts(as_of_date)
            if len(parts) > 1:  # to sort them all at once would take twice the memory
                return joined([self.order_events(as_of_date, ids) for ids in parts])
        if product_ids is None:
            columns = self._read(ORDER_EVENTS, {"as_of_date": as_of_date})
        else:
            read = _with_replaced([p for p in product_ids if p not in heirs], heirs)
            columns = self._read_ids(ORDER_EVENTS_OF_PRODUCTS, "product_ids", read, as_of_date)
        return to_events(as_of_date, columns, heirs)

    def customer_days(self, as_of_date: date, customer_ids: Sequence[int]) -> CustomerDays:
        """Days before the date on which the customers ordered any product: as order events tell."""
        as_of_date = _plain_date(as_of_date)
        heirs = self._replacements.heirs(as_of_date)
        query = CUSTOMER_DAYS_OF_HEIRS if heirs else CUSTOMER_DAYS
        more: Parameters = {"product_ids": [*{*heirs, *heirs.values()}]} if heirs else {}
        columns = self._read_ids(query, "customer_ids", customer_ids, as_of_date, more)
        return to_customer_days(as_of_date, columns, heirs)

    def ordered_products(self, as_of_date: date, customer_ids: Sequence[int]) -> list[int]:
        """Products of which the customers ordered anything before the date, ascending."""
        as_of_date = _plain_date(as_of_date)
        (ids,) = self._read_ids(ORDERED_PRODUCTS, "customer_ids", customer_ids, as_of_date)
        heirs = self._replacements.heirs(as_of_date)
        return [int(i) for i in np.unique(heirs_of(ids.astype(np.int64, copy=False), heirs))]

    def products(self, as_of_date: date, product_ids: Sequence[int]) -> dict[int, ProductInfo]:
        """Name and price before the date, for those of the products that exist.

        One without a price of its own has that of the products that it replaced before the date.
        """
        as_of_date = _plain_date(as_of_date)
        heirs = self._replacements.heirs(as_of_date)
        read = _with_replaced(product_ids, heirs)
        columns = self._read_ids(PRODUCTS, "product_ids", read, as_of_date)
        found = to_products(columns)
        if not heirs:
            return found
        together = to_products([heirs_of(columns[0].astype(np.int64), heirs), *columns[1:]])
        asked = {*product_ids} & found.keys()
        unpriced = {i for i in asked - heirs.keys() if found[i].unit_price is None}
        return {
            i: replace(found[i], unit_price=together[i].unit_price) if i in unpriced else found[i]
            for i in sorted(asked)
        }

    def customer_names(self, customer_ids: Sequence[int]) -> dict[int, str]:
        """Names of those of the customers that have one."""
        ids, names = self._read_ids(CUSTOMER_NAMES, "customer_ids", customer_ids)
        return dict(zip(ids.tolist(), names.tolist(), strict=True))

    def categories(self, product_ids: Sequence[int] | None = None) -> dict[int, str]:
        """The category of those of the products that have one; None: of all products.

        None has one where the table of products has no such column. Two queries, or one.
        """
        if not self._has_categories():
            return {}
        if product_ids is None:
            columns = self._read(CATEGORIES, {})
        else:
            columns = self._read_ids(CATEGORIES_OF_PRODUCTS, "product_ids", product_ids)
        named = zip(columns[0].tolist(), columns[1].tolist(), strict=True)
        return {i: text for i, name in named if (text := str(name).strip())}

    def product_parts(self, as_of_date: date) -> list[list[int] | None]:
        """Products ordered before the date, a list for each part that they lie in.

        ``[None]``, which stands for all, where there are no parts. Of a product that was replaced
        the one that took its place is listed. Raises ``SourceError`` if the database fails.
        """
        first_ids = self._dialect.parts.get("product_ids", ())
        if len(first_ids) < 2:
            return [None]
        as_of_date = _plain_date(as_of_date)
        (ids,) = self._read(PRODUCTS_KNOWN, {"as_of_date": as_of_date})
        heirs = self._replacements.heirs(as_of_date)
        known = np.unique(heirs_of(ids.astype(np.int64, copy=False), heirs))
        return [*cut(known, first_ids)]

    def customer_parts(self, as_of_date: date) -> list[list[int]]:
        """Customers who ordered before the date, a list for each part that they lie in."""
        (ids,) = self._read(CUSTOMERS_KNOWN, {"as_of_date": _plain_date(as_of_date)})
        return cut(ids.astype(np.int64, copy=False), self._dialect.parts.get("customer_ids", ()))

    def state(self) -> Hashable | None:
        """A digest of every row of DuckDB's own tables; None of others."""
        if not self._dialect.digests_rows:
            return None
        columns = self._read(DIGESTS, {})
        return tuple(sorted(zip(*(column.tolist() for column in columns), strict=True)))

    def all_names(self, kind: Kind) -> dict[int, str]:
        """Names of all products or customers that have one; no forecast is made from them."""
        ids, names = self._read(ALL_NAMES[kind], {})
        return dict(zip(ids.tolist(), names.tolist(), strict=True))

    def today(self) -> date:
        """The date in the time zone of the orders; this machine's, where none is known."""
        conn, zone = self._connection, self._dialect.names.timezone
        if zone is None and isinstance(conn, duckdb.DuckDBPyConnection):
            zone = run_once("the time zone", lambda: zone_of(conn))
        return today_in(zone)

    def last_order_day(self) -> date | None:
        """As the function of this name."""
        ((last,),) = self._read(LAST_DAY, {"today": self.today()})
        return None if np.isnat(last) else cast("date", last.item())

    def weekly_quantities(self, product_id: int, start: date, weeks: int) -> list[float]:
        """As the function of this name."""
        if start + timedelta(weeks=1) > self.today():
            return [math.nan] * weeks
        last = self.last_order_day()
        over = 0 if last is None else observed_weeks(start, last, weeks)
        end = start + timedelta(weeks=over)
        events = self.order_events(end, [product_id], replaced_before=start)
        day, units = events.day + DAYS_PER_WEEK * over, np.nan_to_num(events.quantity)
        (ordered,) = by_week(np.zeros_like(day), day, units, 1, over)
        return [*ordered.tolist(), *[math.nan] * (weeks - over)]

    def _has_categories(self) -> bool:
        there = self._dialect.names["Product"]
        tables = [there.table, there.table.lower()]
        schemas, columns = self._read(PRODUCT_COLUMNS, {"tables": tables})
        found = zip(schemas.tolist(), columns.tolist(), strict=True)
        wanted = there.schema.lower(), there.column("Category").lower()
        return wanted in {(schema.lower(), column.lower()) for schema, column in found}

    def _read_ids(
        self,
        query: Query,
        name: str,
        ids: Sequence[int],
        as_of_date: date | None = None,
        more: Parameters = {},  # noqa: B006 - it is only read
    ) -> list[ResultColumn]:
        dated: Parameters = more if as_of_date is None else {**more, "as_of_date": as_of_date}
        portions = [[np.empty(0, dtype) for dtype in query.dtypes]]
        distinct = sorted({operator.index(i) for i in ids})  # so that portions join up sorted
        # `batched` makes room for a whole portion at once: ten million would take 70 ms
        for portion in batched(distinct, max(1, min(self._dialect.ids_per_query, len(distinct)))):
            portions.append(self._read(query, {**dated, name: list(portion)}))
        return [np.concatenate(column) for column in zip(*portions, strict=True)]

    def _read(self, query: Query, parameters: Parameters) -> list[ResultColumn]:
        form = (self._dialect.is_tsql and query.tsql) or query.sql
        sql, bound = self._dialect.bind(form, parameters)

        def read() -> list[ResultColumn]:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, bound)
                try:
                    return self._dialect.fetch(cursor, query.dtypes)
                except duckdb.ConversionException as exc:
                    found = _NO_DAY.search(str(exc))
                    if found is None:
                        raise
                    raise before_all_dates(found[1]) from exc

        return self._dialect.run(query.subject, read)


def sqlserver_source(
    connection: Connection, names: Names = PLAIN_NAMES, patience: Patience = PATIENCE
) -> SqlSource:
    """The orders behind a pymssql connection, from a pool or not, in tables of other ``names``.

    What may pass (a deadlock, a dropped connection) is tried again within ``patience``; a
    connection that is dead is replaced by its pool, and by nobody where there is none.
    """
    return SqlSource(connection, SqlServerDialect(names, patience, is_renewed(connection)))


def as_source(connection: OrderSource | Connection) -> OrderSource:
    """The order data behind a connection; an ``OrderSource`` is returned as it is.

    ``connection`` is a DuckDB connection, one of pymssql's (from a pool or not), any other DB-API
    connection with ``%(name)s`` parameters, or a source. Raises ``TypeError`` for anything else.

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
        dialect = dialect_of(connection) or DuckDbDialect()
        return SqlSource(cast("Connection", connection), dialect)
    if is_pymssql(connection):
        return sqlserver_source(connection)
    if callable(getattr(connection, "cursor", None)):
        return SqlSource(connection, DbApiDialect())
    raise TypeError(
        "orders are read from a DuckDB or DB-API connection, or from an OrderSource; "
        f"received {type(connection).__name__}"
    )


def weekly_quantities(
    connection: OrderSource | Connection, product_id: int, start: date, weeks: int
) -> list[float]:
    """Units really ordered from ``start`` on, [weeks]; NaN in a week not over by the last order.

    Returns in those weeks are taken out of the orders that they reverse. An order of today or a day
    to come does not tell that the weeks before it are over. To be drawn beside a forecast, never to
    make one.
    """
    return _database(connection, "what was ordered").weekly_quantities(product_id, start, weeks)


def last_order_day(connection: OrderSource | Connection) -> date | None:
    """The last day before today on which anything was ordered; None if nothing was.

    The day after it is the latest date as of which all orders count.
    """
    return _database(connection, "when the last order was").last_order_day()


def all_names(connection: OrderSource | Connection, kind: Kind) -> dict[int, str]:
    """Names of all products or customers that have one, to find an id by."""
    return _database(connection, "for names").all_names(kind)


def _database(connection: OrderSource | Connection, what: str) -> SqlSource:
    source = as_source(connection)
    if not isinstance(source, SqlSource):
        raise TypeError(f"a database is asked {what}, not a {type(source).__name__}")
    return source


def _with_replaced(product_ids: Sequence[int], heirs: Mapping[int, int]) -> list[int]:
    """The products, and those whose orders they inherited."""
    asked = {*product_ids}
    return [*product_ids, *(old for old, new in heirs.items() if new in asked)]


def _plain_date(moment: date) -> date:
    """A ``datetime`` is a ``date`` to Python; to a database its clock time would count."""
    return date(moment.year, moment.month, moment.day)
