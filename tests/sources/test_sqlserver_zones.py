"""Instants of a SQL Server (``datetimeoffset``) as days of the business's time zone."""

from contextlib import closing
from datetime import date, timedelta

import pytest

from tests.sources.helpers import assert_same_events
from tests.sources.sales import QUICK
from tests.tds.catalog import add_catalog
from tests.tds.server import PASSWORD
from toolkit.data.zones import today_in
from toolkit.errors import DataError, SourceError
from toolkit.sources.base import today_of
from toolkit.sources.embedded.database import open_database
from toolkit.sources.names import PLAIN_NAMES, Names, TableNames
from toolkit.sources.open import open_server
from toolkit.sources.sql import as_source
from toolkit.sources.sqlserver.check import check_server
from toolkit.sources.sqlserver.columns import NO_ZONE
from toolkit.sources.sqlserver.importer import import_server
from toolkit.sources.sqlserver.settings import SqlServer

AS_OF = date(2021, 9, 6)
BERLIN = Names(timezone="Europe/Berlin")
MOMENTS = {
    "2021-09-06 00:00:00+02:00": "2021-09-06",
    "2021-09-05 23:30:00+02:00": "2021-09-05",
    "2021-03-28 00:30:00+01:00": "2021-03-28",  # the clocks go forward at 02:00
    "2021-03-28 22:30:00+00:00": "2021-03-29",
    "2021-03-27 22:30:00+00:00": "2021-03-27",
    "2020-10-24 22:30:00+00:00": "2020-10-25",  # the clocks go back at 03:00
    "2020-10-25 22:30:00+00:00": "2020-10-25",
    "2020-10-25 18:00:00-05:00": "2020-10-26",
}


@pytest.fixture
def instants(sales):
    """The lines' times have an offset; the first few are at the edges of days."""
    add_instants(sales.duck)
    return sales


def add_instants(duck):
    """Local times of Berlin, as instants."""
    for table in ("OrderItem", "Order"):
        zoned = "timezone('Europe/Berlin', Created)"
        declared = "Created TYPE TIMESTAMP WITH TIME ZONE USING"
        duck.execute(f'ALTER TABLE dbo."{table}" ALTER {declared} {zoned}')
    add_catalog(duck)


def server(sales, names):
    return SqlServer(sales.settings(password=PASSWORD), names)


def import_(sales, target, names, until=AS_OF):
    with closing(sales.steady()) as conn:
        return import_server(conn, target, "sql:1/Sales", names, until=until, patience=QUICK)


def test_instants_are_copied_as_local_times(sales, target):
    original = sales.duck.execute("FROM dbo.OrderItem WHERE Created < DATE '2021-09-06'").fetchall()
    add_instants(sales.duck)
    edges = [(i, text) for i, text in enumerate(MOMENTS, start=1)]
    for i, text in edges:
        sales.duck.execute(f"UPDATE dbo.OrderItem SET Created = '{text}' WHERE ID = {i}")
    import_(sales, target, BERLIN)
    with closing(open_database(target)) as conn:
        copied = {row[0]: row for row in conn.execute("FROM dbo.OrderItem").fetchall()}
    found = {i: str(copied[i][-1].date()) if i in copied else None for i, _ in edges}
    expected = {i: MOMENTS[text] for i, text in edges}
    assert found == {i: None if day >= str(AS_OF) else day for i, day in expected.items()}
    rest = [row for row in original if row[0] > len(MOMENTS)]
    assert {row[0]: row for row in rest}.items() <= copied.items()
    assert "OrderItem" not in import_(sales, target, BERLIN).rows_read


def test_an_order_at_midnight_of_the_as_of_date_is_not_known(instants):
    """In UTC it would be of the day before."""
    with open_server(server(instants, BERLIN)) as orders:
        before = orders.source.order_events(AS_OF)
        for text, known in (("2021-09-06 00:00:00+02:00", 0), ("2021-09-05 23:59:59+02:00", 1)):
            instants.duck.execute(
                'INSERT INTO dbo."Order" SELECT max(ID) + 1, min(ClientAgreementID),'
                f" '{text}' FROM dbo.\"Order\";"
                " INSERT INTO dbo.OrderItem SELECT max(ID) + 1,"
                ' (SELECT max(ID) FROM dbo."Order"), 1, 3, 9.5,'
                f" '{text}' FROM dbo.OrderItem"
            )
            after = orders.source.order_events(AS_OF)
            assert after.quantity.sum() - before.quantity.sum() == 3 * known


def test_forecast_data_are_those_of_local_times(sales):
    expected = as_source(sales.duck).order_events(AS_OF)
    products = as_source(sales.duck).products(AS_OF, [1, 2, 3])
    add_instants(sales.duck)
    with open_server(server(sales, BERLIN)) as orders:
        assert_same_events(orders.source.order_events(AS_OF), expected)
        assert orders.source.products(AS_OF, [1, 2, 3]) == products
        assert today_of(orders.source) == today_in("Europe/Berlin")


def test_tables_of_other_names(instants):
    instants.duck.execute(
        'CREATE SCHEMA sales; CREATE TABLE sales."order lines" AS SELECT * EXCLUDE Created,'
        " Created AS Added FROM dbo.OrderItem"
    )
    add_catalog(instants.duck)
    lines = TableNames("sales", "order lines", {"Created": "Added"})
    renamed = Names({"OrderItem": lines}, "Europe/Berlin")
    with (
        open_server(server(instants, renamed)) as one,
        open_server(server(instants, BERLIN)) as two,
    ):
        assert_same_events(one.source.order_events(AS_OF), two.source.order_events(AS_OF))


def test_without_a_zone_instants_are_refused(instants, target):
    told = {f"dbo.{table}.Created: {NO_ZONE}" for table in ("Order", "OrderItem")}
    with closing(instants.steady()) as conn:
        assert {str(finding) for finding in check_server(conn, PLAIN_NAMES, QUICK).fatal} == told
        assert check_server(conn, BERLIN, QUICK).ok
    with pytest.raises(DataError, match="give the time zone of the business"):
        import_(instants, target, PLAIN_NAMES)
    with (
        pytest.raises(DataError, match="as --timezone Europe/Berlin or timezone in the file"),
        open_server(server(instants, PLAIN_NAMES)),
    ):
        pass


def test_the_check_tells_the_latest_day_of_the_zone(instants):
    instants.duck.execute("UPDATE dbo.OrderItem SET Created = '2022-03-01 23:30:00Z' WHERE ID = 5")
    with closing(instants.steady()) as conn:
        assert check_server(conn, BERLIN, QUICK).last_date == date(2022, 3, 2)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_an_import_ends_before_today_in_the_zone(sales, target, zone):
    report = import_(sales, target, Names(timezone=zone), until=None)
    assert report.until_date == today_in(zone)
    with closing(open_database(target)) as conn:
        assert today_of(as_source(conn)) == today_in(zone)


def test_days_of_two_zones_are_not_mixed(sales, target):
    import_(sales, target, BERLIN)
    for names, said in ((PLAIN_NAMES, "no named one"), (Names(timezone="UTC"), "UTC")):
        with pytest.raises(SourceError, match=f"holds days of Europe/Berlin, not of {said}"):
            import_(sales, target, names, until=AS_OF + timedelta(1))
