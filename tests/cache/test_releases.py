"""Releases: whole or not there, current in one step, kept, cleaned, gone on with."""

import json
import os
import random
import signal
import threading
import time
from datetime import timedelta

import pytest
import redis

from tests.cache.conftest import DAY, PATIENT_S, product, put, spec, until
from tests.cache.flips import LOCK_S, Watch, exporter
from tests.cache.servers import stopped
from tests.processes import forks
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import ArgumentError, CacheError

LATER = DAY + timedelta(7)


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def releases(client):
    return Releases(client)


def test_readers_never_see_two_releases_though_exporters_are_killed(server, publish, forecast):
    ids = range(1, 21)
    publish(ids=ids, mark="first")
    watches = [Watch(server.client(), ids) for _ in range(3)]
    over = threading.Event()

    def watch(mine):
        while not over.is_set():
            random.choice([mine.one, mine.many, mine.plain])()
            time.sleep(0.001)  # exporters want to go on, too

    threads = [threading.Thread(target=watch, args=(mine,)) for mine in watches]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            with exporter(server, forecast, ids):
                seen = len(watches[0].releases)
                assert until(lambda mine=watches[0], seen=seen: len(mine.releases) >= seen + 3)
                time.sleep(0.2 * random.random())
            watches[0].whole()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert [wrong for mine in watches for wrong in mine.wrong] == []
    releases = Releases(server.client())
    releases.clean()  # as any command does, it lets the plain keys follow whom the last kill left
    current = releases.current().release_id
    plain = server.client().mget(watches[0].plain_names())
    assert {json.loads(value)["release"] for value in plain} == {current}
    seen = set.union(*(mine.releases for mine in watches))
    print(f"{sum(mine.values for mine in watches):,} values of {len(seen)} releases were read")
    assert len(seen) >= 12


def test_nothing_is_seen_before_it_is_published(client, releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast)
        staging.verify()
        assert releases.current() is None
        assert client.keys("forecast:product:*") == []
        published = staging.publish()
    assert releases.current() == published
    assert len(client.keys("forecast:product:*")) == 5
    assert (published.flip, published.replaced, published.number) == (1, None, 1)


def test_the_time_to_live_is_shortened_by_a_tenth_at_most(client, releases, publish):
    started = time.monotonic()
    publish(ids=range(1, 101), ttl_s=1000)
    left = [client.pttl(f"forecast:product:{i}:{DAY}") for i in range(1, 101)]
    took_ms = 1000 * (time.monotonic() - started) + 1
    # uniform from 900 to 1,000 s: none of 100 in a fifth of it has a chance of 2e-10
    assert 900_000 - took_ms <= min(left) < 920_000
    assert 980_000 - took_ms < max(left) <= 1_000_000
    # and no script draws the numbers of the one before it: steps of 20 would fill 20 of 200 cells
    assert len({round(ms / 500) for ms in left}) > 40


def test_what_was_staged_before_a_kill_is_gone_on_with(client, releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast, [1, 2])
        first = staging.release_id
    with releases.stage(spec("other")) as staging:
        assert staging.done == {}
    with releases.stage(spec()) as staging:
        assert (staging.release_id, staging.done) == (first, {1: "success", 2: "success"})
        put(staging, forecast, [3, 4, 5])
        staging.publish()
    with releases.stage(spec()) as staging:
        assert staging.done == {}


def test_what_was_damaged_since_is_not_gone_on_with(client, releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast, [1, 2, 3])
        name = f"forecast:release:{staging.release_id}:product:"
    client.delete(f"{name}1")
    client.append(f"{name}2", "x")
    with releases.stage(spec()) as staging:
        assert staging.done == {3: "success"}


@pytest.mark.parametrize("damage", ["missing", "never there", "changed", "truncated"])
def test_a_release_that_is_not_whole_is_not_published(client, releases, forecast, publish, damage):
    before = publish(mark="before")
    with releases.stage(spec()) as staging:
        put(staging, forecast, [1, 2, 3] if damage == "never there" else None)
        name = f"forecast:release:{staging.release_id}:product:4"
        if damage == "missing":
            client.delete(name)
        elif damage == "changed":
            client.setrange(name, 100, "x")
        elif damage == "truncated":
            client.set(name, client.get(name)[:-1])
        with pytest.raises(CacheError, match=r"is not whole and is not published .*: 4 is"):
            staging.publish()
    assert releases.current().release_id == before.release_id


def test_what_is_allowed_to_be_missing_may_be(releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast, [1, 2, 3])
        staging.verify(frozenset({4, 5}))
        assert staging.publish(frozenset({4, 5})).product_ids == (1, 2, 3)


def test_an_exporter_that_was_paused_past_its_lock_publishes_nothing(client, releases, forecast):
    with releases.stage(spec(), lock_s=PATIENT_S) as staging:
        put(staging, forecast)
        client.set("forecast:export-lock", "another's")
        with pytest.raises(CacheError, match="the lock of this export was lost"):
            staging.put({1: product(forecast, 1, DAY, "")})
        with pytest.raises(CacheError, match="the lock of this export was lost"):
            staging.publish()
    assert releases.current() is None
    assert client.get("forecast:export-lock") == b"another's"


def test_a_second_exporter_is_told_who_is_first(releases):
    with (
        releases.stage(spec(), lock_s=2.0),
        pytest.raises(CacheError, match=f"another export is running: process {os.getpid()} on "),
        releases.stage(spec(), lock_s=LOCK_S),
    ):
        pass


def _stage_and_die(path):
    with Releases(redis.Redis(unix_socket_path=path)).stage(spec(), lock_s=2.0):
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_lock_of_one_that_was_killed_is_waited_for(server, releases):
    child = forks().Process(target=_stage_and_die, args=(str(server.socket),))
    child.start()
    child.join()
    started = time.monotonic()
    with releases.stage(spec(), lock_s=2.0):
        assert time.monotonic() - started < 60  # 2 s: it does expire


def test_carried_over_values_are_the_current_ones(client, releases, forecast, publish):
    first = publish(mark="a")
    carrying = spec("b", as_of=LATER, carried=[1, 2, 3], base=first.release_id)
    with releases.stage(carrying) as staging:
        staging.carry_over()
        put(staging, forecast, [4, 5])
        second = staging.publish()
    one, four = (client.get(f"forecast:product:{i}:{LATER}") for i in (1, 4))
    assert one.startswith(f'{{"release":"{second.release_id}"'.encode())
    assert b'"mark":"a"' in one
    assert b'"mark":"b"' in four
    assert client.exists(f"forecast:product:1:{DAY}") == 0
    assert first.release_id not in one.decode()


def test_what_the_current_release_lacks_is_not_carried_over(client, releases, publish):
    base = publish(ids=[1, 2, 3]).release_id
    client.delete(f"forecast:product:1:{DAY}")  # it has expired
    releases.invalidate([2])
    with releases.stage(spec("b", carried=[1, 2, 3, 4], base=base)) as staging:
        staging.carry_over()
        assert staging.done == {3: "success"}


def test_what_was_carried_over_is_no_part_of_another_release(releases, publish):
    base = publish().release_id
    with releases.stage(spec("b", carried=[1, 2], base=base)) as staging:
        staging.carry_over()
    for other in (
        spec("b"),
        spec("b", carried=[1], base=base),
        spec("b", carried=[1, 2], base="x"),
    ):
        with releases.stage(other) as staging:
            assert staging.done == {}


def test_products_invalidated_while_a_release_is_made_are_not_in_it(client, releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast)
        releases.invalidate([2])
        assert staging.publish().product_ids == (1, 3, 4, 5)
    assert client.get(f"forecast:product:2:{DAY}") is None


def test_one_that_wakes_up_after_another_published_changes_nothing(client, releases, forecast):
    """Stopped while it resumes: its lock is lost, and the release it resumes is current by then."""
    with releases.stage(spec()) as staging:
        put(staging, forecast)
        published = staging.publish()
    client.set("forecast:export-lock", "mine")
    with pytest.raises(CacheError, match="the lock of this export was lost"):
        releases._claim(published.release_id, spec(), "mine")
    with pytest.raises(CacheError, match="the lock of this export was lost"):
        releases._claim("9-x", spec(), "another's")
    assert releases.current() == published


def test_a_hole_hides_what_was_cached_there_before(client, releases, forecast):
    client.set(f"forecast:product:5:{DAY}", "computed by somebody before")
    with releases.stage(spec()) as staging:
        put(staging, forecast, [1, 2, 3, 4])
        staging.publish(frozenset({5}))
    assert client.get(f"forecast:product:5:{DAY}") is None


def test_what_is_said_of_the_current_release_does_not_expire(client, releases, publish):
    first, second = publish(mark="a"), publish(mark="b")
    stays = ["forecast:current", f"forecast:release:{second.release_id}"]
    stays.append(f"{stays[1]}:index")
    assert [client.ttl(name) for name in stays] == [-1, -1, -1]
    assert client.ttl(f"forecast:release:{first.release_id}:index") > 0
    releases.roll_back()
    assert client.ttl(f"forecast:release:{first.release_id}:index") == -1
    assert client.ttl(f"forecast:release:{second.release_id}:index") > 0


def test_a_lock_that_somebody_else_set_for_ever_is_told(client, releases):
    client.set("forecast:export-lock", "x")
    with (
        pytest.raises(CacheError, match="never expires: somebody else set it"),
        releases.stage(spec(), lock_s=LOCK_S),
    ):
        pass


def test_a_release_with_carried_values_replaces_only_the_one_they_are_from(
    releases, forecast, publish
):
    first, second = publish(mark="a"), publish(mark="b")
    carrying = spec("c", carried=[1, 2], base=second.release_id)
    with releases.stage(carrying) as staging:
        staging.carry_over()
        put(staging, forecast, [3, 4, 5])
        staging.verify()
        releases.activate(first.release_id)
        with pytest.raises(CacheError, match="is not current any more"):
            staging.publish()
    assert releases.current().release_id == first.release_id
    assert second.release_id == releases.kept()[0].release_id


def test_rollback_is_quick_and_twice_goes_back_by_two(client, releases, publish):
    made = [publish(ids=range(1, 3001), mark=mark) for mark in "abc"]
    started = time.perf_counter()
    assert releases.roll_back().release_id == made[1].release_id
    took = time.perf_counter() - started
    print(f"rollback of 3,000 products: {took:.2f} s")
    assert took < 10  # 0.4 s; `make bench` asks for 1 s of many more products
    assert releases.roll_back().release_id == made[0].release_id
    with pytest.raises(CacheError, match="there is no release before 1-"):
        releases.roll_back()
    assert releases.activate(made[2].release_id).flip == 6
    assert b'"mark":"c"' in client.get(f"forecast:product:2999:{DAY}")


def test_a_kept_release_that_lost_values_does_not_come_back(client, releases, publish):
    first, second = publish(mark="a"), publish(mark="b")
    client.delete(f"forecast:release:{first.release_id}:product:3")
    with pytest.raises(CacheError, match=r"cannot be made current again.*1 product: 3 is mis"):
        releases.roll_back()
    assert releases.current().release_id == second.release_id


def test_without_a_release_there_is_nothing_to_go_back_to(releases):
    with pytest.raises(CacheError, match="has no current release to roll back from"):
        releases.roll_back()
    with pytest.raises(CacheError, match="release '9-x' is not kept; kept are: none"):
        releases.activate("9-x")


def test_old_and_abandoned_releases_are_cleaned_and_nothing_else(client, releases, publish):
    client.set("others", 1)
    for mark in "abcde":
        publish(mark=mark)
    with releases.stage(spec("abandoned")):
        pass
    assert [number.split("-")[0] for number in releases.clean(keep=2)] == ["2", "1", "6"]
    names = client.keys("*")
    assert {name.split(b":")[2][:1] for name in names if b"release:" in name} == {b"3", b"4"} | {
        b"5"
    }
    assert client.get("others") == b"1"
    assert len(releases.kept()) == 2


def test_a_release_that_is_being_made_is_not_cleaned(releases, forecast):
    with releases.stage(spec()) as staging:
        put(staging, forecast)
        assert releases.clean(keep=0) == []
        staging.publish()


def test_invalidated_products_are_gone_until_the_next_release(client, releases, publish):
    publish(mark="a")
    publish(mark="b")
    assert releases.invalidate([2, 3, 99]) == 2
    assert releases.current().product_ids == (1, 4, 5)
    assert releases.roll_back().product_ids == (1, 4, 5)
    assert client.exists(f"forecast:product:2:{DAY}") == 0
    publish(mark="c")
    assert client.exists(f"forecast:product:2:{DAY}") == 1


def stage_and_wait(path, forecast, staged):
    """An exporter that stages everything, and publishes when it is told to."""
    with Releases(redis.Redis(unix_socket_path=path)).stage(spec("slow"), lock_s=2.0) as staging:
        put(staging, forecast)
        staging.verify()
        staged.send("staged")
        staged.recv()
        try:
            staging.publish()
            staged.send("published")
        except CacheError as error:
            staged.send(str(error))


def test_an_exporter_that_was_stopped_meanwhile_publishes_nothing(
    server, releases, forecast, publish
):
    mine, theirs = forks().Pipe()
    child = forks().Process(target=stage_and_wait, args=(str(server.socket), forecast, theirs))
    child.start()
    assert mine.recv() == "staged"
    with stopped(child.pid):
        other = publish(mark="other")
    mine.send("go on")
    said = mine.recv()
    child.join()
    assert said.startswith("the lock of this export was lost: it stood still for longer")
    assert releases.current() == other


@pytest.mark.parametrize("wrong", [{"ids": []}, {"ttl_s": 0}, {"ids": ["1"]}])
def test_a_spec_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ArgumentError):
        spec(**wrong)


def test_a_product_that_was_not_asked_for_is_refused(releases, forecast):
    with (
        releases.stage(spec()) as staging,
        pytest.raises(CacheError, match="was not to have 1 product: 9"),
    ):
        put(staging, forecast, [9])
