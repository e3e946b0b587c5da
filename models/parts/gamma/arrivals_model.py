"""How customers new to a product arrive, in PyMC. Only fitting imports this."""

import pymc as pm

from models.parts.gamma.prior import GammaPrior
from toolkit.data.tables import Floats


def arrivals_model(arrived: Floats, days: Floats, prior: GammaPrior) -> None:
    """First orders of a product: Poisson with a Gamma rate per day, that rate integrated out."""
    shape = pm.LogNormal("arrival_shape", *prior.arrival_shape)
    mean_days = pm.LogNormal("arrival_days", *prior.arrival_days)
    pm.NegativeBinomial("arrived", mu=days / mean_days, alpha=shape, observed=arrived)
