"""Limits that a correct program passes in all but one of a million runs of a test.

A statistical test names its estimate, that estimate's standard error and how many of them it
compares; from these come its limits, never from what happened to pass. Standard errors of both
sides are added where both were drawn, and ``comparisons`` counts all that one test compares, by
Bonferroni's rule.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

ALARM = 1e-6
"""A correct program fails one statistical test so often, whatever its seed."""
ROUNDING = 1e-12
"""Of sums of a few hundred numbers, as a share; processors differ in it."""


@dataclass(frozen=True)
class Seeds:
    """Seeds of statistical tests, moved by ``pytest --shift-seeds``."""

    shift: int

    def __call__(self, seed: int) -> int:
        return seed + 1000 * self.shift


def z_limit(comparisons: int = 1) -> float:
    """Standard errors that no one of so many normal estimates is off by: 4.9 for one of them."""
    return float(stats.norm.isf(ALARM / (2 * comparisons)))


def p_limit(comparisons: int = 1) -> float:
    """The least of so many p values is below it once in a million runs."""
    return ALARM / comparisons


def assert_near(found, expected, error, comparisons: int | None = None, one=0.0) -> None:
    """Estimates with the standard errors ``error`` are off by no more than chance allows.

    ``one``: by how much a single draw can move an estimate. Of rare events the normal law says too
    little; Bernstein's inequality adds a third of z² such draws. ``ROUNDING`` is always allowed:
    what is 1 for sure may be a sum of shares.
    """
    off = np.abs(np.asarray(found, dtype=float) - expected)
    z = z_limit(comparisons or off.size)
    allowed = z * np.asarray(error) + z**2 / 3 * one + ROUNDING * np.abs(expected)
    limit = np.broadcast_to(allowed, off.shape)
    worst = np.unravel_index(np.argmax(off - limit), off.shape)
    assert np.all(off <= limit), f"{worst}: off by {off[worst]:.4g}, allowed {limit[worst]:.4g}"


def assert_share(hits, rows, expected, comparisons: int = 1) -> None:
    """``hits`` of ``rows`` independent ones, each with a chance of ``expected`` to be a hit."""
    law = stats.binom(rows, expected)
    tail = min(law.cdf(hits), law.sf(hits - 1))
    assert tail > p_limit(comparisons) / 2, f"{hits} of {rows}, expected a share of {expected}"


def error_of_mean(sample, axis: int = -1):
    """The standard error of the mean of independent draws along ``axis``."""
    return np.std(np.asarray(sample), axis=axis) / np.sqrt(np.shape(sample)[axis])


def error_of_sd(sample, axis: int = -1):
    """That of their standard deviation, by the delta method: tails as heavy as they are."""
    centred = sample - np.mean(sample, axis=axis, keepdims=True)
    variance = np.mean(centred**2, axis=axis)
    of_variance = np.std(centred**2, axis=axis) / np.sqrt(np.shape(sample)[axis])
    return of_variance / (2 * np.sqrt(np.maximum(variance, 1e-300)))


BATCHES = 10
"""Of each chain: long enough to be next to independent, if a chain has hundreds of draws."""


def batch_means(draws: np.ndarray) -> np.ndarray:
    """[chains × BATCHES, …] of draws [chain, draw, …]."""
    parts = np.array_split(np.asarray(draws), BATCHES, axis=1)
    return np.concatenate([part.mean(axis=1) for part in parts])


def assert_chains_agree(one: np.ndarray, other: np.ndarray, comparisons: int) -> None:
    """Two samplers' draws [chain, draw, …] have the same mean, within the errors of both.

    The error comes from batches, and is itself known from so few of them: hence Student's law,
    with the degrees of freedom of either side alone, which are fewer than those of both.
    """
    sides = [batch_means(draws) for draws in (one, other)]
    error = np.sqrt(sum(means.var(axis=0, ddof=1) / len(means) for means in sides))
    limit = stats.t.isf(ALARM / (2 * comparisons), min(map(len, sides)) - 1)
    t = (sides[0].mean(axis=0) - sides[1].mean(axis=0)) / error
    assert np.all(np.abs(t) <= limit), f"{np.abs(t).max():.1f} errors apart, allowed {limit:.1f}"
