"""Forecasts through a real cache: exact, only what was asked for, and never lost with it."""

import logging

import pytest
import redis

from tests.conftest import AS_OF, NOON, add_line
from toolkit.cache.server import embedded_server
from toolkit.engine import ForecastEngine


@pytest.fixture(scope="module")
def server():
    with embedded_server() as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as found:
        found.flushall()
        yield found


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="toolkit.cache")
    return caplog


def test_second_call_comes_from_the_cache_and_is_equal(engine, database, client, log):
    first = engine.generate_forecast_cached(1, client, AS_OF)
    database.execute("DELETE FROM dbo.OrderItem")
    assert engine.generate_forecast_cached(1, client, AS_OF) == first
    assert "Forecast cache MISS for product 1" in log.text
    assert "Forecast cached for product 1 (TTL: 3600s)" in log.text
    assert "Forecast cache HIT for product 1" in log.text
    assert client.ttl("forecast:product:1:2022-06-06") in range(3590, 3601)


def test_no_forecast_is_cached_too(engine, database, client, log):
    assert engine.generate_forecast_cached(777, client, AS_OF) is None
    add_line(database, product_id=777, customer_id=100_001, day=-9)
    add_line(database, product_id=777, customer_id=100_001, day=-2)
    assert engine.generate_forecast_cached(777, client, AS_OF) is None
    assert "HIT for product 777" in log.text


@pytest.mark.parametrize(
    "other",
    [
        {"min_orders": 3},
        {"min_confidence": 0.31},
        {"engine": {"forecast_weeks": 11}},
        {"engine": {"seed": 1}},
        {"engine": {"draws": 100}},
    ],
)
def test_other_settings_do_not_get_each_others_forecast(engine, database, client, other):
    settings = other.get("engine", {})
    thresholds = {k: v for k, v in other.items() if k != "engine"}
    asked = ForecastEngine(database, clock=lambda: NOON, **settings)
    engine.generate_forecast_cached(1, client, AS_OF)
    found = asked.generate_forecast_cached(1, client, AS_OF, **thresholds)
    assert found == asked.generate_forecast(1, AS_OF, **thresholds)


def test_a_cache_that_is_gone_costs_a_warning(engine, log):
    nowhere = redis.Redis(port=1)
    assert engine.generate_forecast_cached(1, nowhere, AS_OF) == engine.generate_forecast(1, AS_OF)
    warnings = [r for r in log.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].message.startswith("Cache read error: ")


@pytest.mark.parametrize("ttl", [0, -5, 1.5, "3600"])
def test_ttl_out_of_range_says_what_is_allowed(engine, client, ttl):
    with pytest.raises(ValueError, match="cache_ttl must be a whole number of seconds"):
        engine.generate_forecast_cached(1, client, AS_OF, cache_ttl=ttl)
