"""Are ranks uniform on 0 … L? By histogram, and by their ECDF within a simultaneous band.

Source of the band: Säilynoja, Bürkner & Vehtari (2022), doi:10.1007/s11222-022-10090-6. At each
rank i the count of ranks up to i is binomial; the band takes the same tail γ of all of these,
such that 95 % of uniform samples stay inside everywhere. γ is found by simulation.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

LEVEL = 0.95
SIMULATIONS = 10_000
BINS = 10


@dataclass(frozen=True)
class Uniformity:
    """How uniform the ranks of one quantity are."""

    chi_square_p: float
    largest_deviation: float
    """Largest distance of the ECDF from the diagonal."""
    ecdf_p: float
    """Share of uniform samples with as improbable a count somewhere; below 0.05: outside."""

    @property
    def inside(self) -> bool:
        """Whether the ECDF stays within the band."""
        return self.ecdf_p >= 1 - LEVEL


def uniformity(ranks: np.ndarray, most: int) -> Uniformity:
    """Of ``ranks`` [replications], each one of 0 … ``most``."""
    counts = np.bincount(ranks * BINS // (most + 1), minlength=BINS)
    tails = _tails(len(ranks), most)
    count = _counts_up_to(ranks[None, :], most)
    least = tails[count[0], np.arange(most)].min()
    return Uniformity(
        chi_square_p=float(stats.chisquare(counts).pvalue),
        largest_deviation=float(np.abs(ecdf_difference(ranks, most)).max()),
        ecdf_p=float(np.mean(_least_tails(len(ranks), most) <= least)),
    )


def least_p(ranks: np.ndarray, most: int) -> float:
    """At least ``ecdf_p``, and exact however small: the least tail, by Bonferroni's rule.

    ``ecdf_p`` itself is counted in ``SIMULATIONS`` samples, and knows nothing below one of them.
    """
    tails, count = _tails(len(ranks), most), _counts_up_to(ranks[None, :], most)[0]
    return float(min(1.0, most * tails[count, np.arange(most)].min()))


def grid(most: int) -> np.ndarray:
    """P(rank <= i) for i < ``most``."""
    return (np.arange(most) + 1.0) / (most + 1.0)


def ecdf_difference(ranks: np.ndarray, most: int) -> np.ndarray:
    """ECDF of the ranks less that of uniform ones, on the grid."""
    return _counts_up_to(ranks[None, :], most)[0] / len(ranks) - grid(most)


def band(replications: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest ``ecdf_difference`` inside the band."""
    gamma = np.quantile(_least_tails(replications, most), 1 - LEVEL)
    tails, z = _tails(replications, most), grid(most)
    inside = tails >= gamma  # [counts, grid]
    lowest = inside.argmax(axis=0)
    highest = replications - inside[::-1].argmax(axis=0)
    return lowest / replications - z, highest / replications - z


def _counts_up_to(ranks: np.ndarray, most: int) -> np.ndarray:
    """How many ranks of each sample [samples, replications] are <= i, [samples, most]."""
    samples = len(ranks)
    flat = (ranks + np.arange(samples)[:, None] * (most + 1)).ravel()
    counts = np.bincount(flat, minlength=samples * (most + 1)).reshape(samples, most + 1)
    return counts.cumsum(axis=1)[:, :-1]


@cache
def _tails(replications: int, most: int) -> np.ndarray:
    """Twice the smaller tail of each count at each point of the grid, [counts, grid]."""
    count = np.arange(replications + 1)[:, None]
    below = stats.binom.cdf(count, replications, grid(most))
    above = stats.binom.sf(count - 1, replications, grid(most))
    return 2.0 * np.minimum(below, above)


@cache
def _least_tails(replications: int, most: int) -> np.ndarray:
    """The least tail of uniform samples, [simulations]."""
    rng = np.random.default_rng(20220331)
    ranks = rng.integers(0, most + 1, (SIMULATIONS, replications))
    return _tails(replications, most)[_counts_up_to(ranks, most), np.arange(most)].min(axis=1)
