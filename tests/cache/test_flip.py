"""The flip moves one pointer; the plain keys follow it in steps, whoever is killed meanwhile."""

import json
import os
import signal
from datetime import timedelta

import pytest
import redis

from tests.cache.conftest import DAY, PATIENT_S, product, put, spec
from tests.processes import forks
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases import plain as plain_module
from toolkit.cache.releases import staging as staging_module
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import CacheError

IDS = range(1, 11)
LATER = DAY + timedelta(7)
STEPS = 5


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def releases(client):
    return Releases(client)


def plain(client, as_of=DAY, ids=IDS):
    """By product, the release that its plain key's value is of, and its mark; None without."""
    values = client.mget([f"forecast:product:{i}:{as_of}" for i in ids])
    read = [None if value is None else json.loads(value) for value in values]
    return [v and (v["release"], v["model_metadata"]["mark"]) for v in read]


def publish_and_die(path, forecast, as_of, step):
    """Killed before the plain keys' ``step``-th step; the pointer has moved by then."""
    steps, made = [], plain_module._step

    def deadly(*arguments):
        steps.append(arguments)
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return made(*arguments)

    plain_module._step, plain_module.PORTION = deadly, 2
    client = redis.Redis(unix_socket_path=path)
    with Releases(client).stage(spec("b", IDS, as_of), lock_s=0.3) as staging:
        put(staging, forecast)
        staging.publish()


def killed(server, forecast, as_of, step):
    arguments = (str(server.socket), forecast, as_of, step)
    child = forks().Process(target=publish_and_die, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("as_of", [DAY, LATER], ids=["the same date", "a later date"])
@pytest.mark.parametrize("step", [1, 3, STEPS + 1, STEPS + 2, 2 * STEPS + 2])
def test_after_a_kill_readers_have_the_new_release_and_the_next_command_goes_on(
    server, client, releases, publish, forecast, as_of, step
):
    first = publish(ids=IDS, mark="a").release_id
    reader = ForecastReader(client, patience_s=PATIENT_S, local_s=0)
    assert reader.read(1).release == first
    killed(server, forecast, as_of, step)
    second = releases.current().release_id
    found = reader.read_many(IDS)
    assert {(r.release, r.forecast.model_metadata["mark"]) for r in found.values()} == {
        (second, "b")
    }
    assert len(found) == len(IDS)
    done = 2 * min(step - 1, STEPS)
    before = (first, "a") if as_of == DAY else None
    assert plain(client, as_of) == [(second, "b")] * done + [before] * (len(IDS) - done)
    releases.clean(keep=2)  # any command
    assert plain(client, as_of) == [(second, "b")] * len(IDS)
    assert as_of == DAY or plain(client, DAY) == [None] * len(IDS)
    assert client.exists("forecast:behind") == 0
    assert releases.roll_back().release_id == first
    assert plain(client) == [(first, "a")] * len(IDS)
    assert len(reader.read_many(IDS)) == len(IDS)


def test_what_a_kill_left_is_carried_over_invalidated_and_rolled_back(
    server, client, releases, publish, forecast
):
    """Values lie in either of two places then."""
    first = publish(ids=IDS, mark="a").release_id
    killed(server, forecast, LATER, 3)
    second = releases.current().release_id
    assert releases.invalidate([1, 6]) == 2  # one was moved by then, one was not
    reader = ForecastReader(client, patience_s=PATIENT_S, local_s=0)
    assert sorted(reader.read_many(IDS)) == [2, 3, 4, 5, 7, 8, 9, 10]
    assert client.exists(f"forecast:product:1:{DAY}", f"forecast:product:1:{LATER}") == 0
    carrying = spec("c", IDS, LATER, carried=[1, 2, 6, 7], base=second)
    with releases.stage(carrying) as staging:
        staging.carry_over()
        assert staging.done.keys() == {2, 7}
        put(staging, forecast, [1, 3, 4, 5, 6, 8, 9, 10])
        third = staging.publish().release_id
    marks = {2: "b", 7: "b"}
    assert plain(client, LATER) == [(third, marks.get(i, "c")) for i in IDS]
    assert releases.activate(first).release_id == first
    assert sorted(reader.read_many(IDS)) == [2, 3, 4, 5, 7, 8, 9, 10]


def test_an_export_after_the_kill_of_one_serves_its_own(
    server, client, releases, publish, forecast
):
    publish(ids=IDS, mark="a")
    killed(server, forecast, LATER, 3)
    third = publish(ids=IDS, mark="c", as_of=LATER).release_id
    assert plain(client, LATER) == [(third, "c")] * len(IDS)
    assert plain(client, DAY) == [None] * len(IDS)
    assert releases.roll_back().computed_with["mark"] == "b"
    assert {mark for _, mark in plain(client, LATER)} == {"b"}


def test_a_value_overwritten_after_its_verification_is_not_published(
    client, releases, publish, forecast
):
    first = publish(ids=IDS, mark="a")
    with releases.stage(spec("b", IDS)) as staging:
        put(staging, forecast)
        staging.verify()
        name = f"forecast:release:{staging.release_id}:product:4"
        client.set(name, client.get(name).replace(b"7", b"8", 1))
        with pytest.raises(CacheError, match=r"is not published .*: 4 is not what was written"):
            staging.publish()
    assert releases.current() == first


@pytest.mark.parametrize("damage", ["changed", "dropped"])
def test_one_overwritten_just_before_the_flip_is_served_by_nobody(
    client, releases, publish, forecast, monkeypatch, damage
):
    publish(ids=IDS, mark="a")
    flip = staging_module.make_current

    def late(database, release_id, *rest):
        name = f"forecast:release:{release_id}:product:4"
        if damage == "changed":
            client.set(name, client.get(name).replace(b"7", b"8", 1))
        else:
            client.delete(name)
        return flip(database, release_id, *rest)

    monkeypatch.setattr(staging_module, "make_current", late)
    with releases.stage(spec("b", IDS)) as staging:
        put(staging, forecast)
        with pytest.raises(CacheError, match=r"is current, but values .* served: 1 product: 4; e"):
            staging.publish()
    assert plain(client)[3] is None
    reader = ForecastReader(client, patience_s=PATIENT_S)
    with pytest.raises(CacheError, match="product 4 is"):
        reader.read(4)
    assert reader.read(5).forecast.model_metadata["mark"] == "b"


def test_what_somebody_else_put_under_a_plain_key_gives_way(client, publish, releases):
    client.rpush(f"forecast:product:1:{DAY}", "a list")
    client.set(f"forecast:product:2:{DAY}", '{"release":"99-x","product_id":2}')
    release = publish(ids=IDS).release_id
    assert plain(client) == [(release, "")] * len(IDS)


def test_the_flip_touches_no_value(server, client, releases, forecast):
    """As many commands in the server for 400 products as for 4."""
    counts = []
    for number in (4, 400):
        with releases.stage(spec(str(number), range(1, number + 1))) as staging:
            staging.put({i: product(forecast, i, DAY, "x") for i in staging.spec.product_ids})
            staging.verify()
            client.config_resetstat()
            plain_module.flip(releases._database, staging.release_id, number, 60, staging._token)
            stats = client.info("commandstats")
            made = {name: of["calls"] for name, of in stats.items() if "config" not in name}
            counts.append(sum(made.values()))
        plain_module.follow(releases._database)
    assert counts[1] <= counts[0] + 6  # what is done for the release that is replaced
