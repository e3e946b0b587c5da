"""Control charts of a released version: does it do as well as its backtest promised?

Each chart has a number for each week. Its mean and deviation come from the backtest; the sum of
what lies further than one deviation from the mean (CUSUM, Page 1954, doi:10.2307/2333009),

    S = max(0, S + z − 1),  z = (x − mean) / deviation,

starts from 0, in both directions where both are bad. z is at most 8 either way, and a limit is no
less than what that adds: no single week decides. An alarm stands while a sum is above its limit,
and a sum rises no further than 8 above it: where a cause was removed, the alarm ends within eight
usual weeks.

The limit is what the sum stays below for a hundred years in a share .56^(1/charts) of simulated
centuries. These are the backtest's weeks drawn at random with a Gaussian kernel (a smoothed
bootstrap; bandwidth by Silverman 1986, ISBN 978-0412246203), mean and deviation each time estimated
from another such sample, since they are not known any better: once one by one and once four by four
as they came, since weeks that follow each other may be alike; the larger limit counts. Of Gaussian
weeks a chart then is quiet in .88 of all centuries, measured: seven in .41, which are .9 false
alarms a century (−log .41, alarms being rare and independent).

A holiday moves whatever is scored in its week. What others expected of the week tells how far off
it was: c, the log of what came over that. Charts with ``controls`` follow

    x − Σ slope · (c − mean of c)

in place of x, with the slopes of least squares in the backtest's weeks (control variates;
Glasserman 2003, ISBN 978-0387004518, 4.1). What moves all forecasts moves it less, and a shift of
the version alone as before. c is cut to what it was in the backtest; one that the backtest lacks in
a week is left out. Residuals are divided by one less their leverage, so that limits allow for the
slopes' uncertainty, too.

A week that brought nothing counts for a hundredth of what was expected, in both.

A shift by three deviations sounds within a month or so; one by less than a deviation never does.

Revisions have a chart of another kind, see ``revisions.py``.
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from backtests.scores.weekly import KEYS
from toolkit.data.tables import Floats

REFERENCE = 1.0
"""Deviations that a week may lie off without adding to the sum."""
WIDEST = 8.0
"""No week counts for more deviations."""

BLOCK = 4
FEWEST_WEEKS = 24
"""Of the backtest, for a limit."""
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

    ``both``: too small is bad, too. ``ratio``: it is the log of a ratio. ``controls``: columns of
    ``values_of`` that tell how far off the week was.
    """

    name: str
    title: str
    _: KW_ONLY
    both: bool
    ratio: bool = True
    controls: tuple[str, ...] = ()

    def shown(self, value: float) -> float:
        """The ratio, where the number is its log."""
        return math.exp(value) if self.ratio else value


LEVEL = Chart("level", "units ordered over units expected", both=True)
REVISION = Chart(
    "revision",
    "what is expected of the same weeks, over the forecast before",
    both=True,
)
UNITS_OFF, YEAR_OFF, ORDERS_OFF = "units_off", "year_off", "orders_off"
"""How far off a week was: its units from the mean of the past year, and from those of the same week
a year before; its pairs that ordered from what the reference expected."""

BIAS = Chart(
    "bias",
    "units ordered over units expected, beside the products' past year",
    both=True,
    controls=(UNITS_OFF, YEAR_OFF),
)
PAIRS = Chart(
    "pairs", "log loss of who orders, over the reference's", both=False, controls=(ORDERS_OFF,)
)
UNITS = Chart("units", "CRPS of units by product, over that of their past year", both=False)
HELD = Chart("held", "share of product-weeks in their 80 % interval", both=True, ratio=False)
CUSTOMERS = Chart(
    "customers", "share of regular customers silent for two weeks", both=False, ratio=False
)
OF_A_VERSION = (LEVEL, BIAS, REVISION, PAIRS, UNITS, HELD)
HELD_AGAINST_REFERENCE = (PAIRS,)
CHARTS = (*OF_A_VERSION, CUSTOMERS)


def values_of(own: pd.DataFrame, reference: pd.DataFrame | None) -> pd.DataFrame:
    """The charts of single weeks (all but ``REVISION``) by name, and their controls, as ``own``.

    ``own``, ``reference``: rows of ``weekly`` tables of one version each. Ratios are logs; NaN
    where one side has nothing.
    """
    level = _over(own["units"], own["expected_units"])
    roots = _log(own["root_crps"]) - _log(own["past_root_crps"])
    table = pd.DataFrame(
        {
            LEVEL.name: level,
            BIAS.name: level,
            HELD.name: own["held"] / own["product_weeks"].where(own["product_weeks"] > 0),
            UNITS.name: 2.0 * roots,  # squared, it is a CRPS again: 5 % worse is 5 % more
            UNITS_OFF: _over(own["units"], own["past_units"]),
            YEAR_OFF: _over(own["units"], own["year_units"]),
        },
        own.index,
    )
    keys = list(KEYS[1:])
    if reference is None:
        return table.assign(**dict.fromkeys((PAIRS.name, ORDERS_OFF), np.nan))
    other = own[keys].merge(reference, how="left", on=keys).set_axis(own.index)
    return table.assign(
        **{
            PAIRS.name: _log(own["loss"] / own["pairs"]) - _log(other["loss"] / other["pairs"]),
            ORDERS_OFF: _over(own["ordered"], other["expected_pairs"]),
        }
    )


@dataclass(frozen=True, slots=True)
class Promise:
    """What the backtest says of a chart: its mean and deviation, and the limit of its sums.

    ``slopes``: on the chart's controls, 0 where the backtest lacked one; in it they were
    ``controls`` (mean, least, most).
    """

    mean: float
    deviation: float
    limit: float
    slopes: tuple[float, ...] = ()
    controls: tuple[tuple[float, float, float], ...] = ()

    def steadied(self, value: Floats, controls: Sequence[Floats]) -> Floats:
        """The values [weeks], as they were in a week that is no further off than is usual."""
        known = zip(self.slopes, self.controls, controls, strict=True)
        for slope, (mean, least, most), control in known:
            if slope:
                value = value - slope * (np.clip(control, least, most) - mean)
        return value

    def standardized(self, value: Floats) -> Floats:
        """Deviations from the mean."""
        return (value - self.mean) / self.deviation


def promise_of_weeks(
    chart: Chart, blocks: Sequence[Floats], controls: Sequence[Floats] = ()
) -> Promise | None:
    """From the values of consecutive weeks, a block for each; None where they are too few.

    ``controls``: of each block [controls, weeks], for a chart that has some. Blocks are cut to
    ``BLOCK`` weeks; rests are left out.
    """
    given = controls or [np.zeros((0, len(block))) for block in blocks]
    cut = [
        np.vstack([block, control])[:, start : start + BLOCK]
        for block, control in zip(blocks, given, strict=True)
        for start in range(0, len(block) - BLOCK + 1, BLOCK)
    ]
    whole = [part for part in cut if np.isfinite(part[0]).all()]
    if len(whole) * BLOCK < FEWEST_WEEKS:
        return None
    value, rows = np.array([part[0] for part in whole]), np.hstack(whole)[1:]
    if not len(rows):
        return _promise(chart, value)
    told = np.ptp(rows, axis=1) > 0  # not where a week is NaN
    rows = np.where(told[:, None], rows, 0.0)  # [controls, weeks]
    off = rows - rows.mean(axis=1, keepdims=True)
    inverse = np.linalg.pinv(off)  # [weeks, controls]
    y = value.ravel() - value.mean()
    slopes = y @ inverse
    leverage = np.einsum("wc,cw->w", inverse, off)
    left = ((y - slopes @ off) / (1.0 - leverage)).reshape(value.shape)
    found = _promise(chart, value.mean() + left - left.mean())
    usual = [(float(row.mean()), float(row.min()), float(row.max())) for row in rows]
    return found and replace(found, slopes=tuple(slopes.tolist()), controls=tuple(usual))


def _promise(chart: Chart, blocks: Floats) -> Promise | None:
    """``blocks`` [blocks, weeks]; None where no week differs from another."""
    deviation = float(blocks.std(ddof=1))
    if not deviation > 0:
        return None
    content, one_week = blocks.tobytes(), WIDEST - REFERENCE
    singly = _limit(chart, content, (blocks.size, 1))
    limit = max(singly, _limit(chart, content, blocks.shape), one_week)
    return Promise(float(blocks.mean()), deviation, limit)


def sums(chart: Chart, z: Floats, limit: float) -> Floats:
    """S after each value [values], the larger one of both directions; NaN changes nothing."""
    up = down = 0.0
    highest = limit + ABOVE_LIMIT
    out = np.empty(len(z))
    for place, value in enumerate(np.clip(z, -WIDEST, WIDEST).tolist()):
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
        z = np.clip(z, -WIDEST, WIDEST)
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
