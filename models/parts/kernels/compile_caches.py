"""Where Numba and PyTensor keep compiled code: one sentence where they cannot.

What Numba keeps is compiled by one process, also where many start at once with nothing compiled.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from numba.core.compiler_lock import global_compiler_lock

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


def compile_once(dispatcher: Any) -> None:
    """Of processes that want a kernel at the same time, one compiles it and the others load it.

    A kernel's lock is held while those are compiled that it calls, and never the other way round.
    Threads take Numba's own lock first, or one could hold what the other waits for. Where files
    cannot be locked, each process compiles for itself.
    """
    compile_or_load = dispatcher.compile
    place = f"{dispatcher._cache._cache_file._index_path}.lock"

    def alone(signature: Any) -> Any:
        with global_compiler_lock:
            lock = FileLock(place)  # a forked process may not take its parent's
            with suppress(OSError, NotImplementedError):
                lock.acquire()
            try:
                return compile_or_load(signature)
            finally:
                lock.release()

    dispatcher.compile = alone


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
