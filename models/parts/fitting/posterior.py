"""What a fit draws from: a log density and its gradient, written in NumPy about a kernel.

The model itself is written in PyMC, and draws of its prior come from there. Machine code of its
graph and gradient takes half a minute to compile; these take none but the kernel's, which is kept.
Tests hold that both are one density.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from models.parts.kernels.vector import exp, log, side_by_side
from toolkit.data.tables import Floats, Ints
from toolkit.model import MOST_DRAWS

type LogDensity = Callable[[Floats], tuple[float, Floats]]
"""Of x: a log density but for a constant, and its gradient."""


class Trajectories(NamedTuple):
    """How long the trajectories are by which a chain moves."""

    settings: Mapping[str, Any]
    """Of nutpie."""
    least_step: float = 0.0
    """Where steps settle below it, they lead too short a way to be of use."""
    most_draws: int = MOST_DRAWS
    """Of a chain that is to converge."""


ANY = Trajectories({"maxdepth": 8})
"""Trees double up to so many times. Converged chains need half of it; one that has just begun, with
steps far too small, would otherwise spend minutes on a few of them."""
NEAR_NORMAL = Trajectories({**ANY.settings, "exact_normal_trajectory": True})
"""They are exact for N(0, 1) but for what the posterior leaves of it (Shahbaba, Lan, Johnson & Neal
2014, doi:10.1007/s11222-012-9373-1): half as many gradients. Far from N(0, 1) a chain may settle on
steps that are too long and hardly move, as R-hat and effective sizes then tell."""
SHORT_STEPS = Trajectories({**NEAR_NORMAL.settings, "target_accept": 0.9})
"""For posteriors of some hundred parameters: at nutpie's .8 now and then a transition diverged."""
SHORTEST_STEPS = Trajectories({**NEAR_NORMAL.settings, "target_accept": 0.99})
"""Where few data leave bends that others run into."""
QUARTER_TURN = Trajectories({**NEAR_NORMAL.settings, "maxdepth": 2}, 0.5, most_draws=1250)
"""Three steps, a quarter turn of N(0, 1) or more, after which neither a draw nor its square hangs
on the last: fewer gradients than whole trees, if the posterior is near enough for such steps."""
LONG_STEPS = Trajectories({**QUARTER_TURN.settings, "target_accept": 0.6})
"""So near that they can be longer still."""


class Posterior(Protocol):
    """A posterior in coordinates x, most of which are near N(0, 1).

    Several threads ask it at a time. Where it has no value it says NaN: that step diverges.
    """

    @property
    def start(self) -> Floats:
        """x near which chains begin, [x]."""

    @property
    def trajectories(self) -> tuple[Trajectories, ...]:
        """How chains move: each is for where those before it do not lead to convergence."""

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
    shape, by_log_mean = np.exp(log_shape), np.empty(len(log_mean))
    value, by_shape = _of_counts(counts.each, log_mean, log_shape, by_log_mean)
    y, times = counts.distinct, counts.times
    value += float(times @ (gammaln(y + shape) - gammaln(shape) - gammaln(y + 1.0)))
    by_shape += float(times @ (digamma(y + shape) - digamma(shape)))
    return value, by_log_mean, float(shape * by_shape)


@side_by_side
def _of_counts(
    counts: Floats, log_mean: Floats, log_shape: float, by_log_mean: Floats
) -> tuple[float, float]:
    """What has no gamma function in it, and its derivative by the shape; fills ``by_log_mean``.

    A count's mean has the share of mean / (mean + shape).
    """
    shape = np.exp(log_shape)
    value = by_shape = 0.0
    for i in range(len(counts)):
        y, ratio = counts[i], log_mean[i] - log_shape
        small = exp(-abs(ratio))
        log_sum = log(1.0 + small)
        share = (1.0 if ratio > 0.0 else small) / (1.0 + small)
        log_rest = -max(ratio, 0.0) - log_sum
        value += shape * log_rest + y * (min(ratio, 0.0) - log_sum)
        by_shape += log_rest + share - y * (1.0 - share) / shape
        by_log_mean[i] = y - (y + shape) * share
    return value, by_shape
