"""Laplace's method: the posterior taken for a Gaussian about its mode. Only fitting imports this.

It is for models that are sampled in coordinates in which the posterior is nearly N(0, 1): of such
variables the Gaussian is known, and the mode and curvature of the others, a dozen, are found by
Newton's method. How far the Gaussian is from the posterior is told by the importance ratios of its
draws, smoothed by a generalised Pareto distribution: above k̂ of 0.7 they cannot correct it
(Vehtari, Simpson, Gelman, Yao & Gabry 2024, https://jmlr.org/papers/v25/19-556.html).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from arviz_stats.base.array import array_stats
from pymc.pytensorf import gradient

from models.parts.fitting.sampling import is_inner
from toolkit.data.tables import Floats
from toolkit.model import FitSettings

DRAWS = 1000
NEWTON_STEPS = 8
DIFFERENCE = 1e-3
EXACT = 1e-6
RATIOS = 400
"""Draws whose importance ratio is worked out."""


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
    model: pm.Model,
    round_variables: Collection[str],
    settings: FitSettings,
    seed: int,
    *,
    with_inner: bool = False,
) -> tuple[xr.Dataset, xr.Dataset, LaplaceDiagnostics]:
    """Draws of the Gaussian, [1, draw, …]; ``round_variables`` have posteriors near N(0, 1).

    ``with_inner``: what is sampled for something else only comes with the rest.
    """
    started, draws = perf_counter(), settings.draws or DRAWS
    values, start = model.value_vars, model.initial_point()
    size = {v.name: int(np.size(start[v.name])) for v in values}
    is_round = np.concatenate([
        np.full(size[v.name], model.values_to_rvs[v].name in round_variables) for v in values
    ])  # fmt: skip
    ends = np.cumsum([size[v.name] for v in values])[:-1]
    compiled = model.compile_fn(
        [model.logp(), gradient(model.logp(), values)], inputs=values, mode="FAST_COMPILE",
        point_fn=False,
    )  # fmt: skip

    def density(x: Floats) -> tuple[float, Floats]:
        parts = np.split(x, ends)
        shaped = [p.reshape(np.shape(start[v.name])) for p, v in zip(parts, values, strict=True)]
        value, slope = compiled(*shaped)
        return float(value), np.asarray(slope)

    middle = np.concatenate([np.ravel(start[v.name]) for v in values])
    middle[is_round] = 0.0
    others = np.flatnonzero(~is_round)
    root = np.eye(len(others))
    for _ in range(NEWTON_STEPS):
        root = _root(density, middle, others)
        middle[others] += root @ (root.T @ density(middle)[1][others])
    rng = np.random.default_rng(seed)
    made = max(draws, RATIOS)
    normal = rng.standard_normal((made, len(middle)))
    x = normal.copy()
    x[:, others] = middle[others] + normal[:, others] @ root.T
    some = np.arange(RATIOS) * made // RATIOS
    ratios = [density(x[i])[0] + 0.5 * float(normal[i] @ normal[i]) for i in some]
    exact = np.ptp(ratios) < EXACT  # then there is no tail to be fitted
    k_hat = 0.0 if exact else float(array_stats.psislw(-np.array(ratios))[1])  # of −log ratios
    wanted = [
        v for v in model.free_RVs + model.deterministics if with_inner or not is_inner(v.name)
    ]
    return (
        _posterior(model, wanted, values, [np.split(row, ends) for row in x[:draws]], start),
        xr.Dataset(),
        LaplaceDiagnostics(k_hat, draws, perf_counter() - started),
    )


def _root(density: Callable[[Floats], tuple[float, Floats]], at: Floats, index: Any) -> Floats:
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


def _posterior(
    model: pm.Model,
    wanted: list[Any],
    values: list[Any],
    rows: list[list[Floats]],
    start: dict[str, Any],
) -> xr.Dataset:
    """The parameters at each row of unconstrained values, [1, draw, …]."""
    found = model.compile_fn(
        model.replace_rvs_by_values(wanted), inputs=values, mode="FAST_COMPILE", point_fn=False,
        on_unused_input="ignore",
    )  # fmt: skip
    drawn = [
        found(*(part.reshape(np.shape(start[v.name])) for part, v in zip(row, values, strict=True)))
        for row in rows
    ]
    arrays = {v.name: np.array([row[i] for row in drawn])[None] for i, v in enumerate(wanted)}
    return xr.Dataset({
        name: (("chain", "draw", *(f"{name}_{i}" for i in range(a.ndim - 2))), a)
        for name, a in arrays.items()
    })  # fmt: skip
