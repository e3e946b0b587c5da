"""A small simulation-based calibration; ``make sbc`` runs a large one of every version."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import betaln, gammaln, logsumexp

from models.parts.gamma.population import doublings
from models.parts.kernels.collapsed import CollapsedParameters, collapsed_likelihood
from models.parts.kernels.weekly import HORIZON_WEEKS, NODE, NODE_WEIGHT
from models.parts.rhythm.activity import BLOCKS, column
from tests.chance import assert_near, assert_share, error_of_mean, error_of_sd, p_limit, z_limit
from tests.sbc.calibration import RANKED_DRAWS, Calibration, is_stuck
from tests.sbc.gamma import GammaSubject, history
from tests.sbc.report import ranks_by_quantity
from tests.sbc.subjects import SUBJECTS
from tests.sbc.uniformity import band, ecdf_difference, grid, least_p, uniformity

REPLICATIONS = 20


class Small(GammaSubject):
    def __init__(self):
        super().__init__("pooled_gamma", lapse=False, customers=10, products=5, pairs=40)
        self.forgetful = False

    def posterior(self, data):
        return super().posterior(self.seen(data))

    def log_likelihood(self, values, data):
        return super().log_likelihood(values, self.seen(data))

    def seen(self, data):
        if not self.forgetful:
            return data
        rows = data.rows._replace(survived=np.zeros_like(data.rows.survived))
        return replace(data, rows=rows)


@pytest.fixture(scope="module")
def calibration():
    return Calibration(Small())


def p_of_ranks(calibration, seed):
    ranks = ranks_by_quantity(calibration.run(REPLICATIONS, seed))
    return {name: least_p(values, RANKED_DRAWS) for name, values in ranks.items()}


@pytest.mark.slow
def test_ranks_are_uniform(calibration, seeded):
    each = p_of_ranks(calibration, seeded(4))
    assert min(each.values()) > p_limit(len(each)), each
    assert {"shape", "log_typical", "regularity[4]", "customer[1]", "log likelihood"} <= set(each)


@pytest.mark.slow
def test_a_likelihood_that_forgets_the_open_interval_is_found_out(calibration, monkeypatch, seeded):
    monkeypatch.setattr(calibration.subject, "forgetful", True)
    each = p_of_ranks(calibration, seeded(4))
    assert min(each["log_typical"], each["log likelihood"]) < p_limit(len(each)), each


def slow_log_likelihood(truth, data, lapse):
    """Of pairs by the tested sum over regularities, and of arrivals by SciPy's distribution."""
    rows = data.rows
    m, k = rows.counts, rows.regularities
    log_weight = np.log(truth["regularity"])[None, :]
    log_kept, left = np.zeros((2, len(m)))
    if lapse:
        log_weight = log_weight + truth["tilt"][:, None] * doublings(k)
        log_weight -= logsumexp(log_weight, axis=1, keepdims=True)
        alpha = truth["lapse"] * truth["lapse_concentration"]
        beta = truth["lapse_concentration"] - alpha
        log_kept, left = betaln(alpha, beta + m) - betaln(alpha, beta), alpha / (alpha + beta + m)
    a = truth["shape"]
    at = CollapsedParameters(
        *(a, truth["customer"]),
        truth["product"] + truth["log_typical"] + np.log(a),
        gammaln(a + k * m[:, None]) - gammaln(a),
        *(log_weight, log_kept, left),
    )
    pairs = collapsed_likelihood(rows, (data.customer, data.product), at)
    return pairs.value, slow_arrivals(truth, data.arrived, data.arrival_days)


def slow_arrivals(truth, arrived, days):
    n = truth["arrival_shape"]
    per_day = n * truth["arrival_days"]
    return stats.nbinom(n, per_day / (per_day + days)).logpmf(arrived).sum()


@pytest.mark.parametrize("name", ["pooled_gamma", "lapse_gamma"])
def test_a_restated_truth_says_the_same_of_the_data(name, seeded):
    subject = SUBJECTS[name](customers=10, products=5, pairs=40)
    calibration = Calibration(subject)
    for number, truth in enumerate(calibration.truths(3, seed=seeded(1))):
        data = subject.simulate(truth, np.random.default_rng(seeded(number)))
        known = calibration.known(truth, data)
        by_hand = sum(slow_log_likelihood(truth, data, subject.lapse))
        assert known["log likelihood"] == pytest.approx(by_hand)
        assert subject.log_likelihood(truth, data) == pytest.approx(by_hand)
        mean = np.average(truth["customer"], weights=data.information(lapse=False)["customer"])
        assert known["customer[0]"] == pytest.approx(truth["customer"][0] - mean)
        assert known["customer[0]"] != pytest.approx(truth["customer"][0], rel=1e-3)


def test_rhythm_says_of_data_what_is_worked_out_by_hand():
    subject = SUBJECTS["rhythm"](rows=60, products=4)
    calibration = Calibration(subject)
    truth = calibration.truths(2, seed=2)[0]
    data = subject.simulate(truth, np.random.default_rng(1))
    known = calibration.known(truth, data)
    assert {
        "rate[18]",
        "alive[3]",
        "arrival[8]",
        "decline",
        "product_shock",
        "log likelihood",
    } <= set(known)
    design = data.values
    extra = truth["extra"][0] + design[:, column(BLOCKS["extra"])] @ truth["extra"][1:]
    weeks = data.ordered.sum(axis=1)
    ordering = by_hand_weeks(truth, data, subject)
    beyond = float((data.extra * extra - weeks * np.exp(extra)).sum())
    n, rows = truth["arrival_shape"], data.newcomers
    mean = np.exp(truth["arrival"][0] + rows.values @ truth["arrival"][1:] + rows.log_days)
    arriving = stats.nbinom(n, n / (n + mean)).logpmf(rows.arrived).sum()
    assert known["log likelihood"] == pytest.approx(ordering + beyond + arriving)
    at = subject.prior.at("decline")
    assert known["decline"] == pytest.approx(truth["theta_raw"][at])


def by_hand_weeks(truth, data, subject):
    """The weeks' log likelihood, one hazard after another, frailty and lapse summed out."""

    def linear(block):
        return truth[block][0] + data.values[:, column(BLOCKS[block])] @ truth[block][1:]

    shock = subject.shock(truth)
    kinds = np.exp(np.exp(linear("frailty"))[:, None] * NODE)
    kinds /= (kinds @ NODE_WEIGHT)[:, None]
    given, since = np.tile(NODE_WEIGHT, (len(shock), 1)), data.elapsed + 0.5
    for week in range(HORIZON_WEEKS):
        dip = np.exp(linear("dip") - since * data.clock / np.exp(truth["log_dip_length"]))
        level = (
            linear("rate") + shock + data.log_season[data.window, week] - truth["decline"] * week
        )
        none = np.exp(-kinds * np.exp(np.clip(level - dip, -50.0, 6.0))[:, None])
        given = given * np.where(data.ordered[:, [week]], 1.0 - none, none)
        since = np.where(data.ordered[:, week], 1.0, since + 1.0)
    alive = 1.0 / (1.0 + np.exp(-linear("alive")))
    never = ~data.ordered.any(axis=1)
    return float(np.log(alive * given.sum(axis=1) + (1.0 - alive) * never).sum())


def test_a_chain_that_never_moves_is_stuck():
    moving = np.random.default_rng(1).normal(size=(1, 50, 3))
    frozen = np.zeros((1, 50))
    assert not is_stuck(xr.Dataset({"x": (("chain", "draw", "i"), moving)}))
    assert is_stuck(
        xr.Dataset({"x": (("chain", "draw", "i"), moving), "y": (("chain", "draw"), frozen)})
    )


def test_prior_draws_have_the_prior(seeded):
    truths = Calibration(Small()).truths(2000, seed=seeded(3))
    for name, distribution in (
        ("log_typical", stats.norm(np.log(60), 1.5)),
        ("shape", stats.lognorm(0.75)),
        ("customer_scale", stats.halfnorm()),
        ("arrival_days", stats.lognorm(2.0, scale=60)),
    ):
        drawn = [truth[name] for truth in truths]
        assert stats.kstest(drawn, distribution.cdf).pvalue > p_limit(4), name


@pytest.mark.parametrize(("k", "lapse"), [(1, 0.0), (4, 0.2), (4, 1.0)])
def test_simulated_histories_have_the_means_of_their_process(k, lapse, seeded):
    rng = np.random.default_rng(seeded(5))
    each = [history(k, 1 / 20, lapse, 300.0, rng) for _ in range(4000)]
    m, S, L, T = np.array(each).T
    assert np.all(pytest.approx(300.0) == S + T)
    assert not np.any((m == 0) & (S > 0))
    if k == 1 and not lapse:
        assert_near(m.mean(), 15.0, error_of_mean(m), 4)  # a Poisson process
        assert_near(m.std(), np.sqrt(15.0), error_of_sd(m), 4)
    else:
        first = stats.gamma(4, scale=5).cdf(300.0)  # every first interval is short enough
        assert_share(np.sum(m > 0), len(m), (1 - lapse) * first, 4)
    assert np.all(L[m == 1] == pytest.approx(np.log(S[m == 1])))


def test_uniform_ranks_stay_in_the_band_as_often_as_it_says(seeded):
    rng = np.random.default_rng(seeded(6))
    found = [uniformity(rng.integers(0, 100, 80), 99) for _ in range(1000)]
    # the band itself comes from 10,000 samples: a tenth more noise
    inside = np.mean([one.inside for one in found])
    assert_near(inside, 0.95, np.sqrt(1.1 * 0.95 * 0.05 / 1000), 2)
    # of few ranks in each bin, χ² is not quite χ²: 0.90 ± 0.01 over seeds
    flat = np.mean([one.chi_square_p > 0.1 for one in found])
    assert flat == pytest.approx(0.9, abs=0.01 + z_limit(2) * np.sqrt(0.09 / 1000))


def test_the_band_and_its_p_agree():
    rng = np.random.default_rng(7)
    lowest, highest = band(60, 99)
    assert np.all(lowest < 0)
    assert np.all(highest > 0)
    for _ in range(100):
        ranks = rng.binomial(99, rng.beta(1.0, 1.3, 60))
        difference = ecdf_difference(ranks, 99)
        inside = np.all((difference >= lowest - 1e-12) & (difference <= highest + 1e-12))
        assert uniformity(ranks, 99).inside == inside


def test_an_ecdf_worked_out_by_hand():
    ranks = np.array([0, 0, 2])
    assert grid(3) == pytest.approx([0.25, 0.5, 0.75])
    assert ecdf_difference(ranks, 3) == pytest.approx([2 / 3 - 0.25, 2 / 3 - 0.5, 1 - 0.75])
    assert uniformity(np.repeat(np.arange(10), 10) * 10, 99).chi_square_p == pytest.approx(1.0)


@pytest.mark.parametrize("ranks", [np.arange(50), np.full(50, 49), np.repeat([0, 99], 25)])
def test_bias_and_wrong_widths_are_found_out(ranks):
    found = uniformity(ranks, 99)
    assert not found.inside
    assert found.chi_square_p < 1e-6
