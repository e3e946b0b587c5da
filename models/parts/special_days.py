"""Days of a calendar as columns of weeks: how much of a week they take, and of those beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.calendar import Calendar, Event
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns

SIDES = (0, 1, -1)
"""A week is told of what falls into it, into the next one, and into the one before."""
MOST = 2.0
"""More days than that of one kind count as so many."""
BUSINESS = 0.25
"""On a business day the orders of that weekday are such a share of the busiest one's, or more."""
YEARS_AHEAD = 10
"""A fit knows of special days for so long."""


@dataclass(frozen=True, slots=True)
class SpecialDays:
    """A row per business day and what it is: kinds that are alike have one group.

    A holiday on a day on which nobody orders anyway changes nothing, and has no row.
    ``names`` of kinds, and which days of the week (ordinals by modulo) are business days, are
    there where it comes from a calendar.
    """

    day: Ints  # [rows], ordinal
    kind: Ints  # [rows], 0, 1, …
    group: Ints  # [rows], 0, 1, …
    names: tuple[str, ...] = ()  # [kinds]
    business: tuple[bool, ...] = ()  # [7]

    @classmethod
    def of(cls, calendar: Calendar, days: Ints, as_of_date: date) -> "SpecialDays":
        """Those since the first of order ``days`` (all before the date), and for years to come."""
        origin = as_of_date.toordinal()
        first = date.fromordinal(origin + int(days.min(initial=0)) - 2 * DAYS_PER_WEEK)
        last = as_of_date.replace(year=as_of_date.year + YEARS_AHEAD, day=1)
        by_weekday = np.bincount((origin + days) % DAYS_PER_WEEK, minlength=DAYS_PER_WEEK)
        is_business = by_weekday >= BUSINESS * by_weekday.max()
        events = calendar.between(first, last, as_of_date)
        kinds = sorted({event.kind for event in events})
        groups = sorted({event.group for event in events})
        rows = [
            (day, kinds.index(event.kind), groups.index(event.group))
            for event in events
            for day in range(event.first.toordinal(), event.last.toordinal() + 1)
            if is_business[day % DAYS_PER_WEEK]
        ]
        day, kind, group = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return cls(day, kind, group, tuple(kinds), tuple(is_business.tolist()))

    @classmethod
    def of_patterns(cls, calendar: Calendar, patterns: Patterns) -> "SpecialDays":
        """As ``of``, from all order events."""
        return cls.of(calendar, patterns.events.day, patterns.as_of_date)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "SpecialDays":
        """From what ``arrays`` gave."""
        return cls(*arrays["special_days"].T)

    def with_events(self, events: Sequence[Event]) -> "SpecialDays":
        """With the days of further events of its kinds; an event has the group of its kind.

        Its own rows stay: of events that overlap, a day has several.
        """
        group = dict(zip(self.kind.tolist(), self.group.tolist(), strict=True))
        there = [*zip(self.day.tolist(), self.kind.tolist(), self.group.tolist(), strict=True)]
        more = {
            (day, kind, group[kind])
            for event in events
            for kind in (self.names.index(event.kind),)
            for day in range(event.first.toordinal(), event.last.toordinal() + 1)
            if self.business[day % DAYS_PER_WEEK]
        }
        rows = sorted([*there, *(more - {*there})])
        day, kinds, groups = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return replace(self, day=day, kind=kinds, group=groups)

    def days_of_kinds(self, before: int) -> dict[str, tuple[date, ...]]:
        """All days of the kinds that there were before an ordinal day, by name."""
        return {
            name: tuple(map(date.fromordinal, sorted(days)))
            for i, name in enumerate(self.names)
            if min(days := self.day[self.kind == i].tolist(), default=before) < before
        }

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """To be saved, by name."""
        return {"special_days": np.stack([self.day, self.kind, self.group], axis=1)}

    def by_group(self, start: Ints) -> Floats:
        """Days of each group in, after and before the weeks that ``start`` on ordinal days.

        [weeks, 3 groups].
        """
        return self._by(self.group, start)

    def by_kind(self, start: Ints) -> Floats:
        """The same of each kind, [weeks, 3 kinds]."""
        return self._by(self.kind, start)

    def _by(self, of: Ints, start: Ints) -> Floats:
        count = int(of.max(initial=-1)) + 1
        columns = []
        for side in SIDES:
            first = start + DAYS_PER_WEEK * side
            days = np.zeros((len(start), count))
            week, row = np.nonzero((self.day - first[:, None]) // DAYS_PER_WEEK == 0)
            np.add.at(days, (week, of[row]), 1.0)
            columns.append(np.minimum(days, MOST))
        return np.hstack(columns)


NO_SPECIAL_DAYS = SpecialDays(*np.zeros((3, 0), dtype=np.int64))
