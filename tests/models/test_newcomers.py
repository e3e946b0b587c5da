"""What a product's past says of its new customers: slow twin, by hand, windows, limits."""

from math import exp, log

import numpy as np
import pytest

from models.parts.rhythm import activity
from models.parts.rhythm.newcomers import (
    NEWCOMERS,
    PRIOR_MEAN,
    Newcomers,
    base_rates,
    newcomer_columns,
)
from models.parts.rhythm.posterior import mode_of_newcomers
from models.parts.rhythm.season import Season
from tests.chance import z_limit
from tests.models.helpers import AS_OF, patterns_of, some_season

PER_DAY = 0.02
NO_SEASON = Season.none(AS_OF)
SEASON = some_season(3, 0.2)


def random_orders(seed):
    """(product, customer) → days."""
    rng = np.random.default_rng(seed)
    orders = {}
    for product in (2, 5, 9):
        for customer in range(int(rng.integers(1, 7))):
            days = rng.choice(np.arange(-1700, 0), rng.integers(1, 6), replace=False)
            orders[product, customer] = sorted(int(day) for day in days)
    return orders


def patterns_from(orders):
    return patterns_of({key: [(day, 1.0) for day in days] for key, days in orders.items()})


def slow_columns(orders, product, season):
    """One product's columns, day by day."""
    firsts = sorted(min(days) for (p, _), days in orders.items() if p == product)
    every = [day for (p, _), days in orders.items() if p == product for day in days]
    level = {day: exp(season.log_level(AS_OF, np.array([day]))[0]) for day in range(firsts[0], 0)}
    rate = {}
    for h in (30, 90, 270, 900):
        orders_of = sum(2 ** (day / h) for day in firsts if day > firsts[0])
        days = sum(2 ** ((0.5 + day) / h) * level[day] for day in range(firsts[0] + 1, 0))
        rate[h] = log((orders_of + 0.7) / (days + 0.7 / PER_DAY))
    pace = {h: 2 + sum(2 ** (day / h) for day in every) * log(2) / h * 84 for h in (30, 270)}
    return {
        "rate": rate[270],
        **{f"rate_{h}": rate[h] - rate[270] for h in (30, 90, 900)},
        "trend": log(pace[30] / pace[270]),
        "customers": log(len(firsts)),
        "silence": log((7 - max(every)) / 14),
        "age": log(min(-firsts[0], 1500) / 365),
    }


@pytest.mark.parametrize("season", [NO_SEASON, SEASON], ids=["no season", "season"])
@pytest.mark.parametrize("seed", range(4))
def test_columns_against_a_slow_twin(seed, season, seeded):
    orders = random_orders(seeded(seed))
    found = newcomer_columns(patterns_from(orders), season, PER_DAY)
    for row, product in zip(found, (2, 5, 9), strict=True):
        expected = slow_columns(orders, product, season)
        assert dict(zip(NEWCOMERS, row, strict=True)) == pytest.approx(expected, rel=1e-9)


def test_a_newcomer_a_day_is_a_rate_of_one_and_the_opening_order_is_none():
    steady = patterns_from({(1, customer): [customer - 2000] for customer in range(2000)})
    alone = patterns_from({(1, 1): [-2000, -1000, -1]})
    rate, *_, over_900, _, _, _, _ = newcomer_columns(steady, NO_SEASON, PER_DAY)[0]
    assert rate == pytest.approx(0.0, abs=0.1)
    assert over_900 == pytest.approx(0.0, abs=0.1)
    assert newcomer_columns(alone, NO_SEASON, PER_DAY)[0, 0] < log(0.7 / 380)


def test_a_product_by_itself_has_the_row_of_the_batch():
    orders = random_orders(1)
    patterns = patterns_from(orders)
    batch = newcomer_columns(patterns, SEASON, PER_DAY)
    for row, product in enumerate((2, 5, 9)):
        alone = patterns.select(patterns.product_id == product)
        np.testing.assert_array_equal(newcomer_columns(alone, SEASON, PER_DAY)[0], batch[row])
    nobody = patterns.select(np.zeros(len(patterns), dtype=bool))
    assert newcomer_columns(nobody, SEASON, PER_DAY).shape == (0, len(NEWCOMERS))


def test_a_window_counts_first_orders_in_it_and_knows_nothing_of_them():
    before = {(1, 1): [-300, -100], (1, 2): [-200], (2, 1): [-150, -20]}
    inside = {(1, 3): [-84, -3], (1, 4): [-1], (1, 5): [-85], (3, 1): [-40], (2, 9): [-30, -2]}
    patterns = patterns_from(before | inside)
    rows = Newcomers.of(patterns, [(84, 84)], SEASON, PER_DAY)
    assert rows.arrived.tolist() == [2.0, 1.0]  # product 3 was not known, customer 5 was
    was_known = patterns_from(before | {(1, 5): [-85]}).earlier(84)
    np.testing.assert_array_equal(rows.values, newcomer_columns(was_known, SEASON, PER_DAY))
    levels = np.exp(SEASON.log_level(AS_OF, np.arange(-84, 0)))
    assert rows.log_days == pytest.approx([log(levels.sum())] * 2)


def test_base_rate_of_newcomers_by_hand():
    """Two products open for 270 days each; one new customer 90 days back."""
    patterns = patterns_from({(1, 1): [-271], (1, 2): [-90], (2, 1): [-271]})
    days = sum(2 ** ((0.5 - d) / 270) for d in range(1, 271))
    expected = (2 ** (-90 / 270) + 0.7) / (2 * days + 1)
    assert base_rates(patterns, NO_SEASON).newcomers == pytest.approx(expected)


def test_made_of_some_products_at_a_time_it_is_the_same_to_the_last_bit(monkeypatch):
    patterns = patterns_from(random_orders(1))
    made = []
    for pairs in (10**6, 1):
        monkeypatch.setattr(activity, "PAIRS_AT_ONCE", pairs)
        rates = base_rates(patterns, SEASON)
        made.append((rates, Newcomers.of(patterns, [(84, 84), (168, 84)], SEASON, PER_DAY)))
    assert len([*activity.product_parts(patterns)]) > 2
    assert made[0][0] == made[1][0]
    for name in ("arrived", "values", "log_days"):
        whole, parts = (getattr(newcomers, name) for _, newcomers in made)
        np.testing.assert_array_equal(parts, whole)


def test_coordinates_start_where_the_truth_is(seeded):
    rng = np.random.default_rng(seeded(2))
    truth = np.array([-0.3, 0.8, 0.2, -0.1, 0.0, 0.1, 0.3, -0.2, 0.1])
    values = rng.normal(0.0, 0.7, (6000, len(NEWCOMERS)))
    log_days = np.full(len(values), log(84.0))
    design, mean = Newcomers(np.zeros(len(values)), values, log_days).design()
    assert mean[0] == 0.0
    expected = np.exp(design @ truth + log_days)
    arrived = rng.poisson(expected * rng.gamma(1.0, 1.0, len(expected))).astype(float)
    mode, root = mode_of_newcomers(design, Newcomers(arrived, values, log_days))
    assert np.abs(np.linalg.solve(root, mode - truth)).max() < z_limit(len(truth))
    nobody = Newcomers(np.zeros(1), np.zeros((1, len(NEWCOMERS))), np.full(1, -20.0))
    assert mode_of_newcomers(nobody.design()[0], nobody)[0] == pytest.approx(PRIOR_MEAN, abs=1e-6)
