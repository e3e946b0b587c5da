"""Scores of single weeks: numbers by hand, and the sum over weeks."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from backtests.scores.past import TIMES, YEAR, PastYear
from backtests.scores.weekly import week_scores
from toolkit.data.tables import OrderEvents, Patterns

P = np.array([[0.2, 0.5, 0.5], [0.9, 0.95, 1.0], [0.0, 0.0, 0.3]])  # [pairs, weeks]
NEXT_WEEK = np.array([1, 0, 3])  # the third pair did not order in three weeks


def pairs() -> pd.DataFrame:
    by_week = {f"p_order_w{week + 1}": P[:, week] for week in range(3)}
    return pd.DataFrame({"next_week": NEXT_WEEK, **by_week})


def product_weeks() -> pd.DataFrame:
    """Two products with ten orders before and more, one with fewer, in three weeks."""
    return pd.DataFrame(
        {
            "product_id": np.repeat([7, 8, 20], 3),
            "week": [1, 2, 3] * 3,
            "product_orders_before": [10] * 3 + [99] * 3 + [9] * 3,
            "quantity": [5.0, 0, 7, 1, 2, 3, 100, 100, 100],
            "expected_quantity": [4.0, 1, 6, 2, 2, 2, 50, 50, 50],
            "pit": [0.05, 0.1, 0.95, 0.5, 0.9, 0.2, 0.5, 0.5, 0.5],
            "crps": [1.0, 2, 3, 0.5, 0.25, 0.125, 9, 9, 9],
        }
    )


def test_numbers_by_hand():
    table = week_scores(pairs(), product_weeks(), None)
    assert table.index.tolist() == [1, 2, 3]
    assert table.units.tolist() == [106, 102, 110]
    assert table.expected_units.tolist() == [56, 53, 58]
    assert table.crps.tolist() == [1.5, 2.25, 3.125]  # of products with ten orders
    assert table.root_crps.tolist() == pytest.approx(
        [1 + 0.5**0.5, 2**0.5 + 0.5, 3**0.5 + 0.125**0.5]
    )
    assert table.product_weeks.tolist() == [2, 2, 2]
    assert table.held.tolist() == [1, 2, 1]  # both ends belong to the interval
    assert table.pairs.tolist() == [3, 2, 1]  # that had not ordered before
    assert table.ordered.tolist() == [1, 1, 0]
    assert table.expected_pairs.tolist() == pytest.approx([1.1, 0.3 / 0.8 + 0.0, 0.3])
    first = -np.log([0.8, 0.9]).sum()  # what could not happen, and did not, costs 1e-6
    second = -np.log(0.3 / 0.8)
    third = -np.log(0.7)
    assert table.loss.tolist() == pytest.approx([first, second, third], abs=1e-5)


def test_losses_of_the_weeks_sum_up_to_the_log_score_of_the_next_order():
    table = week_scores(pairs(), product_weeks(), None)
    of_pairs = [0.5 - 0.2, 0.9, 1 - 0.3]  # ordered in week 2, in week 1, not at all
    assert table.loss.sum() == pytest.approx(-np.log(of_pairs).sum(), abs=1e-5)


def test_a_version_that_says_nothing_of_pairs_has_no_loss():
    table = week_scores(pd.DataFrame(), product_weeks(), None)
    assert table.loss.isna().all()
    assert table.pairs.isna().all()
    assert table.units.tolist() == [106, 102, 110]


def test_certainty_does_not_divide_by_nothing():
    sure = pd.DataFrame({"next_week": [1], "p_order_w1": [1.0], "p_order_w2": [1.0]})
    table = week_scores(sure, product_weeks().query("week < 3"), None)
    assert np.isfinite(table.loss).all()
    assert table.loss[1] == pytest.approx(-np.log(1e-6))


def past() -> PastYear:
    """Of four products, in no year but the last quarter; the last one is not asked for."""
    weeks = np.zeros((4, YEAR), dtype=np.float32)
    weeks[:, 39:] = [[2], [1], [30], [99]]
    weeks[0, :3] = [5, 6, 7]
    return PastYear(np.array([7, 8, 20, 21]), weeks)


def test_the_past_year_as_a_reference_by_hand():
    table = week_scores(pairs(), product_weeks(), past())
    assert TIMES.sum() == 195
    last_quarter = 8 * 13 / 195
    means = np.array([2 * last_quarter + 18 / 195, last_quarter, 30 * last_quarter])
    assert table.past_units.tolist() == pytest.approx([means.sum()] * 3)
    assert table.year_units.tolist() == [5, 6, 7]
    scale = 6 / means[:2].sum()  # what the version expected of the two that count, in week 1
    first = np.repeat(scale * past().quantity[:2], TIMES, axis=1)
    crps = [
        np.abs(draws - y).mean() - np.abs(draws[:, None] - draws).mean() / 2
        for draws, y in zip(first, (5.0, 1.0), strict=True)
    ]
    assert table.past_root_crps[1] == pytest.approx(np.sqrt(crps).sum())


def test_weeks_before_the_first_order_do_not_count():
    """With a history of half a year the mean is that of half a year."""
    weeks = np.zeros((2, YEAR), dtype=np.float32)
    weeks[0, 26:39], weeks[1, 39:] = 3.0, 1.0
    short = PastYear(np.array([1, 2]), weeks)
    assert short.expected(np.array([1, 2])) == pytest.approx([3 * 4 / 12, 8 / 12])
    assert short.crps(np.array([2]), np.array([0.0]), 2.0) == pytest.approx([2 - 2 / 3])


def test_without_a_past_there_is_no_reference():
    columns = ["past_units", "year_units", "past_root_crps"]
    assert week_scores(pairs(), product_weeks(), None)[columns].isna().all(axis=None)
    nothing = PastYear(past().product_id, np.zeros((4, YEAR), dtype=np.float32))
    assert week_scores(pairs(), product_weeks(), nothing).past_root_crps.isna().all()


def test_past_weeks_are_whole_and_end_before_the_date():
    """Day -1 is in the last week, -364 in the first, -365 in none."""
    day = np.array([-365, -364, -8, -7, -1, -2])
    ids = np.array([1, 1, 1, 1, 1, 3])
    events = OrderEvents(date(2024, 1, 1), ids, np.ones(6, dtype=int), day, np.arange(6) + 1.0)
    found = PastYear.of(Patterns.of(events))
    assert found.product_id.tolist() == [1, 3]
    assert found.quantity[0, [0, -2, -1]].tolist() == [2, 3, 9]
    assert found.quantity.sum() == 20
    again = PastYear.from_table(found.to_table()[::-1])
    assert again.product_id.tolist() == [1, 3]
    assert (again.quantity == found.quantity).all()
    assert len(PastYear.from_table(found.to_table()[:0]).product_id) == 0
    far = found.a_year_before(found.product_id, YEAR + 1)
    assert far.tolist() == [0, 0]  # it is not over at the as-of date
