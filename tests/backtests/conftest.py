"""Generated orders in a database file, planted models, and one small backtest of them."""

import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from backtests.run.experiment import Experiment, parse_experiment
from backtests.run.folder import RunFolder
from backtests.run.harness import run_backtest
from tests.backtests.planted import plant
from tests.conftest import AS_OF
from tests.processes import forks
from toolkit.cluster import local
from toolkit.model import find_model
from toolkit.sources.generator import load_orders

EARLIER = AS_OF - timedelta(weeks=4)
TOOLKIT = str(Path(sys.executable).with_name("toolkit"))


@pytest.fixture(scope="session")
def order_file(orders, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("backtests") / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    plant(folder)
    sys.path.append(str(folder))  # worker processes start with the same path
    find_model.cache_clear()
    yield
    sys.path.remove(str(folder))
    find_model.cache_clear()


def experiment(*models, dates=(AS_OF,), **settings) -> Experiment:
    """Small: 400 pairs in four shards, 50 draws."""
    content = {
        "name": "small",
        "draws": 50,
        "pairs_per_shard": 100,
        "dates": {"list": list(dates)},
        "versions": [{"model": m} if isinstance(m, str) else m for m in models],
    }
    return parse_experiment(content | settings, "small")


def of_the_run() -> Experiment:
    """Two versions, which differ in their seeds, at two dates."""
    other = {"model": "pair_conjugate", "label": "other", "seed": 5}
    return experiment("pair_conjugate", other, dates=(EARLIER, AS_OF))


def backtest(asked, order_file, runs, jobs=1, *, fits=None, fresh=False):
    """``fresh``: the workers import everything anew, as a user's do; others are forked."""
    with pytest.MonkeyPatch.context() as patch:
        if not fresh:
            patch.setattr(local, "PROCESSES", forks())
        return run_backtest(asked, order_file, runs=runs, fits=fits or runs / "no fits", jobs=jobs)


def tables(folder: Path) -> dict[str, bytes]:
    """Every table of a run, byte for byte."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob("tasks/*/*/*/*.parquet"))
    }


@pytest.fixture(scope="session")
def run(order_file, tmp_path_factory) -> RunFolder:
    """What came of ``of_the_run``."""
    runs = tmp_path_factory.mktemp("runs")
    report = backtest(of_the_run(), order_file, runs, jobs=2, fresh=True)
    assert not report.failed
    return RunFolder(report.folder)
