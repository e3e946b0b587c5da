"""Days on which business is not as usual: public holidays of a country, and a user's own events."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from pydantic import ConfigDict

from toolkit.card import counted
from toolkit.errors import ArgumentError, DataError, Finding
from toolkit.installed import need
from toolkit.validation import CLOSED, EXAMPLES, read_csv, wrong_columns

HOLIDAYS = "public holiday"
"""The group of all kinds of public holidays."""
MAX_EVENT_DAYS = 366
COLUMNS = ("date", "kind", "last_date", "group", "announced")
REQUIRED = ("date", "kind")


@dataclass(frozen=True, slots=True)
class Event:
    """Some days in a row of one kind.

    Kinds of one ``group`` are taken to be alike until they show otherwise. Before ``announced``
    nobody knew that it would come: nothing as of an earlier date, or of that day, sees it. None:
    known at all times.
    """

    first: date
    last: date
    kind: str
    group: str
    announced: date | None = None

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays of ``countries``, as ``US`` or ``US-TX``, and ``events`` besides."""

    countries: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    def __str__(self) -> str:
        """``US-TX; 3 events, 1f3a9c04``: equal calendars are called the same."""
        parts = [", ".join(self.countries)] if self.countries else []
        if self.events:
            digest = hashlib.sha256(repr(self.events).encode()).hexdigest()[:8]
            parts.append(f"{counted(len(self.events), 'event')}, {digest}")
        return "; ".join(parts) or "none"

    def between(self, first: date, last: date, as_of_date: date) -> tuple[Event, ...]:
        """What falls on these days, both included, and was known before the as-of date; sorted."""
        own = (
            event
            for event in self.events
            if event.first <= last
            and event.last >= first
            and (event.announced is None or event.announced < as_of_date)
        )
        found = {*own, *_holidays(self.countries, first, last)}
        return tuple(sorted(found, key=lambda event: (event.first, event.kind, event.last)))


NO_CALENDAR = Calendar()


def calendar_of(countries: Sequence[str] = (), events: Path | None = None) -> Calendar:
    """The calendar of these countries and of a file of events (see ``read_events``).

    A country is an ISO 3166 code, ``US``, or with its subdivision, ``US-TX``. Raises
    ``ArgumentError`` with all that are unknown, or hold each other: holidays of Texas are those of
    the United States and more.
    """
    given = tuple(dict.fromkeys(countries))
    wrong = wrong_countries(given)
    if wrong:
        raise ArgumentError("\n".join(wrong))
    return Calendar(given, () if events is None else read_events(events))


def wrong_countries(codes: Sequence[str]) -> list[str]:
    """What is wrong with the codes of countries, a sentence each."""
    return [said for code in codes if (said := _unknown(code))] + [
        f"countries {whole} and {code} overlap: name one of them"
        for code in codes
        if (whole := code.partition("-")[0]) != code and whole in codes
    ]


def read_events(path: Path) -> tuple[Event, ...]:
    """The events in a CSV file (comma, semicolon, tab or ``|``), one a line.

    Columns: ``date``, as 2019-04-01, and ``kind``; and, where they are known, ``last_date`` of an
    event of several days, ``group`` of kinds that are alike (the kind itself, if not given), and
    ``announced``, the day on which it became known. Raises ``DataError`` with all that is wrong:
    columns, dates, kinds in several groups, events that come twice; ``ArgumentError`` where it
    cannot be read.
    """
    head, lines = read_csv(path)
    found = wrong_columns(head, COLUMNS, REQUIRED, path.name)
    if found:
        raise DataError(path.name, found)
    events: dict[int, Event] = {}
    broken: dict[str, list[str]] = {}
    for line, row in lines.items():
        try:
            events[line] = _event(dict(zip(head, row, strict=True)))
        except ValueError as exc:
            rule, said = exc.args
            broken.setdefault(rule, []).append(f"line {line}" + (f": {said}" if said else ""))
    for line, rule in _contradictions(events).items():
        broken.setdefault(rule, []).append(f"line {line}: {events[line].kind!r}")
    if broken:
        raise DataError(
            path.name,
            [Finding(path.name, rule, len(s), tuple(s[:EXAMPLES])) for rule, s in broken.items()],
        )
    return tuple(events.values())


def _event(cells: Mapping[str, str]) -> Event:
    """The event in a line; ``ValueError`` with a rule and what breaks it."""
    first = _day(cells, "date")
    if first is None:
        raise ValueError("date is empty", "")
    last = _day(cells, "last_date") or first
    if not timedelta(0) <= last - first < timedelta(MAX_EVENT_DAYS):
        rule = f"last_date has to be on or after date, and within {MAX_EVENT_DAYS} days"
        raise ValueError(rule, f"{first} to {last}")
    kind = cells["kind"]
    if not kind:
        raise ValueError("kind is empty", "")
    if len(kind.splitlines()) > 1:
        raise ValueError("kind has to be one line", repr(kind))
    return Event(first, last, kind, cells.get("group") or kind, _day(cells, "announced"))


def _day(cells: Mapping[str, str], name: str) -> date | None:
    text = cells.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as exc:
        raise ValueError(f"{name} has to be a date as 2019-04-01", repr(text)) from exc


def _contradictions(events: Mapping[int, Event]) -> dict[int, str]:
    """By line: what cannot be, given the lines before it."""
    group: dict[str, str] = {}
    seen: set[Event] = set()
    wrong = {}
    for line, event in events.items():
        alike = replace(event, announced=None)
        if group.setdefault(event.kind, event.group) != event.group:
            wrong[line] = "a kind has two groups"
        elif alike in seen:
            wrong[line] = "an event appears more than once"
        seen.add(alike)
    return wrong


def _unknown(code: str) -> str:
    """What is wrong with a country's code; empty if nothing is."""
    known = _library().list_supported_countries(include_aliases=False)
    country, _, part = code.partition("-")
    if country not in known:
        return f"country {code!r} is unknown: ISO 3166 codes are known, as US, GB-ENG or DE-BY"
    if part and part not in known[country]:
        parts = ", ".join(known[country]) or "none"
        return f"{country} has no part {part!r}; known parts: {parts}"
    return ""


def _holidays(countries: Sequence[str], first: date, last: date) -> list[Event]:
    if not countries:
        return []
    found = {}
    years = range(first.year, last.year + 1)
    for code in countries:
        country, _, part = code.partition("-")
        days = _library().country_holidays(country, subdiv=part or None, years=years)
        for day, names in days.items():
            if first <= day <= last:
                kind = names.split(";")[0].split("(")[0].strip()  # however it was observed
                found[day, code] = Event(day, day, f"{code} {kind}", HOLIDAYS)
    return list(found.values())


def _library() -> ModuleType:
    return need("holidays", "a calendar of public holidays", ArgumentError)
