"""Child processes as a user would start them, who may be less than root."""

import ctypes
import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from toolkit.installed import HOME

TOOLKIT = (str(Path(sys.executable).with_name("toolkit")),)
MODULE = (sys.executable, "-m", "toolkit")
CODE = (sys.executable, "-c", "from toolkit.cli.app import main; main()")

FORKS = multiprocessing.get_context("forkserver")
IMPORTED = "tests.imported"
PLACES = tuple(sys.path)
"""Where modules are found before a test adds places of its own."""
READ_BY_IMPORTS = {"HOME", "NUMBA_CACHE_DIR", "PYTENSOR_FLAGS", "PYTHONPATH"}

DROP = 24  # PR_CAPBSET_DROP
FILES_OF_ALL = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
CAPABILITIES_3 = 0x20080522


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
    FORKS.set_forkserver_preload([IMPORTED])
    with chdir(HOME):  # where it finds the tests
        forkserver.ensure_running()
    command = [*TOOLKIT, *map(str, arguments)]
    pipes = [FORKS.Pipe(duplex=False) for _ in range(2)]
    said = [end for _, end in pipes]
    place, environment = Path(cwd).absolute(), _environment(variables)
    asked = (command, PLACES, place, environment, obey, most_bytes, *said)
    process = FORKS.Process(target=_run, args=asked)
    process.start()
    for end in said:
        end.close()
    with ThreadPoolExecutor(len(pipes)) as readers:
        texts = list(readers.map(_text, [end for end, _ in pipes]))
    process.join()
    return subprocess.CompletedProcess(command, process.exitcode, *texts)


def _run(
    command: list[str],
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
    _bind(obey, most_bytes)
    sys.argv = command
    sys.path[:] = [str(Path(command[0]).parent), *places[1:]]
    runpy.run_path(command[0], run_name="__main__")


def _text(end: Connection) -> str:
    with end, open(end.fileno(), closefd=False) as file:
        return file.read()


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
