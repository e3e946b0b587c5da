"""Densities beside the draws: priors as PyMC has them, units, sensitivity as ArviZ has it."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from models.parts.fitting.densities import (
    MOST_UNITS,
    OTHERS,
    POINTWISE,
    chosen_units,
    log_likelihood,
    log_priors,
    power_scaling,
)
from models.parts.fitting.inference import Inference
from models.parts.fitting.laplace import dataset
from models.parts.gamma.model import build_model as build_plain_gamma
from models.parts.gamma.pointwise import densities as densities_of_gamma
from models.parts.gamma.posterior import GammaPosterior
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.coordinates import Globals, falls
from models.parts.rhythm.model import build_model
from models.parts.rhythm.pointwise import Integral, densities, of_newcomers, whole_theta
from models.parts.rhythm.posterior import RhythmPosterior
from models.parts.rhythm.prior import DEFAULT_PRIOR
from tests.models.simulate import simulate
from tests.models.test_calibration import slow_log_likelihood
from tests.models.test_fit import TRUTH, WITH_LAPSE
from tests.models.test_rhythm_model import WINDOWS, simulated
from toolkit.results.fit import PowerScaling, PriorSensitivity

DRAWS = 3


@pytest.fixture(scope="module")
def data():
    return simulated(np.random.default_rng(5))


@pytest.fixture(scope="module")
def model(data):
    return build_model(data)


@pytest.fixture(scope="module")
def rhythm(data):
    return RhythmPosterior(data)


@pytest.fixture(scope="module")
def rhythm_draws(rhythm):
    """What the fit says at points near its start, [1, draw, …]."""
    rng = np.random.default_rng(2)
    points = [rhythm.start + 0.3 * rng.standard_normal(len(rhythm.start)) for _ in range(DRAWS)]
    return dataset([rhythm.values(x) for x in points])


def draws_near_start(model, rng):
    """Values of all variables at points of the sampler's space, [1, draw, …], and the densities."""
    values, start = model.value_vars, model.initial_point()
    wanted = model.free_RVs + model.deterministics
    constrain = model.compile_fn(
        model.replace_rvs_by_values(wanted), inputs=values, mode="FAST_COMPILE", point_fn=False
    )
    density = model.compile_logp(mode="FAST_COMPILE")
    points = [
        {v.name: start[v.name] + 0.3 * rng.standard_normal(np.shape(start[v.name])) for v in values}
        for _ in range(DRAWS)
    ]
    drawn = [constrain(*(point[v.name] for v in values)) for point in points]
    arrays = {v.name: np.array([each[i] for each in drawn])[None] for i, v in enumerate(wanted)}
    posterior = xr.Dataset({
        name: (("chain", "draw", *(f"{name}_{i}" for i in range(array.ndim - 2))), array)
        for name, array in arrays.items()
    })  # fmt: skip
    logp = np.array([[float(density(point)) for point in points]])
    return posterior, xr.Dataset({"logp": (("chain", "draw"), logp)})


def near_start_of(density, rng):
    """Values at points of the sampler's space, [1, draw, …], and the densities."""
    points = [density.start + 0.3 * rng.standard_normal(len(density.start)) for _ in range(DRAWS)]
    drawn = [density.values(x) for x in points]
    arrays = {name: np.array([each[name] for each in drawn])[None] for name in drawn[0]}
    posterior = xr.Dataset({
        name: (("chain", "draw", *(f"{name}_{i}" for i in range(array.ndim - 2))), array)
        for name, array in arrays.items()
    })  # fmt: skip
    logp = np.array([[density(x)[0] for x in points]])
    return posterior, xr.Dataset({"logp": (("chain", "draw"), logp)})


def test_all_units_are_held_or_the_same_sample_of_them():
    assert chosen_units(7).tolist() == list(range(7))
    some = chosen_units(5 * MOST_UNITS)
    assert len(np.unique(some)) == MOST_UNITS
    assert np.array_equal(some, np.sort(some))
    assert np.array_equal(some, chosen_units(5 * MOST_UNITS))
    assert np.median(some) == pytest.approx(2.5 * MOST_UNITS, rel=0.15)


def test_the_likelihood_is_whole_however_it_is_rounded():
    rng = np.random.default_rng(1)
    pointwise = rng.normal(-5.0, 3.0, (2, 30, 9))
    total = pointwise.sum(axis=2) + rng.normal(-800.0, 5.0, (2, 30))
    group = log_likelihood(pointwise, total, "thing")
    assert group[POINTWISE][0] == ("chain", "draw", "thing")
    assert group[POINTWISE][1] == pytest.approx(pointwise, abs=1e-6)
    whole = group[POINTWISE][1].astype(float).sum(axis=2) + group[OTHERS][1]
    assert whole == pytest.approx(total, abs=1e-9)


def test_priors_are_those_of_the_card_in_their_own_space(data, model, rhythm, rhythm_draws):
    """Slopes that can only fall by their log; scales as they are; no coordinates, no Jacobian."""
    posterior = rhythm_draws
    group = densities(model, rhythm.density, data.newcomers, posterior, threads=2)["log_prior"]
    prior, at = DEFAULT_PRIOR, Globals.prior(WINDOWS)
    theta = whole_theta(posterior)
    for block in BLOCKS:
        own = theta[..., at.block(block)]
        dims, found = group[block]
        assert dims == ("chain", "draw", f"{block}_column")
        constant = stats.norm(*getattr(prior, f"{block}_constant")).logpdf(own[..., 0])
        assert found[..., 0] == pytest.approx(constant, rel=1e-6)
        slopes = stats.norm(0.0, getattr(prior, f"{block}_slopes")).logpdf(own[..., 1:])
        falling = stats.norm(*prior.falling_slopes).logpdf(own[..., 1:])
        expected = np.where(falls(block, BLOCKS[block]), falling, slopes)
        assert found[..., 1:] == pytest.approx(expected, rel=1e-6)
    for name in ("product_shock", "level_sd"):
        middle, sd = getattr(prior, name)
        by_hand = stats.lognorm(sd, scale=np.exp(middle)).logpdf(posterior[name].to_numpy())
        assert group[name][1] == pytest.approx(by_hand, rel=1e-6)
    decline = stats.norm(0.0, prior.decline).logpdf(posterior["decline"].to_numpy())
    assert group["decline"][1] == pytest.approx(decline, rel=1e-6)
    assert not {"level_raw", "next_level", "shock_raw"} & set(group)


def test_priors_are_what_pymc_has_for_the_free_variables(model, rhythm_draws):
    posterior = rhythm_draws
    names = ["theta_raw", "product_shock", "level_sd", "arrival_raw", "arrival_shape"]
    found = log_priors(model, names, posterior)
    of_all = model.compile_logp(
        [model[name] for name in names], jacobian=False, mode="FAST_COMPILE"
    )
    for draw in range(DRAWS):
        point = model.initial_point()
        for name in names:
            log = f"{name}_log__" in point
            value = posterior[name].to_numpy()[0, draw]
            point[f"{name}_log__" if log else name] = np.log(value) if log else value
        total = sum(each[0, draw].sum() for each in found.values())
        assert total == pytest.approx(float(of_all(point)), rel=1e-6)


def test_the_shock_is_integrated_out(rhythm, rhythm_draws):
    """Against a fine grid of shocks, at which the likelihood is that of the whole fit."""
    posterior = rhythm_draws
    density = rhythm.density
    integral = Integral.at_mean(density, posterior)
    grid = np.linspace(-8.0, 8.0, 241)
    for draw in range(DRAWS):
        theta = whole_theta(posterior)[0, draw]
        scale = float(posterior["product_shock"][0, draw])
        shock = np.tile(scale * grid, (density.groups, 1))
        given = integral.given(theta, shock)
        for v in (60, 120, 180):  # θ's own density is the same at any shock
            moved = density(theta, shock[:, v])[0] - density(theta, 0.0 * shock[:, v])[0]
            by_unit = given[:, v] - given[:, 120]
            assert by_unit.sum() == pytest.approx(moved, rel=1e-9, abs=1e-6)
        weight = stats.norm.pdf(grid) * (grid[1] - grid[0])
        top = given.max(axis=1)
        expected = top + np.log(np.exp(given - top[:, None]) @ weight)
        assert integral(theta, scale, 15) == pytest.approx(expected, abs=1e-6)
        assert integral(theta, scale) == pytest.approx(expected, abs=0.01)


def test_units_and_others_are_the_orders_and_the_new_customers(data, model, rhythm, rhythm_draws):
    posterior = rhythm_draws
    group = densities(model, rhythm.density, data.newcomers, posterior, threads=2)["log_likelihood"]
    integral = Integral.at_mean(rhythm.density, posterior)
    rows = data.newcomers
    arrival, shape = posterior["arrival"].to_numpy()[0], posterior["arrival_shape"].to_numpy()[0]
    assert group[POINTWISE][0] == ("chain", "draw", "product_window")
    for draw in range(DRAWS):
        theta = whole_theta(posterior)[0, draw]
        orders = integral(theta, float(posterior["product_shock"][0, draw]))
        assert group[POINTWISE][1][0, draw] == pytest.approx(orders, abs=1e-4)
        mean = np.exp(arrival[draw, 0] + rows.values @ arrival[draw, 1:] + rows.log_days)
        p = shape[draw] / (shape[draw] + mean)
        arrived = stats.nbinom.logpmf(rows.arrived, shape[draw], p).sum()
        assert of_newcomers(rows, arrival, shape)[draw] == pytest.approx(arrived, rel=1e-6)
        whole = group[POINTWISE][1][0, draw].astype(float).sum() + group[OTHERS][1][0, draw]
        assert whole == pytest.approx(orders.sum() + arrived, rel=1e-6)


@pytest.mark.parametrize(("truth", "lapse"), [(TRUTH, False), (WITH_LAPSE, True)])
def test_of_the_gamma_versions_pairs_and_others_are_all_that_is_not_prior(truth, lapse):
    data, _ = simulate(truth, 12, 8, 60, 500, np.random.default_rng(3))
    density = GammaPosterior(data, lapse=lapse)
    posterior, statistics = near_start_of(density, np.random.default_rng(4))
    groups = densities_of_gamma(
        density, build_plain_gamma(data, lapse=lapse), posterior, statistics
    )
    orders, others = (groups["log_likelihood"][name][1] for name in (POINTWISE, OTHERS))
    assert groups["log_likelihood"][POINTWISE][0] == ("chain", "draw", "pair")
    for draw in range(DRAWS):
        values = {name: array.to_numpy()[0, draw] for name, array in posterior.items()}
        pairs, arrived = slow_log_likelihood(values, data, lapse)
        assert orders[0, draw].sum() == pytest.approx(pairs, abs=0.01)
        whole = orders[0, draw].astype(float).sum() + others[0, draw]
        assert whole == pytest.approx(pairs + arrived, rel=1e-6)
    shape = posterior["shape"].to_numpy()
    by_hand = stats.lognorm(0.75).logpdf(shape)
    assert groups["log_prior"]["shape"][1] == pytest.approx(by_hand, rel=1e-6)
    scale = stats.halfnorm.logpdf(posterior["customer_scale"].to_numpy())
    assert groups["log_prior"]["customer_scale"][1] == pytest.approx(scale, rel=1e-6)
    assert not {"customer_raw", "product_raw", "tilt_raw"} & groups["log_prior"].keys()


def known_means(prior_sd):
    """A mean with the prior N(0, ``prior_sd``²) of which 50 values say that it is 2."""
    rng, seen = np.random.default_rng(1), np.random.default_rng(2).normal(2.0, 1.0, 50)
    precision = 50 + prior_sd**-2
    mean = rng.normal(seen.sum() / precision, precision**-0.5, (4, 500))
    groups = {
        "posterior": {
            "mean": (("chain", "draw"), mean),
            "pair": (("chain", "draw", "of"), np.stack([mean, np.ones_like(mean)], axis=2)),
        },
        "log_prior": {"mean": (("chain", "draw"), stats.norm(0.0, prior_sd).logpdf(mean))},
        "log_likelihood": {
            "orders": (("chain", "draw", "value"), stats.norm.logpdf(seen, mean[..., None])),
            "others": (("chain", "draw"), np.zeros_like(mean)),
        },
    }
    return Inference(groups, {"of": np.array(["moves", "stays"])})


def test_a_prior_that_says_otherwise_than_the_data_is_in_conflict():
    found = power_scaling(known_means(0.05), ["mean", "pair"])
    mean, moves, stays = found.parameters
    assert [mean.parameter, moves.parameter, stays.parameter] == [
        "mean", "pair[moves]", "pair[stays]",
    ]  # fmt: skip
    assert (mean.prior, mean.likelihood) == (moves.prior, moves.likelihood)
    assert (stays.prior, stays.likelihood) == (None, None)
    assert found.to_prior == found.in_conflict == (mean, moves)


def test_a_wide_prior_matters_to_nothing():
    found = power_scaling(known_means(20.0), ["mean"])
    assert found.to_prior == found.in_conflict == ()
    assert found.parameters[0].likelihood > 0.05


def test_what_chance_gives_is_told_and_is_not_taken_for_more():
    """Where a thousand values of other things are in the likelihood: it says nothing, loudly."""
    inference, rng = known_means(20.0), np.random.default_rng(6)
    noise = rng.normal(0.0, 40.0, (4, 500))
    inference.groups["log_likelihood"]["others"] = (("chain", "draw"), noise)
    inference.groups["log_prior"]["mean"] = (("chain", "draw"), rng.normal(0.0, 20.0, (4, 500)))
    found = power_scaling(inference, ["mean", "pair"])
    assert found.by_chance_prior > 0.05
    assert found.by_chance_likelihood > 0.05
    strong = PowerScaling(
        (PriorSensitivity("a", 0.2, 0.1), PriorSensitivity("b", 0.3, 0.2)), 0.1, 0.15
    )
    assert [one.parameter for one in strong.to_prior] == ["b", "a"]
    assert [one.parameter for one in strong.in_conflict] == ["b"]
    assert replace(strong, by_chance_prior=0.25).to_prior == strong.in_conflict


def test_sensitivities_are_those_of_arviz():
    inference = known_means(0.1)
    tree = inference.to_datatree({})
    table = az.psense_summary(tree, var_names=["mean"], round_to=9)
    (found,) = power_scaling(inference, ["mean"]).parameters
    assert table.loc["mean", "prior"] == pytest.approx(found.prior, abs=1e-8)
    assert table.loc["mean", "likelihood"] == pytest.approx(found.likelihood, abs=1e-8)
    assert table.loc["mean", "diagnosis"] == "potential prior-data conflict"
