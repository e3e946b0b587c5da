"""The density that NUTS samples of the gamma versions as a graph, whose gradient PyTensor takes."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.parts.gamma.arrivals_model import arrivals_model
from models.parts.gamma.bends import KNOTS, REACH, STEP, roots
from models.parts.gamma.data import FitData
from models.parts.gamma.density import SHAPE, TYPICAL, WEIGHTS, GammaDensity
from models.parts.gamma.mode import GammaCoordinates, find_coordinates
from models.parts.gamma.model import Shared, deviations, pairs
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from toolkit.data.tables import Floats, Ints

ROUND = ("theta_raw", "scale_raw", "customer_raw", "product_raw")
"""What is sampled in coordinates in which its posterior is near N(0, 1)."""


def build_round_model(
    data: FitData,
    prior: GammaPrior | None = None,
    *,
    lapse: bool,
    coordinates: GammaCoordinates | None = None,
) -> pm.Model:
    """The model in coordinates about its mode, which is found unless they are given."""
    p, k = prior or GammaPrior(), data.rows.regularities
    density = GammaDensity(data, p, lapse)
    at = coordinates or find_coordinates(density)
    with pm.Model() as model:
        theta = at.theta + pt.dot(at.root, pm.Normal("theta_raw", 0.0, 1.0, shape=density.size))
        scales = pt.exp(
            at.log_scale
            + at.log_scale_sd * pm.Normal("scale_raw", 0.0, 1.0, shape=1 + density.parts)
        )
        customer = _customers(at, theta, scales[0], len(data.customer_id))
        moved = theta, customer - at.customer
        index = data.customer, data.product
        product = _products(at, moved, scales[1:], index, len(data.product_id), density.parts)
        customer = density.several[0] * customer
        product = [density.several[1] * each for each in product]
        v = theta[WEIGHTS : density.lapses]
        v = pt.concatenate([v, [-pt.sum(v)]])
        log_weight = v[None, :]
        if lapse:
            log_weight = log_weight + product[1][:, None] * doublings(k)
        shared = Shared(
            pt.exp(theta[SHAPE]), theta[TYPICAL], customer, product[0], log_weight,
            (pt.sigmoid(theta[density.lapses]), pt.exp(theta[-1])) if lapse else None,
        )  # fmt: skip
        _reported(shared, data.information(lapse=lapse), scales, v, product, p, k)
        pairs(data, shared)
        arrivals_model(data.arrived, data.arrival_days, p)
    return model


def _customers(at: GammaCoordinates, theta: Any, scale: Any, customers: int) -> Any:
    """Effects of customers, see ``mode.py``; the potential takes the density of z for theirs."""
    z = pm.Normal("customer_raw", 0.0, 1.0, shape=customers)
    precision = at.customer_known + scale**-2.0
    each = precision**-0.5
    pull = at.customer_pull - pt.dot(at.customer_theta, theta - at.theta)

    def stretched(x: Any) -> Any:
        return x + pt.dot(at.long, at.stretch * pt.dot(at.long.T, x))

    effect = each * stretched(stretched(each * pull) + z)
    log_density = -0.5 * (effect / scale) ** 2 - pt.log(scale)
    pm.Potential("customers", pt.sum(log_density - 0.5 * pt.log(precision) + 0.5 * z**2))
    return effect


def _products(
    at: GammaCoordinates, moved: tuple[Any, Any], scales: Any, index: tuple[Ints, Ints],
    products: int, parts: int,
) -> list[Any]:  # fmt: skip
    """Effects of products by part, [products] each; ``moved``: θ, and customers from the mode."""
    theta, customer = moved
    row_customer, row_product = index
    z = pm.Normal("product_raw", 0.0, 1.0, shape=(parts, products))
    pull = []
    for part in range(parts):
        by_pair = at.pair_customer[part] * customer[row_customer]
        by_customers = pt.inc_subtensor(pt.zeros(products)[row_product], by_pair)
        by_theta = pt.dot(at.product_theta[part], theta - at.theta)
        pull.append(at.product_pull[part] - by_theta - by_customers)
    if parts == 1:
        root = pt.sqrt(at.product_known[0, 0] + scales[0] ** -2.0)
        effects, log_slope = [(pull[0] / root + z[0]) / root], -pt.log(root)
    else:
        first, beside, last = roots(at.product_known, scales)
        (u, v), log_slope = _bent(at.product_bend, at.tilt_skew, z)
        effect = ((pull[0] - beside * (pull[1] / last)) / first + u) / first
        effects = [effect, (pull[1] / last + v - beside * effect) / last]
        log_slope = log_slope - pt.log(first) - pt.log(last)
    log_density = sum(
        -0.5 * (effects[part] / scales[part]) ** 2 - pt.log(scales[part]) for part in range(parts)
    )
    pm.Potential("products", pt.sum(log_density + log_slope) + 0.5 * pt.sum(z**2))
    return effects


def _bent(bend: Any, c: Any, z: Any) -> tuple[tuple[Any, Any], Any]:
    """u of effects and tilts at z, and the log of their slopes together, see ``bends.py``."""
    inside = pt.clip((z[0] + REACH) / STEP, 0.0, 2.0 * REACH / STEP - 1e-9)
    low = pt.floor(inside)
    t, beyond = inside - low, z[0] - (inside * STEP - REACH)
    first = pt.arange(z.shape[1]) * len(KNOTS) + pt.cast(low, "int64")
    shares = (
        (1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (1 + 3 * t * (1 + t - t**2)) / 6, t**3 / 6
    )  # fmt: skip
    slopes = -((1 - t) ** 2) / 2, (3 * t - 4) * t / 2, (1 + 2 * t - 3 * t**2) / 2, t**2 / 2

    def spline(which: int, shares: tuple[Any, ...]) -> Any:
        coefficients = pt.as_tensor_variable(bend[which].ravel())
        return sum(share * coefficients[first + i] for i, share in enumerate(shares))

    slope, log_sd = spline(0, slopes) / STEP, spline(2, shares)
    u = spline(0, shares) + beyond * slope
    scale = pt.sign(c) * pt.sqrt(pt.expm1(c**2))
    w = pt.expm1(c * z[1] - c**2 / 2) / scale
    log_slope = pt.log(slope) + log_sd + pt.log(c / scale) + c * z[1] - c**2 / 2
    return (u, spline(1, shares) + pt.exp(log_sd) * w), log_slope


def _reported(
    shared: Shared, known: dict[str, Floats], scales: Any, v: Any, product: list[Any],
    p: GammaPrior, k: Ints,
) -> None:  # fmt: skip
    """The parameters by name, and the density of their priors for that of the coordinates.

    A parameter's density is taken of its logarithm or logit: of what is linear in coordinates.
    """
    customer, customer_mean = deviations(shared.customer, known["customer"])
    effect, product_mean = deviations(product[0], known["product"])
    log_typical = shared.typical + customer_mean + product_mean
    found = {
        "shape": (pm.LogNormal.dist(*p.shape), shared.shape, pt.log(shared.shape)),
        "log_typical": (pm.Normal.dist(*p.log_typical), log_typical, 0.0),
    }
    named = [("customer", p.customer_scale), ("product", p.product_scale), ("tilt", p.tilt_scale)]
    for part, (name, scale) in enumerate(named[: 1 + len(product)]):
        found[f"{name}_scale"] = (pm.HalfNormal.dist(scale), scales[part], pt.log(scales[part]))
    pm.Deterministic("customer", customer)
    pm.Deterministic("product", effect)
    if shared.lapse is not None:
        tilt, tilt_mean = deviations(product[1], known["tilt"])
        pm.Deterministic("tilt", tilt)
        v = v + tilt_mean * doublings(k)
        lapse, concentration = shared.lapse
        found["lapse"] = (pm.Beta.dist(*p.lapse), lapse, pt.log(lapse) + pt.log1p(-lapse))
        found["lapse_concentration"] = (
            pm.LogNormal.dist(*p.lapse_concentration), concentration, pt.log(concentration)
        )  # fmt: skip
    regularity = pt.special.softmax(v)
    found["regularity"] = (
        pm.Dirichlet.dist(np.ones(len(k))), regularity, pt.sum(pt.special.log_softmax(v))
    )  # fmt: skip
    for name, (_, value, _) in found.items():
        pm.Deterministic(name, value)
    pm.Potential("priors", sum(pm.logp(of, value) + by for of, value, by in found.values()))
    raw = (pm.modelcontext(None)[name] for name in ("theta_raw", "scale_raw"))
    pm.Potential("coordinates", 0.5 * sum(pt.sum(x**2) for x in raw))
