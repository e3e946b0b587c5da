"""Gamma renewal intervals with a pair's rate integrated out: closed formulas.

Intervals x | λ ~ Gamma(shape k, rate k λ), so that 1/λ is the mean interval, and a pair's rate
λ ~ Gamma(shape a, rate a μ). After m intervals with sum S and log sum L the rate's posterior is
Gamma(A, B) with A = a + k m and B = a μ + k S, and the next interval is beta-prime:
P(x > t) = I_z(A, k) with z = B / (B + k t), the regularised incomplete beta function.

Orders fall on whole days: an interval of X days stands for x in [X − ½, X + ½), and X >= 1.
An order on the as-of date or later, after T open days, therefore says x >= T − ½.

Source: Gelman et al., Bayesian Data Analysis (3rd ed. 2013), sections 2.6 and 3.1 for the
conjugate pair; Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions 2 (1995),
chapter 25 for the beta-prime distribution.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, gammaln, hyp2f1

from toolkit.tables import Floats

HALF_DAY = 0.5
_UNDERFLOW = 1e-280


@dataclass(frozen=True, slots=True)
class RatePosterior:
    """Gamma(A, B) posteriors of the rate and the shape k of the intervals they belong to.

    ``A``, ``B``: [pairs, components], ``k``: [components] or [pairs, components].
    """

    A: Floats
    B: Floats
    k: Floats


def survived_days(open_interval: Floats) -> Floats:
    """The length that the open interval is known to have reached, in days: T − ½, or 0 at T = 1.

    Every interval lasts at least a day, so one open day says nothing.
    """
    return np.where(open_interval > 1, open_interval - HALF_DAY, 0.0)


def log_survival(t: Floats, posterior: RatePosterior) -> Floats:
    """log P(x > t) of the next interval, ``t`` in days; exact far into the tail.

    >>> rate = RatePosterior(A=np.array([[2.0]]), B=np.array([[30.0]]), k=np.array([1.0]))
    >>> bool(np.isclose(np.exp(log_survival(np.array([[30.0]]), rate)), 0.25))
    True
    """
    A, B, k = np.broadcast_arrays(posterior.A, posterior.B, posterior.k)
    z = B / (B + k * t)
    A, k, z = np.broadcast_arrays(A, k, z)
    survival = betainc(A, k, z)
    tiny = survival < _UNDERFLOW
    log_survival: Floats = np.log(np.where(tiny, 1.0, survival))
    if tiny.any():
        log_survival[tiny] = _log_tail(A[tiny], k[tiny], z[tiny])
    return log_survival


def _log_tail(A: Floats, k: Floats, z: Floats) -> Floats:
    """log I_z(A, k) for z near 0 (DLMF 8.17.8), where I_z itself underflows."""
    log_tail: Floats = (
        A * np.log(z) + k * np.log1p(-z) - np.log(A) - betaln(A, k) + np.log(hyp2f1(A + k, 1, A + 1, z))
    )
    return log_tail


def log_intervals(a: float, mu: float, k: Floats, m: Floats, S: Floats, L: Floats) -> Floats:
    """log p(intervals) of each pair with its rate integrated out, [pairs, components].

    ``m``, ``S``, ``L``: count, sum and log sum of the intervals, [pairs, 1]; ``k``: [components].
    """
    A, B = a + k * m, a * mu + k * S
    log_density: Floats = (
        gammaln(A)
        - gammaln(a)
        + a * np.log(a * mu)
        - A * np.log(B)
        + m * (k * np.log(k) - gammaln(k))
        + (k - 1) * L
    )
    return log_density


def expected_interval(posterior: RatePosterior, survived: Floats) -> Floats:
    """E[1/λ] in days after an interval survived ``survived`` days; needs A > 1.

    1/λ times a Gamma(A, B) density is B/(A − 1) times a Gamma(A − 1, B) density.
    """
    easier = RatePosterior(posterior.A - 1, posterior.B, posterior.k)
    ratio = np.exp(log_survival(survived, easier) - log_survival(survived, posterior))
    interval: Floats = posterior.B / (posterior.A - 1) * ratio
    return interval
