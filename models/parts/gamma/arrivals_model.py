"""How customers new to a product arrive, in PyMC. Only fitting imports this."""

import numpy as np
import pymc as pm

from toolkit.data.tables import Floats


def arrivals_model(arrived: Floats, days: Floats) -> None:
    """First orders of a product: Poisson with a Gamma rate per day, that rate integrated out."""
    shape = pm.LogNormal("arrival_shape", 0.0, 1.0)
    mean_days = pm.LogNormal("arrival_days", np.log(60.0), 2.0)
    pm.NegativeBinomial("arrived", mu=days / mean_days, alpha=shape, observed=arrived)
