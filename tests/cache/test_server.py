"""The embedded server works, and is gone however its process ends."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import redis

import toolkit
from tests.cache.conftest import until
from toolkit.cache.server import connect, embedded_server
from toolkit.errors import CacheError, ToolkitError

ROOT = Path(toolkit.__file__).parents[1]

PROGRAM = """
import os, signal, sys, threading, time
from toolkit.cache.server import embedded_server
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with embedded_server() as server:
    print(server.client().info("server")["process_id"], server.socket, flush=True)
    {body}
"""


def program(body, **env):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.format(body=body)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def check_gone(pid, folder):
    assert until(lambda: not alive(pid))
    assert until(lambda: not folder.exists())


def pid_of(server):
    return server.client().info("server")["process_id"]


def test_it_is_a_real_server_private_and_in_memory():
    with embedded_server(maxmemory_mb=32) as server:
        client = server.client()
        client.set("a", "b", ex=10)
        assert redis.Redis.from_url(server.url).get("a") == b"b"
        assert client.info("memory")["maxmemory"] == 32 * 2**20
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("port") == {"port": "0"}
        assert server.socket.parent.stat().st_mode & 0o777 == 0o700
        assert server.is_running()
        pid = pid_of(server)
    assert not server.is_running()
    check_gone(pid, server.socket.parent)


def test_it_drops_the_values_that_end_anyway_when_full():
    with embedded_server(maxmemory_mb=4) as server:
        client = server.client()
        client.set("kept", "x")
        for number in range(200):
            client.set(f"cached{number}", bytes(50_000), ex=60)
        assert client.get("kept") == b"x"
        assert 1 < client.dbsize() < 200


def test_it_starts_quickly():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with embedded_server():
            times.append(time.perf_counter() - start)
    assert min(times) < 2  # 0.05 s where three processes share each core


def test_two_at_once_do_not_clash():
    with embedded_server() as one, embedded_server() as other:
        one.client().set("a", 1)
        assert other.client().get("a") is None
        assert one.url != other.url


def test_many_processes_at_once_do_not_clash():
    programs = [program("sys.stdin.close()") for _ in range(4)]
    outputs = [process.communicate(timeout=300)[0] for process in programs]
    assert [process.returncode for process in programs] == [0] * 4
    assert len(set(outputs)) == 4


def ends_itself(body, returncode):
    with program(body) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == returncode, err
    pid, path = out.split()
    check_gone(int(pid), Path(path).parent)


def test_it_is_gone_after_the_end():
    ends_itself("pass", 0)


def test_it_is_gone_after_an_exception():
    ends_itself("raise RuntimeError('on purpose')", 1)


def test_it_is_gone_after_an_exit_without_goodbye():
    ends_itself("os._exit(3)", 3)


def test_it_is_gone_after_a_crash():
    ends_itself(
        "import ctypes; signal.signal(signal.SIGSEGV, signal.SIG_DFL); ctypes.string_at(0)", -11
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_it_is_gone_after_a_signal_to_its_process(number):
    with program("time.sleep(600)") as process:
        pid, path = process.stdout.readline().split()
        assert alive(int(pid))
        process.send_signal(number)
        process.communicate(timeout=300)
    check_gone(int(pid), Path(path).parent)


def test_it_is_gone_although_a_forked_child_lives_on():
    with program(
        "os.fork() and time.sleep(600); os.close(1); os.close(2); time.sleep(600)"
    ) as process:
        pid, path = process.stdout.readline().split()
        assert until(lambda: psutil.Process(process.pid).children()[1:])
        children = psutil.Process(process.pid).children()
        process.kill()
        check_gone(int(pid), Path(path).parent)
        forked = [child for child in children if "python" in child.name()]
        assert forked
        for child in forked:
            child.kill()


def test_a_forked_child_that_leaves_the_block_does_not_stop_it():
    ends_itself("if child := os.fork(): os.waitpid(child, 0); server.client().ping()", 0)


def test_it_outlives_the_thread_that_started_it():
    started = []
    leave = threading.Event()
    holder = embedded_server()
    thread = threading.Thread(target=lambda: started.append(holder.__enter__()))
    thread.start()
    thread.join()
    leave.wait(0.1)
    try:
        assert started[0].client().ping()
    finally:
        holder.__exit__(None, None, None)


def test_signals_to_its_keeper_do_not_orphan_it():
    with program("time.sleep(600)") as process:
        pid, path = process.stdout.readline().split()
        keeper = psutil.Process(int(pid)).parent()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            keeper.send_signal(number)
        process.kill()
        check_gone(int(pid), Path(path).parent)


def test_it_can_be_left_when_its_keeper_was_killed():
    with embedded_server() as server:
        pid = pid_of(server)
        psutil.Process(pid).parent().kill()
    check_gone(pid, server.socket.parent)


def test_it_can_be_left_when_it_hangs():
    with embedded_server() as server:
        pid = pid_of(server)
        os.kill(pid, signal.SIGSTOP)
    check_gone(pid, server.socket.parent)


def test_its_crash_shows():
    with embedded_server() as server:
        os.kill(pid_of(server), signal.SIGKILL)
        assert until(lambda: not server.is_running())


def test_a_long_name_of_the_temporary_folder_does_not_matter(tmp_path):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    with program("pass", TMPDIR=str(long)) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert list(long.iterdir()) == []
    assert out.split()[1].startswith("/tmp/")


def test_a_server_that_does_not_start_says_why():
    before = set(Path(tempfile.gettempdir()).glob("toolkit-cache-*"))
    with pytest.raises(CacheError, match="memory value"), embedded_server(maxmemory_mb=10**30):
        pass
    assert issubclass(CacheError, ToolkitError)
    assert set(Path(tempfile.gettempdir()).glob("toolkit-cache-*")) <= before


def test_no_folder_for_the_socket_is_a_cache_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(CacheError, match=r"cannot be started: .*missing"), embedded_server():
        pass


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "64"])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match="maxmemory_mb must be"), embedded_server(size):
        pass


def test_connect_reaches_a_server_by_its_url(server):
    with connect(server.url) as client:
        assert client.ping()
    assert client.connection_pool.connection_kwargs["path"] == str(server.socket)


def test_connect_without_a_url_brings_its_own_server():
    with connect() as client:
        assert client.set("a", 1)
        folder = Path(client.connection_pool.connection_kwargs["path"]).parent
        pid = client.info("server")["process_id"]
    check_gone(pid, folder)


def test_connect_knows_the_urls_of_servers_elsewhere():
    for url in ("redis://:pw@cache.example:6380/2", "rediss://cache.example"):
        with connect(url) as client:  # nothing is sent
            assert client.connection_pool.connection_kwargs["host"] == "cache.example"


@pytest.mark.parametrize(
    "url",
    ["", "http://x", "cache:6379", "valkey+unix:///s", "redis://:se/cret@host", "redis://h?db=x"],
)
def test_connect_refuses_what_is_no_cache_url_without_repeating_it(url):
    with pytest.raises(ValueError, match="redis://, rediss://, unix://") as caught, connect(url):
        pass
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
