"""The PyMC model behind ``rhythm``. Only fitting imports this.

It is the model as one reads it, and where draws of the prior come from; what is sampled is the same
density in other coordinates (``posterior.py``).
"""

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.coordinates import Columns, Globals
from models.parts.rhythm.newcomers_model import newcomers_model
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from models.parts.rhythm.weekly_op import log_likelihood
from models.parts.rhythm.windows import WindowData


def build_model(data: WindowData, prior: RhythmPrior = DEFAULT_PRIOR) -> pm.Model:
    """The model of ``data``; coefficients are saved for the columns as they are."""
    of_theta = Globals.prior(len(data.log_season), prior, data.blocks)
    columns, layout = data.columns(), data.layout()
    with pm.Model() as model:
        own, windows = slice(0, of_theta.levels.start), len(data.log_season)
        theta = pm.Normal("theta_raw", of_theta.mean[own], of_theta.sd[own])
        level_sd = pm.LogNormal("level_sd", *prior.level_sd)
        level = pm.Normal("level_raw", 0.0, level_sd, shape=windows)
        slopes = {b: _slopes(columns[b], theta[of_theta.block(b)]) for b in BLOCKS}
        for block in BLOCKS:
            pm.Deterministic(block, _as_they_are(columns[block], slopes[block]))
        length = pm.Deterministic("log_dip_length", theta[of_theta.at("log_dip_length")])
        decline = pm.Deterministic("decline", theta[of_theta.at("decline")])
        scale = pm.LogNormal("product_shock", *prior.product_shock)
        z = pm.Normal("shock_raw", 0.0, 1.0, shape=int(data.product_window.max()) + 1)
        parameters = (
            pt.concatenate([slopes[b] for b in BLOCKS]), level, scale * z,
            length, decline,
        )  # fmt: skip
        outcomes, rows = data.outcomes(layout), data.rows(layout, columns)
        pm.Potential("weeks", log_likelihood(outcomes, rows, *parameters))
        pm.Normal("next_level", 0.0, level_sd)  # of the window that is to be forecast
        newcomers_model(data.newcomers, prior)
    return model


def _slopes(columns: Columns, theta: Any) -> Any:
    """θ with what can only fall as the slope it stands for."""
    return pt.where(columns.falls, -pt.exp(theta), theta)


def _as_they_are(columns: Columns, slopes: Any) -> Any:
    """The constant and the slopes of the columns as they are."""
    of_columns = slopes[1:] / columns.scale
    return pt.concatenate([[slopes[0] - pt.dot(columns.mean, of_columns)], of_columns])
