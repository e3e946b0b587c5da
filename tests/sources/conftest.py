"""A small folder of CSV tables, and where its database goes."""

import pytest

from tests.sources.helpers import CUSTOMERS_CSV, ORDER_LINES_CSV, PRODUCTS_CSV


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
