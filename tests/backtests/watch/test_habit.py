"""Regular customers who fall silent: shares by hand, and limits from what was usual."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pytest

from backtests.watch.habit import (
    BEFORE,
    LEAST_LIMIT,
    SILENT,
    STANDS,
    customers_state,
    limit_of,
    silent_shares,
)
from toolkit.data.tables import OrderEvents

END = date(2024, 6, 3)
WEEKS = 60


def events_of(ordered: np.ndarray, end: date = END) -> OrderEvents:
    """An order of product 1 on the last day of each week that is true, [customers, weeks]."""
    customer, week = np.nonzero(ordered)
    day = -7 * (ordered.shape[1] - week) + 6
    order = np.lexsort((day, customer))
    ones = np.ones(len(day))
    return OrderEvents(end, ones.astype(int), customer[order], day[order], ones)


@dataclass
class Orders:
    """A source of these orders, [customers, weeks] up to ``END``."""

    ordered: np.ndarray

    def order_events(self, as_of_date, product_ids=None):
        late = (END - as_of_date).days // 7
        return events_of(self.ordered[:, : self.ordered.shape[1] - late], as_of_date)


def usual(customers: int = 44) -> np.ndarray:
    """Everybody skips every eighth week, each another one; two of them are no regulars."""
    week = np.arange(WEEKS)
    ordered = (week + np.arange(customers)[:, None]) % 8 > 0
    ordered[:2] = week % 3 == 0
    return ordered


def test_shares_by_hand():
    ordered = np.ones((21, BEFORE + SILENT + 1), dtype=bool)
    ordered[0] = False  # never ordered
    ordered[1, :3] = False  # in nine, then ten of the twelve weeks
    ordered[2, -3:-1] = False  # silent for two weeks
    ordered[3, -1] = False  # for one
    assert silent_shares(events_of(ordered)).tolist() == pytest.approx([np.nan, 0.0], nan_ok=True)
    more = np.vstack([ordered, np.ones((5, ordered.shape[1]), dtype=bool)])
    more[4:7, -2:] = False
    shares = silent_shares(events_of(more)).tolist()
    assert shares == pytest.approx([1 / 24, 3 / 25])


def test_too_short_a_history_has_no_share():
    assert len(silent_shares(events_of(np.ones((30, BEFORE + SILENT - 1), dtype=bool)))) == 0
    assert len(silent_shares(events_of(np.zeros((30, 20), dtype=bool)))) == 0


def test_half_the_customers_lost_sound_in_their_second_week():
    ordered = usual()
    ordered[::2, -8:] = False
    since = END - timedelta(weeks=16)
    for weeks, sounds in ((9, False), (8, False), (7, False), (6, True), (3, True), (0, False)):
        day = END - timedelta(weeks=weeks)
        state = customers_state(Orders(ordered), day, day - timedelta(1), since)
        assert state.alarm is sounds, weeks
    assert state.limit == LEAST_LIMIT
    assert state.weeks == 16
    assert state.sounded
    assert max(value for _, value, _ in state.history) == pytest.approx(0.5, abs=0.05)
    highest = [total for _, _, total in state.history]
    assert highest == [
        max(value for _, value, _ in state.history[max(0, i - STANDS + 1) : i + 1])
        for i in range(16)
    ]


def test_an_alarm_ends_where_regular_customers_became_too_few_to_tell():
    ordered = usual(30)
    ordered[::2, -8:] = False
    state = customers_state(Orders(ordered), END, END, END - timedelta(weeks=16))
    assert state.sounded
    assert not state.alarm
    assert state.weeks < 16


def test_weeks_that_are_not_over_are_no_silence():
    since = END - timedelta(weeks=10)
    early = customers_state(Orders(usual()), END, END - timedelta(2), since)
    assert early.history[-1][0] == END - timedelta(weeks=2)
    late = customers_state(Orders(usual()), END, END + timedelta(30), since)
    assert late.history[-1][0] == END - timedelta(weeks=1)


def test_a_limit_lies_above_what_was_usual():
    rare = np.array([0.01, 0.0, 0.02, 0.0] * 12)
    assert limit_of(rare) == LEAST_LIMIT
    seen = rare.copy()
    seen[20] = 0.5
    found = limit_of(seen)
    assert found is not None
    assert 0.5 < found < 0.7
    assert limit_of(rare[:20]) is None
    assert limit_of(np.full(60, np.nan)) is None


def test_too_few_regular_customers_sound_nothing():
    state = customers_state(Orders(usual(15)), END, END, END - timedelta(weeks=10))
    assert (state.weeks, state.limit, state.alarm) == (0, None, False)
