"""How many customers are new to a product, in PyMC. Only fitting imports this."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

from models.parts.rhythm.newcomers import PRIOR_MEAN, PRIOR_SD, Newcomers
from models.parts.rhythm.prior import RhythmPrior
from toolkit.data.tables import Floats

NEWTON_STEPS = 25
LARGEST_STEP = 2.0
SHAPE = 1.0
"""Of the negative binomial, while the coordinates are looked for."""


class Straight(Transform):
    """β = mode + C ξ: coordinates in which a posterior with covariance C Cᵀ is round."""

    name = "straight"
    ndim_supp = 1

    def __init__(self, mode: Floats, root: Floats) -> None:
        self.mode, self.root = mode, root
        self.inverse = np.linalg.inv(root)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """β at coordinates ξ."""
        return self.mode + pt.dot(self.root, value)

    def forward(self, value: Any, *inputs: Any) -> Any:
        """ξ of coefficients β."""
        return pt.dot(self.inverse, value - self.mode)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """log |det C|."""
        return pt.constant(np.linalg.slogdet(self.root)[1])


def newcomers_model(
    arrived: Any, rows: Newcomers, prior: RhythmPrior, *, swappable_data: bool
) -> None:
    """First orders ``arrived`` in ``rows``: Poisson with a Gamma rate, that rate integrated out.

    Coefficients are saved for the columns as they are, as ``arrival``. ``swappable_data``: sampled
    in the coordinates of their prior.
    """
    design, mean = rows.design()
    mode, root = PRIOR_MEAN, np.diag(PRIOR_SD)
    if not swappable_data:
        mode, root = _mode_of(design, rows)
    shape = pm.LogNormal("arrival_shape", *prior.arrival_shape)
    beta = pm.Normal(
        "arrival_raw", PRIOR_MEAN, PRIOR_SD, shape=len(mode), initval=mode,
        default_transform=Straight(mode, root),
    )  # fmt: skip
    pm.Deterministic("arrival", pt.inc_subtensor(beta[0], -pt.dot(mean, beta[1:])))
    expected = pt.exp(pt.dot(design, beta) + rows.log_days)
    pm.NegativeBinomial("arrived", mu=expected, alpha=shape, observed=arrived)


def _mode_of(design: Floats, rows: Newcomers) -> tuple[Floats, Floats]:
    """Posterior mode of β by Fisher scoring, and a root of its covariance there."""
    beta, precision = PRIOR_MEAN.copy(), np.diag(PRIOR_SD**-2.0)
    information = precision
    for _ in range(NEWTON_STEPS):
        expected = np.exp(np.clip(design @ beta + rows.log_days, -30.0, 20.0))
        kept = SHAPE / (SHAPE + expected)
        gradient = design.T @ ((rows.arrived - expected) * kept) - precision @ (beta - PRIOR_MEAN)
        information = design.T @ (design * (expected * kept)[:, None]) + precision
        step = np.linalg.solve(information, gradient)
        beta = beta + step / max(1.0, float(np.abs(step).max()) / LARGEST_STEP)
    return beta, np.linalg.inv(np.linalg.cholesky(information)).T
