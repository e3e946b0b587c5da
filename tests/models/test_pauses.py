"""A pair that ordered again after a long pause: by hand, by a slow twin, and in a forecast."""

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from models.pair_conjugate import MODEL
from models.parts.pair.pauses import ODDS, PAUSE_DAYS, Intervals, since_pause
from tests.models.helpers import patterns_of
from toolkit.engine import ForecastEngine


def evidence(some):
    return logsumexp(MODEL._log_weights(some), axis=1)


def days_of(intervals, last=-3):
    """Days of the orders between which so many days lie, the last of them on a day."""
    return [(int(last - sum(intervals[i:])), 5.0) for i in range(len(intervals) + 1)]


def since(*pairs):
    patterns = patterns_of({(1, i): days_of(intervals) for i, intervals in enumerate(pairs)})
    known = since_pause(patterns, evidence)
    return patterns, [tuple(column.tolist()) for column in known[:2]], known.L


def test_only_what_came_after_a_pause_counts():
    weekly = [7] * 20
    _, (m, S), L = since(weekly, [*weekly, 900, 7, 7, 14], [*weekly, 900], [900, *weekly])
    assert m == (20, 3, 0, 20)
    assert S == (140, 28, 0, 140)
    np.testing.assert_allclose(L, np.log([7.0**20, 7 * 7 * 14, 1, 7.0**20]))


def test_after_several_pauses_only_the_last_stretch_counts():
    _, (m, S), _ = since([*[7] * 20, 800, *[28] * 9, 600, *[7] * 4])
    assert (m, S) == ((4,), (28,))


@pytest.mark.parametrize(
    "intervals",
    [[400] * 6, [380, 350, 366, 371], [700, 30, 900, 55, 400], [900], [], [7] * 30 + [PAUSE_DAYS]],
)
def test_a_long_interval_alone_is_no_pause(intervals):
    """Of those who order once a year, or at any time; nor is what a season may explain."""
    patterns, (m, S), L = since(intervals)
    assert (m, S) == ((len(intervals),), (sum(intervals),))
    assert L.tolist() == patterns.interval_log_sum.tolist()


def slow_twin(intervals):
    """Since when the intervals count: one pair, one interval after the other."""

    def told(some):
        some = [float(x) for x in some]
        sums = (len(some), sum(some), sum(map(math.log, some)))
        return evidence(Intervals(*(np.array([float(x)]) for x in sums)))[0]

    for at in reversed(range(len(intervals))):
        if intervals[at] > PAUSE_DAYS:
            parts = (intervals[:at], intervals[at : at + 1], intervals[at + 1 :])
            anew = sum(map(told, parts)) - told(intervals) > math.log(ODDS)
            return intervals[at + 1 :] if anew else intervals
    return intervals


def test_as_a_slow_twin_says(seeded):
    rng = np.random.default_rng(seeded(31))
    pairs = []
    for _ in range(300):
        before, after = rng.integers(0, 12, 2)
        rhythm = rng.choice([7, 30, 200])
        one = rng.gamma(2.0, rhythm / 2.0, before).astype(int) + 1
        other = rng.gamma(2.0, rhythm / 2.0, after).astype(int) + 1
        pairs.append(
            [*one.tolist(), *rng.integers(300, 2000, rng.integers(0, 2)).tolist(), *other.tolist()]
        )
    _, (m, S), L = since(*pairs)
    expected = [slow_twin(intervals) for intervals in pairs]
    assert (m, S) == (tuple(map(len, expected)), tuple(map(sum, expected)))
    np.testing.assert_allclose(L, [sum(map(math.log, x)) for x in expected], atol=1e-9)
    assert 30 < sum(len(x) < len(whole) for x, whole in zip(expected, pairs, strict=True)) < 270


def test_a_forecast_follows_the_rhythm_since_the_pause():
    """Fifty weeks, two years and a half of nothing, eight weeks: one order a week."""
    weeks = [date(2018, 1, 1) + timedelta(weeks=i) for i in range(50)]
    weeks += [date(2021, 6, 1) + timedelta(weeks=i) for i in range(8)]
    lines = pd.DataFrame(
        {"customer_id": 101, "product_id": 1, "ordered_at": pd.to_datetime(weeks)}
    ).assign(quantity=5.0, unit_price=2.5)

    def said(of):
        return ForecastEngine.from_frame(of).generate_forecast(1, date(2021, 7, 25)).summary

    whole, recent = said(lines), said(lines[50:])
    assert 11 < whole["expected_orders"] < 13
    assert whole["expected_orders"] == pytest.approx(recent["expected_orders"], rel=0.05)
    assert whole["expected_quantity"] == pytest.approx(60, rel=0.1)
