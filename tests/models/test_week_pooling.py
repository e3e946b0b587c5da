"""Units pooled with trees on weeks: the mean of logs and of quantiles, and nothing else moves."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.parts.rhythm.season import AHEAD_WEEKS
from models.parts.rhythm.week_pooling import (
    WIDEST,
    WeekTrees,
    pooled,
    pooled_again,
    pooled_factors,
)
from models.parts.special_days import NO_SPECIAL_DAYS
from models.parts.week_trees import FEWEST_WEEKS, SEEN_WEEKS, forecast
from models.parts.weekly_demand import WeeklyDemand
from tests.models.helpers import analyzed, patterns_of, some_season, split_at
from toolkit.data.tables import QUANTILES, DemandFactors
from toolkit.model import Streams, find_model
from toolkit.sources.generator import Truth, generate_orders

SEASON = some_season(1, 0.1)
PATHS = find_model("pair_conjugate")
PAIRS_UNTOUCHED = ("p_alive", "confidence", "p_order_by_week", "expected_orders", "order_count_p")


@pytest.fixture(scope="module")
def patterns():
    orders = generate_orders(Truth(customers=60, products=15, pairs=400, days=500), seed=4)
    return analyzed(split_at(orders, 480)[0])


@pytest.fixture(scope="module")
def own(patterns):
    return PATHS.predict(patterns, weeks=14, draws=50, streams=Streams(2))


@pytest.fixture(scope="module")
def trees(patterns):
    return WeekTrees.grow(patterns, SEASON, seed=1)


def units(own, trees):
    return pooled(own, trees, SEASON).products


def expected_by(trees, patterns, weeks=14):
    """Of weeks at their level, times that of the weeks to come."""
    past, as_of = WeeklyDemand.of(patterns, SEEN_WEEKS), patterns.as_of_date
    levels = [
        SEASON.week_levels(as_of - timedelta(weeks=back), 1)[0] for back in range(SEEN_WEEKS, 0, -1)
    ]
    plain = replace(past, quantity=past.quantity / levels, orders=past.orders / levels)
    found = forecast([*trees.texts.values()], plain, NO_SPECIAL_DAYS, as_of, weeks)
    mean, *quantiles = (each * SEASON.week_levels(as_of, weeks) for each in found)
    return mean, np.sort(quantiles, axis=0)


def test_expected_units_are_the_weighted_geometric_mean(own, trees, patterns):
    found = units(own, trees).expected_quantity
    by_trees, _ = expected_by(trees, patterns)
    assert (by_trees > 0).all()
    ratio = by_trees / own.products.expected_quantity
    assert ratio.max() < WIDEST
    assert ratio.min() > 1 / WIDEST
    assert np.abs(np.log(ratio)).max() > 0.1
    log_e = np.log(own.products.expected_quantity) / 3 + 2 * np.log(by_trees) / 3
    np.testing.assert_allclose(found, np.exp(log_e))


def test_customers_and_products_are_expected_to_move_by_one_factor(own, trees, patterns):
    found = pooled(own, trees, SEASON)
    known = patterns.sum_by_product(found.pairs.expected_quantity)
    np.testing.assert_allclose(found.products.known_expected_quantity, known)


def test_draws_are_the_mean_of_both_quantile_functions(own, trees, patterns):
    """Draw by draw: of the rank that it has among 50, between the trees' quantiles beside it.

    The 48th has rank .95, and the last two are as far above it as the paths' are.
    """
    _, quantiles = expected_by(trees, patterns)
    factor = units(own, trees).expected_quantity / own.products.expected_quantity
    found, before = units(own, trees).quantity, own.products.quantity
    for product, week in ((0, 0), (3, 5), (7, 13), (14, 2)):
        x = before[product, week] * factor[product, week]
        q = quantiles[:, product, week]
        wanted, ordered = [], np.sort(x)
        for value in ordered:
            u = (len(wanted) + 0.5) / 50
            k = max(0, min(5, sum(level < u for level in QUANTILES) - 1))
            slope = (q[k + 1] - q[k]) / (QUANTILES[k + 1] - QUANTILES[k])
            said = max(0.0, q[k] + slope * (u - QUANTILES[k]))
            if u == 0.95:
                last = said
            if u > 0.95:
                said = last * value / ordered[47]
            wanted.append(0.5 * value + 0.5 * said if value > 0 else 0.0)
        wanted = np.array(wanted) * x.sum() / sum(wanted)
        place = np.argsort(x, kind="stable")
        np.testing.assert_allclose(found[product, week][place], wanted, rtol=1e-4)


def test_the_mean_of_draws_weeks_without_and_ranks_stay(own, trees):
    found, before = units(own, trees), own.products
    factor = found.expected_quantity / before.expected_quantity
    np.testing.assert_allclose(
        found.quantity.mean(axis=2), before.quantity.mean(axis=2) * factor, rtol=1e-4
    )
    assert ((found.quantity > 0) <= (before.quantity > 0)).all()
    order = np.argsort(before.quantity, axis=2, kind="stable")
    assert (np.diff(np.take_along_axis(found.quantity, order, axis=2), axis=2) >= -1e-3).all()
    assert not np.allclose(found.quantity, before.quantity * factor[..., None], rtol=0.05)


def test_who_orders_when_is_left_as_it_is(own, trees):
    found = pooled(own, trees, SEASON)
    for name in PAIRS_UNTOUCHED:
        assert np.array_equal(getattr(found.pairs, name), getattr(own.pairs, name), equal_nan=True)
    assert np.array_equal(found.products.orders, own.products.orders)
    assert np.array_equal(found.products.expected_orders, own.products.expected_orders)


def test_expectations_far_apart_count_as_ten_times_apart(own, trees):
    little = replace(
        own, products=replace(own.products, expected_quantity=own.products.expected_quantity / 1e6)
    )
    found = units(little, trees).expected_quantity
    np.testing.assert_allclose(found, little.products.expected_quantity * WIDEST ** (2 / 3))


def test_products_that_are_new_and_weeks_without_any_expectation_are_left_as_they_are(trees):
    days = [-7 * FEWEST_WEEKS + 7, -7 * FEWEST_WEEKS]
    patterns = patterns_of({(p, 1): [(day, 4.0), (-3, 2.0)] for p, day in enumerate(days)})
    own = PATHS.predict(patterns, weeks=3, draws=20, streams=Streams(1))
    factor = units(own, trees).expected_quantity / own.products.expected_quantity
    assert (factor[0] == 1.0).all()
    assert (factor[1] != 1.0).all()
    nothing = replace(
        own,
        products=replace(
            own.products, expected_quantity=np.zeros_like(own.products.expected_quantity)
        ),
    )
    assert np.array_equal(units(nothing, trees).quantity, own.products.quantity)


def test_pairs_once_more_are_moved_as_their_products_are_expected_to(own, trees, patterns):
    rows = np.array([0, len(patterns) - 1, 7])
    again = PATHS.predict_again(patterns, rows, 0, weeks=14, draws=50, streams=Streams(2))
    found = pooled_again(again, rows, own, trees, SEASON)
    factor = units(own, trees).expected_quantity / own.products.expected_quantity
    ids = own.products.product_id.tolist()
    of_rows = factor[[ids.index(i) for i in patterns.product_id[rows]]]
    np.testing.assert_allclose(found.quantity, again.quantity * of_rows[..., None], rtol=1e-6)
    assert np.array_equal(found.orders, again.orders)


def test_an_event_moves_the_pool_by_the_weighted_geometric_mean(own, trees):
    """The paths say twice as much, the trees what the season does: 1.3 times."""
    ahead = replace(SEASON, special=np.full(3 * AHEAD_WEEKS, np.log(1.3)))
    shape = own.products.orders.shape
    twice = DemandFactors(np.full((2, *shape), 2.0, np.float32), np.full((2, *shape[:2]), 2.0))
    found = pooled_factors(twice, own, trees, (SEASON, ahead))
    pool = 2 ** (1 / 3) * 1.3 ** (2 / 3)
    for of in (found.expected, found.draws):
        np.testing.assert_allclose(of[0], 2.0)
        np.testing.assert_allclose(of[1], pool, rtol=1e-6)


def test_where_no_week_tells_of_demand_nothing_is_grown(trees):
    short = patterns_of({(1, 1): [(-5, 2.0), (-2, 1.0)]})
    assert WeekTrees.grow(short, SEASON, seed=1) is None
    assert WeekTrees.of({}) is None
    again = WeekTrees.of(trees.arrays)
    assert again.texts.keys() == trees.texts.keys()


def test_trees_are_the_same_however_many_are_grown_at_a_time(trees, patterns):
    both = WeekTrees.grow(patterns, SEASON, seed=1, cores=2)
    assert all(np.array_equal(both.texts[name], text) for name, text in trees.texts.items())


def test_nobody_is_not_pooled(own, trees):
    nobody = own.patterns.select(np.zeros(len(own.patterns), dtype=bool))
    empty = PATHS.predict(nobody, weeks=3, draws=5, streams=Streams(1))
    assert pooled(empty, trees, SEASON) is empty


def test_trees_that_are_grown_anew_in_another_unit_say_about_the_same(own, trees, patterns):
    events = replace(patterns.events, quantity=10 * patterns.events.quantity)
    tenfold = analyzed(events)
    ten = PATHS.predict(tenfold, weeks=14, draws=50, streams=Streams(2))
    found = units(ten, WeekTrees.grow(tenfold, SEASON, seed=1)).expected_quantity
    expected = 10 * units(own, trees).expected_quantity
    np.testing.assert_allclose(found, expected, rtol=0.05)  # rows weigh otherwise


def test_one_product_by_itself_is_pooled_as_among_all(own, trees, patterns):
    one = patterns.select(patterns.product_id == own.products.product_id[3])
    predicted = PATHS.predict(one, weeks=14, draws=50, streams=Streams(2))
    alone = units(predicted, trees)
    assert np.array_equal(alone.quantity[0], units(own, trees).quantity[3])


def test_what_goes_with_the_season_is_expected_to_go_on_with_it():
    """Forty products of 10 to 49 units a week, each times the level of the week."""
    as_of, weeks = patterns_of({(1, 1): [(-1, 1.0)]}).as_of_date, 110
    levels = SEASON.week_levels(as_of - timedelta(weeks=weeks), weeks)
    days = 3 - 7 * np.arange(weeks, 0, -1)
    patterns = patterns_of(
        {(p, 1): [*zip(days.tolist(), (10 + p) * levels, strict=True)] for p in range(40)}
    )
    expected, _ = expected_by(WeekTrees.grow(patterns, SEASON, seed=1), patterns, 12)
    assert np.ptp(np.log(SEASON.week_levels(as_of, 12))) > 0.3
    np.testing.assert_allclose(
        expected, np.outer(10 + np.arange(40.0), SEASON.week_levels(as_of, 12)), rtol=0.02
    )
