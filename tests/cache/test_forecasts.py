"""Reading and writing forecasts on a server that is well."""

import dataclasses
import functools
import json
import logging
import statistics
import threading
import time
import zlib
from datetime import UTC, date, datetime

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cache.conftest import PATIENT_S
from toolkit.cache.adhoc.forecasts import ForecastCache, ForecastKey, Hit, Miss
from toolkit.cache.envelope import FIELD_TYPES, FORMAT, UnusableError, decode, encode, parse

# On a loaded machine a healthy server may take long; here it is the values that count.
patient = functools.partial(ForecastCache, patience_s=PATIENT_S)

NAME = "forecast:product:123:2025-11-11"


PLAIN_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


def changed(key, **parts):
    return dataclasses.replace(key, computed_with={**key.computed_with, **parts})


def test_a_forecast_comes_back_exactly(server, key, forecast, warnings):
    assert 15_000 < len(json.dumps(forecast)) < 25_000
    cache = patient(server.client())
    assert cache.read(key).reason == "not cached"
    assert cache.write(key, forecast)
    found = cache.read(key)
    assert found == Hit(forecast)
    assert repr(found.forecast) == repr(forecast)  # 1 == 1.0 == True, but not here
    assert warnings() == []


def test_a_consumer_of_the_plain_key_finds_the_fields_at_the_top(server, key, forecast):
    client = server.client()
    patient(client).write(key, forecast)
    stored = json.loads(client.get(NAME))
    assert {name: stored.pop(name) for name in forecast} == forecast
    assert stored.pop("crc32") > 0
    assert stored == {"format": FORMAT, "computed_with": key.computed_with}


@pytest.mark.parametrize("release", [None, "2-2025-11-11"])
def test_a_value_of_which_a_byte_was_changed_is_none_or_the_same(key, forecast, release):
    value = encode(123, forecast, key.computed_with, None, release)
    assert decode(value) == decode(value.decode())
    for i in range(0, len(value), 7):
        for other in (b"1", b"7", b" "):
            changed = value[:i] + other + value[i + 1 :]
            try:
                assert decode(changed).forecast == forecast, value[i - 20 : i + 20]
            except UnusableError:
                continue


@given(st.binary(max_size=30) | st.text(max_size=30) | PLAIN_DATA.map(json.dumps))
@example('{"a": "\\ud800"}')
@example('{"a": "\ud800"}')
@example('{"a": 1e400}')
@example('{"a": -0, "b": -0.0, "c": 1e5, "a": 123456789012345678901234567890}')
@example("\ufeff{}")
@example('{"a": 1}'.encode("utf-16"))
@example('{"a": ' + "1" * 5000 + "}")
@example('{"a": NaN}')
@example('{"a": -Infinity}')
@example('{"a": 1,}')
@example("{} {}")
@example("[" * 100_000)
def test_a_value_is_read_as_the_standard_library_reads_it_or_refused(value):
    def refuse(constant):
        raise ValueError(constant)

    try:
        expected = json.loads(value, parse_constant=refuse)
    except (ValueError, RecursionError):
        expected = None
    if isinstance(expected, dict):
        assert repr(parse(value)) == repr(expected)  # 1, 1.0 and True are equal, and -0.0 is 0.0
    else:
        with pytest.raises(UnusableError, match=r"^is (not JSON: .|a JSON )"):
            parse(value)


def test_no_forecast_is_cached_too(server, key, warnings):
    client = server.client()
    cache = patient(client)
    assert cache.write(key, None)
    assert cache.read(key) == Hit(None)
    stored = json.loads(client.get(NAME))
    assert datetime.fromisoformat(stored.pop("generated_at")) <= datetime.now(UTC)
    assert stored.pop("crc32") > 0
    assert stored == {
        "format": FORMAT,
        "computed_with": key.computed_with,
        "product_id": 123,
        "no_forecast": True,
        "as_of_date": "2025-11-11",
    }
    assert isinstance(cache.read(changed(key, min_orders=3)), Miss)
    assert warnings() == []


@pytest.mark.parametrize(
    "part",
    [
        {"forecast_weeks": 13},
        {"min_orders": 3},
        {"min_confidence": 0.30000000000000004},
        {"model_name": "pair_conjugate2"},
        {"model_version": "1.1"},
        {"draws": 201},
        {"seed": 8},
        {"something_new": None},
    ],
    ids=lambda part: next(iter(part)),
)
def test_a_value_computed_with_anything_else_is_a_miss(server, key, forecast, warnings, part):
    cache = patient(server.client())
    other = changed(key, **part)
    for stored in (forecast, None):
        cache.write(key, stored)
        assert isinstance(cache.read(other), Miss)
        assert isinstance(cache.read(key), Hit)
    cache.write(other, forecast)
    assert isinstance(cache.read(other), Hit)
    assert isinstance(cache.read(key), Miss)
    assert warnings() == []


def test_products_and_dates_have_keys_of_their_own(server, key, forecast):
    cache = patient(server.client())
    cache.write(key, forecast)
    assert isinstance(cache.read(dataclasses.replace(key, product_id=124)), Miss)
    assert isinstance(cache.read(dataclasses.replace(key, as_of_date=date(2025, 11, 12))), Miss)


def stored_with(forecast, key, **changes):
    text = json.dumps({**forecast, "format": FORMAT, "computed_with": key.computed_with, **changes})
    return f'{text[:-1]},"crc32":{zlib.crc32(text.encode())}}}'


def test_a_value_of_another_format_is_a_miss_without_a_warning(server, key, forecast, warnings):
    client = server.client()
    for value in (stored_with(forecast, key, format=FORMAT - 1), json.dumps(forecast), "{}"):
        client.set(NAME, value)
        assert isinstance(patient(client).read(key), Miss)
    assert warnings() == []


def test_a_value_of_a_newer_format_is_a_miss_and_said(server, key, forecast, warnings):
    client = server.client()
    client.set(NAME, stored_with(forecast, key, format=FORMAT + 1))
    assert isinstance(patient(client).read(key), Miss)
    (warning,) = warnings()
    assert warning == (
        f"Cache read error: the value at {NAME} has format 3, newer than the 2 that this version"
        " of the toolkit reads"
    )


GARBAGE = {
    "bytes": b"\x80\x04\x95\xff\xfe\x00",
    "empty": b"",
    "text": b"forecast",
    "list": b"[1, 2]",
    "null": b"null",
    "number": b"3",
    "string": b'"{}"',
    "huge number": b"9" * 5000,
    "deep": b"[" * 100_000,
    "utf-16": '{"format": 2}'.encode("utf-16"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_a_miss_with_one_warning_and_is_overwritten(
    server, warnings, patient_call, garbage
):
    for as_text in (False, True):
        with redis.Redis(unix_socket_path=str(server.socket), decode_responses=as_text) as client:
            client.set(NAME, garbage)
            assert patient_call(client)[0] == "stored"
            (warning,) = warnings()
            assert warning.startswith("Cache read error: ")
            assert patient_call(client)[0] == "hit"
            assert warnings() == []


def broken_values(forecast, key):
    whole = stored_with(forecast, key)
    yield whole[: len(whole) // 2]
    yield whole[:-1]
    yield whole + "}"
    yield whole.replace("0.30000000000000004", "NaN", 1)
    yield stored_with(forecast, key, product_id=124)
    yield stored_with(forecast, key, weekly_forecasts=None)
    yield stored_with(forecast, key, summary=[])
    yield stored_with({}, key, product_id=123, no_forecast="yes")
    for field in FIELD_TYPES:
        yield stored_with({k: v for k, v in forecast.items() if k != field}, key)


def test_a_broken_value_is_a_miss_with_one_warning(server, key, forecast, warnings):
    client = server.client()
    for value in broken_values(forecast, key):
        client.set(NAME, value)
        assert isinstance(patient(client).read(key), Miss)
        (warning,) = warnings()
        assert warning.startswith(f"Cache read error: the value at {NAME} ")
    client.set(NAME, stored_with(forecast, key))
    assert isinstance(patient(client).read(key), Hit)


@pytest.mark.parametrize("fill", ["rpush", "sadd", "pfadd"])
def test_another_redis_type_at_the_key_is_a_miss_and_overwritten(server, patient_call, fill):
    client = server.client()
    getattr(client, fill)(NAME, "x")
    if fill == "pfadd":  # a string, but no JSON
        assert client.type(NAME) == b"string"
    assert patient_call(client)[0] == "stored"
    assert patient_call(client)[0] == "hit"


@pytest.mark.parametrize(
    "flaw",
    [
        {"summary": {"x": float("nan")}},
        {"summary": {"x": float("inf")}},
        {"summary": {"x": date(2025, 1, 1)}},
        {"summary": {"x": b"bytes"}},
        {"weekly_forecasts": ({"week_number": 1},)},
        {"model_metadata": None},
        {"product_id": 124},
    ],
    ids=str,
)
def test_what_would_not_come_back_is_not_stored(server, key, forecast, warnings, flaw):
    client = server.client()
    assert not patient(client).write(key, forecast | flaw)
    (warning,) = warnings()
    assert warning.startswith("Cache write error: the forecast of product 123 ")
    assert client.get(NAME) is None
    assert patient(client).write(key, forecast)


def test_the_time_to_live_is_set_and_holds(server, key, forecast):
    client = server.client()
    patient(client).write(key, forecast)
    assert 3500 < client.ttl(NAME) <= 3600
    patient(client, 1).write(key, None)
    assert client.pttl(NAME) <= 1000  # -2 if it is gone already
    time.sleep(1.01)
    assert patient(client).read(key).reason == "not cached"


@pytest.mark.parametrize("ttl", [0, -1, 1.5, 60.0, "60", None, True, 2**31, float("nan")])
def test_a_time_to_live_out_of_range_is_refused(server, ttl):
    with pytest.raises(ValueError, match=r"cache_ttl .* from 1 to 2147483647, got") as caught:
        patient(server.client(), ttl)
    assert str(caught.value).endswith(repr(ttl))


def test_the_log_lines_of_the_reference(server, key, forecast, caplog):
    caplog.set_level(logging.INFO, logger="toolkit.cache")
    cache = patient(server.client(), 1800)
    found = cache.read(key)
    cache.write(key, forecast, after=found)
    cache.read(key)
    assert [record.getMessage() for record in caplog.records] == [
        "Forecast cache MISS for product 123",
        "Forecast cached for product 123 (TTL: 1800s)",
        "Forecast cache HIT for product 123",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"decode_responses": True},
        {"decode_responses": True, "encoding": "latin-1"},
        {"protocol": 3},
        {"protocol": 2, "single_connection_client": True},
        {"db": 3, "max_connections": 1},
    ],
    ids=str,
)
def test_clients_of_many_kinds(server, key, forecast, warnings, settings):
    with redis.Redis(unix_socket_path=str(server.socket), **settings) as client:
        assert patient(client).write(key, forecast)
        assert patient(client).read(key) == Hit(forecast)
        assert client.exists(NAME)
    assert warnings() == []


class Wrapper:
    """A user's own client; ``__slots__`` without ``__weakref__``: it cannot be held weakly."""

    __slots__ = ("_redis",)

    def __init__(self, client):
        self._redis = client

    def get(self, name):
        return self._redis.get(name)


class SettingWrapper(Wrapper):
    __slots__ = ()
    __hash__ = None

    def set(self, name, value, *, ex):
        self._redis.set(name, value, ex=ex)


class SetexWrapper(Wrapper):
    __slots__ = ()

    def setex(self, name, seconds, value):
        self._redis.set(name, value, ex=seconds)


@pytest.mark.parametrize("kind", [SettingWrapper, SetexWrapper])
def test_a_duck_typed_client_will_do(server, key, forecast, warnings, kind):
    plain = server.client()
    client = kind(plain)
    assert patient(client, 900).write(key, forecast)
    assert patient(client).read(key) == Hit(forecast)
    assert 890 < plain.ttl(NAME) <= 900
    assert warnings() == []


@pytest.mark.parametrize("broken", [None, object(), Wrapper(None)], ids=["None", "object", "get"])
def test_what_is_no_client_costs_a_warning_only(warnings, patient_call, broken):
    assert patient_call(broken)[0] == "miss"
    (warning,) = warnings()
    assert warning.startswith("Cache read error: ")


def test_an_asynchronous_client_costs_a_warning_only(server, warnings, patient_call):
    client = redis.asyncio.Redis(unix_socket_path=str(server.socket))
    assert patient_call(client)[0] == "miss"
    assert warnings() == ["Cache read error: TypeError: an asynchronous client cannot be used here"]


def test_eight_threads_at_once(server, key, forecast, warnings):
    client = server.client()
    wrong = []

    def work(number):
        for turn in range(40):
            mine = ForecastKey(number * 100 + turn, key.as_of_date, key.computed_with)
            fields = forecast | {"product_id": mine.product_id}
            cache = patient(client)
            stored = cache.write(mine, fields, after=cache.read(mine))
            if not stored or cache.read(mine) != Hit(fields):
                wrong.append(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert warnings() == []


def test_a_hit_is_quick(server, key, forecast):
    cache = patient(server.client())
    cache.write(key, forecast)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        found = cache.read(key)
        times.append(time.perf_counter() - start)
        assert isinstance(found, Hit)
    print(f"hit, 20 KB: median {1000 * statistics.median(times):.2f} ms")
    assert statistics.median(times) < 0.05  # 0.3 ms; `make bench` asks for 0.5
