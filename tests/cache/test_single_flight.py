"""One computation per key, however many ask; the last good forecast where there is none."""

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import redis

from tests.cache.conftest import PATIENT_S, until
from tests.cache.crowd import ask_at_once, crowd
from tests.processes import forks
from toolkit.cache.adhoc import single_flight
from toolkit.cache.adhoc.forecasts import PATIENCE_S, ForecastCache
from toolkit.cache.adhoc.single_flight import cached
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import SourceError


def test_a_hundred_misses_of_one_key_are_one_computation(server, key, forecast):
    assert crowd(server, key, forecast, patience_s=PATIENT_S) == (100, 1)


def test_what_was_stored_just_before_the_lock_was_taken_is_not_computed_again(
    server, key, forecast
):
    class Overtaken(ForecastCache):
        def read(self, key):
            found = super().read(key)
            ForecastCache(server.client(), patience_s=PATIENT_S).write(key, forecast)
            return found

    cache = Overtaken(server.client(), patience_s=PATIENT_S)
    assert cached(cache, key, lambda: pytest.fail("it is there")) == forecast


def test_a_crowd_asks_the_server_once(server, key, forecast):
    """Else it would use up its patience by itself, and give the server up."""
    client = server.client()
    asked, start = [], threading.Barrier(20)

    class Counted(ForecastCache):
        def read(self, key):
            asked.append(key)
            time.sleep(0.3)
            return super().read(key)

    def ask(_):
        start.wait()
        return cached(Counted(client, patience_s=PATIENT_S), key, lambda: forecast)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [forecast] * 20
    assert asked == [key]


def test_a_crowd_that_has_the_usual_patience_does_not_compute_one_by_one(server, key, forecast):
    right, computations = crowd(server, key, forecast, PATIENCE_S, seconds=2.0)
    print(f"{computations} computations with the usual patience")
    assert right == 100
    assert computations <= 4  # once per process; `make bench` asks for 1, on a machine at rest


def test_without_a_server_each_process_computes_once(key, forecast):
    nowhere, calls = redis.Redis(port=1), []

    def compute():
        calls.append(1)
        time.sleep(1.0)
        return forecast

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cached, ForecastCache(nowhere), key, compute) for _ in range(8)]
        assert [one.result() for one in asked] == [forecast] * 8
    assert calls == [1]


def test_who_waited_gets_a_forecast_of_its_own(server, key, forecast):
    alone = threading.Barrier(1)
    one, other, third = ask_at_once(str(server.socket), key, forecast, 3, alone)
    assert one == other == third == forecast
    one["summary"]["tiny"] = "changed"
    assert sum(found["summary"]["tiny"] == "changed" for found in (other, third)) == 0


def test_an_error_reaches_all_who_wait_and_the_next_call_starts_over(server, key, forecast):
    calls = []

    def fail():
        calls.append(1)
        time.sleep(1.0)
        raise RuntimeError("no luck")

    cache = ForecastCache(server.client(), patience_s=PATIENT_S)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(cached, cache, key, fail) for _ in range(5)]
        for one in asked:
            with pytest.raises(RuntimeError, match="no luck"):
                one.result()
    assert calls == [1]
    assert cached(cache, key, lambda: forecast) == forecast


def _compute_and_die(path, key):
    client = redis.Redis(unix_socket_path=path)

    def compute():
        client.set("test:computing", 1)
        time.sleep(600)

    cached(ForecastCache(client, patience_s=PATIENT_S), key, compute)


def test_a_process_that_dies_while_it_computes_is_replaced(server, key, forecast, monkeypatch):
    client = server.client()
    child = forks().Process(target=_compute_and_die, args=(str(server.socket), key))
    child.start()
    assert until(lambda: client.exists("test:computing"))
    time.sleep(single_flight.LOCK_S)  # its lock is renewed
    assert client.exists(f"{key.own_name}:lock")
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    monkeypatch.setattr(single_flight, "LOCK_S", 600)  # for its own, which is given back
    started = time.monotonic()
    assert cached(ForecastCache(client, patience_s=PATIENT_S), key, lambda: forecast) == forecast
    assert time.monotonic() - started < single_flight.WAIT_S / 2  # 2 s, and not until it is tired
    assert until(lambda: not client.exists(f"{key.own_name}:lock"))


def test_where_computing_fails_nobody_queues_for_it(server, key):
    """Clients of their own know each other through the server only, as processes do."""
    start = threading.Barrier(6)

    def fail():
        time.sleep(1.0)
        raise RuntimeError("no luck")

    def ask(client):
        start.wait()
        started = time.monotonic()
        with pytest.raises(RuntimeError, match="no luck"):
            cached(ForecastCache(client, patience_s=PATIENT_S), key, fail)
        return time.monotonic() - started

    clients = [redis.Redis(unix_socket_path=str(server.socket)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        took = list(pool.map(ask, clients))
    assert max(took) < 6  # 3 at rest; one after another they would take 6 at least


def test_a_lock_is_given_back_where_the_server_was_too_slow_for_the_rest(
    server, key, forecast, monkeypatch
):
    monkeypatch.setattr(single_flight, "LOCK_S", 600)
    monkeypatch.setattr(single_flight, "WAIT_S", 600)
    client = server.client()
    cache = ForecastCache(client, patience_s=PATIENT_S)

    def compute():
        cache.lane.run(lambda: 1 / 0, 1)  # closes the lane
        return forecast

    cached(cache, key, compute)
    started = time.monotonic()
    with redis.Redis(unix_socket_path=str(server.socket)) as another:
        assert (
            cached(ForecastCache(another, patience_s=PATIENT_S), key, lambda: forecast) == forecast
        )
    assert time.monotonic() - started < 60


def test_a_computation_may_ask_for_itself(server, key, forecast):
    cache = ForecastCache(server.client(), patience_s=PATIENT_S)
    inner = replace(key, product_id=124)
    other = forecast | {"product_id": 124}

    def compute():
        assert cached(cache, inner, lambda: other) == other
        return forecast

    assert cached(cache, key, compute) == forecast


def test_what_was_invalidated_while_it_was_computed_is_not_stored(server, key, forecast):
    client = server.client()
    cache = ForecastCache(client, patience_s=PATIENT_S)

    def compute():
        Releases(client).invalidate([key.product_id])
        return forecast

    cached(cache, key, compute)
    assert client.get(key.name) is None
    calls = []
    cached(cache, key, lambda: calls.append(1) or forecast)
    assert calls == [1]
    cached(cache, key, lambda: pytest.fail("it is cached by now"))


def away():
    raise SourceError("the database is away")


def test_the_last_good_forecast_stands_in_and_its_age_is_said(server, key, forecast, caplog):
    client = server.client()
    cache = ForecastCache(client, patience_s=PATIENT_S)
    cached(cache, key, lambda: forecast)
    client.flushall()
    with caplog.at_level(logging.WARNING, logger="toolkit.cache"):
        assert cached(cache, key, away) == forecast
        later = replace(key, as_of_date=key.as_of_date + timedelta(1))
        assert cached(cache, later, away) == forecast
    assert (
        "product 123 gets the forecast that was made 0 s ago: the database is away" in caplog.text
    )


def test_nothing_to_forecast_does_not_stand_in_for_an_earlier_date(server, key):
    cache = ForecastCache(server.client(), patience_s=PATIENT_S)
    cached(cache, key, lambda: None)
    with pytest.raises(SourceError):
        cached(cache, replace(key, as_of_date=key.as_of_date - timedelta(1)), away)
    server.client().flushall()
    assert cached(cache, key, away) is None


@pytest.mark.parametrize("change", ["earlier date", "other settings", "other product"])
def test_nothing_else_stands_in(server, key, forecast, change):
    client = server.client()
    cache = ForecastCache(client, patience_s=PATIENT_S)
    cached(cache, key, lambda: forecast)
    other = {
        "earlier date": replace(key, as_of_date=key.as_of_date - timedelta(1)),
        "other settings": replace(key, computed_with={**key.computed_with, "seed": 8}),
        "other product": replace(key, product_id=125),
    }[change]
    with pytest.raises(SourceError):
        cached(cache, other, away)


def test_a_forecast_of_more_than_a_day_does_not_stand_in(server, key, forecast, monkeypatch):
    cache = ForecastCache(server.client(), patience_s=PATIENT_S)
    cached(cache, key, lambda: forecast)
    server.client().flushall()
    now = time.monotonic()
    monkeypatch.setattr(single_flight.time, "monotonic", lambda: now + 86_500)
    with pytest.raises(SourceError):
        cached(cache, key, away)
