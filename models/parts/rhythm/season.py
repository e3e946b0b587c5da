"""The season: how the level of all orders moves with the date.

Log weekly order counts before the as-of date are a level, a random walk, annual harmonics, a bump
around the turn of the year, an effect of each week of the year (counted in steps of 52 weeks, so
that holidays on a fixed weekday come back in the same week), and what is left. They are fitted by
ridge regression, robustly: a week that stands out counts for less, unless it stands out every year.
Effects of weeks are Cauchy: most weeks are like their neighbours, some hold a holiday.

It is estimated once, on totals of all products, and taken as known. A history shorter than a year
leaves most of it at what the prior says: nothing.

The past is measured in days as they were: there the level of a week is what was observed over the
slow walk, whatever the reason; only weeks to come are what the season says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
OUTLIER = 2.5
"""Deviations beyond so many standard deviations are held down to it (Huber's weights)."""
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Season:
    """``log_level`` of any day, relative to the year's mean.

    Weeks are counted back from ``origin``, the date it was estimated at: week 0 is the last before.
    """

    effects: Floats  # [2 HARMONICS + 1], as in ``_columns``
    weeks: Floats  # [YEAR_WEEKS], of weeks 0, 52, 104, … before the origin, of 1, 53, …
    observed: Floats  # [weeks], what is left of each week before the origin
    origin: int  # ordinal of the date

    @classmethod
    def of(cls, days: Ints, as_of_date: date) -> "Season":
        """The season in all order events, which took place on ``days`` before the date."""
        weeks = int(-days.min()) // DAYS_PER_WEEK if len(days) else 0
        if weeks < 2 * STEP_WEEKS:
            return cls.none(as_of_date)
        week = (-1 - days) // DAYS_PER_WEEK
        back = np.arange(weeks)
        counts = np.bincount(week[week < weeks], minlength=weeks)
        seasonal = _columns(as_of_date.toordinal() - DAYS_PER_WEEK * back - 4)
        recurring = (back[:, None] % YEAR_WEEKS == np.arange(YEAR_WEEKS)).astype(float)
        knots = np.arange(STEP_WEEKS, weeks, STEP_WEEKS)
        since = weeks - 1 - back
        steps = np.clip((since[:, None] - knots + STEP_WEEKS / 2) / STEP_WEEKS, 0, 1)
        design = np.column_stack([np.ones(weeks), steps, seasonal, recurring])
        harmonic = np.repeat(np.sqrt(np.arange(1, HARMONICS + 1)) / HARMONIC_SD, 2)
        precision = np.concatenate([
            [1e-3], np.full(len(knots), 1 / STEP_SD), harmonic, [1 / YEAR_END_SD],
            np.full(YEAR_WEEKS, 1 / WEEK_SD),
        ])  # fmt: skip
        noise = np.sqrt(NOISE_SD**2 + 1.0 / (counts.mean() + 0.5))  # the weeks', and of counting
        log_counts, weight = np.log(counts + 0.5), np.ones(weeks)
        of_weeks = slice(len(precision) - YEAR_WEEKS, None)
        for _ in range(ROUNDS):
            weighted = design * (weight / noise**2)[:, None]
            normal = weighted.T @ design + np.diag(precision**2)
            effects = np.linalg.solve(normal, weighted.T @ log_counts)
            deviation = np.abs(log_counts - design @ effects) / noise
            weight = np.minimum(1.0, OUTLIER / np.maximum(deviation, 1e-9))
            precision[of_weeks] = np.sqrt(2.0 / (WEEK_SD**2 + effects[of_weeks] ** 2))
        start = 1 + len(knots)
        left = log_counts - design @ effects
        return cls(
            effects=effects[start : of_weeks.start],
            weeks=effects[of_weeks],
            observed=left * NOISE_SD**2 / (NOISE_SD**2 + 1.0 / (counts + 0.5)),
            origin=as_of_date.toordinal(),
        )

    @classmethod
    def none(cls, as_of_date: date) -> "Season":
        """All days alike."""
        effects, weeks = np.zeros(2 * HARMONICS + 1), np.zeros(YEAR_WEEKS)
        return cls(effects, weeks, np.zeros(0), as_of_date.toordinal())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> "Season":
        """From what ``arrays`` gave."""
        origin = int(arrays["season_origin"][0])
        return cls(arrays["season"], arrays["season_weeks"], arrays["season_observed"], origin)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """To be saved, by name."""
        return {
            "season": self.effects,
            "season_weeks": self.weeks,
            "season_observed": self.observed,
            "season_origin": np.array([self.origin]),
        }

    def log_level(self, as_of_date: date, days: Ints) -> Floats:
        """Log level of each of ``days``, counted from the date, [days]."""
        ordinal = as_of_date.toordinal() + days
        columns = _columns(ordinal)
        level: Floats = (columns * self.effects).sum(axis=1)  # by ``@`` it would vary with the rows
        week = (self.origin - 1 - ordinal) // DAYS_PER_WEEK
        level += self.weeks[week % YEAR_WEEKS]
        seen = (week >= 0) & (week < len(self.observed))
        level[seen] += self.observed[week[seen]]
        return level

    def week_levels(self, as_of_date: date, weeks: int) -> Floats:
        """Mean level of each week from the date on, [weeks]."""
        days = np.arange(DAYS_PER_WEEK * weeks)
        levels = np.exp(self.log_level(as_of_date, days)).reshape(weeks, DAYS_PER_WEEK)
        mean: Floats = levels.mean(axis=1)
        return mean


def _columns(ordinal: Ints) -> Floats:
    """Sines and cosines of the year, and the bump at its end, [days, 2 HARMONICS + 1]."""
    since = ordinal - YEAR_END.toordinal()
    phase = 2 * np.pi * (since / YEAR_DAYS)[:, None] * np.arange(1, HARMONICS + 1)
    from_year_end = np.abs((since + YEAR_DAYS / 2) % YEAR_DAYS - YEAR_DAYS / 2)
    bump = np.maximum(0.0, 1.0 - from_year_end / YEAR_END_DAYS)
    return np.concatenate([np.sin(phase), np.cos(phase), bump[:, None]], axis=1)
