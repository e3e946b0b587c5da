"""Tasks in processes of this machine. One that dies takes one task with it, not all."""

import atexit
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from toolkit.cluster.probe import ONE_THREAD
from toolkit.errors import ToolkitError

PROCESSES = get_context("spawn")
"""Each is a fresh interpreter's, on every system."""

CANNOT_START = (
    "no worker process can start; each reads the script that runs the work, so a script has "
    'to call it below `if __name__ == "__main__":`'
)


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """So many processes, each in a fresh interpreter; see ``Workers``."""

    jobs: int

    @contextmanager
    def seeing(self, reads: Iterable[Path], folder: Path) -> Iterator[None]:
        """Processes of this machine see what this one does."""
        folder.mkdir(parents=True, exist_ok=True)
        yield

    def each[Task, Result](
        self,
        do: Callable[[Task], Result],
        tasks: Iterable[Task],
        key: Callable[[Task], tuple[str | int, ...]],
    ) -> Generator[tuple[Task, Result | None], None, None]:
        """What a dying process had in hand is tried again by itself; None if it dies again.

        Raises ``ToolkitError`` if none can start, and what ``do`` raises.
        """
        waiting = deque(tasks)
        while waiting:
            for task in (yield from _until_one_dies(do, waiting, self.jobs)):
                alone = deque([task])
                if (yield from _until_one_dies(do, alone, 1)):
                    yield task, None


def _until_one_dies[Task, Result](
    do: Callable[[Task], Result], waiting: deque[Task], jobs: int
) -> Generator[tuple[Task, Result], None, list[Task]]:
    """Work until all is done, or a process dies: then what was in hand comes back."""
    in_hand: dict[Future[Result], Task] = {}
    with _processes(jobs) as pool:
        _check_start(pool)
        try:
            while waiting or in_hand:
                while waiting and len(in_hand) <= jobs:
                    future = pool.submit(do, waiting[0])
                    in_hand[future] = waiting.popleft()
                finished, _ = wait(in_hand, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    yield in_hand.pop(future), result
        except BrokenProcessPool:
            return list(in_hand.values())
    return []


def _check_start(pool: Executor) -> None:
    """A process that cannot start must not pass for tasks that kill theirs, one by one."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise ToolkitError(CANNOT_START) from None


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
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
