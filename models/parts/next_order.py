"""When a pair orders next: the exact predictive distribution, its dates and its confidence."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from models.parts.renewal import (
    HALF_DAY,
    RatePosterior,
    expected_interval,
    log_survival,
    survived_days,
)
from toolkit.tables import DAYS_PER_WEEK, QUANTILES, REACH_DAYS, Floats, Ints

MIN_TOLERANCE_DAYS = 3
TOLERANCE_SHARE = 0.25
NEGLIGIBLE = 1e-9
"""Components of less weight are not looked at."""


@dataclass(frozen=True, slots=True)
class NextOrder:
    """The day of each pair's next order: a mixture of truncated beta-prime intervals.

    ``weights`` [pairs, components] sum to one; ``open_days`` [pairs] is the open interval T,
    ``survived`` [pairs] the length it is known to have reached; ``log_survived`` [pairs,
    components] is log P(x > survived), ``open_interval_p`` [pairs] the same probability over
    all components as it stood before that time had passed.
    """

    weights: Floats
    posterior: RatePosterior
    open_days: Floats
    survived: Floats
    log_survived: Floats
    open_interval_p: Floats

    @classmethod
    def after_open_interval(
        cls, log_weights: Floats, posterior: RatePosterior, open_days: Floats
    ) -> "NextOrder":
        """Condition on the open interval; ``log_weights`` [pairs, components] know nothing of it."""
        survived = survived_days(open_days)
        log_survived = log_survival(survived[:, None], posterior)
        log_joint = log_weights + log_survived
        log_total = logsumexp(log_joint, axis=1, keepdims=True)
        return cls(
            weights=np.exp(log_joint - log_total),
            posterior=posterior,
            open_days=open_days,
            survived=survived,
            log_survived=log_survived,
            open_interval_p=np.exp(log_total[:, 0] - logsumexp(log_weights, axis=1)),
        )

    def cdf(self, day: Floats) -> Floats:
        """P(next order on ``day`` or before), ``day`` [pairs]; day 0 is the as-of date."""
        interval = np.maximum(self.open_days + day + HALF_DAY, self.survived)
        pair, component = np.nonzero(self.weights > NEGLIGIBLE)
        rates = RatePosterior(
            self.posterior.A[pair, component],
            self.posterior.B[pair, component],
            self.posterior.k[component],
        )
        log_later = log_survival(interval[pair], rates) - self.log_survived[pair, component]
        later = np.zeros_like(self.weights)
        later[pair, component] = np.exp(log_later)
        cdf: Floats = np.clip(1.0 - np.sum(self.weights * later, axis=1), 0.0, 1.0)
        return cdf

    def take(self, pairs: Ints) -> "NextOrder":
        """The distributions of some of the pairs, repeats allowed."""
        rates = RatePosterior(self.posterior.A[pairs], self.posterior.B[pairs], self.posterior.k)
        return NextOrder(
            self.weights[pairs],
            rates,
            self.open_days[pairs],
            self.survived[pairs],
            self.log_survived[pairs],
            self.open_interval_p[pairs],
        )

    def p_by_week(self, weeks: int) -> Floats:
        """P(at least one order by the end of week 1 … weeks), [pairs, weeks]."""
        ends = DAYS_PER_WEEK * np.arange(1, weeks + 1) - 1.0
        return np.stack([self.cdf(np.full(len(self.survived), end)) for end in ends], axis=1)

    def expected_interval(self) -> Floats:
        """Posterior mean 1/λ in days, [pairs]."""
        per_component = expected_interval(self.posterior, self.survived[:, None])
        mean: Floats = np.sum(self.weights * per_component, axis=1, where=self.weights > 0)
        return mean

    def quantiles(self, p_by_week: Floats) -> Floats:
        """The first day by which the next order has come with each probability in QUANTILES.

        [pairs, QUANTILES]; NaN beyond REACH_DAYS. ``p_by_week`` brackets those that lie within
        its weeks; whole days are then found by bisection.
        """
        levels = np.array(QUANTILES)
        week = np.sum(p_by_week[:, None, :] < levels[:, None], axis=2)  # [pairs, levels]
        within = week < p_by_week.shape[1]
        low = DAYS_PER_WEEK * week - 1
        high = np.where(within, low + DAYS_PER_WEEK, REACH_DAYS + 1)
        days = self._bisect(np.broadcast_to(levels, week.shape), low, high).astype(float)
        days[days > REACH_DAYS] = np.nan
        return days

    def _bisect(self, level: Floats, low: Ints, high: Ints) -> Ints:
        """The least day in (low, high] whose cdf reaches ``level``; ``high`` is taken to do so."""
        shape, level = level.shape, level.ravel()
        low, high = low.ravel().copy(), high.ravel().copy()
        pair = np.repeat(np.arange(shape[0]), shape[1])
        open_ends = np.flatnonzero(high - low > 1)
        while len(open_ends):
            middle = (low[open_ends] + high[open_ends]) // 2
            reached = self.take(pair[open_ends]).cdf(middle.astype(float)) >= level[open_ends]
            high[open_ends[reached]] = middle[reached]
            low[open_ends[~reached]] = middle[~reached]
            open_ends = open_ends[high[open_ends] - low[open_ends] > 1]
        return high.reshape(shape)

    def confidence(self, day: Floats, expected: Floats) -> Floats:
        """P(next order within ± max(3 days, a quarter of the expected interval) of ``day``).

        [pairs]; 0 where there is no day (NaN).
        """
        tolerance = np.floor(np.maximum(MIN_TOLERANCE_DAYS, TOLERANCE_SHARE * expected))
        known = np.isfinite(day)
        day = np.where(known, day, 0.0)
        inside = self.cdf(day + tolerance) - self.cdf(day - tolerance - 1)
        return np.where(known, np.clip(inside, 0.0, 1.0), 0.0)
