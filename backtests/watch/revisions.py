"""What a forecast expects of weeks that the forecast before it had, too: does it jump?

Nothing was ordered in between that one week could be blamed for, and a jump is over in one
forecast: each revision is held against those before it, and none are summed up. The further as-of
dates lie apart, the wider they are: a forecast that uses all it knows goes a random walk, so mean
and variance grow with the weeks between. Of n revisions x over g weeks each, a new one is

    z = (x − m g) / √(s² g (1 + g / Σg)),  m = Σx / Σg,  s² = Σ (x − m g)² / g / (n − 1),

off, which is Student's t with n − 1 degrees of freedom (a self-starting chart; Hawkins 1987,
doi:10.2307/2348827). An alarm is a z that so many degrees, or ten where they are more, exceed once
in a century in one of all charts: ten, as tails of revisions are somewhat heavier than Gaussian
ones (excess kurtosis 1 as of Student's). With fewer degrees z is made as rare on the scale of ten.

Known are those of the backtest and of the watch before it, the last 52. Those of a backtest that
fits anew at each date are wider than those of one fit: where the variance is more than three times
that of twelve or more of the watch, these count alone. One that sounded is not usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from backtests.watch.charts import CENTURY_WEEKS, CHARTS, REVISION
from backtests.watch.figure import ChartState
from toolkit.data.tables import DAYS_PER_WEEK, Floats

FEWEST, LATEST = 6, 52
"""Revisions for a chart, and no more than these."""

ALONE, WIDER = 12, 3.0
"""So many of the watch count alone, where the backtest's have so much more variance."""

ROUNDING = 1e-6
"""A model may expect the same of a week at any date, to a few figures."""

DEGREES = 10
CHANCE = 1.0 / (len(CHARTS) * CENTURY_WEEKS)
"""Of a false alarm, of a revision."""

STANDS = 4
"""So many forecasts an alarm stands."""

MEASURE = f"furthest of {STANDS} forecasts, in deviations,"


class Revision(NamedTuple):
    """A forecast against the one before, of another as-of date."""

    as_of_date: pd.Timestamp
    weeks: int  # between the dates
    move: float  # log of the ratio of what both expect of the weeks that both have


def revisions(expected: Mapping[pd.Timestamp, Floats]) -> list[Revision]:
    """By how much each forecast moved what the one before expected of the same weeks.

    ``expected``: units of all products by as-of date, [weeks]. Left out where dates are not whole
    weeks apart, or no week is in both.
    """
    found = []
    dates = sorted(expected)
    for before, day in pairwise(dates):
        gap, rest = divmod((day - before).days, DAYS_PER_WEEK)
        shared = min(len(expected[before]) - gap, len(expected[day]))
        if rest == 0 and shared > 0:
            sums = expected[day][:shared].sum(), expected[before][gap : gap + shared].sum()
            if all(units > 0 for units in sums):  # not where they are unknown, NaN
                found.append(Revision(day, gap, float(np.log(sums[0] / sums[1]))))
    return found


class Usual(NamedTuple):
    """What revisions are, per week between as-of dates, by those that are known."""

    mean: float
    deviation: float
    weeks: int  # of all of them together
    degrees: int

    @classmethod
    def of(cls, known: Sequence[Revision]) -> "Usual | None":
        """None where they are too few, or differ by rounding alone."""
        if len(known) < FEWEST:
            return None
        gap = np.array([one.weeks for one in known], dtype=float)
        move = np.array([one.move for one in known])
        mean = move.sum() / gap.sum()
        degrees = len(known) - 1
        deviation = float(np.sqrt(((move - mean * gap) ** 2 / gap).sum() / degrees))
        if not deviation > ROUNDING:
            return None
        return cls(float(mean), deviation, int(gap.sum()), degrees)

    def off(self, one: Revision) -> float:
        """z of a new revision, on the scale of ``DEGREES``."""
        width = self.deviation * np.sqrt(one.weeks * (1.0 + one.weeks / self.weeks))
        rarity = limit_of(DEGREES) / limit_of(min(self.degrees, DEGREES))
        return float((one.move - self.mean * one.weeks) / width * rarity)


@cache
def limit_of(degrees: int) -> float:
    """What Student's t exceeds either way with ``CHANCE``."""
    return float(stats.t.isf(CHANCE / 2, degrees))


LIMIT = limit_of(DEGREES)


def usual_of(own: Sequence[Revision], before: Sequence[Revision]) -> Usual | None:
    """What is known from those of a watch, after a backtest's; None where they are too few."""
    alone, earlier = Usual.of(own[-LATEST:]), Usual.of(before)
    if (
        alone is not None
        and earlier is not None
        and len(own) >= ALONE
        and earlier.deviation**2 > WIDER * alone.deviation**2
    ):
        return alone
    return Usual.of([*before, *own][-LATEST:])


def state_of_revisions(moves: Sequence[Revision], before: Sequence[Revision]) -> ChartState:
    """Where the chart stands: ``moves`` of a watch, after those of a backtest.

    Of a backtest that was run during the watch, those before it: its later ones are these again.
    """
    before = [one for one in before if not moves or one.as_of_date < moves[0].as_of_date]
    own: list[Revision] = []
    far: list[float] = []
    usual = usual_of(own, before)
    for one in moves:
        off = 0.0 if usual is None else abs(usual.off(one))
        far.append(off)
        if off <= LIMIT:
            own.append(one)
        usual = usual_of(own, before)
    highest = [max(far[max(0, i + 1 - STANDS) : i + 1]) for i in range(len(far))]
    values = [REVISION.shown(one.move) for one in moves]
    days = [one.as_of_date.date() for one in moves]
    state = ChartState(
        REVISION.name,
        REVISION.title,
        len(moves),
        values[-1] if values else None,
        history=tuple(zip(days, values, [None] * len(days), strict=True)),
        measure=MEASURE,
    )
    if usual is None:
        return state
    above = [total > LIMIT for total in highest]
    begun = len(above) - (above[::-1].index(False) if False in above else len(above))
    low, high = usual.mean - usual.deviation, usual.mean + usual.deviation
    return replace(
        state,
        usual=(REVISION.shown(low), REVISION.shown(high)),
        sum=highest[-1] if highest else 0.0,
        limit=LIMIT,
        since=days[begun] if begun < len(days) else None,
        history=tuple(zip(days, values, highest, strict=True)),
    )
