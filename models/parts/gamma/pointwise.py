"""Log densities of the gamma versions' draws, see ``densities.py``. Only fitting imports this.

The units are pairs, given their customer's and their product's effects and all that is above:
rate, regularity and lapse of a pair are integrated out in closed form, the effects are not.
Leaving a pair out is to predict its history for a customer and a product that are known by their
other pairs; a customer with one pair only is known by that pair, and k̂ says so.

The log likelihood of all pairs together is not worked out anew: it is what the sampler's density
has beside the priors and the effects.
"""

import numpy as np
import pymc as pm
import xarray as xr

from models.parts.fitting.densities import (
    chosen_units,
    in_single_precision,
    log_likelihood,
    log_priors,
)
from models.parts.fitting.inference import DRAWS, Group
from models.parts.fitting.sampling import is_inner
from models.parts.gamma.posterior import GammaPosterior
from models.parts.kernels.collapsed import pair_likelihoods

UNIT = "pair"


def densities(
    posterior: GammaPosterior, plain: pm.Model, sampled: xr.Dataset, statistics: xr.Dataset
) -> dict[str, Group]:
    """The groups ``log_prior`` and ``log_likelihood`` of draws with all that was ``sampled``.

    ``plain``: the model as it is written, with its priors.
    """
    data = posterior.density.data
    units = chosen_units(len(data.customer))
    rows, index = data.rows.select(units), (data.customer[units], data.product[units])
    x, whole = sampled["x_raw"].to_numpy(), statistics["logp"].to_numpy()
    pointwise, total = np.empty((*whole.shape, len(units))), np.empty(whole.shape)
    for draw in np.ndindex(whole.shape):
        beside, at = posterior.but_for_data(x[draw])
        total[draw] = whole[draw] - beside
        pointwise[draw] = pair_likelihoods(rows, index, at)
    top = [one.name for one in plain.free_RVs if not is_inner(one.name)]
    return {
        "log_prior": in_single_precision(
            {name: (DRAWS, values) for name, values in log_priors(plain, top, sampled).items()}
        ),
        "log_likelihood": log_likelihood(pointwise, total, UNIT),
    }
