"""Import of a server: equal to the original, again and again, whatever happens in between."""

import shutil
from contextlib import closing
from datetime import date, timedelta

import duckdb
import pytest

from tests.sources.sales import QUICK, Sales, strikes
from tests.tds.catalog import add_catalog
from tests.tds.faults import DEADLOCK, DENIED, Drop, Fail
from tests.tds.server import TdsServer
from toolkit.errors import ArgumentError, DataError, SourceError
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.names import PLAIN_NAMES, Names, TableNames
from toolkit.sources.sql import as_source
from toolkit.sources.sqlserver import importer as sqlserver_import
from toolkit.sources.sqlserver.columns import NO_ZONE
from toolkit.sources.sqlserver.importer import import_server

LATER = date(2022, 6, 1)


def import_(sales, target, until=None, names=PLAIN_NAMES, place="sql:1433/Sales", months=None):
    with closing(sales.steady()) as connection:
        return import_server(
            connection, target, place, names, until=until, months=months, patience=QUICK
        )


def rows(conn, table, only="true"):
    listed = ", ".join(TABLES[table])
    return conn.execute(f'SELECT {listed} FROM dbo."{table}" WHERE {only} ORDER BY ALL').fetchall()


def assert_copied(sales, target, until=LATER):
    with closing(open_database(target)) as copy:
        assert check_database(copy).ok
        for table in TABLES:
            before = f"Created < DATE '{until}'" if table == "OrderItem" else "true"
            assert rows(copy, table) == rows(sales.duck, table, before), table
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def shift(sales, sql):
    """Change the original."""
    sales.duck.execute(sql)


def test_a_first_import_is_the_original(sales, target):
    report = import_(sales, target)
    assert_copied(sales, target)
    lines = len(rows(sales.duck, "OrderItem"))
    assert report.imported.lines == report.rows_read["OrderItem"] == lines
    assert report.months_compared["OrderItem"] >= 9
    assert report.until_date <= date.today() + timedelta(1)
    assert f"OrderItem {lines:,}" in str(report)


def test_forecast_data_are_equal_afterwards(sales, target):
    import_(sales, target)
    as_of = date(2021, 9, 6)
    with closing(open_database(target)) as copy:
        one, other = as_source(copy), as_source(sales.duck)
        ids = [i for i, _ in rows(sales.duck, "Product")]
        assert repr(one.order_events(as_of)) == repr(other.order_events(as_of))
        assert one.products(as_of, ids) == other.products(as_of, ids)


def test_the_name_of_the_file_is_free(sales, tmp_path):
    for name in ("main", "imported", "orders"):
        import_(sales, tmp_path / f"{name}.duckdb")


def test_nothing_new_is_nothing_read(sales, target):
    import_(sales, target)
    report = import_(sales, target)
    assert report.rows_read.keys().isdisjoint({"OrderItem", "Order"})
    assert_copied(sales, target)


NEW_ORDER = """
INSERT INTO dbo."Order" SELECT max(ID) + 1, min(ClientAgreementID), TIMESTAMP '{day} 10:00'
FROM dbo."Order";
INSERT INTO dbo.OrderItem SELECT max(ID) + 1, (SELECT max(ID) FROM dbo."Order"), min(ProductID),
    3, 9.5, TIMESTAMP '{day} 10:00:00.123456' FROM dbo.OrderItem;
"""


def test_only_what_is_new_is_read(sales, target):
    import_(sales, target, until=date(2021, 8, 15))
    assert_copied(sales, target, until=date(2021, 8, 15))
    known = len(rows(sales.duck, "OrderItem", "Created < DATE '2021-08-15'"))
    shift(sales, NEW_ORDER.format(day="2021-09-02"))
    report = import_(sales, target)
    assert_copied(sales, target)
    assert report.rows_read["OrderItem"] == report.imported.lines - known
    shift(sales, NEW_ORDER.format(day="2021-09-03"))
    # Of lines that are dated back, only those are read whose ids are new.
    shift(sales, NEW_ORDER.format(day="2021-03-03"))
    report = import_(sales, target)
    assert report.rows_read["OrderItem"] == 2
    assert_copied(sales, target)


CHANGES = {
    "a quantity": "UPDATE dbo.OrderItem SET Qty = Qty + 1 WHERE ID = 50",
    "a price that becomes known, as 0": "UPDATE dbo.OrderItem SET PricePerItem = 0 WHERE ID = 60",
    "a price by its last bit": "UPDATE dbo.OrderItem SET PricePerItem = 9.500000000000002"
    " WHERE ID = 61",
    "an absurd price that is mended": "UPDATE dbo.OrderItem SET PricePerItem = 5 WHERE ID = 62",
    "a price beside a large one": "UPDATE dbo.OrderItem SET PricePerItem = 1 WHERE ID = 64",
    "a price that becomes unknown": "UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ID = 50",
    "two quantities that swap": "UPDATE dbo.OrderItem SET Qty = CASE ID WHEN 50 THEN 7 ELSE 5 END"
    " WHERE ID IN (50, 51)",
    "a product": "UPDATE dbo.OrderItem SET ProductID = ProductID % 8 + 1 WHERE ID = 50",
    "a date within the month": "UPDATE dbo.OrderItem SET Created = Created - INTERVAL 1 DAY"
    " WHERE ID = (SELECT min(ID) FROM dbo.OrderItem WHERE day(Created) > 2)",
    "a date into another month": "UPDATE dbo.OrderItem SET Created = Created + INTERVAL 40 DAY"
    " WHERE ID = 50",
    "a line that goes": "DELETE FROM dbo.OrderItem WHERE ID = 50",
    "a month that goes": "DELETE FROM dbo.OrderItem WHERE month(Created) = 3",
    "an order's customer": 'UPDATE dbo."Order" SET ClientAgreementID = (SELECT min(ID) FROM'
    ' dbo.ClientAgreement) WHERE ID = (SELECT max(ID) FROM dbo."Order")',
    "names": "UPDATE dbo.Client SET Name = 'Žižkov'; UPDATE dbo.Product SET Name = NULL",
    "a customer": "INSERT INTO dbo.Client VALUES (999999, 'New')",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_read_again(sales, target, change):
    shift(
        sales,
        "UPDATE dbo.OrderItem SET PricePerItem = CASE ID WHEN 60 THEN NULL WHEN 61 THEN 9.5"
        " WHEN 62 THEN 1e308 WHEN 63 THEN 9e11 ELSE 2 END WHERE ID BETWEEN 60 AND 64;"
        " UPDATE dbo.OrderItem SET Created = '2021-07-07' WHERE ID BETWEEN 63 AND 64",
    )
    import_(sales, target)
    if "IN (50, 51)" in change:
        shift(sales, "UPDATE dbo.OrderItem SET Qty = ID % 2 * 2 + 5 WHERE ID IN (50, 51)")
        import_(sales, target)
    shift(sales, change)
    report = import_(sales, target)
    with closing(open_database(target)) as copy:
        for table in TABLES:
            assert rows(copy, table) == rows(sales.duck, table), table
    assert report.rows_read.get("OrderItem", 0) < report.imported.lines / 2


SWAPS = [
    ("OrderItem", "ProductID", ""),
    ("OrderItem", "OrderID", ""),
    ("OrderItem", "Created", "AND day(a.Created) <> day(b.Created)"),
    ("OrderItem", "Qty", "AND a.PricePerItem = b.PricePerItem"),
    ("OrderItem", "PricePerItem", "AND a.Qty = b.Qty"),
    ("Order", "ClientAgreementID", ""),
    ("Order", "Created", "AND day(a.Created) <> day(b.Created)"),
]


@pytest.mark.parametrize(("table", "column", "only"), SWAPS)
def test_what_two_rows_of_a_month_swap_is_read_again(sales, target, table, column, only):
    """Each sum of the column stays as it was."""
    import_(sales, target)
    rule = f"a.ID < b.ID AND a.{column} <> b.{column} {only}"
    sql = (
        f'SELECT a.ID, b.ID FROM dbo."{table}" a JOIN dbo."{table}" b ON'
        f" year(a.Created) = year(b.Created) AND month(a.Created) = month(b.Created) AND {rule}"
    )
    one, other = sales.duck.execute(f"{sql} ORDER BY ALL LIMIT 1").fetchone()
    shift(
        sales,
        f'UPDATE dbo."{table}" t SET {column} = o.{column} FROM dbo."{table}" o'
        f" WHERE t.ID IN ({one}, {other}) AND o.ID = {one + other} - t.ID",
    )
    import_(sales, target)
    assert_copied(sales, target)


def test_what_check_refuses_is_not_imported(sales, target):
    """A line of a day that has an offset is of one month by its clock, of another by UTC's."""
    shift(
        sales,
        "ALTER TABLE dbo.OrderItem ALTER Created TYPE TIMESTAMP WITH TIME ZONE;"
        " ALTER TABLE dbo.Product DROP Name;",
    )
    with pytest.raises(DataError) as caught:
        import_(sales, target)
    assert str(caught.value).splitlines() == [
        "sql:1433/Sales breaks 2 rule(s):",
        f"  - dbo.OrderItem.Created: {NO_ZONE}",
        "  - dbo.Product.Name: is missing",
    ]
    assert not list(target.parent.iterdir())


def test_a_table_that_may_not_be_read_is_known_before_others_are_copied(sales, target):
    sales.server.on_batch = lambda sql: DENIED if 'FROM "dbo"."Product"' in sql else None
    with pytest.raises(DataError, match=r"dbo.Product: .*permission to read is denied"):
        import_(sales, target)
    assert not any("OrderItem t" in sql for sql in sales.server.seen.queries)


def test_only_the_latest_months_are_compared_where_that_is_asked(sales, target):
    import_(sales, target, until=date(2021, 9, 15), months=2)  # the first time, all are
    assert_copied(sales, target, until=date(2021, 9, 15))
    shift(sales, "UPDATE dbo.OrderItem SET Qty = Qty + 1 WHERE month(Created) IN (3, 8)")
    sales.server.seen.batches.clear()
    report = import_(sales, target, until=date(2021, 10, 1), months=2)
    assert report.months_compared == {"OrderItem": 2, "Order": 2}
    (asked,) = [sql for sql in sales.server.seen.queries if "ProductIDSum" in sql]
    assert "t.Created >= CAST('2021-08-01' AS DATE)" in asked
    with closing(open_database(target)) as copy:
        for only, equal in (("month(Created) = 3", False), ("month(Created) IN (8, 9)", True)):
            theirs = rows(sales.duck, "OrderItem", only)
            assert (rows(copy, "OrderItem", only) == theirs) is equal
    import_(sales, target, until=date(2021, 10, 1))
    assert_copied(sales, target, until=date(2021, 10, 1))


def test_months_since_the_last_import_are_always_compared(sales, target):
    import_(sales, target, until=date(2021, 5, 10))
    import_(sales, target, until=LATER, months=1)
    assert_copied(sales, target)
    with pytest.raises(ArgumentError, match="months has to be a whole number of at least 1, got 0"):
        import_(sales, target, until=LATER, months=0)


def test_orders_dated_ahead_come_with_their_lines(sales, target):
    """A line may be added before its order is dated."""
    shift(sales, NEW_ORDER.format(day="2021-06-10"))
    shift(sales, "UPDATE dbo.\"Order\" SET Created = '2021-07-20' WHERE ID = (SELECT max(ID) FROM"
                 ' dbo."Order")')  # fmt: skip
    known = date(1990, 1, 1)
    for until in (date(2021, 6, 15), date(2021, 6, 20), date(2021, 7, 25), LATER):
        report = import_(sales, target, until=until)
        assert_copied(sales, target, until=until)
        read = len(rows(sales.duck, "Order", f"Created >= DATE '{known}'"))
        assert report.rows_read.get("Order", 0) == read
        known = until


def test_what_file_imports_refuse_is_told(sales, target):
    """The server's rows are as they are; ``check`` of the copy says the same."""
    shift(
        sales,
        "UPDATE dbo.OrderItem SET PricePerItem = 1e308 WHERE ID = 5;"
        " UPDATE dbo.OrderItem SET PricePerItem = -2 WHERE ID = 6;"
        " UPDATE dbo.OrderItem SET Qty = -2e12 WHERE ID = 7;"
        " UPDATE dbo.OrderItem SET Created = '1900-01-01' WHERE ID = 8;",
    )
    told = [str(notice) for notice in import_(sales, target).imported.notices]
    assert told == [
        "dbo.OrderItem: Created lies before 1990-01-01 (1 row; e.g. ID 8: 1900-01-01 00:00:00)",
        "dbo.OrderItem: PricePerItem is not above 0 (1 row; e.g. ID 6: -2.0)",
        "dbo.OrderItem: Qty is beyond 1e+12 (1 row; e.g. ID 7: -2000000000000.0)",
        "dbo.OrderItem: PricePerItem is beyond 1e+12 (1 row; e.g. ID 5: 1e+308)",
    ]
    with closing(open_database(target)) as copy:
        assert [str(finding) for finding in check_database(copy).fatal] == told
        assert rows(copy, "OrderItem") == rows(sales.duck, "OrderItem")
    shift(sales, "UPDATE dbo.OrderItem SET PricePerItem = 5 WHERE ID = 5")
    assert [str(notice) for notice in import_(sales, target).imported.notices] == told[:-1]


def test_the_check_before_an_import_counts_no_table(sales, target):
    import_(sales, target)
    asked = sales.server.seen.queries
    assert len([sql for sql in asked if "WHEN EXISTS (SELECT 1 FROM" in sql]) == len(TABLES)
    assert not any("COUNT_BIG" in sql or "MAX(" in sql for sql in asked)
    shift(sales, "DELETE FROM dbo.OrderItem")
    with pytest.raises(DataError, match=r"dbo.OrderItem: there are no order lines"):
        import_(sales, target)


def test_rows_without_a_date_are_left_out_and_told(sales, target):
    shift(sales, "UPDATE dbo.OrderItem SET Created = NULL WHERE ID IN (5, 6)")
    report = import_(sales, target)
    assert [str(n) for n in report.imported.notices] == [
        "dbo.OrderItem: Created is null: left out (2 rows)"
    ]
    assert_copied(sales, target)


PASSING = {
    "deadlock": DEADLOCK,
    "dropped": Drop(),
    "dropped in the middle": Drop(after_bytes=3000),
    "an error in the middle": Fail(1205, "victim", 13, after_rows=20),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("after", [0, 14, 25])
def test_what_passes_leaves_no_trace(sales, target, fault, after):
    sales.server.on_batch = strikes(fault, times=2, after=after)
    import_(sales, target)
    assert_copied(sales, target)


def test_an_import_that_was_broken_off_is_taken_up_where_it_ended(sales, target):
    sales.server.on_batch = strikes(DENIED, times=1, after=16)
    with pytest.raises(SourceError, match="229"):
        import_(sales, target)
    assert not target.exists()
    sales.server.on_batch = None
    report = import_(sales, target)
    assert 0 < report.rows_read["OrderItem"] < report.imported.lines
    assert_copied(sales, target)


def test_a_database_stays_as_it_was_where_an_import_fails(sales, target):
    import_(sales, target)
    before = target.read_bytes()
    shift(sales, NEW_ORDER.format(day="2021-09-02"))
    sales.server.on_batch = lambda sql: DENIED if "dbo.Product t" in sql else None
    with pytest.raises(SourceError, match="229"):
        import_(sales, target)
    assert target.read_bytes() == before
    sales.server.on_batch = None
    assert import_(sales, target).rows_read.get("OrderItem", 0) == 0
    assert_copied(sales, target)


def test_a_month_that_never_stands_still_is_given_up(sales, target):
    def busy(sql):
        if "AS PricePerItem" in sql:
            sales.duck.execute("UPDATE dbo.OrderItem SET Qty = Qty + 1")

    sales.server.on_batch = busy
    with pytest.raises(SourceError, match="changes while it is read: after 3 attempts") as caught:
        import_(sales, target)
    assert caught.value.transient
    assert not target.exists()


def test_what_does_not_come_from_this_server_is_not_overwritten(sales, target, folder):
    import_(sales, target)
    with pytest.raises(SourceError, match="holds orders of sql:1433/Sales, not of other:1/Shop"):
        import_(sales, target, place="other:1/Shop")
    with pytest.raises(SourceError, match=r"orders before .* already; 2021-08-01"):
        import_(sales, target, until=date(2021, 8, 1))
    target.with_name(target.name + sqlserver_import.SUFFIX).unlink()
    with closing(duckdb.connect(str(target))) as conn:
        conn.execute("DROP TABLE import_state")
    with pytest.raises(SourceError, match="holds orders that came from no server"):
        import_(sales, target)


def test_two_imports_at_once_are_one_too_many(sales, target):
    sales.server.on_batch = strikes(DENIED, after=16)
    with pytest.raises(SourceError, match="229"):
        import_(sales, target)
    partial = target.with_name(target.name + sqlserver_import.SUFFIX)
    with (
        closing(duckdb.connect(str(partial), config={"access_mode": "READ_ONLY"})),
        pytest.raises(SourceError, match=r"could not be opened|in use"),
    ):
        import_(sales, target)


def test_an_import_that_begins_while_another_prepares_leaves_it_alone(sales, target, monkeypatch):
    """It would have put its own copy under the other's name, half-made, to become the database."""
    import_(sales, target, until=date(2021, 8, 1))
    copy, refused = shutil.copyfile, []

    def copied(*paths):
        monkeypatch.setattr(shutil, "copyfile", copy)
        with pytest.raises(SourceError, match=r"another import into .* is at work") as caught:
            import_(sales, target)
        refused.append(caught.value.transient)
        return copy(*paths)

    monkeypatch.setattr(shutil, "copyfile", copied)
    import_(sales, target)
    assert refused == [True]
    assert_copied(sales, target)


def test_other_names_and_other_types(target):
    """Whole numbers as decimals, amounts as money, days without a time."""
    with duckdb.connect() as duck:
        duck.execute("""
            CREATE SCHEMA dbo; CREATE SCHEMA crm;
            CREATE TABLE crm.Shop (No DECIMAL(18, 0), Title VARCHAR);
            CREATE TABLE dbo.ClientAgreement (ID INTEGER, ClientID SMALLINT);
            CREATE TABLE dbo."Order" (ID DECIMAL(18, 0), ClientAgreementID INTEGER, Created DATE);
            CREATE TABLE dbo.OrderItem (ID INTEGER, OrderID DECIMAL(18, 0), ProductID INTEGER,
                Qty DECIMAL(18, 3), PricePerItem DECIMAL(19, 4), Created DATE);
            CREATE TABLE dbo.Product (ID INTEGER, Name VARCHAR);
            INSERT INTO crm.Shop VALUES (7, 'Ann');
            INSERT INTO dbo.ClientAgreement VALUES (70, 7);
            INSERT INTO dbo."Order" VALUES (1, 70, '2024-01-02'), (2, 70, '2024-02-02');
            INSERT INTO dbo.OrderItem VALUES (-5, 1, 3, 0.125, 9.9999, '2024-01-02'),
                (6, 2, 3, -2, NULL, '2024-02-02');
            INSERT INTO dbo.Product VALUES (3, 'Nuts');
        """)
        names = Names({"Client": TableNames("crm", "Shop", {"ID": "No", "Name": "Title"})})
        add_catalog(duck)
        with TdsServer({"Sales": duck}, datetime2=True) as server:
            import_(Sales(duck, server), target, names=names)
            assert server.wait_for_sessions(0) == 0
    with closing(open_database(target)) as copy:
        assert rows(copy, "Client") == [(7, "Ann")]
        assert [row[:5] for row in rows(copy, "OrderItem")] == [
            (-5, 1, 3, 0.125, 9.9999),
            (6, 2, 3, -2.0, None),
        ]
