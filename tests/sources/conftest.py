"""A small folder of CSV tables, and where its database goes; orders on a server."""

import duckdb
import pytest

from tests.sources.helpers import CUSTOMERS_CSV, ORDER_LINES_CSV, PRODUCTS_CSV
from tests.sources.sales import Sales
from tests.tds.catalog import add_catalog
from tests.tds.server import TdsServer
from toolkit.sources.generator import Truth, generate_orders, load_orders


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "orders"
    folder.mkdir()
    texts = {"order_lines": ORDER_LINES_CSV, "products": PRODUCTS_CSV, "customers": CUSTOMERS_CSV}
    for table, text in texts.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "orders.duckdb"


@pytest.fixture(scope="session")
def generated_sales():
    return generate_orders(Truth(customers=30, products=8, pairs=150, days=300), seed=11)


@pytest.fixture
def sales(generated_sales):
    """Generated orders on the TDS server; nothing may be left open on it."""
    with duckdb.connect() as conn:
        load_orders(generated_sales, conn)
        add_catalog(conn)
        with TdsServer({"Sales": conn}, datetime2=True) as server:
            yield Sales(conn, server)
            assert server.wait_for_sessions(0) == 0
