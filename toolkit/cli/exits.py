"""How a command ends that could not do what it was asked: one sentence, and an exit code.

1 failed, 2 wrong arguments or data, 3 nothing to forecast, 4 an alarm stands, 130 Ctrl-C.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from toolkit.disk import FULL
from toolkit.errors import (
    CacheError,
    ClusterError,
    PredictionError,
    SourceError,
    ToolkitError,
    TrackingError,
)
from toolkit.installed import missing

if TYPE_CHECKING:
    from toolkit.sources.open import OpenSource

FAILED, WRONG, NOTHING, ALARM, INTERRUPTED = 1, 2, 3, 4, 130
NO_ACCESS = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


@contextmanager
def reported_in_a_sentence() -> Iterator[None]:
    """Ends the process where a command raises what is no fault of the code: no traceback."""
    try:
        yield
    except ToolkitError as exc:
        _end(str(exc), FAILED if isinstance(exc, PredictionError) or _unavailable(exc) else WRONG)
    except OSError as exc:
        if exc.errno not in NO_ACCESS | FULL:
            raise
        _end(_no_access(exc), FAILED if exc.errno in FULL else WRONG)
    except ModuleNotFoundError as exc:
        said = missing(exc)
        if said is None:
            raise
        _end(said, WRONG)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def nothing_to_forecast(sentence: str) -> NoReturn:
    """End the command: it went well, and there was nothing that it could forecast."""
    typer.echo(sentence, err=True)
    raise typer.Exit(NOTHING)


def nothing_before(what: str, as_of: str | date, orders: "OpenSource") -> NoReturn:
    """The same, since nobody ordered it before the date, or all of it was replaced."""
    from toolkit.sources.base import replacements_of
    from toolkit.stages.arguments import parse_date

    day = parse_date(as_of)
    replaced = replacements_of(orders.source).before(day)
    but = " (those of a product that was replaced are the new one's)" if replaced else ""
    nothing_to_forecast(f"There is nothing to forecast for {what}: no order before {day}{but}.")


def _end(sentence: str, code: int) -> None:
    typer.echo(f"Error: {sentence}", err=True)
    sys.exit(code)


def _unavailable(exc: ToolkitError) -> bool:
    """Whether nothing was wrong with the call itself: a store or a server was busy or away."""
    if isinstance(exc, SourceError):
        return exc.transient
    if isinstance(exc, ClusterError | TrackingError):
        return exc.unavailable
    return isinstance(exc, CacheError)


def _no_access(exc: OSError) -> str:
    said = f"{Path(exc.filename).absolute()}: {exc.strerror}" if exc.filename else str(exc)
    room = "make room there, or " if exc.errno in FULL else ""
    return (
        f"{said}; {room}name a place that you can write to with the options of the command "
        "(--help lists them), or run it in another folder"
    )
