"""Reads while releases of many products are staged, made current and swept:
``python -m tests.bench.many_products [PRODUCTS]``.

Values are small (0.5 KB, three customers each): what is measured grows with their number. A process
reads all the while, at its own pace, each value from the server. Staging, quiet, and computing (the
same values are made and not sent) take turns, so that other work on the machine disturbs all alike.
Server and reads have a processor that the export does not use, as if it ran elsewhere: where they
share one, a read waits until the system lets it run, some 3 ms, beside an export that only computes
as well. ``--shared`` shows that. Times of the server are its own, of processors: it says so itself,
whatever else runs.
"""

import argparse
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import batched
from multiprocessing import get_context

import numpy as np

from tests.cache.conftest import COMPUTED_WITH, DAY, PATIENT_S, product
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases import plain, steps
from toolkit.cache.releases.catalog import Releases, ReleaseSpec
from toolkit.cache.releases.values import Value, value_of
from toolkit.cache.server import embedded_server
from toolkit.data.tables import Floats
from toolkit.results.pair_rows import COLUMNS, PairRows

PACE_S = 0.002
SPAWN = get_context("spawn")
BATCH, TURN = 500, 1000

FIELDS = {
    "forecast_period_weeks": 12,
    "summary": {"expected_quantity": 1.5, "product_name": "A product"},
    "weekly_forecasts": [],
    "top_customers_by_volume": [],
    "at_risk_customers": [],
}
PAIRS = PairRows(np.array([1, 2, 3]), np.ones((3, len(COLUMNS))))


def read_for_ever(url: str, products: int, connection) -> None:
    """Read one product after the other until told to end; when each read began, and its time."""
    reader = ForecastReader(url, local_s=0.0, patience_s=PATIENT_S)
    began, took = [], []
    connection.send("ready")
    while not connection.poll():
        began.append(time.monotonic())
        found = reader.read(random.randrange(1, products + 1))
        took.append(time.monotonic() - began[-1])
        assert found is not None
        assert not found.stale
        time.sleep(PACE_S)
    connection.send((np.array(began), np.array(took)))


@dataclass
class Phases:
    """When each phase began and ended, several times perhaps, and the server's time in it."""

    client: object
    spans: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    server_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        before, began = self._cpu_s(), time.monotonic()
        yield
        self.spans.setdefault(name, []).append((began, time.monotonic()))
        self.server_s[name] = self.server_s.get(name, 0.0) + self._cpu_s() - before

    def _cpu_s(self) -> float:
        used = self.client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def told(self, began: Floats, took: Floats) -> Iterator[str]:
        """A line for each phase."""
        for name, spans in self.spans.items():
            of_each = [took[(began + took >= first) & (began <= last)] for first, last in spans]
            within, lasted = np.concatenate(of_each), sum(last - first for first, last in spans)
            if not len(within):
                continue
            p99, longest = np.quantile(within, 0.99), within.max()
            yield (
                f"{name:10} {lasted:7.3f} s, server {self.server_s[name]:6.3f} s of a core, "
                f"{len(within):6,} reads: median {1e3 * np.median(within):6.2f} ms, 99 % "
                f"{1e3 * p99:7.2f} ms, longest {1e3 * longest:7.2f} ms"
            )


def stage_in_turn(staging, ids, mark: str, phases: Phases) -> None:
    """For as long as some products are staged, nothing is done afterwards, and then the same values
    are made once more.
    """
    for some in batched(ids, TURN):
        began = time.monotonic()
        with phases.phase("staging"):
            stage(staging, some, mark)
        took = time.monotonic() - began
        with phases.phase("quiet"):
            time.sleep(took)
        with phases.phase("computing"):
            while time.monotonic() < began + 3 * took:
                values_of(staging.release_id, some[:20], mark)


def stage(staging, ids, mark: str) -> None:
    for some in batched(ids, BATCH):
        staging.put_values(values_of(staging.release_id, some, mark))


def values_of(release_id: str, ids, mark: str) -> dict[int, Value]:
    return {
        i: value_of(release_id, DAY, i, product(FIELDS, i, DAY, mark), COMPUTED_WITH, PAIRS)
        for i in ids
    }


def keep_to(processors: set[int]) -> None:
    """This process, and those that it starts from now on, run on these alone; Linux only."""
    if processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.many_products")
    parser.add_argument("products", type=int, nargs="?", default=100_000)
    parser.add_argument("--shared", action="store_true", help="all share the processors")
    asked = parser.parse_args()
    products, ids = asked.products, range(1, asked.products + 1)
    mine = set() if asked.shared else set(range(1, os.cpu_count() or 1))
    keep_to(mine and {0})
    with embedded_server(4096) as server, server.client() as client:
        phases, releases = Phases(client), Releases(client)
        _time_the_flip(phases)
        with releases.stage(ReleaseSpec(DAY, {"mark": "a", **COMPUTED_WITH}, ids)) as staging:
            stage(staging, ids, "a")
            staging.publish()
        here, there = SPAWN.Pipe()
        child = SPAWN.Process(target=read_for_ever, args=(server.url, products, there), daemon=True)
        child.start()
        here.recv()
        keep_to(mine)
        os.nice(10)
        with releases.stage(ReleaseSpec(DAY, {"mark": "b", **COMPUTED_WITH}, ids)) as staging:
            stage_in_turn(staging, ids, "b", phases)
            with phases.phase("publishing"):
                staging.publish()
        with phases.phase("sweeping"):
            gone = releases.clean(keep=0)
        here.send("end")
        began, took = here.recv()
        child.join()
        peak_mb = client.info("memory")["used_memory_peak"] / 1e6
        print(f"{products:,} products; swept {gone}; at most {peak_mb:,.0f} MB")
    print(*phases.told(began, took), sep="\n")


def _time_the_flip(phases: Phases) -> None:
    """The one step is a phase of its own, within that of publishing."""

    def timed(*arguments, **more) -> None:
        with phases.phase("flip"):
            steps.flip(*arguments, **more)

    plain.flip = timed


if __name__ == "__main__":
    main()
