"""The server by itself: what the real driver makes of it, on every version of the protocol."""

import socket
import time
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pymssql
import pytest

from tests.tds.certificate import self_signed
from tests.tds.faults import DEADLOCK, Drop, Fail, Stall
from tests.tds.server import PASSWORD, USER, TdsServer

ROWS = 5000


@pytest.fixture
def duck():
    with duckdb.connect() as conn:
        conn.execute("CREATE SCHEMA dbo")
        conn.execute(
            "CREATE TABLE dbo.Numbers AS SELECT range AS A, range * 1.5 AS B,"
            f" TIMESTAMP '2024-02-29 23:59:59.5' AS C FROM range({ROWS})"
        )
        yield conn


@pytest.fixture
def server(duck):
    with TdsServer({"Sales": duck}) as server:
        yield server
        assert server.wait_for_sessions(0) == 0


def connect(server, **settings):
    known = {"user": USER, "password": PASSWORD, "database": "Sales", "autocommit": True}
    return pymssql.connect(**server.address, **(known | {"tds_version": "7.4"} | settings))


def ask(server, sql, **settings):
    with connect(server, **settings) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def read_all(cursor, into):
    cursor.execute("SELECT A FROM dbo.Numbers")
    for row in cursor:
        into.append(row)


@pytest.mark.parametrize("tds", ["7.1", "7.2", "7.3", "7.4"])
def test_values_of_every_type_arrive(server, tds):
    a_uuid = uuid.UUID(int=7)
    values = {
        "CAST(-5 AS SMALLINT)": -5,
        "CAST(2147483647 AS INT)": 2147483647,
        "CAST(-9223372036854775807 AS BIGINT)": -9223372036854775807,
        "CAST(1.25 AS DOUBLE PRECISION)": 1.25,
        "CAST(0.5 AS REAL)": 0.5,
        "CAST(-12.345 AS DECIMAL(9, 3))": Decimal("-12.345"),
        "CAST(1234567890123456789012345678.9 AS DECIMAL(38, 1))": Decimal(
            "1234567890123456789012345678.9"
        ),
        "CAST(7.5 AS MONEY)": Decimal("7.5000"),
        "CAST(1 AS BIT)": True,
        "N'Žluťoučký [kůň]'": "Žluťoučký [kůň]",
        "CAST('2024-02-29T12:30:00' AS DATETIME2)": datetime(2024, 2, 29, 12, 30),
        f"CAST('{a_uuid}' AS UNIQUEIDENTIFIER)": a_uuid,
    }
    if tds >= "7.3":
        values["CAST('2024-02-29' AS DATE)"] = date(2024, 2, 29)
    (row,) = ask(server, f"SELECT {', '.join(values)}", tds_version=tds)
    assert row == tuple(values.values())
    nulls = ", ".join(sql.replace(sql, f"NULLIF({sql}, {sql})") for sql in values)
    (row,) = ask(server, f"SELECT {nulls}", tds_version=tds)
    assert row == (None,) * len(values)


@pytest.mark.parametrize("datetime2", [False, True])
def test_moments_are_cut_to_what_the_type_holds(duck, datetime2):
    with TdsServer({"Sales": duck}, datetime2=datetime2) as server:
        sql = "SELECT CAST('2024-02-29T12:30:00.123456' AS DATETIME2) AS C FROM dbo.Numbers"
        found = {row[0].microsecond for row in ask(server, sql)}
    assert found == ({123456} if datetime2 else {123000})


def test_plain_columns_and_those_with_null_arrive_alike(server):
    plain = ask(server, "SELECT A, B, C FROM dbo.Numbers ORDER BY A")
    with_null = ask(server, "SELECT A, B, C, NULLIF(A, 3) AS D FROM dbo.Numbers ORDER BY A")
    assert plain == [row[:3] for row in with_null]
    assert plain[-1] == (ROWS - 1, (ROWS - 1) * 1.5, datetime(2024, 2, 29, 23, 59, 59, 500000))


def test_small_packets_and_none_that_ends_a_row(server, duck):
    for rows in (0, 1, 2, 30, 4999):
        assert len(ask(server, f"SELECT A FROM dbo.Numbers WHERE A < {rows}")) == rows


def test_it_encrypts(duck, tmp_path):
    with TdsServer({"Sales": duck}, tls=self_signed(tmp_path)) as server:
        found = ask(server, "SELECT A, B FROM dbo.Numbers", encryption="require")
        assert len(found) == ROWS
        assert server.wait_for_sessions(0) == 0
    with TdsServer({"Sales": duck}) as plain, pytest.raises(pymssql.OperationalError):
        connect(plain, encryption="require")


@pytest.mark.parametrize("wrong", [{"password": "x"}, {"user": "sa"}, {"database": "Other"}])
def test_strangers_are_refused(server, wrong):
    with pytest.raises(pymssql.OperationalError):
        connect(server, **wrong)


def test_what_clients_say_and_ask_is_noted(server):
    ask(server, "SELECT COUNT(*) AS N FROM dbo.Numbers", appname="forecasts")
    (login,) = server.seen.logins
    assert (login.user, login.database, login.app) == (USER, "Sales", "forecasts")
    assert server.seen.queries == ["SELECT COUNT(*) AS N FROM dbo.Numbers"]
    assert server.wait_for_sessions(0) == 0
    assert (server.seen.most_sessions, server.seen.open_batches) == (1, 0)


def test_transactions(server, duck):
    with connect(server, autocommit=False) as conn, conn.cursor() as cursor:
        cursor.execute("DELETE FROM dbo.Numbers WHERE A < 100")
        conn.rollback()
        cursor.execute("DELETE FROM dbo.Numbers WHERE A < 10")
        conn.commit()
    assert duck.execute("SELECT count(*) FROM dbo.Numbers").fetchone() == (ROWS - 10,)


def test_errors_carry_sql_servers_numbers(server):
    numbers = {
        "SELECT * FROM dbo.Nothing": 208,
        "SELECT Nothing FROM dbo.Numbers": 207,
        "SELECT CAST('x' AS INT) AS N": 241,
        "SELECT FROM WHERE": 102,
    }
    with connect(server) as conn, conn.cursor() as cursor:
        for sql, number in numbers.items():
            with pytest.raises(pymssql.DatabaseError) as caught:
                cursor.execute(sql)
            assert caught.value.args[0] == number
        cursor.execute("SELECT MAX(A) AS M FROM dbo.Numbers")
        assert cursor.fetchall() == [(ROWS - 1,)]


def test_what_is_no_batch_is_refused(server):
    with connect(server) as conn, pytest.raises(pymssql.DatabaseError):
        conn.cursor().callproc("sp_who")


def test_rows_are_counted_unless_the_session_says_otherwise(server):
    with connect(server) as conn, conn.cursor() as cursor:
        for setting, count in (("OFF", ROWS), ("ON", -1), ("OFF", ROWS)):
            cursor.execute(f"SET NOCOUNT {setting}")
            cursor.execute("SELECT A FROM dbo.Numbers")
            cursor.fetchall()
            assert cursor.rowcount == count


def test_a_fault_strikes_once_it_is_due(server):
    with connect(server) as conn, conn.cursor() as cursor:
        for fault in (DEADLOCK, Fail(1205, "victim", 13, after_rows=1200)):
            server.on_batch = lambda sql, fault=fault: fault
            read = []
            with pytest.raises(pymssql.OperationalError) as caught:
                read_all(cursor, read)
            assert caught.value.args[0] == 1205
            assert len(read) == (fault.after_rows or 0)
            server.on_batch = None
        cursor.execute("SELECT A FROM dbo.Numbers")
        assert len(cursor.fetchall()) == ROWS


@pytest.mark.parametrize("fault", [Drop(), Drop(reset=True), Drop(after_bytes=9000)])
def test_a_dropped_connection_is_dropped(server, fault):
    server.on_batch = lambda sql: fault
    with connect(server) as conn:
        cursor = conn.cursor()
        with pytest.raises(pymssql.DatabaseError):
            read_all(cursor, [])
        assert server.wait_for_sessions(0) == 0


def test_a_fatal_error_ends_the_connection(server):
    server.on_batch = lambda sql: Fail(596, "Cannot continue: the session is being killed.", 21)
    with connect(server) as conn:
        with pytest.raises(pymssql.OperationalError) as caught:
            conn.cursor().execute("SELECT A FROM dbo.Numbers")
        assert caught.value.args[0] == 596
        assert server.wait_for_sessions(0) == 0


@pytest.mark.parametrize("rows", [None, 3000])
def test_silence_lasts_until_the_client_gives_up(server, rows):
    server.on_batch = lambda sql: Stall(60, after_rows=rows)
    begun = time.monotonic()
    with connect(server, timeout=1) as conn:
        cursor = conn.cursor()
        with pytest.raises(pymssql.OperationalError, match="timed out"):
            read_all(cursor, [])
    assert server.wait_for_sessions(0) == 0
    assert time.monotonic() - begun < 30


def test_a_short_silence_is_only_slow(server):
    server.on_batch = lambda sql: Stall(0.05, after_rows=100)
    assert len(ask(server, "SELECT A FROM dbo.Numbers")) == ROWS


def test_rubbish_ends_the_connection_only(server):
    for rubbish in (b"", b"GET / HTTP/1.1\r\n\r\n" + bytes(5000), b"\x01\x01\x00\x0a\0\0\0\0\0\0"):
        with socket.create_connection((server.host, server.port)) as sock:
            sock.sendall(rubbish)
    assert server.wait_for_sessions(0) == 0
    assert len(ask(server, "SELECT A FROM dbo.Numbers")) == ROWS


def test_the_clock_is_this_machines(server):
    ((day,),) = ask(server, "SELECT CAST(CURRENT_TIMESTAMP AS DATE) AS D")
    assert abs((day - datetime.now(UTC).date()).days) <= 1
