"""What the history holds: an event, and the entry that it is written as."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Literal

import pydantic

from toolkit.card import in_a_line
from toolkit.validation import CLOSED

type Action = Literal["promote", "force", "rollback", "release"]

MOVES: tuple[Action, ...] = ("promote", "force", "rollback")
"""The actions that make a version the champion."""

ABBREVIATED = 12
"""So many characters of a run's id are shown."""


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=CLOSED)
class CheckRecord:
    """A demand of the gate's: what it found, and what it allows."""

    name: str
    found: str
    allowed: str
    passed: bool


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=CLOSED)
class Event:
    """What happened: from which version to which, by number and fit, None where there is none.

    ``evidence`` is the MLflow run of the backtest, ``checks`` what the gate found, ``release`` the
    id of the release in Redis.
    """

    action: Action
    to_version: int | None
    to_fit: str | None
    from_version: int | None = None
    from_fit: str | None = None
    why: str | None = None
    evidence: str | None = None
    checks: tuple[CheckRecord, ...] = ()
    release: str | None = None


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=CLOSED)
class Entry:
    """An event, as it was written: its place, by whom (login@host), when (ISO, UTC).

    ``noticed`` is what did not fit when it was written. ``hash`` is the SHA-256 of all of it and
    of ``previous``, the hash of the entry before.
    """

    sequence: int
    event: Event
    who: str
    when: str
    noticed: tuple[str, ...]
    previous: str
    hash: str

    def to_dict(self) -> dict[str, object]:
        """Entry and event in one, for JSON."""
        content = asdict(self)
        event: dict[str, object] = content.pop("event")
        return {**content, **event}

    def __str__(self) -> str:
        """The entry in one line."""
        event = self.event
        to_version = named(event.to_version, event.to_fit)
        return (
            f"{self.sequence}  {minute(self.when)}  {event.action:<9} {to_version:<26} "
            f"{'; '.join(self.reasons())}"
        )

    def reasons(self) -> Iterator[str]:
        """Why, in spite of what, on what evidence, with what effect, and what did not fit.

        As displays show it: a reason in one line, and cut where it is too long.
        """
        event = self.event
        if event.why:
            yield in_a_line(event.why)
        failed = [check.name for check in event.checks if not check.passed]
        if failed:
            yield f"in spite of: {', '.join(failed)}"
        if event.evidence:
            yield f"evidence: run {event.evidence[:ABBREVIATED]}"
        if event.release:
            yield f"release {event.release}"
        for notice in self.noticed:
            yield f"NOTICED: {notice}"


def named(number: int | None, fit: str | None) -> str:
    """A version by number and fit, as far as they are known."""
    return " ".join(filter(None, [None if number is None else str(number), fit]))


def minute(when: str) -> str:
    """An ISO time, to the minute."""
    return when[:16].replace("T", " ")
