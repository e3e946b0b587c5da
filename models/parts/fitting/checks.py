"""Predictive checks: does a population make data like those it was fitted to?

For draws of the prior and of the posterior the data are made again, and statistics of these
replications held against the statistic of the data. A tail probability is P(replicated > observed)
+ ½ P(equal) under the posterior: near 0 or 1, the model does not make such data.

What belongs to a single pair is drawn afresh from its distribution in the population, not from the
pair's own posterior: a mixed predictive check (Gelman, Meng & Stern 1996, Statistica Sinica 6:733;
Marshall & Spiegelhalter 2003, doi:10.1002/sim.1403), less blind to a misfit than one that keeps
it. The data are still used twice, so tail probabilities lean to the middle.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.data.tables import Floats
from toolkit.results.fit import PredictiveCheck

PRIOR_DRAWS = 50
POSTERIOR_DRAWS = 100
INTERVAL_LEVELS = (0.05, 0.95)
"""Between these quantiles lies what is reported of the replications: 90 %."""

type Statistics = dict[str, float]
"""By name; NaN where the data do not define it."""


@dataclass(frozen=True, slots=True)
class Replications:
    """Statistics of the data, and of data that draws of the prior and the posterior make."""

    names: tuple[str, ...]
    observed: Floats  # [statistics]
    prior: Floats  # [draws, statistics]
    posterior: Floats  # [draws, statistics]

    @classmethod
    def of(
        cls, observed: Statistics, prior: list[Statistics], posterior: list[Statistics]
    ) -> "Replications":
        """From dictionaries by name, one per replication."""
        names = tuple(observed)
        of_prior, of_posterior = (
            np.array([[one[name] for name in names] for one in made]) for made in (prior, posterior)
        )
        return cls(names, np.array(list(observed.values())), of_prior, of_posterior)

    def checks(self) -> tuple[PredictiveCheck, ...]:
        """One of each statistic, as a fit's card keeps it."""
        columns = zip(self.names, self.observed, self.prior.T, self.posterior.T, strict=True)
        return tuple(
            PredictiveCheck(
                statistic=name,
                observed=float(value) if np.isfinite(value) else None,
                prior_90=_interval(prior[np.isfinite(prior)]),
                posterior_90=_interval(posterior[np.isfinite(posterior)]),
                tail_p=_tail_p(posterior[np.isfinite(posterior)], float(value)),
            )
            for name, value, prior, posterior in columns
        )

    def groups(self) -> dict[str, dict[str, tuple[tuple[str, ...], Floats]]]:
        """As ArviZ's groups hold them."""
        draws = ("chain", "draw", "statistic")
        return {
            "posterior_predictive": {"statistics": (draws, self.posterior[None])},
            "prior_predictive": {"statistics": (draws, self.prior[None])},
            "observed_data": {"statistics": (("statistic",), self.observed)},
        }


def _interval(values: Floats) -> tuple[float, float] | None:
    if not len(values):
        return None
    low, high = np.quantile(values, INTERVAL_LEVELS)
    return float(low), float(high)


def _tail_p(values: Floats, observed: float) -> float | None:
    if not len(values) or not np.isfinite(observed):
        return None
    return float(np.mean(values > observed) + np.mean(values == observed) / 2.0)
