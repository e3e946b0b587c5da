"""The level of a product, and the clock that it sets: by hand, and at their limits."""

import numpy as np
import pytest

from models.pair_conjugate import MODEL
from models.parts.pair.level import ORDERS, levels
from tests.models.helpers import patterns_of
from toolkit.model import Streams

ONE_A_WEEK = 1 / 7


def rates(patterns):
    return np.full(len(patterns), ONE_A_WEEK)


def predict(patterns, weeks=12):
    return MODEL.predict(patterns, weeks=weeks, draws=40, streams=Streams(1))


def test_orders_of_the_last_twelve_weeks_are_held_against_expected_ones():
    """Product 1: 2 pairs known before, 24 orders expected; the third pair is too young to count."""
    known = patterns_of({
        (1, 1): [(-200, 1.0), (-85, 1.0), (-84, 1.0), (-3, 1.0)],
        (1, 2): [(-100, 1.0)],
        (1, 3): [(-80, 1.0), (-40, 1.0), (-2, 1.0)],
        (2, 1): [(-84, 1.0), (-1, 1.0)],
    })  # fmt: skip
    of_first = (ORDERS + 2) / (ORDERS + 24)
    assert levels(known, rates) == pytest.approx([of_first, of_first, of_first, 1.0])


def test_twice_the_pace_is_twice_the_time():
    """The interval was open for T − ½ days at least; from then on day d ends at pace · (d + 1)."""
    known = patterns_of({(1, 1): [(-70, 1.0), (-40, 1.0), (-9, 1.0)], (1, 2): [(-1, 1.0)]})
    own = MODEL.posterior(known)
    fast = own.at_pace(np.array([2.0, 2.0]))
    assert fast.expected_interval() == pytest.approx(own.expected_interval() / 2)
    assert fast.open_interval_p is own.open_interval_p

    def survives(posterior, day):
        z = posterior.B / (posterior.B + posterior.k * (posterior.open_days + day + 0.5)[:, None])
        return z**posterior.A

    for day in range(20):
        assert survives(fast, np.full(2, day)) == pytest.approx(
            survives(own, np.full(2, 2 * day + 1))
        )


def test_a_pace_of_one_changes_nothing():
    known = patterns_of({(1, 1): [(-70, 1.0), (-40, 1.0), (-9, 1.0)], (1, 2): [(-1, 1.0)]})
    own = MODEL.posterior(known)
    for name, values in own.at_pace(np.ones(2))._asdict().items():
        assert values == pytest.approx(getattr(own, name)), name


def test_a_product_whose_customers_have_gone_is_expected_less_and_its_neighbour_is_not():
    ordered = {(1, i): [(d, 1.0) for d in range(-500, -100, 20)] for i in range(20)}
    goes_on = {(2, i): [(d - i, 1.0) for d in range(-480, 0, 20)] for i in range(20)}
    both, alone = patterns_of({**ordered, **goes_on}), patterns_of(goes_on)
    gone = both.product_id == 1
    without = 7 * 12 / MODEL.posterior(both).expected_interval()
    said = predict(both).pairs.expected_orders
    assert said[gone].sum() < 0.2 * without[gone].sum()
    assert said[~gone].sum() == pytest.approx(without[~gone].sum(), rel=0.1)
    assert np.array_equal(said[~gone], predict(alone).pairs.expected_orders)


def test_pairs_drawn_once_more_are_at_the_same_level():
    """Hundreds of draws of a product that nobody orders any more: hardly any order in either."""
    gone = patterns_of({(1, i): [(d, 1.0) for d in range(-500, -100, 20)] for i in range(20)})
    rows, streams = np.arange(20), Streams(1)
    again = MODEL.predict_again(gone, rows, 0, weeks=12, draws=400, streams=streams)
    expected = MODEL.predict(gone, weeks=12, draws=400, streams=streams).pairs.expected_orders
    drawn = again.orders.sum(axis=(0, 1)).mean() if again.orders.ndim == 3 else np.nan
    assert drawn == pytest.approx(expected.sum(), rel=0.25)
