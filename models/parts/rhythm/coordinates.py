"""Coordinates in which the posterior of ``rhythm``'s coefficients is nearly round.

A sampler moves freely where no direction is much longer than another and none is bent. θ, with the
levels of the windows at its end, is taken about its posterior mode, in units of its deviations
there, with three bends taken out:

Pairs with few orders tell only of p · h, how likely they are alive times how often they order if
so: where log p falls, the rate's coefficients have to rise. They are counted from there,

    y_rate = θ_rate + P log p(θ_alive),

P the regression of log p on the rate's columns. And log odds of being alive fall with silence as
a − s x, known best where pairs fall silent, not at x = 0; with s = exp(θ) this is no straight line
in θ, but it is one in s:

    y_a = a − m · slopes,

m the regression of a on the falling slopes by their covariance at the mode. Both are shears, of
Jacobian 1. And s itself would grow without end in a few steps of θ, and take the log odds with it:
it is counted as

    y_s = log(exp(s) − 1),  s = softplus(y_s),

which is θ for small s and s for large. Then y = mode + C ξ, C Cᵀ the covariance at the mode
(``rhythm_mode.py``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.logprob.transforms import Transform
from scipy.special import expit, log_expit

from models.parts.rhythm.activity import BLOCKS, BOOSTED, Blocks, column
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from toolkit.data.tables import Floats

FALLING = {"alive": ("customer_silence", "product_silence", "late")}
"""Whoever is silent for longer is not more likely to be alive."""
LEAST_SCALE = 0.5
"""All columns are logarithms or the like. One that hardly varies here may vary elsewhere."""
REGRESSED_ROWS = 4000
"""So many rows tell how log p follows the rate's columns."""


def falls(block: str, columns: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of a block's columns have slopes that can only fall below zero, [columns]."""
    return np.array([name in FALLING.get(block, ()) for name in columns])


@dataclass(frozen=True, slots=True)
class Globals:
    """The coefficients and constants θ, one vector: priors N(mean, sd²), all of them unbounded.

    A block of θ is a constant and the slopes of some columns, centred and scaled; a slope that
    can only fall below zero is −exp(θ). The levels of the windows come last.
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
        names, mean, sd = [], [], []
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
            np.array([*sd, prior.log_dip_length[1], prior.decline, *np.full(windows, prior.level)]),
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

    def slopes(self, theta: Any, exp: Any) -> Any:
        """θ with what can only fall as the slope it stands for."""
        if not self.falls.any():
            return theta
        kept: Floats = (~self.falls).astype(float)
        return theta * kept - exp(theta * self.falls) * self.falls

    def by_theta(self, slopes: Floats) -> Floats:
        """d slopes / dθ."""
        return np.where(self.falls, slopes, 1.0)

    def as_they_are(self, slopes: Any) -> Any:
        """The constant and the slopes of the columns as they are."""
        of_columns = slopes[1:] / self.scale
        return pt.concatenate([[slopes[0] - pt.dot(self.mean, of_columns)], of_columns])


class Coordinates(Transform):
    """θ to ξ and back, see above, about a ``mode`` and a ``root`` of the covariance there."""

    name = "coordinates"
    ndim_supp = 1

    def __init__(
        self, of_theta: Globals, mode: Floats, root: Floats, columns: dict[str, Columns]
    ) -> None:
        self.rate, self.alive = of_theta.block("rate"), of_theta.block("alive")
        self.columns = columns["alive"]
        rows = len(columns["rate"].design)
        some = np.random.default_rng(rows).permutation(rows)[:REGRESSED_ROWS]
        design, self.design = columns["rate"].design[some], self.columns.design[some]
        ridge = np.eye(design.shape[1])
        self.regression = np.linalg.solve(design.T @ design + ridge, design.T)
        slopes = self.columns.slopes(mode[self.alive], np.exp)
        logit = self.design @ slopes
        by_alive = expit(-logit)[:, None] * self.design * self.columns.by_theta(slopes)
        shear = np.eye(len(mode))
        shear[self.rate, self.alive] = self.regression @ by_alive
        root = shear @ root
        falling = np.flatnonzero(self.columns.falls)
        constant, at = self.alive.start, self.alive.start + falling
        covariance, steepness = root @ root.T, slopes[falling]
        by_fall = np.linalg.solve(covariance[np.ix_(at, at)], covariance[constant, at]) / steepness
        self.by_slope = np.zeros(len(slopes))
        self.by_slope[falling] = by_fall
        shear = np.eye(len(mode))
        shear[constant, at] = -by_fall * steepness
        self.falling = at
        steep = -steepness
        root = shear @ root
        root[at] *= (steep / -np.expm1(-steep))[:, None]
        self.root, self.inverse = root, np.linalg.inv(root)
        self.centre = mode.copy()
        self.centre[self.rate] += self.regression @ log_expit(logit)
        self.centre[constant] -= by_fall @ steepness
        self.centre[at] = np.log(np.expm1(steep))

    def backward(self, value: Any, *inputs: Any) -> Any:
        """θ at coordinates ξ."""
        y = self.centre + pt.dot(self.root, value)
        y = pt.set_subtensor(y[self.falling], pt.log(pt.softplus(y[self.falling])))
        y = pt.inc_subtensor(y[self.alive.start], self._by_falls(y))
        return pt.inc_subtensor(y[self.rate], -self._by_alive(y))

    def forward(self, value: Any, *inputs: Any) -> Any:
        """ξ of coefficients θ."""
        y = pt.inc_subtensor(value[self.rate], self._by_alive(value))
        y = pt.inc_subtensor(y[self.alive.start], -self._by_falls(value))
        steep = pt.exp(value[self.falling])
        y = pt.set_subtensor(y[self.falling], pt.log(pt.expm1(steep)))
        return pt.dot(self.inverse, y - self.centre)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """log |det C|, and of θ by y_s."""
        y = self.centre[self.falling] + pt.dot(self.root[self.falling], value)
        by_y = pt.sum(-pt.softplus(-y) - pt.log(pt.softplus(y)))
        return by_y + np.linalg.slogdet(self.root)[1]

    def _by_alive(self, theta: Any) -> Any:
        """P log p, [1 + rate's columns]."""
        logit = pt.dot(self.design, self.columns.slopes(theta[self.alive], pt.exp))
        return pt.dot(self.regression, -pt.softplus(-logit))

    def _by_falls(self, theta: Any) -> Any:
        """m · slopes."""
        return pt.dot(self.by_slope, self.columns.slopes(theta[self.alive], pt.exp))
