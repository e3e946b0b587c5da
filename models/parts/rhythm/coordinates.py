"""Coordinates in which the posterior of ``rhythm``'s coefficients is nearly round.

A sampler moves freely where no direction is much longer than another and none is bent. θ, with the
levels of the windows at its end, is taken about its posterior mode, in units of its deviations
there, with four bends taken out:

Pairs with few orders tell only of p · h, how likely they are alive times how often they order if
so: where log p falls, the rate's coefficients have to rise. They are counted from there,

    y_rate = θ_rate + P log p(θ_alive),

P the regression of log p on the rate's columns. The dip after an order takes
d = exp(dip − weeks / length) off the log of the rate; where orders come all the same the rate makes
up for it, so that y_rate has P' d taken off, P' the regression of d on the rate's columns over the
weeks with orders. And log odds of being alive fall with silence as a − s x, known best where pairs
fall silent, not at x = 0; with s = exp(θ) this is no straight line in θ, but it is one in s:

    y_a = a − m · slopes,

m the regression of a on the falling slopes by their covariance at the mode. These are shears, of
Jacobian 1. And s itself would grow without end in a few steps of θ, and take the log odds with it:
it is counted as

    y_s = log(exp(s) − 1),  s = softplus(y_s),

which is θ for small s and s for large. Then y = mode + C ξ, C Cᵀ the covariance at the mode
(``mode.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from models.parts.fitting.posterior import dot
from models.parts.rhythm.activity import BLOCKS, BOOSTED, Blocks, column
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from toolkit.data.tables import Floats, Ints

FALLING = {"alive": ("customer_silence", "product_silence", "late")}
"""Whoever is silent for longer is not more likely to be alive."""
LEAST_SCALE = 0.5
"""All columns are logarithms or the like. One that hardly varies here may vary elsewhere."""
REGRESSED_ORDERS = 1000
REGRESSED_ROWS = 1000
"""So many rows tell how log p follows the rate's columns."""


def falls(block: str, columns: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of a block's columns have slopes that can only fall below zero, [columns]."""
    return np.array([name in FALLING.get(block, ()) for name in columns])


@dataclass(frozen=True, slots=True)
class Globals:
    """The coefficients and constants θ, one vector: priors N(mean, sd²), all of them unbounded.

    A block of θ is a constant and the slopes of some columns, centred and scaled; a slope that
    can only fall below zero is −exp(θ). The levels of the windows come last; their deviation
    here is the prior's median of it.
    """

    names: tuple[str, ...]
    mean: Floats
    sd: Floats
    blocks: Blocks

    @classmethod
    def prior(
        cls, windows: int, prior: RhythmPrior = DEFAULT_PRIOR, blocks: Blocks = BLOCKS
    ) -> "Globals":
        """The names and priors of all of θ for a fit to so many windows."""
        names, mean, sd, level_sd = [], [], [], np.exp(prior.level_sd[0])
        for block, columns in blocks.items():
            falling = falls(block, columns)
            boosted = np.array([name == BOOSTED for name in columns])
            names += [f"{block}_constant", *(f"{block}_{name}" for name in columns)]
            constant, slopes = (
                getattr(prior, f"{block}_constant"),
                getattr(prior, f"{block}_slopes"),
            )
            fall_mean, fall_sd = prior.falling_slopes
            boosted_mean, boosted_sd = prior.boosted_slope
            free_mean, free_sd = boosted * boosted_mean, np.where(boosted, boosted_sd, slopes)
            mean += [constant[0], *np.where(falling, fall_mean, free_mean)]
            sd += [constant[1], *np.where(falling, fall_sd, free_sd)]
        return cls(
            (*names, "log_dip_length", "decline", *(f"level_{w}" for w in range(windows))),
            np.array([*mean, prior.log_dip_length[0], 0.0, *np.zeros(windows)]),
            np.array([*sd, prior.log_dip_length[1], prior.decline, *np.full(windows, level_sd)]),
            blocks,
        )

    def at(self, name: str) -> int:
        """Where one coefficient or constant stands in θ."""
        return self.names.index(name)

    @property
    def levels(self) -> slice:
        """Where the levels of the windows stand in θ."""
        return slice(self.at("decline") + 1, len(self.names))

    @property
    def coefficients(self) -> slice:
        """Where all blocks stand in θ, one after the other."""
        return slice(0, self.at("log_dip_length"))

    def block(self, name: str) -> slice:
        """Where a block stands in θ."""
        start = self.at(f"{name}_constant")
        return slice(start, start + 1 + len(self.blocks[name]))


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one block for some rows, centred and scaled, after a column of ones."""

    mean: Floats  # [columns]
    scale: Floats  # [columns]
    design: Floats  # [rows, 1 + columns]
    falls: NDArray[np.bool_]  # [1 + columns]

    @classmethod
    def of(cls, values: Floats, block: str, blocks: Blocks = BLOCKS) -> "Columns":
        """From the ``values`` of all columns, [rows, COLUMNS]; ``BOOSTED`` keeps its scale."""
        names = blocks[block]
        own = values[:, column(names)]
        mean, scale = own.mean(axis=0), np.maximum(own.std(axis=0), LEAST_SCALE)
        scale[[name == BOOSTED for name in names]] = 1.0
        design = np.hstack([np.ones((len(own), 1)), (own - mean) / scale])
        return cls(mean, scale, design, np.append(False, falls(block, names)))

    def slopes(self, theta: Floats) -> Floats:
        """θ with what can only fall as the slope it stands for."""
        if not self.falls.any():
            return theta
        return np.where(self.falls, -np.exp(theta), theta)

    def by_theta(self, slopes: Floats) -> Floats:
        """d slopes / dθ."""
        return np.where(self.falls, slopes, 1.0)

    def as_they_are(self, theta: Floats) -> Floats:
        """The constant and the slopes of the columns as they are, at θ."""
        constant, *slopes = self.slopes(theta)
        of_columns = np.array(slopes) / self.scale
        return np.append(constant - self.mean @ of_columns, of_columns)


class Dips:
    """How far the dip after an order lowers the log of the rate, where orders came all the same.

    These are the weeks that tell of rates: orders come as often as hazards are high.
    """

    def __init__(self, columns: dict[str, Columns], row: Ints, passed: Floats) -> None:
        some = np.random.default_rng(len(row)).permutation(len(row))[:REGRESSED_ORDERS]
        row, self.passed = row[some], passed[some]
        self.design = columns["dip"].design[row]
        rate = columns["rate"].design[row]
        self.regression = np.linalg.solve(rate.T @ rate + np.eye(rate.shape[1]), rate.T)

    def __call__(self, dip: Floats, log_length: float) -> tuple[Floats, Floats]:
        """Of each order, and its derivative by the log of the length, [orders]."""
        speed = np.exp(-log_length)
        depth: Floats = np.exp(dot(self.design, dip) - self.passed * speed)
        return depth, depth * self.passed * speed


class Levels:
    """θ with levels l whose deviation is σ, from θ with levels t whose deviation is fixed at s.

    Where the data tell nothing of a level it should follow its deviation, lest there is a funnel,
    and where they tell all, not. The covariance of the levels at the mode is s² V diag(λ) Vᵀ:

        l = V diag(r^λ) Vᵀ t,  r = σ / s.
    """

    def __init__(self, of_theta: Globals, root: Floats) -> None:
        self.at, self.level_sd = of_theta.levels, of_theta.sd[of_theta.levels.start]
        covariance = root[self.at] @ root[self.at].T / self.level_sd**2
        share, self.vectors = np.linalg.eigh(covariance)
        self.share = np.clip(share, 0.0, 1.0)

    def __call__(
        self, theta: Floats, log_sd: float
    ) -> tuple[Floats, float, Callable[[Floats], tuple[Floats, float]]]:
        """θ with l, log |dl / dt|, and what takes slopes by it to those by θ with t and log σ."""
        log_ratio = log_sd - np.log(self.level_sd)
        scale = np.exp(self.share * log_ratio)
        along = scale * dot(self.vectors.T, theta[self.at])
        moved = theta.copy()
        moved[self.at] = dot(self.vectors, along)

        def back(by_moved: Floats) -> tuple[Floats, float]:
            by_theta, by_along = by_moved.copy(), dot(self.vectors.T, by_moved[self.at])
            by_theta[self.at] = dot(self.vectors, scale * by_along)
            return by_theta, float((self.share * (along * by_along + 1.0)).sum())

        return moved, float(self.share.sum() * log_ratio), back


class Coordinates:
    """θ to ξ and back, see above, about a ``mode`` and a ``root`` of the covariance there."""

    def __init__(
        self,
        of_theta: Globals,
        mode: Floats,
        root: Floats,
        columns: dict[str, Columns],
        dips: Dips,
    ) -> None:
        self.dip, self.length, self.dips = (
            of_theta.block("dip"),
            of_theta.at("log_dip_length"),
            dips,
        )
        self.rate, self.alive = of_theta.block("rate"), of_theta.block("alive")
        self.columns = columns["alive"]
        rows = len(columns["rate"].design)
        some = np.random.default_rng(rows).permutation(rows)[:REGRESSED_ROWS]
        design, self.design = columns["rate"].design[some], self.columns.design[some]
        ridge = np.eye(design.shape[1])
        self.regression = np.linalg.solve(design.T @ design + ridge, design.T)
        slopes = self.columns.slopes(mode[self.alive])
        logit = self.design @ slopes
        by_alive = expit(-logit)[:, None] * self.design * self.columns.by_theta(slopes)
        shear = np.eye(len(mode))
        shear[self.rate, self.alive] = self.regression @ by_alive
        depth, by_length = dips(mode[self.dip], mode[self.length])
        shear[self.rate, self.dip] = -dips.regression @ (depth[:, None] * dips.design)
        shear[self.rate, self.length] = -dips.regression @ by_length
        root = shear @ root
        falling = np.flatnonzero(self.columns.falls)
        constant, at = self.alive.start, self.alive.start + falling
        covariance, steepness = root @ root.T, slopes[falling]
        by_fall = np.linalg.solve(covariance[np.ix_(at, at)], covariance[constant, at]) / steepness
        self.by_slope = np.zeros(len(slopes))
        self.by_slope[falling] = by_fall
        shear = np.eye(len(mode))
        shear[constant, at] = -by_fall * steepness
        self.slope, self.falling = falling, at
        steep = -steepness
        root = shear @ root
        root[at] *= (steep / -np.expm1(-steep))[:, None]
        self.root = root
        self.centre = mode.copy()
        self.centre[self.rate] += self.regression @ log_expit(logit) - dips.regression @ depth
        self.centre[constant] -= by_fall @ steepness
        self.centre[at] = np.log(np.expm1(steep))

    def theta(self, at: Floats) -> tuple[Floats, float, Callable[[Floats], Floats]]:
        """θ at coordinates ξ, log |dθ / dξ| but for a constant, and what takes slopes back.

        That is, the gradient by θ of a log density to the one by ξ of it and of log |dθ / dξ|.
        """
        theta = self.centre + dot(self.root, at)
        y = theta[self.falling]
        soft, share = np.logaddexp(0.0, y), expit(y)
        theta[self.falling] = np.log(soft)
        theta[self.alive.start] -= dot(self.by_slope[self.slope], soft)
        slopes = self.columns.slopes(theta[self.alive])
        logit = dot(self.design, slopes)
        depth, by_length = self.dips(theta[self.dip], theta[self.length])
        theta[self.rate] -= dot(self.regression, log_expit(logit))
        theta[self.rate] += dot(self.dips.regression, depth)

        def back(by_theta: Floats) -> Floats:
            by_y = by_theta.copy()
            by_logit = -dot(self.regression.T, by_theta[self.rate]) * expit(-logit)
            by_y[self.alive] += dot(self.design.T, by_logit) * self.columns.by_theta(slopes)
            by_depth = dot(self.dips.regression.T, by_theta[self.rate])
            by_y[self.dip] += dot(self.dips.design.T, by_depth * depth)
            by_y[self.length] += (by_depth * by_length).sum()
            by_soft = (by_y[self.falling] - 1.0) / soft
            by_soft -= by_y[self.alive.start] * self.by_slope[self.slope]
            by_y[self.falling] = by_soft * share + 1.0 - share
            return dot(self.root.T, by_y)

        return theta, float(np.sum(log_expit(y) - np.log(soft))), back
