"""Child processes as a user would start them, who may be less than root."""

import ctypes
import os
import resource
import runpy
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from io import TextIOWrapper
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from toolkit.installed import HOME

TOOLKIT = (str(Path(sys.executable).with_name("toolkit")),)
MODULE = (sys.executable, "-m", "toolkit")
CODE = (sys.executable, "-c", "from toolkit.cli.app import main; main()")

IMPORTED = "tests.imported"
PLACES = tuple(sys.path)
"""Where modules are found before a test adds places of its own."""
READ_BY_IMPORTS = {"HOME", "NUMBA_CACHE_DIR", "PYTENSOR_FLAGS", "PYTHONPATH"}

DROP = 24  # PR_CAPBSET_DROP
FILES_OF_ALL = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
CAPABILITIES_3 = 0x20080522


class _InThisEnvironment(ForkServerProcess):
    """Others would have the environment of the one that they are forked from."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._environment = dict(os.environ)

    def run(self):
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class _Forks(ForkServerContext):
    Process = _InThisEnvironment


FORKS = _Forks()


def forks() -> _Forks:
    """The context of processes that are forked from one that has imported everything."""
    FORKS.set_forkserver_preload([IMPORTED])
    with chdir(HOME):  # where it finds the tests
        forkserver.ensure_running()
    return FORKS


def start(
    command, *arguments, cwd, obey=False, most_bytes=None, **variables
) -> subprocess.CompletedProcess[str]:
    """``obey``: the rights of files and folders bind it, even if we are root.

    ``most_bytes``: no file of its can grow beyond, as on a disk that is full.
    """

    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=_environment(variables),
        preexec_fn=lambda: _bind(obey, most_bytes),
        capture_output=True,
        text=True,
        check=False,
    )


def run(
    *arguments, cwd, obey=False, most_bytes=None, **variables
) -> subprocess.CompletedProcess[str]:
    """The same for ``toolkit ARGUMENTS``, without the seconds that its imports take.

    A process of its own, too: it is forked from one that has imported everything, and runs the
    script that is installed. Where variables are read by imports, it is started.
    """
    if READ_BY_IMPORTS & variables.keys():
        limits = {"obey": obey, "most_bytes": most_bytes}
        return start(TOOLKIT, *arguments, cwd=cwd, **limits, **variables)
    return Forked(None, *arguments, cwd=cwd, obey=obey, most_bytes=most_bytes, **variables).ended()


def run_text(
    text, *arguments, cwd, obey=False, most_bytes=None, **variables
) -> subprocess.CompletedProcess[str]:
    """The same for ``python -c TEXT ARGUMENTS``."""
    return Forked(text, *arguments, cwd=cwd, obey=obey, most_bytes=most_bytes, **variables).ended()


class Forked:
    """A process that runs the script that is installed, or a text; what it writes, in pipes."""

    def __init__(self, text, *arguments, cwd, obey=False, most_bytes=None, **variables):
        self.command = [*(TOOLKIT if text is None else ("-c",)), *map(str, arguments)]
        pipes = [FORKS.Pipe(duplex=False) for _ in range(2)]
        place, environment = Path(cwd).absolute(), _environment(variables)
        asked = (self.command, text, PLACES, place, environment, obey, most_bytes)
        self.process = forks().Process(target=_run, args=(*asked, *(end for _, end in pipes)))
        self.process.start()
        for _, end in pipes:
            end.close()
        self.stdout, self.stderr = (_file(end) for end, _ in pipes)

    def ended(self, timeout=None) -> subprocess.CompletedProcess[str]:
        """What it has written, once it has ended; it is killed after so many seconds."""
        late = threading.Timer(timeout or threading.TIMEOUT_MAX, self.process.kill)
        late.start()
        with ThreadPoolExecutor(2) as readers:
            texts = list(readers.map(TextIOWrapper.read, (self.stdout, self.stderr)))
        self.process.join()
        late.cancel()
        self.close()
        return subprocess.CompletedProcess(self.command, self.process.exitcode, *texts)

    def close(self) -> None:
        """Kill it if it has not ended."""
        self.process.kill()
        self.process.join()
        self.stdout.close()
        self.stderr.close()


def _file(end: Connection) -> TextIOWrapper:
    with end:
        return os.fdopen(os.dup(end.fileno()))


def _run(
    command: list[str],
    text: str | None,
    places: tuple[str, ...],
    cwd: Path,
    environment: dict[str, str],
    obey: bool,
    most_bytes: int | None,
    stdout: Connection,
    stderr: Connection,
) -> None:
    for stream, end in ((1, stdout), (2, stderr)):
        os.dup2(end.fileno(), stream)
        end.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _bind(obey, most_bytes)
    sys.argv = command
    if text is not None:
        sys.path[:] = ["", *places[1:]]
        exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})  # as -c does
        return
    sys.path[:] = [str(Path(command[0]).parent), *places[1:]]
    runpy.run_path(command[0], run_name="__main__")


def _environment(variables: dict[str, object]) -> dict[str, str]:
    return os.environ | {name: str(value) for name, value in variables.items()}


def _bind(obey: bool, most_bytes: int | None) -> None:
    if obey and os.geteuid() == 0:
        _obey()
    if most_bytes is not None:
        limit_files(os.getpid(), most_bytes)


def _obey() -> None:
    """Without the rights of root over files: now, and in what is executed from here."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in FILES_OF_ALL:
        if libc.prctl(DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the capability stays")
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for place in range(3):  # effective, permitted, inheritable
        sets[place] &= ~sum(1 << capability for capability in FILES_OF_ALL)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "the capabilities stay")


def limit_files(process: int, most_bytes: int) -> None:
    """From now on no file of a process grows beyond so many bytes; RLIM_INFINITY: as it was."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (most_bytes, hard))


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a command ended with; there is no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, done.stderr
    return said[0]


def namespace(*kinds: str) -> tuple[str, ...]:
    """What starts a command in namespaces of its own; where that is forbidden, the test ends."""
    command = ("unshare", "--map-root-user", *kinds)
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(tried.stderr)
    return command
