"""Clusters that cannot do the work: one sentence each, before any work begins."""

import os
import shutil
from contextlib import closing

import duckdb
import pytest

from tests.cluster import tasks
from tests.cluster.servers import OURS, dask_cluster, scheduler, worker
from tests.conftest import AS_OF
from tests.processes import error_of, namespace
from tests.processes import run as run_command
from toolkit.cluster.workers import open_workers
from toolkit.errors import ClusterError
from toolkit.installed import HOME
from toolkit.sources.generator import load_orders

pytestmark = pytest.mark.slow

EXPERIMENT = f"""
name = "e"
draws = 20
dates.list = [{AS_OF}]
[[versions]]
model = "pair_conjugate"
"""


@pytest.fixture
def command(tmp_path, order_file):
    """``toolkit backtest`` on a cluster; returns what it ended with."""
    (tmp_path / "e.toml").write_text(EXPERIMENT)

    def call(cluster):
        ask = ("backtest", "e.toml", "--db", order_file, "--no-log", "--cluster", cluster)
        return run_command(*ask, cwd=tmp_path)

    return call


@pytest.fixture(scope="module")
def order_file(orders, tmp_path_factory):
    path = tmp_path_factory.mktemp("wrong") / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


@pytest.fixture
def other_code(tmp_path):
    """Where a release of this package lies in which one line is another."""
    folder = tmp_path / "other"
    shutil.copytree(HOME / "toolkit", folder / "toolkit")
    with (folder / "toolkit" / "errors.py").open("a") as file:
        file.write("# another line\n")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_a_scheduler_that_is_not_there(command):
    done = command("tcp://127.0.0.1:1")
    assert error_of(done).startswith("Error: no scheduler answers at tcp://127.0.0.1:1: ")
    assert done.returncode == 1


def test_a_scheduler_without_workers(command, tmp_path):
    with scheduler(tmp_path / "dask") as head:
        file = tmp_path / "cluster.toml"
        file.write_text(f'address = "{head.address}"\nconnect_timeout_seconds = 2\n')
        done = command(file)
    assert error_of(done) == (
        f"Error: the scheduler at {head.address} has no worker that takes work: "
        f"`dask worker {head.address}` starts one"
    )
    assert done.returncode == 1


def test_workers_of_other_code(command, other_code, tmp_path):
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, PYTHONPATH=other_code),
    ):
        done = command(head.address)
    assert error_of(done).startswith("Error: the worker tcp://127.0.0.1:")
    assert error_of(done).endswith(
        " runs other code than this process: install the same and start it again"
    )
    assert done.returncode == 2
    assert not list(tmp_path.glob("runs/*/tasks"))


def test_workers_without_this_package(command, tmp_path):
    hidden = tmp_path / "hidden"
    (hidden / "toolkit").mkdir(parents=True)
    (hidden / "toolkit" / "__init__.py").touch()
    path = os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, PYTHONPATH=path),
    ):
        done = command(head.address)
    assert " lacks what this process has (" in error_of(done)
    assert error_of(done).endswith("): install the same and start it again")
    assert done.returncode == 2


def test_workers_that_do_not_see_the_database(command, order_file, tmp_path):
    """Their folder of that name is another one: empty."""
    mount = f'mount -t tmpfs none "{order_file.parent}" && exec "$@"'
    first = (*namespace("--mount"), "sh", "-c", mount, "sh")
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, first=first),
    ):
        done = command(head.address)
    assert error_of(done).endswith(
        f" does not see {order_file}: what tasks read and write has one path on all machines"
    )
    assert done.returncode == 2


def test_workers_that_see_another_folder_of_results(command, tmp_path):
    """It is there and can be written to, and what is written there is lost."""
    (tmp_path / "runs").mkdir()
    mount = f'mount -t tmpfs none "{tmp_path}/runs" && exec "$@"'
    first = (*namespace("--mount"), "sh", "-c", mount, "sh")
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, first=first),
    ):
        done = command(head.address)
    assert f" does not see {tmp_path}/runs/e-" in error_of(done)
    assert done.returncode == 2


def test_a_worker_that_joins_later_is_asked_before_its_first_task(other_code, tmp_path):
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, PYTHONPATH=OURS) as first,
        open_workers(1, head.address) as workers,
        workers.seeing([], tmp_path / "out"),
    ):
        assert [*workers.each(tasks.squared, [3], lambda n: (n,))] == [(3, 9)]
        first.kill()
        late = os.pathsep.join([other_code, OURS])
        with (
            worker(tmp_path / "b", head.address, PYTHONPATH=late),
            closing(workers.each(tasks.squared, [4], lambda n: (n,))) as ended,
            pytest.raises(ClusterError, match=r"^a worker on .* runs other code than this process"),
        ):
            next(ended)


def test_workers_that_are_all_gone_are_waited_for_and_then_it_ends(tmp_path):
    file = tmp_path / "cluster.toml"
    with dask_cluster(tmp_path / "dask", workers=1) as (head, (only,)):
        file.write_text(f'address = "{head.address}"\npatience_seconds = 3\n')
        with open_workers(1, str(file)) as workers, workers.seeing([], tmp_path / "out"):
            only.kill()
            said = f"^no worker of {head.address} took work for [3-9] s: all are gone, or their"
            with pytest.raises(ClusterError, match=said):
                [*workers.each(tasks.squared, [3], lambda n: (n,))]


def test_a_task_that_fails_for_the_first_time_is_tried_again(tmp_path):
    """What a command that was killed left may be removed under a worker that is still at it."""
    path = tmp_path / "tried"
    with (
        scheduler(tmp_path / "dask") as head,
        worker(tmp_path / "a", head.address, PYTHONPATH=OURS),
        open_workers(1, head.address) as workers,
        workers.seeing([], tmp_path / "out"),
    ):
        assert [*workers.each(tasks.second_time, [path], lambda n: ("x",))] == [(path, 2)]
