"""Addresses of orders: each kind gives the same events, and what is wrong with one is said."""

import duckdb
import pytest

from tests.conftest import AS_OF
from tests.sources.helpers import assert_same_events
from tests.sources.sales import Sales
from tests.tds.catalog import add_catalog
from tests.tds.server import TdsServer
from toolkit.errors import ArgumentError, ToolkitError
from toolkit.sources.base import OrderSource
from toolkit.sources.generator import load_orders
from toolkit.sources.open import file_address, open_source
from toolkit.sources.sql import as_source


@pytest.fixture
def file(orders, tmp_path):
    path = tmp_path / "my orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


def test_a_file_and_a_server_give_the_same_events(database, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    expected = as_source(database).order_events(AS_OF)
    add_catalog(database)
    with TdsServer({"Sales": database}) as server:
        settings = Sales(database, server).settings()
        monkeypatch.setenv("TOOLKIT_MSSQL_PASSWORD", settings.password)
        at = f"mssql://{settings.user}@{settings.host}:{settings.port}/{settings.database}"
        encryption = f"{at}?encryption={settings.encryption}"
        for address in (file_address(file), "duckdb:///my%20orders.duckdb", encryption):
            with open_source(address) as opened:
                assert isinstance(opened.source, OrderSource)
                assert_same_events(opened.source.order_events(AS_OF), expected)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("orders.duckdb", "one of duckdb://, parquet://, s3://, mssql://; got none of them"),
        ("postgres://u:secret@h/db", "begins with one of duckdb://.*; got postgres://"),
        ("s3://orders", "an address is s3://BUCKET/FOLDER"),
        ("s3://orders/2024?x=1", "an address is s3://BUCKET/FOLDER"),
        ("duckdb://orders.duckdb", "a file's address is duckdb:///FILE"),
        ("duckdb:orders.duckdb", "a file's address is duckdb:///FILE"),
        ("duckdb:///orders.duckdb?x=1#y", "a file's address is duckdb:///FILE"),
        ("duckdb://u:secret@h/x", "a password belongs into the environment"),
        ("mssql://reader:secret@host/Sales", "a password belongs into the environment"),
        ("mssql://reader@host/Sales?password=secret", "after . an address takes encryption"),
        ("mssql://reader@host/Sales?encription=off", "takes .*; got encription"),
        ("mssql://u:secret/x@h/db", "is not a URL"),
        ("mssql://u:secret@h\u2100st/db", "is not a URL"),
        ("mssql://[::1/db", "is not a URL"),
        ("mssql://u@h:99999/db", "is not a URL"),
        ("mssql://u@h:0/db", "port has to be a whole number from 1 to 65,535"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(address, problem):
    with pytest.raises(ArgumentError, match=problem) as raised, open_source(address):
        pass
    assert "secret" not in str(raised.value)


def test_a_file_whose_name_is_too_long_is_not_there():
    with pytest.raises(ToolkitError), open_source(f"duckdb:///{'a' * 300}"):
        pass
