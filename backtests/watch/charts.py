"""Control charts of a released version: does it do as well as its backtest promised?

Each chart has a number for each week. Its mean and deviation come from the backtest; the sum of
what lies further than one deviation from the mean (CUSUM, Page 1954, doi:10.2307/2333009),

    S = max(0, S + z − 1),  z = (x − mean) / deviation,

starts from 0, in both directions where both are bad. Where outcomes are in x, z is at most 8 either
way: no single week decides. An alarm stands while a sum is above its limit, and a sum rises no
further than 8 above it: where a cause was removed, the alarm ends within eight usual weeks.

The limit is what the sum stays below for a hundred years in a share .56^(1/charts) of simulated
centuries. These are the backtest's weeks drawn at random with a Gaussian kernel (a smoothed
bootstrap; bandwidth by Silverman 1986, ISBN 978-0412246203), mean and deviation each time estimated
from another such sample, since they are not known any better: once one by one and once four by four
as they came, since weeks that follow each other may be alike; the larger limit counts. Of Gaussian
weeks a chart then is quiet in .88 of all centuries, measured: seven in .41, which are .9 false
alarms a century (−log .41, alarms being rare and independent).

A holiday moves whatever is scored in its week. What the reference expected of the week tells how
far off it was: c, the log of what came over that. Charts with a ``control`` follow

    x − slope · (c − mean of c)

in place of x, with the slope of least squares in the backtest's weeks (a control variate;
Glasserman 2003, ISBN 978-0387004518, 4.1). What moves all forecasts moves it less, and a shift of
the version alone as before. c is cut to what it was in the backtest. Residuals are divided by one
less their leverage, so that limits allow for the slope's uncertainty, too.

A week that brought nothing counts for a hundredth of what was expected, in both.

A shift by three deviations sounds within a month or so; one by less than a deviation never does.

Revisions are of forecasts alone. Those of a backtest that fits anew at each date are wider than
those of one fit: the first twelve of the watch take their place as soon as there are more, and
later all but the last twelve, up to 48, unless they sounded.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from backtests.scores.weekly import KEYS
from toolkit.data.tables import DAYS_PER_WEEK, Floats

REFERENCE = 1.0
"""Deviations that a week may lie off without adding to the sum."""
BLOCK = 4
FEWEST_WEEKS, FEWEST_REVISIONS = 24, 6
"""Of the backtest, for a limit."""
FIRST_REVISIONS, MOST_FIRST_REVISIONS = 12, 48
"""Of the watch, in place of the backtest's."""
CENTURIES, CENTURY_WEEKS = 300, 5200
QUIET = 0.56
"""So many simulated centuries have no alarm: of all charts, no more than one a century sounds."""
LEAST_RATIO = 0.01
"""Units of a week that brought less, or nothing, count for this share of the expected ones."""
ABOVE_LIMIT = 8.0
"""So far above its limit a sum may rise."""
BANDWIDTH = 1.06
"""Of the kernel, in deviations, times the number of weeks to the power −⅕."""

MAX_SAMPLE = 1.5  # deviations of samples are not taken to be smaller than 1 / 1.5 of the whole's


@dataclass(frozen=True, slots=True)
class Chart:
    """A number of each week.

    ``both``: too small is bad, too. ``ratio``: it is the log of a ratio. ``widest``: no week counts
    for more deviations. ``control``: the column of ``values_of`` that tells how far off it was.
    """

    name: str
    title: str
    _: KW_ONLY
    both: bool
    ratio: bool = True
    widest: float = 8.0
    control: str | None = None

    def shown(self, value: float) -> float:
        """The ratio, where the number is its log."""
        return math.exp(value) if self.ratio else value


LEVEL = Chart("level", "units ordered over units expected", both=True)
REVISION = Chart(
    "revision",
    "what is expected of the same weeks, over the forecast before",
    both=True,
    widest=np.inf,
)
UNITS_OFF, ORDERS_OFF = "units_off", "orders_off"
"""How far off a week was from what the reference expected, in units, and in pairs that order."""

BIAS = Chart(
    "bias", "units ordered over units expected, beside the reference", both=True, control=UNITS_OFF
)
PAIRS = Chart(
    "pairs", "log loss of who orders, over the reference's", both=False, control=ORDERS_OFF
)
UNITS = Chart(
    "units", "CRPS of units by product, over the reference's", both=False, control=UNITS_OFF
)
HELD = Chart("held", "share of product-weeks in their 80 % interval", both=True, ratio=False)
CUSTOMERS = Chart(
    "customers", "share of regular customers silent for two weeks", both=False, ratio=False
)
OF_A_VERSION = (LEVEL, BIAS, REVISION, PAIRS, UNITS, HELD)
HELD_AGAINST_REFERENCE = (BIAS, PAIRS, UNITS)
CHARTS = (*OF_A_VERSION, CUSTOMERS)


class Revision(NamedTuple):
    """A forecast against the one before, of another as-of date."""

    as_of_date: pd.Timestamp
    weeks: int  # between the dates
    move: float  # log of the ratio of what both expect of the weeks that both have


def values_of(own: pd.DataFrame, reference: pd.DataFrame | None) -> pd.DataFrame:
    """The charts of single weeks (all but ``REVISION``) by name, and their controls, as ``own``.

    ``own``, ``reference``: rows of ``weekly`` tables of one version each. Ratios are logs; NaN
    where one side has nothing.
    """
    level = _over(own["units"], own["expected_units"])
    table = pd.DataFrame(
        {
            LEVEL.name: level,
            BIAS.name: level,
            HELD.name: own["held"] / own["product_weeks"].where(own["product_weeks"] > 0),
        },
        own.index,
    )
    keys = list(KEYS[1:])
    if reference is None:
        return table.assign(
            **dict.fromkeys((PAIRS.name, UNITS.name, UNITS_OFF, ORDERS_OFF), np.nan)
        )
    other = own[keys].merge(reference, how="left", on=keys).set_axis(own.index)
    roots = _log(own["root_crps"] / own["product_weeks"]) - _log(
        other["root_crps"] / other["product_weeks"]
    )
    return table.assign(
        **{
            PAIRS.name: _log(own["loss"] / own["pairs"]) - _log(other["loss"] / other["pairs"]),
            UNITS.name: 2.0 * roots,  # squared, it is a CRPS again: 5 % worse is 5 % more
            UNITS_OFF: _over(own["units"], other["expected_units"]),
            ORDERS_OFF: _over(own["ordered"], other["expected_pairs"]),
        }
    )


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
            if min(sums) > 0:
                found.append(Revision(day, gap, float(np.log(sums[0] / sums[1]))))
    return found


@dataclass(frozen=True, slots=True)
class Promise:
    """What the backtest says of a chart: its mean and deviation, and the limit of its sums.

    ``drift``: the values are sums over some weeks, whose mean and variance grow with them.
    ``slope``: on the chart's control, which in the backtest was ``control`` (mean, least, most).
    """

    mean: float
    deviation: float
    limit: float
    drift: bool = False
    slope: float = 0.0
    control: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def steadied(self, value: Floats, control: Floats) -> Floats:
        """The values [weeks], as they were in a week that is no further off than is usual."""
        mean, least, most = self.control
        return value - self.slope * (np.clip(control, least, most) - mean)

    def standardized(self, value: Floats, weeks: Floats) -> Floats:
        """Deviations from the mean; ``weeks`` [values] counts for what drifts."""
        if not self.drift:
            return (value - self.mean) / self.deviation
        return (value - self.mean * weeks) / (self.deviation * np.sqrt(weeks))


def promise_of_weeks(
    chart: Chart, blocks: Sequence[Floats], controls: Sequence[Floats] | None = None
) -> Promise | None:
    """From the values of consecutive weeks, a block for each; None where they are too few.

    ``controls``: as ``blocks``, for a chart that has one. Blocks are cut to ``BLOCK`` weeks; rests
    are left out.
    """
    given = [np.zeros(len(block)) for block in blocks] if controls is None else controls
    cut = [
        (block[start : start + BLOCK], control[start : start + BLOCK])
        for block, control in zip(blocks, given, strict=True)
        for start in range(0, len(block) - BLOCK + 1, BLOCK)
    ]
    whole = np.array([part for part in cut if np.isfinite(part).all()]).reshape(-1, 2, BLOCK)
    value, control = whole[:, 0], whole[:, 1]  # [blocks, weeks]
    if value.size < FEWEST_WEEKS:
        return None
    off = control - control.mean()
    spread = float((off**2).sum())
    if not spread > 0:
        return _promise(chart, value)
    slope = float((off * value).sum()) / spread
    left = (value - value.mean() - slope * off) / (1.0 - off**2 / spread)
    found = _promise(chart, value.mean() + left - left.mean())
    usual = float(control.mean()), float(control.min()), float(control.max())
    return None if found is None else replace(found, slope=slope, control=usual)


def promise_of_revisions(moves: Sequence[Revision]) -> Promise | None:
    """From revisions, of the backtest or the first of the watch; None where they are too few."""
    if len(moves) < FEWEST_REVISIONS:
        return None
    gap = np.array([gap for _, gap, _ in moves], dtype=float)
    move = np.array([move for _, _, move in moves])
    mean = move.sum() / gap.sum()
    of_a_week = mean + (move - mean * gap) / np.sqrt(gap)
    return _promise(REVISION, of_a_week[:, None], drift=True)


def _promise(chart: Chart, blocks: Floats, drift: bool = False) -> Promise | None:
    """``blocks`` [blocks, weeks]; None where no week differs from another."""
    deviation = float(blocks.std(ddof=1))
    if not deviation > 0:
        return None
    singly = _limit(chart, blocks.tobytes(), (blocks.size, 1))
    limit = max(singly, _limit(chart, blocks.tobytes(), blocks.shape))
    return Promise(float(blocks.mean()), deviation, limit, drift)


def sums(chart: Chart, z: Floats, limit: float) -> Floats:
    """S after each value [values], the larger one of both directions; NaN changes nothing."""
    up = down = 0.0
    highest = limit + ABOVE_LIMIT
    out = np.empty(len(z))
    for place, value in enumerate(np.clip(z, -chart.widest, chart.widest).tolist()):
        if np.isfinite(value):
            up = min(max(0.0, up + value - REFERENCE), highest)
            down = min(max(0.0, down - value - REFERENCE), highest) if chart.both else 0.0
        out[place] = max(up, down)
    return out


@lru_cache(maxsize=32)
def _limit(chart: Chart, content: bytes, shape: tuple[int, ...]) -> float:
    """What S stays below for a century in a share of simulated ones."""
    blocks = np.frombuffer(content).reshape(shape)
    rng = np.random.default_rng(0)
    n, length = shape
    mean, deviation = blocks.mean(), blocks.std(ddof=1)
    width = BANDWIDTH * blocks.size**-0.2

    def smooth(values: Floats) -> Floats:
        noise = width * deviation * rng.standard_normal(values.shape)
        return np.asarray(mean + (values - mean + noise) / np.hypot(1.0, width))

    sample = smooth(blocks[rng.integers(n, size=(CENTURIES, n))]).reshape(CENTURIES, -1)
    means = sample.mean(axis=1)
    deviations = np.maximum(sample.std(axis=1, ddof=1), deviation / MAX_SAMPLE)
    up, down, highest = np.zeros((3, CENTURIES))
    for week in range(CENTURY_WEEKS):
        if week % length == 0:
            drawn = blocks[rng.integers(n, size=CENTURIES)]
        z = (smooth(drawn[:, week % length]) - means) / deviations
        z = np.clip(z, -chart.widest, chart.widest)
        up = np.maximum(0.0, up + z - REFERENCE)
        down = np.maximum(0.0, down - z - REFERENCE)
        highest = np.maximum(highest, np.maximum(up, down) if chart.both else up)
    return float(np.quantile(highest, QUIET ** (1 / len(CHARTS))))


def _over(came: pd.Series, expected: pd.Series) -> Floats:
    """The log of what came over what was expected; NaN where nothing was."""
    return _log((came / expected.where(expected > 0)).clip(lower=LEAST_RATIO))


def _log(values: pd.Series) -> Floats:
    """Logs, NaN of what is not positive."""
    number = values.to_numpy(dtype=float)
    return np.log(np.where(number > 0, number, np.nan))
