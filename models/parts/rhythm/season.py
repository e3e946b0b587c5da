"""The season: how the level of all orders moves with the date, the same every year.

Log weekly order counts before the as-of date are a level, a random walk, annual harmonics and a
bump around the turn of the year, fitted by ridge regression, robustly: a week that stands out
counts for less. It is estimated once, on totals of all products, and taken as known. A history
shorter than a year leaves most of it at what the prior says: nothing.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints

YEAR_DAYS = 365.2425
HARMONICS = 4
HARMONIC_SD = 0.15
"""Prior deviation of the first harmonic; that of harmonic k is smaller by √k."""
YEAR_END, YEAR_END_DAYS, YEAR_END_SD = date(2000, 12, 27), 9.0, 0.7
STEP_WEEKS, STEP_SD = 4, 0.06
NOISE_SD = 0.12
OUTLIER = 2.5
"""Deviations beyond so many standard deviations are held down to it (Huber's weights)."""
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Season:
    """``log_level`` of any day, relative to the year's mean; ``effects`` as in ``_columns``."""

    effects: Floats  # [2 HARMONICS + 1]

    @classmethod
    def of(cls, days: Ints, as_of_date: date) -> "Season":
        """The season in all order events, which took place on ``days`` before the date."""
        weeks = int(-days.min()) // DAYS_PER_WEEK if len(days) else 0
        if weeks < 2 * STEP_WEEKS:
            return cls(np.zeros(2 * HARMONICS + 1))
        week = (-1 - days) // DAYS_PER_WEEK
        counts = np.bincount(week[week < weeks], minlength=weeks)[::-1]
        middle = as_of_date.toordinal() - DAYS_PER_WEEK * np.arange(weeks, 0, -1) + 3
        seasonal = _columns(middle)
        knots = np.arange(STEP_WEEKS, weeks, STEP_WEEKS)
        steps = np.clip((np.arange(weeks)[:, None] - knots + STEP_WEEKS / 2) / STEP_WEEKS, 0, 1)
        design = np.column_stack([np.ones(weeks), seasonal, steps])
        harmonic = np.repeat(np.sqrt(np.arange(1, HARMONICS + 1)) / HARMONIC_SD, 2)
        precision = np.concatenate(
            [[1e-3], harmonic, [1 / YEAR_END_SD], np.full(len(knots), 1 / STEP_SD)]
        )
        log_counts, weight = np.log(counts + 0.5), np.ones(weeks)
        for _ in range(ROUNDS):
            weighted = design * (weight / NOISE_SD**2)[:, None]
            normal = weighted.T @ design + np.diag(precision**2)
            effects = np.linalg.solve(normal, weighted.T @ log_counts)
            deviation = np.abs(log_counts - design @ effects) / NOISE_SD
            weight = np.minimum(1.0, OUTLIER / np.maximum(deviation, 1e-9))
        return cls(effects[1 : 1 + seasonal.shape[1]])

    def log_level(self, as_of_date: date, days: Ints) -> Floats:
        """Log level of each of ``days``, counted from the date, [days]."""
        columns = _columns(as_of_date.toordinal() + days)
        level: Floats = (columns * self.effects).sum(axis=1)  # by ``@`` it would vary with the rows
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
