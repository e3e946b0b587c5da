"""A product's own past year, as a forecast of the weeks to come: what versions are held beside.

It takes no fit and no other version, and is the same in a backtest and in a watch. Week by week its
52 weeks before the as-of date are a distribution, weeks of each quarter counting half as much as
those of the quarter after it, and weeks before the first order of all products not at all; the same
week of the year before speaks of the season.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.scores.metrics import crps_draws
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns, by_week

YEAR = 52
TIMES = np.repeat([1, 2, 4, 8], YEAR // 4)
"""So often each of the weeks counts, oldest first."""


@dataclass(frozen=True, slots=True)
class PastYear:
    """Units of products in the ``YEAR`` weeks before an as-of date, the oldest first."""

    product_id: Ints  # [products], ascending
    quantity: NDArray[np.float32]  # [products, YEAR]

    @classmethod
    def of(cls, patterns: Patterns) -> "PastYear":
        """From the order events of ``patterns``, all before their as-of date."""
        product_id, _ = patterns.product_offsets()
        events = patterns.events
        row = np.searchsorted(product_id, events.product_id)
        day = events.day + DAYS_PER_WEEK * YEAR
        units = by_week(row, day, events.quantity, len(product_id), YEAR)
        return cls(product_id, units.astype(np.float32))

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "PastYear":
        """Of what ``to_table`` made, of one as-of date."""
        table = table.sort_values("product_id")
        weeks = np.array(table["weeks"].tolist(), dtype=np.float32)
        return cls(table["product_id"].to_numpy(), weeks.reshape(len(table), YEAR))

    def to_table(self) -> pd.DataFrame:
        """A row per product, with ``weeks`` in a list."""
        return pd.DataFrame({"product_id": self.product_id, "weeks": [*self.quantity]})

    def expected(self, product_id: Ints) -> Floats:
        """Mean of the weeks as they count, [products asked for]."""
        times = self._times()
        mean: Floats = self._of(product_id) @ times / max(1, times.sum())
        return mean

    def a_year_before(self, product_id: Ints, week: int) -> Floats:
        """Units in the week 52 weeks before ``week``, from 1, [products asked for]."""
        return self._of(product_id)[:, week - 1] if week <= YEAR else np.full(len(product_id), 0.0)

    def crps(self, product_id: Ints, actual: Floats, total: float) -> Floats:
        """CRPS of the weeks where their means are made to sum up to ``total``, [products]."""
        mean = self.expected(product_id).sum()
        if not mean > 0:
            return np.full(len(product_id), np.nan)
        weeks = self._of(product_id) * (total / mean)
        return crps_draws(np.repeat(weeks, self._times(), axis=1), actual)

    def _times(self) -> Ints:
        """So often each of the weeks counts, [YEAR]."""
        begun = np.logical_or.accumulate((self.quantity > 0).any(axis=0))
        return np.where(begun, TIMES, 0)

    def _of(self, product_id: Ints) -> Floats:
        return self.quantity[np.searchsorted(self.product_id, product_id)].astype(float)
