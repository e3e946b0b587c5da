"""Revisions: by hand, what is known of them, when they sound, and how rarely by chance."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtests.watch.charts import CENTURY_WEEKS, CHARTS
from backtests.watch.revisions import (
    ALONE,
    CHANCE,
    DEGREES,
    FEWEST,
    LIMIT,
    STANDS,
    Revision,
    Usual,
    limit_of,
    revisions,
    state_of_revisions,
    usual_of,
)

MONDAY = pd.Timestamp("2024-01-01")


def weeks_later(weeks: int) -> pd.Timestamp:
    return MONDAY + pd.Timedelta(weeks=weeks)


def of_moves(moves, gap=1) -> list[Revision]:
    return [Revision(weeks_later(gap * i), gap, move) for i, move in enumerate(moves)]


def gaussian(count, seed, gap=1, deviation=0.01) -> list[Revision]:
    rng = np.random.default_rng(seed)
    return of_moves((deviation * np.sqrt(gap) * rng.standard_normal(count)).tolist(), gap)


def earlier(found) -> list[Revision]:
    """The same, of the two years before."""
    return [one._replace(as_of_date=one.as_of_date - pd.Timedelta(weeks=104)) for one in found]


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


def test_usual_by_hand_and_over_more_weeks_wider():
    """Four weeks apart: drift 0.01 a week, 0.02 off in four, so 0.01 in one."""
    usual = Usual.of([Revision(weeks_later(4 * i), 4, 0.04 + 0.02 * (-1) ** i) for i in range(12)])
    assert usual is not None
    assert usual.mean == pytest.approx(0.01)
    assert usual.deviation == pytest.approx(0.01 * np.sqrt(12 / 11))
    assert (usual.weeks, usual.degrees) == (48, 11)
    for gap in (1, 4):
        move = 0.01 * gap + 3 * usual.deviation * np.sqrt(gap * (1 + gap / 48))
        assert usual.off(Revision(MONDAY, gap, move)) == pytest.approx(3.0)


def test_few_revisions_count_for_less():
    few = Usual.of(of_moves([0.01, -0.01] * 3))
    assert few is not None
    found = few.off(Revision(MONDAY, 1, 0.1))
    plain = 0.1 / (few.deviation * np.sqrt(1 + 1 / 6))
    assert found == pytest.approx(plain * LIMIT / limit_of(5))
    assert found < plain / 1.9
    assert Usual.of(of_moves([0.01, -0.01] * 3)[: FEWEST - 1]) is None
    for count in (9, 10, 22):  # none differs but by rounding
        assert Usual.of(of_moves([0.01] * count)) is None


def test_the_limit_is_as_rare_as_is_said():
    """Once in a century in all charts, with tails as of Student's with ten degrees of freedom."""
    assert pytest.approx(1 / CENTURY_WEEKS) == CHANCE * len(CHARTS)
    assert 2 * stats.t.sf(LIMIT, DEGREES) == pytest.approx(CHANCE)


@pytest.mark.parametrize("gap", [1, 4])
def test_ten_percent_too_high_sound_at_the_next_forecast(gap):
    """With the revisions of twelve dates of a backtest, and none of the watch."""
    for seed in range(20):
        before = earlier(gaussian(11, seed, gap, deviation=0.006))
        quiet = state_of_revisions(of_moves([0.006]), before)
        loud = state_of_revisions(of_moves([0.006, np.log(1.1)]), before)
        assert (quiet.alarm, loud.since) == (False, weeks_later(1).date()), seed
        assert loud.limit == LIMIT


def test_an_alarm_stands_for_four_forecasts_and_is_not_usual():
    calm = [0.002, -0.002] * 8
    before = earlier(gaussian(11, 1))
    jumped = of_moves([*calm, np.log(0.5), np.log(2.0), *calm])
    states = [state_of_revisions(jumped[: i + 1], before) for i in range(len(jumped))]
    jump = len(calm)
    stood = [i for i, state in enumerate(states) if state.alarm]
    assert stood == [*range(jump, jump + 1 + STANDS)]
    assert {states[i].since for i in stood} == {weeks_later(jump).date()}
    assert states[-1].sounded
    assert states[-1].usual == pytest.approx(states[jump - 1].usual, abs=1e-3)
    assert states[-1].weeks == len(jumped)


def test_a_backtest_s_count_beside_those_of_the_watch_unless_they_are_wider():
    """Fits anew at each date move forecasts more than one fit does."""
    wide, alike, own = (gaussian(ALONE, 1, deviation=d) for d in (0.05, 0.003, 0.002))
    jump = Revision(weeks_later(ALONE), 1, 0.05)
    assert not state_of_revisions([*own[1:], jump], earlier(wide)).alarm
    assert state_of_revisions([*own, jump], earlier(wide)).alarm
    assert usual_of(own, wide) == Usual.of(own)
    assert usual_of(own, alike) == Usual.of([*alike, *own])
    many = gaussian(60, 2)
    assert usual_of(many, alike) == Usual.of(many[-52:])


def test_a_backtest_run_during_the_watch_does_not_make_its_jump_usual():
    """It has the watch's dates, too, and the same jump at one of them."""
    before, own = earlier(gaussian(20, 4)), gaussian(8, 5)
    moves = [*own, Revision(weeks_later(8), 1, 0.3)]
    alone = state_of_revisions(moves, before)
    assert alone.alarm
    assert state_of_revisions(moves, [*before, *moves]) == alone


def test_no_revision_where_a_week_s_units_are_unknown():
    """As in tables of an earlier toolkit."""
    known, unknown = np.array([1.0, 2.0, 3.0]), np.full(3, np.nan)
    for first, second in ((known, unknown), (unknown, known)):
        assert revisions({weeks_later(0): first, weeks_later(1): second}) == []


def test_without_a_backtest_the_watch_learns_by_itself():
    moves = gaussian(FEWEST + 1, 3)
    assert state_of_revisions(moves[: FEWEST - 1], []).limit is None
    assert state_of_revisions(moves, []).limit == LIMIT
    assert state_of_revisions([], []).value is None
    jump = Revision(weeks_later(FEWEST), 1, 0.5)
    assert state_of_revisions([*moves[:FEWEST], jump], []).alarm


@pytest.mark.slow
def test_chance_alone_sounds_as_rarely_as_is_said():
    """One more after eleven is Student's t with ten degrees of freedom: it is beyond what one in a
    hundred is in that share of 20,000 trials, give or take four standard errors; the seed is fixed.
    """
    rng = np.random.default_rng(0)
    n, known = 20_000, 11
    bound, share = stats.t.isf(5e-3, DEGREES), 1e-2
    beyond = 0
    for moves in rng.normal(0.003, 0.01, (n, known + 1)).tolist():
        *before, new = of_moves(moves)
        usual = Usual.of(before)
        assert usual is not None
        beyond += abs(usual.off(new)) > bound
    assert beyond / n == pytest.approx(share, abs=4 * np.sqrt(share / n))
