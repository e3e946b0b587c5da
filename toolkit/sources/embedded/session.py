"""A session of DuckDB as the toolkit keeps one: silent, and with errors in one sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from toolkit.disk import is_full
from toolkit.errors import SourceError

IMPORT_GB = 1.0, 3.0
"""Memory of an import, per core and at least, as ``memory_limit`` takes it."""


def hide_progress_bar(conn: duckdb.DuckDBPyConnection) -> None:
    """DuckDB would print one among the JSON of a command, where it takes the process for a session.

    In a notebook without ipywidgets it has none, and refuses to be told so.
    """
    with suppress(duckdb.InvalidInputException):
        conn.execute("SET enable_progress_bar = false")


def memory_limit(per_core_gb: float, least_gb: float) -> str:
    """What DuckDB may use before it goes on in its temporary folder; its threads are the cores.

    Its own limit is most of the machine's memory, whoever else needs it.
    """
    return f"{max(least_gb, per_core_gb * (os.cpu_count() or 1))}GB"


def is_interrupt(exc: BaseException) -> bool:
    """Whether DuckDB means Ctrl-C: it raises a bare ``RuntimeError`` for ``KeyboardInterrupt``."""
    return type(exc) is RuntimeError and str(exc) == "Query interrupted"


@contextmanager
def translated(database: Path) -> Iterator[None]:
    """Turn what happens while a database is written into ``SourceError``."""
    try:
        yield
    except (duckdb.Error, OSError) as exc:
        raise _translation(database, exc) from exc
    except RuntimeError as exc:
        if is_interrupt(exc):
            raise KeyboardInterrupt from exc
        raise


def _translation(database: Path, exc: duckdb.Error | OSError) -> SourceError:
    if is_full(exc):
        return SourceError(
            f"{database.absolute()} could not be written: no space is left on its disk; make room "
            "there, or name a file on another one",
            transient=True,
        )
    if isinstance(exc, OSError):
        return SourceError(
            f"{database.absolute()} could not be written: {exc.strerror}; "
            "name a file in a folder that you can write to"
        )
    return SourceError(f"{database} could not be written: {exc}")
