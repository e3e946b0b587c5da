"""The posterior of ``rhythm`` as it is sampled: in coordinates about its mode, with its gradient.

What the parameters are functions of: θ of ξ (``coordinates.py``), the log of the shocks' deviation,
z of the shocks (``mode.py``), the log of the deviation of the windows' levels, the level of the
window that is to be forecast in units of it, the log of the shape of first orders, and of their
coefficients what a Gaussian about their mode makes round.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.posterior import (
    QUARTER_TURN,
    SHORT_STEPS,
    Counts,
    dot,
    negative_binomial,
    normal,
)
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.coordinates import Coordinates, Dips, Levels
from models.parts.rhythm.mode import Density, find_mode
from models.parts.rhythm.newcomers import PRIOR_MEAN, PRIOR_SD, Newcomers
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from models.parts.rhythm.windows import WindowData
from toolkit.data.tables import Floats

NEWTON_STEPS = 25
LARGEST_STEP = 2.0
SHAPE = 1.0
"""Of the negative binomial, while the mode of its coefficients is looked for."""


class RhythmPosterior:
    """A ``Posterior`` of the model that ``build_model`` writes down."""

    trajectories = (QUARTER_TURN, SHORT_STEPS)

    def __init__(
        self, data: WindowData, prior: RhythmPrior = DEFAULT_PRIOR, threads: int = 1
    ) -> None:
        self.prior, self.columns = prior, data.columns()
        self.density = Density(data, self.columns, prior, threads)
        self.arrow = find_mode(self.density)
        dips = Dips(self.columns, *data.order_weeks())
        self.coordinates = Coordinates(
            self.density.prior, self.arrow.mode, self.arrow.root, self.columns, dips
        )
        self.levels = Levels(self.density.prior, self.arrow.root)
        self.arrived, self.log_days = Counts.of(data.newcomers.arrived), data.newcomers.log_days
        self.design, self.means = data.newcomers.design()
        self.beta, self.beta_root = mode_of_newcomers(self.design, data.newcomers)
        self.ends = np.cumsum([len(self.arrow.mode), 1, self.density.groups, 1, 1, 1])
        scale, level_sd, log_shape = self.ends[0], self.ends[2], self.ends[4]
        self.start = np.zeros(self.ends[-1] + len(self.beta))
        self.start[scale], self.start[level_sd] = np.log(self.arrow.scale), prior.level_sd[0]
        self.start[log_shape] = prior.arrival_shape[0] + 0.5 * prior.arrival_shape[1] ** 2
        self.is_round = np.ones(len(self.start), dtype=bool)
        self.is_round[[scale, level_sd, log_shape]] = False

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Log density at x, but for a constant, and its gradient; NaN where x is not finite."""
        if not np.isfinite(x).all():
            return np.nan, np.zeros_like(x)
        with np.errstate(all="ignore"):
            return self._density(x)

    def _density(self, x: Floats) -> tuple[float, Floats]:
        xi, log_scale, z, log_sd, next_level, log_shape, of_beta = np.split(x, self.ends)
        value, by_xi, by_scale, by_z, by_sd = self._weeks(
            xi, float(log_scale[0]), z, float(log_sd[0])
        )
        arrived, by_shape, by_beta = self._arrivals(float(log_shape[0]), of_beta)
        priors = [
            normal(log_scale, *self.prior.product_shock),
            normal(log_sd, *self.prior.level_sd),
            normal(next_level, 0.0, 1.0),
            normal(log_shape, *self.prior.arrival_shape),
        ]
        of_scale, of_sd, of_level, of_shape = (slope for _, slope in priors)
        gradient = np.concatenate([
            by_xi, by_scale + of_scale, by_z, by_sd + of_sd, of_level, by_shape + of_shape, by_beta
        ])  # fmt: skip
        return value + arrived + sum(prior for prior, _ in priors), gradient

    def values(self, x: Floats) -> dict[str, NDArray[Any]]:
        """Coefficients for the columns as they are; inner: θ, and β of first orders."""
        xi, log_scale, _, log_sd, next_level, log_shape, of_beta = np.split(x, self.ends)
        of = self.density.prior
        theta, *_ = self.levels(self.coordinates.theta(xi)[0], float(log_sd[0]))
        theta, level = np.split(theta, [of.levels.start])
        beta = self.beta + dot(self.beta_root, of_beta)
        found = {b: self.columns[b].as_they_are(theta[of.block(b)]) for b in BLOCKS}
        single = {
            "log_dip_length": theta[of.at("log_dip_length")],
            "decline": theta[of.at("decline")],
            "product_shock": np.exp(log_scale[0]),
            "level_sd": np.exp(log_sd[0]),
            "next_level": np.exp(log_sd[0]) * next_level[0],
            "arrival_shape": np.exp(log_shape[0]),
        }
        found |= {name: np.asarray(value) for name, value in single.items()}
        found["arrival"] = np.append(beta[0] - self.means @ beta[1:], beta[1:])
        return found | {"theta_raw": theta, "level_raw": level, "arrival_raw": beta}

    def _weeks(
        self, xi: Floats, log_scale: float, z: Floats, log_sd: float
    ) -> tuple[float, Floats, float, Floats, float]:
        """Density of order weeks, θ and shocks, the scales' priors left out; its slopes."""
        theta, log_jacobian, back = self.coordinates.theta(xi)
        theta, by_deviation, back_to_fixed = self.levels(theta, log_sd)
        level = theta[self.levels.at]
        scale = np.exp(log_scale)
        shock, mean, precision = self.arrow.shocks(theta, scale, z)
        value, by_theta, by_shock = self.density(theta, shock)
        square = (shock / scale) ** 2
        value += log_jacobian - 0.5 * float((square + np.log(precision)).sum())
        value -= len(z) * log_scale
        fixed, own = self.levels.level_sd**-2.0, np.exp(-2.0 * log_sd)
        squares = dot(level, level)
        value += by_deviation - len(level) * log_sd
        value += 0.5 * (fixed - own) * squares  # the density's prior of the levels is at ``fixed``
        by_theta[self.levels.at] += (fixed - own) * level
        by_sd = own * squares - len(level)
        by_shock = by_shock - shock / scale**2
        by_mean, by_z = by_shock / precision, by_shock * precision**-0.5
        by_precision = -(0.5 + by_shock * mean + 0.5 * by_z * z) / precision
        by_scale = float((square - 1.0 - 2.0 * by_precision / scale**2).sum())
        by_theta, by_levels = back_to_fixed(by_theta - dot(self.arrow.cross, by_mean))
        return value, back(by_theta), by_scale, by_z, by_sd + by_levels

    def _arrivals(self, log_shape: float, of_beta: Floats) -> tuple[float, float, Floats]:
        """Density of first orders and their coefficients; its slopes."""
        beta = self.beta + dot(self.beta_root, of_beta)
        log_mean = dot(self.design, beta) + self.log_days
        value, by_mean, by_shape = negative_binomial(self.arrived, log_mean, log_shape)
        prior, slope = normal(beta, PRIOR_MEAN, PRIOR_SD)
        by_beta = dot(self.design.T, by_mean) + slope
        return value + prior, by_shape, dot(self.beta_root.T, by_beta)


def mode_of_newcomers(design: Floats, rows: Newcomers) -> tuple[Floats, Floats]:
    """Posterior mode of β by Fisher scoring, and a root of its covariance there."""
    beta, precision = PRIOR_MEAN.copy(), np.diag(PRIOR_SD**-2.0)
    information = precision
    for _ in range(NEWTON_STEPS):
        expected = np.exp(np.clip(design @ beta + rows.log_days, -30.0, 20.0))
        kept = SHAPE / (SHAPE + expected)
        gradient = design.T @ ((rows.arrived - expected) * kept) - precision @ (beta - PRIOR_MEAN)
        information = design.T @ (design * (expected * kept)[:, None]) + precision
        step = np.linalg.solve(information, gradient)
        beta = beta + step / max(1.0, float(np.abs(step).max()) / LARGEST_STEP)
    return beta, np.linalg.inv(np.linalg.cholesky(information)).T
