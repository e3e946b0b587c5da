"""A lock between processes: a file that one of them holds, and the kernel gives back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import TrackingError

POLL_S = 0.02
ELSEWHERE = "--store or MLFLOW_TRACKING_URI names a store that you can write to"


@contextmanager
def file_lock(path: Path, patience_s: float) -> Iterator[None]:
    """Hold ``path`` alone, among threads and processes; its holder's death lets it go.

    Not to be taken twice by one thread. Raises ``TrackingError`` if somebody else still holds it
    after ``patience_s`` seconds, or it cannot be made.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=patience_s, poll_interval=POLL_S)
    except Timeout:
        raise TrackingError(
            f"another process has held {path} for {patience_s:g} s", unavailable=True
        ) from None
    except OSError as exc:
        raise TrackingError(
            f"{path} cannot be made: {exc.strerror}; {ELSEWHERE}", unavailable=True
        ) from exc
    try:
        yield
    finally:
        lock.release()
