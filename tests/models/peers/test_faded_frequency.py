"""``faded_frequency`` against numbers worked out by hand."""

import numpy as np
import pytest

from models.peers.faded_frequency import (
    HORIZON_DAYS,
    LEAST,
    MODEL,
    faded,
    most_likely,
    predict_pairs,
)
from tests.models.helpers import patterns_of
from toolkit.model import Streams


def test_orders_fade_by_half_in_a_half_life():
    """Half-life 10: orders of 10, 20 and 30 days ago count ½, ¼ and ⅛."""
    known = patterns_of(
        {(1, 1): [(-20, 1.0), (-10, 5.0)], (1, 2): [(-30, 2.0)], (2, 1): [(-10, 1.0)]}
    )
    own, of_product = np.array([0.75, 0.125, 0.5]), np.array([0.875, 0.875, 0.5])
    customers = np.array([2, 2, 1])
    said = faded(known, 10.0)
    assert np.all(said[:, 0] == 1.0)
    assert np.allclose(said[:, 1], np.log(own + LEAST))
    assert np.allclose(said[:, 2], np.log((of_product + LEAST) / customers))


def test_with_a_shape_of_one_counts_are_geometric():
    """Mean ½ a week, so 2 in four weeks: none with probability 1 / (1 + 2)."""
    said = predict_pairs(np.array([0.5 / 7]), 1.0, np.array([14.0]), np.array([3.0]), 4)
    by_week = 1 - 1 / (1 + 0.5 * np.arange(1, 5))
    assert np.allclose(said.p_order_by_week, by_week)
    assert np.allclose(said.order_count_p[0, :3], [1 / 3, 2 / 9, 4 / 27])
    assert said.order_count_p.sum() == pytest.approx(1.0)
    assert np.allclose(said.expected_orders, 0.5)
    assert np.allclose(said.expected_quantity, 1.5)
    assert said.expected_interval[0] == pytest.approx(14.0)
    assert said.open_interval_p[0] == pytest.approx(0.5)  # no order in 14 days: 1 / (1 + 1)


def test_two_groups_get_their_own_means():
    """Whatever the shape: where a column tells groups, a negative binomial keeps their means."""
    group = np.repeat([0.0, 1.0], 4)
    columns = np.stack([np.ones(8), group, np.zeros(8)], axis=1)
    counts = np.array([0.0, 0.0, 1.0, 3.0, 2.0, 2.0, 6.0, 10.0])  # means 1 and 5
    _, (a, b, c, _) = most_likely(columns, counts)
    assert a == pytest.approx(np.log(1.0 / HORIZON_DAYS), abs=1e-3)
    assert b == pytest.approx(np.log(5.0), abs=1e-3)
    assert c == 0.0


def test_where_all_who_had_stopped_stay_away_the_shortest_half_life_is_chosen():
    """Half of them ordered more often than the others do, until 250 days ago."""
    stopped = {(1, i): [(d, 1.0) for d in range(-500, -250, 5 + i)] for i in range(30)}
    steady = {(1, i): [(d, 1.0) for d in range(-500, 0, i - 15)] for i in range(30, 60)}
    known = patterns_of({**stopped, **steady})
    fitted = MODEL.fit(known, seed=1)
    assert fitted.arrays["half_life"] <= 60
    said = fitted.predict(known, weeks=12, draws=1, streams=Streams(1)).pairs
    of_all = said.expected_orders.sum(axis=1)
    assert of_all[:30].max() < 0.5 < of_all[30:].min()  # the others: 84 / 44 or more
