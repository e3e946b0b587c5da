"""A lock that is lost by who does not renew it: a thread does, as long as the process lives."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from toolkit.cache.database import Database, parsed, text
from toolkit.cache.names import EXPORT_LOCK
from toolkit.cache.scripts import LOCK, RELEASE, RENEW
from toolkit.errors import CacheError

NEVER = -1
RENEWALS = 3
"""So often within its time is a lock renewed."""


def new_token() -> str:
    """Text that nobody else has, and that says who has the lock."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
    return json.dumps(holder | {"id": uuid.uuid4().hex})


@contextmanager
def renewed(
    renew: Callable[[], object], every_s: float, at_end: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Call ``renew`` every so often on a daemon thread, until the block ends or it returns 0.

    When the block ends the thread calls ``at_end``, which nobody waits for.
    """
    over = threading.Event()

    def work() -> None:
        while not over.wait(every_s):
            with suppress(Exception):  # the server may be back before the lock is lost
                if renew() == 0:
                    return
        with suppress(Exception):  # it expires
            at_end()

    thread = threading.Thread(target=work, name="toolkit-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def export_lock(database: Database, lock_s: float) -> Iterator[str]:
    """Hold the lock of exports; its token, for scripts to check.

    Whoever holds it and lives is named in a ``CacheError``. One that was killed renews no more:
    its lock is waited for, at most ``lock_s``.
    """
    token, lock_ms = new_token(), max(1, int(1000 * lock_s))
    _take(database, token, lock_s)
    try:
        with renewed(
            lambda: database.run(RENEW, [EXPORT_LOCK], [token, lock_ms]), lock_s / RENEWALS
        ):
            yield token
    finally:
        with suppress(CacheError):  # it expires
            database.run(RELEASE, [EXPORT_LOCK], [token])


def _take(database: Database, token: str, lock_s: float) -> None:
    lock_ms, step_s = max(1, int(1000 * lock_s)), min(0.1, lock_s / 20)
    left_ms: dict[str, int] = {}
    while database.run(LOCK, [EXPORT_LOCK], [token, lock_ms]) != 1:
        with database.translated():
            holder = text(database.client.get(EXPORT_LOCK) or "")
            now_ms = int(str(database.client.pttl(EXPORT_LOCK)))
        if holder and now_ms == NEVER:
            raise CacheError(f"the lock {EXPORT_LOCK} never expires: somebody else set it")
        if holder and now_ms > left_ms.get(holder, now_ms):
            raise CacheError(f"another export is running: {_described(holder)}")
        left_ms[holder] = now_ms
        time.sleep(step_s)


def _described(holder: str) -> str:
    try:
        who = parsed(holder, dict)
        return f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (ValueError, TypeError, KeyError):
        return f"the lock {EXPORT_LOCK} is held by {holder[:80]!r}"
