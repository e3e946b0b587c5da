"""An export of what a stream or a file says has changed, on a real server, killed and resumed."""

import os
import signal
from datetime import date, timedelta

import duckdb
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.export.test_job import _without_release, plain
from tests.processes import forks
from toolkit.cache.feed import GROUP
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.server import connect
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, CacheError, DataError
from toolkit.export import job
from toolkit.export.changes import ChangedOrder, read_changes
from toolkit.export.feed import export_feed
from toolkit.export.job import ExportSettings, export_release
from toolkit.sources.codes import Codes
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders

STREAM = "orders:changed"
LATER = AS_OF + timedelta(5)
REGULAR, WEEKLY, OTHERS = 7, 2, (5, 9)
"""A customer who orders product 2 every week, and had ordered two others."""


@pytest.fixture
def regular(database):
    database.execute("INSERT INTO dbo.Client VALUES (?, 'Regular')", [REGULAR])
    database.execute("INSERT INTO dbo.ClientAgreement VALUES (?, ?)", [REGULAR, REGULAR])
    for week in range(1, 31):
        add_line(database, product_id=WEEKLY, customer_id=REGULAR, day=-7 * week)
    for product_id in OTHERS:
        for day in (-100, -60, -30):
            add_line(database, product_id=product_id, customer_id=REGULAR, day=day)


def order(database, *days, product_id=WEEKLY):
    for day in days:
        add_line(database, product_id=product_id, customer_id=REGULAR, day=day)


def tell(client, customer_id, product_id="", ordered_at=""):
    """An entry of the stream."""
    fields = {"customer_id": customer_id, "product_id": product_id, "ordered_at": str(ordered_at)}
    return client.xadd(STREAM, fields).decode()


def pending(client):
    return client.xpending(STREAM, GROUP)["pending"]


def fed(engine, client, as_of=LATER, **settings):
    return export_feed(engine, client, STREAM, ExportSettings(as_of, **settings))


def made_as_of(client, as_of, day):
    """The products that readers have as of ``as_of``, made as of ``day``."""
    found = {i: plain(client, i, as_of) for i in Releases(client).current().product_ids}
    dates = {i: value.get("model_metadata", value)["as_of_date"] for i, value in found.items()}
    return {i for i, made in dates.items() if made == str(day)}


def test_what_an_entry_names_is_computed_and_all_else_stays_byte_for_byte(
    engine, database, client, regular
):
    first = export_release(engine, client, ExportSettings(AS_OF))
    before = {i: client.get(f"forecast:product:{i}:{AS_OF}") for i in known_products(database)}
    order(database, 0)
    entry = tell(client, REGULAR, WEEKLY, AS_OF)
    report = fed(engine, client)
    assert (report.taken, report.later, report.waiting) == (1, 0, {})
    assert report.export.carried == len(before) - 1
    assert made_as_of(client, LATER, LATER) == {WEEKLY}
    forecast = engine.generate_forecast(WEEKLY, LATER)
    assert plain(client, WEEKLY, LATER)["summary"] == forecast.to_dict()["summary"]
    for product_id in before.keys() - {WEEKLY}:
        now = client.get(f"forecast:product:{product_id}:{LATER}")
        assert _without_release(now, report.release) == _without_release(
            before[product_id], first.release
        )
    assert pending(client) == 0
    assert client.xinfo_groups(STREAM)[0]["last-delivered-id"] == entry.encode()
    again = fed(engine, client)
    assert (again.export, again.release, again.taken) == (None, report.release, 0)
    assert Releases(client).current().release_id == report.release


@pytest.mark.parametrize(
    ("days", "as_of", "cascades"),
    [
        ((0,), LATER, False),  # once a week, as always
        ((0, 1, 2, 3, 4), LATER, True),
        ((110,), AS_OF + timedelta(112), True),  # once in 16 weeks
        ((-3,), LATER, True),  # entered late: the forecast did not know it
    ],
)
def test_a_customer_who_orders_otherwise_than_expected_has_all_products_computed(
    engine, database, client, regular, days, as_of, cascades
):
    export_release(engine, client, ExportSettings(AS_OF))
    order(database, *days)
    for day in days:
        tell(client, REGULAR, WEEKLY, AS_OF + timedelta(day))
    fed(engine, client, as_of)
    computed = made_as_of(client, as_of, as_of)
    assert computed == ({WEEKLY, *OTHERS} if cascades else {WEEKLY})


def test_a_product_that_was_new_to_the_customer_cascades_and_so_does_an_order_of_no_day(
    engine, database, client, regular
):
    export_release(engine, client, ExportSettings(AS_OF))
    order(database, 1, product_id=11)
    tell(client, REGULAR, 11, AS_OF + timedelta(1))
    fed(engine, client)
    assert made_as_of(client, LATER, LATER) == {WEEKLY, *OTHERS, 11}
    after = LATER + timedelta(1)
    tell(client, REGULAR, WEEKLY)
    fed(engine, client, after)
    assert made_as_of(client, after, after) == {WEEKLY, *OTHERS, 11}


def test_an_entry_without_a_product_is_of_all_that_the_customer_ordered(
    engine, database, client, regular
):
    export_release(engine, client, ExportSettings(AS_OF))
    tell(client, REGULAR)
    fed(engine, client)
    assert made_as_of(client, LATER, LATER) == {WEEKLY, *OTHERS}


def test_orders_at_or_after_the_as_of_date_touch_nothing_and_wait_for_it(
    engine, database, client, regular
):
    export_release(engine, client, ExportSettings(AS_OF))
    order(database, 5, 6, 7, 8)
    order(database, 6, product_id=OTHERS[0])
    late = [tell(client, REGULAR, WEEKLY, AS_OF + timedelta(day)) for day in (5, 6, 7, 8)]
    nothing = fed(engine, client)
    assert (nothing.export, nothing.later, pending(client)) == (None, 4, 4)
    order(database, 0)
    tell(client, REGULAR, WEEKLY, AS_OF)  # as expected, whatever comes after the date
    report = fed(engine, client)
    assert (report.taken, report.later) == (1, 4)
    assert made_as_of(client, LATER, LATER) == {WEEKLY}
    then = AS_OF + timedelta(9)
    assert fed(engine, client, then).taken == len(late)
    assert pending(client) == 0


def test_what_is_unknown_or_unreadable_waits_and_is_told(engine, database, client, regular):
    export_release(engine, client, ExportSettings(AS_OF))
    unknown = tell(client, 8, WEEKLY)
    wrong = [tell(client, ""), tell(client, "Ä-1"), tell(client, REGULAR, WEEKLY, "soon")]
    wrong += [tell(client, REGULAR, 10**19), client.xadd(STREAM, {"x": b"\xff"}).decode()]
    wrong.append(tell(client, REGULAR, WEEKLY, "2022-06-06T12:00:00+02:00"))
    assert tell(client, REGULAR, WEEKLY, "2022-06-06 12:00:00")
    report = fed(engine, client)
    assert report.taken == 1
    assert list(report.waiting) == [unknown, *wrong]
    assert report.waiting[unknown] == "there is no customer 8"
    assert report.waiting[wrong[0]] == "customer_id is missing"
    assert "no whole number: 'Ä-1'" in report.waiting[wrong[1]]
    assert "has an offset" in report.waiting[wrong[-1]]
    assert pending(client) == 1 + len(wrong)
    database.execute("INSERT INTO dbo.Client VALUES (8, 'New')")
    assert fed(engine, client).taken == 1


def test_where_entries_were_trimmed_before_a_release_knew_them_all_is_computed(
    engine, database, client, regular
):
    export_release(engine, client, ExportSettings(AS_OF))
    tell(client, REGULAR, WEEKLY, AS_OF + timedelta(60))
    fed(engine, client)
    client.xtrim(STREAM, maxlen=0)
    report = fed(engine, client)
    assert (report.trimmed, report.taken, report.export.carried) == (1, 1, 0)
    assert pending(client) == 0


def test_without_a_release_or_by_another_model_all_is_computed(engine, database, client):
    tell(client, FIRST_CUSTOMER_ID)
    assert fed(engine, client).export.carried == 0
    tell(client, FIRST_CUSTOMER_ID)
    other = ForecastEngine(database, seed=1, clock=lambda: NOON)
    assert fed(other, client).export.carried == 0


def test_an_export_that_publishes_nothing_acknowledges_nothing(engine, database, client):
    export_release(engine, client, ExportSettings(AS_OF))
    database.execute("UPDATE dbo.OrderItem SET Qty = 'nan' WHERE ProductID = 2")
    tell(client, FIRST_CUSTOMER_ID, 2)
    refused = fed(engine, client)
    assert (refused.release, refused.taken, pending(client)) == (None, 0, 1)
    assert Releases(client).current().as_of_date == AS_OF


def test_another_kind_of_key_is_no_feed(engine, client):
    client.set(STREAM, "x")
    with pytest.raises(CacheError, match=f"{STREAM!r} is no stream but a string"):
        fed(engine, client)


def _export_and_die(url, orders, when):
    """An export of the feed that is killed, as if from outside."""

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    job.LOCK_S = 2.0
    if when == "after the flip":
        job._Run.clean = die
    with duckdb.connect() as conn, connect(url) as client:
        load_orders(orders, conn)
        engine = ForecastEngine(conn, clock=lambda: NOON)
        settings = ExportSettings(LATER)
        progress = die if when == "before it computes" else lambda done, total: None
        export_feed(engine, client, STREAM, settings, progress)


@pytest.mark.parametrize(
    "when", [pytest.param("before it computes", marks=pytest.mark.slow), "after the flip"]
)
def test_whoever_is_killed_loses_nothing_and_computes_nothing_twice(
    orders, engine, client, cache_server, when, monkeypatch
):
    monkeypatch.setattr(job, "LOCK_S", 20.0)
    first = export_release(engine, client, ExportSettings(AS_OF)).release
    for _ in range(3):
        tell(client, FIRST_CUSTOMER_ID)
    child = forks().Process(target=_export_and_die, args=(cache_server.url, orders, when))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    current = Releases(client).current().release_id
    again = fed(engine, client)
    if when == "after the flip":
        assert current != first
        assert (again.export, again.release, pending(client)) == (None, current, 0)
    else:
        assert current == first
        assert (again.taken, pending(client)) == (3, 0)
        touched = set(engine.source.ordered_products(LATER, [FIRST_CUSTOMER_ID]))
        assert made_as_of(client, LATER, LATER) == touched


@pytest.fixture
def changes(database, tmp_path):
    def read(text, as_of=LATER):
        file = tmp_path / "changed.csv"
        file.write_text(text)
        return read_changes(file, ForecastEngine(database).source, as_of, Codes.of(database))

    return read


def test_a_file_of_changed_orders(engine, database, client, regular, changes):
    found = changes(
        "order_id,customer_id,ordered_at,product_id\n"
        f"1,{REGULAR},{AS_OF},{WEEKLY}\n2,{REGULAR},{AS_OF} 08:15,\n3,{REGULAR},{LATER},3\n"
    )
    assert list(found.usable.values()) == [
        ChangedOrder(REGULAR, WEEKLY, AS_OF),
        ChangedOrder(REGULAR, None, AS_OF),
    ]
    assert found.later == ["line 4"]
    export_release(engine, client, ExportSettings(AS_OF))
    export_release(engine, client, ExportSettings(LATER, changed=[*found.usable.values()]))
    assert made_as_of(client, LATER, LATER) == {WEEKLY, *OTHERS}


def test_all_that_is_wrong_with_a_file_is_told(changes, regular):
    with pytest.raises(DataError) as caught:
        changes(f"customer_id,product_id,ordered_at\n,2\n{REGULAR},x,\n8,2,\n{REGULAR},99,2022-1-1")
    said = str(caught.value)
    assert "cannot be read (3 rows; e.g. line 2: customer_id is missing, line 3: product_id" in said
    assert "not in the database (1 row; e.g. line 4: there is no customer 8)" in said
    with pytest.raises(ArgumentError, match="with a column customer_id, got the columns a, b"):
        changes("a,b\n1,2\n")
    with pytest.raises(ArgumentError, match="got the columns of an empty file"):
        changes("")


def test_a_changed_order_of_the_future_is_refused():
    with pytest.raises(ArgumentError, match=f"have to be before the as-of date {AS_OF}, got"):
        ExportSettings(AS_OF, changed=[ChangedOrder(1, 2, date(2022, 6, 6))])
