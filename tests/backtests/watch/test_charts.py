"""Charts: sums by hand, what the backtest promises, how soon and how rarely they sound."""

import numpy as np
import pandas as pd
import pytest

from backtests.watch.charts import (
    BIAS,
    CENTURY_WEEKS,
    CHARTS,
    LEVEL,
    PAIRS,
    REVISION,
    Chart,
    Promise,
    Revision,
    promise_of_revisions,
    promise_of_weeks,
    revisions,
    sums,
    values_of,
)
from backtests.watch.judge import state_of_revisions

MONDAY = pd.Timestamp("2024-01-01")


def weeks_later(weeks: int) -> pd.Timestamp:
    return MONDAY + pd.Timedelta(weeks=weeks)


def table(**columns) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    known = {"as_of_date": [weeks_later(4 * i) for i in range(rows)], "week": [1] * rows}
    blank = dict.fromkeys(
        (
            "units", "expected_units", "crps", "root_crps", "product_weeks", "held", "loss",
            "pairs", "ordered", "expected_pairs",
        ),
        [1.0] * rows,
    )  # fmt: skip
    return pd.DataFrame(known | blank | columns)


def test_a_sum_by_hand():
    z = np.array([0.5, 2.0, 1.5, -3.0, np.nan, 20.0])
    assert sums(PAIRS, z, 5.0).tolist() == [0.0, 1.0, 1.5, 0.0, 0.0, 7.0]
    assert sums(LEVEL, z, 5.0).tolist() == [0.0, 1.0, 1.5, 2.0, 2.0, 7.0]


def test_an_alarm_ends_soon_after_its_cause():
    """As half the orders were missing once: a jump of 200 deviations, and a jump back."""
    z = np.array([-200.0, 200.0, *[0.0] * 8])
    total = sums(REVISION, z, 5.0)
    assert total[:3].tolist() == [13.0, 13.0, 12.0]
    assert total[-1] == 5.0


def test_values_are_logs_of_ratios():
    own = table(units=[2.0, 0.0], expected_units=[1.0, 1.0], loss=[3.0, 1.0], held=[0.5, 1.0])
    other = table(
        loss=[6.0, 1.0], root_crps=[2.0, 1.0], expected_units=[4.0, 1.0], expected_pairs=[0.5, 1.0]
    ).iloc[:1]
    values = values_of(own, other)
    assert values[LEVEL.name].tolist() == pytest.approx([np.log(2.0), np.log(0.01)])
    assert values[PAIRS.name].tolist() == pytest.approx([np.log(0.5), np.nan], nan_ok=True)
    assert values["units"].tolist() == pytest.approx([2 * np.log(0.5), np.nan], nan_ok=True)
    assert values["units_off"].tolist() == pytest.approx([np.log(0.5), np.nan], nan_ok=True)
    assert values["orders_off"].tolist() == pytest.approx([np.log(2.0), np.nan], nan_ok=True)
    assert values["bias"].equals(values[LEVEL.name])
    assert values["held"].tolist() == [0.5, 1.0]
    alone = values_of(own, None)
    assert alone[PAIRS.name].isna().all()
    assert alone[LEVEL.name].equals(values[LEVEL.name])


def test_revisions_compare_the_weeks_that_both_forecasts_have():
    expected = {
        weeks_later(0): np.array([10.0, 20.0, 30.0]),
        weeks_later(1): np.array([22.0, 33.0, 40.0]),
        weeks_later(3): np.array([80.0, 1.0, 1.0]),
        weeks_later(3) + pd.Timedelta(days=3): np.array([9.0, 9.0, 9.0]),  # not whole weeks later
        weeks_later(9) + pd.Timedelta(days=3): np.array([9.0, 9.0, 9.0]),  # no week in common
    }
    assert revisions(expected) == [
        (weeks_later(1), 1, pytest.approx(np.log(1.1))),
        (weeks_later(3), 2, pytest.approx(np.log(2.0))),
    ]


def test_revisions_over_more_weeks_may_be_wider():
    moves = [Revision(weeks_later(4 * i), 4, 0.04 + 0.02 * (-1) ** i) for i in range(8)]
    promise = promise_of_revisions(moves)
    assert promise is not None
    assert promise.mean == pytest.approx(0.01)
    assert promise.deviation == pytest.approx(0.01 * np.sqrt(8 / 7))
    z = promise.standardized(np.array([0.02, 0.06]), np.array([1.0, 4.0]))
    assert z.tolist() == pytest.approx([np.sqrt(7 / 8), np.sqrt(7 / 8)])


def promise(seed: int = 1, weeks: int = 48, chart: Chart = LEVEL) -> Promise:
    values = np.random.default_rng(seed).normal(0.0, 0.1, (weeks // 4, 4))
    found = promise_of_weeks(chart, list(values))
    assert found is not None
    return found


def test_a_shift_of_three_deviations_sounds_within_five_weeks():
    known = promise()
    z = known.standardized(np.full(5, known.mean + 3.0 * known.deviation), np.ones(5))
    assert (sums(LEVEL, z, known.limit) > known.limit).any()
    assert (sums(LEVEL, -z, known.limit) > known.limit).any()


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_is_said():
    """Of 100 backtests of 48 Gaussian weeks each, a century more: without an alarm of one chart in
    a share of e^(-1/7) = .87 of them or more, so that seven charts sound once in a century at most,
    less four standard errors (.14); seeds are fixed."""
    rng = np.random.default_rng(0)
    quiet = 0
    for seed in range(100):
        known = promise(seed)
        z = known.standardized(rng.normal(0.0, 0.1, CENTURY_WEEKS), np.ones(CENTURY_WEEKS))
        quiet += not (sums(LEVEL, z, known.limit) > known.limit).any()
    assert quiet / 100 > np.exp(-1 / 7) - 0.14


@pytest.mark.slow
def test_a_control_does_not_make_false_alarms_more_frequent():
    """The same of values of which 48 weeks tell how they follow their control."""
    rng = np.random.default_rng(1)

    def weeks(count):
        control = rng.normal(0.0, 0.2, count)
        return 0.5 * control + rng.normal(0.0, 0.05, count), control

    quiet = 0
    for _ in range(100):
        value, control = (part.reshape(12, 4) for part in weeks(48))
        known = promise_of_weeks(BIAS, list(value), list(control))
        assert known is not None
        z = known.standardized(known.steadied(*weeks(CENTURY_WEEKS)), np.ones(CENTURY_WEEKS))
        quiet += not (sums(BIAS, z, known.limit) > known.limit).any()
    assert quiet / 100 > np.exp(-1 / 7) - 0.14


def test_a_jump_between_forecasts_sounds_at_once():
    """Nothing was ordered in between that one week could be blamed for."""
    moves = [Revision(weeks_later(i), 1, 0.01 * (-1) ** i) for i in range(12)]
    known = promise_of_revisions(moves)
    assert known is not None
    z = known.standardized(np.array([0.0, np.log(0.5)]), np.ones(2))
    assert (sums(REVISION, z, known.limit) > known.limit).tolist() == [False, True]
    assert (sums(LEVEL, z, known.limit) > known.limit).tolist() == [
        False,
        False,
    ]  # of one week of outcomes


def test_a_week_without_any_order_counts_against():
    """Nothing was ordered where a thousand units were expected: no week is further off."""
    known = promise()
    quiet = values_of(table(units=[0.0] * 3, expected_units=[1000.0] * 3), None)[LEVEL.name]
    assert (sums(LEVEL, known.standardized(quiet, np.ones(3)), known.limit) > known.limit).any()


def test_first_revisions_that_sounded_are_not_what_is_usual():
    known = promise_of_revisions([Revision(weeks_later(i), 1, 0.01 * (-1) ** i) for i in range(12)])
    calm = [Revision(weeks_later(i), 1, 0.002 * (-1) ** i) for i in range(13)]
    state = state_of_revisions(calm, known)
    assert (state.weeks, state.usual[1]) == (1, pytest.approx(1.002, abs=1e-4))
    jumped = [*calm[:9], Revision(weeks_later(9), 1, np.log(0.5)), *calm[10:]]
    state = state_of_revisions(jumped, known)
    assert state.since == weeks_later(9).date()
    assert (state.weeks, state.limit) == (13, known.limit)


def test_too_few_weeks_promise_nothing():
    values = np.random.default_rng(1).normal(size=(5, 4))
    assert promise_of_weeks(LEVEL, list(values)) is None
    assert promise_of_revisions([Revision(weeks_later(i), 1, 0.1 * i) for i in range(5)]) is None
    assert promise_of_weeks(LEVEL, [np.ones(4)] * 12) is None  # no week differs


def test_a_control_takes_out_what_the_reference_did_not_expect_either():
    """Values that follow their control but for a tenth; a week beyond all is as the furthest."""
    rng = np.random.default_rng(3)
    control = rng.normal(0.0, 0.2, (12, 4))
    values = 0.05 + 0.5 * control + rng.normal(0.0, 0.01, (12, 4))
    alone = promise_of_weeks(BIAS, list(values))
    found = promise_of_weeks(BIAS, list(values), list(control))
    assert found is not None
    assert alone is not None
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.deviation < alone.deviation / 5
    assert found.mean == pytest.approx(values.mean())
    usual, far = control.mean(), control.max()
    given = np.array([usual, far, 9.0, np.nan])
    steady = found.steadied(0.05 + found.slope * (given - usual), given)
    assert steady[:2] == pytest.approx(0.05)
    assert steady[2] == pytest.approx(0.05 + found.slope * (9.0 - far))
    assert np.isnan(steady[3])
    level = promise_of_weeks(BIAS, list(values), [np.ones(4)] * 12)
    assert level == alone  # nothing was off


def test_a_weeks_own_part_in_the_slope_counts_against_it():
    """By hand: of six weeks off by ±1 and two by 0, each holds a sixth of the slope or nothing."""
    control = np.array([1.0, -1, 1, -1, 0, 1, -1, 0] * 3)
    values = np.array([1.0, 0, 0, 0, 0, 0, 0, 0] * 3)
    found = promise_of_weeks(BIAS, list(values.reshape(6, 4)), list(control.reshape(6, 4)))
    slope = 3 / 18
    left = (values - 1 / 8 - slope * control) / (1 - control**2 / 18)
    assert found is not None
    assert found.slope == pytest.approx(slope)
    assert found.deviation == pytest.approx(left.std(ddof=1))


def test_weeks_that_are_not_known_are_left_out():
    values = np.random.default_rng(1).normal(size=(12, 4))
    with_gaps = [*values, np.full(4, np.nan), np.array([1.0, np.nan, 2.0, 3.0]), np.ones(3)]
    assert promise_of_weeks(LEVEL, with_gaps) == promise_of_weeks(LEVEL, list(values))


def test_fewer_weeks_make_a_wider_limit():
    few = np.mean([promise(seed, weeks=24).limit for seed in range(3)])
    assert few > promise(weeks=480).limit


def test_names_are_told_apart():
    assert len({chart.name for chart in CHARTS}) == len(CHARTS)
    assert REVISION in CHARTS
