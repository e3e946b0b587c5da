"""Boosted trees: columns by hand, rows that know only what was known, answers that agree."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.parts.pair_features import pair_features
from models.parts.pair_trees import HistoryRows, columns_of
from models.parts.special_days import NO_SPECIAL_DAYS, SpecialDays
from models.parts.trees import answer, grow
from models.parts.week_trees import SEEN_WEEKS, TRAINED_WEEKS, Training, rows_of
from models.parts.weekly_demand import WeeklyDemand
from models.peers import lightgbm_pairs, lightgbm_weeks
from models.peers.parts.pair_trees import (
    MARK_DAYS,
    Answers,
    counts_of,
    spread_of_counts,
)
from tests.models.helpers import analyzed, patterns_of, split_at
from toolkit.data.calendar import Calendar
from toolkit.data.tables import COUNTS
from toolkit.model import FitSettings, Streams
from toolkit.sources.generator import Truth, generate_orders

HOLIDAYS = SpecialDays.of(Calendar(("US",)), -np.arange(500, 0, -1), date(2024, 3, 4))


@pytest.fixture(scope="module")
def patterns():
    orders = generate_orders(Truth(customers=30, products=10, pairs=200, days=500), seed=3)
    return analyzed(split_at(orders, 480)[0])


def test_columns_of_pairs_by_hand():
    known = patterns_of(
        {
            (1, 1): [(-40, 2.0), (-26, 4.0), (-10, 6.0)],
            (1, 2): [(-3, 1.0)],
            (2, 1): [(-90, 1.0), (-9, 1.0), (-5, 1.0)],
        }
    )
    c = {name: values.tolist() for name, values in pair_features(known).items()}
    assert c["orders"] == [3, 1, 3]
    assert c["age"] == [40, 3, 90]
    assert c["open_interval"] == [10, 3, 5]
    assert c["orders_28"] == [2, 1, 2]
    assert c["last_interval"][0] == 16
    assert c["interval_before"][0] == 14
    assert c["weekly_intervals"][0] == 0.5
    assert np.isclose(c["geometric_interval"][0], np.sqrt(14 * 16))
    assert np.isnan([c[name][1] for name in ("last_interval", "mean_interval", "late")]).all()
    assert c["product_orders_28"] == [3, 3, 2]
    assert c["product_customers_28"] == [2, 2, 1]
    assert c["product_silence"] == [3, 3, 5]
    assert c["product_age"] == [40, 40, 90]
    assert c["product_repeats"] == [0.5, 0.5, 1.0]
    # the first customer ordered on six days; on two of them after the last order of product 1
    assert c["customer_days"] == [6, 1, 6]
    assert c["customer_silence"] == [5, 3, 5]
    assert c["customer_days_since"] == [2, 0, 0]
    assert c["customer_days_after_first"] == [4, 0, 5]


def test_columns_at_a_mark_are_those_of_that_day(patterns):
    """And what lies on or after the mark changes none of them."""
    for days in MARK_DAYS:
        events = patterns.events
        before = analyzed(events.where(events.day < -days))
        then = columns_of(before.earlier(days))
        assert np.array_equal(then, columns_of(patterns.earlier(days)), equal_nan=True)


def test_rows_know_what_was_ordered_in_the_weeks_after_the_mark():
    known = patterns_of(
        {
            (1, 1): [(-200, 1.0), (-84, 1.0), (-78, 1.0), (-77, 1.0), (-1, 1.0)],
            (1, 2): [(-60, 1.0)],  # new since
            (1, 3): [(-84, 1.0)],  # and new on the first mark itself, which is not before it
        }
    )
    rows = HistoryRows.of(known, MARK_DAYS, 12, 100, 1)
    assert rows.orders.shape == (3, 12)  # one pair, three marks
    assert rows.orders[0].tolist() == [2, 1, *[0] * 9, 1]  # from day −84 on
    assert rows.orders[2].tolist() == [0] * 8 + [2, 1, 0, 0]  # from day −140, to day −57


def test_answers_are_made_to_agree():
    """Of one pair: week 4 stands, week 1 is not above it, week 8 not below it."""
    p = {1: 0.7, 2: 0.4, 4: 0.5, 8: 0.45, 12: 0.9}
    rows = np.random.default_rng(0).normal(size=(400, 2))
    trees = {
        f"by_week_{weeks}": grow(rows, np.full(400, level), {"objective": "regression"}, 1, 1)
        for weeks, level in p.items()
    }
    trees["orders"] = grow(rows, np.full(400, 0.8), {"objective": "regression"}, 1, 1)
    said = Answers.of(trees, rows[:1])
    assert np.allclose(said.p_by, [[0.4, 0.4, 0.5, 0.5, 0.8]])
    assert np.allclose(said.orders, 0.8)


def test_orders_after_the_first_come_in_the_weeks_since():
    """Every week an order: P is 1 from the first week on, twelve orders, one by week."""
    weekly = Answers(np.array([12.0]), np.full((1, 5), 1.0))
    assert np.allclose(weekly.orders_by(np.ones((1, 12))), np.arange(1, 13))
    once = Answers(np.array([0.5]), np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))
    p = np.linspace(0.1, 0.5, 12)[None]
    assert np.allclose(once.orders_by(p), p)


def test_counts_have_the_expected_mean_and_nobodys_share():
    p_some, mean = np.array([0.3, 0.9, 1e-9]), np.array([0.45, 2.5, 1e-9])
    for spread in (0.0, 0.7):
        p = counts_of(p_some, mean, spread)
        assert np.allclose(p[:, 0], 1 - p_some)
        assert np.allclose(p.sum(axis=1), 1.0)
        assert np.allclose(p @ np.arange(COUNTS), mean, rtol=1e-5)
    # 1 + Poisson(½): P(1) = 0.3 exp(−½), P(2) = half of it
    assert np.allclose(
        counts_of(p_some, mean, 0.0)[0, 1:3], 0.3 * np.exp(-0.5) * np.array([1, 0.5]), rtol=1e-5
    )


def test_the_spread_of_counts_is_found_again(seeded):
    rng, n = np.random.default_rng(seeded(4)), 100_000
    further = rng.negative_binomial(1 / 0.6, 1 / (1 + 0.6 * 2.0), n)  # mean 2, spread 0.6
    orders = np.zeros((n, 12))
    orders[:, 3] = 1.0 + further
    said = Answers(np.full(n, 3.0), np.ones((n, 5)))
    assert np.isclose(spread_of_counts(said, orders), 0.6, atol=0.045)  # six standard errors
    orders[:, 3] = 3.0  # all alike: narrower than Poisson
    assert spread_of_counts(said, orders) == 0.0


def test_weeks_seen_from_an_origin_are_those_of_that_day(patterns):
    past = WeeklyDemand.of(patterns, SEEN_WEEKS + 20)
    for origin in (1, 7, 20):
        earlier = patterns.earlier(7 * origin)
        then = WeeklyDemand.of(earlier, SEEN_WEEKS)
        product = np.flatnonzero(past.weeks_known > origin)
        assert len(product) == len(then.product_id)
        distance = 1 + np.arange(len(product)) % 12
        seen = rows_of(past, HOLIDAYS, origin, patterns.as_of_date, product, distance)
        rows = rows_of(then, HOLIDAYS, 0, earlier.as_of_date, np.arange(len(product)), distance)
        assert np.array_equal(seen.columns, rows.columns, equal_nan=True)
        assert np.array_equal(seen.scale, rows.scale)


def test_a_week_is_told_of_its_special_days_and_those_beside_it(patterns):
    """A day in the third week ahead of the origin, seen from there and at distances 1 to 5."""
    past = WeeklyDemand.of(patterns, SEEN_WEEKS + 20)
    day = patterns.as_of_date.toordinal() - 7 * 10 + 16
    special = SpecialDays(np.array([day]), np.zeros(1, dtype=int), np.zeros(1, dtype=int))
    rows = rows_of(past, special, 10, patterns.as_of_date, np.zeros(5, dtype=int), np.arange(1, 6))
    in_it, after, before = rows.columns[:, -3:].T
    assert in_it.tolist() == [0, 0, 1, 0, 0]
    assert after.tolist() == [0, 1, 0, 0, 0]
    assert before.tolist() == [0, 0, 0, 1, 0]


def test_labels_of_weeks_are_what_was_ordered_then():
    """One product, 7 × week units in each of 30 weeks: the label tells which week it was."""
    history = [(7 * (week - 30), 7.0 * (week + 1)) for week in range(30)]
    known = patterns_of({(1, 1): history})
    past = WeeklyDemand.of(known, TRAINED_WEEKS)
    training = Training.of(past, NO_SPECIAL_DAYS, known.as_of_date, 1000, 1)
    quantity = training.label * training.rows.scale
    distance, age = training.rows.columns[:, 0], training.rows.columns[:, 2]
    assert len(quantity) > 40
    assert np.allclose(quantity, 7.0 * (age + distance))
    assert quantity.max() <= 7 * 30


@pytest.mark.parametrize("model", [lightgbm_pairs.MODEL, lightgbm_weeks.MODEL])
def test_fits_are_the_same_each_time_and_know_no_future(model, patterns):
    """Known at an earlier date: the same fit, whether or not more has happened since."""
    earlier = patterns.earlier(100)
    events = patterns.events
    cut = events.where(events.day < -100)
    cut = replace(cut, as_of_date=earlier.as_of_date, day=cut.day + 100)
    settings = FitSettings(pairs=500)
    one = model.fit(earlier, seed=1, settings=settings)
    two = model.fit(analyzed(cut), seed=1, settings=settings)
    assert one.version == two.version
    assert model.fit(earlier, seed=2, settings=settings).version != one.version


def test_less_than_half_an_order_is_none():
    past = WeeklyDemand.of(patterns_of({(1, 1): [(-20, 6.0), (-2, 10.0)]}), 10)
    assert lightgbm_weeks.half_an_order(past).tolist() == [3.0]


def test_trees_learn_what_is_there_to_learn(patterns, seeded):
    rng = np.random.default_rng(seeded(0))
    x = rng.normal(size=(4000, 3))
    rate = np.exp(0.8 * x[:, 0])
    trees = grow(x, rng.poisson(rate).astype(float), {"objective": "poisson", "seed": 1}, 80, 1)
    assert np.corrcoef(answer(trees, x), rate)[0, 1] > 0.9
    assert answer(trees, x[:0]).shape == (0,)


def test_forecasts_beyond_twelve_weeks_stay_at_the_twelfth(patterns):
    fitted = lightgbm_weeks.MODEL.fit(patterns, seed=1, settings=FitSettings(pairs=800))
    said = fitted.predict(patterns, weeks=14, draws=5, streams=Streams(1)).products
    twelfth = said.expected_quantity[:, [11]]
    assert np.allclose(said.expected_quantity[:, 12:], twelfth)
