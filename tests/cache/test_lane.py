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
from toolkit.cache.forecasts import ForecastCache, Hit
from toolkit.cache.lane import MAX_STUCK, PAUSE_S, Answer, Failure, Lane, lane_of

ROOT = Path(toolkit.__file__).parents[1]

SHORT_S = 0.002
WAIT_S = 2.0
"""Long enough for an operation that does not hang, on any machine."""


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
    quick = lane.run(lambda: 7, WAIT_S)
    slow = lane.run(lambda: time.sleep(0.1), WAIT_S)
    assert isinstance(quick, Answer)
    assert quick.value == 7
    assert slow.patience_s < WAIT_S - 0.1 < quick.patience_s


def test_patience_ends(hang):
    start = time.perf_counter()
    assert Lane().run(hang, 0.04) == Failure("no answer within 40 ms", 0)
    assert 0.04 <= time.perf_counter() - start < 0.2


def test_a_late_answer_opens_the_lane_at_once():
    lane = Lane()
    assert isinstance(lane.run(lambda: time.sleep(0.1), 0.01), Failure)
    assert isinstance(lane.run(lambda: 1, WAIT_S), Failure)
    time.sleep(0.15)
    assert answers(lane)


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
    "error", [redis.ResponseError("WRONGTYPE"), redis.ReadOnlyError(), b"\xff".decode], ids=repr
)
def test_a_refusal_by_the_server_leaves_the_lane_open(error):
    def fail():
        raise error if isinstance(error, Exception) else error()

    lane = Lane()
    outcome = lane.run(fail, WAIT_S)
    assert isinstance(outcome, Failure)
    assert outcome.patience_s > 0
    assert answers(lane)


def test_after_the_pause_one_caller_tries_and_the_others_wait(hang):
    lane = Lane()
    lane.run(hang, SHORT_S)
    time.sleep(PAUSE_S)
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


def test_hanging_operations_do_not_pile_up(hang):
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
        time.sleep(PAUSE_S / 2)
    assert lane.run(lambda: 1, WAIT_S) == Failure(
        "not tried: too many earlier operations still hang", 0
    )


def test_a_lane_with_too_many_hanging_operations_opens_when_they_end():
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
    time.sleep(PAUSE_S)
    release.set()
    time.sleep(0.1)
    assert answers(lane)


def test_workers_are_used_again():
    lane = Lane()
    lane.run(lambda: 1, WAIT_S)
    before = threading.active_count()
    names = {lane.run(lambda: threading.current_thread().ident, WAIT_S).value for _ in range(100)}
    assert threading.active_count() == before
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
    deadline = time.monotonic() + 2
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


def test_an_operation_sees_the_callers_context():
    request = ContextVar("request", default="none")
    request.set("this one")
    outcome = Lane().run(request.get, WAIT_S)
    assert isinstance(outcome, Answer)
    assert outcome.value == "this one"


def test_a_busy_thread_of_this_process_is_not_taken_for_a_dead_server(server, key, forecast):
    cache = ForecastCache(server.client())
    cache.write(key, forecast)
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    hits = 0
    try:
        for _ in range(15):
            hits += isinstance(cache.read(key), Hit)
            time.sleep(0.1)  # so that a late answer comes before the next read
    finally:
        stop.set()
        thread.join()
    assert hits >= 10


FORK = """
import os, sys, threading
from datetime import date
import redis
from toolkit.cache.forecasts import ForecastCache, ForecastKey
client = redis.Redis.from_url(sys.argv[1])
key = ForecastKey(5, date(2025, 1, 1), {})
cache = ForecastCache(client, patience_s=5.0)
assert cache.write(key, None)
child = os.fork()
if not child:
    found = cache.read(key)
    print(found, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(cache.read(key))
"""


def test_a_forked_child_starts_threads_of_its_own(server):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, server.url],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == "Hit(forecast=None)\n" * 2


LEAVE = """
import sys, threading, time
from toolkit.cache.lane import Lane
Lane().run(lambda: time.sleep(60), 0.01)
"""


def test_a_hanging_operation_does_not_delay_the_exit():
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", LEAVE], env={"PYTHONPATH": str(ROOT)}, check=True)
    assert time.monotonic() - start < 10
