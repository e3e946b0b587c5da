"""Warnings of what goes wrong at every read: one a second and kind, with a count of the others."""

import logging
import os
import threading
import time

EVERY_S = 1.0


class Limited(logging.Filter):
    """Lets one warning a second pass of each kind: of a logger, with one message before arguments.

    The next one of its kind says how many were left out in between. What is no warning passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Forget what was logged; for a forked child, too, where who held the lock is gone."""
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], tuple[float, int]] = {}  # when, and how many left out

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; it then tells of those that were not."""
        if record.levelno < logging.WARNING:
            return True
        now, kind = time.monotonic(), (record.name, record.msg)
        with self._lock:
            last, left_out = self._last.get(kind, (-EVERY_S, 0))
            if now - last < EVERY_S:
                self._last[kind] = last, left_out + 1
                return False
            self._last[kind] = now, 0
        if left_out:
            record.msg += f" (and {left_out:,} more since the last such warning)"
        return True


LIMITED = Limited()
os.register_at_fork(after_in_child=LIMITED.reset)
