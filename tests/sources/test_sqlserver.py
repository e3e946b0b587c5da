"""A SQL Server's orders through every kind of connection: equal to DuckDB's, read and only read."""

import json
import re
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import pymssql
import pytest

from tests.conftest import AS_OF, known_products
from tests.sources.helpers import PyformatConnection, assert_same_events
from tests.sources.sales import QUICK, Sales, strikes
from tests.tds.catalog import add_catalog
from tests.tds.faults import Drop
from tests.tds.server import TdsServer
from toolkit.engine import ForecastEngine
from toolkit.errors import SourceError
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.names import Names, TableNames
from toolkit.sources.sql import as_source, sqlserver_source
from toolkit.sources.sqlserver.dialect import (
    SqlServerDialect,
    connect,
    is_pymssql,
    is_renewed,
    whole_result,
)
from toolkit.sources.sqlserver.faults import LostRowsError

NOON = datetime(2025, 11, 11, 12, tzinfo=UTC)
WRITING = r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|DROP|ALTER|CREATE|EXEC|EXECUTE|INTO|GRANT)\b"


def forecasts(conn, products, as_of, **settings):
    """As bytes."""
    engine = ForecastEngine(conn, clock=lambda: NOON, **settings)
    made = engine.generate_forecasts(products, as_of)
    return json.dumps({i: f and f.to_dict() for i, f in made.items()}).encode()


@pytest.fixture
def served(database):
    """The generated orders that the engine's tests have, on a server."""
    with TdsServer({"Sales": database}) as server:
        yield Sales(database, server)
        assert server.wait_for_sessions(0) == 0


def test_forecasts_are_duckdbs_to_the_byte(served):
    products = known_products(served.duck)
    pool = served.pool()
    with (
        closing(served.connect()) as plain,
        closing(pool.connection()) as pooled,
        connect(served.settings()) as own,
    ):
        for as_of in (AS_OF, AS_OF - timedelta(35), AS_OF - timedelta(140)):
            expected = forecasts(served.duck, products, as_of)
            assert len(expected) > 10_000
            for conn in (plain, pooled, own):
                assert forecasts(conn, products, as_of) == expected
    pool.close()


@pytest.mark.parametrize("count", [1, 1000])
def test_a_forecast_is_three_queries_counted_at_the_server(served, count):
    products = [*known_products(served.duck), *range(10_001, 11_000)][:count]
    with closing(served.connect()) as conn:
        served.server.seen.batches.clear()
        ForecastEngine(conn).generate_forecasts(products, AS_OF)
    assert len(served.server.seen.batches) == len(served.server.seen.queries) == 3


def test_a_query_lists_two_thousand_ids_at_most(served):
    products = known_products(served.duck)
    many = [*products, *range(10_001, 12_001)]
    with closing(served.connect()) as conn:
        found = as_source(conn).order_events(AS_OF, many)
    assert_same_events(found, as_source(served.duck).order_events(AS_OF, products))
    lists = [re.findall(r"IN \(([\d, ]+)\)", sql)[0] for sql in served.server.seen.queries]
    assert [len(listed.split(",")) for listed in lists] == [2000, len(products)]


def test_the_toolkits_own_connections_say_that_they_only_read_unless_told(sales):
    """A listener then leads them to a readable replica."""
    with connect(sales.settings()):
        pass
    with connect(sales.settings(application_intent="ReadWrite")):
        pass
    assert [login.read_only for login in sales.server.seen.logins] == [True, False]


@pytest.mark.parametrize("allowed", [True, False])
def test_readers_see_a_snapshot_where_the_database_allows_it(sales, allowed):
    add_catalog(sales.duck, snapshot_isolation=allowed)
    with connect(sales.settings()):
        pass
    levels = [s for s in sales.server.seen.settings if "ISOLATION LEVEL" in s]
    begin = "SET TRANSACTION ISOLATION LEVEL"
    assert levels == [f"{begin} READ COMMITTED", f"{begin} SNAPSHOT"][: 1 + allowed]


def test_nothing_is_written_and_no_transaction_begun(served):
    with connect(served.settings()) as conn:
        forecasts(conn, known_products(served.duck), AS_OF)
    for batch in served.server.seen.batches:
        assert not re.search(WRITING, batch, re.IGNORECASE)
        assert "TRAN " not in batch.replace("TRANSACTION ISOLATION", "")
    assert "SET DEADLOCK_PRIORITY LOW" in served.server.seen.batches[0]


def test_a_connection_in_a_transaction_of_its_owners_stays_in_it(served):
    with closing(served.connect(autocommit=False)) as conn:
        products = known_products(served.duck)
        assert forecasts(conn, products, AS_OF) == forecasts(served.duck, products, AS_OF)
        words = [b.split()[0] for b in served.server.seen.batches if "TRAN" in b]
    assert "COMMIT" not in words
    assert "ROLLBACK" not in words


def test_the_kind_of_a_connection_is_seen(sales):
    pool = sales.pool()
    with (
        closing(sales.connect()) as plain,
        closing(pool.connection()) as pooled,
        closing(sales.steady()) as own,
    ):
        assert [is_pymssql(c) for c in (plain, pooled, own)] == [True] * 3
        assert [is_renewed(c) for c in (plain, pooled, own)] == [False, True, True]
    pool.close()
    assert not is_pymssql(sales.duck)
    assert not is_pymssql(PyformatConnection(sales.duck))


def test_rows_may_come_as_mappings(sales):
    expected = as_source(sales.duck).order_events(AS_OF)
    with closing(sales.connect(as_dict=True)) as conn:
        assert_same_events(as_source(conn).order_events(AS_OF), expected)


def test_a_second_reader_of_a_connection_is_found_out(sales):
    """It takes what the first has not fetched yet, and the driver says nothing."""
    with closing(sales.connect()) as conn:
        first, second = conn.cursor(), conn.cursor()
        first.execute("SELECT ID FROM dbo.OrderItem")

        def read():
            with whole_result(first) as counted:
                rows = first.fetchmany(10)
                second.execute("SELECT COUNT(*) AS N FROM dbo.Client")
                rows += first.fetchmany(1_000_000)
                counted(len(rows))

        with pytest.raises(LostRowsError):
            read()


def test_a_result_is_cancelled_where_reading_it_fails(sales):
    """Lest the server keep the query open until somebody uses the connection again."""
    sales.duck.execute(
        "CREATE TABLE dbo.Wide AS SELECT CAST(range AS VARCHAR) || repeat('x', 500) AS T,"
        " range AS N FROM range(40000)"
    )
    with closing(sales.connect()) as conn, closing(conn.cursor()) as cursor:
        cursor.execute("SELECT T, N FROM dbo.Wide")
        assert sales.server.wait_for_batches(0, 0.2) == 1
        with pytest.raises(ValueError, match="invalid literal"):
            SqlServerDialect().fetch(cursor, ("int64", "int64"))
        assert sales.server.wait_for_batches(0) == 0


def test_a_server_that_does_not_count_rows_is_believed(sales):
    with closing(sales.connect(conn_properties="SET NOCOUNT ON")) as conn:
        expected = as_source(sales.duck).order_events(AS_OF)
        assert_same_events(as_source(conn).order_events(AS_OF), expected)


def test_threads_that_share_a_source_wait_for_each_other(sales):
    expected = as_source(sales.duck).order_events(AS_OF)
    found, failed = [], []
    with closing(sales.connect()) as conn:
        source = as_source(conn)

        def read():
            try:
                found.extend(source.order_events(AS_OF) for _ in range(5))
            except SourceError as exc:
                failed.append(exc)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not failed
    assert len(found) == 20
    for events in found:
        assert_same_events(events, expected)


@pytest.mark.parametrize("as_of", [date(2021, 9, 4), datetime(2021, 9, 4, 13, 30, tzinfo=UTC)])
def test_dates_are_days_and_numbers_plain_in_what_is_sent(sales, as_of):
    products = np.array([2, 1], dtype=np.int32)
    with closing(sales.connect()) as conn:
        events = as_source(conn).order_events(as_of, products)
    assert_same_events(events, as_source(sales.duck).order_events(date(2021, 9, 4), [1, 2]))
    (query,) = sales.server.seen.queries
    assert query.count("CAST('2021-09-04' AS DATE)") == 2
    assert "IN (1, 2)" in query


def test_tables_and_columns_of_other_names():
    orders = generate_orders(Truth(customers=20, products=6, pairs=60, days=200), seed=4)
    as_of = orders.truth.start_date + timedelta(190)
    names = Names(
        {
            "Client": TableNames("crm", "Shop list", {"ID": "Shop No", "Name": 'The "Name"'}),
            "Order": TableNames("sales", "Order", {"Created": "Ordered"}),
            "OrderItem": TableNames("sales", "Lines", {"Qty": "Select", "Created": "Added"}),
            "Product": TableNames("dbo", "Article"),
        }
    )
    with duckdb.connect() as duck:
        load_orders(orders, duck)
        sources = as_source(duck)
        expected = sources.order_events(as_of), sources.products(as_of, [1, 2, 3])
        shops = sources.customer_names(orders.customers.customer_id.tolist())
        rename(duck, names)
        with TdsServer({"Sales": duck}) as server:
            with connect(Sales(duck, server).settings()) as conn:
                source = sqlserver_source(conn, names)
                assert_same_events(source.order_events(as_of), expected[0])
                assert source.products(as_of, [1, 2, 3]) == expected[1]
                assert source.customer_names(list(shops)) == shops
                with pytest.raises(SourceError, match="a table is missing"):
                    sqlserver_source(conn).order_events(as_of)
            assert server.wait_for_sessions(0) == 0


def rename(duck, names):
    for table, columns in TABLES.items():
        there = names[table]
        listed = ", ".join(
            f'{c} AS "{there.column(c).replace(chr(34), chr(34) * 2)}"' for c in columns
        )
        duck.execute(f'CREATE SCHEMA IF NOT EXISTS "{there.schema}"')
        if table in names.tables:
            duck.execute(f'CREATE TABLE {there.quoted} AS SELECT {listed} FROM dbo."{table}"')
            duck.execute(f'DROP TABLE dbo."{table}"')


def test_the_toolkits_connection_opens_itself_again(sales):
    own = sales.steady()
    sales.server.on_batch = strikes(Drop())
    with closing(own.cursor()) as cursor, pytest.raises(pymssql.OperationalError):
        cursor.execute("SELECT COUNT(*) AS N FROM dbo.Client", {})
    assert sales.server.wait_for_sessions(0) == 0
    assert len(sqlserver_source(own, patience=QUICK).order_events(AS_OF)) > 0
    own.close()
    own.close()
    assert sales.server.wait_for_sessions(0) == 0
