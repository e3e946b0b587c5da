"""Processes that race or are killed, forked from one that has imported MLflow before.

They are as real as any, begin within a millisecond of each other, and cost no import of their own.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable

from sqlalchemy import Engine, event

from toolkit.tracking.store import Store, open_store

warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # its threads are idle


def at_once(*works: Callable[..., object], opened: bool = False) -> None:
    """Do each work in a process of its own, all let go together, and print what it returns.

    ``opened``: the works take the store, which each process has opened by then.
    """
    held, gate = os.pipe()
    told, tell = os.pipe()
    children = []
    for work in works:
        child = os.fork()
        if not child:
            os.close(gate)
            given = (open_store(),) if opened else ()
            os.write(tell, b".")
            os.read(held, 1)  # ends when the parent closes the gate
            os.write(sys.stdout.fileno(), f"{work(*given)}\n".encode())  # at once, or lines mix
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(told, 1)
    os.close(gate)
    for child in children:
        if _exit_code(child):
            sys.exit("a process failed")


def killed(commits: list[int], work: Callable[[Store], object]) -> None:
    """Do the work in a process that dies before its n-th commit, for each n; print how it ended."""
    for number in commits:
        child = os.fork()
        if not child:
            work(_deadly(open_store(), number))
            os._exit(0)
        print(_exit_code(child), flush=True)


def killed_writing(number: int, work: Callable[[Store], object]) -> int:
    """Do the work in a process that dies before its n-th write (0: never); how it ended."""
    child = os.fork()
    if not child:
        store = open_store()
        deadly = _deadly_write(number)
        for engine in _engines(store):
            event.listen(engine, "before_cursor_execute", deadly)
        work(store)
        sys.stdout.flush()
        os._exit(0)
    return _exit_code(child)


def _deadly_write(number: int) -> Callable[..., None]:
    writes: list[str] = []

    def count(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            writes.append(statement)
            if len(writes) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return count


def _exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _deadly(store: Store, number: int) -> Store:
    """The store, whose ``number``-th commit kills the process just before it is made."""
    commits: list[object] = []

    def count(conn: object) -> None:
        commits.append(conn)
        if len(commits) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    for engine in _engines(store):
        event.listen(engine, "commit", count)
    return store


def _engines(store: Store) -> list[Engine]:
    clients = (store.client._tracking_client, store.client._get_registry_client())
    return [client.store.engine for client in clients]
