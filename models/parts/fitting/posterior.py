"""What a fit draws from: a log density and its gradient, written in NumPy about a kernel.

The model itself is written in PyMC, and draws of its prior come from there. Machine code of its
graph and gradient takes half a minute to compile; these take none but the kernel's, which is kept.
Tests hold that both are one density.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln, log_expit

from toolkit.data.tables import Floats, Ints

type LogDensity = Callable[[Floats], tuple[float, Floats]]
"""Of x: a log density but for a constant, and its gradient."""


class Posterior(Protocol):
    """A posterior in coordinates x, most of which are near N(0, 1).

    Several threads ask it at a time. Where it has no value it says NaN: that step diverges.
    """

    @property
    def start(self) -> Floats:
        """x near which chains begin, [x]."""

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
