"""Tasks in local processes. A worker that dies takes one task with it, not the run."""

import atexit
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from backtests.run.tasks import Outcome, Scored, Task, record, work
from toolkit.errors import ToolkitError

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Processes share the cores; and sums do not depend on how many there are."""

PROCESSES = get_context("spawn")
"""Each is a fresh interpreter's, on every system."""

DIED = "the worker process died, twice: was it out of memory?"
CANNOT_START = (
    "no worker process can start; each reads the script that runs the backtest, so a script has "
    'to call it below `if __name__ == "__main__":`'
)


def work_through(
    tasks: Sequence[Task], run: Path, jobs: int, tell: Callable[[Outcome], None]
) -> None:
    """Do all ``tasks``, ``jobs`` at a time, each in a fresh interpreter's process.

    What a dying process had in hand is tried again by itself, and recorded as failed if the
    process dies again. Raises ``ToolkitError`` if none can start.
    """
    waiting = deque(tasks)
    while waiting:
        for task in _until_one_dies(waiting, run, jobs, tell):
            alone = deque([task])
            if _until_one_dies(alone, run, 1, tell):
                outcome = Outcome(task, DIED, 0.0)
                record(outcome, Scored(), run)
                tell(outcome)


def _until_one_dies(
    waiting: deque[Task], run: Path, jobs: int, tell: Callable[[Outcome], None]
) -> list[Task]:
    """Work until all is done, or a process dies: then what was in hand comes back."""
    in_hand: dict[Future[Outcome], Task] = {}
    with _processes(jobs) as pool:
        _check_start(pool)
        try:
            while waiting or in_hand:
                while waiting and len(in_hand) <= jobs:
                    future = pool.submit(work, waiting[0], run)
                    in_hand[future] = waiting.popleft()
                finished, _ = wait(in_hand, return_when=FIRST_COMPLETED)
                for future in finished:
                    tell(future.result())
                    del in_hand[future]
        except BrokenProcessPool:
            return list(in_hand.values())
    return []


def _check_start(pool: ProcessPoolExecutor) -> None:
    """A process that cannot start must not pass for tasks that kill theirs, one by one."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise ToolkitError(CANNOT_START) from None


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # read by children when they start
    pool = ProcessPoolExecutor(jobs, PROCESSES, _begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin() -> None:
    """Ctrl-C is the parent's to handle; without the parent there is nobody to work for.

    A worker leaves without tearing its modules down: DuckDB's complain while a thread waits.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    atexit.register(os._exit, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
