"""Cached calls beside a release: they read it, never change it, and keep what is theirs apart."""

import dataclasses
import json
import time
from datetime import timedelta

import pytest

from tests.cache.conftest import COMPUTED_WITH, DAY, PATIENT_S, product
from toolkit.cache.adhoc.forecasts import ForecastCache, ForecastKey, Hit, Miss
from toolkit.cache.adhoc.single_flight import cached
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases, ReleaseSpec

LATER = DAY + timedelta(7)
PLAIN = f"forecast:product:3:{DAY}"


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def cache(client):
    return ForecastCache(client, patience_s=PATIENT_S)


@pytest.fixture
def released():
    """What the values of a release with the mark ``a`` were computed with, for product 3."""
    return ForecastKey(3, DAY, {"mark": "a", **COMPUTED_WITH})


@pytest.fixture
def other(released):
    """The same product and date, with thresholds of the caller's own."""
    return dataclasses.replace(released, computed_with={**COMPUTED_WITH, "min_orders": 5})


@pytest.fixture
def mine(forecast):
    return product(forecast, 3, DAY, "mine")


def no_computation():
    pytest.fail("it was computed, though it is there")


def test_a_call_that_asks_for_what_was_released_gets_it(publish, cache, released, forecast):
    publish(mark="a")
    assert cached(cache, released, no_computation) == product(forecast, 3, DAY, "a")


def test_other_thresholds_get_a_forecast_of_their_own_beside_the_release(
    publish, client, cache, other, mine
):
    publish(mark="a")
    before = client.get(PLAIN)
    assert cached(cache, other, lambda: mine) == mine
    assert cached(cache, other, no_computation) == mine
    assert client.get(PLAIN) == before
    assert 3_140_000 <= client.pttl(other.own_name) <= 3_600_000


def test_a_version_promoted_since_does_not_get_the_old_ones_release(publish, cache, released, mine):
    publish(mark="a")
    promoted = {**released.computed_with, "model_version": "2.0"}
    key = dataclasses.replace(released, computed_with=promoted)
    assert cached(cache, key, lambda: mine) == mine


@pytest.mark.parametrize("product_id", [3, 99], ids=["released", "not in the release"])
def test_a_release_that_came_while_a_forecast_was_computed_stays_as_it_is(
    publish, client, cache, forecast, product_id
):
    key = ForecastKey(product_id, DAY, {**COMPUTED_WITH, "min_orders": 5})
    own = product(forecast, product_id, DAY, "mine")

    def compute():
        publish(mark="a")
        return own

    assert cached(cache, key, compute) == own
    plain = client.get(key.name)
    assert plain is None if product_id == 99 else json.loads(plain)["release"].startswith("1-")
    reading = ForecastReader(client, patience_s=PATIENT_S).read(product_id)
    assert (reading is None) == (product_id == 99)
    assert cached(cache, key, no_computation) == own


def test_what_lay_under_a_plain_key_gives_way_to_the_release(
    publish, client, cache, released, other, mine
):
    assert cache.write(other, mine)
    assert client.exists(PLAIN)
    publish(mark="a")
    assert isinstance(cache.read(released), Hit)
    assert isinstance(cache.read(other), Miss)


def test_dates_that_no_release_serves_keep_their_plain_keys(publish, client, cache, forecast):
    publish(mark="a", as_of=LATER)
    key = ForecastKey(3, DAY, COMPUTED_WITH)
    assert cache.write(key, product(forecast, 3, DAY, "mine"))
    assert b'"mark":"mine"' in client.get(PLAIN)
    assert 3_500_000 <= client.pttl(PLAIN) <= 3_600_000


def test_a_forecast_that_was_carried_over_is_not_one_of_the_later_date(
    publish, client, cache, forecast
):
    base = publish(mark="a").release_id
    spec = ReleaseSpec(LATER, {"mark": "b"}, [3, 4], carried=[3], base=base)
    with Releases(client).stage(spec) as staging:
        staging.carry_over()
        staging.put({4: product(forecast, 4, LATER, "b")})
        staging.publish()
    key = ForecastKey(3, LATER, {"mark": "a", **COMPUTED_WITH})
    found = cache.read(key)
    assert isinstance(found, Miss)
    made = product(forecast, 3, LATER, "mine")
    assert cached(cache, key, lambda: made) == made
    assert b'"mark":"a"' in client.get(key.name)


def test_an_invalidated_product_is_computed_anew_at_the_next_call_and_then_cached(
    publish, client, cache, released, other, mine
):
    publish(mark="a")
    cached(cache, other, lambda: mine)
    Releases(client).invalidate([3])
    for key in (released, other):
        anew = {**mine, "summary": {"computed": "anew"}}
        assert cached(cache, key, lambda anew=anew: anew) == anew
        assert cached(cache, key, no_computation) == anew
    assert client.get(PLAIN) is None
    assert ForecastReader(client, patience_s=PATIENT_S).read(3) is None


class WithoutScripts:
    """A wrapper that knows neither scripts nor reading many keys."""

    def __init__(self, client):
        self.get, self._client = client.get, client

    def set(self, name, value, *, ex):
        self._client.set(name, value, ex=ex)


def limited(server, rules):
    server.client().execute_command(f"ACL SETUSER limited reset on nopass ~* {rules}")
    return server.client().__class__(
        unix_socket_path=str(server.socket), username="limited", password="x"
    )


@pytest.mark.parametrize(
    "rules", ["+@all -eval -evalsha", "+@all -mget -evalsha", "+@all -script|load", None]
)
def test_a_client_that_may_not_use_scripts_still_gets_releases_and_caches_without_one(
    server, publish, client, released, other, mine, warnings, forecast, rules
):
    used = WithoutScripts(client) if rules is None else limited(server, rules)
    cache = ForecastCache(used, patience_s=PATIENT_S)
    assert cached(cache, other, lambda: mine) == mine
    assert cached(cache, other, no_computation) == mine
    publish(mark="a")
    assert cached(cache, released, no_computation) == product(forecast, 3, DAY, "a")
    assert warnings() == []
    server.client().execute_command("ACL DELUSER limited")


def test_what_is_kept_beside_a_release_does_not_expire_all_at_once(
    publish, client, cache, forecast
):
    publish(mark="a")
    keys = [ForecastKey(i, DAY, COMPUTED_WITH) for i in range(100, 200)]
    started = time.monotonic()
    for key in keys:
        assert cache.write(key, product(forecast, key.product_id, DAY, "mine"))
    left = [client.pttl(key.own_name) for key in keys]
    took_ms = 1000 * (time.monotonic() - started) + 1
    # uniform from 3,240 to 3,600 s: none of 100 in a sixth of it has a chance of 1.2e-8
    assert 3_240_000 - took_ms <= min(left) < 3_300_000
    assert 3_540_000 - took_ms < max(left) <= 3_600_000
