"""Log densities of ``rhythm``'s draws, see ``densities.py``. Only fitting imports this.

The units are products in windows: all rows of one share a shock b ~ N(0, s²), and given θ, with
the levels of the windows, and s the units are independent. The shock is integrated out,

    log p(y_g | θ, s) = log ∫ N(b; 0, s²) Π_rows L_row(b) db,

for a shock that has been seen in a window is no help in predicting another window. Leaving a unit
out is to predict the orders of a product's known customers in a window, from what was known of them
before, with coefficients and the window's level from all other units. Other windows of the same
product are among these, later ones, too: what the past tells of the future is for backtests.

The integral is Gauss and Hermite's with ``NODES`` nodes about the mode of b at the posterior mean,
scaled by the curvature there (Liu & Pierce 1994, doi:10.1093/biomet/81.3.624); both follow s as the
Gaussian's would, see ``mode.py``.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pymc as pm
import xarray as xr
from scipy.special import gammaln

from models.parts.fitting.densities import (
    chosen_units,
    in_single_precision,
    log_likelihood,
    log_priors,
)
from models.parts.fitting.inference import DRAWS, Group
from models.parts.kernels.weekly import group_likelihoods
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.mode import DIFFERENCE, LARGEST_STEP, Density
from models.parts.rhythm.newcomers import Newcomers
from toolkit.data.tables import Floats

NODES = 3
"""On the stores (2026-11-29, 2,678 units) a unit's density is off by 4e-5, the worst by .004."""
NEWTON_STEPS = 8
CHUNK = 64
"""New customers are looked at so many draws at a time."""
UNIT = "product_window"
TOP = ("theta_raw", "product_shock", "level_sd", "arrival_raw", "arrival_shape")
"""The variables with a prior of their own: levels and shocks have the model's."""


def densities(
    model: pm.Model, density: Density, newcomers: Newcomers, posterior: xr.Dataset, threads: int
) -> dict[str, Group]:
    """The groups ``log_prior`` and ``log_likelihood`` of draws with all that was sampled."""
    integral = Integral.at_mean(density, posterior)
    drawn = [
        whole_theta(posterior),
        *(posterior[name].to_numpy() for name in ("product_shock", "arrival")),
    ]
    shape = drawn[1].shape
    theta, scale, arrival = (array.reshape(-1, *array.shape[2:]) for array in drawn)
    units = chosen_units(len(integral.information))

    def of_draw(draw: int) -> tuple[Floats, float]:
        by_unit = integral(theta[draw], float(scale[draw]))
        return by_unit[units], float(by_unit.sum())

    with ThreadPoolExecutor(max(1, threads)) as pool:
        by_draw = list(pool.map(of_draw, range(len(theta))))
    pointwise = np.array([some for some, _ in by_draw]).reshape(*shape, len(units))
    arrived = of_newcomers(newcomers, arrival, posterior["arrival_shape"].to_numpy().ravel())
    total = np.array([total for _, total in by_draw]) + arrived
    return {
        "log_prior": _log_prior(model, integral.density, posterior),
        "log_likelihood": log_likelihood(pointwise, total.reshape(shape), UNIT),
    }


def whole_theta(posterior: xr.Dataset) -> Floats:
    """Coefficients and levels, [chain, draw, θ]."""
    parts = (posterior[name].to_numpy() for name in ("theta_raw", "level_raw"))
    return np.concatenate(list(parts), axis=-1)


def _log_prior(model: pm.Model, density: Density, posterior: xr.Dataset) -> Group:
    """Of coefficients of columns in their deviations, of slopes that can only fall of their log."""
    found = log_priors(model, TOP, posterior)
    theta, of = found["theta_raw"], density.prior
    blocks = {b: ((*DRAWS, f"{b}_column"), theta[..., of.block(b)]) for b in BLOCKS}
    single = {name: (DRAWS, theta[..., of.at(name)]) for name in ("log_dip_length", "decline")}
    return in_single_precision({
        **blocks,
        **single,
        "arrival": ((*DRAWS, "arrival_column"), found["arrival_raw"]),
        **{name: (DRAWS, found[name]) for name in ("product_shock", "level_sd", "arrival_shape")},
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Integral:
    """Log likelihood of each product in a window, its shock integrated out."""

    density: Density
    information: Floats  # h, [groups], what the rows tell of the shock
    pull: Floats  # (h + 1 / s²) b̂, [groups]

    @classmethod
    def at_mean(cls, density: Density, posterior: xr.Dataset) -> "Integral":
        """With nodes about the modes b̂ of the shocks at the posterior mean of θ and s."""
        theta = whole_theta(posterior).mean(axis=(0, 1))
        scale = float(posterior["product_shock"].mean())
        shock = information = np.zeros(density.groups)
        for _ in range(NEWTON_STEPS):
            by_shock, down, up = (
                density(theta, shock + shift)[2] for shift in (0.0, -DIFFERENCE, DIFFERENCE)
            )
            information = np.maximum((down - up) / (2.0 * DIFFERENCE), 0.0)
            step = (by_shock - shock * scale**-2.0) / (information + scale**-2.0)
            shock = shock + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        return cls(density, information, (information + scale**-2.0) * shock)

    def __call__(self, theta: Floats, scale: float, nodes: int = NODES) -> Floats:
        """At one draw of θ and s, [groups]."""
        z, weight = np.polynomial.hermite_e.hermegauss(nodes)
        precision = self.information + scale**-2.0
        shock = (self.pull / precision)[:, None] + z / np.sqrt(precision)[:, None]
        terms = self.given(theta, shock) - 0.5 * (shock / scale) ** 2 + 0.5 * z**2 + np.log(weight)
        top = terms.max(axis=1)
        sums: Floats = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        return sums - 0.5 * np.log(2.0 * np.pi * precision) - np.log(scale)

    def given(self, theta: Floats, shock: Floats) -> Floats:
        """At θ and several values of each group's shock, [groups, values]."""
        density, of = self.density, self.density.prior
        slopes = np.concatenate([
            density.columns[b].slopes(theta[of.block(b)]) for b in BLOCKS
        ])  # fmt: skip
        value = np.empty_like(shock)
        group_likelihoods(
            density.outcomes, density.rows, slopes, theta[of.levels], shock,
            theta[of.at("log_dip_length")], theta[of.at("decline")], value,
        )  # fmt: skip
        return value


def of_newcomers(rows: Newcomers, arrival: Floats, shape: Floats) -> Floats:
    """Log likelihood of all first orders, [draws]: negative binomial, see ``newcomers_model.py``.

    ``arrival``: a constant and slopes of the columns as they are, [draws, 1 + columns].
    """
    counts, times = np.unique(rows.arrived, return_counts=True)
    found = np.empty(len(shape))
    for start in range(0, len(shape), CHUNK):
        part = slice(start, start + CHUNK)
        a = shape[part, None]
        log_mean = arrival[part, :1] + arrival[part, 1:] @ rows.values.T + rows.log_days
        log_sum = np.log(a + np.exp(log_mean))
        found[part] = (
            (gammaln(counts + a) - gammaln(a) - gammaln(counts + 1.0)) @ times
            + (a * (np.log(a) - log_sum)).sum(axis=1)
            + (log_mean - log_sum) @ rows.arrived
        )
    return found
