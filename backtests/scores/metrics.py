"""Scores of what was said against what happened, on arrays.

Per row, smaller is better, and a NaN anywhere in a row makes that row's score NaN and no other;
where a function returns one number for all rows, one NaN makes it NaN: the caller says which rows
count. Everything is computed in double precision. ``ArgumentError`` is raised for shapes that do
not fit and for numbers out of range. Calibration is in ``calibration``.

The formulas are our own lines: the tests hold them against scoringrules, which takes seconds to
import, too long for each of many short tasks.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import kl_div

from backtests.scores import checks
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints
from toolkit.errors import ArgumentError

P_FLOOR = 1e-6
"""The log loss keeps probabilities so far from 0 and 1: one surprise must not decide it all."""

LEAST_EXPECTED = 1e-4
"""The Poisson deviance lets no expectation be smaller."""

_CHUNK = 2_000_000  # draws looked at together: bounds the memory


def crps_truncated(p_by_week: ArrayLike, week: ArrayLike) -> Floats:
    """CRPS of the week of the next order, up to the horizon, in days [n]. Smaller is better.

    Σ over weeks k of 7 · (P_k − 1{week ≤ k})², P_k [n, weeks] = P(an order by the end of week k),
    ``week`` [n] from 0, and = ``weeks`` if there was none. Waits beyond the horizon are not seen
    and cost nothing, so that it is proper for waits censored there: a threshold-weighted CRPS
    with weight 1 up to the horizon (Gneiting & Ranjan 2011, doi:10.1198/jbes.2010.08110).

    >>> crps_truncated([[0.25, 0.5, 0.75]], [1])
    array([2.625])
    """
    p = checks.distribution("p_by_week", p_by_week, None, None)
    return _crps_truncated(p, checks.whole("week", week, *p.shape))


def _crps_truncated(p: Floats, week: Ints) -> Floats:
    happened = week[:, None] <= np.arange(p.shape[1])  # [n, weeks]
    return cast(Floats, DAYS_PER_WEEK * ((p - happened) ** 2).sum(axis=1))


def crps_counts(probability: ArrayLike, count: ArrayLike) -> Floats:
    """CRPS (ranked probability score) of a number of orders, in orders [n]. Smaller is better.

    Σ over c of (F_c − 1{count ≤ c})², F the running sum of ``probability`` [n, counts]; its last
    column is P(so many or more), and a larger ``count`` [n] is one of those. Proper (Epstein
    1969, doi:10.1175/1520-0450(1969)008<0985:ASSFPF>2.0.CO;2).

    >>> crps_counts([[0.5, 0.25, 0.25]], [1]).round(4)
    array([0.3125])
    """
    p = checks.probabilities("probability", probability, None, None)
    total = p.sum(axis=1)
    if (np.abs(total - 1) > p.shape[1] * checks.ROUNDING).any():
        raise ArgumentError(
            f"probability has to sum to 1 in each row, got {np.nanmin(total)} to {np.nanmax(total)}"
        )
    return _crps_counts(p, checks.whole("count", count, len(p)))


def _crps_counts(p: Floats, count: Ints) -> Floats:
    said = p.cumsum(axis=1)[:, :-1]  # [n, counts - 1]
    happened = count[:, None] <= np.arange(said.shape[1])
    score: Floats = ((said - happened) ** 2).sum(axis=1)
    return np.where(np.isnan(p).any(axis=1), np.nan, score)


def crps_draws(draws: ArrayLike, actual: ArrayLike) -> Floats:
    """CRPS of predictive draws, in the unit of ``actual`` [n]. Smaller is better.

    2/d · Σ over sorted draws x_i of (x_i − y)(1{y < x_i} − (i − ½)/d), ``draws`` [n, d]: that of
    the distribution that the draws are, as that is what is published; d draws of a model score
    about 1/d worse than the model itself, so compare versions with equally many. Proper (Gneiting
    & Raftery 2007, doi:10.1198/016214506000001437; the form: Laio & Tamea 2007,
    doi:10.5194/hess-11-1267-2007).

    >>> crps_draws([[1.0, 2.0, 4.0, 9.0]], [3.0])
    array([0.875])
    """
    array = checks.draws(draws)
    y = checks.floats("actual", actual, len(array))
    portions = checks.portions(array.shape, _CHUNK)
    scores = [_crps_draws(array[rows].astype(float), y[rows]) for rows in portions]
    return np.concatenate(scores) if scores else np.zeros(0)


def _crps_draws(draws: Floats, y: Floats) -> Floats:
    d = draws.shape[1]
    level = (np.arange(d) + 0.5) / d
    above = np.sort(draws, axis=1) - y[:, None]  # [n, d]
    return cast(Floats, 2 * np.mean(above * ((above > 0) - level), axis=1))


def log_loss(p: ArrayLike, y: ArrayLike) -> Floats:
    """−log of the probability that was given to what happened [n]. Smaller is better.

    ``p`` [n] = P(y = 1), kept ``P_FLOOR`` away from 0 and 1; ``y`` [n] is 0 or 1. Proper (Good
    1952, doi:10.1111/j.2517-6161.1952.tb00104.x).

    >>> log_loss([0.8, 0.8], [1, 0]).round(4)
    array([0.2231, 1.6094])
    """
    said = checks.probabilities("p", p, None)
    return _log_loss(said, checks.outcomes("y", y, len(said)))


def _log_loss(p: Floats, y: Floats) -> Floats:
    kept = np.clip(p, P_FLOOR, 1 - P_FLOOR)
    return -(y * np.log(kept) + (1 - y) * np.log1p(-kept))


def brier(p: ArrayLike, y: ArrayLike) -> Floats:
    """(p − y)² [n]; ``p`` [n] = P(y = 1), ``y`` [n] is 0 or 1. Smaller is better.

    Proper (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).

    >>> brier([0.75, 0.75], [1, 0])
    array([0.0625, 0.5625])
    """
    said = checks.probabilities("p", p, None)
    return (said - checks.outcomes("y", y, len(said))) ** 2


def poisson_deviance(expected: ArrayLike, count: ArrayLike) -> Floats:
    """2 (y log(y / e) − y + e) [n], 0 where e = y. Smaller is better.

    ``expected`` e [n] is at least ``LEAST_EXPECTED``, ``count`` y [n] is what happened. Consistent
    for the mean (Gneiting 2011, doi:10.1198/jasa.2011.r10138).

    >>> poisson_deviance([2.0, 0.0], [3, 1]).round(4)
    array([ 0.4328, 16.4209])
    """
    said = checks.not_negative("expected", expected, None)
    return _poisson_deviance(said, checks.not_negative("count", count, len(said)))


def _poisson_deviance(expected: Floats, count: Floats) -> Floats:
    return 2.0 * kl_div(count, np.maximum(expected, LEAST_EXPECTED))


def pinball(quantiles: ArrayLike, levels: Sequence[float], actual: ArrayLike) -> Floats:
    """Pinball loss of quantiles, in the unit of ``actual`` [n, levels]. Smaller is better.

    (1{y < q} − τ)(q − y) with ``quantiles`` [n, levels] at ``levels`` τ and ``actual`` [n].
    Consistent for the quantile (Koenker & Bassett 1978, doi:10.2307/1913643).

    >>> pinball([[2.0, 7.0]], (0.1, 0.9), [5.0]).round(4)
    array([[0.3, 0.2]])
    """
    tau = checks.quantile_levels(levels)
    q = checks.floats("quantiles", quantiles, None, len(tau))
    return _pinball(q, tau, checks.floats("actual", actual, len(q)))


def _pinball(q: Floats, tau: Floats, y: Floats) -> Floats:
    above = q - y[:, None]  # [n, levels]
    return ((above > 0) - tau) * above


def weighted_quantile_loss(
    quantiles: ArrayLike, levels: Sequence[float], actual: ArrayLike
) -> float:
    """Mean over levels of 2 · Σ pinball / Σ actual; 0 is perfect, smaller is better.

    Arguments as for ``pinball``; NaN if nothing was ordered at all. A share of what was ordered,
    so rows weigh by their size (as in the M5 competition's uncertainty track, but with one scale
    for all rows: Makridakis et al. 2022, doi:10.1016/j.ijforecast.2021.10.009).

    >>> weighted_quantile_loss([[2.0, 7.0]], (0.1, 0.9), [5.0])
    0.1
    """
    loss = pinball(quantiles, levels, actual)
    return _ratio(2 * float(loss.mean(axis=1).sum()), float(np.sum(actual)))


def wape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Σ |forecast − actual| / Σ actual over all rows, [n] both; 0 is perfect, smaller is better.

    NaN if nothing was ordered at all. Also called MAD/mean ratio (Kolassa & Schütz 2007, Foresight
    6); consistent for the median.

    >>> wape([1.0, 6.0], [2.0, 3.0])
    0.8
    """
    said = checks.floats("forecast", forecast, None)
    y = checks.floats("actual", actual, len(said))
    return _ratio(float(np.abs(said - y).sum()), float(y.sum()))


def bias(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Σ forecast / Σ actual − 1 over all rows, [n] both; 0 is perfect, 0.1 is 10 % too much.

    NaN if nothing was ordered at all.

    >>> bias([1.0, 6.0], [2.0, 3.0])
    0.4
    """
    said = checks.floats("forecast", forecast, None)
    y = checks.floats("actual", actual, len(said))
    return _ratio(float(said.sum() - y.sum()), float(y.sum()))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
