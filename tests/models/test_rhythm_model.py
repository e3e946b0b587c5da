"""The PyMC model of ``rhythm``: its prior as stated, known coefficients recovered."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor import function
from pytensor.graph.replace import graph_replace

from models.parts.fitting.sampling import draw_prior, sample
from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.activity import BLOCKS, COLUMNS, RATE, column
from models.parts.rhythm.checks import order_weeks
from models.parts.rhythm.coordinates import (
    LEAST_SCALE,
    Globals,
    falls,
)
from models.parts.rhythm.mode import Density, find_mode
from models.parts.rhythm.model import build_model
from models.parts.rhythm.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm.posterior import RhythmPosterior
from models.parts.rhythm.prediction import in_strata
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
    posterior, _, diagnostics = sample(RhythmPosterior(data), settings, seeded(2))
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


@pytest.fixture(scope="module")
def posterior(data) -> RhythmPosterior:
    return RhythmPosterior(data)


def test_coordinates_have_the_jacobian_and_the_slopes_they_say(posterior):
    coordinates, mode = posterior.coordinates, posterior.arrow.mode
    assert coordinates.theta(np.zeros(len(mode)))[0] == pytest.approx(mode)
    rng, step = np.random.default_rng(6), 1e-5
    found = []
    for _ in range(3):
        xi = 3.0 * rng.standard_normal(len(mode))
        jacobian = np.array([
            (coordinates.theta(xi + shift)[0] - coordinates.theta(xi - shift)[0]) / (2 * step)
            for shift in step * np.eye(len(mode))
        ])  # fmt: skip
        _, log_jacobian, back = coordinates.theta(xi)
        found.append(log_jacobian - np.linalg.slogdet(jacobian)[1])
        by_theta = rng.standard_normal(len(mode))
        by_xi = back(by_theta) - back(np.zeros(len(mode)))
        assert by_xi == pytest.approx(jacobian @ by_theta, rel=1e-6, abs=1e-6)
    assert found == pytest.approx([found[0]] * 3, abs=1e-4)


def test_at_the_mode_coordinates_are_those_of_its_covariance(posterior):
    """There dθ/dξ is the root of the covariance at the mode: the bends are shears about it."""
    theta_at, root, step = posterior.coordinates.theta, posterior.arrow.root, 1e-5
    shifts = step * np.eye(len(root))
    by_xi = np.array([(theta_at(d)[0] - theta_at(-d)[0]) / (2 * step) for d in shifts])
    assert pytest.approx(root, abs=1e-5 * np.abs(root).max()) == by_xi.T


SHOWN = (*BLOCKS, "arrival", "log_dip_length", "decline")


def density_in_pymc(posterior, data):
    """log p, its gradient, and ``SHOWN``: the model's density, times the Jacobian, as graphs."""
    model, x = build_model(data), pt.dvector()
    c, arrow, start = posterior.coordinates, posterior.arrow, [0, *posterior.ends]
    xi, log_scale, z, log_sd, next_level, log_shape, of_beta = (
        x[a:b] for a, b in zip(start, [*posterior.ends, len(posterior.start)], strict=True)
    )
    y = c.centre + pt.dot(c.root, xi)
    soft = pt.softplus(y[c.falling])
    by_y = pt.sum(-pt.softplus(-y[c.falling]) - pt.log(soft))
    theta = pt.set_subtensor(y[c.falling], pt.log(soft))

    def slopes(theta):
        return pt.where(c.columns.falls, -pt.exp(theta[c.alive]), theta[c.alive])

    theta = pt.inc_subtensor(theta[c.alive.start], pt.dot(c.by_slope, slopes(theta)))
    log_p = -pt.softplus(-pt.dot(c.design, slopes(theta)))
    depth = pt.exp(pt.dot(c.dips.design, theta[c.dip]) - c.dips.passed * pt.exp(-theta[c.length]))
    by_rate = pt.dot(c.dips.regression, depth) - pt.dot(c.regression, log_p)
    theta = pt.inc_subtensor(theta[c.rate], by_rate)
    of, levels = posterior.density.prior.levels, posterior.levels
    log_ratio = log_sd[0] - np.log(levels.level_sd)
    along = pt.exp(levels.share * log_ratio) * pt.dot(levels.vectors.T, theta[of])
    theta = pt.set_subtensor(theta[of], pt.dot(levels.vectors, along))
    scale = pt.exp(log_scale[0])
    precision = arrow.information + scale**-2.0
    pull = arrow.pull - pt.dot(theta - arrow.mode, arrow.cross)
    shock = pull / precision + z / pt.sqrt(precision)
    at = {
        "theta_raw": theta[: of.start],
        "level_raw": theta[of],
        "level_sd_log__": log_sd[0],
        "product_shock_log__": log_scale[0],
        "shock_raw": shock / scale,
        "next_level": next_level[0] * pt.exp(log_sd[0]),
        "arrival_shape_log__": log_shape[0],
        "arrival_raw": posterior.beta + pt.dot(posterior.beta_root, of_beta),
    }
    replaced = {value: at[value.name] for value in model.value_vars}
    log_density = graph_replace(model.logp(), replaced, strict=False) + by_y
    log_density += np.sum(levels.share) * log_ratio + log_sd[0]
    log_density -= pt.sum(0.5 * pt.log(precision) + pt.log(scale))
    deterministics = [model[name] for name in SHOWN]
    shown = graph_replace(model.replace_rvs_by_values(deterministics), replaced, strict=False)
    outputs = [log_density, pt.grad(log_density, x), *shown]
    return function([x], outputs, mode="FAST_COMPILE", on_unused_input="ignore")


def test_the_density_that_is_sampled_is_that_of_the_pymc_model(posterior, data):
    """Value and gradient, and the parameters that are saved."""
    in_pymc, rng, apart = density_in_pymc(posterior, data), np.random.default_rng(8), []
    for scale in (0.5, 1.0, 2.0):
        x = posterior.start + scale * rng.standard_normal(len(posterior.start))
        value, slope = posterior(x)
        expected, by_graph, *shown = in_pymc(x)
        apart.append(value - float(expected))
        assert slope == pytest.approx(by_graph, rel=1e-9, abs=1e-9 * np.abs(by_graph).max())
        values = posterior.values(x)
        for name, array in zip(
            [*BLOCKS, "arrival", "log_dip_length", "decline"], shown, strict=True
        ):
            assert values[name] == pytest.approx(array, rel=1e-10, abs=1e-12)
    assert apart == pytest.approx([apart[0]] * 3, abs=1e-10 * abs(value))


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
    density = Density(data, data.columns())
    arrow = find_mode(density)
    rng, far = np.random.default_rng(9), 0.1

    def log_density(theta, z):
        shock = arrow.shocks(theta, arrow.scale, z).shock
        return density(theta, shock)[0] - 0.5 * ((shock / arrow.scale) ** 2).sum()

    none = np.zeros(density.groups)
    top = log_density(arrow.mode, none)
    for _ in range(20):
        xi, z = rng.standard_normal(len(arrow.mode)), rng.standard_normal(density.groups)
        up, down = (
            log_density(arrow.mode + sign * far * arrow.root @ xi, sign * far * z)
            for sign in (1, -1)
        )
        assert abs(up - down) / (2 * far) < 0.05 * np.sqrt(len(xi) + len(z))
        assert (2 * top - up - down) / far**2 == pytest.approx(xi @ xi + z @ z, rel=0.05)


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


def test_levels_in_strata_keep_their_order_and_add_up_to_the_mean_of_all_draws():
    draws = np.random.default_rng(1).normal(0.0, 0.1, 1000)
    some = draws[::5]
    moved = in_strata(some, draws)
    np.testing.assert_array_equal(np.argsort(moved), np.argsort(some))
    stratum = np.searchsorted(np.sort(draws), np.sort(moved), side="right") * len(some) // 1001
    np.testing.assert_array_equal(stratum, np.arange(len(some)))
    off = [abs(np.exp(levels).mean() / np.exp(draws).mean() - 1.0) for levels in (moved, some)]
    assert 10.0 * off[0] < off[1]
