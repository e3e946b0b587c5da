"""How far a difference between versions could be noise: a block bootstrap in several ways at once.

Scores of single rows are anything but independent. A customer comes back at every date and in
many products, a product with all its customers, and what is special about a season is in all rows
of a date; and while horizons overlap, neighbouring dates are scored on the same orders. Rows
resampled one by one would find almost any difference significant. So blocks are resampled, once
for each **way** in which rows depend on each other: customers, products and dates for pairs;
products and dates for product-weeks. A block takes all its rows along, at all dates.

- *Weights* in place of draws with replacement: each block counts with a weight from Gamma(1, 1)
  (the Bayesian bootstrap, Rubin 1981, doi:10.1214/aos/1176345338), so that no block vanishes and
  two dates are more than four outcomes. A ratio is resampled as what it is, both sums with the
  same weights, and so are two versions: the comparison stays paired.
- *Ways add up*: the deviations of the ways, drawn independently of each other, are summed. What
  hangs together in no way is noise of single rows and is counted in each of them, so that the
  interval is too wide rather than too narrow, as in every bootstrap of crossed effects (Owen &
  Eckles 2012, doi:10.1214/12-AOAS547; there is none that is exact: McCullagh 2000, Bernoulli 6).
- *Dates whose horizons overlap* are weighted together: circular blocks of as many dates as fall
  into one horizon (Politis & Romano 1992; Künsch 1989, doi:10.1214/aos/1176347265).
- *Few blocks* know little about their own spread. As in Welch's test (1947,
  doi:10.1093/biomet/34.1-2.28) the summed deviation is stretched by √(ν / χ²_ν), where ν are
  Satterthwaite's degrees of freedom: two dates alone would give Student's t with one, and if the
  dates hardly matter, nearly the normal distribution.

With fewer than two horizons of dates nothing can be learned about other dates: the interval then
speaks of other customers and products at these dates, and ``Resampled.ways`` lacks the date.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats
from toolkit.stages.arguments import check_whole

DATES = "dates"

MIN_BLOCKS = 2.0
"""Fewer blocks say nothing about their spread."""

MAX_SHARE = 0.9
"""A block counts as at most so large a part of all."""

_CELLS = 4_000_000  # weights held together: bounds the memory


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Sums of one way's blocks: numerators of each version, then the denominator.

    Dates are in ascending order, ``overlap`` of them in one horizon.
    """

    sums: Floats  # [blocks, versions + 1]
    overlap: int = 1

    @property
    def independent(self) -> float:
        """How many blocks of equal size would say as much, dates of one horizon as one.

        (Σ size)² / Σ size² over the overlap: a few large blocks decide alone (Carter, Schnepel &
        Steigerwald 2017, doi:10.1162/REST_a_00639).
        """
        size = self.sums[:, -1]
        return float(size.sum() ** 2 / max((size**2).sum(), 1e-300)) / self.overlap

    @property
    def stretch(self) -> float:
        """By how much resamples of ``spread_out`` sums vary too little.

        (B² − 1) / B²: weights with a given sum vary less than free ones. 3L² / (2L² + 1): what
        overlapping dates share falls linearly with their distance, and what two dates' weights
        share does so once more.
        """
        b, overlap = self.independent, self.overlap
        return math.sqrt((b**2 - 1) / b**2 * 3 * overlap**2 / (2 * overlap**2 + 1))

    def spread_out(self) -> "BlockSums":
        """Numerators further from their expectation, each block's by 1 / (1 − its share).

        A block pulls the score towards itself and so hides how far off it is; this is the
        correction of the jackknife (MacKinnon & White 1985, doi:10.1016/0304-4076(85)90158-7).
        """
        size = self.sums[:, -1:]
        expected = size * _ratios(self.sums.sum(axis=0))  # [blocks, versions]
        share = np.minimum(self.overlap * size / size.sum(), MAX_SHARE)
        numerator = expected + (self.sums[:, :-1] - expected) / (1 - share)
        return BlockSums(np.concatenate([numerator, size], axis=1), self.overlap)

    def freedom(self, one: int, other: int) -> float:
        """How well the spread of a difference is known: degrees of freedom of Σ e².

        3 (Σ e²)² / Σ e⁴ with e the blocks' deviations: B if they are normal and alike, less if a
        few large ones decide (Satterthwaite, with the fourth moments observed); B − 1 at most.
        """
        size = self.sums[:, -1:]
        apart = self.sums[:, :-1] - size * _ratios(self.sums.sum(axis=0))
        squares = (apart[:, one] - apart[:, other]) ** 2
        most = self.independent - 1
        spread = float((squares**2).sum())
        return min(most, 3 * float(squares.sum()) ** 2 / spread) if spread > 0 else most

    def used(self) -> "BlockSums":
        """Without blocks that hold nothing, unless they are dates whose order counts."""
        held = (self.sums != 0).any(axis=1)
        return self if self.overlap > 1 else BlockSums(self.sums[held])


@dataclass(frozen=True, slots=True)
class Resampled:
    """Scores of the versions, and how each way's resamples deviate from them."""

    score: Floats  # [versions]
    deviations: Mapping[str, Floats]  # by way: [resamples, versions]
    parts: Mapping[str, BlockSums]  # by way: what was resampled

    def difference(self, one: int, other: int, seed: int) -> Floats:
        """Resamples of the score of ``one`` less that of ``other``, [resamples]."""
        apart = [deviation[:, one] - deviation[:, other] for deviation in self.deviations.values()]
        point = self.score[one] - self.score[other]
        if not apart:
            return np.full(0, point)
        parts = np.stack(apart)  # [ways, resamples]
        each = np.array([part.freedom(one, other) for part in self.parts.values()])
        freedom = welch(parts.var(axis=1), each)
        chi2 = np.random.default_rng(seed).chisquare(freedom, parts.shape[1])
        resampled: Floats = point + parts.sum(axis=0) * np.sqrt(freedom / chi2)
        return resampled


def resample(ways: Mapping[str, BlockSums], resamples: int, seed: int) -> Resampled:
    """Resample ratios of sums; every way holds the same rows, in other blocks.

    The same seed and number of blocks give the same weights, whichever the versions are.
    ``ArgumentError`` if ``resamples`` is no whole number of at least 1.
    """
    check_whole("resamples", resamples, 1)
    total = next(iter(ways.values())).sums.sum(axis=0)
    score = _ratios(total)
    deviations, parts = {}, {}
    for stream, (way, given) in enumerate(ways.items()):
        part = given.used().spread_out()
        if part.independent < MIN_BLOCKS:
            continue
        rng = np.random.default_rng([seed, stream])
        centre = _ratios(part.sums.sum(axis=0))
        deviations[way] = part.stretch * (_ratios(_resampled_sums(part, resamples, rng)) - centre)
        parts[way] = part
    return Resampled(score, deviations, parts)


def welch(variance: Floats, freedom: Floats) -> float:
    """Degrees of freedom of a sum of estimated variances (Satterthwaite), infinite ones apart.

    >>> welch(np.array([1.0, 1.0]), np.array([1.0, 3.0]))
    3.0
    """
    spread = float((variance**2 / freedom).sum())
    return float(variance.sum()) ** 2 / spread if spread > 0 else float(freedom.min())


def interval(resampled: Floats, share: float) -> tuple[float, float]:
    """The central interval that holds ``share`` of the resamples; NaN without any."""
    if not len(resampled):
        return float("nan"), float("nan")
    low, high = np.quantile(resampled, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def overlapping(dates: Sequence[date], horizon_weeks: int) -> int:
    """The most dates, ascending, that fall into one horizon: their outcomes overlap.

    >>> overlapping([date(2024, 1, 1), date(2024, 1, 29), date(2024, 6, 3)], 12)
    2
    """
    horizon = timedelta(weeks=horizon_weeks)
    return max((sum(d <= later < d + horizon for later in dates) for d in dates), default=1)


def block_sums(block: NDArray[np.int64], blocks: int, values: Floats) -> Floats:
    """Sums of ``values`` [rows, columns] by ``block`` [rows], [blocks, columns]."""
    columns = [np.bincount(block, column, blocks) for column in values.T]
    return np.stack(columns, axis=1)


def _resampled_sums(part: BlockSums, resamples: int, rng: np.random.Generator) -> Floats:
    blocks = len(part.sums)
    step = max(1, _CELLS // blocks)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([_weights(part, size, rng) @ part.sums for size in sizes])


def _weights(part: BlockSums, resamples: int, rng: np.random.Generator) -> Floats:
    """Weights [resamples, blocks]; those of dates in a horizon share what makes them larger."""
    if part.overlap == 1:
        return rng.standard_exponential((resamples, len(part.sums)))
    starts = rng.standard_gamma(1 / part.overlap, (resamples, len(part.sums)))
    shifted = [np.roll(starts, shift, axis=1) for shift in range(part.overlap)]
    weights: Floats = np.sum(shifted, axis=0)
    return weights


def _ratios(sums: Floats) -> Floats:
    """Numerators [..., versions] over the denominator, which comes last; NaN if that is 0."""
    denominator = sums[..., -1:]
    known = np.where(denominator == 0, np.nan, denominator)
    ratios: Floats = sums[..., :-1] / known
    return ratios
