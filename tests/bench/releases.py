"""Exports, releases and reads, on all products of a database and a server of their own."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial

import duckdb
import numpy as np
import redis

from tests.bench.figure import Figure, seconds
from tests.cache.crowd import crowd
from tests.cache.flips import Watch, exporter
from toolkit.cache.adhoc.forecasts import PATIENCE_S, ForecastKey
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.server import EmbeddedServer, embedded_server
from toolkit.engine import ForecastEngine
from toolkit.export.job import ExportSettings, export_release

THREADS = 8
KILLS = 50
CALLS_PER_KILL = 10_000
WATCHED = range(1, 41)

START = """
import sys, time
started = time.perf_counter()
from toolkit.cache.reader import ForecastReader
ForecastReader(sys.argv[1]).read(int(sys.argv[2]))
took = time.perf_counter() - started
memory = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(took, int(memory.split()[1]) / 1000)
"""


def measure_releases(conn: duckdb.DuckDBPyConnection, as_of: date) -> Iterator[Figure]:
    """Figures of the whole way from an export to a read."""
    engine = ForecastEngine(conn)
    with embedded_server(2048) as server, server.client() as client:
        report = export_release(engine, client, ExportSettings(as_of))
        products = [p.product_id for p in report.products if p.expected_quantity is not None]
        yield Figure(f"export, {len(report.products):,} products", report.seconds, "s", 60)
        yield Figure("of it for the cache", report.redis_seconds, "s", 2)
        export_release(engine, client, ExportSettings(as_of))
        took = seconds(Releases(client).roll_back)
        yield Figure(f"rollback, {len(report.products):,} products", took, "s", 1)
        yield from _reads(server, products)
        yield from _start(server, products[0])
        yield from _outage(engine, server, products, as_of)
    yield from _crowd()
    yield from _flips()


def _reads(server: EmbeddedServer, products: list[int]) -> Iterator[Figure]:
    """Whole calls, by eight threads at once and by one."""
    reader = ForecastReader(server.client(), patience_s=1)
    some = products[:: max(1, len(products) // 100)]
    times = _by_threads(lambda: reader.read(random.choice(some)))
    yield Figure(
        "reader with its memory, 8 threads, median", 1000 * float(np.median(times)), "ms", 0.5
    )
    yield Figure(
        "reader with its memory, 8 threads, 99 %", 1000 * float(np.quantile(times, 0.99)), "ms", 2
    )
    reader.read(some[0])
    hit = seconds(lambda: reader.read(some[0]), 2000)
    yield Figure("reader, from memory, median", 1e6 * hit, "µs", 20)
    always = ForecastReader(server.client(), patience_s=1, local_s=0)
    before = time.process_time()
    times = _by_threads(lambda: always.read(random.choice(some)))
    cpu_us = 1e6 * (time.process_time() - before) / len(times)
    yield from _quantiles("reader, Redis each time, 8 threads that do nothing else", times)
    yield Figure("of it the reader's processor, a read", cpu_us, "µs")
    alone = seconds(lambda: always.read(random.choice(some)), 1000)
    yield Figure("reader, Redis each time, 1 thread, median", 1000 * alone, "ms", 0.5)
    bare = ForecastReader(server.client(), patience_s=1, local_s=0, local_bytes=0)
    times = _by_threads(lambda: bare.read(random.choice(some)), 200)
    median, name = 1000 * float(np.median(times)), "reader without memory: values sent, decoded"
    yield Figure(f"{name}, 8 threads, median", median, "ms")


def _quantiles(name: str, times: list[float]) -> Iterator[Figure]:
    yield Figure(f"{name}, median", 1000 * float(np.median(times)), "ms", 0.5)
    yield Figure(f"{name}, 99 %", 1000 * float(np.quantile(times, 0.99)), "ms", 2)


def _by_threads(work: Callable[[], object], calls: int = 1000) -> list[float]:
    def measured(_: int) -> list[float]:
        return [seconds(work) for _ in range(calls)]

    with ThreadPoolExecutor(THREADS) as pool:
        return [took for times in pool.map(measured, range(THREADS)) for took in times]


def _start(server: EmbeddedServer, product: int) -> Iterator[Figure]:
    command = [sys.executable, "-c", START, server.url, str(product)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    yield Figure("reader, start to first forecast", min(float(r[0]) for r in runs), "s", 0.3)
    yield Figure("reader, resident memory", float(runs[0][1]), "MB", 80)


def _outage(
    engine: ForecastEngine, server: EmbeddedServer, products: list[int], as_of: date
) -> Iterator[Figure]:
    """What a cached call costs more than computing, where the server hangs or is gone."""
    computed = seconds(lambda: engine.generate_forecast(products[0], as_of), 15)
    pid = int(server.client().info("server")["process_id"])

    def costs_more(path: str) -> float:
        times = []
        for _ in range(5):  # a fresh client each: the first call of a process that meets the outage
            with redis.Redis(unix_socket_path=path) as client:
                call = partial(engine.generate_forecast_cached, products[0], client, as_of)
                times.append(seconds(call))
        return 1000 * (float(np.median(times)) - computed)

    os.kill(pid, signal.SIGSTOP)
    hangs = costs_more(str(server.socket))
    os.kill(pid, signal.SIGCONT)
    more = "a cached call costs more than computing by"
    yield Figure(f"server hangs: {more}", hangs, "ms", 50)
    yield Figure(f"server gone: {more}", costs_more("/no/such/socket"), "ms", 50)


def _crowd() -> Iterator[Figure]:
    """A hundred callers at once, with the patience that callers have."""
    key = ForecastKey(0, date(2025, 11, 11), {})
    computed = []
    for _ in range(5):
        with embedded_server() as server:
            right, computations = crowd(server, key, any_forecast(), PATIENCE_S)
            assert right == 100
            computed.append(computations)
    name = "computations for 100 misses at once, 4 connected processes, most of 5 times"
    yield Figure(name, max(computed), "", 1)


def _flips() -> Iterator[Figure]:
    """Readers all the while that releases follow each other and their exporters are killed."""
    forecast = any_forecast()
    with embedded_server() as server:
        watches = [Watch(server.client(), WATCHED) for _ in range(4)]
        with exporter(server, forecast, WATCHED):
            while not server.client().exists("forecast:current"):
                time.sleep(0.01)
        with _reading(watches):
            for _ in range(KILLS):
                goal = sum(watch.calls for watch in watches) + CALLS_PER_KILL
                with exporter(server, forecast, WATCHED, pause_s=0.05):
                    watches[0].wait_for_more_releases(1)
                    while sum(watch.calls for watch in watches) < goal:
                        time.sleep(0.01)
                    time.sleep(0.1 * random.random())
    calls = sum(watch.calls for watch in watches)
    values = sum(watch.values for watch in watches)
    wrong = sum(len(watch.wrong) for watch in watches)
    seen = len(set.union(*(watch.releases for watch in watches)))
    read = f"{values:,} values in {calls:,} calls, of {seen} releases"
    name = f"wrong ones of {read}, {KILLS} exports killed"
    yield Figure(name, wrong, "", 0)


@contextmanager
def _reading(watches: list[Watch]) -> Iterator[None]:
    over = threading.Event()

    def work(watch: Watch) -> None:
        while not over.is_set():
            random.choice([watch.one, watch.many, watch.plain])()

    threads = [threading.Thread(target=work, args=(watch,)) for watch in watches]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def any_forecast(kilobytes: int = 5) -> dict[str, object]:
    """Of the right shape."""
    name = "x" * (1000 * kilobytes // 12)
    week = {"week_number": 1, "expected_customers": [{"customer_name": name}]}
    return {
        "product_id": 0,
        "forecast_period_weeks": 12,
        "summary": {"expected_quantity": 1.5},
        "weekly_forecasts": [week] * 12,
        "top_customers_by_volume": [],
        "at_risk_customers": [],
        "model_metadata": {},
    }
