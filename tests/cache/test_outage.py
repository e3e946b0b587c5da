"""A cache that is down, slow, full or closed: one warning, 50 ms, and back when it is back."""

import os
import signal
import socket
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from tests.cache.conftest import PATIENT_S, until
from tests.cache.servers import (
    dripping_server,
    pid_of,
    slow_way_to,
    something_else,
    stopped,
    valkey_at,
)
from toolkit.cache import lane as lane_module
from toolkit.cache.adhoc import single_flight
from toolkit.cache.adhoc.forecasts import PATIENCE_S, ForecastCache, Hit, Miss
from toolkit.cache.adhoc.single_flight import cached
from toolkit.cache.lane import LEAST_S, PAUSE_S, lane_of

LOADED_S = 1.0
"""The quickest of three calls on any machine: 0.044 s where three processes share each core.
`make bench` asks for 50 ms; ``waits`` knows what a call may wait whatever the machine."""


def check_outage(clients, call, warnings, outcome="miss"):
    """Each of three fresh clients: the same outcome, one warning, in time. The warnings."""
    seen, costs = [], []
    for client in clients:
        what, cost = call(client)
        assert what == outcome
        (warning,) = warnings()
        seen.append(warning)
        costs.append(cost)
    assert min(costs) <= LOADED_S
    return seen


def three(**settings):
    return [redis.Redis(**settings) for _ in range(3)]


def test_nobody_listens_and_the_client_would_retry_for_seconds(call, warnings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clients = three(port=port)
    for warning in check_outage(clients, call, warnings):
        assert warning == "Cache read error: no answer within 40 ms"


def test_nobody_listens_and_the_client_says_so_at_once(patient_call, warnings):
    clients = three(unix_socket_path="/tmp/no/such/socket", retry=Retry(NoBackoff(), 0))
    for warning in check_outage(clients, patient_call, warnings):
        assert warning.startswith("Cache read error: ConnectionError: ")


def test_the_server_was_killed(own_server, call, warnings):
    clients = three(unix_socket_path=str(own_server.socket))
    assert [client.ping() for client in clients] == [True] * 3
    os.kill(pid_of(clients[0]), signal.SIGKILL)
    check_outage(clients, call, warnings)


def test_the_server_hangs(own_server, call, warnings):
    clients = three(unix_socket_path=str(own_server.socket))
    assert [client.ping() for client in clients] == [True] * 3
    with stopped(pid_of(clients[0])):
        check_outage(clients, call, warnings)


def test_the_server_hangs_before_the_first_connection(own_server, call, warnings):
    with stopped(pid_of(own_server.client())):
        check_outage(three(unix_socket_path=str(own_server.socket)), call, warnings)


def test_the_server_is_slow_to_read(own_server, call, warnings):
    clients = three(unix_socket_path=str(own_server.socket))
    own_server.client().client_pause(60_000)
    check_outage(clients, call, warnings)


def test_the_server_is_slow_to_write(own_server, call, warnings):
    clients = three(unix_socket_path=str(own_server.socket))
    own_server.client().client_pause(60_000, all=False)
    for warning in check_outage(clients, partial(call, patience_s=0.9), warnings):
        assert warning.startswith("Cache write error: no answer within ")


def test_the_server_drips(call, warnings):
    with dripping_server() as port:
        clients = three(port=port, socket_timeout=0.02, retry=Retry(NoBackoff(), 0))
        check_outage(clients, call, warnings)
        for client in clients:  # ends what still reads
            client.connection_pool.disconnect()


def test_nobody_accepts_the_connection(call, warnings):
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        clients = three(
            port=listener.getsockname()[1], socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        check_outage(clients, call, warnings)


@pytest.mark.parametrize("password", [None, "mistaken"])
def test_the_password_is_wrong(own_server, call, patient_call, warnings, password):
    own_server.client().config_set("requirepass", "right")
    settings = {"unix_socket_path": str(own_server.socket), "password": password}
    clients = three(**settings, retry=Retry(NoBackoff(), 0))
    for warning in check_outage(clients, patient_call, warnings):
        assert warning.startswith("Cache read error: AuthenticationError: ")
        assert "mistaken" not in warning
    check_outage(three(**settings), call, warnings)


def test_an_error_that_came_too_late_is_named_next_time(own_server, call, warnings):
    own_server.client().config_set("requirepass", "right")
    client = redis.Redis(
        unix_socket_path=str(own_server.socket), retry=Retry(ConstantBackoff(0.06), 2)
    )
    call(client)
    assert warnings() == ["Cache read error: no answer within 40 ms"]
    assert until(lambda: lane_of(client)._late_error)
    time.sleep(PAUSE_S)
    call(client)
    (warning,) = warnings()
    assert warning.startswith(
        "Cache read error: no answer within 40 ms (earlier: AuthenticationError: "
    )


def test_the_memory_is_full(own_server, patient_call, warnings):
    own_server.client().config_set("maxmemory", "1")
    clients = three(unix_socket_path=str(own_server.socket))
    for warning in check_outage(clients, patient_call, warnings):
        assert warning.startswith("Cache write error: OutOfMemoryError: ")
    own_server.client().config_set("maxmemory", "100mb")
    assert patient_call(clients[0])[0] == "stored"  # the server answered: no pause


def test_rubbish_that_cannot_be_overwritten_is_one_warning(own_server, key, patient_call, warnings):
    client = own_server.client()
    client.set(key.name, "rubbish")
    client.config_set("maxmemory", "1")
    client.config_set("maxmemory-policy", "noeviction")
    assert patient_call(client)[0] == "miss"
    (warning,) = warnings()
    assert warning.startswith("Cache read error: the value at ")


def test_the_server_is_a_replica(own_server, patient_call, warnings):
    client = own_server.client()
    client.replicaof("127.0.0.1", 1)
    for warning in check_outage([client] * 3, patient_call, warnings):
        assert warning.startswith("Cache write error: ReadOnlyError: ")
    client.replicaof("no", "one")
    assert patient_call(client)[0] == "stored"


def test_the_user_may_not_read(own_server, patient_call, warnings):
    own_server.client().execute_command("ACL SETUSER writer on nopass ~* +set +client")
    clients = three(unix_socket_path=str(own_server.socket), username="writer", password="x")
    check_outage(clients, patient_call, warnings, outcome="stored")


def test_an_outage_costs_the_next_calls_nothing_but_warns_each(
    own_server, call, warnings, waits, monkeypatch
):
    monkeypatch.setattr(lane_module, "PAUSE_S", 600)  # all calls come before it is over
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    with stopped(pid_of(client)):
        call(client)
        warnings()
        for _ in range(50):
            assert call(client)[0] == "miss"
            assert waits == []
            (warning,) = warnings()
            assert warning == "Cache read error: not tried again yet: no answer within 40 ms"


def test_an_outage_between_read_and_write_is_warned_of_once(own_server, key, forecast, warnings):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    cache = ForecastCache(client, patience_s=PATIENT_S)
    found = cache.read(key)
    assert found.reason == "not cached"
    with stopped(pid_of(client)):
        assert not cache.write(key, forecast, after=replace(found, patience_s=0.04))
    (warning,) = warnings()
    assert warning.startswith("Cache write error: no answer within ")


def test_after_a_failed_read_no_write_is_tried_however_late(
    own_server, key, forecast, warnings, waits
):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    cache = ForecastCache(client)
    with stopped(pid_of(client)):
        found = cache.read(key)
        assert isinstance(found, Miss)
        time.sleep(PAUSE_S)  # a long computation
        waits.clear()
        assert not cache.write(key, forecast, after=found)
        assert waits == []
    assert len(warnings()) == 1


def test_a_server_that_comes_back_is_used_again(tmp_path, key, forecast, patient_call, monkeypatch):
    monkeypatch.setattr(lane_module, "PAUSE_S", 600)  # it is not over before the server is back
    path = tmp_path / "s"
    client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    with valkey_at(path):
        assert patient_call(client)[0] == "stored"
    assert patient_call(client)[0] == "miss"
    with valkey_at(path):
        assert patient_call(client)[0] == "miss"  # the pause
        lane_of(client)._closed_until = 0.0  # is over
        assert patient_call(client)[0] == "stored"
        assert ForecastCache(client, patience_s=PATIENT_S).read(key) == Hit(forecast)
    client.close()


def test_a_server_that_wakes_up_is_used_again(own_server, call, patient_call):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    with stopped(pid_of(client)):
        assert call(client)[0] == "miss"
    assert until(lambda: call(client)[0] != "miss")
    assert patient_call(client)[0] == "hit"


def test_a_connection_that_takes_longer_than_the_budget_is_ready_for_the_next_call(
    own_server, call, patient_call
):
    connected = []

    class SlowToConnect(redis.UnixDomainSocketConnection):
        def connect(self):
            if self._sock is not None:
                super().connect()
                return
            time.sleep(0.1)
            super().connect()
            connected.append(1)

    with redis.Redis(
        connection_pool=redis.ConnectionPool(SlowToConnect, path=str(own_server.socket))
    ) as client:
        assert call(client)[0] == "miss"
        assert until(lambda: lane_of(client)._failure is None)  # answered, if too late
        assert patient_call(client)[0] in {"stored", "hit"}
        assert connected == [1]


def test_something_else_answers(patient_call, warnings):
    with something_else() as port:
        clients = three(port=port, retry=Retry(NoBackoff(), 0))
        for warning in check_outage(clients, patient_call, warnings):
            assert warning.startswith("Cache read error: InvalidResponse: ")


def whole_call(client, key, forecast, seconds=0.0, patience_s=PATIENCE_S):
    """What a cached call with its lock took."""

    def compute():
        time.sleep(seconds)
        return forecast

    started = time.perf_counter()
    assert cached(ForecastCache(client, patience_s=patience_s), key, compute) == forecast
    return time.perf_counter() - started


@pytest.mark.parametrize("wait_s", [0.015, 0.025, 0.035])
def test_a_whole_call_with_its_lock_waits_no_longer_for_a_slow_server(
    own_server, key, forecast, warnings, waits, wait_s
):
    """Each operation may wait for what those before it have left of the call's patience."""
    with slow_way_to(own_server, wait_s) as port:
        costs, clients = [], three(port=port)
        for client in clients:
            client.ping()
            own_server.client().flushall()  # of locks whose owner gave up before the answer
            waits.clear()
            costs.append(whole_call(client, key, forecast))
            assert waits[0] == PATIENCE_S
            assert all(b <= max(a - wait_s, LEAST_S) for a, b in pairwise(waits))
            assert len(warnings()) == 1
        for client in clients:
            client.close()
    assert min(costs) <= LOADED_S


def test_a_server_that_takes_no_lock_is_not_asked_again_after_a_long_computation(
    own_server, key, forecast, warnings, waits
):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    client.ping()
    own_server.client().client_pause(60_000, all=False)
    whole_call(client, key, forecast, PAUSE_S + 0.1, patience_s=2)
    assert len(waits) == 2  # for the read and for the lock
    (warning,) = warnings()
    assert warning.startswith("Cache write error: no answer within ")


def test_a_server_that_hangs_while_the_lock_is_held_is_one_warning(
    own_server, key, forecast, warnings
):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    pid = pid_of(client)

    def compute():
        os.kill(pid, signal.SIGSTOP)
        return forecast

    try:
        assert cached(ForecastCache(client, patience_s=2), key, compute) == forecast
    finally:
        os.kill(pid, signal.SIGCONT)
    (warning,) = warnings()
    assert warning.startswith("Cache write error: no answer within ")


@pytest.mark.slow
def test_a_lock_that_was_granted_too_late_is_held_by_nobody(
    own_server, key, forecast, warnings, monkeypatch
):
    monkeypatch.setattr(single_flight, "LOCK_S", 600)  # it is given back, and does not expire
    with slow_way_to(own_server, 1.0) as port, redis.Redis(port=port) as client:
        client.ping()
        whole_call(client, key, forecast, patience_s=1.9)
        assert warnings()[0].startswith("Cache write error: no answer within ")  # for the lock
        direct = own_server.client()
        assert until(lambda: not direct.exists(f"{key.own_name}:lock"))
