"""Until when a fit draws, and Laplace's method, on models whose posterior is known."""

from functools import partial

import numpy as np
import pymc as pm
import pytest
import xarray as xr

from models.parts.fitting import sampling
from models.parts.fitting.laplace import approximate
from models.parts.fitting.posterior import QUARTER_TURN, SHORT_STEPS
from models.parts.fitting.sampling import CHECKED_DRAWS, Diagnostics, sample, without_inner
from tests.chance import assert_chains_agree, assert_near, error_of_mean, error_of_sd
from tests.models.graphs import OfModel
from toolkit.model import MOST_DRAWS, FitSettings
from toolkit.results.fit import MAX_R_HAT, MIN_ESS, headed

SEEN = np.array([1.0, 2.5, 4.0, 0.5])
"""Of a normal with deviation 1: with a flat prior the mean is N(2, ¼)."""
CORRELATION = 0.5


def known_posterior(correlation=0.0):
    """z ~ N(0, 1), and a mean whose posterior is N(2, ½²)."""
    with pm.Model() as model:
        pm.Normal("z_raw", 0.0, 1.0, shape=3)
        z = pm.MvNormal("z", np.zeros(2), [[1.0, correlation], [correlation, 1.0]])
        mean = pm.Normal("mean", 0.0, 1e4)
        pm.Deterministic("double", 2.0 * mean + 0.0 * z.sum())
        pm.Normal("seen", mean, 1.0, observed=SEEN)
    return OfModel(model, {"z_raw", "z"})


def test_sampling_ends_where_it_has_converged_and_no_draw_hangs_on_that():
    density, told = known_posterior(CORRELATION), []
    posterior, statistics, found = sample(
        density, FitSettings(), 1, lambda *steps: told.append(steps), tune=150
    )
    assert found.mixed
    assert found.r_hat <= MAX_R_HAT
    assert min(found.ess_bulk, found.ess_tail) >= MIN_ESS
    assert found.draws in CHECKED_DRAWS
    for table in (posterior, statistics):
        assert (table.sizes["chain"], table.sizes["draw"]) == (4, found.draws)
    assert set(without_inner(posterior).data_vars) == {"z", "mean", "double"}
    again, _, exactly = sample(
        density, FitSettings(draws=found.draws, tune=150, cores=1), 1, tune=999
    )
    assert exactly.draws == found.draws
    for name in posterior:
        np.testing.assert_array_equal(posterior[name], again[name])
    assert told
    assert all(done <= total == 4 * (150 + MOST_DRAWS) for done, total, _ in told)
    assert all("divergent" in said for *_, said in told)


def test_trajectories_exact_for_a_normal_find_what_is_near_one(seeded):
    """Means and second moments are those of independent draws; squares mix worse than means do."""
    posterior, _, found = sample(
        known_posterior(CORRELATION), FitSettings(draws=1000), seeded(1), tune=200
    )
    assert found.divergences == 0
    mean, z = posterior["mean"].to_numpy(), posterior["z"].to_numpy()
    rng = np.random.default_rng(seeded(2))
    exact = rng.multivariate_normal(
        np.zeros(2), [[1.0, CORRELATION], [CORRELATION, 1.0]], (4, 5000)
    )
    off = rng.normal(0.0, 0.5, (4, 5000))
    agree = partial(assert_chains_agree, comparisons=4)
    agree(mean - 2.0, off)
    agree((mean - 2.0) ** 2, off**2)
    agree(z.prod(axis=-1), exact.prod(axis=-1))
    agree(np.square(z[..., 0]), np.square(exact[..., 0]))


class Steep:
    """Near N(0, 1), with tails that are thinner."""

    start, is_round = np.zeros(20), np.ones(20, bool)

    def __init__(self, *trajectories):
        self.trajectories = trajectories

    def __call__(self, x):
        return float((-0.5 * x**2 - 0.05 * x**4).sum()), -x - 0.2 * x**3

    def values(self, x):
        return {"x": x.copy()}


def test_three_long_steps_are_enough_where_they_lead_far(seeded):
    posterior = Steep(QUARTER_TURN, SHORT_STEPS)
    _, statistics, found = sample(posterior, FitSettings(), seeded(1), tune=100)
    assert found.mixed
    assert statistics["n_steps"].max() <= 3
    assert statistics["step_size"].min() > QUARTER_TURN.least_step


@pytest.fixture(scope="module")
def by_short_steps(seeded):
    return sample(Steep(SHORT_STEPS), FitSettings(), seeded(1), tune=100)


@pytest.mark.parametrize(
    "quick",
    [
        QUARTER_TURN._replace(least_step=100.0),  # as is seen after the first draws
        QUARTER_TURN._replace(settings={**QUARTER_TURN.settings, "target_accept": 0.01}),
    ],
    ids=["too short", "never mix"],
)
def test_trajectories_that_do_not_lead_to_convergence_are_followed_by_the_next(
    quick, seeded, by_short_steps
):
    posterior, _, found = sample(Steep(quick, SHORT_STEPS), FitSettings(), seeded(1), tune=100)
    alone, _, of_alone = by_short_steps
    assert found.mixed
    assert found.draws == of_alone.draws
    np.testing.assert_array_equal(posterior["x"], alone["x"])


@pytest.mark.parametrize(
    ("draws", "ess", "nowhere"), [(500, 159, True), (500, 161, False), (400, 20, False)]
)
def test_draws_that_would_not_be_enough_at_their_limit_are_given_up(draws, ess, nowhere):
    """Of 1,250 draws 400 have to be effective, and 500 tell."""
    statistics = xr.Dataset({"step_size": ("draw", np.full(draws, 0.6))})
    found = Diagnostics(1.02, "x", ess, "x", 900.0, "x", 0, 1.0, 3.0, draws, 1.0)
    assert sampling._leads_nowhere(QUARTER_TURN, statistics, found) is nowhere


def test_a_given_number_of_draws_is_drawn_by_the_surest_trajectories(seeded):
    drawn, alone = (
        sample(Steep(*trajectories), FitSettings(draws=50), seeded(1), tune=50)[0]
        for trajectories in ((QUARTER_TURN, SHORT_STEPS), (SHORT_STEPS,))
    )
    np.testing.assert_array_equal(drawn["x"], alone["x"])


def test_what_never_converges_ends_at_the_limit():
    """Two modes far apart: each chain keeps to its own."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 100.0)
        pm.Potential("two", -0.5 * (abs(x) - 60.0) ** 2)
    _, _, found = sample(OfModel(model), FitSettings(chains=4), 3, tune=100)
    assert found.draws == MOST_DRAWS
    assert any("R-hat of x" in warning for warning in found.warnings())


class Failing:
    """A density that fails after some steps."""

    start, is_round, trajectories = np.zeros(2), np.ones(2, bool), (SHORT_STEPS,)

    def __init__(self, fault):
        self.fault, self.left = fault, 50

    def __call__(self, x):
        self.left -= 1
        if self.left < 0:
            raise self.fault
        return -0.5 * float(x @ x), -x

    def values(self, x):
        return {"x": x.copy()}


def test_a_value_may_be_a_number_that_is_no_array(capfd):
    """In the sampler's own threads that was a crash, after which the fit waited for good."""
    posterior = Failing(None)
    posterior.left = 10**6
    posterior.values = lambda x: {"x": x.copy(), "first": x[0], "whole": 3}
    found, *_ = sample(posterior, FitSettings(draws=50, chains=2), 1, tune=50)
    np.testing.assert_array_equal(found["first"], found["x"][..., 0])
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("draws", [None, 100])
def test_what_a_density_raises_ends_the_fit(draws, capfd):
    fault = MemoryError("no room")
    with pytest.raises(MemoryError) as raised:
        sample(Failing(fault), FitSettings(draws=draws, chains=2), 1, tune=100)
    assert raised.value is fault
    assert "panicked" not in capfd.readouterr().err


def test_laplace_is_exact_where_the_posterior_is_a_gaussian(seeded):
    draws = 4000
    posterior, _, found = approximate(known_posterior(), FitSettings(draws=draws), seeded(1))
    mean = posterior["mean"].to_numpy()[0]
    assert posterior.sizes["draw"] == found.draws == draws
    assert_near(mean.mean(), SEEN.mean(), error_of_mean(mean), comparisons=2)
    assert_near(mean.std(), 0.5, error_of_sd(mean), comparisons=2)
    np.testing.assert_allclose(posterior["double"], 2.0 * posterior["mean"])
    assert found.k_hat < 0.7
    assert headed(found.warnings()[0]).startswith("APPROXIMATE: by Laplace's method (k-hat ")


@pytest.mark.parametrize("draws", [1, 2, 20])
def test_few_draws_by_laplace_are_judged_as_many_are(draws):
    density = known_posterior(CORRELATION)
    few, statistics, found = approximate(density, FitSettings(draws=draws), 1)
    assert few.sizes["draw"] == statistics.sizes["draw"] == draws
    assert found.k_hat == approximate(density, FitSettings(draws=400), 1)[2].k_hat


def test_laplace_tells_how_far_off_it_is():
    """A variable taken for round whose posterior is three times as wide."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 3.0, shape=5)
        pm.Normal("y", 0.0, 1.0)
    _, _, found = approximate(OfModel(model, {"x"}), FitSettings(), 1)
    assert found.k_hat > 0.7


class FarAway:
    """z ~ N(0, 1), and log y that is flatter the further it is from 2, where a chain begins."""

    start, is_round, trajectories = np.array([0.0, 12.0]), np.array([True, False]), (SHORT_STEPS,)

    def __call__(self, x):
        off = np.sqrt(1.0 + (x[1] - 2.0) ** 2)
        return -0.5 * x[0] ** 2 - 9.0 * off, np.array([-x[0], -9.0 * (x[1] - 2.0) / off])

    def values(self, x):
        return {"y": x[1]}


def test_laplace_finds_a_mode_that_whole_steps_of_newton_would_fly_past(seeded):
    posterior, _, _ = approximate(FarAway(), FitSettings(draws=4000), seeded(1))
    y = posterior["y"].to_numpy()[0]
    assert_near(y.mean(), 2.0, error_of_mean(y), comparisons=2)
    assert_near(y.std(), 1.0 / 3.0, error_of_sd(y), comparisons=2)
