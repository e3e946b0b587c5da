"""Do probabilities and distributions mean what they say? On arrays.

NaN as in ``metrics``: it stays in its row; one number for all rows is NaN with any.
"""

import numpy as np
import pandas as pd
import scipy  # `stats` comes when it is used: workers do without its half a second
from numpy.typing import ArrayLike

from backtests.scores import checks
from toolkit.data.tables import Floats, Ints
from toolkit.stages.arguments import check_share, check_whole

BINS = 10

TIE = 1e-5
"""A draw within this share of the actual value equals it: sums of single precision tell no more."""

_CHUNK = 4_000_000  # draws looked at together: bounds the memory


def randomized_pit_weeks(p_by_week: ArrayLike, week: ArrayLike, u: ArrayLike) -> Floats:
    """Randomized PIT of the week of the next order [n]: uniform if the forecast is calibrated.

    F(week − 1) + u · (F(week) − F(week − 1)); arguments as for ``crps_truncated``, ``u`` [n] in
    [0, 1) from the caller. No order by the horizon is one event of probability 1 − P_last, so a
    censored wait is spread over what lies above P_last (Czado, Gneiting & Held 2009,
    doi:10.1111/j.1541-0420.2009.01191.x).

    >>> randomized_pit_weeks([[0.2, 0.6], [0.2, 0.6]], [1, 2], [0.5, 0.25])
    array([0.4, 0.7])
    """
    p = checks.distribution("p_by_week", p_by_week, None, None)
    hit = checks.whole("week", week, *p.shape)
    return _randomized_pit_weeks(p, hit, checks.probabilities("u", u, len(p)))


def _randomized_pit_weeks(p: Floats, week: Ints, u: Floats) -> Floats:
    edges = np.pad(p, ((0, 0), (1, 1)), constant_values=(0.0, 1.0))  # [n, weeks + 2]
    row = np.arange(len(p))
    below, up_to = edges[row, week], edges[row, week + 1]
    pit = below + u * (up_to - below)
    return np.where(np.isnan(p).any(axis=1), np.nan, pit)


def randomized_pit_draws(draws: ArrayLike, actual: ArrayLike, u: ArrayLike) -> Floats:
    """Randomized PIT of a quantity among its draws [n]: uniform if the forecast is calibrated.

    (draws below + u · (draws equal + 1)) / (d + 1), ``draws`` [n, d], ``actual`` [n], ``u`` [n]
    in [0, 1) from the caller: the actual value's own place counts, so it is exactly uniform for
    any number of draws, atoms or not (Hamill 2001,
    doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2).

    >>> randomized_pit_draws([[0, 0, 3, 5]], [0.0], [0.5])
    array([0.3])
    """
    array = checks.draws(draws)
    y = checks.floats("actual", actual, len(array))
    v = checks.probabilities("u", u, len(array))
    pit = np.empty(len(array))
    for rows in checks.portions(array.shape, _CHUNK):
        pit[rows] = _randomized_pit_draws(array[rows].astype(float), y[rows], v[rows])
    return pit


def _randomized_pit_draws(draws: Floats, y: Floats, u: Floats) -> Floats:
    above = draws - y[:, None]  # [n, d]
    slack = TIE * np.abs(y)[:, None]
    below: Ints = (above < -slack).sum(axis=1)
    equal = draws.shape[1] - below - (above > slack).sum(axis=1)
    pit = (below + u * (equal + 1)) / (draws.shape[1] + 1)
    return np.where(np.isnan(above).any(axis=1), np.nan, pit)


def coverage(pit: ArrayLike, level: float) -> float:
    """Share of ``pit`` [n] in the central interval of ``level``: ``level`` is perfect.

    For what comes in whole units this is the honest coverage: a closed interval of such a
    quantity holds more than its level, as its ends carry probability of their own.

    >>> coverage([0.05, 0.2, 0.5, 0.85, 0.95], 0.8)
    0.6
    """
    values = checks.probabilities("pit", pit, None)
    tail = (1 - check_share("level", level)) / 2
    held = np.where(np.isnan(values), np.nan, (values >= tail) & (values <= 1 - tail))
    return float(held.mean()) if len(held) else float("nan")


def inside(low: ArrayLike, high: ArrayLike, actual: ArrayLike) -> Floats:
    """1 where ``low`` ≤ ``actual`` ≤ ``high``, else 0 [n]; NaN where one of them is.

    >>> inside([1.0, 1.0], [2.0, 2.0], [2.0, 3.0])
    array([1., 0.])
    """
    y = checks.floats("actual", actual, None)
    bottom, top = checks.floats("low", low, len(y)), checks.floats("high", high, len(y))
    unknown = np.isnan(bottom) | np.isnan(top) | np.isnan(y)
    return np.where(unknown, np.nan, (bottom <= y) & (y <= top))


def ks_uniform(pit: ArrayLike) -> float:
    """Largest distance of the distribution of ``pit`` [n] from the uniform one, in [0, 1].

    0 is perfect, smaller is better; a calibrated forecast has about 0.87 / √n (Kolmogorov 1933).

    >>> ks_uniform([0.125, 0.5, 0.75, 0.875])
    0.25
    """
    values = checks.probabilities("pit", pit, None)
    if not len(values) or np.isnan(values).any():
        return float("nan")
    return float(scipy.stats.kstest(values, "uniform", method="asymp").statistic)


def auc(p: ArrayLike, y: ArrayLike) -> float:
    """P(a random 1 was given a larger ``p`` than a random 0), ties count half.

    ``p`` [n] in [0, 1], ``y`` [n] is 0 or 1; larger is better, 0.5 is no skill; NaN if all ``y``
    are the same (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747).

    >>> auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
    0.875
    """
    said = checks.probabilities("p", p, None)
    ones = checks.outcomes("y", y, len(said))
    compared = float(ones.sum() * (1 - ones).sum())
    if not compared > 0:
        return float("nan")
    larger = scipy.stats.mannwhitneyu(
        said[ones == 1], said[ones == 0], method="asymptotic"
    ).statistic
    return float(larger) / compared


def reliability(p: ArrayLike, y: ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """What was said against what happened, in ``bins`` classes of about as many rows each.

    ``p`` [n] in [0, 1], ``y`` [n] is 0 or 1; rows with NaN make one empty table. Columns ``low``,
    ``high`` (of p), ``mean_p``, ``share`` (of ones), ``rows``. Rows with the same p are in one
    class, so the order of rows changes nothing, and there may be fewer classes.

    >>> table = reliability([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 0], bins=2)
    >>> table["mean_p"].round(2).tolist(), table["share"].tolist()
    ([0.15, 0.8], [0.0, 0.5])
    """
    said = checks.probabilities("p", p, None)
    ones = checks.outcomes("y", y, len(said))
    check_whole("bins", bins, 1)
    if np.isnan(said).any() or np.isnan(ones).any():
        said, ones = said[:0], ones[:0]
    middle = scipy.stats.rankdata(said) - 0.5  # ties share the rank in their middle
    group = pd.DataFrame({"p": said, "y": ones}).groupby(
        (middle * bins / max(len(said), 1)).astype(np.int64)
    )
    table = group.agg(
        low=("p", "min"), high=("p", "max"), mean_p=("p", "mean"), share=("y", "mean"),
        rows=("y", "size"),
    )  # fmt: skip
    return table.reset_index(drop=True)


def expected_calibration_error(p: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Mean over rows of |mean p − share of ones| in their class of ``reliability``.

    Smaller is better, 0 is perfect; noise alone gives about 0.8 · √(bins · p(1 − p) / n) (Naeini,
    Cooper & Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602). NaN with a NaN, or with no rows.

    >>> round(expected_calibration_error([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 0], bins=2), 4)
    0.225
    """
    table = reliability(p, y, bins)
    rows = table["rows"].to_numpy()
    if not len(rows):
        return float("nan")
    gap = np.abs(table["mean_p"].to_numpy() - table["share"].to_numpy())
    return float((gap * rows).sum() / rows.sum())
