"""Predictive checks of the gamma versions, see ``checks.py``.

The whole history of the very pairs fitted is made again: the same customers and products, from the
same first order to the same as-of date, in whole days; nothing else is taken from the data. The
effects of the fitted customers and products come from the posterior, every pair's rate, regularity
and lapse are drawn afresh from their distribution given these.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.fitting.checks import POSTERIOR_DRAWS, PRIOR_DRAWS, Replications
from models.parts.gamma.population import Population, doublings
from models.parts.kernels.draws import draw_erlang, draw_gamma
from models.parts.kernels.renewal import HALF_DAY
from models.parts.kernels.vector import compiled
from toolkit.data.tables import Floats, Ints, Patterns

MAX_PAIRS = 3000
"""So many pairs are looked at, chosen at random where there are more."""


class Histories(NamedTuple):
    """What the statistics need to know of many pairs' histories; days are whole."""

    interval_count: Ints  # [pairs], m
    interval_sum: Floats  # [pairs]
    interval_square_sum: Floats  # [pairs]
    open_interval: Floats  # [pairs], days from the last order to the as-of date
    by_days: Ints  # [days], how many intervals lasted as long

    @classmethod
    def of(cls, patterns: Patterns) -> "Histories":
        """The histories that were observed."""
        m = patterns.interval_count
        within = np.ones(len(patterns.events), dtype=bool)
        within[patterns.event_offset[:-1]] = False
        intervals = np.diff(patterns.events.day, prepend=0)[within]
        pair = np.repeat(np.arange(len(m)), m)
        squared = np.square(intervals.astype(float))
        squares: Floats = np.bincount(pair, squared, minlength=len(m)).astype(float)
        by_days = np.bincount(intervals, minlength=1)
        return cls(m, patterns.interval_sum, squares, patterns.open_interval, by_days)

    def statistics(self) -> dict[str, float]:
        """What is compared, by name; NaN where no pair has enough orders for it.

        Shares of all pairs by their orders; quantiles and mean log of all intervals; the median
        cv of pairs with 3 intervals or more; of pairs with an interval, the median of the open
        one over their own mean, and the share where that is above 2.
        """
        m, S = self.interval_count, self.interval_sum
        ordered, often = m > 0, m >= 3
        mean = S[ordered] / m[ordered]
        relative = self.open_interval[ordered] / mean
        n = m[often]
        variance = (self.interval_square_sum[often] - S[often] ** 2 / n) / (n - 1)
        cv = np.sqrt(np.maximum(variance, 0.0)) * n / S[often]
        days = np.arange(1, len(self.by_days))
        return {
            "pairs: 1 order": _mean(m == 0),
            "pairs: 2 orders": _mean(m == 1),
            "pairs: 3 to 5": _mean((m >= 2) & (m <= 4)),
            "pairs: 6 or more": _mean(m >= 5),
            "interval: 10 %": self._quantile(0.1),
            "interval: median": self._quantile(0.5),
            "interval: 90 %": self._quantile(0.9),
            "interval: mean log": _mean(np.repeat(np.log(days), self.by_days[1:])),
            "interval: cv of a pair": _median(cv),
            "open / own mean": _median(relative),
            "open > 2 own means": _mean(relative > 2.0),
        }

    def _quantile(self, level: float) -> float:
        """The shortest interval, in days, that a share ``level`` of all do not outlast."""
        reached = np.cumsum(self.by_days)
        if not len(reached) or reached[-1] == 0:
            return np.nan
        return float(np.searchsorted(reached, level * reached[-1]))


def predictive_checks(
    patterns: Patterns, prior: Population, posterior: Population, rng: np.random.Generator
) -> Replications:
    """Histories like ``patterns``, and those that ``prior`` and ``posterior`` make.

    Both have to know every customer and product."""
    if len(patterns) > MAX_PAIRS:
        keep = np.zeros(len(patterns), dtype=bool)
        keep[rng.choice(len(patterns), MAX_PAIRS, replace=False)] = True
        patterns = patterns.select(keep)
    from_prior, from_posterior = (
        [history.statistics() for history in replicate(patterns, population.spread(draws), rng)]
        for population, draws in ((prior, PRIOR_DRAWS), (posterior, POSTERIOR_DRAWS))
    )
    return Replications.of(Histories.of(patterns).statistics(), from_prior, from_posterior)


def replicate(
    patterns: Patterns, population: Population, rng: np.random.Generator
) -> list[Histories]:
    """Histories of all pairs of ``patterns`` from their first order on, one per draw."""
    exposure = (patterns.interval_sum + patterns.open_interval).astype(np.int64)
    customer = np.searchsorted(population.customer_id, patterns.customer_id)
    product = np.searchsorted(population.product_id, patterns.product_id)
    log_mu = population.customer[customer] + population.product[product] + population.log_typical
    tilt = population.tilt[:, None, :] * doublings(population.regularities)[:, None]
    log_weight = population.log_weight + tilt  # [products, regularities, draws]
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    cumulative = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    made = []
    for d in range(population.draws):
        days = np.zeros(exposure.max(initial=0) + 1, dtype=np.int64)
        total, squares, open_interval = np.zeros((3, len(patterns)))
        history = Histories(np.zeros_like(exposure), total, squares, open_interval, days)
        _replicate(
            rng, exposure, np.exp(log_mu[:, d]), product, cumulative[:, :, d],
            population.regularities, population.shape[d], population.alpha[d], population.beta[d],
            history,
        )  # fmt: skip
        made.append(history)
    return made


@compiled
def _replicate(
    rng: Any, exposure: Ints, mu: Floats, product: Ints, cumulative: Floats, ks: Ints,
    shape: float, alpha: float, beta: float, history: Histories,
) -> None:  # fmt: skip
    """One history a pair, known up to the day before the as-of date; fills in ``history``."""
    count = history.interval_count
    for i in range(len(exposure)):
        u, j = rng.random(), 0
        while j < len(ks) - 1 and u >= cumulative[product[i], j]:
            j += 1
        pace = ks[j] * draw_gamma(rng, shape) / (shape * mu[i])
        left = exposure[i]
        while rng.random() * (alpha + beta + count[i]) >= alpha:
            interval = draw_erlang(rng, ks[j]) / pace
            if not interval < left:
                break
            days = max(1, int(interval + HALF_DAY))
            if days >= left:
                break
            left -= days
            count[i] += 1
            history.interval_sum[i] += days
            history.interval_square_sum[i] += float(days) * days
            history.by_days[days] += 1
        history.open_interval[i] = left


def _mean(values: Any) -> float:
    return float(values.mean()) if len(values) else np.nan


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else np.nan
