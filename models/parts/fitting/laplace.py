"""Laplace's method: the posterior taken for a Gaussian about its mode. Only fitting imports this.

It is for models that are sampled in coordinates in which the posterior is nearly N(0, 1): of such
variables the Gaussian is known, and the mode and curvature of the others, a dozen, are found by
Newton's method. How far the Gaussian is from the posterior is told by the importance ratios of its
draws, smoothed by a generalised Pareto distribution: above k̂ of 0.7 they cannot correct it
(Vehtari, Simpson, Gelman, Yao & Gabry 2024, https://jmlr.org/papers/v25/19-556.html).
"""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import xarray as xr
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray

from models.parts.fitting.posterior import LogDensity, Posterior
from toolkit.data.tables import Floats
from toolkit.model import FitSettings

DRAWS = 1000
NEWTON_STEPS = 25
HALVINGS = 12
SMALLEST_STEP = 1e-6
DIFFERENCE = 1e-3
EXACT = 1e-6
FEWEST_RATIOS = 400
"""Fewer than so many do not tell how heavy their tail is."""


@dataclass(frozen=True, slots=True)
class LaplaceDiagnostics:
    """How far the Gaussian is from the posterior: k̂ of its importance ratios."""

    k_hat: float
    draws: int
    seconds: float

    def warnings(self) -> list[str]:
        """What is wrong, a sentence each: it is an approximation, however good."""
        return [
            f"approximate, by Laplace's method (k-hat {self.k_hat:.2f}): for a first look; fit it "
            "by NUTS before it decides anything"
        ]


def approximate(
    posterior: Posterior, settings: FitSettings, seed: int
) -> tuple[xr.Dataset, xr.Dataset, LaplaceDiagnostics]:
    """Draws of the Gaussian and the posterior's log density there, [1, draw, …]."""
    started, draws = perf_counter(), settings.draws or DRAWS
    others = np.flatnonzero(~posterior.is_round)
    middle = _mode(posterior, np.where(posterior.is_round, 0.0, posterior.start), others)
    root = _root(posterior, middle, others)
    made = max(draws, FEWEST_RATIOS)
    normal = np.random.default_rng(seed).standard_normal((made, len(middle)))
    x = normal.copy()
    x[:, others] = middle[others] + normal[:, others] @ root.T
    density = np.array([posterior(row)[0] for row in x])
    log_ratios = density + 0.5 * np.square(normal).sum(axis=1)
    exact = np.ptp(log_ratios) < EXACT  # then there is no tail to be fitted
    k_hat = 0.0 if exact else float(array_stats.psislw(-log_ratios)[1])
    return (
        dataset([posterior.values(row) for row in x[:draws]]),
        xr.Dataset({"logp": (("chain", "draw"), density[None, :draws])}),
        LaplaceDiagnostics(k_hat, draws, perf_counter() - started),
    )


def _mode(density: LogDensity, at: Floats, index: Any) -> Floats:
    """Where it is highest as those of ``index`` vary: by Newton's steps, each of them uphill."""
    value, slope = density(at)
    for _ in range(NEWTON_STEPS):
        root, step = _root(density, at, index), np.zeros(len(at))
        step[index] = root @ (root.T @ slope[index])
        for halvings in range(HALVINGS):
            moved = at + 0.5**halvings * step
            found = density(moved)
            if found[0] > value:
                break
        else:  # it is the top, but for rounding
            return at
        at, (value, slope) = moved, found
        if np.abs(step).max() < SMALLEST_STEP:
            break
    return at


def _root(density: LogDensity, at: Floats, index: Any) -> Floats:
    """R of R Rᵀ = −H⁻¹, H the Hessian by those of ``index``, by differences of the gradient."""
    rows = []
    for i in index:
        moved = np.zeros(len(at))
        moved[i] = DIFFERENCE
        up, down = density(at + moved)[1], density(at - moved)[1]
        rows.append((down - up)[index] / (2 * DIFFERENCE))
    curvature = np.array(rows)
    eigenvalues, eigenvectors = np.linalg.eigh((curvature + curvature.T) / 2)
    root: Floats = eigenvectors / np.sqrt(np.maximum(np.abs(eigenvalues), 1e-6))
    return root


def dataset(drawn: list[dict[str, NDArray[Any]]]) -> xr.Dataset:
    """The values of each draw, by name, [1, draw, …]."""
    arrays = {name: np.array([one[name] for one in drawn])[None] for name in drawn[0]}
    return xr.Dataset({
        name: (("chain", "draw", *(f"{name}_{i}" for i in range(a.ndim - 2))), a)
        for name, a in arrays.items()
    })  # fmt: skip
