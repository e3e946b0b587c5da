"""How products' levels move from week to week: read from the past without the pairs' noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.drift import PRIOR, WINDOWS, Drift
from tests.models.helpers import AS_OF, analyzed, patterns_of
from toolkit.data.tables import DAYS_PER_WEEK, OrderEvents

WEEKS = HORIZON_WEEKS * (WINDOWS + 1)
TRUTH = Drift(by_week=0.03, step=0.01)
NONE = Drift(0.0, 0.0)


def orders(drift, rng, products=500, pairs=100, rate=0.1):
    """Patterns of pairs that order independently given their product's level."""
    walk = np.sqrt(drift.step) * rng.standard_normal((products, WEEKS)).cumsum(axis=1)
    own = np.sqrt(drift.by_week) * rng.standard_normal((products, WEEKS))
    level = np.exp(walk - walk.mean(axis=1, keepdims=True) + own)
    ordered = rng.random((products, pairs, WEEKS)) < 1.0 - np.exp(-rate * level[:, None])
    ordered[:, :, 0] = True  # known from the first week on
    product, customer, week = np.nonzero(ordered)
    day = DAYS_PER_WEEK * (week - WEEKS) + 3
    return analyzed(OrderEvents(AS_OF, product, customer, day, np.ones(len(day))))


def test_what_products_did_is_found_again():
    found = Drift.of(orders(TRUTH, np.random.default_rng(1)))
    assert found.by_week == pytest.approx(TRUTH.by_week, rel=0.3)
    assert found.step == pytest.approx(TRUTH.step, rel=0.2)


def test_noise_of_pairs_is_no_drift():
    found = Drift.of(orders(NONE, np.random.default_rng(2)))
    assert found.by_week < 0.001
    assert found.step < 0.0002


def test_what_all_products_do_together_is_no_drift():
    """Every other week there are half as many orders, and every sixth nearly none or none."""
    patterns = orders(NONE, np.random.default_rng(3))
    events = patterns.events
    week = (-1 - events.day) // DAYS_PER_WEEK
    rng, calm = np.random.default_rng(4), week < WEEKS - 1
    lost = calm & (week % 2 == 1) & (rng.random(len(week)) < 0.5)
    lost |= calm & (week % 6 == 3) & ((week % 4 == 1) | (rng.random(len(week)) < 0.98))
    found = Drift.of(analyzed(events.where(~lost)))
    assert found.by_week < 0.003


@pytest.mark.parametrize(
    "histories",
    [
        {(1, 1): [(-3, 1.0)]},
        {(1, c): [(-7 * w - 3, 1.0) for w in range(WEEKS, -1, -1)] for c in range(3)},
    ],
    ids=["one order", "one product"],
)
def test_where_nothing_tells_it_the_prior_does(histories):
    found = Drift.of(patterns_of(histories))
    assert found == pytest.approx(PRIOR, rel=0.05)


def drawn(drift, scale, draws=40_000):
    rng, z = np.random.default_rng(4), ndtri((np.arange(draws) + 0.5) / draws)
    constant, by_week = drift.draw(rng, np.full(draws, scale), rng.permutation(z), HORIZON_WEEKS)
    return constant + np.log(by_week)


def test_a_window_is_as_far_off_as_without_drift():
    logs = drawn(TRUTH, 0.4)[:-1]
    off = logs - logs.mean(axis=1, keepdims=True)
    assert off.mean(axis=0).var() == pytest.approx(0.4**2, rel=0.03)
    growth = TRUTH.step * (HORIZON_WEEKS - 1)
    assert off[-1].var() - off[0].var() == pytest.approx(growth, rel=0.1)


def test_means_are_those_without_drift():
    for scale in (0.4, 0.1):  # less than the drift alone makes of a window
        levels = np.exp(drawn(TRUTH, scale))
        assert levels.mean(axis=1) == pytest.approx(np.exp(scale**2 / 2), rel=0.02)


def test_without_drift_the_shock_is_all_there_is():
    logs = drawn(NONE, 0.3, draws=100)
    assert np.array_equal(logs, np.tile(logs[0], (HORIZON_WEEKS + 1, 1)))
    assert np.sort(logs[0]) == pytest.approx(0.3 * ndtri((np.arange(100) + 0.5) / 100))


def test_later_weeks_have_the_walk_and_no_week_of_their_own():
    calm = TRUTH._replace(step=0.0)
    rng, z = np.random.default_rng(5), np.zeros(1000)
    _, by_week = calm.draw(rng, z + 0.5, z, 3)
    assert np.log(by_week[:-1]).std() == pytest.approx(np.sqrt(calm.by_week), rel=0.01)
    assert np.ptp(by_week[-1]) == 0.0


def test_nothing_hangs_on_the_order_of_the_pairs_or_their_ids():
    patterns = orders(TRUTH, np.random.default_rng(6), products=30)
    events = patterns.events
    other = replace(events, product_id=1000 - events.product_id)
    row = np.lexsort((other.day, other.customer_id, other.product_id))
    turned = OrderEvents(
        *(
            getattr(other, n)[row] if n != "as_of_date" else AS_OF
            for n in ("as_of_date", "product_id", "customer_id", "day", "quantity")
        )
    )
    assert Drift.of(analyzed(turned)) == pytest.approx(Drift.of(patterns), rel=1e-9)
