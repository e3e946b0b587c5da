"""The season: how the level of all orders moves with the date.

Log weekly order counts before the as-of date are a level, a random walk, annual harmonics, a bump
around the turn of the year, an effect of each week of the year (counted in steps of 52 weeks, so
that holidays on a fixed weekday come back in the same week), effects of a calendar's special days
on their week and those beside it, if there is a calendar, and what is left. They are fitted by
ridge regression, robustly: a week that stands out counts for less, unless it stands out every year.
Effects of weeks are Cauchy: most weeks are like their neighbours, some hold a holiday. Kinds of
special days vary about the mean of their group.

It is estimated once, on totals of all products. A history shorter than a year leaves most of it at
what the prior says: nothing.

Weeks to come differ from it, and of what stood out a share alone may come again: both are read from
forecasts that it would have made 12, 24 and 36 weeks before the date (``weeks_ahead.py``).

The past is measured in days as they were: there the level of a week is what was observed over the
slow walk, whatever the reason; only weeks to come are what the season says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.rhythm.weeks_ahead import Backcast, WeeksAhead
from models.parts.special_days import NO_SPECIAL_DAYS, SpecialDays
from toolkit.data.calendar import Event
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints

YEAR_DAYS = 365.2425
HARMONICS = 4
HARMONIC_SD = 0.15
"""Prior deviation of the first harmonic; that of harmonic k is smaller by √k."""
YEAR_END, YEAR_END_DAYS, YEAR_END_SD = date(2000, 12, 27), 9.0, 0.7
STEP_WEEKS, STEP_SD = 4, 0.06
NOISE_SD = 0.08
YEAR_WEEKS = 52
WEEK_SD = 0.05
"""Scale of the effects of single weeks, which are Cauchy."""
GROUP_SD, KIND_SD = 0.1, 0.1
"""Prior deviations: of what a day of a group does on average, and of how its kinds differ."""
OUTLIER = 2.5
"""Deviations beyond so many standard deviations are held down to it (Huber's weights)."""
ROUNDS = 6
DAY_COLUMNS = ("season_days", "season_day_kinds", "season_day_groups")
AHEAD_WEEKS = 400
"""Special days are known for so many weeks after the date."""
BACKCAST_WEEKS = 12
BACKCASTS = 3
"""So often, so many weeks apart, a season is held against what came after."""


@dataclass(frozen=True, slots=True)
class Season:
    """``log_level`` of any day, relative to the year's mean.

    Weeks are counted back from ``origin``, the date it was estimated at: week 0 is the last before.
    """

    effects: Floats  # [2 HARMONICS + 1], as in ``_columns``
    weeks: Floats  # [YEAR_WEEKS], of weeks 0, 52, 104, … before the origin, of 1, 53, …
    observed: Floats  # [weeks], what is left of each week before the origin
    special: Floats  # [AHEAD_WEEKS + weeks], of special days, the last week of all first
    ahead: WeeksAhead
    origin: int  # ordinal of the date
    days: SpecialDays = NO_SPECIAL_DAYS
    day_effects: Floats = field(default_factory=lambda: np.zeros(0))
    """Of a day of each group, then kind, in its week and those beside it: what ``special`` has."""

    @classmethod
    def of(cls, days: Ints, as_of_date: date, special: SpecialDays = NO_SPECIAL_DAYS) -> "Season":
        """The season in all order events, which took place on ``days`` before the date."""
        weeks = int(-days.min()) // DAYS_PER_WEEK if len(days) else 0
        if weeks < 2 * STEP_WEEKS:
            return cls.none(as_of_date)
        week = (-1 - days) // DAYS_PER_WEEK
        counts = np.bincount(week[week < weeks], minlength=weeks)
        origin = as_of_date.toordinal()
        return replace(
            _estimated(counts, origin, special),
            ahead=WeeksAhead.of([*_backcasts(counts, origin, special)]),
        )

    @classmethod
    def none(cls, as_of_date: date) -> "Season":
        """All days alike."""
        effects, weeks, none = np.zeros(2 * HARMONICS + 1), np.zeros(YEAR_WEEKS), np.zeros(0)
        return cls(effects, weeks, none, none, WeeksAhead.of([]), as_of_date.toordinal())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> "Season":
        """From what ``arrays`` gave."""
        return cls(
            effects=arrays["season"],
            weeks=arrays["season_weeks"],
            observed=arrays["season_observed"],
            special=arrays["season_special"],
            ahead=WeeksAhead(*map(float, arrays["season_ahead"])),
            origin=int(arrays["season_origin"][0]),
            **_days_of(arrays),
        )

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """To be saved, by name."""
        return {
            "season": self.effects,
            "season_weeks": self.weeks,
            "season_observed": self.observed,
            "season_special": self.special,
            "season_ahead": np.array(astuple(self.ahead)),
            "season_origin": np.array([self.origin]),
            **({} if not len(self.day_effects) else self._day_arrays),
        }

    @property
    def _day_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "season_days": self.days.day,
            "season_day_kinds": self.days.kind,
            "season_day_groups": self.days.group,
            "season_day_names": np.frombuffer("\n".join(self.days.names).encode(), dtype=np.uint8),
            "season_business_days": np.array(self.days.business, dtype=np.int64),
            "season_day_effects": self.day_effects,
        }

    @property
    def event_days(self) -> dict[str, tuple[date, ...]]:
        """By kind of special day that there was before the origin: all its days that are known."""
        return self.days.days_of_kinds(self.origin)

    def with_events(self, events: Sequence[Event], as_of_date: date) -> "Season":
        """As it is with further events of kinds that it knows; weeks before the date stay."""
        special = self.days.with_events(events)
        start = _weeks_from(self.origin, len(self.special) - AHEAD_WEEKS)
        moved = _columns_of(special, start) @ self.day_effects
        ahead = start + DAYS_PER_WEEK > as_of_date.toordinal()
        return replace(self, special=np.where(ahead, moved, self.special), days=special)

    def log_level(self, as_of_date: date, days: Ints) -> Floats:
        """Log level of each of ``days``, counted from the date, [days]."""
        ordinal = as_of_date.toordinal() + days
        columns = _columns(ordinal)
        level: Floats = (columns * self.effects).sum(axis=1)  # by ``@`` it would vary with the rows
        week = (self.origin - 1 - ordinal) // DAYS_PER_WEEK
        level += self._standing_out(week) * np.where(week < 0, self.ahead.share, 1.0)
        seen = (week >= 0) & (week < len(self.observed))
        level[seen] += self.observed[week[seen]]
        return level

    def week_levels(self, as_of_date: date, weeks: int) -> Floats:
        """Mean level of each week from the date on, [weeks]."""
        days = np.arange(DAYS_PER_WEEK * weeks)
        levels = np.exp(self.log_level(as_of_date, days)).reshape(weeks, DAYS_PER_WEEK)
        mean: Floats = levels.mean(axis=1)
        return mean

    def week_factors(
        self, as_of_date: date, weeks: int, draws: int, rng: np.random.Generator
    ) -> Floats:
        """By how many times each week from the date on may be off its level, [weeks, draws]."""
        middle = as_of_date.toordinal() + DAYS_PER_WEEK * np.arange(weeks) + DAYS_PER_WEEK // 2
        out = self._standing_out((self.origin - 1 - middle) // DAYS_PER_WEEK)
        return self.ahead.factors(out, draws, rng)

    def _standing_out(self, week: Ints) -> Floats:
        """By how much each week, counted back from the origin, differs from its neighbours."""
        out = self.weeks[week % YEAR_WEEKS]
        at = week + AHEAD_WEEKS
        known = (at >= 0) & (at < len(self.special))
        out[known] += self.special[at[known]]
        return out


def _estimated(counts: Ints, origin: int, special: SpecialDays) -> Season:
    """The season in weekly ``counts``, the last week before the origin first."""
    weeks = len(counts)
    back = np.arange(weeks)
    seasonal = _columns(origin - DAYS_PER_WEEK * back - 4)
    recurring = (back[:, None] % YEAR_WEEKS == np.arange(YEAR_WEEKS)).astype(float)
    knots = np.arange(STEP_WEEKS, weeks, STEP_WEEKS)
    since = weeks - 1 - back
    steps = np.clip((since[:, None] - knots + STEP_WEEKS / 2) / STEP_WEEKS, 0, 1)
    start = _weeks_from(origin, weeks)
    of_days, groups = _columns_of(special, start), special.by_group(start).shape[1]
    design = np.column_stack([np.ones(weeks), steps, seasonal, recurring, of_days[AHEAD_WEEKS:]])
    harmonic = np.repeat(np.sqrt(np.arange(1, HARMONICS + 1)) / HARMONIC_SD, 2)
    precision = np.concatenate([
        [1e-3], np.full(len(knots), 1 / STEP_SD), harmonic, [1 / YEAR_END_SD],
        np.full(YEAR_WEEKS, 1 / WEEK_SD),
        np.full(groups, 1 / GROUP_SD), np.full(of_days.shape[1] - groups, 1 / KIND_SD),
    ])  # fmt: skip
    noise = np.sqrt(NOISE_SD**2 + 1.0 / (counts.mean() + 0.5))  # the weeks', and of counting
    log_counts, weight = np.log(counts + 0.5), np.ones(weeks)
    first = 1 + len(knots) + seasonal.shape[1]
    of_weeks = slice(first, first + YEAR_WEEKS)
    for _ in range(ROUNDS):
        weighted = design * (weight / noise**2)[:, None]
        normal = weighted.T @ design + np.diag(precision**2)
        effects = np.linalg.solve(normal, weighted.T @ log_counts)
        deviation = np.abs(log_counts - design @ effects) / noise
        weight = np.minimum(1.0, OUTLIER / np.maximum(deviation, 1e-9))
        precision[of_weeks] = np.sqrt(2.0 / (WEEK_SD**2 + effects[of_weeks] ** 2))
    left = log_counts - design @ effects
    return Season(
        effects=effects[1 + len(knots) : first],
        weeks=effects[of_weeks],
        observed=left * NOISE_SD**2 / (NOISE_SD**2 + 1.0 / (counts + 0.5)),
        special=of_days @ effects[of_weeks.stop :],
        ahead=WeeksAhead(0.0, 0.0, 1.0),
        origin=origin,
        days=special,
        day_effects=effects[of_weeks.stop :],
    )


def _weeks_from(origin: int, weeks: int) -> Ints:
    """First ordinal days of weeks, the last of those ahead first, [AHEAD_WEEKS + weeks]."""
    return origin - DAYS_PER_WEEK * (np.arange(-AHEAD_WEEKS, weeks) + 1)


def _columns_of(special: SpecialDays, start: Ints) -> Floats:
    """Days of groups, then of kinds, in weeks and beside them, [weeks, 3 (groups + kinds)]."""
    return np.hstack([special.by_group(start), special.by_kind(start)])


def _days_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The special days among what was saved, if it has any."""
    if "season_day_effects" not in arrays:
        return {}
    names = arrays["season_day_names"].astype(np.uint8).tobytes().decode().split("\n")
    day, kind, group = (arrays[name].astype(np.int64) for name in DAY_COLUMNS)
    business = tuple(map(bool, arrays["season_business_days"]))
    return {
        "days": SpecialDays(day, kind, group, tuple(names), business),
        "day_effects": arrays["season_day_effects"],
    }


def _backcasts(counts: Ints, origin: int, special: SpecialDays) -> Iterator[Backcast]:
    """What came after earlier dates whose seasons knew a year or more."""
    for i in range(1, BACKCASTS + 1):
        back = BACKCAST_WEEKS * i
        if len(counts) < back + YEAR_WEEKS:
            return
        earlier = _estimated(counts[back:], origin - DAYS_PER_WEEK * back, special)
        ahead = -1 - np.arange(BACKCAST_WEEKS)
        came = counts[back - BACKCAST_WEEKS : back][::-1].astype(float)
        middle = earlier.origin - DAYS_PER_WEEK * (ahead + 1) + DAYS_PER_WEEK // 2
        smooth = (_columns(middle) * earlier.effects).sum(axis=1)
        out = earlier._standing_out(ahead)
        yield Backcast(np.log(came + 0.5), smooth, out, 1.0 / (came + 0.5))


def _columns(ordinal: Ints) -> Floats:
    """Sines and cosines of the year, and the bump at its end, [days, 2 HARMONICS + 1]."""
    since = ordinal - YEAR_END.toordinal()
    phase = 2 * np.pi * (since / YEAR_DAYS)[:, None] * np.arange(1, HARMONICS + 1)
    from_year_end = np.abs((since + YEAR_DAYS / 2) % YEAR_DAYS - YEAR_DAYS / 2)
    bump = np.maximum(0.0, 1.0 - from_year_end / YEAR_END_DAYS)
    return np.concatenate([np.sin(phase), np.cos(phase), bump[:, None]], axis=1)
