"""What a fit draws from: a log density and its gradient, written in NumPy about a kernel.

The model itself is written in PyMC, and draws of its prior come from there. Machine code of its
graph and gradient takes half a minute to compile; these take none but the kernel's, which is kept.
Tests hold that both are one density.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln, log_expit

from toolkit.data.tables import Floats, Ints

type LogDensity = Callable[[Floats], tuple[float, Floats]]
"""Of x: a log density but for a constant, and its gradient."""
type Trajectories = Mapping[str, Any]
"""Settings of nutpie that say how long they are."""

ANY: Trajectories = {"maxdepth": 8}
"""Trees double up to so many times. Converged chains need half of it; one that has just begun, with
steps far too small, would otherwise spend minutes on a few of them."""
NEAR_NORMAL: Trajectories = {**ANY, "exact_normal_trajectory": True}
"""They are exact for N(0, 1) but for what the posterior leaves of it (Shahbaba, Lan, Johnson & Neal
2014, doi:10.1007/s11222-012-9373-1): half as many gradients. Far from N(0, 1) a chain may settle on
steps that are too long and hardly move, as R-hat and effective sizes then tell."""
SHORT_STEPS: Trajectories = {**NEAR_NORMAL, "target_accept": 0.9}
"""For posteriors of some hundred parameters: at nutpie's .8 now and then a transition diverged."""
SHORTEST_STEPS: Trajectories = {**NEAR_NORMAL, "target_accept": 0.99}
"""Where few data leave bends that others run into."""
QUARTER_TURN: Trajectories = {**NEAR_NORMAL, "maxdepth": 2, "target_accept": 0.6}
"""So near that steps can be long: three steps of some .6 in all, after which neither a draw nor its
square hangs on the last."""


class Posterior(Protocol):
    """A posterior in coordinates x, most of which are near N(0, 1).

    Several threads ask it at a time. Where it has no value it says NaN: that step diverges.
    """

    @property
    def start(self) -> Floats:
        """x near which chains begin, [x]."""

    @property
    def trajectories(self) -> Trajectories:
        """How chains move."""

    @property
    def is_round(self) -> NDArray[np.bool_]:
        """Which of x are near N(0, 1) as they are, [x]."""

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Log density at x, but for a constant, and its gradient, [x]."""

    def values(self, x: Floats) -> dict[str, NDArray[Any]]:
        """The parameters at x, and what is sampled only to make them (``is_inner``)."""


def dot(matrix: NDArray[Any], vector: NDArray[Any]) -> Floats:
    """Their product by sums in one order: BLAS takes another with another number of threads."""
    found: Floats = np.einsum("...j,j->...", matrix, vector)
    return found


def normal(x: Floats, mean: float | Floats, sd: float | Floats) -> tuple[float, Floats]:
    """Log density of independent x ~ N(mean, sd²) but for a constant, and its gradient."""
    off = (x - mean) / sd
    slope: Floats = -off / sd
    return -0.5 * float(np.sum(off * off)), slope


class Counts(NamedTuple):
    """Numbers of events, and how often each number comes."""

    each: Floats  # [counts]
    distinct: Floats  # [distinct], ascending
    times: Ints  # [distinct]

    @classmethod
    def of(cls, each: Floats) -> "Counts":
        """Of them one by one."""
        return cls(each, *np.unique(each, return_counts=True))


def negative_binomial(
    counts: Counts, log_mean: Floats, log_shape: float
) -> tuple[float, Floats, float]:
    """Log likelihood of counts: Poisson with a Gamma rate of such a mean, that rate integrated out.

    Then its derivatives by the log of each mean, and by the log of the Gamma's shape.
    """
    shape, ratio = np.exp(log_shape), log_mean - log_shape
    share, log_share, log_rest = expit(ratio), log_expit(ratio), log_expit(-ratio)
    y, times = counts.distinct, counts.times
    value = times @ (gammaln(y + shape) - gammaln(shape) - gammaln(y + 1.0))
    value += shape * log_rest.sum() + (counts.each * log_share).sum()
    by_shape = times @ (digamma(y + shape) - digamma(shape)) + log_rest.sum()
    by_shape += (share - counts.each * (1.0 - share) / shape).sum()
    return float(value), counts.each - (counts.each + shape) * share, float(shape * by_shape)
