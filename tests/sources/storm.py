"""Faults at random points of many forecasts, made by threads that share a pool of connections."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import numpy as np

from tests.sources.sales import LONGEST_QUERY_SECONDS, QUICK, Sales
from tests.tds.faults import DEADLOCK, DENIED, LOCK_TIMEOUT, Drop, Fail, Fault, Stall
from tests.tds.server import TdsServer
from toolkit.engine import ForecastEngine
from toolkit.errors import SourceError
from toolkit.sources.sql import sqlserver_source

THREADS, CONNECTIONS = 4, 3
QUERY_SECONDS = 4
NOON = datetime(2025, 11, 11, 12, tzinfo=UTC)
LASTING = (229, 207)
PASSING = (1205, 1222, 20003, 20017, 20047)


@dataclass
class Outcome:
    """What became of a run; ``right`` and ``failed`` count products."""

    faults: Counter[str] = field(default_factory=Counter)
    right: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: Counter[int] = field(default_factory=Counter)
    sessions_kept: int = 0
    sessions_left: int = 0
    batches_left: int = 0
    seconds: float = 0.0


class RandomFaults:
    """A hook that plays ``count`` faults of all kinds, each query being struck with a chance."""

    def __init__(self, count: int, chance: float, seed: int) -> None:
        self._left, self._chance, self._random = count, chance, random.Random(seed)
        self._lock = threading.Lock()
        self.played: Counter[str] = Counter()

    def __call__(self, sql: str) -> Fault | None:
        with self._lock:
            if not self._left or self._random.random() > self._chance:
                return None
            self._left -= 1
            name, fault = self._any()
            self.played[name] += 1
            return fault

    def _any(self) -> tuple[str, Fault]:
        some = self._random.randrange
        kinds: list[tuple[str, int, Fault]] = [
            ("deadlock", 25, DEADLOCK),
            ("deadlock in the middle", 15, Fail(1205, "victim", 13, after_rows=some(1, 200))),
            ("lock time-out", 10, LOCK_TIMEOUT),
            ("dropped", 10, Drop()),
            ("dropped without a farewell", 10, Drop(reset=True)),
            ("dropped in the middle", 20, Drop(after_bytes=some(1, 20_000))),
            ("slow", 5, Stall(0.05, after_rows=some(1, 50))),
            ("silent", 1, Stall(10 * QUERY_SECONDS)),
            ("denied", 4, DENIED),
            ("column missing", 4, Fail(207, "Invalid column name 'Qty'.")),
        ]
        weights = [weight for _, weight, _ in kinds]
        ((name, _, fault),) = self._random.choices(kinds, weights)
        return name, fault


def storm(
    duck: duckdb.DuckDBPyConnection,
    products: Sequence[int],
    as_of: date,
    faults: int,
    at_once: int,
    seed: int = 1,
) -> Outcome:
    """Forecast ``at_once`` products at a time, and compare each with DuckDB's, byte by byte."""
    expected = _forecasts(ForecastEngine(duck, clock=lambda: NOON), products, as_of)
    portions = [products[i : i + at_once] for i in range(0, len(products), at_once)]
    outcome = Outcome()
    with TdsServer({"Sales": duck}) as server:
        hook = RandomFaults(faults, chance=0.7 * faults / (3 * len(portions)) + 0.1, seed=seed)
        sales = Sales(duck, server)
        pool = sales.pool(CONNECTIONS, timeout=QUERY_SECONDS, login_timeout=10)
        started = time.perf_counter()
        server.on_batch = hook

        def work(portion: Sequence[int]) -> dict[int, bytes] | SourceError:
            try:
                with closing(pool.connection()) as conn:
                    source = sqlserver_source(conn, patience=QUICK)
                    return _forecasts(
                        ForecastEngine(source, clock=lambda: NOON), list(portion), as_of
                    )
            except SourceError as exc:
                return exc

        with ThreadPoolExecutor(THREADS) as threads:
            for portion, found in zip(portions, threads.map(work, portions), strict=True):
                _judge(outcome, portion, found, expected)
        server.on_batch = None
        outcome.seconds = time.perf_counter() - started
        outcome.batches_left = server.wait_for_batches(0)
        outcome.sessions_kept = server.wait_for_sessions(CONNECTIONS, 2.0)
        pool.close()
        outcome.sessions_left = server.wait_for_sessions(0)
        outcome.faults = hook.played
        sales.connect(timeout=LONGEST_QUERY_SECONDS).close()
    return outcome


def complaints(outcome: Outcome, faults: int) -> Iterator[str]:
    """Everything that is not as it has to be."""
    if sum(outcome.faults.values()) != faults:
        yield f"{sum(outcome.faults.values())} faults were played, not {faults}"
    yield from outcome.wrong
    for number, name in zip(LASTING, ("denied", "column missing"), strict=True):
        # What lasts fails at once: each such fault is one portion that failed, no more, no less.
        if outcome.errors[number] != outcome.faults[name]:
            yield f"{outcome.faults[name]} times {name}, {outcome.errors[number]} errors {number}"
    if foreign := outcome.errors.keys() - {*LASTING, *PASSING}:
        yield f"errors that nobody played: {sorted(foreign)}"
    if outcome.sessions_kept > CONNECTIONS:
        yield f"{outcome.sessions_kept} connections open, in a pool of {CONNECTIONS}"
    if outcome.sessions_left or outcome.batches_left:
        yield f"{outcome.sessions_left} connections, {outcome.batches_left} results left open"


def _forecasts(engine: ForecastEngine, products: Sequence[int], as_of: date) -> dict[int, bytes]:
    made = engine.generate_forecasts(products, as_of)
    return {i: json.dumps(f and f.to_dict()).encode() for i, f in made.items()}


def _judge(
    outcome: Outcome,
    portion: Sequence[int],
    found: dict[int, bytes] | SourceError,
    expected: dict[int, bytes],
) -> None:
    if isinstance(found, SourceError):
        outcome.failed += len(portion)
        outcome.errors[found.number or 0] += 1
        if found.transient and ", 4 times" not in str(found):
            outcome.wrong.append(f"given up too early: {found}")
        return
    for product in portion:
        if found[product] == expected[product]:
            outcome.right += 1
        else:
            outcome.wrong.append(f"the forecast of product {product} differs")


def busiest(duck: duckdb.DuckDBPyConnection, count: int) -> list[int]:
    """The products with the most lines."""
    rows = duck.execute(
        "SELECT ProductID FROM dbo.OrderItem GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $1", [count]
    ).fetchnumpy()["ProductID"]
    return np.asarray(rows).astype(int).tolist()
