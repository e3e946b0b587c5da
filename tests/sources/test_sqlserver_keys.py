"""Keys of a SQL Server that are text or ``uniqueidentifier``: codes, with the numbers of files'."""

from contextlib import closing
from datetime import date

import pytest

from tests.sources.sales import QUICK
from tests.tds.catalog import add_catalog
from tests.tds.server import FACTS, PASSWORD
from toolkit.data.ids import number_of
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.database import open_database
from toolkit.sources.names import PLAIN_NAMES
from toolkit.sources.open import open_server
from toolkit.sources.sql import as_source
from toolkit.sources.sqlserver.check import check_server
from toolkit.sources.sqlserver.importer import import_server
from toolkit.sources.sqlserver.settings import SqlServer

AS_OF = date(2021, 9, 6)
KEYS = {
    "Product": ["ID"],
    "Client": ["ID"],
    "ClientAgreement": ["ID", "ClientID"],
    "Order": ["ID", "ClientAgreementID"],
    "OrderItem": ["ID", "OrderID", "ProductID"],
}
TEXT = "VARCHAR COLLATE NOCASE USING 'Ä-' || {}"
GUID = "UUID USING CAST('00000000-0000-0000-00aa-' || lpad(CAST({} AS VARCHAR), 12, '0') AS UUID)"
WRITTEN = {TEXT: "Ä-{}", GUID: "00000000-0000-0000-00AA-{:012}"}


def change_keys(duck, kind):
    for table, columns in KEYS.items():
        for column in columns:
            declared = kind.format(column)
            duck.execute(f'ALTER TABLE dbo."{table}" ALTER {column} TYPE {declared}')
    add_catalog(duck)


def events_of(source):
    events = source.order_events(AS_OF)
    columns = (events.product_id, events.customer_id, events.day, events.quantity)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def expected_of(sales, kind):
    return sorted(
        (number_of(WRITTEN[kind].format(p)), number_of(WRITTEN[kind].format(c)), day, quantity)
        for p, c, day, quantity in events_of(as_source(sales.duck))
    )


@pytest.mark.parametrize("kind", WRITTEN, ids=["nvarchar", "uniqueidentifier"])
def test_keys_are_codes_with_the_numbers_of_files(sales, target, kind):
    expected = expected_of(sales, kind)
    change_keys(sales.duck, kind)
    with open_server(SqlServer(sales.settings(password=PASSWORD))) as orders:
        assert events_of(orders.source) == expected
        assert orders.codes.number("product", WRITTEN[kind].format(2)) == number_of(
            WRITTEN[kind].format(2)
        )
        assert len(orders.source.products(AS_OF, [expected[0][0]])) == 1
    for read in (True, False):
        with closing(sales.steady()) as conn:
            report = import_server(conn, target, "sql:1/Sales", until=AS_OF, patience=QUICK)
        assert ("OrderItem" in report.rows_read) is read
        with closing(open_database(target)) as copy:
            assert events_of(as_source(copy)) == expected
            codes = Codes.of(copy)
            code = WRITTEN[kind].format(2)
            assert codes.code("product", codes.number("product", code)) == code


def test_what_the_server_takes_as_equal_is_one_key(sales):
    """As it is written among the products."""
    expected = expected_of(sales, TEXT)
    change_keys(sales.duck, TEXT)
    sales.duck.execute("UPDATE dbo.OrderItem SET ProductID = 'ä-2' WHERE ProductID = 'Ä-2'")
    with open_server(SqlServer(sales.settings(password=PASSWORD))) as orders:
        assert events_of(orders.source) == expected
    with closing(sales.steady()) as conn:
        report = check_server(conn, PLAIN_NAMES, QUICK)
    assert report.ok
    (told,) = [str(n) for n in report.notices if "is one" in n.rule]
    assert told.startswith(
        "dbo.OrderItem.ProductID: is written otherwise than dbo.Product.ID, which the server takes "
        "as equal: it is one ("
    )
    assert told.endswith("e.g. ä-2 for Ä-2)")


def test_keys_that_cannot_be_codes_are_told(sales):
    sales.duck.execute("ALTER TABLE dbo.OrderItem ALTER ProductID TYPE VARCHAR")
    add_catalog(sales.duck)
    with closing(sales.steady()) as conn:
        (finding,) = check_server(conn, PLAIN_NAMES, QUICK).fatal
    assert str(finding) == "dbo.OrderItem.ProductID: is text, where dbo.Product.ID is bigint"
    change_keys(sales.duck, TEXT)
    sales.server.facts = FACTS | {"SERVERPROPERTY('ProductVersion')": "'14.0.1.1'"}
    with closing(sales.steady()) as conn:
        told = [str(finding) for finding in check_server(conn, PLAIN_NAMES, QUICK).fatal]
    assert len(told) == 9
    assert told[0].endswith("is nvarchar: keys that are text need SQL Server 2019 or newer")
