"""A backtest by two processes and by two workers of a scheduler, in turn, and with workers killed:
``python -m tests.bench.clusters DATABASE AS_OF [--rounds N] [--every SECONDS]``.

Processors' time is that of all processes that take part, the scheduler's included. In the last
round, and in a prediction of all products, a worker picked at random is killed by the clock, and
the tables are compared with the others.
"""

import argparse
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psutil

from backtests.run.experiment import parse_experiment
from backtests.run.folder import RunFolder
from backtests.run.harness import RunReport, run_backtest
from tests.backtests.conftest import tables
from tests.bench.figure import DRAWS, HORIZON_WEEKS
from tests.cluster.servers import Server, dask_cluster
from toolkit.cluster.orders import OrdersAt
from toolkit.cluster.workers import open_workers
from toolkit.model import default_model
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import read_patterns
from toolkit.stages.predict_shards import Asked, predict_on
from toolkit.stages.predict_tables import write_predictions
from toolkit.stages.prediction import CustomerPredictor


def asked_for(as_of: date, share: float):
    """Two versions that need no fit, in some 20 tasks."""
    return parse_experiment(
        {
            "name": "clusters",
            "share_of_products": share,
            "pairs_per_shard": 2000,
            "dates": {"list": [as_of]},
            "versions": [
                {"model": "pair_conjugate"},
                {"model": "pair_conjugate", "label": "other", "seed": 5},
            ],
        },
        "clusters",
    )


def finished(folder: Path) -> dict[str, bytes]:
    """Tables of tasks; what a worker was writing when it was killed is none of them."""
    return {name: content for name, content in tables(folder).items() if ".part-" not in name}


def cpu_s(servers: Sequence[Server]) -> float:
    """Of this process, of its children that have ended, and of the servers with theirs."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in used)
    for server in servers:
        parent = psutil.Process(server.process.pid)
        for process in (parent, *parent.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


@contextmanager
def killing(hands: Sequence[Server], every_s: float) -> Iterator[list[float]]:
    """Kill a worker picked at random by the clock; gives the times at which that was done."""
    over, chance, kills = threading.Event(), random.Random(24), []

    def work() -> None:
        while not over.wait(every_s):
            chance.choice(hands).kill_worker()
            kills.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def predict_while_killed(database: Path, as_of: date, folder: Path, address: str, kills) -> None:
    """Compare the tables with those that this process writes."""
    with open_database(database) as conn:
        patterns, _ = read_patterns(as_source(conn), as_of)
    predictor = CustomerPredictor(default_model(), HORIZON_WEEKS, DRAWS, 7)
    asked = Asked.of(predictor, patterns.as_of_date, OrdersAt.now(database), folder / "fits")
    done: list[int] = []
    with kills as killed, open_workers(1, address) as workers:
        there = predict_on(workers, asked, [patterns], folder / "there", done.append)
    here = write_predictions(predictor, patterns, folder / "here")
    equal = [
        getattr(here, table).read_bytes() == getattr(there, table).read_bytes()
        for table in ("pairs", "product_weeks")
    ]
    print(f"prediction: {sum(done)} of {len(patterns)} pairs, {len(killed)} kills; equal: {equal}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.clusters")
    parser.add_argument("database", type=Path)
    parser.add_argument("as_of", type=date.fromisoformat)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--every", type=float, default=5.0)
    asked = parser.parse_args()
    experiment = asked_for(asked.as_of, asked.share)
    folder = Path(tempfile.mkdtemp(prefix="clusters-"))
    seen: list[dict[str, bytes]] = []

    def one(name: str, servers: Sequence[Server], address: str | None) -> RunReport:
        runs = folder / f"{name}-{len(seen)}"
        started, before = time.perf_counter(), cpu_s(servers)
        report = run_backtest(
            experiment, asked.database, runs=runs, fits=runs, jobs=2, cluster=address
        )
        took, used = time.perf_counter() - started, cpu_s(servers) - before
        seen.append(finished(report.folder))
        done = len(RunFolder(report.folder).tasks())
        print(
            f"{name}: {took:6.1f} s, {used:6.1f} s of processors, {done} of {report.tasks} tasks, "
            f"{report.failures} failed",
            flush=True,
        )
        return report

    try:
        with dask_cluster(folder / "dask") as (head, hands):
            for _ in range(asked.rounds):
                one("two processes", (), None)
                one("two workers", (head, *hands), head.address)
            with killing(hands, asked.every) as kills:
                one("killed workers", (), head.address)
            names = {name for one in seen for name in one}
            other = sorted(n for n in names if len({one.get(n) for one in seen}) > 1)
            print(f"{len(kills)} kills; of {len(names)} tables differ: {other}")
            kills = killing(hands, asked.every)
            predict_while_killed(asked.database, asked.as_of, folder, head.address, kills)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
