"""Threads: they wait only so long, do not pile up, keep nothing alive, survive a fork."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from contextvars import ContextVar
from pathlib import Path

import pytest
import redis

import toolkit
from tests.cache.conftest import PATIENT_S, until
from toolkit.cache import lane as lane_module
from toolkit.cache.adhoc.forecasts import ForecastCache, Hit
from toolkit.cache.lane import MAX_STUCK, PAUSE_S, Answer, Failure, Lane, lane_of

ROOT = Path(toolkit.__file__).parents[1]

SHORT_S = 0.002
WAIT_S = PATIENT_S


def answers(lane):
    return isinstance(lane.run(lambda: 1, WAIT_S), Answer)


@pytest.fixture
def hang():
    """An operation that hangs until the test is over."""
    release = threading.Event()
    yield release.wait
    release.set()


def test_an_answer_leaves_the_patience_it_did_not_need():
    lane = Lane()
    started = time.monotonic()
    outcome = lane.run(lambda: time.sleep(0.1) or 7, WAIT_S)
    took = time.monotonic() - started
    assert isinstance(outcome, Answer)
    assert outcome.value == 7
    assert WAIT_S - took <= outcome.patience_s <= WAIT_S - 0.1


def test_patience_ends(hang):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert Lane().run(hang, 0.04) == Failure("no answer within 40 ms", 0)
        times.append(time.perf_counter() - start)
    assert 0.04 <= min(times) < 0.5  # 0.04 s where three processes share each core


def test_a_late_answer_opens_the_lane_at_once(monkeypatch):
    monkeypatch.setattr(lane_module, "PAUSE_S", 600)  # which would not be over before
    lane, release = Lane(), threading.Event()
    assert isinstance(lane.run(release.wait, 0.01), Failure)
    assert isinstance(lane.run(lambda: 1, WAIT_S), Failure)
    release.set()
    assert until(lambda: answers(lane))


@pytest.mark.parametrize(
    "error", [OSError("gone"), SystemExit(3), KeyboardInterrupt(), MemoryError(), StopIteration()]
)
def test_whatever_is_raised_is_a_failure_and_closes_the_lane(error):
    def fail():
        raise error

    lane = Lane()
    reason = f"{type(error).__name__}: {error}"
    assert lane.run(fail, WAIT_S) == Failure(reason, 0)
    assert lane.run(lambda: 1, WAIT_S) == Failure(f"not tried again yet: {reason}", 0)


@pytest.mark.parametrize(
    "error",
    [redis.ResponseError("WRONGTYPE"), redis.ReadOnlyError(), b"\xff".decode],
    ids=["wrong type", "read only", "no text"],
)
def test_a_refusal_by_the_server_leaves_the_lane_open(error):
    def fail():
        raise error if isinstance(error, Exception) else error()

    lane = Lane()
    outcome = lane.run(fail, WAIT_S)
    assert isinstance(outcome, Failure)
    assert outcome.patience_s > 0
    assert answers(lane)


def test_after_the_pause_one_caller_tries_and_the_others_wait(hang, monkeypatch):
    lane = Lane()
    lane.run(hang, SHORT_S)
    time.sleep(PAUSE_S)
    monkeypatch.setattr(lane_module, "PAUSE_S", 600)  # the next one is not over before the last
    tried = []
    outcomes = []

    def attempt():
        tried.append(1)
        hang()

    callers = [
        threading.Thread(target=lambda: outcomes.append(lane.run(attempt, 0.01))) for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(tried) == 1
    assert len(outcomes) == 6


def test_hanging_operations_do_not_pile_up(hang, monkeypatch):
    monkeypatch.setattr(lane_module, "PAUSE_S", 0)  # all may try
    lane = Lane()
    gate = threading.Barrier(2 * MAX_STUCK)

    def caller():
        gate.wait()
        lane.run(hang, SHORT_S)

    for _ in range(2):
        callers = [threading.Thread(target=caller) for _ in range(2 * MAX_STUCK)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
    assert lane.run(lambda: 1, WAIT_S) == Failure(
        "not tried: too many earlier operations still hang", 0
    )


def test_a_lane_with_too_many_hanging_operations_opens_when_they_end(monkeypatch):
    monkeypatch.setattr(lane_module, "PAUSE_S", 0)
    lane = Lane()
    release = threading.Event()
    callers = [
        threading.Thread(target=lane.run, args=(release.wait, SHORT_S))
        for _ in range(2 * MAX_STUCK)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not answers(lane)
    release.set()
    assert until(lambda: answers(lane))


def test_workers_are_used_again(monkeypatch):
    monkeypatch.setattr(lane_module, "_shared", lane_module._Shared())  # no worker of other tests
    lane = Lane()
    names = {lane.run(lambda: threading.current_thread().ident, WAIT_S).value for _ in range(100)}
    assert len(names) == 1


def test_one_lane_for_all_clients_of_a_pool_and_none_is_kept_alive(server):
    pool = redis.ConnectionPool.from_url(server.url)
    one, other = redis.Redis(connection_pool=pool), redis.Redis(connection_pool=pool)
    assert lane_of(one) is lane_of(other)
    assert lane_of(one) is not lane_of(server.client())
    lane_of(one).run(one.ping, WAIT_S)
    pool.disconnect()
    gone = weakref.ref(pool)
    del one, other, pool
    assert until(lambda: gc.collect() >= 0 and gone() is None)


def test_an_operation_sees_the_callers_context():
    request = ContextVar("request", default="none")
    request.set("this one")
    outcome = Lane().run(request.get, WAIT_S)
    assert isinstance(outcome, Answer)
    assert outcome.value == "this one"


def test_a_busy_thread_of_this_process_is_not_taken_for_a_dead_server(server, key, forecast):
    cache = ForecastCache(server.client())
    assert ForecastCache(server.client(), patience_s=PATIENT_S).write(key, forecast)
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    hits = []

    def read():
        hits.append(isinstance(cache.read(key), Hit))
        return sum(hits) >= 10

    try:
        assert until(read), hits
    finally:
        stop.set()
        thread.join()


FORK = """
import os, sys, threading
from datetime import date
import redis
from toolkit.cache.adhoc.forecasts import ForecastCache, ForecastKey
client = redis.Redis.from_url(sys.argv[1])
key = ForecastKey(5, date(2025, 1, 1), {})
assert ForecastCache(client, patience_s=20).write(key, None)
child = os.fork()
if not child:
    found = ForecastCache(client, patience_s=20).read(key)
    print(found, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(ForecastCache(client, patience_s=20).read(key))
"""


def test_a_forked_child_starts_threads_of_its_own(server):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, server.url],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout == "Hit(forecast=None)\n" * 2


LEAVE = """
import sys, threading, time
from toolkit.cache.lane import Lane
Lane().run(lambda: time.sleep(3600), 0.01)
"""


def test_a_hanging_operation_does_not_delay_the_exit():
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", LEAVE], env=environment, check=True, timeout=300)
