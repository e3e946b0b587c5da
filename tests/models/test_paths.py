"""Drawn paths against a slow simulation that conditions by rejection."""

import numpy as np
import pytest
from scipy.special import betainc

from models.pair_conjugate import MODEL
from models.parts.pair.arrivals import ArrivalPrior, arrival_posteriors
from models.parts.pair.forecast import forecast
from tests.chance import assert_near, error_of_mean, error_of_sd
from tests.models.helpers import patterns_of
from tests.models.paths import DRAWS, TRUTHS, expect_as_drawn
from toolkit.data.tables import MIN_TOLERANCE_DAYS, QUANTILES
from toolkit.model import Streams

NO_ARRIVALS = ArrivalPrior(1e-12, 91.0)
PURE = type(MODEL)(arrivals=NO_ARRIVALS)
NOTHING_SHARED = 1e-9
HISTORIES = {
    (1, 1): [(-95, 4.0), (-60, 4.0), (-33, 6.0)],
    (2, 1): [(-400, 1.0)],
    (3, 7): [(-11 - 7 * i, 12.0) for i in range(2, -1, -1)],
    (4, 2): [(-3, 5.0), (-2, 1.0), (-1, 2.0)],
}


def slow_paths(history, horizon, paths, rng):
    """Days of all orders within the horizon, for each of ``paths`` accepted truths.

    Draws k and λ from the prior, weighs them by the likelihood of the intervals, and keeps
    those whose next interval outlasts the open one.
    """
    k_values = np.array([1, 2, 4, 8, 16, 32])
    prior = 0.5 ** np.arange(6) / (0.5 ** np.arange(6)).sum()
    n = 2_000_000
    k = rng.choice(k_values, n, p=prior)
    rate = rng.gamma(0.5, 1 / 45.0, n)
    days = np.array([day for day, _ in history], dtype=float)
    x = np.diff(days)
    log_likelihood = np.zeros(n)
    for interval in x:
        log_likelihood += (
            k * np.log(k * rate) + (k - 1) * np.log(interval) - k * rate * interval
        ) - np.array([np.log(np.arange(1, v)).sum() for v in k_values])[np.log2(k).astype(int)]
    weight = np.exp(log_likelihood - log_likelihood.max())
    first = np.maximum(1, np.floor(rng.gamma(k, 1 / (k * rate)) + 0.5))
    weight *= first >= -days[-1]
    assert weight.sum() ** 2 / (weight**2).sum() > TRUTHS, "too few of the truths fit"
    chosen = rng.choice(n, paths, p=weight / weight.sum())
    found = []
    for i in chosen:
        day, path = first[i] + days[-1], []
        while day < horizon:
            path.append(int(day))
            day += max(1, np.floor(rng.gamma(k[i], 1 / (k[i] * rate[i])) + 0.5))
        found.append(path)
    return found


@pytest.fixture(scope="module")
def predicted(seeded):
    """At a level of 1, and nothing shared: levels and frailties are tested in test_levels.py."""
    patterns = patterns_of(HISTORIES)
    alone = PURE.outlook(patterns)._replace(
        posterior=PURE.posterior(patterns), variance=np.full(4, NOTHING_SHARED)
    )
    return forecast(patterns, alone, weeks=12, draws=DRAWS, streams=Streams(seeded(3)))


@pytest.mark.parametrize("row", range(4))
def test_paths_agree_with_rejection_sampling(predicted, row, seeded):
    rng = np.random.default_rng(seeded(row))
    paths = slow_paths(list(HISTORIES.values())[row], 84, DRAWS, rng)
    by_week = np.array([np.bincount(np.array(p, int) // 7, minlength=12) for p in paths])
    first_week = np.array([p[0] // 7 if p else 12 for p in paths])
    ordered = first_week[:, None] <= np.arange(12)
    expect_as_drawn(predicted, row, ordered, by_week, comparisons=4 * (3 * 12 + 1))


def test_quantities_are_sizes_of_the_orders(predicted):
    orders, quantity = predicted.products.orders[2], predicted.products.quantity[2]
    assert np.array_equal(quantity, 12 * orders)


def test_urn_has_the_exact_expectation_and_adds_the_spread_of_an_exchangeable_sequence(seeded):
    """Own sizes 1 and 9, the latter twice as heavy, nothing else of the product."""
    patterns = patterns_of({(1, 1): [(-187, 1.0), (-7, 9.0)]})
    heaviest = 0.5 ** (7 / 180)
    balls, variance = 1.5 * heaviest + 0.5, (1 + 2 * 81) / 3 - (19 / 3) ** 2
    result = PURE.predict(patterns, weeks=1, draws=400_000, streams=Streams(seeded(1)))
    orders, quantity = result.products.orders[0, 0], result.products.quantity[0, 0]
    one, two = quantity[orders == 1], quantity[orders == 2]
    assert_near(one.mean(), 19 / 3, error_of_mean(one), 3)
    assert_near(one.std(), np.sqrt(variance), error_of_sd(one), 3)
    # Var(x1 + x2) = 2 V + 2 Cov, Cov = V / (balls + 1)
    assert_near(two.std(), np.sqrt(2 * variance * (1 + 1 / (balls + 1))), error_of_sd(two), 3)


def test_base_sizes_weigh_customers_not_orders():
    daily = [(day, 1.0) for day in range(-50, 0)]
    patterns = patterns_of({(1, 1): daily, (1, 2): [(-30, 101.0)]})
    result = PURE.predict(patterns, weeks=12, draws=10, streams=Streams(1))
    size = result.pairs.expected_quantity.sum(axis=1) / result.pairs.expected_orders.sum(axis=1)
    first, second = (0.5 ** (np.arange(1, 51) / 180)).sum(), 0.5 ** (30 / 180)
    assert size == pytest.approx(
        [(first + 51 / 2) / (first + 1 / 2), (101 * second + 51 / 2) / (second + 1 / 2)]
    )


def test_quantiles_and_confidence_are_those_of_the_daily_distribution():
    patterns = patterns_of(HISTORIES)
    long = PURE.predict(patterns, weeks=104, draws=1, streams=Streams(1)).pairs
    short = PURE.predict(patterns, weeks=1, draws=1, streams=Streams(1)).pairs
    assert np.array_equal(long.next_order_quantiles, short.next_order_quantiles, equal_nan=True)
    posterior = PURE.outlook(patterns).posterior
    for row in range(len(patterns)):
        cdf = np.array([slow_cdf(posterior, row, day) for day in range(1100)])
        days = [np.argmax(cdf >= q) if cdf[730] >= q else np.nan for q in QUANTILES]
        assert np.array_equal(long.next_order_quantiles[row], days, equal_nan=True)
        width = int(max(MIN_TOLERANCE_DAYS, 0.25 * long.expected_interval[row]))
        day = days[3]
        if np.isnan(day):
            assert long.confidence[row] == 0.0
            continue
        below = cdf[int(day) - width - 1] if day > width else 0.0
        expected = cdf[int(day) + width] - below
        assert long.confidence[row] == pytest.approx(expected, abs=1e-5)


def slow_cdf(posterior, row, day):
    total = 0.0
    for c, k in enumerate(posterior.k):
        B, A = posterior.B[row, c], posterior.A[row, c]
        z0 = B / (B + k * posterior.survived[row])
        z = B / (B + k * (posterior.open_days[row] + day + 0.5))
        total += posterior.weights[row, c] * (1 - betainc(A, k, z) / betainc(A, k, z0))
    return total


def test_next_order_beyond_two_years_has_no_date_and_no_confidence():
    patterns = patterns_of({(1, 1): [(-3650, 1.0)]})
    pairs = MODEL.predict(patterns, weeks=1, draws=1, streams=Streams(1)).pairs
    assert np.isnan(pairs.next_order_quantiles[0, -1])
    assert np.isnan(pairs.next_order_day[0])
    assert pairs.confidence[0] == 0.0


def test_arrivals_count_first_orders_of_the_window_after_the_products_own_first():
    patterns = patterns_of(
        {
            (1, 1): [(-300, 1.0)],
            (1, 2): [(-182, 1.0)],
            (1, 3): [(-183, 1.0), (-5, 1.0)],
            (1, 4): [(-1, 1.0)],
            (2, 1): [(-30, 1.0)],
            (2, 2): [(-30, 1.0)],
            (2, 3): [(-29, 1.0)],
        }
    )
    shape, rate = arrival_posteriors(patterns, ArrivalPrior(0.5, 91.0))
    assert shape == pytest.approx([2.5, 1.5])
    assert rate == pytest.approx([91 + 182, 91 + 30])


def test_new_customers_arrive_at_the_posterior_rate_and_are_part_of_demand(seeded):
    histories = {(1, c): [(-150 + 20 * c, 5.0)] for c in range(8)}
    patterns = patterns_of(histories)
    result = MODEL.predict(patterns, weeks=12, draws=20_000, streams=Streams(seeded(5)))
    new = result.products.expected_quantity - result.products.known_expected_quantity
    first_orders = (0.5 + 7) / (91 + 150) * 84
    total = result.products.quantity.sum(axis=1)[0]
    assert new.sum() >= 5 * first_orders  # their later orders are a multiple of the noise
    assert_near(total.mean(), result.products.expected_quantity.sum(), error_of_mean(total))
