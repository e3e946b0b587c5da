"""The PyMC model behind ``pooled_gamma`` and ``lapse_gamma``. Only fitting imports this.

It is written twice, and a test holds that both are one density. ``build_model`` is the model as one
reads it: priors by name, effects of customers and products N(0, scale²), taken as deviations from
their mean, each weighing what its pairs tell: the mean belongs to the typical interval. From it the
prior is drawn. ``build_round_model`` has the same parameters as functions of coordinates in which
the posterior is nearly N(0, 1) (``mode.py``): that is what NUTS samples.
"""

from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.parts.fitting.held import held
from models.parts.gamma.arrivals_model import arrivals_model
from models.parts.gamma.bends import KNOTS, REACH, STEP, roots
from models.parts.gamma.collapsed_op import log_likelihood
from models.parts.gamma.data import SHAPED_COLUMNS, FitData
from models.parts.gamma.density import SHAPE, TYPICAL, WEIGHTS, GammaDensity
from models.parts.gamma.mode import GammaCoordinates, find_coordinates
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from toolkit.data.tables import Ints

ROUND = ("theta_raw", "scale_raw", "customer_raw", "product_raw")
"""What is sampled in coordinates in which its posterior is near N(0, 1)."""


class Shared(NamedTuple):
    """Symbolic parameters of the pairs, effects as drawn."""

    shape: Any
    typical: Any  # μ₀: log typical interval where no effect is
    customer: Any  # [customers]
    product: Any  # [products]
    log_weight: Any  # [products or 1, regularities], but for a constant
    lapse: tuple[Any, Any] | None = None  # mean and concentration


def build_model(
    data: FitData,
    prior: GammaPrior | None = None,
    *,
    lapse: bool,
    swappable_data: bool = False,
) -> pm.Model:
    """The model of ``data``; with ``lapse``, pairs lapse and regularity varies by product.

    ``swappable_data``: takes longer to compile, and can then be given the columns of other data, of
    as many pairs, customers, products and distinct counts.
    """
    p, k = prior or GammaPrior(), data.rows.regularities
    customers, products = len(data.customer_id), len(data.product_id)
    with pm.Model() as model:
        columns: dict[str, Any] = data.columns(lapse=lapse)
        if swappable_data:
            columns = held(columns)
        shape = pm.LogNormal("shape", *p.shape)
        log_typical = pm.Normal("log_typical", *p.log_typical)
        customer = _effects("customer", columns, customers, p.customer_scale)
        product = _effects("product", columns, products, p.product_scale)
        weight = pm.Dirichlet("regularity", np.ones(len(k)))
        log_weight, lapses = pt.log(weight)[None, :], None
        if lapse:
            tilt = _effects("tilt", columns, products, p.tilt_scale)
            log_weight = log_weight + tilt[:, None] * doublings(k)
            lapses = (
                pm.Beta("lapse", *p.lapse),
                pm.LogNormal("lapse_concentration", *p.lapse_concentration),
            )
        _pairs(data, columns, Shared(shape, log_typical, customer, product, log_weight, lapses))
        arrivals_model(columns["arrived_orders"], columns["arrived_days"], p)
    return model


def build_round_model(
    data: FitData,
    prior: GammaPrior | None = None,
    *,
    lapse: bool,
    coordinates: GammaCoordinates | None = None,
) -> pm.Model:
    """The same model in coordinates about its mode, which is found unless they are given.

    It can be given the columns and coordinates of other data as ``round_columns`` has them.
    """
    p, k = prior or GammaPrior(), data.rows.regularities
    density = GammaDensity(data, p, lapse)
    coordinates = coordinates or find_coordinates(density)
    with pm.Model() as model:
        columns = held(round_columns(data, coordinates, lapse=lapse))
        at = GammaCoordinates(*(columns[f"at_{name}"] for name in GammaCoordinates._fields))
        theta = at.theta + pt.dot(at.root, pm.Normal("theta_raw", 0.0, 1.0, shape=density.size))
        scales = pt.exp(
            at.log_scale
            + at.log_scale_sd * pm.Normal("scale_raw", 0.0, 1.0, shape=1 + density.parts)
        )
        customer = _customers(at, theta, scales[0], len(data.customer_id))
        moved = theta, customer - at.customer
        index = columns["row_customer"], columns["row_product"]
        product = _products(at, moved, scales[1:], index, len(data.product_id), density.parts)
        v = theta[WEIGHTS : density.lapses]
        v = pt.concatenate([v, [-pt.sum(v)]])
        log_weight = v[None, :]
        if lapse:
            log_weight = log_weight + product[1][:, None] * doublings(k)
        shared = Shared(
            pt.exp(theta[SHAPE]), theta[TYPICAL], customer, product[0], log_weight,
            (pt.sigmoid(theta[density.lapses]), pt.exp(theta[-1])) if lapse else None,
        )  # fmt: skip
        _reported(shared, columns, scales, v, product, p, k)
        _pairs(data, columns, shared)
        arrivals_model(columns["arrived_orders"], columns["arrived_days"], p)
    return model


def round_columns(data: FitData, at: GammaCoordinates, *, lapse: bool) -> dict[str, Any]:
    """All that the round model takes from the data, by name."""
    coordinates = {f"at_{name}": np.asarray(value) for name, value in at._asdict().items()}
    return data.columns(lapse=lapse) | coordinates


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
        coefficients = bend[which].ravel()
        return sum(share * coefficients[first + i] for i, share in enumerate(shares))

    slope, log_sd = spline(0, slopes) / STEP, spline(2, shares)
    u = spline(0, shares) + beyond * slope
    scale = pt.sign(c) * pt.sqrt(pt.expm1(c**2))
    w = pt.expm1(c * z[1] - c**2 / 2) / scale
    log_slope = pt.log(slope) + log_sd + pt.log(c / scale) + c * z[1] - c**2 / 2
    return (u, spline(1, shares) + pt.exp(log_sd) * w), log_slope


def _reported(
    shared: Shared, columns: dict[str, Any], scales: Any, v: Any, product: list[Any], p: GammaPrior,
    k: Ints,
) -> None:  # fmt: skip
    """The parameters by name, and the density of their priors for that of the coordinates.

    A parameter's density is taken of its logarithm or logit: of what is linear in coordinates.
    """
    customer, customer_mean = _deviations(shared.customer, columns["customer_information"])
    effect, product_mean = _deviations(product[0], columns["product_information"])
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
        tilt, tilt_mean = _deviations(product[1], columns["tilt_information"])
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


def _deviations(effect: Any, information: Any) -> tuple[Any, Any]:
    """Of effects from their mean, and the mean."""
    mean = pt.dot(information / information.sum(), effect)
    return effect - mean, mean


def _pairs(data: FitData, columns: dict[str, Any], shared: Shared) -> None:
    """The log likelihood of all pairs."""
    k = data.rows.regularities
    rows = data.rows._replace(**{name: columns[f"row_{name}"] for name in SHAPED_COLUMNS})
    m: Any = rows.counts
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
    index = columns["row_customer"], columns["row_product"]
    pm.Potential("pairs", log_likelihood(rows, index, *parameters))


def _effects(name: str, columns: dict[str, Any], groups: int, scale: float) -> Any:
    """Deviations of groups from their mean, and their scale, a HalfNormal."""
    sigma = pm.HalfNormal(f"{name}_scale", scale)
    raw = pm.Normal(f"{name}_raw", 0.0, 1.0, shape=groups)
    return pm.Deterministic(name, _deviations(sigma * raw, columns[f"{name}_information"])[0])


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
