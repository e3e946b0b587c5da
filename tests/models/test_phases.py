"""Predictions from a population against a slow simulation that conditions by rejection."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from models.parts.gamma.population import Population
from models.parts.kernels.draws import draw_erlang, draw_gamma, draw_strata
from models.parts.kernels.vector import compiled
from tests.chance import assert_near, error_of_sd, p_limit, z_limit
from tests.models.helpers import patterns_of
from tests.models.paths import DRAWS, ERROR, TRUTHS, expect_as_drawn
from toolkit.model import Streams

KS = np.array([1, 2, 4, 8, 16, 32])
WEIGHTS = np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
SHAPE, MU = 1.5, 45.0
COMPARISONS = 8 * 40
"""Histories with and without lapse, and what is compared of each."""
HISTORIES = {
    (1, 1): [(-95, 4.0), (-60, 4.0), (-33, 6.0)],
    (2, 1): [(-200, 1.0)],
    (3, 7): [(-11 - 7 * i, 12.0) for i in range(2, -1, -1)],
    (4, 2): [(-3, 5.0), (-2, 1.0), (-1, 2.0)],
}


def population(draws, alpha, beta, products=(1, 2, 3, 4), customers=(1, 2, 7), scale=0.0):
    def constant(value):
        return np.full(draws, float(value))

    return Population(
        regularities=KS,
        urn_weight=2.0,
        shape=constant(SHAPE),
        log_typical=constant(np.log(MU)),
        customer_scale=constant(scale),
        product_scale=constant(scale),
        tilt_scale=constant(0.0),
        log_weight=np.log(WEIGHTS)[:, None] * np.ones(draws),
        alpha=constant(alpha),
        beta=constant(beta),
        arrival_shape=constant(1e-9),
        arrival_rate=constant(1e9),
        customer_id=np.array(customers),
        customer=np.zeros((len(customers), draws)),
        product_id=np.array(products),
        product=np.zeros((len(products), draws)),
        tilt=np.zeros((len(products), draws)),
    )


def slow_paths(history, alpha, beta, paths, rng):
    """P(alive), and days of all orders within 84 days, of ``paths`` truths kept by rejection."""
    n = 3_000_000
    k = rng.choice(KS, n, p=WEIGHTS)
    rate = rng.gamma(SHAPE, 1 / (SHAPE * MU), n)
    p = rng.beta(alpha, beta, n) if alpha else np.zeros(n)
    days = np.array([day for day, _ in history], dtype=float)
    log_weight = np.zeros(n)
    log_factorial = np.array([np.log(np.arange(1, v)).sum() for v in KS])[np.log2(k).astype(int)]
    for interval in np.diff(days):
        log_weight += k * np.log(k * rate) + (k - 1) * np.log(interval) - k * rate * interval
        log_weight += np.log1p(-p) - log_factorial
    weight = np.exp(log_weight - log_weight.max())
    lapsed = rng.random(n) < p
    first = np.maximum(1, np.floor(rng.gamma(k, 1 / (k * rate)) + 0.5))
    weight *= lapsed | (first >= -days[-1])
    assert weight.sum() ** 2 / (weight**2).sum() > TRUTHS, "too few of the truths fit"
    found = []
    for i in rng.choice(n, paths, p=weight / weight.sum()):
        day, path = first[i] + days[-1], []
        while not lapsed[i] and day < 84:
            path.append(int(day))
            if rng.random() < p[i]:
                break
            day += max(1, np.floor(rng.gamma(k[i], 1 / (k[i] * rate[i])) + 0.5))
        found.append(path)
    return 1 - weight[lapsed].sum() / weight.sum(), found


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.8, 4.0)], ids=["no lapse", "lapse"])
@pytest.mark.parametrize("row", range(4))
def test_paths_agree_with_rejection_sampling(row, alpha, beta, seeded):
    history = patterns_of(HISTORIES)
    predicted = population(500, alpha, beta).predict(
        history, weeks=12, draws=DRAWS, streams=Streams(seeded(3))
    )
    rng = np.random.default_rng(seeded(row))
    alive, paths = slow_paths(list(HISTORIES.values())[row], alpha, beta, DRAWS, rng)
    by_week = np.array([np.bincount(np.array(p, int) // 7, minlength=12) for p in paths])
    first_week = np.array([p[0] // 7 if p else 12 for p in paths])
    expect_as_drawn(predicted, row, first_week[:, None] <= np.arange(12), by_week, COMPARISONS)
    error = np.sqrt(alive * (1 - alive)) * ERROR
    assert_near(predicted.pairs.p_alive[row], alive, error, COMPARISONS)
    day, sure = predicted.pairs.next_order_day[row], predicted.pairs.confidence[row]
    first_day = np.array([p[0] if p else np.inf for p in paths])
    if day < 60:
        tolerance = np.floor(max(3, predicted.pairs.expected_interval[row] / 4))
        near = partial(assert_near, error=0.5 * ERROR, comparisons=COMPARISONS)
        on_day = np.mean(first_day == day)  # the median is reached on that day
        near(np.mean(first_day <= day), 0.5 + on_day / 2, error=0.5 * ERROR + on_day / 2)
        if day + tolerance < 84:
            near(sure, np.mean(np.abs(first_day - day) <= tolerance))


def test_long_history_has_its_own_mean_and_none_the_populations(seeded):
    steady = [(-10 * i, 1.0) for i in range(200, 0, -1)]
    patterns = patterns_of({(1, 1): steady, (2, 1): [(-1, 1.0)]})
    pairs = population(300, 0.0, 0.0).predict(
        patterns, weeks=4, draws=300, streams=Streams(seeded(1))
    ).pairs  # fmt: skip
    assert pairs.expected_interval[0] == pytest.approx(10.0, rel=0.02)
    assert pairs.expected_interval[1] == pytest.approx(MU, rel=0.1)


def test_the_unseen_get_the_populations_word_wider(seeded):
    history = [(-30, 2.0)]
    known = population(4000, 0.0, 0.0, scale=1.0)
    streams = Streams(seeded(1))
    counts = []
    for pair in ((1, 1), (9, 99)):
        result = known.predict(patterns_of({pair: history}), weeks=12, draws=4000, streams=streams)
        counts.append(result.products.orders[0].sum(axis=0))
    seen, unseen = counts
    error = np.hypot(error_of_sd(seen), error_of_sd(unseen))
    assert unseen.std() - seen.std() > z_limit() * error


@pytest.mark.parametrize("shape", [0.05, 0.7, 1.0, 3.3, 60.0])
def test_gamma_draws_have_the_gammas_distribution(shape, seeded):
    drawn = many_gammas(np.random.Generator(np.random.SFC64(seeded(1))), shape, 20_000)
    assert stats.kstest(drawn, stats.gamma(shape).cdf).pvalue > p_limit(5)


@pytest.mark.parametrize("phases", [1, 3, 8, 9, 32])
def test_erlang_draws_have_the_gammas_distribution(phases, seeded):
    drawn = many_erlangs(np.random.Generator(np.random.SFC64(seeded(2))), phases, 20_000)
    assert stats.kstest(drawn, stats.gamma(phases).cdf).pvalue > p_limit(5)


def test_strata_hold_one_number_each_and_come_in_any_order(seeded):
    rng, n = np.random.Generator(np.random.SFC64(seeded(3))), 500
    order, one, other = np.arange(n), np.empty(n), np.empty(n)
    both = []
    for _ in range(200):
        draw_strata(rng, order, one)
        draw_strata(rng, order, other)
        assert sorted((one * n).astype(int)) == list(range(n))
        both.append((one[7], np.corrcoef(one, other)[0, 1]))
    seventh, correlation = np.array(both).T
    assert stats.kstest(seventh, stats.uniform.cdf).pvalue > p_limit(2)
    assert stats.kstest(correlation * np.sqrt(n - 1), stats.norm.cdf).pvalue > p_limit(2)


@compiled
def many_gammas(rng, shape, n):
    out = np.empty(n)
    for i in range(n):
        out[i] = draw_gamma(rng, shape)
    return out


@compiled
def many_erlangs(rng, phases, n):
    out = np.empty(n)
    for i in range(n):
        out[i] = draw_erlang(rng, phases)
    return out
