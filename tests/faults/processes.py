"""Commands as a user gives them, each in a process of its own, to be killed at any moment.

They are forked from this one, which has imported everything before: they are as real as any, and
cost no import. So that this one stays fit to be forked, it starts no thread and works in no
database; whatever looks at something is ``asked`` in a process of its own, too.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from toolkit.cli.app import main

warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # NumPy's threads are idle

FORK = multiprocessing.get_context("fork")
LIMIT_S = 300.0
"""What takes longer hangs."""

POLL_S = 0.01


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``work_s`` is the processors' time that it took."""

    code: int
    said: str
    work_s: float


class Command:
    """``toolkit ARGUMENTS`` at work in a folder."""

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it ends with the command
        self._before_s = _work_s(resource.getrusage(resource.RUSAGE_CHILDREN))
        self._process = FORK.Process(target=self._work, args=(folder, arguments))
        self._process.start()

    def killed(self, after_s: float) -> bool:
        """SIGKILL after it and its workers have worked for so many seconds, however busy the
        machine; False if it had ended by itself.
        """
        while self._process.is_alive() and self._work_so_far() < after_s:
            time.sleep(POLL_S)
        self._process.kill()
        return self.ended().code < 0

    def _work_so_far(self) -> float:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
            return sum(one.user + one.system for one in times)
        return 0.0

    def ended(self) -> Ended:
        """How, once it has."""
        code = _end_of(self._process)
        work_s = _work_s(resource.getrusage(resource.RUSAGE_CHILDREN)) - self._before_s
        with self._said as file:
            file.seek(0)
            return Ended(code, file.read().decode(errors="replace"), work_s)

    def _work(self, folder: Path, arguments: Sequence[str]) -> None:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(self._said.fileno(), stream)
        sys.argv = ["toolkit", *arguments]
        main()


def asked[R](work: Callable[..., R], *arguments: object) -> R:
    """What ``work`` returns in a process of its own; ``AssertionError`` with all that it raised."""
    here, there = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_answer, args=(there, work, arguments))
    process.start()
    there.close()
    try:
        said, answer = here.recv()
    except EOFError:
        said, answer = "died", "a look at what is there"
    _end_of(process)
    assert said == "returned", f"{said}: {answer}"
    return answer


def _answer(there: Connection, work: Callable[..., object], arguments: Sequence[object]) -> None:
    try:
        answer = ("returned", work(*arguments))
    except AssertionError as flaw:
        answer = ("found", str(flaw))
    except Exception:
        answer = ("raised", traceback.format_exc())
    there.send(answer)


def _work_s(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def _end_of(process: BaseProcess) -> int:
    process.join(LIMIT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"it hung for {LIMIT_S:g} s")
    return process.exitcode
