"""Scores of single weeks: numbers by hand, and the sum over weeks."""

import numpy as np
import pandas as pd
import pytest

from backtests.scores.weekly import week_scores

P = np.array([[0.2, 0.5, 0.5], [0.9, 0.95, 1.0], [0.0, 0.0, 0.3]])  # [pairs, weeks]
NEXT_WEEK = np.array([1, 0, 3])  # the third pair did not order in three weeks


def pairs() -> pd.DataFrame:
    by_week = {f"p_order_w{week + 1}": P[:, week] for week in range(3)}
    return pd.DataFrame({"next_week": NEXT_WEEK, **by_week})


def product_weeks() -> pd.DataFrame:
    """Two products with ten orders before and more, one with fewer, in three weeks."""
    return pd.DataFrame(
        {
            "week": [1, 2, 3] * 3,
            "product_orders_before": [10] * 3 + [99] * 3 + [9] * 3,
            "quantity": [5.0, 0, 7, 1, 2, 3, 100, 100, 100],
            "expected_quantity": [4.0, 1, 6, 2, 2, 2, 50, 50, 50],
            "pit": [0.05, 0.1, 0.95, 0.5, 0.9, 0.2, 0.5, 0.5, 0.5],
            "crps": [1.0, 2, 3, 0.5, 0.25, 0.125, 9, 9, 9],
        }
    )


def test_numbers_by_hand():
    table = week_scores(pairs(), product_weeks())
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
    table = week_scores(pairs(), product_weeks())
    of_pairs = [0.5 - 0.2, 0.9, 1 - 0.3]  # ordered in week 2, in week 1, not at all
    assert table.loss.sum() == pytest.approx(-np.log(of_pairs).sum(), abs=1e-5)


def test_a_version_that_says_nothing_of_pairs_has_no_loss():
    table = week_scores(pd.DataFrame(), product_weeks())
    assert table.loss.isna().all()
    assert table.pairs.isna().all()
    assert table.units.tolist() == [106, 102, 110]


def test_certainty_does_not_divide_by_nothing():
    sure = pd.DataFrame({"next_week": [1], "p_order_w1": [1.0], "p_order_w2": [1.0]})
    table = week_scores(sure, product_weeks().query("week < 3"))
    assert np.isfinite(table.loss).all()
    assert table.loss[1] == pytest.approx(-np.log(1e-6))
