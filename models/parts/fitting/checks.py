"""Predictive checks: does a population make data like those it was fitted to?

For draws of the prior and of the posterior the data are made again, and statistics of these
replications held against the statistic of the data. A tail probability is P(replicated > observed)
+ ½ P(equal) under the posterior: near 0 or 1, the model does not make such data.

What belongs to a single pair is drawn afresh from its distribution in the population, not from the
pair's own posterior: a mixed predictive check (Gelman, Meng & Stern 1996, Statistica Sinica 6:733;
Marshall & Spiegelhalter 2003, doi:10.1002/sim.1403), less blind to a misfit than one that keeps
it. The data are still used twice, so tail probabilities lean to the middle.
"""

from typing import Any

import numpy as np

from toolkit.data.tables import Floats

PRIOR_DRAWS = 50
POSTERIOR_DRAWS = 100
INTERVAL_LEVELS = (0.05, 0.95)
"""Between these quantiles lies what is reported of the replications: 90 %."""

type Statistics = dict[str, float]
"""By name; NaN where the data do not define it."""


def compared(
    observed: Statistics, from_prior: list[Statistics], from_posterior: list[Statistics]
) -> list[dict[str, Any]]:
    """Each statistic of the data, and of replications, one dictionary each.

    A dict per statistic: its name, ``observed``, ``prior_90`` and ``posterior_90`` (90 %
    intervals, two numbers) and ``tail_p``, the posterior predictive tail probability in [0, 1];
    None where a number is not defined.
    """
    return [
        {
            "statistic": name,
            "observed": value if np.isfinite(value) else None,
            "prior_90": _interval(_of(from_prior, name)),
            "posterior_90": _interval(_of(from_posterior, name)),
            "tail_p": _tail_p(_of(from_posterior, name), value),
        }
        for name, value in observed.items()
    ]


def _of(replications: list[Statistics], name: str) -> Floats:
    """The defined ones."""
    values = np.array([one[name] for one in replications])
    return values[np.isfinite(values)]


def _interval(values: Floats) -> list[float] | None:
    return [float(q) for q in np.quantile(values, INTERVAL_LEVELS)] if len(values) else None


def _tail_p(values: Floats, observed: float) -> float | None:
    if not len(values) or not np.isfinite(observed):
        return None
    return float(np.mean(values > observed) + np.mean(values == observed) / 2.0)
