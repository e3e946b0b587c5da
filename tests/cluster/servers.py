"""A real Dask scheduler and its workers: processes on loopback, at ports that the system picks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.processes import PLACES
from toolkit.cluster.probe import code_digest
from toolkit.installed import HOME

PATIENT_S = 60.0
"""Enough for a process to start on any machine, however busy."""

SCHEDULER = (
    sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
    "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file",
)  # fmt: skip
WORKER = (
    sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--memory-limit", "0",
    "--no-dashboard",
)  # fmt: skip
OURS = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])
"""Where a worker finds the tests."""
IMPATIENT = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s"}


@dataclass(frozen=True, slots=True)
class Server:
    """A scheduler, or the nanny of one worker."""

    process: subprocess.Popen[bytes]
    address: str

    def kill(self) -> None:
        """SIGKILL; a scheduler's workers stay."""
        self.process.kill()
        self.process.wait()

    @property
    def worker(self) -> psutil.Process | None:
        """The process that does tasks, where one is up."""
        found = psutil.Process(self.process.pid).children()
        return next((p for p in found if "spawn_main" in " ".join(p.cmdline())), None)

    def kill_worker(self) -> None:
        """SIGKILL to what does the tasks; its nanny starts another."""
        if (worker := self.worker) is not None:
            worker.kill()


@contextmanager
def started(command: Sequence[object], address: str, folder: Path, **variables) -> Iterator[Server]:
    """A process and its children, until the context ends; what it says goes into a file."""
    with (folder / "said.log").open("ab") as said:
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=folder,
            env=os.environ | IMPATIENT | {name: str(value) for name, value in variables.items()},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield Server(process, address)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def packages_as_installed() -> Iterator[None]:
    """Without the places that tests add: workers have the packages that are installed."""
    places = sys.path[:]
    sys.path[:] = PLACES
    code_digest.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = places
        code_digest.cache_clear()


@contextmanager
def scheduler(folder: Path, *more: object, **variables) -> Iterator[Server]:
    """A scheduler that answers."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    command = [*SCHEDULER, file, *more]
    with packages_as_installed(), started(command, "", folder, **variables) as server:
        address = wait_for(lambda: file.exists() and json.loads(file.read_text() or "{}"))
        yield Server(server.process, address["address"])


@contextmanager
def worker(folder: Path, address: str, *more: object, first=(), **variables) -> Iterator[Server]:
    """A worker below its nanny; ``first`` is what starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [*first, *WORKER, address, "--local-directory", folder, *more]
    with started(command, address, folder, **variables) as server:
        yield server


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[tuple[Server, list[Server]]]:
    """A scheduler and so many workers that have joined it."""
    with ExitStack() as stack:
        head = stack.enter_context(scheduler(folder / "scheduler"))
        hands = [
            stack.enter_context(worker(folder / f"worker{i}", head.address)) for i in range(workers)
        ]
        for log in folder.glob("worker*/said.log"):
            wait_for(lambda log=log: "Registered to:" in log.read_text())
        yield head, hands


def wait_for(condition):
    """What comes true, looked at every now and then."""
    deadline = time.monotonic() + PATIENT_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
