"""A service that runs: its sockets, its worker processes, and what is checked before."""

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from toolkit.cache.database import Database
from toolkit.cache.urls import client_of
from toolkit.errors import ArgumentError, CacheError
from toolkit.service.app import Service
from toolkit.service.settings import ServiceSettings

BACKLOG = 2048
GRACE_S = 5
CONNECTIONS = 1_000
"""Of a worker; a further one is told that the service is busy."""


@dataclass(frozen=True, slots=True)
class Application:
    """Makes a worker's application; travels to its process."""

    settings: ServiceSettings

    def __call__(self) -> ASGIApp:
        """The application."""
        return Service(self.settings)


def serve(
    settings: ServiceSettings,
    host: str,
    port: int,
    workers: int = 1,
    listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until the process is told to end. ``ArgumentError`` if it cannot begin.

    ``listening`` is told the URL once connections are taken.
    """
    check_cache(settings.redis_url)
    with closing(listen(host, port)) as listener:
        listening(url_of(listener))
        signal.signal(signal.SIGTERM, _end)
        config = uvicorn.Config(
            Application(settings),
            factory=True,
            workers=workers,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
        )
        if workers == 1:
            uvicorn.Server(config).run([listener])
        else:
            Multiprocess(config, [listener]).run()


def check_cache(url: str) -> None:
    """``ArgumentError`` in a sentence unless a server answers at ``url``."""
    try:
        with client_of(url) as client:
            Database(client, to_write=False)
    except (CacheError, ValueError) as error:
        raise ArgumentError(str(error)) from error


def listen(host: str, port: int) -> socket.socket:
    """A socket there; ``ArgumentError`` in a sentence if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        said = getattr(error, "strerror", None) or error
        raise ArgumentError(f"the service cannot listen at {host}:{port}: {said}") from error
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
