"""Gamma renewal intervals with a pair's rate integrated out: closed formulas.

Intervals x | λ ~ Gamma(shape k, rate k λ), so that 1/λ is the mean interval, and a pair's rate
λ ~ Gamma(shape a, rate a μ). After m intervals with sum S and log sum L the rate's posterior is
Gamma(A, B) with A = a + k m and B = a μ + k S, and the next interval is beta-prime:
P(x > t) = I_z(A, k) with z = B / (B + k t), the regularised incomplete beta function. For whole
k it is a finite sum of positive terms (DLMF 8.17.24 with 8.17.4), exact far into the tail:

    I_z(A, k) = z^A Σ_{j<k} A (A + 1) … (A + j − 1) / j! · (1 − z)^j

Orders fall on whole days: an interval of X days stands for x in [X − ½, X + ½), and X >= 1.
An order on the as-of date or later, after T open days, therefore says x >= T − ½.

Source: Gelman et al., Bayesian Data Analysis (3rd ed. 2013), sections 2.6 and 3.1 for the
conjugate pair; Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions 2 (1995),
chapter 25 for the beta-prime distribution.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from models.parts.kernels.vector import over_arrays
from toolkit.data.tables import Floats, Ints

HALF_DAY = 0.5


@over_arrays("f8(f8,f8,f8,i8)")
def log_survival(t: float, A: float, B: float, k: int) -> float:
    """log P(x > t) of the next interval, ``t`` in days, whole ``k``; broadcasts as a ufunc.

    >>> round(float(np.exp(log_survival(30.0, 2.0, 30.0, 1))), 6)
    0.25
    """
    z = B / (B + k * t)
    term = total = 1.0
    for j in range(1, k):
        term *= (A + j - 1.0) / j * (1.0 - z)
        total += term
    return A * np.log(z) + np.log(total)


def survived_days(open_days: Floats) -> Floats:
    """How long an interval is that has not ended within ``open_days`` whole days.

    One open day says nothing, for every interval lasts at least a day.
    """
    survived: Floats = np.where(open_days > 1, open_days - HALF_DAY, 0.0)
    return survived


def log_intervals(a: float, mu: float, k: Ints, m: Floats, S: Floats, L: Floats) -> Floats:
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


class PairPosterior(NamedTuple):
    """Each pair's posterior: a mixture of Gamma(A, B) rates, each with its regularity k.

    Everything is conditioned on the open interval T. ``survived`` is the length that interval
    is known to have reached, ``log_survived`` its log probability, and ``open_interval_p`` that
    probability over all components as it stood before the time had passed.
    """

    weights: Floats  # [pairs, components], sum to one
    A: Floats  # [pairs, components]
    B: Floats  # [pairs, components], days
    k: Ints  # [components]
    open_days: Floats  # [pairs], T
    survived: Floats  # [pairs], days
    log_survived: Floats  # [pairs, components]
    open_interval_p: Floats  # [pairs]

    def select(self, rows: slice) -> "PairPosterior":
        """The posterior of the pairs in ``rows``."""
        return self._replace(
            weights=self.weights[rows],
            A=self.A[rows],
            B=self.B[rows],
            open_days=self.open_days[rows],
            survived=self.survived[rows],
            log_survived=self.log_survived[rows],
            open_interval_p=self.open_interval_p[rows],
        )

    def at_pace(self, pace: Floats) -> "PairPosterior":
        """As if time ran ``pace`` [pairs] times as fast from the as-of date on, and only then.

        Rates are λ · pace, and what lies behind takes as much less time at them, so that z, of
        which all probabilities are functions, is what it was at the end of the open interval.
        """
        return self._replace(
            B=self.B / pace[:, None],
            open_days=(self.open_days - HALF_DAY) / pace + HALF_DAY,
            survived=self.survived / pace,
        )

    def expected_interval(self) -> Floats:
        """The expected interval in days, 1 / E[λ], [pairs]; finite for any prior.

        λ times a Gamma(A, B) density is A / B times a Gamma(A + 1, B) density.
        """
        log_faster = log_survival(self.survived[:, None], self.A + 1, self.B, self.k)
        ratio = np.exp(log_faster - self.log_survived)
        mean_rate: Floats = np.sum(self.weights * self.A / self.B * ratio, axis=1)
        return 1.0 / mean_rate


def condition_on_open_interval(
    log_weights: Floats, A: Floats, B: Floats, k: Ints, open_days: Floats
) -> PairPosterior:
    """The posterior, given ``log_weights`` [pairs, components] that know only of the intervals."""
    survived = survived_days(open_days)
    log_survived = log_survival(survived[:, None], A, B, k)
    log_joint = log_weights + log_survived
    log_total = logsumexp(log_joint, axis=1)
    return PairPosterior(
        weights=np.exp(log_joint - log_total[:, None]),
        A=A,
        B=B,
        k=k,
        open_days=open_days,
        survived=survived,
        log_survived=log_survived,
        open_interval_p=np.exp(log_total - logsumexp(log_weights, axis=1)),
    )
