"""What Prometheus reads of a service: all its worker processes together.

Workers write into files of one folder, named by ``PROMETHEUS_MULTIPROC_DIR`` before this module is
imported; the first process adds them up when it is asked.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from toolkit.errors import ArgumentError

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LIVE = re.compile(r"gauge_live\w*_(\d+)\.db")

REQUESTS = Counter("toolkit_requests", "Requests, by route and status.", ["route", "status"])
SECONDS = Histogram("toolkit_request_seconds", "Of a request.", ["route"], buckets=BUCKETS_S)
STALE = Counter("toolkit_stale", "Answers that the cache has not confirmed.")
READY = Gauge("toolkit_ready", "1 if every worker is ready.", multiprocess_mode="livemin")
AGE = Gauge(
    "toolkit_release_age_seconds", "Of the oldest release served.", multiprocess_mode="livemax"
)


class Measures:
    """What a worker has counted; the labels' children are looked up once each."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}

    def note(self, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        count = self._counts.get((route, status))
        if count is None:
            count = self._counts[route, status] = REQUESTS.labels(route, str(status))
        count.inc()
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = SECONDS.labels(route)
        times.observe(seconds)


class _OfLivingProcesses(MultiProcessCollector):
    """Leaves out what a worker that has ended said of its present."""

    def collect(self) -> Iterable[Metric]:
        """All workers' numbers together."""
        folder = os.environ[FOLDER_VARIABLE]
        for file in Path(folder).iterdir():
            match = _LIVE.fullmatch(file.name)
            if match is not None and not _lives(int(match[1])):
                mark_process_dead(int(match[1]), folder)
        found: Iterable[Metric] = super().collect()
        return found


def serve_metrics(host: str, port: int) -> str:
    """Answer at a port of its own, from a thread; returns the URL.

    ``ArgumentError`` if it cannot be had.
    """
    registry = CollectorRegistry()
    _OfLivingProcesses(registry)
    try:
        server, _ = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise ArgumentError(f"metrics cannot be served at {host}:{port}: {said}") from error
    where = f"[{host}]" if ":" in host else host
    return f"http://{where}:{server.server_port}/metrics"


def forget_this_process() -> None:
    """This process is no worker: what it says of its present does not count."""
    mark_process_dead(os.getpid())


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
