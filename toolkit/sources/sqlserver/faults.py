"""What SQL Server and its driver say when something fails, and what may be tried again.

pymssql's numbers are not to be trusted alone. A connection that fails repeats the number of an
earlier failure, and leaves out the server's words where an earlier error was as severe: only the
numbers that its library wrote into the text are of this failure. Whether the password or the
database was wrong it does not always let through. A query's number is its own: the library's if
the library wrote it into the text, else the server's, which has errors of such numbers, too.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import duckdb

from toolkit.errors import SourceError, ToolkitError
from toolkit.sources.embedded.session import is_interrupt

logger = logging.getLogger(__name__)

_LIBRARY_TEXT = re.compile(r"DB-Lib error message (\d+), severity (\d+)")
_UNKNOWN_REASON = "failed for an unknown reason"  # the library said nothing: it knew no address
_SERVER_SPOKE, _NO_LOGIN, _NO_SERVER, _DEAD = 20018, 20002, 20009, 20047
_DATABASE_SEVERITY, _LOGIN_SEVERITY = 11, 14  # of "cannot open database" and "login failed"
LOGIN_FAILED, NO_DATABASE, DEADLOCK = 18456, 4060, 1205
LOST_ROWS = "rows of the result are missing"


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure: its number, what it means, and whether it may pass.

    ``dead``: the connection cannot be used any more.
    """

    number: int | None
    meaning: str
    transient: bool = False
    dead: bool = False

    def __str__(self) -> str:
        """``the server chose the query as the victim of a deadlock (1205)``."""
        return self.meaning if self.number is None else f"{self.meaning} ({self.number})"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may pass is tried again.

    After each pause comes one more attempt; those after a connection that is dead are longer. None
    is begun later than ``total_seconds`` after the first.
    """

    pauses_seconds: tuple[float, ...] = (0.2, 0.4, 0.8)
    dead_pauses_seconds: tuple[float, ...] = (1.0, 5.0, 15.0, 30.0)
    total_seconds: float = 120.0

    def pause(self, attempt: int, elapsed_seconds: float, dead: bool) -> float | None:
        """Seconds to wait after attempt number ``attempt``; None: no more attempts."""
        pauses = self.dead_pauses_seconds if dead else self.pauses_seconds
        if attempt > len(pauses) or elapsed_seconds + pauses[attempt - 1] > self.total_seconds:
            return None
        return pauses[attempt - 1]


PATIENCE = Patience()


class LostRowsError(Exception):
    """A result came to its end, but with fewer or more rows than the server counted."""


_PASSING = {
    DEADLOCK: "the server chose the query as the victim of a deadlock",
    1222: "the query waited too long for a lock",
    1204: "the server has no locks left",
    701: "the server has no memory left for the query",
    8645: "the query waited too long for memory",
    8651: "the server has no memory left for the query",
    3960: "a row was changed while it was read",
    3961: "a table was altered while it was read",
    10928: "the server is at its limit",
    10929: "the server is busy",
    40501: "the server is busy",
    49918: "the server is busy",
    49919: "the server is busy",
    49920: "the server is busy",
}
_PASSING_BUT_DEAD = {
    596: "the server ended the session",
    6005: "the server is shutting down",
    17142: "the server is paused",
    17187: "the server is starting",
    4221: "the replica is not ready",
    40197: "the server is being moved",
    40613: "the database is not available at the moment",
}
_LASTING = {
    LOGIN_FAILED: "user or password are not accepted, or there is no such database",
    NO_DATABASE: "there is no such database, or the user may not open it",
    208: "a table is missing",
    207: "a column is missing",
    229: "the permission to read is denied",
    230: "the permission to read a column is denied",
    102: "the server does not understand the query",
    8623: "the query is too complex for the server",
    8632: "the query is too complex for the server",
}
_LIBRARY = {
    20003: "the server did not answer in time",
    _NO_SERVER: "no server answers at this address",
    20017: "the connection broke",
    20004: "the connection broke",
    20006: "the connection broke",
    _DEAD: "the connection broke",
    _NO_LOGIN: "there is no SQL Server at this address, or not with this encryption",
}
"""The library's own, the most telling first; a connection that failed shows several."""

_WITH_THE_SERVERS_WORDS = {207, 208, 229, 230, 102}


def fault_of(exc: BaseException) -> Fault:
    """What an error of the driver's means; one that is unknown is taken to last."""
    if isinstance(exc, LostRowsError):
        return Fault(None, LOST_ROWS, transient=True)
    number, text, connecting = _parts(exc)
    if connecting or _UNKNOWN_REASON in text:
        return replace(_connect_fault(number, text), dead=True)
    if "Not connected" in text or "Connection is closed" in text:
        return Fault(None, "the connection is closed", transient=True, dead=True)
    if number is None:
        return Fault(None, text or type(exc).__name__)
    of_the_library = [int(found[1]) for found in _LIBRARY_TEXT.finditer(text)]
    if number in of_the_library:
        return _library_fault(of_the_library, number)
    return _server_fault(number, _words(text))


def reconnect_fault_of(exc: BaseException) -> Fault:
    """The same, where a login like this one was accepted before: a refusal may pass.

    A server that starts, recovers or fails over does not know its databases and logins yet.
    """
    fault = fault_of(exc)
    if fault.number not in (LOGIN_FAILED, NO_DATABASE):
        return fault
    meaning = "the server refuses a login that it accepted before"
    return Fault(fault.number, meaning, transient=True, dead=True)


def persist[T](
    subject: str,
    work: Callable[[], T],
    patience: Patience = PATIENCE,
    renewed: bool = True,
    headline: str = "{} could not be read",
    judge: Callable[[BaseException], Fault] = reconnect_fault_of,
) -> T:
    """``work()``, again after a failure that may pass; it must begin anew each time.

    ``renewed``: whether work after a dead connection gets a fresh one. ``judge`` says what a
    failure means. Raises ``SourceError`` with the number of the last failure; ``headline``, about
    the subject, begins its message.
    """
    begun = time.monotonic()
    for attempt in count(1):
        try:
            return work()
        except Exception as exc:  # drivers share no base class of errors
            if is_interrupt(exc):
                raise KeyboardInterrupt from exc
            if isinstance(exc, ToolkitError | duckdb.Error):
                raise  # said already, or of the copy that is being written
            fault = judge(exc)
            elapsed = time.monotonic() - begun
            pause = patience.pause(attempt, elapsed, fault.dead)
            if pause is None or not fault.transient or (fault.dead and not renewed):
                raise _error(headline.format(subject), fault, attempt, elapsed) from exc
            logger.warning("%s: %s; trying again in %.1f s", subject, fault, pause)
        time.sleep(pause)
    raise AssertionError("unreachable")


def _error(headline: str, fault: Fault, attempts: int, elapsed_seconds: float) -> SourceError:
    tried = "" if attempts == 1 else f", {attempts} times in {elapsed_seconds:.1f} s"
    return SourceError(
        f"{headline}: {fault}{tried}",
        number=fault.number,
        transient=fault.transient,
    )


def _parts(exc: BaseException) -> tuple[int | None, str, bool]:
    """Number, text, and whether it comes from connecting: that wraps both once more."""
    arguments: tuple[object, ...] = exc.args
    connecting = len(arguments) == 1 and isinstance(arguments[0], tuple)
    if connecting and isinstance(arguments[0], tuple):
        arguments = arguments[0]
    match arguments:
        case (int(number), bytes(raw)):
            return number, raw.decode("utf-8", "replace"), connecting
        case (int(number), str(text)):
            return number, text, connecting
    return None, str(exc), False


def _connect_fault(number: int | None, text: str) -> Fault:
    found = [(int(number), int(severity)) for number, severity in _LIBRARY_TEXT.findall(text)]
    refused = [severity for number, severity in found if number == _SERVER_SPOKE]
    if refused:
        return _refusal(number, _words(text), refused)
    if not found:
        return Fault(_NO_SERVER, "there is no such host", transient=True)
    telling = [number for number, _ in found if number != _DEAD]
    if not telling:
        # What the driver kept of earlier connections left no room; the next failure will tell.
        return Fault(None, "no connection comes about", transient=True)
    return _library_fault(telling, _NO_LOGIN)


def _refusal(number: int | None, words: str, severities: list[int]) -> Fault:
    """A login that the server refused: the number is this failure's only where words are."""
    if _DATABASE_SEVERITY in severities:
        return _server_fault(NO_DATABASE, "")
    if words and number is not None:
        return _server_fault(number, words)
    if _LOGIN_SEVERITY in severities:
        return _server_fault(LOGIN_FAILED, "")
    return Fault(None, "the server accepts no logins at the moment", transient=True)


def _words(text: str) -> str:
    """What the server said, without what the library added."""
    return _LIBRARY_TEXT.split(text)[0].strip()


def _library_fault(numbers: list[int], otherwise: int) -> Fault:
    telling = next((number for number in _LIBRARY if number in numbers), otherwise)
    meaning = _LIBRARY.get(telling, "the driver failed")
    return Fault(telling, meaning, transient=telling != _NO_LOGIN, dead=True)


def _server_fault(number: int, words: str) -> Fault:
    if number in _PASSING:
        return Fault(number, _PASSING[number], transient=True)
    if number in _PASSING_BUT_DEAD:
        return Fault(number, _PASSING_BUT_DEAD[number], transient=True, dead=True)
    if number in _LASTING:
        said = f": {words}" if words and number in _WITH_THE_SERVERS_WORDS else ""
        return Fault(number, _LASTING[number] + said.rstrip("."))
    return Fault(number, words.rstrip(".") or "the server reports an error")
