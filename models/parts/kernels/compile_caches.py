"""Where Numba and PyTensor keep compiled code: one sentence where they cannot."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import ModelError


@contextmanager
def kept_code() -> Iterator[None]:
    """Around what compiles, or imports what will: raises ``ModelError`` with the remedy.

    Both refuse to work where no folder of theirs can be written to.
    """
    _leave_c_alone()
    try:
        yield
    except (RuntimeError, ValueError, OSError) as exc:
        remedy = _remedy(str(exc))
        if remedy is None:
            raise
        raise ModelError(f"{remedy} a folder that you can write to ({exc})") from exc


def _leave_c_alone() -> None:
    """A C compiler that lacks Python's headers would end a fit; Numba compiles all that is slow."""
    flags, headers = os.environ.get("PYTENSOR_FLAGS", ""), Path(sysconfig.get_path("include"))
    there = (headers / "Python.h").exists()
    if not there and "pytensor" not in sys.modules and "cxx" not in flags:
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, [flags, "cxx="]))


def _remedy(said: str) -> str | None:
    if "no locator available" in said:
        return "Numba has no folder to keep compiled code in: set NUMBA_CACHE_DIR to"
    if "compiledir" in said or ".pytensor" in said:
        return (
            "PyTensor has no folder to keep compiled code in: "
            "set PYTENSOR_FLAGS=base_compiledir=FOLDER, with"
        )
    return None
