"""BG/NBD and Pareto/NBD: our formulas against the library's, and against simulated pairs."""

import warnings
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytensor
import pytest
import xarray as xr

from models.peers import bg_nbd
from models.peers.parts.purchase_fit import distinct, fit_pareto_nbd, log_posterior
from models.peers.parts.purchase_version import past_of
from models.peers.parts.purchases import BetaGeo, ParetoNBD, Past
from tests.chance import assert_share
from tests.models.helpers import patterns_of
from toolkit.data.tables import COUNTS
from toolkit.model import FitSettings

BETA_GEO = BetaGeo(r=0.64, alpha=6.2, a=0.3, b=2.7)
PARETO = ParetoNBD(r=0.71, alpha=7.3, s=0.4, beta=20.0)


@pytest.fixture(scope="module")
def past() -> Past:
    """New, silent, busy pairs, one with very many orders, one with its last order today."""
    x = np.array([0.0, 0.0, 1.0, 4.0, 9.0, 30.0, 150.0, 5.0])
    T = np.array([0.3, 90.0, 40.0, 120.0, 60.0, 70.0, 130.0, 50.0])
    t_x = np.array([0.0, 0.0, 2.0, 100.0, 20.0, 66.0, 128.0, 50.0])
    return Past(x, t_x, T)


@pytest.fixture(scope="module")
def library(past):
    """Both of the library's models, with our parameters for their posteriors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clv = import_module("pymc_marketing.clv")
        columns = {"frequency": past.x, "recency": past.t_x, "T": past.T}
        table = pd.DataFrame({"customer_id": np.arange(len(past.x)), **columns})
        models = {"BetaGeo": clv.BetaGeoModel(), "ParetoNBD": clv.ParetoNBDModel()}
        for population in (BETA_GEO, PARETO):
            model = models[type(population).__name__]
            model.build_model(table)
            names = population.__dataclass_fields__
            points = {n: (("chain", "draw"), [[getattr(population, n)]]) for n in names}
            model.idata = xr.DataTree.from_dict({"posterior": xr.Dataset(points)})
    with pytensor.config.change_flags(mode="FAST_COMPILE"):  # what is computed once
        yield models


def flat(values):
    return np.asarray(values).ravel()


@pytest.mark.parametrize("population", [BETA_GEO, PARETO])
def test_p_alive_is_the_librarys(population, library, past):
    theirs = library[type(population).__name__].expected_probability_alive()
    assert np.allclose(population.p_alive(past), flat(theirs), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("population", [BETA_GEO, PARETO])
def test_expected_orders_are_the_librarys(population, library, past):
    theirs = library[type(population).__name__].expected_purchases(future_t=12)
    ours = population.expected_orders(past, 12.0) * population.p_alive(past)
    assert np.allclose(ours, flat(theirs), rtol=1e-7)


def test_no_purchase_is_the_librarys_where_it_agrees_with_itself(library, past):
    """For pairs of a single order the library takes another P(alive) here than it gives out."""
    theirs = flat(library["BetaGeo"].expected_probability_no_purchase(4.0))
    ours = 1 - BETA_GEO.p_alive(past) * BETA_GEO.p_order(past, np.array([4.0]))[:, 0]
    repeats = past.x > 0
    assert np.allclose(ours[repeats], theirs[repeats], rtol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_counts_are_the_librarys(count, library, past):
    theirs = library["ParetoNBD"].expected_purchase_probability(n_purchases=count, future_t=12.0)
    alive = PARETO.p_alive(past)
    ours = alive * PARETO.p_counts(past, 12.0)[:, count] + (count == 0) * (1 - alive)
    assert np.allclose(ours, flat(theirs), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("population", [BETA_GEO, PARETO])
def test_counts_waits_and_expectations_agree(population, past):
    p = population.p_counts(past, 12.0)
    by_week = population.p_order(past, np.arange(1.0, 13.0))
    assert np.allclose(p[:, 0], 1 - by_week[:, -1], atol=1e-12)
    assert np.all(np.diff(by_week, axis=1) > 0)
    few = p[:, -1] < 1e-12
    mean = p @ np.arange(COUNTS)
    assert few.sum() >= 4
    assert np.allclose(mean[few], population.expected_orders(past, 12.0)[few], atol=1e-9)


def test_counts_are_those_of_simulated_pairs(seeded):
    """A pair that has not left: its rates drawn from their posterior, its orders by the rules."""
    rng, n, t = np.random.default_rng(seeded(3)), 200_000, 12.0
    past = Past(np.array([4.0]), np.array([20.0]), np.array([22.0]))
    rate = rng.gamma(BETA_GEO.r + 4, 1 / (BETA_GEO.alpha + 22), n)
    leaves = rng.beta(BETA_GEO.a, BETA_GEO.b + 4, n)
    arrivals = rng.poisson(rate * t)
    counts = np.minimum(arrivals, rng.geometric(leaves))
    for count in range(4):
        assert_share(np.sum(counts == count), n, BETA_GEO.p_counts(past, t)[0, count], 8)
    rate = rng.gamma(PARETO.r + 4, 1 / (PARETO.alpha + 22), n)
    life = rng.exponential(1 / rng.gamma(PARETO.s, 1 / (PARETO.beta + 22), n))
    counts = rng.poisson(rate * np.minimum(life, t))
    for count in range(4):
        assert_share(np.sum(counts == count), n, PARETO.p_counts(past, t)[0, count], 8)


def test_the_posterior_of_pareto_nbd_is_the_librarys(library, past):
    """Without the Jacobian of the logarithms, as the library finds its maximum."""
    theirs = library["ParetoNBD"].model.compile_logp(jacobian=False)
    for population in (PARETO, ParetoNBD(r=1.4, alpha=20.0, s=0.1, beta=5.0)):
        logs = {f"{name}_log__": np.log(v) for name, v in asdict(population).items()}
        ours = log_posterior(population, past, np.ones(len(past.x)))
        assert np.isclose(ours, float(theirs(logs)), rtol=1e-9)


def test_the_fit_of_pareto_nbd_finds_the_population_again(seeded):
    """Weights and rows say the same; a maximum is flat, and higher than around it."""
    rng, n = np.random.default_rng(seeded(1)), 4000
    T = rng.integers(20, 120, n) * 1.0
    rate = rng.gamma(1.5, 1 / 12.0, n)
    life = np.minimum(rng.exponential(1 / rng.gamma(0.8, 1 / 30.0, n)), T)
    x, t_x = np.zeros(n), np.zeros(n)
    for pair in range(n):
        times = np.cumsum(rng.exponential(1 / rate[pair], 400))
        times = times[times < life[pair]]
        x[pair], t_x[pair] = len(times), times[-1] if len(times) else 0.0
    past = Past(x, t_x, T)
    found = fit_pareto_nbd(past)
    # over seeds 1.8 and 4.2 % off, and 1.5 % to one side
    assert np.isclose(found.r / found.alpha, 1.5 / 12.0, rtol=0.1)
    assert np.isclose(found.r, 1.5, rtol=0.25)
    best = log_posterior(found, past, np.ones(n))
    for name, value in asdict(found).items():
        for factor in (0.97, 1.03):
            assert log_posterior(replace(found, **{name: factor * value}), past, np.ones(n)) < best


def test_a_repeat_order_is_what_can_be_followed_by_leaving(past):
    single = past.x == 0
    assert np.all(BETA_GEO.p_alive(past)[single] == 1.0)
    assert PARETO.p_alive(past)[1] < 0.7


def test_recency_frequency_and_age_are_in_weeks():
    known = patterns_of({(1, 1): [(-28, 1.0), (-21, 1.0), (-7, 2.0)], (1, 2): [(-14, 1.0)]})
    past = past_of(known)
    assert (past.x.tolist(), past.t_x.tolist(), past.T.tolist()) == ([2, 0], [3, 0], [4, 2])


def test_equal_pasts_are_one_row():
    past = Past(np.array([1.0, 0.0, 1.0]), np.array([2.0, 0.0, 2.0]), np.array([5.0, 4.0, 5.0]))
    rows, pair = distinct(past)
    assert len(rows.x) == 2
    assert rows.T[pair].tolist() == past.T.tolist()


def test_the_fit_finds_the_population_again(seeded):
    rng = np.random.default_rng(seeded(0))
    truth, histories = BetaGeo(r=2.0, alpha=10.0, a=1.0, b=4.0), {}
    for customer in range(1500):
        rate = rng.gamma(truth.r, 1 / truth.alpha) / 7
        p, day = rng.beta(truth.a, truth.b), -int(rng.integers(200, 500))
        days = [day]
        while (day := day + max(1, round(rng.exponential(1 / rate)))) < 0:
            days.append(day)
            if rng.random() < p:
                break
        histories[1, customer] = [(d, 1.0) for d in days]
    fitted = bg_nbd.MODEL.fit(patterns_of(histories), seed=seeded(1), settings=FitSettings())
    found = BetaGeo(*fitted.arrays["parameters"])
    # over seeds 3.0 and 3.5 % off
    assert np.isclose(found.r / found.alpha, 0.2, rtol=0.17)
    assert np.isclose(found.a / (found.a + found.b), 0.2, rtol=0.19)
