"""The PyMC model of ``rhythm``: its prior as stated, known coefficients recovered."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor import function

from models.parts.fitting.sampling import draw_prior, sample
from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.activity import BLOCKS, COLUMNS, RATE, column
from models.parts.rhythm.checks import order_weeks
from models.parts.rhythm.coordinates import (
    LEAST_SCALE,
    Coordinates,
    Globals,
    falls,
)
from models.parts.rhythm.mode import Arrow, Density, find_mode
from models.parts.rhythm.model import build_model
from models.parts.rhythm.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm.prior import DEFAULT_PRIOR
from models.parts.rhythm.windows import WindowData
from models.rhythm import MODEL
from tests.chance import assert_near, batch_means, error_of_mean, error_of_sd
from tests.models.helpers import patterns_of
from toolkit.errors import ModelError
from toolkit.model import FitSettings

TRUTH = {
    "rate": (-1.5, {"own_rate": 0.6, "late": -0.4, "visit_trend": 0.3}),
    "dip": (0.2, {"irregularity": -0.4}),
    "frailty": (-0.6, {"recent_orders": -0.2}),
    "alive": (2.0, {"customer_silence": -0.8, "product_silence": -0.3, "late": -0.1}),
    "extra": (-1.5, {"visit_rate": 0.4}),
}
LOG_DIP_LENGTH, DECLINE, PRODUCT_SHOCK = np.log(0.6), 0.01, 0.3
ARRIVAL = np.array([-0.4, 0.8, 0.3, 0.0, -0.2, 0.1, 0.2, -0.1, 0.0])
ARRIVAL_SHAPE = 1.5
ROWS, WINDOWS, PRODUCTS = 4000, 3, 30
COMPARED = 60
"""So many coefficients, about, are recovered in one test."""
MOST_DIVERGENCES = 12
"""Of 600 transitions, as in ``test_fit.py``."""


def coefficients(block):
    constant, slopes = TRUTH[block]
    return np.array([constant, *(slopes.get(name, 0.0) for name in BLOCKS[block])])


def first_orders(rng) -> Newcomers:
    """New customers of products in windows, as ``ARRIVAL`` and ``ARRIVAL_SHAPE`` have it."""
    values = rng.normal(0.0, 0.6, (WINDOWS * 100, len(NEWCOMERS)))
    values[:, 0] -= 3.0
    log_days = rng.uniform(4.0, 4.6, len(values))
    mean = np.exp(ARRIVAL[0] + values @ ARRIVAL[1:] + log_days)
    arrived = rng.poisson(mean * rng.gamma(ARRIVAL_SHAPE, 1 / ARRIVAL_SHAPE, len(mean)))
    return Newcomers(arrived.astype(float), values, log_days)


def simulated(rng) -> WindowData:
    """Windows of pairs that keep to ``TRUTH``, week by week."""
    window = np.sort(rng.integers(0, WINDOWS, ROWS))
    product_window = window * PRODUCTS + rng.integers(0, PRODUCTS, ROWS)
    design = WindowData(
        ordered=np.zeros((ROWS, HORIZON_WEEKS), dtype=bool),
        extra=np.zeros(ROWS),
        elapsed=rng.exponential(6.0, ROWS),
        clock=np.exp(rng.normal(-1.5, 0.5, ROWS)),
        log_season=np.tile(rng.normal(0.0, 0.1, HORIZON_WEEKS), (WINDOWS, 1)),
        values=rng.normal(0.0, 1.0, (ROWS, len(COLUMNS))),
        window=window,
        product_window=product_window,
        newcomers=first_orders(rng),
    )
    truth = {block: coefficients(block) for block in BLOCKS}
    truth |= {"log_dip_length": LOG_DIP_LENGTH, "decline": DECLINE}
    shock = rng.normal(0.0, PRODUCT_SHOCK, WINDOWS * PRODUCTS)[product_window]
    ordered, extra = order_weeks(design, truth, shock, rng)
    return replace(design, ordered=ordered, extra=extra)


@pytest.fixture(scope="module")
def data() -> WindowData:
    return simulated(np.random.default_rng(5))


def near_truth(drawn, truth):
    """Of draws [chain, draw, …]: off by the posterior's sd, and the Monte Carlo error besides."""
    error = np.hypot(drawn.std(axis=(0, 1)), error_of_mean(batch_means(drawn), axis=0))
    assert_near(drawn.mean(axis=(0, 1)), truth, error, comparisons=COMPARED)


@pytest.mark.slow
def test_known_coefficients_are_recovered(seeded):
    data = simulated(np.random.default_rng(seeded(5)))
    settings = FitSettings(draws=300, tune=300, chains=2, cores=2)
    posterior, _, diagnostics = sample(build_model(data), settings, seeded(2), near_normal=True)
    assert diagnostics.divergences <= MOST_DIVERGENCES
    for block in TRUTH:
        truth = coefficients(block)
        free = ~(np.append(False, falls(block, BLOCKS[block])) & (truth == 0.0))
        near_truth(posterior[block].to_numpy()[..., free], truth[free])
    near_truth(posterior["decline"].to_numpy(), DECLINE)
    near_truth(posterior["arrival"].to_numpy(), ARRIVAL)
    near_truth(posterior["log_dip_length"].to_numpy(), LOG_DIP_LENGTH)
    for name, truth in (("product_shock", PRODUCT_SHOCK), ("arrival_shape", ARRIVAL_SHAPE)):
        near_truth(np.log(posterior[name].to_numpy()), np.log(truth))
    own_rate, arrival = posterior["rate"].to_numpy()[..., 1], posterior["arrival"].to_numpy()
    assert own_rate.std() < 0.1
    assert arrival[..., 1].std() < 0.2


def test_the_prior_is_the_one_of_the_card_whatever_the_coordinates(data, seeded):
    """θ at its constants' means: coefficients of centred columns have the stated moments."""
    drawn = draw_prior(build_model(data), 4000, seeded(1))
    prior = Globals.prior(WINDOWS)
    near = partial(assert_near, comparisons=2 * COMPARED)
    for block in BLOCKS:
        values = data.values[:, column(BLOCKS[block])]
        scale = np.maximum(values.std(axis=0), LEAST_SCALE)
        coefficients = drawn[block]
        constant = coefficients[:, 0] + coefficients[:, 1:] @ values.mean(axis=0)
        slopes = coefficients[:, 1:] * scale
        falling = falls(block, BLOCKS[block])
        slopes[:, falling] = np.log(-slopes[:, falling])
        found = np.column_stack([constant, slopes])
        at = prior.block(block)
        assert (prior.mean[at][0], prior.sd[at][0]) == getattr(DEFAULT_PRIOR, f"{block}_constant")
        near(found.mean(axis=0), prior.mean[at], error_of_mean(found, axis=0))
        near(found.std(axis=0), prior.sd[at], error_of_sd(found, axis=0))


def test_coordinates_lead_back_and_have_the_jacobian_they_say(data):
    columns = data.columns()
    found = find_mode(data, columns)
    mode, root = found.mode, found.root
    coordinates = Coordinates(Globals.prior(WINDOWS), mode, root, columns)
    x = pt.dvector()
    theta_at = function([x], coordinates.backward(x), mode="FAST_COMPILE")
    back = function([x], coordinates.forward(x), mode="FAST_COMPILE")
    assert theta_at(np.zeros(len(mode))) == pytest.approx(mode)
    log_jacobian = function([x], coordinates.log_jac_det(x), mode="FAST_COMPILE")
    rng, step = np.random.default_rng(6), 1e-5
    for _ in range(3):
        xi = 3.0 * rng.standard_normal(len(mode))
        assert back(theta_at(xi)) == pytest.approx(xi)
        jacobian = [
            (theta_at(xi + shift) - theta_at(xi - shift)) / (2 * step)
            for shift in step * np.eye(len(mode))
        ]
        log_determinant = np.linalg.slogdet(np.array(jacobian))[1]
        assert log_jacobian(xi) == pytest.approx(log_determinant, abs=1e-4)


def test_at_the_mode_coordinates_are_those_of_its_covariance(data):
    """There dθ/dξ is the root of the covariance at the mode: the bends are shears about it."""
    columns = data.columns()
    found = find_mode(data, columns)
    mode, root = found.mode, found.root
    coordinates = Coordinates(Globals.prior(WINDOWS), mode, root, columns)
    x = pt.dvector()
    theta_at = function([x], coordinates.backward(x), mode="FAST_COMPILE")
    step = 1e-5
    by_xi = np.array([
        (theta_at(shift) - theta_at(-shift)) / (2 * step) for shift in step * np.eye(len(mode))
    ])  # fmt: skip
    assert pytest.approx(root, abs=1e-5 * np.abs(root).max()) == by_xi.T


@pytest.mark.slow
def test_the_density_is_one_whatever_the_coordinates(data):
    """In those of the mode and those of the prior, at the same θ, shocks and scale."""
    columns = data.columns()
    arrow, prior = find_mode(data, columns), Globals.prior(WINDOWS)
    plain = Arrow.of_prior(prior, len(arrow.information))
    rng, value = np.random.default_rng(8), pt.dvector()
    theta = arrow.mode + 0.5 * arrow.root @ rng.standard_normal(len(arrow.mode))
    scale, z = 0.37, rng.standard_normal(len(arrow.information))
    shock, precision = arrow.shocks(theta, scale, z, np.dot)
    found = []
    for of, swappable_data, of_z in ((arrow, False, z), (plain, True, shock / scale)):
        coordinates = Coordinates(Globals.prior(WINDOWS), of.mode, of.root, columns)
        model = build_model(data, swappable_data=swappable_data)
        start = model.initial_point()
        start["theta_raw_coordinates__"] = coordinates.forward(value).eval({value: theta})
        start |= {"shock_raw": of_z, "product_shock_log__": np.log(scale)}
        terms = [model[name] for name in ("theta_raw", "product_shock", "shock_raw")]
        log_density = model.compile_logp(
            [*terms, *model.potentials], jacobian=False, mode="FAST_COMPILE"
        )
        found.append(float(log_density(start)))
    by_shock = 0.5 * np.log(precision * scale**2).sum()
    assert found[0] + by_shock == pytest.approx(found[1], rel=1e-10)


def with_products_that_nobody_orders(data):
    """A third of the products: silent for long, and no order comes."""
    silent = data.product_window % 3 == 0
    values, ordered, extra = data.values.copy(), data.ordered.copy(), data.extra.copy()
    values[silent, COLUMNS.index("product_silence")] += 3.0
    ordered[silent], extra[silent] = False, 0.0
    return replace(data, values=values, ordered=ordered, extra=extra)


@pytest.mark.parametrize("change", [lambda data: data, with_products_that_nobody_orders])
def test_at_the_mode_the_density_falls_in_all_directions_as_the_gaussian_says(data, change):
    """θ and shocks in deviations of the mode's covariance: gradient 0, and curvature 1."""
    data = change(data)
    columns = data.columns()
    arrow, density = find_mode(data, columns), Density(data, columns)
    z0 = arrow.shocks(arrow.mode, arrow.scale, 0.0, np.dot)[0]
    rng, far = np.random.default_rng(9), 0.1

    def log_density(theta, z):
        shock, _ = arrow.shocks(theta, arrow.scale, z, np.dot)
        return density(theta, shock)[0] - 0.5 * ((shock / arrow.scale) ** 2).sum()

    none = np.zeros(len(z0))
    top = log_density(arrow.mode, none)
    for _ in range(20):
        xi, z = rng.standard_normal(len(arrow.mode)), rng.standard_normal(len(z0))
        up, down = (
            log_density(arrow.mode + sign * far * arrow.root @ xi, sign * far * z)
            for sign in (1, -1)
        )
        assert abs(up - down) / (2 * far) < 0.05 * np.sqrt(len(xi) + len(z))
        assert (2 * top - up - down) / far**2 == pytest.approx(xi @ xi + z @ z, rel=0.05)


@pytest.mark.slow
def test_the_gradient_is_that_of_differences(data):
    model = build_model(data)
    logp, dlogp = model.compile_logp(), model.compile_dlogp()
    rng = np.random.default_rng(3)
    point = {
        name: value + 0.1 * rng.standard_normal(np.shape(value))
        for name, value in model.initial_point().items()
    }
    order = [v.name for v in model.value_vars]
    gradient, start = dlogp(point), 0
    for name in order:
        size = np.size(point[name])
        direction = rng.standard_normal(np.shape(point[name]))
        step = 1e-5
        up, down = (logp(point | {name: point[name] + sign * step * direction}) for sign in (1, -1))
        expected = float(gradient[start : start + size] @ np.ravel(direction))
        assert (up - down) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-2), name
        start += size


def test_a_column_that_hardly_varies_gets_no_huge_slope(data):
    values = data.values.copy()
    at = COLUMNS.index("visit_very_overdue")
    values[:, at] *= 1e-4
    model = build_model(replace(data, values=values))
    slopes = draw_prior(model, 1000, 1)["rate"]
    assert slopes[:, 1 + RATE.index("visit_very_overdue")].std() == pytest.approx(
        1 / LEAST_SCALE, rel=0.15
    )


def test_a_history_too_short_for_a_window_is_refused():
    short = {(1, c): [(-60, 1.0), (-30, 1.0), (-3, 1.0)] for c in range(5)}
    with pytest.raises(ModelError, match=r"windows of 12 weeks.*nothing to fit"):
        MODEL.fit(patterns_of(short), seed=1)
    once = {(1, c): [(-400 - c, 1.0)] for c in range(5)}
    with pytest.raises(ModelError, match=r"before 2024-01-01 there is nothing to fit"):
        MODEL.fit(patterns_of(once), seed=1)
