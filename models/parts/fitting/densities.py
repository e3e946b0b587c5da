"""Log densities of a fit's draws, as ArviZ's groups hold them, and what they say of the prior.

``log_prior`` has one value per draw and parameter, in the space in which the prior is stated, not
in that of the sampler's coordinates. Only priors at the top are in it. The distribution of effects
(of customers, of products, of shocks) given their scale is part of the model: scaled by a power it
would be another model, not another prior (Kallioinen, Paananen, Bürkner & Vehtari 2024,
doi:10.1007/s11222-023-10366-5, section 3.3).

``log_likelihood`` has as many draws as the posterior, since ArviZ's power scaling asks for the same
of both. In it ``POINTWISE`` holds units that are exchangeable given the parameters: all of them, or
``MOST_UNITS`` drawn at random, the same in all fits to as many. ``OTHERS`` is the log likelihood of
all the rest of the data, so that the sum is that of all.
"""

from collections.abc import Sequence

import arviz as az
import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from arviz_base import xarray_sel_iter
from arviz_base.labels import BaseLabeller

from models.parts.fitting.inference import DRAWS, Group, Inference
from toolkit.data.tables import Floats, Ints
from toolkit.results.fit import PowerScaling, PriorSensitivity

POINTWISE, OTHERS = "orders", "others"
MOST_UNITS = 1000
CHANCE = 0.95
"""So many of parameters that neither prior nor likelihood moves have a lower sensitivity."""


def chosen_units(count: int) -> Ints:
    """Which of ``count`` units are held one by one, ascending; it hangs on nothing else."""
    if count <= MOST_UNITS:
        return np.arange(count)
    return np.sort(np.random.default_rng(count).choice(count, MOST_UNITS, replace=False))


def log_likelihood(pointwise: Floats, total: Floats, unit: str) -> Group:
    """The group, from some units' densities [chain, draw, units] and those of all data."""
    held = pointwise.astype(np.float32)  # rounded further, a pair that says little would have ties
    return {
        POINTWISE: ((*DRAWS, unit), held),
        OTHERS: (DRAWS, total - held.sum(axis=2, dtype=float)),
    }


def in_single_precision(group: Group) -> Group:
    """The same numbers, as the posterior's are held."""
    return {name: (of, values.astype(np.float32)) for name, (of, values) in group.items()}


def log_priors(model: pm.Model, names: Sequence[str], posterior: xr.Dataset) -> dict[str, Floats]:
    """Log density of each variable under its own prior, [chain, draw, …], without a Jacobian."""
    graphs = [pm.logp(model[name], posterior[name].to_numpy()) for name in names]
    found = pytensor.function([], graphs, mode="FAST_COMPILE")()
    return dict(zip(names, map(np.asarray, found), strict=True))


def power_scaling(inference: Inference, parameters: Sequence[str]) -> PowerScaling:
    """The sensitivity of each of the ``parameters``, as ``az.psense_summary`` has it.

    How far the posterior's cumulative distribution moves, by the cumulative Jensen–Shannon
    distance, per doubling of the power that the prior, or the likelihood, is raised to; for a
    power near 1, by importance sampling (Kallioinen et al. 2024, section 3).

    It is never 0 with so many draws. What chance alone gives is that of the same draws, moved along
    their chains by half the length: they are as they were, but no longer belong to the densities.
    """
    tree = inference.to_datatree({})
    own = tree["posterior"].to_dataset()[list(parameters)]
    moved = own.roll(draw=own.sizes["draw"] // 2, roll_coords=False)
    prior, likelihood = (_sensitivities(tree, own, of) for of in ("prior", "likelihood"))
    by_chance = [
        _number(np.nanquantile(list(_sensitivities(tree, moved, of).values()), CHANCE))
        for of in ("prior", "likelihood")
    ]
    return PowerScaling(
        tuple(
            PriorSensitivity(name, _number(prior[name]), _number(likelihood[name]))
            for name in prior
        ),
        *by_chance,
    )


def _sensitivities(tree: xr.DataTree, draws: xr.Dataset, component: str) -> dict[str, float]:
    """Of ``draws`` to a component that ``tree`` has the density of."""
    densities = {name: tree[name].to_dataset() for name in ("log_prior", "log_likelihood")}
    held = xr.DataTree.from_dict({"posterior": draws, **densities})
    with np.errstate(invalid="ignore"):  # of what is one number in all draws: 0 / 0
        return _labelled(az.psense(held, group=component))


def _labelled(values: xr.Dataset) -> dict[str, float]:
    """By ``name[coordinate]``, as ArviZ's tables have it."""
    label = BaseLabeller().make_label_flat
    return {
        label(name, chosen, at): float(values[name].sel(chosen))
        for name, chosen, at in xarray_sel_iter(values, skip_dims=set())
    }


def _number(value: float) -> float | None:
    """None where it is not defined: nothing moves a parameter that is one number."""
    return value if np.isfinite(value) else None
