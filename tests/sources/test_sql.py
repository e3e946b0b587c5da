"""What the dialects do differently, and how one is chosen."""

import logging
import re
import tracemalloc
from datetime import timedelta
from decimal import Decimal

import duckdb
import numpy as np
import pytest

from tests.sources.helpers import (
    AS_OF,
    Line,
    PyformatConnection,
    assert_same_events,
    database,
    rows_of,
)
from toolkit.errors import SourceError
from toolkit.sources.base import ProductInfo
from toolkit.sources.dialects import DbApiDialect, DuckDbDialect
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import SqlSource, as_source

LINES = [Line(1, 101, 1, -9, price=5.0), Line(2, 102, 2, -4, quantity=3, price=2.0)]


class Failing(PyformatConnection):
    """A driver that fails at one step, as a dropped connection would make it."""

    step = "execute"

    def cursor(self):
        if self.step == "cursor":
            raise OSError("not connected")
        cursor = super().cursor()
        setattr(cursor, self.step, self._fail)
        return cursor

    def _fail(self, *args):
        raise OSError("connection dropped")


def test_a_source_passes_through():
    source = as_source(duckdb.connect())
    assert as_source(source) is source


@pytest.mark.parametrize("other", [None, "orders.duckdb", 5, object()])
def test_what_is_no_connection_is_named(other):
    with pytest.raises(TypeError, match=f"connection.* received {type(other).__name__}"):
        as_source(other)


def test_the_dialect_follows_the_connection():
    lists = {"ids": [4, 5]}
    assert DuckDbDialect().bind("x.ID IN (:ids)", lists) == (
        "list_contains($ids, x.ID)",
        {"ids": [4, 5]},
    )
    assert DbApiDialect().bind("x.ID IN (:ids)", lists) == (
        "x.ID IN (%(ids_0)s, %(ids_1)s)",
        {"ids_0": 4, "ids_1": 5},
    )


def test_db_api_binds_one_placeholder_per_distinct_id():
    connection = PyformatConnection(database(LINES))
    as_source(connection).order_events(AS_OF, np.array([2, 1, 2]))
    (query,) = connection.queries
    assert "IN (%(product_ids_0)s, %(product_ids_1)s)" in query
    assert query.count("%(as_of_date)s") == 2


def test_long_lists_are_cut_into_several_statements():
    class ShortLists(DbApiDialect):
        ids_per_query = 2

    lines = [Line(i, 101, i, -i) for i in range(1, 8)]
    products = {i: f"Part {i}" for i in range(1, 8)}
    connection = PyformatConnection(database(lines, products=products))
    source = SqlSource(connection, ShortLists())
    events = source.order_events(AS_OF, [7, 3, 1, 2, 6, 5])
    assert [row[0] for row in rows_of(events)] == [1, 2, 3, 5, 6, 7]
    assert len(connection.queries) == 3
    assert source.products(AS_OF, [7, 1, 2]).keys() == {1, 2, 7}
    assert connection.open_cursors == 0


def test_few_ids_take_no_room_for_many():
    source = as_source(database(LINES))
    source.order_events(AS_OF, [1])
    tracemalloc.start()
    try:
        source.order_events(AS_OF, [1])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_long_lists_of_customers_are_cut_too():
    class ShortLists(DbApiDialect):
        ids_per_query = 2

    lines = [Line(i, 100 + i, 1, -i) for i in range(1, 8)]
    connection = PyformatConnection(database(lines))
    days = SqlSource(connection, ShortLists()).customer_days(AS_OF, [107, 103, 101, 102, 106])
    assert days.customer_id.tolist() == [101, 102, 103, 106, 107]
    assert days.day.tolist() == [-1, -2, -3, -6, -7]
    assert len(connection.queries) == 3


def test_db_api_reads_portion_by_portion():
    orders = generate_orders(Truth(customers=30, products=5, pairs=100, days=200), seed=2)
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        as_of = orders.truth.start_date + timedelta(200)
        in_portions = as_source(PyformatConnection(conn, largest_fetch=7)).order_events(as_of)
        assert len(in_portions) > 70
        assert_same_events(in_portions, as_source(conn).order_events(as_of))


def test_rows_may_come_as_mappings():
    connection = PyformatConnection(database(LINES), as_dict=True)
    source = as_source(connection)
    assert rows_of(source.order_events(AS_OF)) == [(1, 101, -9, 1.0), (2, 102, -4, 3.0)]
    assert source.customer_days(AS_OF, [102]).day.tolist() == [-4]
    assert source.products(AS_OF, [1]) == {1: ProductInfo("Nuts", 5.0)}
    assert source.customer_names([101]) == {101: "Ann"}


@pytest.mark.parametrize("dress", [lambda conn: conn, PyformatConnection])
def test_decimal_and_whole_columns_are_numbers_too(dress):
    conn = database(LINES)
    conn.execute("ALTER TABLE dbo.OrderItem ALTER Qty TYPE DECIMAL(12, 3)")
    conn.execute("ALTER TABLE dbo.OrderItem ALTER PricePerItem TYPE DECIMAL(12, 2)")
    conn.execute("ALTER TABLE dbo.OrderItem ALTER ProductID TYPE INTEGER")
    assert type(conn.execute("SELECT sum(Qty) FROM dbo.OrderItem").fetchone()[0]) is Decimal
    source = as_source(dress(conn))
    events = source.order_events(AS_OF)
    assert (events.quantity.dtype, events.product_id.dtype) == (np.float64, np.int64)
    assert rows_of(events) == [(1, 101, -9, 1.0), (2, 102, -4, 3.0)]
    days = source.customer_days(AS_OF, [101, 102])
    assert (days.customer_id.dtype, days.products.dtype) == (np.int64, np.int64)
    assert days.day.tolist() == [-9, -4]
    assert source.products(AS_OF, [2]) == {2: ProductInfo("Bolts", 2.0)}


@pytest.mark.parametrize("dress", [lambda conn: conn, PyformatConnection])
def test_names_may_be_an_enum(dress):
    conn = database(LINES)
    conn.execute("CREATE TYPE names AS ENUM ('Ann', 'Bob', 'Cay')")
    conn.execute("ALTER TABLE dbo.Client ALTER Name TYPE names")
    assert as_source(dress(conn)).customer_names([101, 102]) == {101: "Ann", 102: "Bob"}


def test_lines_and_orders_without_a_product_or_a_customer_are_no_events():
    conn = database([*LINES, Line(3, 103, None, -2)])
    conn.execute("UPDATE dbo.ClientAgreement SET ClientID = NULL WHERE ID = 102")
    source = as_source(conn)
    assert rows_of(source.order_events(AS_OF)) == [(1, 101, -9, 1.0)]
    assert source.customer_days(AS_OF, [101, 102, 103]).customer_id.tolist() == [101]


@pytest.mark.parametrize("step", ["cursor", "execute", "fetchmany"])
def test_a_driver_that_fails_leaves_no_cursor_open(step):
    connection = Failing(database(LINES))
    connection.step = step
    with pytest.raises(SourceError, match=r"order events could not be read: .*connect") as caught:
        as_source(connection).order_events(AS_OF)
    assert isinstance(caught.value.__cause__, OSError)
    assert connection.open_cursors == 0


def test_an_error_without_a_text_is_named():
    class Silent(Failing):
        def _fail(self, *args):
            raise ConnectionResetError

    with pytest.raises(SourceError, match="could not be read: ConnectionResetError"):
        as_source(Silent(database(LINES))).order_events(AS_OF)


def test_ctrl_c_is_no_source_error():
    class Interrupted(Failing):
        def _fail(self, *args):
            raise RuntimeError("Query interrupted")

    connection = Interrupted(database(LINES))
    with pytest.raises(KeyboardInterrupt):
        as_source(connection).order_events(AS_OF)
    assert connection.open_cursors == 0


def test_days_that_returns_cancel_are_counted_in_the_log(caplog):
    conn = database([*LINES, Line(3, 103, 1, -2, quantity=-1)])
    with caplog.at_level(logging.DEBUG, logger="toolkit.sources.columns"):
        as_source(conn).order_events(AS_OF)
    assert caplog.messages == [
        "1 customer days left out: returns cancel their orders; 1 units reverse none"
    ]


@pytest.mark.parametrize("day", ["0044-03-15 (BC)", "-infinity"])
def test_a_day_before_the_year_1_is_named_with_its_table(day):
    """NumPy's dates go further back than Python's, and DuckDB's further still."""
    with database(LINES) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Created = $1::TIMESTAMP WHERE ID = 2", [day])
        said = f"dbo.OrderItem.Created holds {day}, a date before the year 1: `toolkit check`"
        source = as_source(conn)
        for read in (
            lambda: source.order_events(AS_OF),
            lambda: source.order_events(AS_OF, [2]),
            lambda: source.customer_days(AS_OF, [102]),
        ):
            with pytest.raises(SourceError, match=re.escape(said)):
                read()
        assert len(source.order_events(AS_OF, [1])) == 1
