"""Child processes as a user would start them, who may be less than root."""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

TOOLKIT = (str(Path(sys.executable).with_name("toolkit")),)
MODULE = (sys.executable, "-m", "toolkit")
CODE = (sys.executable, "-c", "from toolkit.cli.app import main; main()")

DROP = 24  # PR_CAPBSET_DROP
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3


def start(
    command, *arguments, cwd, obey=False, most_bytes=None, **variables
) -> subprocess.CompletedProcess[str]:
    """``obey``: the rights of files and folders bind it, even if we are root.

    ``most_bytes``: no file of its can grow beyond, as on a disk that is full.
    """

    def prepare() -> None:
        if obey and os.geteuid() == 0:
            _obey()
        if most_bytes is not None:
            limit_files(os.getpid(), most_bytes)

    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in variables.items()},
        preexec_fn=prepare,
        capture_output=True,
        text=True,
        check=False,
    )


def _obey() -> None:
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER):
        if ctypes.CDLL(None, use_errno=True).prctl(DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the capability stays")


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
