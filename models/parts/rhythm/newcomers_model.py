"""How many customers are new to a product, in PyMC. Only fitting imports this."""

import pymc as pm
import pytensor.tensor as pt

from models.parts.rhythm.newcomers import PRIOR_MEAN, PRIOR_SD, Newcomers
from models.parts.rhythm.prior import RhythmPrior


def newcomers_model(rows: Newcomers, prior: RhythmPrior) -> None:
    """First orders in ``rows``: Poisson with a Gamma rate, that rate integrated out.

    Coefficients are saved for the columns as they are, as ``arrival``.
    """
    design, mean = rows.design()
    shape = pm.LogNormal("arrival_shape", *prior.arrival_shape)
    beta = pm.Normal("arrival_raw", PRIOR_MEAN, PRIOR_SD, shape=len(PRIOR_MEAN))
    pm.Deterministic("arrival", pt.inc_subtensor(beta[0], -pt.dot(mean, beta[1:])))
    expected = pt.exp(pt.dot(design, beta) + rows.log_days)
    pm.NegativeBinomial("arrived", mu=expected, alpha=shape, observed=rows.arrived)
