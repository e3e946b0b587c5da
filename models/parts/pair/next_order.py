"""When a pair orders next: dates by quantile, and how sure they are, from exact distributions."""

import numpy as np

from models.parts.kernels.paths import NEGLIGIBLE
from models.parts.kernels.renewal import HALF_DAY, PairPosterior, log_survival
from models.parts.kernels.vector import compiled
from toolkit.data.tables import QUANTILES, REACH_DAYS, Floats, tolerance_days


def next_order_quantiles(posterior: PairPosterior, cdf: Floats) -> Floats:
    """The first day by which the next order has come with each probability in QUANTILES.

    [pairs, QUANTILES]; NaN beyond REACH_DAYS. ``cdf`` [pairs, days]: P(next order by day d).
    """
    days = np.empty((len(cdf), len(QUANTILES)))
    _quantiles(posterior, cdf, np.array(QUANTILES), days)
    return days


def confidence(
    posterior: PairPosterior, cdf: Floats, day: Floats, expected_interval: Floats
) -> Floats:
    """P(next order within ± max(3 days, a quarter of the expected interval) of ``day``).

    [pairs]; 0 where there is no day (NaN).
    """
    tolerance = np.floor(tolerance_days(expected_interval))
    known = np.where(np.isfinite(day), day, 0.0)
    inside = np.empty(len(cdf))
    _mass_between(posterior, cdf, known - tolerance - 1, known + tolerance, inside)
    return np.where(np.isfinite(day), np.clip(inside, 0.0, 1.0), 0.0)


@compiled
def _cdf(day: float, posterior: PairPosterior, pair: int, table: Floats) -> float:
    """P(next order by ``day``) of one pair; looked up in ``table`` [days] as far as it goes."""
    if day < 0:
        return 0.0
    if day < len(table):
        return table[int(day)]
    until = posterior.open_days[pair] + day + HALF_DAY
    later = 0.0
    for c in range(len(posterior.k)):
        weight = posterior.weights[pair, c]
        if weight >= NEGLIGIBLE:
            A, B = posterior.A[pair, c], posterior.B[pair, c]
            log_later = log_survival(until, A, B, posterior.k[c])
            later += weight * np.exp(log_later - posterior.log_survived[pair, c])
    return 1.0 - later


@compiled
def _quantiles(posterior: PairPosterior, cdf: Floats, levels: Floats, days: Floats) -> None:
    """Bisection over whole days, each level starting from the one below it; levels ascend."""
    horizon = cdf.shape[1]
    for i in range(len(cdf)):
        low = -1
        for q in range(len(levels)):
            high = horizon - 1 if cdf[i, -1] >= levels[q] else REACH_DAYS + 1
            while high - low > 1:
                middle = (low + high) // 2
                if _cdf(middle, posterior, i, cdf[i]) >= levels[q]:
                    high = middle
                else:
                    low = middle
            days[i, q] = high if high <= REACH_DAYS else np.nan
            low = high - 1


@compiled
def _mass_between(
    posterior: PairPosterior, cdf: Floats, after: Floats, until: Floats, mass: Floats
) -> None:
    """P(after < day of the next order <= until), [pairs]."""
    for i in range(len(cdf)):
        before = _cdf(after[i], posterior, i, cdf[i])
        mass[i] = _cdf(until[i], posterior, i, cdf[i]) - before
