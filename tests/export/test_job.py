"""The export against a real server: what readers get, before, after, and if it is cut short."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import duckdb
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.processes import forks
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.server import connect
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, CacheError, PredictionError, SourceError
from toolkit.export import job, making
from toolkit.export.job import ExportSettings, export_release
from toolkit.export.plan import LAST
from toolkit.export.report import Status
from toolkit.results.forecast import ProductForecast
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders
from toolkit.stages.listing import ProductThresholds, Thresholds

SETTINGS = ExportSettings(AS_OF)


def plain(client, product_id, as_of=AS_OF):
    """What any consumer reads."""
    value = client.get(f"forecast:product:{product_id}:{as_of}")
    return None if value is None else json.loads(value)


def export(engine, client, **changes):
    return export_release(engine, client, replace(SETTINGS, **changes))


class Failing(ForecastEngine):
    """An engine whose batches fail wherever one of some products is among them."""

    broken: frozenset[int] = frozenset()
    error: Exception = PredictionError("no luck")

    def generate_forecasts(self, product_ids, *args, **more):
        ids = list(product_ids)
        if self.broken & set(ids):
            raise self.error
        return super().generate_forecasts(ids, *args, **more)


@pytest.fixture
def failing(database):
    return Failing(database, clock=lambda: NOON)


def test_readers_get_what_the_engine_says(engine, database, client):
    ids = known_products(database)
    report = export(engine, client)
    expected = engine.generate_forecasts(ids, AS_OF)
    for product_id, forecast in expected.items():
        found = plain(client, product_id)
        assert found["release"] == report.release
        assert ProductForecast.from_dict(found) == forecast
    release = Releases(client).current()
    assert release.release_id == report.release
    assert list(release.product_ids) == ids


ODD = {
    "PricePerItem = 1e308": Status.ERROR,
    "PricePerItem = 'inf'": Status.ERROR,
    "Qty = 1e308": Status.ERROR,
    "Qty = 'inf'": Status.ERROR,
    "Qty = 'nan'": Status.ERROR,
}


@pytest.mark.parametrize(("odd", "expected"), ODD.items(), ids=ODD)
def test_numbers_beyond_all_bounds_cost_their_product_only(engine, database, client, odd, expected):
    database.execute(f"UPDATE dbo.OrderItem SET {odd} WHERE ProductID = 2")
    report = export(engine, client, allowed_errors=0.5)
    assert report.release is not None
    status = {product.product_id: product.status for product in report.products}
    assert status.pop(2) is expected
    assert Status.SUCCESS in status.values()
    assert Status.ERROR not in status.values()
    assert len(status) == len(known_products(database)) - 1


def test_an_order_before_the_year_1_is_named_with_its_table(engine, database, client):
    database.execute(
        "UPDATE dbo.OrderItem SET Created = '0044-03-15 (BC)' WHERE ID = (SELECT min(ID) FROM"
        " dbo.OrderItem WHERE ProductID = 2)"
    )
    said = r"dbo.OrderItem.Created holds 0044-03-15 \(BC\), a date before the year 1"
    with pytest.raises(SourceError, match=said):
        export(engine, client, allowed_errors=0.5)
    assert Releases(client).current() is None


def test_a_price_beyond_all_prices_is_the_error_of_its_product(engine, database, client):
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = 1e308 WHERE ProductID = 2")
    report = export(engine, client, allowed_errors=0.5)
    (error,) = (product.error for product in report.products if product.status is Status.ERROR)
    assert error == (
        "PredictionError: product 2 has a price of 1e+308, above 1e+12: `toolkit check` lists such "
        "prices"
    )
    assert export(engine, client, allowed_errors=0.0).release is None


def test_the_report_has_a_word_for_every_product(engine, database, client):
    engine.thresholds = ProductThresholds(Thresholds(2, 0.3), {1: Thresholds(50, 1.0)})
    report = export(engine, client)
    expected = engine.generate_forecasts(known_products(database), AS_OF)
    for product in report.products:
        assert product.status is Status.SUCCESS
        forecast = expected[product.product_id]
        assert product.expected_quantity == forecast.summary["expected_quantity"] > 0
    assert expected[1].summary["unique_customers"] == 0  # and has a forecast all the same
    assert sum(report.counts.values()) == len(expected) == len(report.products)
    assert json.loads(json.dumps(report.to_dict()))["counts"]["error"] == 0
    assert 0 < report.redis_seconds < report.seconds


def test_a_cached_call_is_served_by_the_release(engine, client):
    export(engine, client)
    never = Failing(engine.source, clock=lambda: NOON)
    never.broken = frozenset({2})
    expected = engine.generate_forecast(2, AS_OF)
    for _ in range(10):  # a loaded machine may take longer than a cached call waits
        with suppress(PredictionError):
            assert never.generate_forecast_cached(2, client, AS_OF) == expected
            return
    pytest.fail("the release was not read")


def test_a_call_with_other_thresholds_is_not(engine, client):
    export(engine, client)
    found = engine.generate_forecast_cached(2, client, AS_OF, min_orders=1, min_confidence=0.0)
    assert found.model_metadata["min_orders_threshold"] == 1
    assert plain(client, 2)["model_metadata"]["min_orders_threshold"] == 2


def test_each_batch_is_told(engine, client, monkeypatch):
    monkeypatch.setattr(job, "BATCH", 5)
    seen = []
    export_release(engine, client, SETTINGS, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 12), (5, 12), (10, 12), (12, 12)]


def test_products_that_fail_are_found_and_nothing_is_published(failing, client):
    failing.broken = frozenset({3, 11})
    report = export(failing, client)
    assert [(p.product_id, p.error) for p in report.failed] == [
        (3, "PredictionError: no luck"),
        (11, "PredictionError: no luck"),
    ]
    assert report.release is None
    assert report.refusal == (
        "2 of 12 products failed, more than the share of 0 that is allowed; nothing was published"
    )
    assert Releases(client).current() is None
    assert plain(client, 1) is None


def test_holes_are_published_where_they_are_allowed(failing, client):
    failing.broken = frozenset({3, 11})
    report = export(failing, client, allowed_errors=0.17)
    assert report.counts["error"] == 2
    assert 3 not in Releases(client).current().product_ids
    assert plain(client, 3) is None
    assert plain(client, 1)["release"] == report.release


def test_what_failed_is_computed_by_the_next_export_and_no_more(failing, client):
    failing.broken = frozenset({3})
    assert not export(failing, client).published
    failing.broken = frozenset({1, 2, 4})  # staged already
    report = export(failing, client)
    assert report.published
    assert report.resumed == 11
    assert plain(client, 3)["release"] == report.release


def test_too_many_failures_end_it(failing, client, monkeypatch):
    monkeypatch.setattr(making, "MOST_ERRORS", 2)
    failing.broken = frozenset(range(1, 13))
    with pytest.raises(PredictionError, match="more than 2 products failed, and nothing was pub"):
        export(failing, client, allowed_errors=1.0)


def test_a_database_that_fails_ends_it_and_readers_keep_what_they_had(failing, client):
    first = export(failing, client)
    failing.broken, failing.error = frozenset({7}), SourceError("gone")
    with pytest.raises(SourceError, match="gone"):
        export(failing, client, as_of_date=AS_OF + timedelta(7))
    assert Releases(client).current().release_id == first.release
    assert plain(client, 7)["release"] == first.release


def test_only_products_ordered_since_are_computed(engine, database, client):
    first = export(engine, client)
    later = AS_OF + timedelta(1)
    add_line(database, product_id=5, customer_id=1, day=0)
    touched = _products_ordered(database, AS_OF, later)
    second = export(engine, client, as_of_date=later, since=AS_OF)
    assert 5 in touched
    assert second.carried == 12 - len(touched)
    for product_id in known_products(database):
        found = plain(client, product_id, later)
        assert found["release"] == second.release != first.release
        made = found.get("model_metadata", found)["as_of_date"]
        assert made == str(later if product_id in touched else AS_OF)
        assert plain(client, product_id) is None


def test_only_what_a_customer_ordered_is_computed_where_its_orders_were_corrected(
    engine, database, client
):
    """Orders entered late are of no day since the release: the customer tells which products."""
    first = export(engine, client)
    customer = FIRST_CUSTOMER_ID
    ids = known_products(database)
    ordered = set(engine.source.ordered_products(AS_OF, [customer]))
    quiet = min({*ids} - ordered)
    add_line(database, product_id=quiet, customer_id=customer, day=-3, quantity=50.0)
    second = export(engine, client, customer_ids=[customer])
    assert 0 < second.carried == 12 - len(ordered | {quiet})
    for product_id in ids:
        found = plain(client, product_id)
        assert found["release"] == second.release != first.release
        if product_id in ordered | {quiet}:
            forecast = engine.generate_forecast(product_id, AS_OF)
            assert found["summary"] == json.loads(json.dumps(forecast.summary))
    with pytest.raises(ArgumentError, match="the database has no customer 99"):
        export(engine, client, customer_ids=[99, customer])


def test_a_product_that_was_only_returned_since_is_computed(engine, database, client):
    """Else readers keep the forecast of an order that was cancelled."""
    later = AS_OF + timedelta(1)
    ordered = _products_ordered(database, AS_OF, later)
    quiet = min({*known_products(database)} - ordered)
    add_line(database, product_id=quiet, customer_id=FIRST_CUSTOMER_ID, day=-1, quantity=80_995.0)
    export(engine, client)
    add_line(database, product_id=quiet, customer_id=FIRST_CUSTOMER_ID, day=0, quantity=-80_995.0)
    report = export(engine, client, as_of_date=later, since=LAST)
    assert report.carried == 12 - len(ordered | {quiet})
    found = plain(client, quiet, later)
    assert found["model_metadata"]["as_of_date"] == str(later)
    forecast = engine.generate_forecast(quiet, later)
    assert found["summary"] == json.loads(json.dumps(forecast.summary))


def test_a_carried_forecast_is_no_answer_to_a_cached_call_as_of_a_later_date(engine, client):
    export(engine, client)
    later = AS_OF + timedelta(1)
    report = export(engine, client, as_of_date=later, since=AS_OF)
    kept = {p.product_id for p in report.products if p.status is Status.SUCCESS}
    for product_id in sorted(kept)[:3]:
        found = engine.generate_forecast_cached(product_id, client, later)
        assert found == engine.generate_forecast(product_id, later)


def _products_ordered(conn, start, stop):
    rows = conn.execute(
        'SELECT DISTINCT ProductID FROM dbo.OrderItem JOIN dbo."Order" o ON o.ID = OrderID'
        " WHERE o.Created >= ? AND o.Created < ?",
        [start, stop],
    ).fetchall()
    return {product_id for (product_id,) in rows}


def test_last_is_since_the_current_release_and_all_where_nothing_can_be_kept(
    engine, database, client
):
    assert export(engine, client, since=LAST).carried == 0
    later = {"as_of_date": AS_OF + timedelta(7)}
    touched = _products_ordered(database, AS_OF, later["as_of_date"])
    report = export(engine, client, since=LAST, **later)
    assert report.carried == 12 - len(touched)
    other = ForecastEngine(database, seed=1, clock=lambda: NOON)
    assert export(other, client, since=LAST, **later).carried == 0
    back = export(other, client, since=LAST, as_of_date=AS_OF, earlier=True)
    assert back.carried == 0  # no word of the future


def test_what_has_expired_is_computed(engine, client):
    export(engine, client)
    client.delete(f"forecast:product:1:{AS_OF}")
    report = export(engine, client, since=AS_OF, as_of_date=AS_OF + timedelta(1))
    assert report.published
    assert plain(client, 1, AS_OF + timedelta(1))["model_metadata"]["as_of_date"] != str(AS_OF)


def test_a_full_export_after_one_with_since_that_was_cut_short_computes_all(
    failing, database, client
):
    export(failing, client)
    later = {"as_of_date": AS_OF + timedelta(1)}
    add_line(database, product_id=5, customer_id=1, day=0)
    failing.broken = frozenset({5})
    assert not export(failing, client, since=AS_OF, **later).published
    failing.broken = frozenset()
    report = export(failing, client, **later)
    assert (report.carried, report.resumed) == (0, 0)
    made = {
        plain(client, i, later["as_of_date"])["model_metadata"]["as_of_date"]
        for i in known_products(database)
    }
    assert made == {str(later["as_of_date"])}


def test_a_release_that_came_in_between_ends_one_with_since(engine, database, client, monkeypatch):
    export(engine, client)
    later = {"as_of_date": AS_OF + timedelta(1)}
    planned = job.make_plan

    def slowly(*arguments):
        plan = planned(*arguments)
        monkeypatch.setattr(job, "make_plan", planned)
        other = ForecastEngine(database, seed=1, clock=lambda: NOON)
        export(other, client)
        return plan

    monkeypatch.setattr(job, "make_plan", slowly)
    with pytest.raises(CacheError, match="is not current any more"):
        export(engine, client, since=AS_OF, **later)


def test_since_needs_a_release_that_reaches_it_and_was_made_alike(engine, database, client):
    later = {"as_of_date": AS_OF + timedelta(9)}
    with pytest.raises(ArgumentError, match="there is no release yet to keep forecasts from"):
        export(engine, client, since=AS_OF, **later)
    first = export(engine, client)
    early = {"as_of_date": AS_OF - timedelta(1), "since": AS_OF - timedelta(9), "earlier": True}
    with pytest.raises(
        ArgumentError, match=rf"{first.release} knows what came after {AS_OF - timedelta(1)}"
    ):
        export(engine, client, **early)
    with pytest.raises(ArgumentError, match=rf"{first.release} knows orders before {AS_OF} only"):
        export(engine, client, since=AS_OF + timedelta(1), **later)
    other = ForecastEngine(database, seed=1, clock=lambda: NOON)
    with pytest.raises(ArgumentError, match="was made with another seed, so that nothing"):
        export(other, client, since=AS_OF, **later)
    stricter = ForecastEngine(database, thresholds=ProductThresholds(Thresholds(3, 0.3)))
    with pytest.raises(ArgumentError, match="was made with another thresholds_sha256"):
        export(stricter, client, since=AS_OF, **later)


def test_room_is_asked_for_before_anything_is_computed(engine, failing, client):
    first = export(engine, client)
    failing.broken, failing.error = frozenset(range(1, 13)), AssertionError("it was computed")
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used + 100_000)
    try:
        with pytest.raises(CacheError, match="not enough memory left for 12 products more: they"):
            export(failing, client, as_of_date=AS_OF + timedelta(1))
    finally:
        client.config_set("maxmemory", 0)
    assert {plain(client, i)["release"] for i in range(1, 13)} == {first.release}


def test_dates_only_move_forward_unless_told(engine, client):
    later = export(engine, client, as_of_date=AS_OF + timedelta(1))
    sentence = rf"{later.release}, as of {AS_OF + timedelta(1)}, which is later than {AS_OF}: leave"
    with pytest.raises(ArgumentError, match=sentence):
        export(engine, client)
    assert Releases(client).current().release_id == later.release
    assert export(engine, client, as_of_date=AS_OF + timedelta(1)).published  # the same is no step
    back = export(engine, client, earlier=True)
    assert plain(client, 2)["release"] == back.release
    assert export(engine, client, as_of_date=AS_OF + timedelta(2)).published


def test_an_export_that_waited_for_a_later_one_publishes_nothing(engine, client, monkeypatch):
    planned = job.make_plan

    def slowly(*arguments):
        plan = planned(*arguments)
        monkeypatch.setattr(job, "make_plan", planned)
        export(engine, client, as_of_date=AS_OF + timedelta(1))
        return plan

    monkeypatch.setattr(job, "make_plan", slowly)
    with pytest.raises(ArgumentError, match="allow it with --earlier"):
        export(engine, client)
    assert Releases(client).current().as_of_date == AS_OF + timedelta(1)


def test_named_products_alone_would_take_the_others_from_readers(engine, client):
    export(engine, client)
    with pytest.raises(ArgumentError, match=r"would lose 10 products: 1, 4, 5, 6, 7, …, which rel"):
        export(engine, client, product_ids=[3, 2, 2])
    report = export(engine, client, product_ids=[3, 2, 2], shrink=True)
    assert [product.product_id for product in report.products] == [2, 3]
    assert plain(client, 1) is None


def test_products_that_do_not_exist_are_named_and_nothing_is_lost(engine, database, client):
    first = export(engine, client)
    with pytest.raises(ArgumentError, match="the database has no 2 products: 98, 99"):
        export(engine, client, product_ids=[1, 99, 98])
    assert Releases(client).current().release_id == first.release


def test_a_product_that_nobody_has_ordered_has_nothing_to_forecast(engine, database, client):
    database.execute("INSERT INTO dbo.Product VALUES (50, 'New')")
    report = export(engine, client, product_ids=[1, 50])
    assert report.products[1].status is Status.NO_PREDICTIONS
    assert report.products[1].expected_quantity is None
    assert plain(client, 50)["no_forecast"] is True


def test_a_product_that_was_wholly_returned_has_nothing_to_forecast(engine, database, client):
    """It is served as such, every night, and stops no export."""
    database.execute("INSERT INTO dbo.Product VALUES (50, 'New')")
    order = {"product_id": 50, "customer_id": FIRST_CUSTOMER_ID}
    add_line(database, **order, day=-1, quantity=7.0)
    export(engine, client)
    assert plain(client, 50)["summary"]["expected_quantity"] > 0
    add_line(database, **order, day=0, quantity=-7.0)
    for night, since in enumerate((LAST, LAST, None), start=1):
        later = AS_OF + timedelta(night)
        report = export(engine, client, as_of_date=later, since=since)
        assert report.products[-1].status is Status.NO_PREDICTIONS
        assert plain(client, 50, later)["no_forecast"] is True
    report = export(engine, client, as_of_date=later, shrink=True)
    assert [product.product_id for product in report.products] == known_products(database)[:-1]


@pytest.mark.parametrize("named", [True, False])
def test_a_product_whose_lines_are_gone_is_a_loss(engine, database, client, named):
    export(engine, client)
    database.execute("DELETE FROM dbo.OrderItem WHERE ProductID = 2")
    if not named:
        database.execute("DELETE FROM dbo.Product WHERE ID = 2")
    with pytest.raises(ArgumentError, match="would lose product 2, which release"):
        export(engine, client, as_of_date=AS_OF + timedelta(1))


def test_a_release_says_which_default_price_it_used(engine, database, client):
    """And is not taken for one of another price, or of none."""
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 2")
    export(engine, client)
    assert Releases(client).current().details["default_price"] is None
    assert plain(client, 2)["summary"]["unit_price"] is None
    priced = ForecastEngine(database, default_price=35.0, clock=lambda: NOON)
    later = {"as_of_date": AS_OF + timedelta(1), "since": AS_OF}
    with pytest.raises(ArgumentError, match="was made with another default_price, so that nothing"):
        export(priced, client, **later)
    report = export(priced, client)
    assert report.details["default_price"] == 35.0
    release = Releases(client).current()
    assert release.details["default_price"] == release.computed_with["default_price"] == 35.0
    assert plain(client, 2)["summary"]["unit_price"] == 35.0
    assert plain(client, 2)["model_metadata"]["default_price"] == 35.0
    assert plain(client, 1)["model_metadata"]["default_price"] is None
    found = priced.generate_forecast_cached(2, client, AS_OF)
    assert found == ProductForecast.from_dict(plain(client, 2))
    assert engine.generate_forecast_cached(2, client, AS_OF).summary["unit_price"] is None


def test_nothing_is_carried_over_from_a_release_of_another_format(engine, client, monkeypatch):
    """Its values would be in the new release, and nobody could read them."""
    monkeypatch.setattr("toolkit.cache.envelope.FORMAT", 1)
    monkeypatch.setattr("toolkit.export.plan.FORMAT", 1)
    export(engine, client)
    monkeypatch.undo()
    later = {"as_of_date": AS_OF + timedelta(1)}
    with pytest.raises(ArgumentError, match="was made with another format, so that nothing of it"):
        export(engine, client, since=AS_OF, **later)
    report = export(engine, client, since=LAST, **later)
    assert (report.carried, report.resumed) == (0, 0)
    assert plain(client, 1, later["as_of_date"])["format"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"product_ids": []},
        {"product_ids": ["1"]},
        {"since": AS_OF},
        {"customer_ids": []},
        {"ttl_s": 0},
        {"allowed_errors": 1.5},
        {"keep": 0},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ArgumentError):
        replace(SETTINGS, **wrong)


def test_nothing_before_the_date_is_told(engine, client):
    early = AS_OF - timedelta(10_000)
    with pytest.raises(PredictionError, match=f"no order before {early} to export"):
        export(engine, client, as_of_date=early)


def test_old_releases_go_and_the_newest_can_come_back(engine, client):
    made = [export(engine, client, as_of_date=AS_OF + timedelta(days)).release for days in range(4)]
    assert [release.release_id for release in Releases(client).kept()] == made[2:0:-1]
    assert Releases(client).roll_back().release_id == made[2]
    assert plain(client, 1, AS_OF + timedelta(2))["release"] == made[2]


def test_an_order_after_the_date_changes_nothing(engine, database, client):
    before = export(engine, client)
    for days in (0, 3, 50):
        add_line(database, product_id=1, customer_id=1, day=days, price=99.0)
    keys = sorted(client.keys("forecast:product:*"))
    held = [client.get(key) for key in keys]
    again = export(engine, client)
    assert [_without_release(v, before.release) for v in held] == [
        _without_release(client.get(key), again.release) for key in keys
    ]


def _without_release(value, release):
    return value.replace(f'"{release}"'.encode(), b'""')


def _export_and_die(url, orders, after):
    """An export that is killed, as if from outside, after so many batches."""

    def die(done, total):
        if done >= after:
            os.kill(os.getpid(), signal.SIGKILL)

    job.BATCH, job.LOCK_S = 4, 2.0
    with duckdb.connect() as conn, connect(url) as client:
        load_orders(orders, conn)
        conn.execute(f"DELETE FROM dbo.OrderItem WHERE ID = {after}")  # other data each time
        engine = ForecastEngine(conn, clock=lambda: NOON)
        export_release(engine, client, SETTINGS, die)


@pytest.mark.parametrize("after", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (8, 12))])
def test_a_killed_export_takes_nothing_and_is_gone_on_with(
    orders, engine, database, client, cache_server, after
):
    first = export(engine, client)
    child = forks().Process(target=_export_and_die, args=(cache_server.url, orders, after))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert {plain(client, i)["release"] for i in known_products(database)} == {first.release}
    database.execute(f"DELETE FROM dbo.OrderItem WHERE ID = {after}")
    report = export(engine, client)
    assert report.resumed == after
    assert {plain(client, i)["release"] for i in known_products(database)} == {report.release}


def test_a_second_export_is_told_who_is_at_it(engine, client, monkeypatch):
    monkeypatch.setattr(job, "LOCK_S", 5)

    def again(done, total):
        with pytest.raises(CacheError, match="another export"):
            export(engine, client)

    export_release(engine, client, SETTINGS, again)
