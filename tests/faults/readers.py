"""Readers of a healthy server for a minute: how long they wait, what fails, what memory takes."""

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.queues import Queue

import numpy as np
import psutil

from tests.bench.releases import any_forecast
from tests.cache.conftest import DAY, product, spec
from tests.faults.processes import FORK
from tests.faults.tally import Tally
from toolkit.cache.reader import ForecastReader, ReadCounts
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.server import EmbeddedServer, embedded_server
from toolkit.errors import CacheError

PROCESSES, THREADS = 4, 8
KILOBYTES, PRODUCTS = 31, range(1, 101)
WARM_S = 10.0
PAUSE_S = 0.005
"""Between two reads of a thread, which does something with what it read."""

MOST_MS, MOST_GROWTH_MB = 10.0, 5.0
STEP_MS, STEPS = 0.1, 10_000


@dataclass
class Service:
    """What a process of many threads saw: ``times`` counts its reads by how long they took, and
    ``pauses`` the pauses between them, which are long where the machine is busy with other things.
    """

    times: np.ndarray = field(default_factory=lambda: np.zeros(STEPS, np.int64))
    pauses: np.ndarray = field(default_factory=lambda: np.zeros(STEPS, np.int64))
    counts: ReadCounts = field(default_factory=ReadCounts)
    errors: list[str] = field(default_factory=list)
    memory_mb: tuple[float, float] = (0.0, 0.0)


def readers(seconds: float) -> Iterator[Tally]:
    """Processes of many threads, each with its memory, as services are."""
    with embedded_server() as server:
        _publish(server)
        results = FORK.Queue()
        services = [
            FORK.Process(target=_serve, args=(server.url, seconds, results))
            for _ in range(PROCESSES)
        ]
        for service in services:
            service.start()
        told: list[Service] = [results.get() for _ in services]
        for service in services:
            service.join()
    yield _tally(told, seconds)


def _publish(server: EmbeddedServer) -> None:
    with Releases(server.client()).stage(spec("", PRODUCTS)) as staging:
        fields = any_forecast(KILOBYTES)
        staging.put({i: product(fields, i, DAY, "") for i in PRODUCTS})
        staging.publish()


def _serve(url: str, seconds: float, results: "Queue[Service]") -> None:
    service, reader, over = Service(), ForecastReader(url), threading.Event()
    lock = threading.Lock()

    def work() -> None:
        times, pauses = np.zeros((2, STEPS), np.int64)
        ended = time.perf_counter()
        while not over.wait(PAUSE_S):
            started = time.perf_counter()
            pauses[_step(started - ended)] += 1
            try:
                reader.read(random.choice(PRODUCTS))
            except CacheError as error:
                service.errors.append(str(error))
            ended = time.perf_counter()
            times[_step(ended - started)] += 1
        with lock:
            service.times += times
            service.pauses += pauses

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(min(WARM_S, seconds / 3))
    before = _memory_mb()
    time.sleep(max(0.0, seconds - WARM_S))
    service.memory_mb = before, _memory_mb()
    over.set()
    for thread in threads:
        thread.join()
    service.counts = reader.counts
    results.put(service)


def _step(seconds: float) -> int:
    return min(int(1000 * seconds / STEP_MS), STEPS - 1)


def _quantile_ms(counts: np.ndarray, share: float) -> float:
    """At most so long took that share."""
    return STEP_MS * (1 + int(np.searchsorted(np.cumsum(counts), share * counts.sum())))


def _memory_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


def _tally(told: list[Service], seconds: float) -> Tally:
    times, pauses = sum(one.times for one in told), sum(one.pauses for one in told)
    reads, p99 = int(times.sum()), _quantile_ms(times, 0.99)
    before, after = (max(one.memory_mb[k] for one in told) for k in (0, 1))
    growth = max(one.memory_mb[1] - one.memory_mb[0] for one in told)
    tally = Tally(
        f"{seconds:g} s of {PROCESSES} × {THREADS} readers, {KILOBYTES} kB a value", reads
    )
    tally.wrong = [error for one in told for error in one.errors]
    if p99 > MOST_MS:
        tally.wrong.append(f"1 % of the reads took longer than {p99:.1f} ms")
    if growth > MOST_GROWTH_MB:
        tally.wrong.append(f"a process grew by {growth:.1f} MB")
    tally.figures = [
        f"median ≤ {_quantile_ms(times, 0.5):.1f} ms, p99 ≤ {p99:.1f} ms",
        f"a pause of {1000 * PAUSE_S:g} ms: p99 ≤ {_quantile_ms(pauses, 0.99):.1f} ms",
        f"{before:.0f} MB a process at first, {after:.0f} MB at last",
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ]
    tally.seen["from memory"] = sum(one.counts.memory for one in told)
    tally.seen["from Redis"] = sum(one.counts.redis for one in told)
    tally.seen["stale"] = sum(one.counts.stale for one in told)
    return tally
