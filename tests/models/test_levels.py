"""The level of the weeks to come, the clock that it sets, and the frailty that pairs share."""

import numpy as np
import pytest

from models.pair_conjugate import MODEL
from models.parts.pair.arrivals import ArrivalPrior
from models.parts.pair.forecast import forecast, forecast_again
from models.parts.pair.levels import DRIFT, levels
from models.parts.pair.pauses import Intervals
from tests.chance import assert_near, error_of_mean, error_of_sd
from tests.models.helpers import patterns_of
from toolkit.model import Streams

PURE = type(MODEL)(arrivals=ArrivalPrior(1e-12, 91.0))
RATE = 1 / 7


def levels_of(orders):
    patterns = patterns_of(orders)
    known = Intervals(
        patterns.interval_count.astype(float), patterns.interval_sum, patterns.interval_log_sum
    )
    return levels(patterns, known, np.full(len(patterns), RATE))


def test_orders_of_the_last_twelve_weeks_are_held_against_expected_ones():
    """Pairs with 12, 12 and 10 expected and 2, 0 and 1 reorders; a first order is none.

    Half a day less where the pair began within the window: an order came or not by the day's end.
    """
    found = levels_of({
        (1, 1): [(-200, 1.0), (-85, 1.0), (-84, 1.0), (-3, 1.0)],
        (1, 2): [(-100, 1.0)],
        (1, 3): [(-70, 1.0), (-40, 1.0)],
        (2, 1): [(-7, 1.0)],
    })  # fmt: skip
    third, single = 69.5 / 7, 6.5 / 7
    own = np.array([5 / 15, 3 / 15, 4 / (3 + third)])
    product = (1 + 3) / (1 + 12 * own[0] + 12 * own[1] + third * own[2])
    only = 3 / (3 + single) * (1 / (1 + single * 3 / (3 + single)))
    assert found.pace == pytest.approx([*(own * product), only])
    assert found.variance == pytest.approx([1 / 4 + DRIFT, 1 + DRIFT])


def test_first_orders_of_yesterday_say_nothing_of_the_level():
    """However many customers begin on the day before: none could have reordered."""
    launched = levels_of({(1, i): [(-1, 1.0)] for i in range(300)})
    assert launched.pace == pytest.approx(1.0)
    later = levels_of({(1, i): [(-2, 1.0)] for i in range(300)})
    assert later.pace[0] < 0.1


def test_a_pair_that_began_anew_counts_from_there_on():
    """Weekly until two years ago and again since three weeks: as expected, not a quarter of it."""
    again = [(-21 + 7 * i, 1.0) for i in range(3)]
    patterns = patterns_of({(1, 1): [(-1500 + 7 * i, 1.0) for i in range(110)] + again})
    new = patterns_of({(1, 1): again})
    assert patterns.interval_count[0] == 112
    found, expected = (MODEL.outlook(some).posterior.B for some in (patterns, new))
    assert found == pytest.approx(expected)


def test_the_only_pair_of_a_product_is_expected_as_by_itself():
    """Who orders by the week goes on by the week: the product has nothing to add."""
    weekly = patterns_of({(1, 1): [(-7 * i - 3, 1.0) for i in range(12)][::-1]})
    outlook = MODEL.outlook(weekly)
    assert outlook.posterior.expected_interval()[0] == pytest.approx(7, rel=0.1)


def test_twice_the_pace_is_twice_the_time():
    """The interval was open for T - ½ days at least; from then on day d ends at pace · (d + 1)."""
    patterns = patterns_of({(1, 1): [(-70, 1.0), (-40, 1.0), (-9, 1.0)], (1, 2): [(-1, 1.0)]})
    own = MODEL.posterior(patterns)
    fast = own.at_pace(np.array([2.0, 2.0]))
    assert fast.expected_interval() == pytest.approx(own.expected_interval() / 2)
    assert fast.open_interval_p is own.open_interval_p

    def z(posterior, day):
        until = (posterior.open_days + day + 0.5)[:, None]
        return posterior.B / (posterior.B + posterior.k * until)

    for day in range(20):
        assert z(fast, day) == pytest.approx(z(own, 2 * day + 1))


def test_a_product_whose_customers_have_gone_is_expected_less_and_its_neighbour_is_not():
    ordered = {(1, i): [(d, 1.0) for d in range(-500, -100, 20)] for i in range(20)}
    goes_on = {(2, i): [(d - i, 1.0) for d in range(-481, 0, 20)] for i in range(20)}
    both, alone = patterns_of({**ordered, **goes_on}), patterns_of(goes_on)
    gone = both.product_id == 1
    without = 84 / MODEL.posterior(both).expected_interval()
    said = MODEL.predict(both, weeks=12, draws=40, streams=Streams(1)).pairs.expected_orders
    by_itself = MODEL.predict(alone, weeks=12, draws=40, streams=Streams(1)).pairs
    assert said[gone].sum() < 0.1 * without[gone].sum()
    assert said[~gone].sum() == pytest.approx(without[~gone].sum(), rel=0.1)
    assert np.array_equal(said[~gone], by_itself.expected_orders)


@pytest.fixture(scope="module")
def memoryless():
    """Two customers of whom so much is known that their rate is 1 in 20 days, 1 in 200."""
    return patterns_of({
        (1, 1): [(-7000 + 20 * i, 1.0) for i in range(350)],
        (1, 2): [(-60_000 + 200 * i, 1.0) for i in range(300)],
    })  # fmt: skip


def drawn(patterns, variance, draws, streams):
    outlook, posterior = PURE.outlook(patterns), PURE.posterior(patterns)
    only_memoryless = np.zeros_like(posterior.weights)
    only_memoryless[:, 0] = 1.0
    shared = outlook._replace(
        posterior=posterior._replace(weights=only_memoryless), variance=np.array([variance])
    )
    return shared, forecast(patterns, shared, weeks=12, draws=draws, streams=streams)


@pytest.mark.parametrize("variance", [0.3, 1.05])
def test_a_frailty_keeps_every_marginal_and_makes_pairs_rise_and_fall_together(
    memoryless, variance, seeded
):
    """P(neither orders) is that of Clayton's copula, (S₁^-v + S₂^-v - 1)^(-1/v)."""
    draws = 200_000
    _, shared = drawn(memoryless, variance, draws, Streams(seeded(1)))
    silent = 1 - shared.pairs.p_order_by_week
    together = ((silent**-variance).sum(axis=0) - 1) ** (-1 / variance)
    apart = silent.prod(axis=0)
    assert together[3] > apart[3] + 0.005
    neither = (np.cumsum(shared.products.orders[0], axis=0) == 0).mean(axis=1)
    assert_near(neither, together, np.sqrt(together * (1 - together) / draws), 24, one=1 / draws)


def test_orders_after_the_next_one_follow_the_frailty_and_are_as_many_in_the_mean(seeded):
    """Of a memoryless pair of known rate r, drawn slowly by the formulas of paths.py."""
    r, v, draws = 1 / 40, 0.5, 100_000
    patterns = patterns_of({(1, 1): [(-40_000 + 40 * i, 1.0) for i in range(1000)]})
    orders, alone = (
        drawn(patterns, variance, draws, Streams(seeded(2)))[1].products.orders[0].sum(axis=0)
        for variance in (v, 1e-9)
    )
    both = np.hypot(error_of_mean(orders), error_of_mean(alone))
    assert_near(orders.mean(), alone.mean(), both, 2, one=2 / draws)
    rng = np.random.default_rng(seeded(3))
    w, e = rng.gamma(1 / v, v, draws), rng.exponential(size=draws)
    day, twin = np.floor(np.log1p(v * e / w) / v / r), np.zeros(draws)
    while (inside := day < 84).any():
        twin += inside
        day += np.maximum(1, np.floor(rng.exponential((1 + v) / (w + v * e) / r) + 0.5))
    assert_near(orders.mean(), twin.mean(), both, 2, one=2 / draws)
    assert_near(orders.std(), twin.std(), np.sqrt(2) * error_of_sd(twin), 2)
    assert orders.var() > 1.2 * alone.var()


def test_pairs_drawn_once_more_are_at_the_same_level():
    """Hundreds of draws of a product that nobody orders any more: hardly any order in either."""
    gone = patterns_of({(1, i): [(d, 1.0) for d in range(-500, -100, 20)] for i in range(20)})
    streams = Streams(1)
    again = MODEL.predict_again(gone, np.arange(20), 0, weeks=12, draws=4000, streams=streams)
    expected = MODEL.predict(gone, weeks=12, draws=4000, streams=streams).pairs.expected_orders
    assert again.orders.sum(axis=(0, 1)).mean() == pytest.approx(expected.sum(), rel=0.1)


def test_pairs_drawn_once_more_rise_and_fall_with_their_product(seeded):
    """Two memoryless pairs at a frailty of variance ½: neither orders as by Clayton's copula."""
    draws, v = 50_000, 0.5
    rate = 1 / 40
    patterns = patterns_of({(1, 1): [(-40_000 + 40 * i, 1.0) for i in range(1000)]})
    streams = Streams(seeded(4))
    outlook, first = drawn(patterns, v, draws, streams)
    again = forecast_again(
        patterns, outlook, np.array([0]), 0, weeks=12, draws=draws, streams=streams
    )
    orders = np.stack([first.products.orders[0], again.orders[0]])[:, :4]
    silent = (orders.sum(axis=1) == 0).astype(float)
    apart = silent[0].mean() * silent[1].mean()
    together = (2 * np.exp(-28 * rate) ** -v - 1) ** (-1 / v)
    assert together > apart + 0.03
    assert_near(
        (silent[0] * silent[1]).mean(), together, np.sqrt(together * (1 - together) / draws), 1,
        one=1 / draws,
    )  # fmt: skip
