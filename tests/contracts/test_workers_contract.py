"""What every kind of workers keeps. A new kind is one more entry of ``WORKERS``."""

from contextlib import contextmanager

import pytest

from tests.cluster import tasks
from tests.cluster.servers import OURS, scheduler, worker
from toolkit.cluster.probe import ONE_THREAD
from toolkit.cluster.workers import open_workers


@contextmanager
def processes(folder):
    with open_workers(2) as workers:
        yield workers


@contextmanager
def dask(folder):
    """A task that kills its worker is given up at once."""
    places = {"PYTHONPATH": OURS}
    with (
        scheduler(folder / "s", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0) as head,
        worker(folder / "a", head.address, **places),
        worker(folder / "b", head.address, **places),
    ):
        file = folder / "cluster.toml"
        file.write_text(f'address = "{head.address}"\nconnect_timeout_seconds = 60\ntries = 2\n')
        with open_workers(2, str(file)) as workers:
            yield workers


WORKERS = {"processes": processes, "dask": dask}
SLOW = {"dask"}
"""A scheduler and two workers, each a process below another: they take seconds to start."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in WORKERS],
)
def workers(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with WORKERS[request.param](folder) as opened, opened.seeing([], folder / "out"):
        yield opened


def each(workers, do, asked):
    return sorted(workers.each(do, asked, lambda task: (do.__name__, str(task))))


def test_each_task_is_done_and_comes_with_its_result(workers):
    asked = list(range(40))
    assert each(workers, tasks.squared, asked) == [(n, n * n) for n in asked]
    assert each(workers, tasks.squared, []) == []


def test_what_a_task_raises_comes_out(workers):
    with pytest.raises(ValueError, match="planted: 7"):
        each(workers, tasks.odd_ones_raise, [2, 7, 4])
    assert each(workers, tasks.odd_ones_raise, [2, 4]) == [(2, 2), (4, 4)]


def test_a_process_has_one_thread_for_sums(workers):
    assert each(workers, tasks.variable, ONE_THREAD) == [(name, "1") for name in sorted(ONE_THREAD)]


@pytest.mark.slow
def test_a_task_that_kills_its_process_takes_no_other_with_it(workers):
    asked = list(range(8))
    done = dict(workers.each(tasks.the_third_kills, asked, lambda n: ("kills", n)))
    assert done == {n: None if n == 3 else n for n in asked}


def test_tasks_read_the_files_that_were_named_and_leave_nothing(workers, tmp_path):
    file = tmp_path / "data"
    file.write_bytes(b"seven b")
    with workers.seeing([file], tmp_path / "folder"):
        assert each(workers, tasks.size_of, [file]) == [(file, 7)]
    assert not list((tmp_path / "folder").iterdir())
