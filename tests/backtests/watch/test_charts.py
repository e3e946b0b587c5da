"""Charts of weeks: sums by hand, what is promised, how soon and how rarely they sound."""

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
    UNITS,
    Chart,
    Promise,
    promise_of_weeks,
    sums,
    values_of,
)

MONDAY = pd.Timestamp("2024-01-01")


def weeks_later(weeks: int) -> pd.Timestamp:
    return MONDAY + pd.Timedelta(weeks=weeks)


def table(**columns) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    known = {"as_of_date": [weeks_later(4 * i) for i in range(rows)], "week": [1] * rows}
    blank = dict.fromkeys(
        (
            "units", "expected_units", "crps", "root_crps", "product_weeks", "held", "loss",
            "pairs", "ordered", "expected_pairs", "past_units", "year_units", "past_root_crps",
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
    total = sums(LEVEL, z, 5.0)
    assert total[:3].tolist() == [7.0, 7.0, 6.0]
    assert total[-1] == 0.0
    stood = sums(LEVEL, np.array([-8.0] * 9 + [0.0] * 8), 5.0)
    assert stood[8] == 13.0  # no higher
    assert stood[-1] == 5.0


def test_values_are_logs_of_ratios():
    own = table(
        units=[2.0, 0.0], expected_units=[1.0, 1.0], loss=[3.0, 1.0], held=[0.5, 1.0],
        past_units=[4.0, 1.0], year_units=[8.0, 0.0], past_root_crps=[2.0, np.nan],
    )  # fmt: skip
    other = table(loss=[6.0, 1.0], expected_pairs=[0.5, 1.0]).iloc[:1]
    values = values_of(own, other)
    assert values[LEVEL.name].tolist() == pytest.approx([np.log(2.0), np.log(0.01)])
    assert values[PAIRS.name].tolist() == pytest.approx([np.log(0.5), np.nan], nan_ok=True)
    assert values["orders_off"].tolist() == pytest.approx([np.log(2.0), np.nan], nan_ok=True)
    assert values["units"].tolist() == pytest.approx([2 * np.log(0.5), np.nan], nan_ok=True)
    assert values["units_off"].tolist() == pytest.approx([np.log(0.5), np.log(0.01)])
    assert values["year_off"].tolist() == pytest.approx([np.log(0.25), np.nan], nan_ok=True)
    assert values["bias"].equals(values[LEVEL.name])
    assert values["held"].tolist() == [0.5, 1.0]
    alone = values_of(own, None)
    assert alone[PAIRS.name].isna().all()
    assert alone.drop(columns=["pairs", "orders_off"]).equals(
        values.drop(columns=["pairs", "orders_off"])
    )


def promise(seed: int = 1, weeks: int = 48, chart: Chart = LEVEL) -> Promise:
    values = np.random.default_rng(seed).normal(0.0, 0.1, (weeks // 4, 4))
    found = promise_of_weeks(chart, list(values))
    assert found is not None
    return found


def test_a_shift_of_three_deviations_sounds_within_five_weeks():
    known = promise()
    z = known.standardized(np.full(5, known.mean + 3.0 * known.deviation))
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
        z = known.standardized(rng.normal(0.0, 0.1, CENTURY_WEEKS))
        quiet += not (sums(LEVEL, z, known.limit) > known.limit).any()
    assert quiet / 100 > np.exp(-1 / 7) - 0.14


@pytest.mark.slow
def test_controls_do_not_make_false_alarms_more_frequent():
    """The same of values of which 48 weeks tell how they follow their two controls."""
    rng = np.random.default_rng(1)

    def weeks(count):
        controls = rng.normal(0.0, 0.2, (2, count))
        return 0.5 * controls[0] + 0.4 * controls[1] + rng.normal(0.0, 0.05, count), controls

    quiet = 0
    for _ in range(100):
        value, controls = weeks(48)
        known = promise_of_weeks(BIAS, np.split(value, 12), np.split(controls, 12, axis=1))
        assert known is not None
        z = known.standardized(known.steadied(*weeks(CENTURY_WEEKS)))
        quiet += not (sums(BIAS, z, known.limit) > known.limit).any()
    assert quiet / 100 > np.exp(-1 / 7) - 0.14


def test_a_week_without_any_order_counts_against():
    """Nothing was ordered where a thousand units were expected: no week is further off."""
    known = promise()
    quiet = values_of(table(units=[0.0] * 3, expected_units=[1000.0] * 3), None)[LEVEL.name]
    assert (sums(LEVEL, known.standardized(quiet), known.limit) > known.limit).any()


def test_too_few_weeks_promise_nothing():
    values = np.random.default_rng(1).normal(size=(5, 4))
    assert promise_of_weeks(LEVEL, list(values)) is None
    assert promise_of_weeks(LEVEL, [np.ones(4)] * 12) is None  # no week differs


def of_blocks(*controls):
    """[blocks, weeks] each: as ``promise_of_weeks`` takes them."""
    return list(np.stack(controls, axis=1))


def test_controls_take_out_what_nobody_expected():
    """Values that follow two controls but for a tenth; a week beyond all is as the furthest."""
    rng = np.random.default_rng(3)
    one, other = rng.normal(0.0, 0.2, (2, 12, 4))
    values = 0.05 + 0.5 * one - 0.3 * other + rng.normal(0.0, 0.01, (12, 4))
    alone = promise_of_weeks(BIAS, list(values))
    found = promise_of_weeks(BIAS, list(values), of_blocks(one, other))
    assert found is not None
    assert alone is not None
    assert found.slopes == pytest.approx((0.5, -0.3), abs=0.05)
    assert found.deviation < alone.deviation / 5
    assert found.mean == pytest.approx(values.mean())
    usual, far, slope = one.mean(), one.max(), found.slopes[0]
    given = np.array([usual, far, 9.0, np.nan])
    level = np.full(4, other.mean())
    steady = found.steadied(0.05 + slope * (given - usual), [given, level])
    assert steady[:2] == pytest.approx(0.05)
    assert steady[2] == pytest.approx(0.05 + slope * (9.0 - far))
    assert np.isnan(steady[3])


@pytest.mark.parametrize("missing", [np.ones((12, 4)), np.diag([np.nan, *[1.0] * 11])[:, :4]])
def test_a_control_that_tells_nothing_or_is_missing_in_a_week_is_left_out(missing):
    """As the same week a year before is where the backtest began in the first year."""
    rng = np.random.default_rng(3)
    control = rng.normal(0.0, 0.2, (12, 4))
    values = 0.5 * control + rng.normal(0.0, 0.01, (12, 4))
    single = promise_of_weeks(BIAS, list(values), of_blocks(control))
    found = promise_of_weeks(BIAS, list(values), of_blocks(control, missing))
    assert found is not None
    assert single is not None
    assert found.slopes == pytest.approx((single.slopes[0], 0.0))
    assert (found.limit, found.deviation) == pytest.approx((single.limit, single.deviation))
    week, nothing = np.array([0.1]), np.array([np.nan])
    assert found.steadied(week, [week, nothing]) == pytest.approx(single.steadied(week, [week]))


def test_a_weeks_own_part_in_the_slope_counts_against_it():
    """By hand: of six weeks off by ±1 and two by 0, each holds a sixth of the slope or nothing."""
    control = np.array([1.0, -1, 1, -1, 0, 1, -1, 0] * 3)
    values = np.array([1.0, 0, 0, 0, 0, 0, 0, 0] * 3)
    found = promise_of_weeks(BIAS, list(values.reshape(6, 4)), of_blocks(control.reshape(6, 4)))
    slope = 3 / 18
    left = (values - 1 / 8 - slope * control) / (1 - control**2 / 18)
    assert found is not None
    assert found.slopes == pytest.approx((slope,))
    assert found.deviation == pytest.approx(left.std(ddof=1))


def test_weeks_that_are_not_known_are_left_out():
    values = np.random.default_rng(1).normal(size=(12, 4))
    with_gaps = [*values, np.full(4, np.nan), np.array([1.0, np.nan, 2.0, 3.0]), np.ones(3)]
    assert promise_of_weeks(LEVEL, with_gaps) == promise_of_weeks(LEVEL, list(values))


def test_no_single_week_decides():
    """Not even where all weeks of the backtest lay on the other side of their mean."""
    values = np.where(np.arange(48) % 8 == 0, -0.3, 0.04).reshape(12, 4)
    known = promise_of_weeks(UNITS, list(values))
    assert known is not None
    assert not (sums(UNITS, np.array([99.0]), known.limit) > known.limit).any()
    assert (sums(UNITS, np.array([99.0, 1.5]), known.limit) > known.limit).tolist() == [False, True]


def test_fewer_weeks_make_a_wider_limit():
    few = np.mean([promise(seed, weeks=24).limit for seed in range(3)])
    assert few > promise(weeks=480).limit


def test_names_are_told_apart():
    assert len({chart.name for chart in CHARTS}) == len(CHARTS)
    assert REVISION in CHARTS
