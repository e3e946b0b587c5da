"""Check of a database that somebody else filled: every rule, by a fault that breaks it."""

from datetime import date

import duckdb
import pytest

from tests.sources.helpers import Line, database
from toolkit.errors import SourceError
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import create_tables
from toolkit.sources.generator import Truth, generate_orders, load_orders

LINES = [
    Line(1, 101, 1, -9, quantity=2, price=5.0),
    Line(1, 101, 2, -9, quantity=1, price=3.0),
    Line(2, 102, 1, -4, quantity=3, price=5.5),
]


def test_a_sound_database():
    report = check_database(database(LINES))
    assert report.ok
    assert (report.fatal, report.notices) == ((), ())
    assert report.rows == {
        "Client": 3,
        "ClientAgreement": 3,
        "Order": 2,
        "OrderItem": 3,
        "Product": 3,
    }
    assert (report.first_date, report.last_date) == (date(2024, 2, 24), date(2024, 2, 29))
    assert str(report) == (
        "rows: Client 3, ClientAgreement 3, Order 2, OrderItem 3, Product 3; "
        "order lines 2024-02-24 … 2024-02-29"
    )


def test_generated_orders_are_sound():
    with duckdb.connect() as conn:
        load_orders(generate_orders(Truth(customers=40, products=10, pairs=200), seed=1), conn)
        report = check_database(conn)
    assert (report.fatal, report.notices) == ((), ())


FATAL = {
    "UPDATE dbo.OrderItem SET Created = NULL WHERE ID = 2": (
        "dbo.OrderItem: Created is null (1 row; e.g. ID 2)"
    ),
    'UPDATE dbo."Order" SET Created = NULL WHERE ID = 2': (
        "dbo.Order: Created is null (1 row; e.g. ID 2)"
    ),
    "UPDATE dbo.OrderItem SET Created = '1900-01-01' WHERE ID = 2": (
        "dbo.OrderItem: Created lies before 1990-01-01 (1 row; e.g. ID 2: 1900-01-01 00:00:00)"
    ),
    "UPDATE dbo.OrderItem SET OrderID = 77 WHERE ID = 3": (
        "dbo.OrderItem: OrderID is not in dbo.Order (1 row; e.g. ID 3: 77)"
    ),
    "UPDATE dbo.OrderItem SET OrderID = NULL WHERE ID = 3": (
        "dbo.OrderItem: OrderID is null (1 row; e.g. ID 3)"
    ),
    "UPDATE dbo.OrderItem SET ProductID = NULL WHERE ID = 3": (
        "dbo.OrderItem: ProductID is null (1 row; e.g. ID 3)"
    ),
    'UPDATE dbo."Order" SET ClientAgreementID = 77 WHERE ID = 2': (
        "dbo.Order: ClientAgreementID is not in dbo.ClientAgreement (1 row; e.g. ID 2: 77)"
    ),
    "UPDATE dbo.ClientAgreement SET ClientID = NULL WHERE ID = 101": (
        "dbo.ClientAgreement: ClientID is null (1 row; e.g. ID 101)"
    ),
    "UPDATE dbo.OrderItem SET ID = NULL WHERE ID = 1": (
        "dbo.OrderItem: ID is null (1 row; e.g. a row)"
    ),
    "UPDATE dbo.OrderItem SET ID = 1 WHERE ID = 2": (
        "dbo.OrderItem: ID is not unique (2 rows; e.g. ID 1, ID 1)"
    ),
    "INSERT INTO dbo.ClientAgreement VALUES (101, 102)": (
        "dbo.ClientAgreement: ID is not unique (2 rows; e.g. ID 101, ID 101)"
    ),
    "INSERT INTO dbo.Product VALUES (1, 'Nuts again')": (
        "dbo.Product: ID is not unique (2 rows; e.g. ID 1, ID 1)"
    ),
    "UPDATE dbo.OrderItem SET Qty = NULL WHERE ID = 1": (
        "dbo.OrderItem: Qty is null (1 row; e.g. ID 1)"
    ),
    "UPDATE dbo.OrderItem SET Qty = 'nan' WHERE ID = 1": (
        "dbo.OrderItem: Qty is not finite (1 row; e.g. ID 1: nan)"
    ),
    "UPDATE dbo.OrderItem SET PricePerItem = 'inf' WHERE ID = 1": (
        "dbo.OrderItem: PricePerItem is not finite (1 row; e.g. ID 1: inf)"
    ),
    "UPDATE dbo.OrderItem SET PricePerItem = 0 WHERE ID = 1": (
        "dbo.OrderItem: PricePerItem is not above 0 (1 row; e.g. ID 1: 0.0)"
    ),
    "UPDATE dbo.OrderItem SET Created = '9999-12-31' WHERE ID = 2": (
        "dbo.OrderItem: Created lies after 3000-01-01 (1 row; e.g. ID 2: 9999-12-31 00:00:00)"
    ),
    "UPDATE dbo.OrderItem SET Created = 'infinity' WHERE ID = 2": (
        "dbo.OrderItem: Created lies after 3000-01-01 (1 row; e.g. ID 2: infinity)"
    ),
    "UPDATE dbo.OrderItem SET Qty = 1e308 WHERE ID = 1": (
        "dbo.OrderItem: Qty is beyond 1e+12 (1 row; e.g. ID 1: 1e+308)"
    ),
    "UPDATE dbo.OrderItem SET PricePerItem = 1e308 WHERE ID = 1": (
        "dbo.OrderItem: PricePerItem is beyond 1e+12 (1 row; e.g. ID 1: 1e+308)"
    ),
    "DELETE FROM dbo.OrderItem": "dbo.OrderItem: there are no order lines",
}


@pytest.mark.parametrize(("fault", "expected"), FATAL.items(), ids=FATAL.values())
def test_what_makes_forecasts_wrong_is_fatal(fault, expected):
    conn = database(LINES)
    conn.execute(fault)
    report = check_database(conn)
    assert not report.ok
    (finding,) = report.fatal
    assert str(finding).startswith(expected)
    assert report.notices == ()
    assert f"\n  - fatal: {expected}" in str(report)


NOTICES = {
    "UPDATE dbo.OrderItem SET Qty = -2, Created = '2024-03-01' WHERE ID = 3;"
    'UPDATE dbo."Order" SET ClientAgreementID = 101 WHERE ID = 2': (
        "dbo.OrderItem: Qty is negative: a return, offset against the same customer's orders of the"
        " product, up to 90 days before (1 row; e.g. ID 3: -2.0)"
    ),
    "UPDATE dbo.OrderItem SET Qty = 0 WHERE ID = 1": (
        "dbo.OrderItem: Qty is 0 (1 row; e.g. ID 1: 0.0)"
    ),
    "UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ID = 1": (
        "dbo.OrderItem: PricePerItem is null: the price is taken from other lines "
        "(1 row; e.g. ID 1)"
    ),
    "UPDATE dbo.OrderItem SET Created = '2999-01-01' WHERE ID = 1": (
        "dbo.OrderItem: Created lies in the future (1 row; e.g. ID 1: 2999-01-01 00:00:00)"
    ),
    "UPDATE dbo.OrderItem SET ProductID = 77 WHERE ID = 1": (
        "dbo.OrderItem: ProductID is not in dbo.Product (1 row; e.g. ID 1: 77)"
    ),
    "UPDATE dbo.ClientAgreement SET ClientID = 77 WHERE ID = 101": (
        "dbo.ClientAgreement: ClientID is not in dbo.Client (1 row; e.g. ID 101: 77)"
    ),
}


@pytest.mark.parametrize(("change", "expected"), NOTICES.items(), ids=NOTICES.values())
def test_what_a_rule_handles_is_a_notice(change, expected):
    conn = database(LINES)
    conn.execute(change)
    report = check_database(conn)
    assert report.ok
    assert [str(notice) for notice in report.notices] == [expected]
    assert f"\n  - notice: {expected}" in str(report)


def test_returns_that_reverse_no_order_are_told():
    lines = [
        *LINES,
        Line(3, 101, 1, -8, quantity=-1.5),
        Line(4, 102, 2, -8, quantity=-4),
        Line(5, 103, 1, -2, quantity=-0.5),
    ]
    report = check_database(database(lines))
    assert report.ok
    assert [str(notice) for notice in report.notices][1:] == [
        "dbo.OrderItem: returns of 4.5 units reverse no order of the 90 days before, and are left "
        "out (2 rows; e.g. customer 103, product 1, 2024-03-02: 0.5, "
        "customer 102, product 2, 2024-02-25: 4)"
    ]


def test_all_that_is_wrong_is_found_at_once():
    conn = database(LINES)
    for change in (
        'UPDATE dbo."Order" SET Created = NULL WHERE ID = 2',
        "UPDATE dbo.OrderItem SET OrderID = 77, Qty = 'nan' WHERE ID = 3",
        "UPDATE dbo.OrderItem SET ProductID = NULL, PricePerItem = -1 WHERE ID = 2",
        "UPDATE dbo.OrderItem SET Qty = -2, PricePerItem = NULL WHERE ID = 1",
        "INSERT INTO dbo.Client VALUES (NULL, 'Dee')",
    ):
        conn.execute(change)
    report = check_database(conn)
    assert [str(finding).partition(" (")[0] for finding in report.fatal] == [
        "dbo.Client: ID is null",
        "dbo.Order: Created is null",
        "dbo.OrderItem: OrderID is not in dbo.Order",
        "dbo.OrderItem: ProductID is null",
        "dbo.OrderItem: Qty is not finite",
        "dbo.OrderItem: PricePerItem is not above 0",
    ]
    assert [notice.rule.partition(":")[0] for notice in report.notices] == [
        "Qty is negative",
        "PricePerItem is null",
        "returns of 2 units reverse no order of the 90 days before, and are left out",
    ]


def test_an_empty_database_lacks_everything():
    report = check_database(duckdb.connect())
    assert [finding.table for finding in report.fatal] == [
        f"dbo.{table}" for table in ("Client", "ClientAgreement", "Order", "OrderItem", "Product")
    ]
    assert (report.rows, report.first_date) == ({}, None)


def test_a_table_that_cannot_be_read_does_not_hide_the_others():
    conn = database(LINES)
    conn.execute("ALTER TABLE dbo.Client DROP COLUMN Name")
    conn.execute('ALTER TABLE dbo."Order" ALTER Created TYPE VARCHAR')
    conn.execute("ALTER TABLE dbo.OrderItem ALTER ProductID TYPE UUID USING NULL")
    conn.execute("UPDATE dbo.ClientAgreement SET ClientID = NULL WHERE ID = 101")
    report = check_database(conn)
    assert [str(finding).partition(" (")[0] for finding in report.fatal] == [
        "dbo.Client.Name: is missing",
        "dbo.Order.Created: is VARCHAR, not a date or time without a zone",
        "dbo.OrderItem.ProductID: is UUID, not a whole number",
        "dbo.ClientAgreement: ClientID is null",
    ]
    assert report.rows == {"ClientAgreement": 3, "Product": 3}


@pytest.mark.parametrize(
    "kindred",
    [
        "OrderItem ALTER Qty TYPE DECIMAL(9, 2)",
        "OrderItem ALTER PricePerItem TYPE INTEGER",
        "OrderItem ALTER ProductID TYPE SMALLINT",
        "OrderItem ALTER Created TYPE DATE",
        "OrderItem ALTER Created TYPE TIMESTAMP_NS",
    ],
)
def test_kindred_types_will_do(kindred):
    conn = database(LINES)
    conn.execute(f"ALTER TABLE dbo.{kindred}")
    assert check_database(conn).ok


def test_a_closed_connection_is_a_source_error():
    conn = duckdb.connect()
    create_tables(conn)
    conn.close()
    with pytest.raises(SourceError, match="the database could not be checked"):
        check_database(conn)


def test_the_connection_is_left_alone():
    conn = database(LINES)
    pending = conn.execute("SELECT 5")
    check_database(conn)
    assert pending.fetchone() == (5,)
    assert conn.execute("SELECT * FROM duckdb_connection_count()").fetchone() == (1,)
