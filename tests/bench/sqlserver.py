"""What a SQL Server costs: reads in bounded memory, imports, and a storm of faults.

The server is the tests' own, on the same machine: it takes its share of the cores, and no
network lies between. Figures compare with each other, not with a real server's.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb

from tests.bench.figure import Figure, seconds
from tests.sources.sales import Sales
from tests.sources.storm import busiest, complaints, storm
from tests.tds.catalog import add_catalog
from tests.tds.server import PASSWORD, USER, TdsServer
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.sqlserver.dialect import connect
from toolkit.sources.sqlserver.importer import import_server

NEW_LINES = 10_000
FAULTS, STORMED_PRODUCTS, AT_ONCE = 200, 1000, 5


def measure_sqlserver(database: Path, as_of: date, work: Path) -> Iterator[Figure]:
    """All of it, on a copy of ``database`` that a server of the tests' holds in memory."""
    with duckdb.connect() as duck:
        _copy(duck, database)
        with TdsServer({"Sales": duck}, datetime2=True) as server:
            sales = Sales(duck, server)
            yield from _reading(sales)
            yield from _importing(sales, work / "imported.duckdb")
        yield from _storm(duck, as_of)


def _copy(duck: duckdb.DuckDBPyConnection, database: Path) -> None:
    duck.execute(f"ATTACH '{database}' AS original (READ_ONLY)")
    duck.execute("CREATE SCHEMA dbo")
    for table in TABLES:
        duck.execute(f'CREATE TABLE dbo."{table}" AS SELECT * FROM original.dbo."{table}"')
    duck.execute("DETACH original")
    add_catalog(duck)


def _count(duck: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(duck.execute(f'SELECT count(*) FROM dbo."{table}"').fetchall()[0][0])


def _reading(sales: Sales) -> Iterator[Figure]:
    """Each way in a process of its own, which tells its peak memory."""
    lines = f"{_count(sales.duck, 'OrderItem'):,} order lines"
    idle = _read(sales, "nothing")["megabytes"]
    yield Figure("SQL Server: peak memory of a process that reads nothing", idle, "MB")
    for way in ("portions", "fetchall"):
        read = _read(sales, way)
        yield Figure(f"SQL Server: {lines} by {way}", read["seconds"], "s")
        yield Figure(f"SQL Server: {lines} by {way}, peak memory", read["megabytes"], "MB")


def _read(sales: Sales, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.read_lines", way, str(sales.server.port)]
    login = {"USER": USER, "PASSWORD": PASSWORD}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | login
    )
    read: dict[str, float] = json.loads(done.stdout)
    return read


def _importing(sales: Sales, target: Path) -> Iterator[Figure]:
    settings = sales.settings()

    def run() -> None:
        with connect(settings) as conn:
            import_server(conn, target, settings.place)

    lines = _count(sales.duck, "OrderItem")
    yield Figure(f"SQL Server: import of {lines:,} lines", seconds(run), "s")
    yield Figure("SQL Server: import of nothing new", seconds(run), "s")
    _add_lines(sales.duck)
    added = _count(sales.duck, "OrderItem") - lines
    yield Figure(f"SQL Server: import of {added:,} lines on top", seconds(run), "s", 2)


def _add_lines(duck: duckdb.DuckDBPyConnection) -> None:
    """The latest lines and their orders once more, a day later."""
    duck.execute(
        "CREATE TEMP TABLE latest AS SELECT * FROM dbo.OrderItem"
        f" ORDER BY Created DESC, ID LIMIT {NEW_LINES}"
    )
    top = "SELECT max(ID) FROM dbo"
    (orders,), (items,) = (
        duck.execute(f"{top}.{table}").fetchall()[0] for table in ('"Order"', "OrderItem")
    )
    later = "Created + INTERVAL 1 DAY"
    duck.execute(
        f'INSERT INTO dbo."Order" SELECT ID + {orders}, ClientAgreementID, {later}'
        ' FROM dbo."Order" WHERE ID IN (SELECT OrderID FROM latest)'
    )
    duck.execute(
        f"INSERT INTO dbo.OrderItem SELECT ID + {items}, OrderID + {orders}, ProductID, Qty,"
        f" PricePerItem, {later} FROM latest"
    )


def _storm(duck: duckdb.DuckDBPyConnection, as_of: date) -> Iterator[Figure]:
    products = busiest(duck, STORMED_PRODUCTS)
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)  # each forecast that fails is one, and told below
    outcome = storm(duck, products, as_of, FAULTS, AT_ONCE)
    logging.disable(before)
    wrong = list(complaints(outcome, FAULTS))
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    title = f"SQL Server: {FAULTS} faults in {len(products):,} products"
    yield Figure(f"{title}, complaints", len(wrong), "", 0)
    yield Figure(f"{title}, forecasts that are right", outcome.right, "")
    yield Figure(f"{title}, failed with the right error", outcome.failed, "")
    yield Figure(f"{title}, 4 threads on 3 connections", outcome.seconds, "s")
