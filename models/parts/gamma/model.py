"""The PyMC model behind ``pooled_gamma`` and ``lapse_gamma``. Only fitting imports this.

It is the model as one reads it: priors by name, effects of customers and products N(0, scale²),
taken as deviations from their mean, each weighing what its pairs tell: the mean belongs to the
typical interval. From it the prior is drawn. What NUTS samples has the same parameters as functions
of coordinates in which the posterior is nearly N(0, 1) (``posterior.py``); a test holds that both
are one density.
"""

from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.parts.gamma.arrivals_model import arrivals_model
from models.parts.gamma.collapsed_op import log_likelihood
from models.parts.gamma.data import FitData
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from toolkit.data.tables import Floats


class Shared(NamedTuple):
    """Symbolic parameters of the pairs, effects as drawn."""

    shape: Any
    typical: Any  # μ₀: log typical interval where no effect is
    customer: Any  # [customers]
    product: Any  # [products]
    log_weight: Any  # [products or 1, regularities], but for a constant
    lapse: tuple[Any, Any] | None = None  # mean and concentration


def build_model(data: FitData, prior: GammaPrior | None = None, *, lapse: bool) -> pm.Model:
    """The model of ``data``; with ``lapse``, pairs lapse and regularity varies by product."""
    p, k = prior or GammaPrior(), data.rows.regularities
    known = data.information(lapse=lapse)
    with pm.Model() as model:
        shape = pm.LogNormal("shape", *p.shape)
        log_typical = pm.Normal("log_typical", *p.log_typical)
        customer = _effects("customer", known["customer"], p.customer_scale)
        product = _effects("product", known["product"], p.product_scale)
        weight = pm.Dirichlet("regularity", np.ones(len(k)))
        log_weight, lapses = pt.log(weight)[None, :], None
        if lapse:
            tilt = _effects("tilt", known["tilt"], p.tilt_scale)
            log_weight = log_weight + tilt[:, None] * doublings(k)
            lapses = (
                pm.Beta("lapse", *p.lapse),
                pm.LogNormal("lapse_concentration", *p.lapse_concentration),
            )
        pairs(data, Shared(shape, log_typical, customer, product, log_weight, lapses))
        arrivals_model(data.arrived, data.arrival_days, p)
    return model


def deviations(effect: Any, information: Floats) -> tuple[Any, Any]:
    """Of effects from their mean, and the mean."""
    mean = pt.dot(information / information.sum(), effect)
    return effect - mean, mean


def pairs(data: FitData, shared: Shared) -> None:
    """The log likelihood of all pairs."""
    k, m = data.rows.regularities, pt.as_tensor_variable(data.rows.counts)
    log_kept = left = pt.zeros_like(m)
    log_weight = shared.log_weight
    if shared.lapse is not None:
        log_kept, left = _lapse(m, *shared.lapse)
    log_gamma = pt.gammaln(shared.shape + k * m[:, None]) - pt.gammaln(shared.shape)
    parameters = (
        shared.shape,
        shared.customer,
        shared.product + shared.typical + pt.log(shared.shape),
        log_gamma,
        pt.special.log_softmax(log_weight, axis=1),
        log_kept,
        left,
    )
    index = data.customer, data.product
    pm.Potential("pairs", log_likelihood(data.rows, index, *parameters))


def _effects(name: str, information: Floats, scale: float) -> Any:
    """Deviations of groups from their mean, and their scale, a HalfNormal."""
    sigma = pm.HalfNormal(f"{name}_scale", scale)
    raw = pm.Normal(f"{name}_raw", 0.0, 1.0, shape=len(information))
    return pm.Deterministic(name, deviations(sigma * raw, information)[0])


def _lapse(m: Any, mean: Any, concentration: Any) -> tuple[Any, Any]:
    """log P(not lapsed after each of m orders) and P(lapsed after the next), [counts]."""
    alpha, beta = mean * concentration, (1.0 - mean) * concentration
    log_kept = (
        pt.gammaln(beta + m)
        - pt.gammaln(beta)
        - pt.gammaln(concentration + m)
        + pt.gammaln(concentration)
    )
    return log_kept, alpha / (concentration + m)
