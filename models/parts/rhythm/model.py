"""The PyMC model behind ``rhythm``. Only fitting imports this."""

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from models.parts.fitting.held import held
from models.parts.kernels.weekly_rows import Outcomes, Rows
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.coordinates import Coordinates, Globals
from models.parts.rhythm.mode import Arrow, find_mode
from models.parts.rhythm.newcomers_model import newcomers_model
from models.parts.rhythm.prior import DEFAULT_PRIOR, RhythmPrior
from models.parts.rhythm.weekly_op import log_likelihood
from models.parts.rhythm.windows import WindowData

ROUND = ("theta_raw", "shock_raw")
"""What is sampled in coordinates in which its posterior is near N(0, 1)."""


def build_model(
    data: WindowData, prior: RhythmPrior = DEFAULT_PRIOR, *, swappable_data: bool = False
) -> pm.Model:
    """The model of ``data``; coefficients are saved for the columns as they are.

    θ and the shocks are sampled in coordinates in which their posterior is nearly round.
    ``swappable_data``: in those of their prior instead, and the model can then be given the
    ``arrays`` of other outcomes of the same rows.
    """
    of_theta = Globals.prior(len(data.log_season), prior, data.blocks)
    columns = data.columns()
    if swappable_data:
        arrow = Arrow.of_prior(of_theta, int(data.product_window.max()) + 1)
    else:
        arrow = find_mode(data, columns, prior)
    layout = data.layout()
    with pm.Model() as model:
        known = held(data.arrays(layout, columns))
        done = Outcomes(*(known[name] for name in Outcomes._fields))
        rows = Rows(*(known[name] for name in Rows._fields))
        theta = pm.Normal(
            "theta_raw", of_theta.mean, of_theta.sd, shape=len(of_theta.mean), initval=arrow.mode,
            default_transform=Coordinates(of_theta, arrow.mode, arrow.root, columns),
        )  # fmt: skip
        slopes = {b: columns[b].slopes(theta[of_theta.block(b)], pt.exp) for b in BLOCKS}
        for block in BLOCKS:
            pm.Deterministic(block, columns[block].as_they_are(slopes[block]))
        length = pm.Deterministic("log_dip_length", theta[of_theta.at("log_dip_length")])
        decline = pm.Deterministic("decline", theta[of_theta.at("decline")])
        parameters = (
            pt.concatenate([slopes[b] for b in BLOCKS]), theta[of_theta.levels],
            _shocks(theta, arrow, prior), length, decline,
        )  # fmt: skip
        pm.Potential("weeks", log_likelihood(done, rows, *parameters))
        pm.Normal("next_level", 0.0, prior.level)  # of the window that is to be forecast
        newcomers_model(known["arrived"], data.newcomers, prior, swappable_data=swappable_data)
    return model


def _shocks(theta: Any, arrow: Arrow, prior: RhythmPrior) -> Any:
    """What all pairs of a product share in a window on the log scale, ~ N(0, product_shock²).

    z is sampled (``rhythm_mode.py``), and the potential takes its density for that of the shocks.
    """
    scale = pm.LogNormal("product_shock", *prior.product_shock, initval=arrow.scale)
    z = pm.Normal("shock_raw", 0.0, 1.0, shape=len(arrow.information))
    shock, precision = arrow.shocks(theta, scale, z, pt.dot)
    log_density = -0.5 * (shock / scale) ** 2 - pt.log(scale)
    pm.Potential("shocks", pt.sum(log_density - 0.5 * pt.log(precision) + 0.5 * z**2))
    return shock
