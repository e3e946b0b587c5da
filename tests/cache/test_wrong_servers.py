"""Servers that take no release, or are full: each error is one sentence, no password in it."""

import pytest
import redis

from tests.cache.conftest import DAY, PATIENT_S, put, spec
from tests.cache.servers import something_else, valkey_at
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import CacheError


def test_a_wrong_password_is_told_and_not_repeated(own_server):
    own_server.client().config_set("requirepass", "right")
    with pytest.raises(CacheError, match="refused the user or password of the cache") as caught:
        Releases(redis.Redis.from_url(f"unix://:mistaken@{own_server.socket}"))
    assert "mistaken" not in str(caught.value)


def test_a_port_where_nobody_listens_is_told():
    with pytest.raises(CacheError, match="the cache at localhost:1/0 cannot be reached: "):
        Releases(redis.Redis(port=1))


def test_a_port_where_something_else_answers_is_told():
    with (
        something_else() as port,
        pytest.raises(CacheError, match=rf":{port}/0 does not speak the Redis protocol; is it "),
    ):
        Releases(redis.Redis(host="127.0.0.1", port=port))


def test_a_replica_is_refused(own_server):
    client = own_server.client()
    client.replicaof("127.0.0.1", 1)
    with pytest.raises(CacheError, match="is a read-only replica: releases go to its primary"):
        Releases(client)


def test_a_server_that_became_a_replica_publishes_nothing(own_server, forecast):
    client = own_server.client()
    with Releases(client).stage(spec()) as staging:
        put(staging, forecast)
        client.replicaof("127.0.0.1", 1)
        with pytest.raises(CacheError, match="is a read-only replica: releases go to its primary"):
            staging.publish()
    assert client.get("forecast:current") is None


def test_a_cluster_is_refused(tmp_path):
    with (
        valkey_at(tmp_path / "s", "--cluster-enabled", "yes"),
        redis.Redis(unix_socket_path=str(tmp_path / "s")) as client,
        pytest.raises(CacheError, match="runs in cluster mode, where no release can be made"),
    ):
        Releases(client)


FULL = (
    r"not enough memory left for|no memory left \(maxmemory\)|is not whole and"
    "|the server had no memory left for it"
)


def fill_and_publish(staging, forecast):
    put(staging, forecast)
    staging.publish()


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "volatile-lru"])
def test_a_full_server_publishes_nothing_and_keeps_what_was_current(
    own_server, forecast, publish, policy
):
    client = own_server.client()
    publish(ids=range(1, 51), mark="a", client=client)
    client.config_set("maxmemory-policy", policy)
    used = client.info("memory")["used_memory"]
    if policy == "noeviction":
        client.config_set("maxmemory", used + 2_000_000)
    releases = Releases(client)
    with releases.stage(spec("b", ids=range(1, 401))) as staging:
        if policy != "noeviction":
            put(staging, forecast)
            client.config_set("maxmemory", used + 3_000_000)
            client.set("one more", b"x" * 100_000)
        with pytest.raises(CacheError, match=FULL):
            fill_and_publish(staging, forecast)
    client.config_set("maxmemory", 0)
    current = releases.current()
    if policy == "noeviction":
        assert current.key == spec("a", ids=range(1, 51)).key
        assert len(client.keys(f"forecast:product:*:{DAY}")) == 50
    else:  # the server may have dropped anything, but nothing wrong is served in its place
        assert current is None or current.computed_with["mark"] == "a"


@pytest.mark.parametrize(
    "policy",
    [
        "volatile-lru",
        "allkeys-lru",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("noeviction", "volatile-ttl")),
    ],
)
@pytest.mark.parametrize("carried", [False, True], ids=["computed", "carried over"])
def test_staging_stops_before_the_current_release_is_evicted(
    own_server, forecast, publish, policy, carried
):
    """400 products of some 20 KB, as many as the current release has, into half of the room."""
    client, ids = own_server.client(), range(1, 401)
    base = publish(ids=ids, mark="a", client=client).release_id
    used = client.info("memory")["used_memory"]
    size = used - client.info("memory")["used_memory_startup"]
    client.config_set("maxmemory-policy", policy)
    client.config_set("maxmemory", used + size // 2)
    client.config_resetstat()
    more = {"carried": ids, "base": base} if carried else {}
    sentence = r"not enough memory left for 400 products more: they need .* MB, and of its maxm"
    with Releases(client).stage(spec("b", ids, **more)) as staging:
        with pytest.raises(CacheError, match=sentence):
            staging.carry_over() if carried else put(staging, forecast)
        assert staging.done == {}
    assert client.info("stats")["evicted_keys"] == 0
    assert len(ForecastReader(client, patience_s=PATIENT_S).read_many(ids)) == 400


def test_staging_stops_while_there_is_room_if_others_fill_the_server(own_server, forecast, publish):
    client, ids = own_server.client(), range(1, 401)
    publish(ids=ids, mark="a", client=client)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory-policy", "volatile-lru")
    client.config_set("maxmemory", 4 * used)
    client.config_resetstat()
    with Releases(client).stage(spec("b", ids)) as staging:
        put(staging, forecast, range(1, 201))
        for number in range(22 * used // 1_000_000):
            client.set(f"another's {number}", b"x" * 100_000)
        with pytest.raises(CacheError, match="memory left for 200 products more"):
            put(staging, forecast, range(201, 401))
    assert client.info("stats")["evicted_keys"] == 0
    assert len(ForecastReader(client, patience_s=PATIENT_S).read_many(ids)) == 400


def test_where_there_is_room_it_is_used(own_server, forecast, publish):
    """Twice what the release takes is enough, and nothing is evicted."""
    client, ids = own_server.client(), range(1, 401)
    publish(ids=ids, mark="a", client=client)
    client.config_set("maxmemory-policy", "volatile-lru")
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(2.5 * used))
    client.config_resetstat()
    publish(ids=ids, mark="b", client=client)
    assert client.info("stats")["evicted_keys"] == 0
