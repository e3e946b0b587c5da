"""Levels by hand, against a slow twin, against a known truth, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from tests.chance import assert_near
from tests.replenishment.twin import live
from toolkit.replenishment.demand import EVEN_DAYS, days_until_more, demand_within
from toolkit.replenishment.levels import (
    fill_rate_position,
    quantity_to_order,
    reaching,
    service_level_position,
)
from toolkit.replenishment.plan import protected_demand

SHARE = np.array([0.0, 0.3, 0.45, 0.6, 0.9, 1.0, 1.0, 1.0])
KINDS = ("service_level", "fill_rate")


def protected(weeks, lead, review, share=SHARE):
    """Of draws [products, weeks, draws], with one lead time for all products."""
    products = len(weeks)
    days = np.full(products, review, dtype=np.int64)
    return protected_demand(np.asarray(weeks, dtype=float), [lead] * products, days, share)


def drawn(seed, products=3, weeks=4, draws=50):
    rng = np.random.default_rng(seed)
    return rng.negative_binomial(1.5, 0.1, (products, weeks, draws)).astype(np.float32)


def test_demand_of_a_part_of_a_week_is_its_share():
    weeks = np.array([[[10.0, 20.0], [100.0, 0.0]]])
    days = np.array([[0, 1, 4, 7, 8, 14]])
    expected = [[0, 3, 9, 10, 40, 110], [0, 6, 18, 20, 20, 20]]
    found = demand_within(weeks, days, SHARE)
    assert pytest.approx(np.array(expected, dtype=float)) == found[0].T


def test_the_service_level_by_hand():
    """Of 1, …, 9 the 90 % of one more draw is the 9th, the 50 % the 5th."""
    weeks = np.arange(1.0, 10.0).reshape(1, 1, 9)
    demand = protected(weeks, 0, 7)
    levels = [service_level_position(demand)(np.array([p]))[0] for p in (0.5, 0.51, 0.9)]
    assert levels == [5.0, 6.0, 9.0]
    assert demand.p_shortage(np.array([6.0])) == pytest.approx([3 / 9])


def test_the_fill_rate_by_hand():
    """Draws of 10 and 30: at 20 units 10 of 40 are short, half of them in each draw's share."""
    weeks = np.array([[[10.0, 30.0]]])
    demand = protected(weeks, 0, 7)
    assert demand.expected_shortage(np.array([20.0])) == pytest.approx([5.0])
    assert fill_rate_position(demand)(np.array([0.75])) == pytest.approx([20.0])
    assert fill_rate_position(demand)(np.array([0.25])) == pytest.approx([5.0])


def test_what_was_short_before_the_delivery_is_not_short_again():
    """10 units a week: with 12 in stock and a week until the delivery, 8 are short in the cycle."""
    weeks = np.full((1, 2, 5), 10.0)
    demand = protected(weeks, 7, 7)
    assert demand.expected_shortage(np.array([12.0])) == pytest.approx([8.0])
    assert demand.expected_shortage(np.array([4.0])) == pytest.approx([10.0])
    assert demand.p_shortage_before_delivery(np.array([4.0])) == pytest.approx([1.0])


def test_a_lead_time_that_varies_weighs_the_draws():
    """10 a week for sure: 10 days or 17 with one in four, all days alike."""
    weeks = np.full((1, 4, 3), 7.0)
    demand = protected(weeks, {3: 0.75, 10: 0.25}, 7, EVEN_DAYS)
    assert demand.expected == pytest.approx([10 * 0.75 + 17 * 0.25])
    assert demand.p_shortage(np.array([10.0])) == pytest.approx([0.25])
    assert service_level_position(demand)(np.array([0.5])) == pytest.approx([10.0])
    assert service_level_position(demand)(np.array([0.74])) == pytest.approx([17.0])


@pytest.mark.parametrize(("lead", "review"), [(0, 1), (3, 5), (7, 7), (9, 14)])
@pytest.mark.parametrize("position", [0.0, 11.0, 40.0, 90.0])
def test_a_simulation_day_by_day_says_the_same(lead, review, position):
    weeks = drawn(4)
    demand, y = protected(weeks, lead, review), np.full(3, position)
    for product in range(3):
        lives = [live(path, SHARE, position, lead, review) for path in weeks[product].T]
        share_short = np.mean([one.any_short for one in lives])
        assert demand.p_shortage(y)[product] == pytest.approx(share_short)
        short = np.mean([one.short for one in lives])
        assert demand.expected_shortage(y)[product] == pytest.approx(short, abs=1e-6)
        cycle = np.mean([one.demand for one in lives])
        assert demand.expected_in_cycle[product] == pytest.approx(cycle)


@pytest.mark.parametrize("position", [0.0, 7.0, 25.0, 60.0, 1e6])
def test_the_day_it_runs_out_is_that_of_a_simulation(position):
    weeks = drawn(5)
    found = days_until_more(weeks, np.full(3, position), SHARE)
    for product, draw in np.ndindex(3, weeks.shape[2]):
        stock, out = position, np.inf
        for day in range(28):
            week, weekday = divmod(day, 7)
            stock -= float(weeks[product, week, draw]) * (SHARE[weekday + 1] - SHARE[weekday])
            if stock < -1e-9:
                out = day
                break
        assert found[product, draw] == out


@pytest.mark.parametrize("target", [0.5, 0.9, 0.98])
def test_on_the_same_draws_the_target_is_met_and_no_less_would_do(target):
    weeks = drawn(6, draws=99)
    demand, level = protected(weeks, 9, 7), np.full(3, target)
    reached = service_level_position(demand)(level)
    assert (demand.p_shortage(reached) <= 1 - target + 1e-12).all()
    short_at_less = demand.p_shortage(np.nextafter(reached, 0))
    assert ((1 - short_at_less) * 99 < target * 100).all()
    filled = fill_rate_position(demand)(level)
    achieved = 1 - demand.expected_shortage(filled) / demand.expected_in_cycle
    assert achieved == pytest.approx(level)


@pytest.mark.parametrize("weekly", [0.7, 4.0, 30.0])
@pytest.mark.parametrize("target", [0.5, 0.9, 0.98])
def test_poisson_demand_gives_the_quantile_of_poisson_within_one(weekly, target, seeded):
    rng = np.random.default_rng(seeded(7))
    weeks = rng.poisson(weekly, (1, 3, 40_000))
    found = service_level_position(protected(weeks, 14, 7))(np.array([target]))[0]
    assert abs(found - poisson.ppf(target, 3 * weekly)) <= 1


def test_poisson_demand_gives_the_fill_rate_of_poisson(seeded):
    """E(D − S)⁺ = μ P(D ≥ S) − S P(D > S), for the demand until each of both deliveries."""
    rng = np.random.default_rng(seeded(8))
    weeks = rng.poisson(6.0, (1, 3, 200_000))
    level = fill_rate_position(protected(weeks, 14, 7))(np.array([0.95]))[0]

    def short(mean, at):
        below = int(np.floor(at))
        return mean * poisson.sf(below - 1, mean) - at * poisson.sf(below, mean)

    found = 1 - (short(18.0, level) - short(12.0, level)) / 6.0
    paths = np.cumsum(weeks[0], axis=0)
    in_draws = np.maximum(paths[2] - level, 0) - np.maximum(paths[1] - level, 0)
    assert_near(found, 0.95, in_draws.std() / 6.0 / np.sqrt(len(in_draws)))


def test_nothing_demanded_needs_nothing():
    demand = protected(np.zeros((1, 2, 20)), 3, 7)
    for kind in KINDS:
        assert reaching(demand, kind)(np.array([0.9])) == [0.0]


@given(
    st.integers(0, 1000), st.sampled_from(KINDS), st.integers(0, 14), st.integers(1, 13),
    st.floats(0.1, 0.95),
)  # fmt: skip
def test_levels_rise_with_target_and_lead_time(seed, kind, lead, review, target):
    weeks = drawn(seed)
    level = reaching(protected(weeks, lead, review), kind)(np.full(3, target))
    higher = reaching(protected(weeks, lead, review), kind)(np.full(3, target + 0.02))
    assert (higher >= level - 1e-9).all()
    if kind == "service_level":
        later = reaching(protected(weeks, lead + 1, review), kind)(np.full(3, target))
        assert (later >= level).all()


@given(
    st.floats(0, 1e6), st.floats(-1e5, 1e6), st.sampled_from([0.25, 1.0, 6.0, 144.0]),
    st.floats(0, 500), st.floats(0, 1e4),
)  # fmt: skip
def test_quantities_are_packs_that_fall_with_stock(level, position, pack, minimum, more):
    def order(at):
        return quantity_to_order(*(np.array([x]) for x in (level, at, pack, minimum)))[0]

    found = order(position)
    assert found % pack == 0
    assert order(position + more) <= found
    if level - position > 1e-6:
        assert position + found >= level - 1e-6 * max(1.0, level)
        assert found >= minimum - 1e-6
        assert found <= max(level - position, minimum) + pack
    else:
        assert found == 0 or level > position
