"""The wait for the next order as a hazard that is constant between given days.

From P(order by the end of a day) at a few days follow the date by quantile and the confidence.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, QUANTILES, REACH_DAYS, Floats, Ints, tolerance_days

STEP_DAYS = 28
NEVER_AGAIN = 1e-12


@dataclass(frozen=True, slots=True)
class Wait:
    """``hazard`` [pairs, knots] is −log P(no order within the first ``days`` [knots] days)."""

    days: Ints  # ascending, from 0
    hazard: Floats

    @classmethod
    def of(cls, days: Ints, p: Floats) -> "Wait":
        """From P(order within the first ``days`` days), [pairs, knots]; 0 at day 0."""
        return cls(days, -np.log(np.maximum(1.0 - p, NEVER_AGAIN)))

    def by(self, elapsed: Floats) -> Floats:
        """P(order within the first ``elapsed`` [pairs] days); the last knot's beyond it."""
        elapsed = np.clip(elapsed, 0.0, self.days[-1])
        right = np.clip(np.searchsorted(self.days, elapsed), 1, len(self.days) - 1)
        rows = np.arange(len(elapsed))
        share = (elapsed - self.days[right - 1]) / np.diff(self.days)[right - 1]
        low, high = self.hazard[rows, right - 1], self.hazard[rows, right]
        p: Floats = -np.expm1(-(low + share * (high - low)))
        return p

    def quantiles(self) -> Floats:
        """First day by whose end the order has come with each of QUANTILES, [pairs, QUANTILES].

        NaN where that is not within ``REACH_DAYS``.
        """
        return np.stack([self._quantile(level) for level in QUANTILES], axis=1)

    def _quantile(self, level: float) -> Floats:
        wanted = -np.log1p(-level)
        right = (self.hazard < wanted).sum(axis=1)
        reached = right < len(self.days)
        right = np.where(reached, right, 1)
        rows = np.arange(len(right))
        low, high = self.hazard[rows, right - 1], self.hazard[rows, right]
        share = (wanted - low) / np.where(high > low, high - low, 1.0)
        elapsed = self.days[right - 1] + share * np.diff(self.days)[right - 1]
        day = np.maximum(np.ceil(elapsed - 1e-9) - 1.0, 0.0)
        return np.where(reached & (day <= REACH_DAYS), day, np.nan)

    def confidence(self, day: Floats, expected_interval: Floats) -> Floats:
        """P(order within ± max(3 days, a quarter of the interval) of ``day``), 0 without a day."""
        tolerance = np.floor(tolerance_days(expected_interval))
        known = np.where(np.isfinite(day), day, 0.0)
        inside = self.by(known + tolerance + 1.0) - self.by(known - tolerance)
        return np.where(np.isfinite(day), np.clip(inside, 0.0, 1.0), 0.0)


def knots(weeks: int) -> Ints:
    """Days at which a wait is known: the weeks' ends, then every four weeks, as far as REACH."""
    ends = DAYS_PER_WEEK * np.arange(weeks + 1)
    later = np.arange(ends[-1] + STEP_DAYS, REACH_DAYS + 1, STEP_DAYS)
    return np.concatenate([ends, later, [max(REACH_DAYS + 1, ends[-1] + 1)]])
