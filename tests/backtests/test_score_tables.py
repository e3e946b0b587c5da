"""The two score tables: rules worked out by hand, columns against what they are made of."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import xlogy

from backtests.scores.actuals import Actuals
from backtests.scores.calibration import randomized_pit_draws
from backtests.scores.history import FirstDays, KnownHistory
from backtests.scores.tables import (
    Reality,
    compare_pairs,
    compare_products,
    covered,
    finite_pairs,
    hits,
    score_totals,
    sum_products,
)
from models.pair_conjugate import MODEL
from tests.models.helpers import patterns_of
from toolkit.data.tables import COUNTS, QUANTILES, PairPredictions, ProductDraws
from toolkit.model import Streams

NAN = np.nan


def actuals(next_day, weeks=4) -> Actuals:
    day = np.array(next_day, dtype=float)
    orders = np.zeros((len(day), weeks), dtype=np.int64)
    return Actuals(weeks, day, orders, np.array([1]), np.zeros((1, weeks)))


@pytest.mark.parametrize(
    ("low", "high", "next_day", "expected"),
    [
        (3, 9, 3, 1),
        (3, 9, 9, 1),
        (3, 9, 2, 0),
        (3, 9, 10, 0),
        (3, NAN, 27, NAN),  # beyond reach
        (NAN, NAN, 27, NAN),
        (3, 28, 9, NAN),  # had it come on day 28, nobody would know
        (3, 27, NAN, 0),  # nothing in 28 days: later than day 27
        (3, 28, NAN, NAN),
        (NAN, NAN, NAN, NAN),
    ],
)
def test_covered(low, high, next_day, expected):
    said = covered(np.array([low], float), np.array([high], float), actuals([next_day]))
    assert np.array_equal(said, [expected], equal_nan=True)


def pairs_saying(day, interval) -> PairPredictions:
    n = len(day)
    return PairPredictions(
        p_alive=np.ones(n),
        confidence=np.ones(n),
        expected_interval=np.array(interval, dtype=float),
        open_interval_p=np.ones(n),
        next_order_day=np.array(day, dtype=float),
        next_order_quantiles=np.zeros((n, len(QUANTILES))),
        p_order_by_week=np.zeros((n, 4)),
        expected_orders=np.zeros((n, 4)),
        expected_quantity=np.zeros((n, 4)),
        order_count_p=np.zeros((n, COUNTS)),
    )


@pytest.mark.parametrize(
    ("day", "interval", "next_day", "expected"),
    [
        (10, 4, 13, 1),  # never less than three days
        (10, 4, 14, 0),
        (10, 40, 20, 1),
        (10, 40, 21, 0),
        (10, 40, NAN, 0),
        (24, 4, 25, 1),  # up to day 27, all of which was seen
        (25, 4, 25, NAN),  # day 28 was not: whatever happened, it does not count
        (25, 4, NAN, NAN),
        (24, 15, 25, 1),  # 3.75 days reach into day 27 only
        (NAN, 4, 3, NAN),
    ],
)
def test_hits(day, interval, next_day, expected):
    said = hits(pairs_saying([day], [interval]), actuals([next_day]))
    assert np.array_equal(said, [expected], equal_nan=True)


@pytest.fixture(scope="module")
def known():
    return patterns_of(
        {
            (3, 1): [(-90, 2.0), (-60, 1.0), (-31, 2.0)],
            (3, 2): [(-5, 1.0)],
            (8, 1): [(-21, 4.0), (-14, 4.0), (-7, 4.0)],
        }
    )


def compared(known, weeks=4, horizon=4, change=lambda said: said):
    said = change(MODEL.predict(known, weeks=horizon, draws=400, streams=Streams(1)))
    rng = np.random.default_rng(2)
    happened = Actuals(
        weeks,
        np.array([3.0, NAN, 0.0]),
        np.array([[1, 0, 0, 2], [0, 0, 0, 0], [1, 1, 1, 1]])[:, :weeks],
        np.array([3, 8]),
        rng.integers(0, 9, (2, 4)).astype(float)[:, :weeks],
    )
    history = KnownHistory.of(known, FirstDays.of(known.events))
    truth = Reality(happened, history, rng.random(3), rng.random((2, weeks)))
    return said, truth, *(make(said, truth) for make in (compare_pairs, compare_products))


def test_pairs_say_what_was_said_and_what_happened(known):
    said, truth, (table, broken), _ = compared(known)
    assert not broken
    assert table.customer_id.tolist() == [1, 2, 1]
    assert table.order_count.tolist() == [3, 1, 3]
    assert table.product_orders_before.tolist() == [4, 4, 3]
    assert table.next_week.tolist() == [0, 4, 0]
    assert table.orders.tolist() == [3, 0, 4]
    assert table.ordered_28d.tolist() == [1, 0, 1]
    p, y = said.pairs.p_order_by_week, np.array([0, 4, 0])
    for i in range(3):
        steps = [7 * (p[i, k] - (y[i] <= k)) ** 2 for k in range(4)]
        assert table.crps_next[i] == pytest.approx(sum(steps), rel=1e-6)
        below = p[i, y[i] - 1] if y[i] else 0.0
        above = p[i, y[i]] if y[i] < 4 else 1.0
        assert table.pit_next[i] == pytest.approx(below + truth.u_pairs[i] * (above - below))
        e = said.pairs.expected_orders[i].sum()
        assert table.expected_orders[i] == pytest.approx(e, rel=1e-6)
        up_to = [said.pairs.order_count_p[i, : n + 1].sum() for n in range(COUNTS)]
        median = next(n for n, p_up_to in enumerate(up_to) if p_up_to >= 0.5)
        assert table.absolute_error[i] == abs(median - table.orders[i])
        n = table.orders[i]
        assert table.poisson_deviance[i] == pytest.approx(2 * (xlogy(n, n / e) - n + e), rel=1e-5)
        chance = p[i, 3] if table.ordered_28d[i] else 1 - p[i, 3]
        assert table.log_loss[i] == pytest.approx(-np.log(chance), rel=1e-5)
    assert table.p_order_w4.to_numpy() == pytest.approx(p[:, 3])
    assert table.select_dtypes("float64").empty


def test_product_weeks_say_what_was_said_and_what_happened(known):
    said, truth, _, (table, broken) = compared(known)
    assert not broken
    assert table.product_id.tolist() == [3] * 4 + [8] * 4
    assert table.week.tolist() == [1, 2, 3, 4] * 2
    assert table.product_orders_before.tolist() == [4] * 4 + [3] * 4
    assert table.product_class.tolist()[4:] == ["smooth"] * 4
    assert table.quantity.to_numpy() == pytest.approx(truth.actuals.quantity.ravel())
    for i, (product, week) in enumerate((p, w) for p in (0, 1) for w in range(4)):
        draws, actual = said.products.quantity[product, week], truth.actuals.quantity[product, week]
        assert table.q90[i] == pytest.approx(np.quantile(draws, 0.9))
        u = truth.u_weeks[product, week]
        pit = randomized_pit_draws(draws[None], np.array([actual]), np.array([u]))
        assert table.pit[i] == pytest.approx(pit[0])
        spread = np.abs(draws[:, None] - draws[None, :]).mean()
        crps = np.abs(draws - actual).mean() - spread / 2
        assert table.crps[i] == pytest.approx(crps, rel=1e-4)


def test_totals_are_sums_draw_by_draw(known):
    said, truth, *_ = compared(known)
    table = score_totals(sum_products(said, truth))
    assert table.week.tolist() == [1, 2, 3, 4]
    assert table.quantity.to_numpy() == pytest.approx(truth.actuals.quantity.sum(axis=0))
    expected = said.products.expected_quantity.sum(axis=0)
    assert table.expected_quantity.to_numpy() == pytest.approx(expected)
    for week in range(4):
        draws = said.products.quantity[:, week].astype(float).sum(axis=0)
        actual = truth.actuals.quantity[:, week].sum()
        assert table.q90[week] == pytest.approx(np.quantile(draws, 0.9))
        midway = ((draws < actual).sum() + (draws <= actual).sum()) / 2
        assert table.pit[week] == pytest.approx(midway / len(draws), abs=1.01 / len(draws))


def test_products_that_are_no_numbers_count_on_neither_side_of_a_total(known):
    def without_the_first(said):
        quantity = said.products.quantity.copy()
        quantity[0, 1, 3] = np.nan
        return replace(said, products=replace(said.products, quantity=quantity))

    said, truth, *_ = compared(known, change=without_the_first)
    table = score_totals(sum_products(said, truth))
    assert table.quantity.to_numpy() == pytest.approx(truth.actuals.quantity[1])
    expected = said.products.expected_quantity[1]
    assert table.expected_quantity.to_numpy() == pytest.approx(expected)


def test_weeks_that_are_not_over_are_not_scored(known):
    """What the whole horizon or 28 days would decide is NaN, everything else is there."""
    said, _, (pairs, _), (weeks, _) = compared(known, weeks=2)
    said_by_week = [column for column in pairs if column.startswith("p_order_w")]
    assert said_by_week == ["p_order_w1", "p_order_w2"]
    later = ["crps_orders", "absolute_error", "p_order_28d", "ordered_28d", "log_loss", "brier"]
    assert pairs[later].isna().all(axis=None)
    assert pairs.next_week.tolist() == [0, 2, 0]
    assert pairs.orders.tolist() == [1, 0, 2]
    two = said.pairs.expected_orders[:, :2].sum(axis=1)
    assert pairs.expected_orders.to_numpy() == pytest.approx(two)
    assert weeks.week.tolist() == [1, 2, 1, 2]
    assert weeks.expected_quantity.to_numpy() == pytest.approx(
        said.products.expected_quantity[:, :2].ravel()
    )


def test_counts_are_scored_over_the_whole_horizon_only(known):
    _, _, (pairs, _), _ = compared(known, weeks=4, horizon=4)
    assert pairs.crps_orders.notna().all()
    _, _, (pairs, _), _ = compared(known, weeks=4, horizon=5)
    assert pairs.crps_orders.isna().all()
    assert pairs.log_loss.notna().all()


def test_what_is_not_finite_is_left_out_and_told(known):
    def broken(said):
        said.pairs.expected_orders[1, 2] = NAN
        said.products.quantity[0, 1, 5] = NAN
        return said

    _, truth, (pairs, pairs_told), (weeks, weeks_told) = compared(known, change=broken)
    assert pairs_told == ["customer 2 of product 3: the prediction is not finite"]
    assert pairs.customer_id.tolist() == [1, 1]
    assert pairs.orders.tolist() == [3, 4]
    assert weeks_told == ["product 3: the prediction is not finite"]
    assert weeks.product_id.unique().tolist() == [8]
    assert weeks.quantity.to_numpy() == pytest.approx(truth.actuals.quantity[1])


def test_a_version_may_leave_out_what_it_does_not_know():
    said = pairs_saying([10, 11], [4, 4])
    said.p_alive[0] = said.confidence[0] = NAN
    assert finite_pairs(said).all()


def test_draws_of_one_product_do_not_move_when_another_is_left_out(known):
    def broken(said):
        said.products.quantity[0] = NAN
        return said

    _, _, _, (whole, _) = compared(known)
    _, _, _, (part, _) = compared(known, change=broken)
    whole = whole[whole.product_id == 8].reset_index(drop=True)
    assert part.drop(columns="product_class").equals(whole.drop(columns="product_class"))
    assert isinstance(compared(known)[0].products, ProductDraws)
