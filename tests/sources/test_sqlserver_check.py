"""Check of a server: everything that is wrong with it, at once."""

from contextlib import closing

import pytest

from tests.sources.sales import QUICK, strikes
from tests.tds.catalog import Indexed, add_catalog
from tests.tds.faults import DEADLOCK, DENIED, Drop
from tests.tds.server import FACTS
from toolkit.errors import SourceError
from toolkit.sources.names import PLAIN_NAMES, Names, TableNames
from toolkit.sources.sqlserver.catalog import WANTED
from toolkit.sources.sqlserver.check import check_server
from toolkit.sources.sqlserver.columns import NO_ZONE

ALL_INDEXES = [Indexed(index.table, index.keys, index.included) for index in WANTED]


def check(sales, names=PLAIN_NAMES):
    with closing(sales.steady()) as connection:
        return check_server(connection, names, QUICK)


def told(findings):
    return "\n".join(map(str, findings))


def test_a_server_that_has_everything(sales):
    add_catalog(sales.duck, ALL_INDEXES)
    report = check(sales)
    assert report.ok
    assert (report.fatal, report.notices) == ((), ())
    assert report.version == "16.0.1000.6"
    counted = {
        table: sales.duck.execute(f'SELECT count(*) FROM dbo."{table}"').fetchone()[0]
        for table in report.rows
    }
    assert report.rows == counted
    assert len(report.rows) == 5
    (latest,) = sales.duck.execute("SELECT max(Created) FROM dbo.OrderItem").fetchone()
    assert report.last_date == latest.date()
    assert "16.0.1000.6" in str(report)


@pytest.mark.parametrize(
    ("edition", "product"), [(5, "Azure SQL Database"), (8, "Azure SQL Managed Instance")]
)
def test_azure_is_new_enough_whatever_version_it_reports(sales, edition, product):
    add_catalog(sales.duck, ALL_INDEXES)
    sales.server.facts = {
        "SERVERPROPERTY('ProductVersion')": "'12.0.2000.8'",
        "SERVERPROPERTY('EngineEdition')": str(edition),
    }
    report = check(sales)
    assert report.ok
    assert str(report).startswith(f"{product} 12.0.2000.8; rows: ")


def test_missing_indexes_come_with_the_statement_that_makes_them(sales):
    columns = ("Created", "OrderID", "Qty", "PricePerItem")
    there = [Indexed("OrderItem", ("ProductID",), columns), Indexed("Client", ("ID", "Name"))]
    add_catalog(sales.duck, there, snapshot=False)
    report = check(sales)
    assert report.ok
    notices = told(report.notices)
    assert len(report.notices) == len(WANTED) - 2 + 1
    assert (
        'CREATE INDEX "IX_OrderItem_OrderID" ON "dbo"."OrderItem" ("OrderID")'
        ' INCLUDE ("ProductID", "Qty", "Created") WITH (ONLINE = ON)'
    ) in notices
    assert "OrderItem.ProductID" not in notices
    assert "READ_COMMITTED_SNAPSHOT: is off" in notices


def test_an_index_has_to_hold_the_columns_too(sales):
    """Else the server looks each row up; what orders the table itself holds them all."""
    lacks = Indexed("OrderItem", ("ProductID", "Created"), ("Qty",))
    rest = [one for one in ALL_INDEXES if (one.table, one.keys[0]) != ("OrderItem", "ProductID")]
    add_catalog(sales.duck, [lacks, *rest])
    (notice,) = check(sales).notices
    assert str(notice).startswith(
        "dbo.OrderItem.ProductID: no index begins with it and holds OrderID, PricePerItem, by"
    )
    add_catalog(sales.duck, [Indexed("OrderItem", ("ProductID",), clustered=True), *rest])
    assert check(sales).notices == ()


def test_every_index_holds_what_orders_the_table(sales):
    rest = [
        one for one in ALL_INDEXES if (one.table, one.keys[0]) != ("ClientAgreement", "ClientID")
    ]
    by_id = Indexed("ClientAgreement", ("ID",), clustered=True)
    add_catalog(sales.duck, [*rest, by_id, Indexed("ClientAgreement", ("ClientID",))])
    assert check(sales).notices == ()


@pytest.mark.parametrize(("edition", "online"), [(2, False), (3, True), (4, False), (5, True)])
def test_an_index_is_built_online_where_the_edition_can(sales, edition, online):
    add_catalog(sales.duck)
    sales.server.facts = FACTS | {"SERVERPROPERTY('EngineEdition')": str(edition)}
    statements = [n.rule for n in check(sales).notices if "CREATE INDEX" in n.rule]
    assert statements
    assert {"ONLINE" in statement for statement in statements} == {online}


def test_no_one_waits_where_snapshots_are_allowed(sales):
    add_catalog(sales.duck, ALL_INDEXES, snapshot=False, snapshot_isolation=True)
    assert check(sales).notices == ()


def test_everything_wrong_is_told_at_once(sales):
    sales.duck.execute("""
        DROP TABLE dbo.Client;
        ALTER TABLE dbo.Product DROP Name;
        ALTER TABLE dbo.OrderItem ALTER Qty TYPE VARCHAR;
        ALTER TABLE dbo."Order" ALTER Created TYPE TIMESTAMP WITH TIME ZONE;
        DELETE FROM dbo.ClientAgreement;
    """)
    add_catalog(sales.duck, ALL_INDEXES)
    sales.server.facts = FACTS | {"SERVERPROPERTY('ProductVersion')": "'12.0.2000.8'"}
    report = check(sales)
    assert not report.ok
    assert [str(finding) for finding in report.fatal] == [
        "SQL Server: is version 12.0.2000.8; 2016 (13.0) or newer is needed",
        "dbo.Client: is missing, or hidden from this user",
        f"dbo.Order.Created: {NO_ZONE}",
        "dbo.OrderItem.Qty: is nvarchar, not a number",
        "dbo.Product.Name: is missing",
    ]
    assert report.rows == {"ClientAgreement": 0}
    assert report.last_date is None


def test_no_order_lines_are_fatal(sales):
    sales.duck.execute("DELETE FROM dbo.OrderItem")
    add_catalog(sales.duck, ALL_INDEXES)
    assert told(check(sales).fatal) == "dbo.OrderItem: there are no order lines"


def test_whole_numbers_may_be_decimals_without_a_fraction(sales):
    sales.duck.execute("""
        ALTER TABLE dbo.OrderItem ALTER ProductID TYPE DECIMAL(18, 0);
        ALTER TABLE dbo.OrderItem ALTER PricePerItem TYPE DECIMAL(18, 4);
        ALTER TABLE dbo.Product ALTER ID TYPE DECIMAL(18, 2);
    """)
    add_catalog(sales.duck, ALL_INDEXES)
    assert told(check(sales).fatal) == "dbo.Product.ID: is decimal, not a whole number"


def test_a_table_that_may_not_be_read_does_not_hide_the_others(sales):
    add_catalog(sales.duck, ALL_INDEXES)
    sales.server.on_batch = lambda sql: DENIED if "COUNT_BIG" in sql and "Item" in sql else None
    report = check(sales)
    assert len(report.rows) == 4
    (finding,) = report.fatal
    assert finding.table == "dbo.OrderItem"
    assert "permission to read is denied" in finding.rule


def test_system_views_that_may_not_be_read_are_a_notice(sales):
    add_catalog(sales.duck, ALL_INDEXES)
    sales.server.on_batch = lambda sql: DENIED if "FROM sys." in sql else None
    report = check(sales)
    assert report.ok
    assert told(report.notices).startswith("indexes: could not be looked at: the indexes could")


def test_other_names(sales):
    sales.duck.execute("""
        CREATE SCHEMA sales;
        CREATE TABLE sales."order lines" AS
            SELECT * EXCLUDE Qty, Qty AS amount FROM dbo.OrderItem;
        DROP TABLE dbo.OrderItem;
    """)
    add_catalog(sales.duck)
    names = Names({"OrderItem": TableNames("sales", "order lines", {"Qty": "amount"})})
    report = check(sales, names)
    assert report.ok
    assert report.last_date is not None
    assert 'ON "sales"."order lines" ("ProductID", "Created")' in told(report.notices)
    wrong = Names({"OrderItem": TableNames("sales", "order lines", {"Qty": "amt"})})
    assert told(check(sales, wrong).fatal) == "sales.order lines.amt: is missing"


def test_what_passes_is_waited_for_and_what_does_not_is_an_error(sales):
    add_catalog(sales.duck, ALL_INDEXES)
    for fault in (DEADLOCK, Drop()):
        sales.server.on_batch = strikes(fault, times=2, after=3)
        assert check(sales).ok
    sales.server.on_batch = strikes(Drop(), times=9, after=3)
    with pytest.raises(SourceError, match="the connection broke"):
        check(sales)
