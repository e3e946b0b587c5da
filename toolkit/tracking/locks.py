"""A lock between processes: a file that one of them holds, and the kernel gives back."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import TrackingError

POLL_S = 0.02
ELSEWHERE = "--store or MLFLOW_TRACKING_URI names a store that you can write to"


@contextmanager
def file_lock(path: Path, patience_s: float) -> Iterator[None]:
    """Hold ``path`` alone, among threads and processes; its holder's death lets it go.

    The file stays, empty. Not to be taken twice by one thread. Raises ``TrackingError`` if
    somebody else still holds it after ``patience_s`` seconds, or it cannot be made.
    """
    try:
        file = path.open("a")
    except OSError as exc:
        raise TrackingError(
            f"{path} cannot be made: {exc.strerror}; {ELSEWHERE}", unavailable=True
        ) from exc
    with file:
        _take(file.fileno(), path, patience_s)
        yield


def _take(descriptor: int, path: Path, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TrackingError(
                    f"another process has held {path} for {patience_s:g} s", unavailable=True
                ) from None
        time.sleep(POLL_S)
