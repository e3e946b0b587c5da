"""A service that runs: its sockets, its worker processes, and what is checked before."""

import logging
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

from toolkit.cache.current import check_readable
from toolkit.errors import ArgumentError, ToolkitError
from toolkit.service.access import Access
from toolkit.service.app import Service
from toolkit.service.guard import GuardedProtocol
from toolkit.service.metrics import forget_this_process, serve_metrics
from toolkit.service.places import Places
from toolkit.service.settings import EngineSettings, ServiceSettings
from toolkit.service.tokens import keys_url

BACKLOG = 2048
GRACE_S = 5
KEEP_ALIVE_S = 30
CONNECTIONS = 1_000
"""Of a worker; a further one is told that the service is busy."""

LOG_FORMAT = "%(asctime)s %(levelname)s: %(message)s"
TOLD = ("toolkit.service", "toolkit.cache.records")


@dataclass(frozen=True, slots=True)
class Application:
    """Makes a worker's application; travels to its process."""

    settings: ServiceSettings

    def __call__(self) -> ASGIApp:
        """The application."""
        logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING, force=True)
        for name in TOLD:
            logging.getLogger(name).setLevel(logging.INFO)
        return Service(self.settings)


def serve(
    settings: ServiceSettings,
    places: Places,
    workers: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until the process is told to end. Raises as ``check_begin`` does if it cannot begin.

    ``say`` is told where it listens, once connections are taken.
    """
    check_begin(settings)
    with closing(listen(places.host, places.port)) as listener:
        if places.metrics_port is not None:
            say(f"Metrics at {serve_metrics(places.metrics_host, places.metrics_port)}")
        say(f"Serving at {url_of(listener)}")
        signal.signal(signal.SIGTERM, _end)
        config = uvicorn.Config(
            Application(settings),
            factory=True,
            workers=workers,
            http=GuardedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        if workers == 1:
            uvicorn.Server(config).run([listener])
        else:
            forget_this_process()
            Multiprocess(config, [listener]).run()


def check_begin(settings: ServiceSettings) -> None:
    """``CacheError`` in a sentence unless the cache can be used, ``ArgumentError`` unless its URL,
    keys and provider can.
    """
    try:
        check_readable(settings.redis_url)
    except ValueError as error:
        raise ArgumentError(str(error)) from error
    Access(settings)
    if settings.oidc is not None:
        keys_url(settings.oidc.issuer)
    if settings.engine is not None:
        _check_orders(settings.engine)


def _check_orders(settings: EngineSettings) -> None:
    """``ArgumentError`` in a sentence where the orders cannot be opened."""
    from toolkit.service.explorer.desk import check_orders  # noqa: PLC0415 an engine takes seconds

    try:
        check_orders(settings)
    except ToolkitError as error:
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
