"""What somebody else put under the releases' own keys: one sentence, or nothing comes of it."""

import pytest
import redis

from tests.cache.conftest import DAY, PATIENT_S, put, spec
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import CacheError

FIRST, SECOND = f"forecast:release:1-{DAY}", f"forecast:release:2-{DAY}"
DEEP = '{"release":' * 100_000


@pytest.fixture
def client(server, publish):
    publish(mark="a")
    publish(mark="b")
    return server.client()


def reader(client):
    return ForecastReader(client, patience_s=PATIENT_S, local_s=0)


def use(client, forecast):
    """Whatever is done with releases; what is refused is refused in a sentence."""
    refused = []
    releases = Releases(client)

    def export():
        with releases.stage(spec("c")) as staging:
            put(staging, forecast)
            staging.publish()

    for work in (releases.current, releases.kept, export, releases.roll_back, releases.clean):
        try:
            work()
        except CacheError as error:
            refused.append(str(error))
    return refused


NO_TEXT = b"\xff\xfe"
SPOILT = {
    "no text in the index": lambda client: client.hset(f"{SECOND}:index", "1", NO_TEXT),
    "no id in the index": lambda client: client.hset(f"{FIRST}:index", NO_TEXT, "x"),
    "no number in the index": lambda client: client.hset(f"{FIRST}:index", "x", "x"),
    "a huge number in the index": lambda client: client.hset(f"{FIRST}:index", "9" * 5000, "x"),
    "no text in the registry": lambda client: client.zadd("forecast:releases", {NO_TEXT: 1}),
    "no text behind": lambda client: client.sadd("forecast:behind", NO_TEXT),
    "no text staged": lambda client: client.hset("forecast:staged", NO_TEXT, NO_TEXT),
    "deep nesting staged": lambda client: client.hset("forecast:staged", "3-x", DEEP),
    "no list of products": lambda client: client.hset(FIRST, "product_ids", "7"),
    "products that are none": lambda client: client.hset(FIRST, "product_ids", '[{}, "x", 1]'),
    "deep nesting of products": lambda client: client.hset(SECOND, "product_ids", DEEP),
    "deep nesting of details": lambda client: client.hset(SECOND, "details", DEEP),
    "a deep pointer": lambda client: client.set("forecast:current", DEEP),
    "a number for a pointer": lambda client: client.set("forecast:current", "7"),
    "a flip without bounds": lambda client: client.set(
        "forecast:current",
        client.get("forecast:current").replace(b'"flip":2', b'"flip":1e999'),
    ),
    "a deep lock": lambda client: client.set("forecast:export-lock", DEEP, px=2_000),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_rubbish_in_the_books_is_told_in_a_sentence_or_left_alone(client, forecast, spoil):
    spoil(client)
    for product_id in (1, 2):
        try:
            reading = reader(client).read(product_id)
        except CacheError:
            continue
        assert reading.forecast.model_metadata["mark"] == "b"
    use(client, forecast)


@pytest.mark.parametrize("name", ["details", "computed_with"])
def test_a_release_whose_hash_says_no_object_is_told(client, name):
    client.hset(SECOND, name, "[]")
    with pytest.raises(CacheError, match=r"what is said of release 2-.* is not whole: it is a"):
        Releases(client).current()


@pytest.mark.parametrize("part", ["release", "as_of_date", "epoch"])
def test_a_pointer_to_what_has_no_name_is_none(client, part):
    pointer = client.get("forecast:current").decode()
    start = pointer.index(f'"{part}":"') + len(part) + 3
    end = pointer.index('"', start + 1) + 1
    client.set("forecast:current", pointer[:start] + "null" + pointer[end:])
    with pytest.raises(CacheError, match="is no pointer to a release"):
        reader(client).read(1)


@pytest.mark.parametrize(
    "spoil", ["no id in the index", "no text in the registry", "no text behind"]
)
def test_what_is_foreign_to_the_books_stops_no_export(client, forecast, spoil):
    SPOILT[spoil](client)
    assert use(client, forecast) == []


@pytest.mark.parametrize("count", ["x", "1.5", "9" * 30])
def test_a_count_of_flips_that_is_none_stops_a_flip_before_anything_is_written(
    client, forecast, count
):
    client.set("forecast:flip", count)
    with Releases(client).stage(spec("c")) as staging:
        put(staging, forecast)
        with pytest.raises(CacheError, match="the key forecast:flip holds no count"):
            staging.publish()
    assert client.ttl(SECOND) == client.ttl(f"{SECOND}:index") == -1
    assert client.exists("forecast:behind") == 0
    assert reader(client).read(1).forecast.model_metadata["mark"] == "b"


def test_a_client_that_decodes_tells_what_is_no_text(client, server):
    client.set("forecast:current", NO_TEXT)
    with (
        redis.Redis(unix_socket_path=str(server.socket), decode_responses=True) as decoding,
        pytest.raises(CacheError, match="holds a value that is no text"),
    ):
        Releases(decoding).current()
