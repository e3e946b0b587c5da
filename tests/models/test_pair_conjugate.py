"""The conjugate pair model: limits, recovery and calibration on orders drawn from its own truth."""

import json

import numpy as np
import pytest
from scipy.special import digamma

from models.pair_conjugate import (
    MODEL,
    PARAMETERS_FILE,
    REGULARITIES,
    PairConjugate,
    regularity_prior,
)
from tests.chance import error_of_mean, z_limit
from tests.models.helpers import analyzed, patterns_of, split_at
from toolkit.errors import ModelError
from toolkit.model import Streams
from toolkit.sources.generator import Truth, generate_orders

AS_OF_DAY = 728
WEEKS = 12
PRODUCTS = 300


@pytest.fixture(scope="module")
def own_truth(seeded):
    """Orders drawn from the model's own prior; what is known at a day, and what came after."""
    rng = np.random.default_rng(seeded(11))
    regularity = tuple(map(float, rng.choice(REGULARITIES, PRODUCTS, p=regularity_prior())))
    truth = Truth(
        customers=400,
        customers_per_product=(45,) * PRODUCTS,
        days=AS_OF_DAY + 7 * WEEKS,
        interval_days=90.0,
        customer_spread=0.0,
        product_spread=0.0,
        heterogeneity=0.5,
        regularity=regularity,
        lapse=0.0,
        new_pairs=1.0,
    )
    orders = generate_orders(truth, seed=seeded(12))
    known, later = split_at(orders, AS_OF_DAY)
    return orders, analyzed(known), later


@pytest.fixture(scope="module")
def predictions(own_truth, seeded):
    return MODEL.predict(own_truth[1], weeks=WEEKS, draws=400, streams=Streams(seeded(13)))


def observed(patterns, later):
    """Day of the next order (inf: not in the horizon) and weekly order counts of each pair."""
    row = {
        key: i for i, key in enumerate(zip(patterns.product_id, patterns.customer_id, strict=True))
    }
    first, counts = np.full(len(row), np.inf), np.zeros((len(row), WEEKS))
    for p, c, day in zip(later.product_id, later.customer_id, later.day, strict=True):
        if (i := row.get((p, c))) is not None:
            first[i] = min(first[i], day)
            counts[i, day // 7] += 1
    return first, counts


def weekly_quantity(patterns, later):
    ids, _ = patterns.product_offsets()
    weekly = np.zeros((len(ids), WEEKS))
    np.add.at(weekly, (np.searchsorted(ids, later.product_id), later.day // 7), later.quantity)
    return weekly


COMPARISONS = 24
"""Over all that this file compares of the orders drawn from the model's own truth."""


def assert_no_bias(residual, product, ties=0.0):
    """Residuals add up to noise; those of one product may vary together, as it has one regularity.

    Whole days and quantities are inside an interval more often than it says, by their ``ties``
    with its ends at most.
    """
    total, noise = residual.sum(), np.sqrt(np.square(np.bincount(product, residual)).sum())
    beyond = total - np.clip(total, 0.0, np.sum(ties))
    assert abs(beyond) <= z_limit(COMPARISONS) * noise, (total / len(residual), beyond / noise)


def assert_covers(actual, low, high, product, share=0.8):
    inside, ties = (actual >= low) & (actual <= high), (actual == low) | (actual == high)
    assert_no_bias(inside - share, product, ties)


def test_next_order_intervals_hold_what_they_promise(own_truth, predictions):
    _, patterns, later = own_truth
    first, _ = observed(patterns, later)
    quantiles = np.nan_to_num(predictions.pairs.next_order_quantiles, nan=np.inf)
    low, high = quantiles[:, 1], quantiles[:, 5]
    judged = high < 7 * WEEKS  # beyond the horizon nobody knows yet
    assert judged.sum() > 1000
    assert_covers(first[judged], low[judged], high[judged], patterns.product_id[judged])


def test_product_week_intervals_hold_what_they_promise(own_truth, predictions):
    _, patterns, later = own_truth
    actual, product = weekly_quantity(patterns, later), np.arange(PRODUCTS)
    low, high = np.quantile(predictions.products.quantity, [0.1, 0.9], axis=2)
    week_product = np.repeat(product, WEEKS)
    assert_covers(actual.ravel(), low.ravel(), high.ravel(), week_product)
    low, high = np.quantile(predictions.products.quantity.sum(axis=1), [0.1, 0.9], axis=1)
    held = np.mean((actual.sum(axis=1) >= low) & (actual.sum(axis=1) <= high))
    # 78 % over seeds, since customers come more often than the prior of new ones has it
    assert abs(held - 0.8) < 0.03 + z_limit(COMPARISONS) * np.sqrt(0.16 / PRODUCTS)


def test_expectations_are_unbiased(own_truth, predictions):
    _, patterns, later = own_truth
    _, counts = observed(patterns, later)
    off = counts.sum(axis=1) - predictions.pairs.expected_orders.sum(axis=1)
    assert_no_bias(off, patterns.product_id)
    actual = weekly_quantity(patterns, later).sum(axis=1)
    off = actual - predictions.products.expected_quantity.sum(axis=1)
    noise = z_limit(COMPARISONS) * np.sqrt(np.square(off).sum())
    # customers do not come as the prior of new ones has it: 3 % more than expected over seeds
    assert abs(off.sum()) < 0.05 * actual.sum() + noise


def test_probabilities_and_confidence_are_calibrated(own_truth, predictions):
    _, patterns, later = own_truth
    first, _ = observed(patterns, later)
    pairs, product = predictions.pairs, patterns.product_id
    for week in (0, 3, 11):
        p, hit = pairs.p_order_by_week[:, week], first < 7 * (week + 1)
        for low in np.arange(0.0, 1.0, 0.2):
            bin_ = (p >= low) & (p < low + 0.2)
            if bin_.sum() > 300:
                assert_no_bias(hit[bin_] - p[bin_], product[bin_])
    tolerance = np.floor(np.maximum(3, 0.25 * pairs.expected_interval))
    judged = pairs.next_order_day + tolerance < 7 * WEEKS
    hit = np.abs(first - pairs.next_order_day) <= tolerance
    assert_no_bias(hit[judged] - pairs.confidence[judged], product[judged])


def test_known_rates_and_regularities_are_recovered(own_truth):
    orders, patterns, _ = own_truth
    truth = orders.pairs.set_index(["product_id", "customer_id"])
    keys = list(zip(patterns.product_id, patterns.customer_id, strict=True))
    rate, k = truth.loc[keys, "rate"].to_numpy(), truth.loc[keys, "regularity"].to_numpy()
    posterior = MODEL.posterior(patterns)
    many = patterns.interval_count >= 30
    assert many.sum() > 150
    mean_log = (posterior.weights * (digamma(posterior.A) - np.log(posterior.B))).sum(axis=1)
    error = mean_log[many] - np.log(rate[many])
    # histories of whole days, of which no interval is shorter than one: rates 0.02 off over seeds
    assert abs(error.mean()) < 0.02 + z_limit(COMPARISONS) * error_of_mean(error)
    assert np.abs(error).mean() < 0.2  # 0.11 ± 0.01 over seeds
    likeliest = np.array(REGULARITIES)[posterior.weights[many].argmax(axis=1)]
    assert np.mean(np.abs(np.log2(likeliest / k[many])) <= 1) > 0.9  # all of 200, in every run


def test_no_history_gives_the_prior_and_long_history_its_own_mean(seeded):
    once = patterns_of({(1, 1): [(-1, 1.0)]})
    assert MODEL.posterior(once).expected_interval() == pytest.approx([90.0])
    rng = np.random.default_rng(seeded(1))
    gaps = np.maximum(1, np.round(rng.gamma(4.0, 5.0, 2000))).astype(int)
    days = -1 - np.append(0, np.cumsum(gaps))[::-1]
    often = patterns_of({(1, 1): [(int(day), 1.0) for day in days]})
    # the prior weighs as much as half an interval of 90 days; the last one is open for a day
    assert MODEL.posterior(often).expected_interval() == pytest.approx([gaps.mean()], rel=0.01)


def test_an_overdue_pair_slows_down_and_clockwork_is_trusted():
    weekly = [-7 * i - 3 for i in range(20)][::-1]
    patterns = patterns_of(
        {
            (1, 1): [(day, 1.0) for day in weekly],
            (2, 2): [(day - 120, 1.0) for day in weekly],
        }
    )
    pairs = MODEL.predict(patterns, weeks=12, draws=10, streams=Streams(1)).pairs
    assert pairs.next_order_day[0] == 4
    assert pairs.confidence[0] > 0.9
    assert pairs.open_interval_p[1] < 0.001
    assert pairs.expected_interval[1] > 1.5 * pairs.expected_interval[0]
    assert pairs.confidence[1] < 0.6


@pytest.mark.parametrize("history", [
    [(-10_000, 1.0), (-1, 1.0)],
    [(-7 * i - 1, 3.0) for i in range(300, -1, -1)],
    [(day, 1.0) for day in range(-2500, -2000)],
    [(-1, 80_995.0)],
    [(-730 * i - 1, 1.0) for i in range(200, -1, -1)],
    [(-700_000, 4.0), (-699_000, 4.0)],
])  # fmt: skip
def test_extreme_histories_stay_finite(history):
    result = MODEL.predict(patterns_of({(1, 1): history}), weeks=12, draws=20, streams=Streams(1))
    assert result.pairs.finite().all()
    assert np.all(np.diff(result.pairs.p_order_by_week, axis=1, prepend=0.0) >= 0)


@pytest.mark.parametrize("wrong", [{"rate_shape": 0.3}, {"typical_interval": -1.0}])
def test_hyperparameters_that_the_formulas_do_not_cover_are_refused(wrong):
    with pytest.raises(ModelError, match=f"{next(iter(wrong))} has to be"):
        PairConjugate(**wrong)


def test_saved_parameters_predict_the_same(tmp_path):
    model = PairConjugate(typical_interval=20.0)
    model.save(tmp_path)
    assert MODEL.load(tmp_path) == model


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", json.dumps({"model": "other", "version": "1", "parameters": {}}),
     json.dumps({"model": "pair_conjugate", "version": "1", "parameters": {"rate": 2}})],
)  # fmt: skip
def test_a_file_that_is_not_its_own_is_refused(tmp_path, content):
    (tmp_path / PARAMETERS_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"parameters\.json"):
        MODEL.load(tmp_path)
