"""The posterior mode of ``rhythm`` with its shocks, and its covariance there. Only fitting uses it.

The mode is taken of θ (coefficients, constants and levels) and of the products' shocks b together,
at a deviation s of the shocks that is chosen with it. The negative Hessian is an arrow: every row
has one shock, so the block of the shocks is diagonal,

    [ A   C ]      D = h + 1 / s²,  h what the rows of a shock tell of it,
    [ Cᵀ  D ]      S = A − C D⁻¹ Cᵀ  (θ with the shocks integrated out, Schur's complement).

θ then has the covariance S⁻¹ = R Rᵀ. What the rows tell of the shocks is taken for a Gaussian of
precision h; given θ and any s, the shocks are then independent and Gaussian,

    b | θ, s ~ N((a − Cᵀ (θ − θ̂)) / D, 1 / D),  a = (h + 1 / ŝ²) b̂,  D = h + 1 / s²,

and z = √D (b − its mean), which is sampled, is near N(0, 1) whatever θ and s are: no funnel, be s
small or large, where rows tell much of a shock or nothing (the partial centring of
Papaspiliopoulos, Roberts & Sköld 2007, doi:10.1214/088342307000000014, with the share that is
right for each s).

s is chosen at each step where the Gaussian's marginal density of it, times its prior, is highest:

    log p(s) = Σ ½ s² (h b)² / (1 + s² h) − ½ log(1 + s² h),  h b = b̂ D,

with b what the rows alone say of a shock; by small steps, since h hangs on where the shocks are.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from models.parts.fitting.posterior import dot
from models.parts.kernels.weekly import weekly_likelihood
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.coordinates import Columns, Globals
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from models.parts.rhythm.windows import WindowData
from toolkit.data.tables import Floats

SHOCK_SCALE = 0.25
"""Deviation of the shocks where the search begins."""
SHOCK_SCALES = (0.02, 3.0)
NEWTON_STEPS = 40
HALVINGS = 12
SCALE_STEP = 0.1
"""The log of the shocks' deviation moves half as far as it should, and by so much at most."""
LARGEST_STEP = 1.0
"""A step moves no coefficient further than so many deviations of its prior."""
SMALLEST_STEP = 0.05
DIFFERENCE = 1e-4


class Shocks(NamedTuple):
    """b, [groups]; and its mean and precision D given θ and s."""

    shock: Floats
    mean: Floats
    precision: Floats


@dataclass(frozen=True, slots=True)
class Arrow:
    """The mode of θ and of the shocks, and the Gaussian there, see above."""

    mode: Floats  # θ̂, [θ]
    root: Floats  # R, [θ, θ]
    pull: Floats  # a, [groups]
    cross: Floats  # C, [θ, groups]
    information: Floats  # h, [groups]
    scale: float  # ŝ

    def shocks(self, theta: Floats, scale: float, z: Floats) -> Shocks:
        """b at θ, s and z."""
        precision = self.information + scale**-2.0
        mean = (self.pull - dot(self.cross.T, theta - self.mode)) / precision
        return Shocks(mean + z * precision**-0.5, mean, precision)


def find_mode(density: "Density") -> Arrow:
    """Newton's steps with the arrow's Hessian from the prior's mean, each of them uphill.

    Without the shocks there may be no mode worth finding: products of which nobody orders any more
    would then be explained by a P(alive) that falls without end.
    """
    at = _Point(density.prior.mean, np.zeros(density.groups), SHOCK_SCALE)
    for _ in range(NEWTON_STEPS):
        gaussian = _Gaussian.at(density, at)
        step = gaussian.step(density, at)
        moved = _uphill(density, at, step)
        best = _best_scale(moved.shock * gaussian.precision, gaussian.information, density.shock)
        towards = 0.5 * np.log(best / at.scale)
        scale = at.scale * float(np.exp(np.clip(towards, -SCALE_STEP, SCALE_STEP)))
        small = float(np.abs(np.linalg.solve(gaussian.root, moved.theta - at.theta)).max())
        settled = small < SMALLEST_STEP and abs(np.log(scale / at.scale)) < SMALLEST_STEP
        at = _Point(moved.theta, moved.shock, scale)
        if settled:
            break
    gaussian = _Gaussian.at(density, at)
    return Arrow(
        mode=at.theta,
        root=gaussian.root,
        pull=at.shock * gaussian.precision,
        cross=gaussian.cross,
        information=gaussian.information,
        scale=at.scale,
    )


class _Point(NamedTuple):
    """Where the search is."""

    theta: Floats
    shock: Floats
    scale: float

    def along(self, step: tuple[Floats, Floats], share: float) -> "_Point":
        """So far in a direction of θ and the shocks."""
        return _Point(self.theta + share * step[0], self.shock + share * step[1], self.scale)


class _Gaussian(NamedTuple):
    """The arrow at a point: R, C, h and D."""

    root: Floats
    cross: Floats
    information: Floats
    precision: Floats

    @classmethod
    def at(cls, density: "Density", at: _Point) -> "_Gaussian":
        curvature, cross, information = density.curvature(at.theta, at.shock)
        precision = information + at.scale**-2.0
        root = _inverse_root(curvature - (cross / precision) @ cross.T, density.prior)
        return cls(root, cross, information, precision)

    def step(self, density: "Density", at: _Point) -> tuple[Floats, Floats]:
        """Newton's, of θ and of the shocks, no further than ``LARGEST_STEP``."""
        _, by_theta, by_shock = density(at.theta, at.shock)
        by_shock = by_shock - at.shock * at.scale**-2.0
        of_theta = self.root @ (self.root.T @ (by_theta - self.cross @ (by_shock / self.precision)))
        of_shock = (by_shock - self.cross.T @ of_theta) / self.precision
        far = float(np.abs(of_theta / density.prior.sd).max())
        share = min(1.0, LARGEST_STEP / max(far, LARGEST_STEP))
        return share * of_theta, share * of_shock


def _uphill(density: "Density", at: _Point, step: tuple[Floats, Floats]) -> _Point:
    """The step, or the first half, quarter, … of it that leads uphill; nowhere if none does."""
    before = density.with_shocks(at)
    for halvings in range(HALVINGS):
        moved = at.along(step, 0.5**halvings)
        if density.with_shocks(moved) > before:
            return moved
    return at


def _best_scale(pull: Floats, information: Floats, prior: tuple[float, float]) -> float:
    """The deviation of the shocks whose marginal density is the highest."""
    middle, deviation = prior

    def density(log_scale: float) -> float:
        square = np.exp(2.0 * log_scale)
        known = 1.0 + square * information
        marginal = 0.5 * (square * pull**2 / known - np.log(known)).sum()
        return float(marginal) - 0.5 * ((log_scale - middle) / deviation) ** 2

    lowest, highest = np.log(SHOCK_SCALES)
    found = minimize_scalar(lambda x: -density(x), bounds=(lowest, highest), method="bounded")
    return float(np.exp(found.x))


def _inverse_root(curvature: Floats, prior: Globals) -> Floats:
    """R of R Rᵀ = S⁻¹; the prior alone curves as much as the least that is taken.

    Far from the mode some directions curve upwards: their steps are as if they curved downwards.
    """
    eigenvalues, eigenvectors = np.linalg.eigh((curvature + curvature.T) / 2)
    least = 1.0 / prior.sd.max() ** 2
    root: Floats = eigenvectors / np.sqrt(np.maximum(np.abs(eigenvalues), least))
    return root


class Density:
    """Log density of θ and the data given the shocks, and its derivatives.

    ``threads`` share what takes many of them; what they find does not hang on their number.
    """

    def __init__(
        self,
        data: WindowData,
        columns: dict[str, Columns],
        prior: RhythmPrior = DEFAULT_PRIOR,
        threads: int = 1,
    ) -> None:
        self.threads = max(1, threads)
        self.windows, self.groups = len(data.log_season), int(data.product_window.max()) + 1
        self.prior, self.columns = Globals.prior(self.windows, prior, data.blocks), columns
        self.shock = prior.product_shock
        layout = data.layout()
        self.outcomes, self.rows = data.outcomes(layout), data.rows(layout, columns)

    def __call__(self, theta: Floats, shock: Floats) -> tuple[float, Floats, Floats]:
        """The density (without the shocks' own), its gradient by θ and by the shocks."""
        prior, columns, coefficients = self.prior, self.columns, self.prior.coefficients
        slopes = np.concatenate([
            columns[b].slopes(theta[prior.block(b)]) for b in BLOCKS
        ])  # fmt: skip
        gradient, by_shock = np.empty(len(theta)), np.empty(self.groups)
        by_level, by_slopes = gradient[prior.levels], gradient[coefficients]
        length, decline = prior.at("log_dip_length"), prior.at("decline")
        value, gradient[length], gradient[decline] = weekly_likelihood(
            self.outcomes, self.rows, slopes, theta[prior.levels], shock, theta[length],
            theta[decline], by_slopes, by_level, by_shock,
        )  # fmt: skip
        for b in BLOCKS:
            gradient[prior.block(b)] *= columns[b].by_theta(slopes[prior.block(b)])
        off = (theta - prior.mean) / prior.sd
        return value - 0.5 * float(off @ off), gradient - off / prior.sd, by_shock

    def with_shocks(self, at: _Point) -> float:
        """The density of the shocks, too, but for what no step changes."""
        return self(at.theta, at.shock)[0] - 0.5 * float(np.sum((at.shock / at.scale) ** 2))

    def curvature(self, theta: Floats, shock: Floats) -> tuple[Floats, Floats, Floats]:
        """A, C and h, by differences of the gradient."""

        def column(shift: Floats) -> tuple[Floats, Floats]:
            _, up, shock_up = self(theta + shift, shock)
            _, down, shock_down = self(theta - shift, shock)
            return (down - up) / (2 * DIFFERENCE), (shock_down - shock_up) / (2 * DIFFERENCE)

        with ThreadPoolExecutor(self.threads) as pool:
            rows, cross = zip(*pool.map(column, DIFFERENCE * np.eye(len(theta))), strict=True)
        of_shocks = cross[self.prior.at("rate_constant")]  # it shifts η as a shock does
        return np.array(rows), np.array(cross), np.maximum(of_shocks, 0.0)
