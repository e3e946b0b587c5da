"""A cache that is down, slow, full or closed: one warning, 50 ms, and back when it is back."""

import os
import signal
import socket
import time
from contextlib import closing

import pytest
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from tests.cache.servers import (
    dripping_server,
    pid_of,
    slow_way_to,
    something_else,
    stopped,
    valkey_at,
)
from toolkit.cache.forecasts import PATIENCE_S, ForecastCache, Hit, Miss
from toolkit.cache.lane import PAUSE_S
from toolkit.cache.single_flight import LOCK_S, cached

BUDGET_S = 0.05
ABSOLUTE_S = 0.25


def check_outage(clients, call, warnings, outcome="miss"):
    """Each of three fresh clients: the same outcome, one warning, in time. The warnings."""
    seen, costs = [], []
    for client in clients:
        what, cost = call(client)
        assert what == outcome
        (warning,) = warnings()
        seen.append(warning)
        costs.append(cost)
    assert min(costs) <= BUDGET_S
    assert max(costs) <= ABSOLUTE_S
    return seen


def three(**settings):
    return [redis.Redis(**settings) for _ in range(3)]


def test_nobody_listens_and_the_client_would_retry_for_seconds(call, warnings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clients = three(port=port)
    for warning in check_outage(clients, call, warnings):
        assert warning == "Cache read error: no answer within 40 ms"


def test_nobody_listens_and_the_client_says_so_at_once(call, warnings):
    clients = three(unix_socket_path="/tmp/no/such/socket", retry=Retry(NoBackoff(), 0))
    for warning in check_outage(clients, call, warnings):
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
    own_server.client().client_pause(2000)
    check_outage(clients, call, warnings)


def test_the_server_is_slow_to_write(own_server, call, warnings):
    clients = three(unix_socket_path=str(own_server.socket))
    own_server.client().client_pause(2000, all=False)
    seen = check_outage(clients, call, warnings)
    assert any(warning.startswith("Cache write error: no answer within ") for warning in seen)


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
def test_the_password_is_wrong(own_server, call, warnings, password):
    own_server.client().config_set("requirepass", "right")
    settings = {"unix_socket_path": str(own_server.socket), "password": password}
    for warning in check_outage(three(**settings, retry=Retry(NoBackoff(), 0)), call, warnings):
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


def test_an_outage_costs_the_next_calls_nothing_but_warns_each(own_server, call, warnings):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    with stopped(pid_of(client)):
        call(client)
        warnings()
        costs = []
        for _ in range(50):
            what, cost = call(client)
            assert what == "miss"
            (warning,) = warnings()
            assert warning == "Cache read error: not tried again yet: no answer within 40 ms"
            costs.append(cost)
    assert sorted(costs)[25] < 0.002


def test_an_outage_between_read_and_write_is_warned_of_once(own_server, key, forecast, warnings):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    cache = ForecastCache(client, patience_s=0.5)
    found = cache.read(key)
    assert found.reason == "not cached"
    with stopped(pid_of(client)):
        assert not cache.write(key, forecast, after=found)
    (warning,) = warnings()
    assert warning.startswith("Cache write error: no answer within ")


def test_after_a_failed_read_no_write_is_tried_however_late(own_server, key, forecast, warnings):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    cache = ForecastCache(client)
    with stopped(pid_of(client)):
        found = cache.read(key)
        assert isinstance(found, Miss)
        time.sleep(PAUSE_S)  # a long computation
        start = time.perf_counter()
        assert not cache.write(key, forecast, after=found)
        assert time.perf_counter() - start < 0.01
    assert len(warnings()) == 1


def until_it_works(client, call, limit_s):
    start = time.monotonic()
    while call(client)[0] == "miss":
        assert time.monotonic() - start < limit_s
        time.sleep(0.02)
    return time.monotonic() - start


def test_a_server_that_comes_back_is_used_again(tmp_path, key, forecast, call):
    path = tmp_path / "s"
    client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    with valkey_at(path):
        assert call(client)[0] == "stored"
    assert call(client)[0] == "miss"
    with valkey_at(path):
        assert call(client)[0] == "miss"  # the pause
        assert until_it_works(client, call, PAUSE_S + 1) > 0.1
        assert ForecastCache(client).read(key) == Hit(forecast)
    client.close()


def test_a_server_that_wakes_up_is_used_again(own_server, call):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    with stopped(pid_of(client)):
        assert call(client)[0] == "miss"
    until_it_works(client, call, PAUSE_S + 1)
    assert call(client)[0] == "hit"


def test_a_connection_that_takes_longer_than_the_budget_is_ready_for_the_next_call(
    own_server, call
):
    class SlowToConnect(redis.UnixDomainSocketConnection):
        def connect(self):
            if self._sock is None:
                time.sleep(0.1)
            super().connect()

    with redis.Redis(
        connection_pool=redis.ConnectionPool(SlowToConnect, path=str(own_server.socket))
    ) as client:
        assert call(client)[0] == "miss"
        time.sleep(PAUSE_S)
        assert call(client)[0] in {"stored", "hit"}


def test_something_else_answers(call, warnings):
    with something_else() as port:
        clients = three(port=port, retry=Retry(NoBackoff(), 0))
        for warning in check_outage(clients, call, warnings):
            assert warning.startswith("Cache read error: InvalidResponse: ")


def whole_call(client, key, forecast, seconds=0.0, patience_s=PATIENCE_S):
    """What a cached call with its lock costs more than its computation."""

    def compute():
        time.sleep(seconds)
        return forecast

    started = time.perf_counter()
    assert cached(ForecastCache(client, patience_s=patience_s), key, compute) == forecast
    return time.perf_counter() - started - seconds


@pytest.mark.parametrize("wait_s", [0.015, 0.025, 0.035])
def test_a_whole_call_with_its_lock_waits_no_longer_for_a_slow_server(
    own_server, key, forecast, warnings, wait_s
):
    with slow_way_to(own_server, wait_s) as port:
        costs, clients = [], three(port=port)
        for client in clients:
            client.ping()
            costs.append(whole_call(client, key, forecast))
            assert len(warnings()) == 1
        for client in clients:
            client.close()
    assert min(costs) <= BUDGET_S
    assert max(costs) <= ABSOLUTE_S


def test_a_server_that_takes_no_lock_is_not_asked_again_after_a_long_computation(
    own_server, key, forecast, warnings
):
    client = redis.Redis(unix_socket_path=str(own_server.socket))
    client.ping()
    own_server.client().client_pause(4000, all=False)
    assert whole_call(client, key, forecast, PAUSE_S + 0.1) <= 2 * BUDGET_S - 0.025
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
        assert cached(ForecastCache(client, patience_s=0.5), key, compute) == forecast
    finally:
        os.kill(pid, signal.SIGCONT)
    (warning,) = warnings()
    assert warning.startswith("Cache write error: no answer within ")


def test_a_lock_that_was_granted_too_late_is_held_by_nobody(own_server, key, forecast, warnings):
    with slow_way_to(own_server, 0.25) as port, redis.Redis(port=port) as client:
        client.ping()
        whole_call(client, key, forecast, patience_s=0.4)
        assert warnings()[0].startswith("Cache write error: no answer within ")  # for the lock
        direct = own_server.client()
        deadline = time.monotonic() + LOCK_S / 4
        while direct.exists(f"{key.own_name}:lock") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not direct.exists(f"{key.own_name}:lock")
