"""A small folder of CSV tables, and where its database goes; orders on a server."""

import duckdb
import pytest

from tests.sources.helpers import CUSTOMERS_CSV, ORDER_LINES_CSV, PRODUCTS_CSV
from tests.sources.sales import Sales
from tests.tds.catalog import add_catalog
from tests.tds.server import TdsServer
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.parquet.writing import writing_to

LINES_PER_BUCKET = 1000


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


@pytest.fixture(scope="session")
def file(orders, tmp_path_factory):
    """Generated orders in a database file."""
    path = tmp_path_factory.mktemp("orders") / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


@pytest.fixture(scope="session")
def written(file):
    """The same orders in a folder of Parquet, in several buckets."""
    folder = file.parent / "parquet"
    with writing_to(folder, LINES_PER_BUCKET) as writing:
        writing.write(file)
    return folder
