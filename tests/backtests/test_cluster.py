"""Backtests on a real Dask scheduler and workers: the bytes of local ones, whoever is killed."""

import random
import shutil
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from backtests.run.fitting import Fitting, fit_all
from backtests.run.folder import SCORES, WEEKS, RunFolder
from backtests.run.harness import no_bar, run_backtest
from tests.backtests.conftest import EARLIER, experiment, of_the_run, tables
from tests.backtests.test_leakage import BRIEFLY
from tests.cluster.servers import dask_cluster, wait_for
from tests.conftest import AS_OF
from toolkit.cluster.orders import OrdersAt
from toolkit.errors import ClusterError, OrdersReplacedError
from toolkit.sources.generator import Truth, generate_orders, load_orders


@pytest.fixture
def dask(tmp_path):
    """A scheduler and two workers."""
    with dask_cluster(tmp_path / "dask") as (head, hands):
        yield head, hands


def on_cluster(asked, order_file, runs, address, bar=no_bar):
    return run_backtest(
        asked, order_file, runs=runs, fits=runs / "no fits", jobs=1, cluster=address, bar=bar
    )


def many_tasks():
    """54 of them, each of some hundredths of a second."""
    return experiment("pair_conjugate", dates=(EARLIER, AS_OF), pairs_per_shard=15)


def after_each(do):
    """A bar that calls ``do`` with how many tasks are done."""

    @contextmanager
    def bar(title, total):
        done = 0

        def advance(steps):
            nonlocal done
            done += steps
            if steps:
                do(done)

        yield advance

    return bar


def whole(folder):
    """All bytes that a run leaves but those of its tasks' cards, which hold seconds."""
    return tables(folder) | {name: (folder / name).read_bytes() for name in (SCORES, WEEKS)}


@pytest.mark.slow
def test_two_workers_make_the_bytes_that_two_processes_make(run, order_file, dask, tmp_path):
    head, _ = dask
    report = on_cluster(of_the_run(), order_file, tmp_path / "runs", head.address)
    assert (report.kept, report.failures) == (0, 0)
    assert report.folder.name == run.path.name
    assert whole(report.folder) == whole(run.path)
    assert not list(report.folder.rglob(".part-*"))


@pytest.mark.slow
def test_fits_made_by_workers_are_those_made_here(order_file, dask, tmp_path):
    """Two at two dates, beside each other there and one after the other here."""
    version = {"model": "lapse_gamma", "method": "laplace", "refit": "refit"}
    asked = experiment(version, dates=(EARLIER, AS_OF))
    there = on_cluster(asked, order_file, tmp_path / "there", dask[0].address)
    here = run_backtest(asked, order_file, runs=tmp_path / "here", fits=tmp_path / "no", jobs=2)
    assert (there.failures, there.errors) == (0, ())
    fits = [sorted(p.name for p in run.folder.glob("fits/*/*")) for run in (there, here)]
    assert len(fits[0]) == 4
    assert fits[0] == fits[1]
    assert whole(there.folder) == whole(here.folder)


def test_what_a_lost_worker_left_unfinished_is_no_part_of_the_run(run, order_file, tmp_path):
    def lose(done):
        for task in tmp_path.glob("runs/*/tasks/*/*"):
            (task / f".part-{done:08x}-0000").mkdir()
            (task / f".part-{done:08x}-0000" / "pairs.parquet").touch()

    report = run_backtest(
        of_the_run(), order_file, runs=tmp_path / "runs", fits=tmp_path, jobs=1,
        bar=after_each(lose),
    )  # fmt: skip
    assert not list(report.folder.rglob(".part-*"))
    assert whole(report.folder) == whole(run.path)


@pytest.mark.slow
def test_workers_that_are_killed_cost_time_and_nothing_else(order_file, dask, tmp_path):
    """A worker picked at random, after every sixth task."""
    head, hands = dask
    chance, kills = random.Random(24), 0

    def kill(done):
        nonlocal kills
        if done % 6 == 0 and wait_for(lambda: all(hand.worker for hand in hands)):
            chance.choice(hands).kill_worker()
            kills += 1

    report = on_cluster(many_tasks(), order_file, tmp_path / "runs", head.address, after_each(kill))
    local = run_backtest(
        many_tasks(), order_file, runs=tmp_path / "local", fits=tmp_path / "no", jobs=2
    )
    assert kills == report.tasks // 6 > 5
    assert report.tasks == local.tasks == len(RunFolder(report.folder).tasks())
    assert (report.kept, report.failures) == (0, 0)
    assert whole(report.folder) == whole(local.folder)


@pytest.mark.slow
def test_a_run_whose_scheduler_is_killed_is_resumed(order_file, dask, tmp_path):
    head, _ = dask

    def kill(done):
        if done == 10:
            head.kill()

    runs = tmp_path / "runs"
    with pytest.raises(ClusterError) as caught:
        on_cluster(many_tasks(), order_file, runs, head.address, after_each(kill))
    assert str(caught.value) == (
        f"the scheduler at {head.address} was lost; what is done is kept, and the same command "
        "goes on from there"
    )
    with dask_cluster(tmp_path / "another") as (other, _):
        report = on_cluster(many_tasks(), order_file, runs, other.address)
    local = run_backtest(
        many_tasks(), order_file, runs=tmp_path / "local", fits=tmp_path / "no", jobs=2
    )
    assert 10 <= report.kept < report.tasks == local.tasks
    assert report.failures == 0
    assert whole(report.folder) == whole(local.folder)
    assert AS_OF in RunFolder(report.folder).dates


@pytest.mark.slow
def test_an_import_meanwhile_ends_a_run(order_file, tmp_path):
    """Tasks of the second date would score other orders, under the digest of the first."""
    database = Path(shutil.copy(order_file, tmp_path))
    other = generate_orders(Truth(customers=20, products=12, pairs=90), 6)
    with duckdb.connect(str(tmp_path / "other")) as conn:
        load_orders(other, conn)

    def replace(done):
        if done == 3:
            (tmp_path / "other").replace(database)

    said = "holds other orders than when this began"
    with pytest.raises(OrdersReplacedError, match=said):
        run_backtest(
            many_tasks(),
            database,
            runs=tmp_path / "runs",
            fits=tmp_path / "no",
            jobs=1,
            bar=after_each(replace),
        )
    (run,) = (tmp_path / "runs").iterdir()
    assert not any(task.failed for task in RunFolder(run).tasks())
    fitting = Fitting(model="lapse_gamma", as_of_date=AS_OF, seed=1, **BRIEFLY)
    with pytest.raises(OrdersReplacedError, match=said):
        fit_all([fitting], OrdersAt(database, "another"), tmp_path / "fits", 1, no_bar)
