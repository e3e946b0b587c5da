"""The season: recovered where there is one, and none found where there is none."""

from dataclasses import astuple, replace
from datetime import date, timedelta
from math import cos, exp, log, pi, sin, sqrt

import numpy as np
import pytest

from models.parts.rhythm.season import Season
from models.parts.rhythm.weeks_ahead import Backcast, WeeksAhead
from models.parts.special_days import NO_SPECIAL_DAYS, SpecialDays
from toolkit.data.calendar import Calendar

AS_OF = date(2024, 3, 4)
THREE_YEARS = 157  # weeks
AHEAD = np.arange(365)
SWING, DIP = 0.25, -0.6


def days_from_year_end(day):
    ends = (date(day.year + i, 12, 27) for i in (-1, 0, 1))
    return min(abs((day - end).days) for end in ends)


def true_level(days, as_of=AS_OF):
    """A sine over the year and a dip at its end, on the log scale, [days]."""
    dates = [as_of + timedelta(int(day)) for day in days]
    sine = [sin(2 * pi * day.timetuple().tm_yday / 365.25) for day in dates]
    dip = [max(0.0, 1 - days_from_year_end(day) / 9) for day in dates]
    return SWING * np.array(sine) + DIP * np.array(dip)


def flat(days, as_of=AS_OF):
    return np.zeros(len(days))


MANY = 10_000
"""Orders a week where the season has to be found: their noise is a fifth of that of 400."""


def order_days(level, seed=0, weeks=THREE_YEARS, per_week=400, growth=0.0, as_of=AS_OF):
    """The days of drawn orders; ``growth`` of the log level in a year."""
    days = -np.arange(1, 7 * weeks + 1)
    rate = per_week / 7 * np.exp(level(days, as_of) + growth * days / 365)
    return np.repeat(days, np.random.default_rng(seed).poisson(rate))


def largest(season, as_of=AS_OF):
    """The largest effect on any day of a year."""
    return np.abs(season.log_level(as_of, AHEAD)).max()


@pytest.mark.parametrize("seed", range(3))
def test_a_known_season_is_recovered(seed, seeded):
    found = Season.of(order_days(true_level, seeded(seed), per_week=MANY), AS_OF).log_level(
        AS_OF, AHEAD
    )
    truth = true_level(AHEAD)
    off = found - truth
    assert np.std(off) < 0.03
    year_end = (date(2024, 12, 27) - AS_OF).days
    dip, true_dip = (level[year_end] - level[year_end - 20] for level in (found, truth))
    assert dip == pytest.approx(true_dip, abs=0.15)


@pytest.mark.parametrize("weekday", range(7))
def test_the_dip_lies_where_it_was_whatever_weekday_is_today(weekday, seeded):
    as_of = AS_OF + timedelta(weekday)
    found = Season.of(order_days(true_level, seeded(0), per_week=MANY, as_of=as_of), as_of)
    lowest = as_of + timedelta(int(np.argmin(found.log_level(as_of, AHEAD))))
    assert days_from_year_end(lowest) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_where_there_is_no_season_none_is_found(seed, seeded):
    assert largest(Season.of(order_days(flat, seeded(seed), per_week=MANY), AS_OF)) < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_a_trend_is_not_taken_for_a_season(seed, seeded):
    """Orders that grow fourfold in three years."""
    found = Season.of(order_days(flat, seeded(seed), per_week=MANY, growth=log(4) / 3), AS_OF)
    assert largest(found) < 0.1


def test_a_history_of_less_than_eight_weeks_has_none():
    assert Season.of(order_days(true_level, weeks=7), AS_OF).effects.tolist() == [0.0] * 9
    assert Season.of(order_days(true_level, weeks=8), AS_OF).effects.any()
    assert Season.of(np.zeros(0, dtype=np.int64), AS_OF).effects.tolist() == [0.0] * 9


def test_a_short_history_says_little(seeded):
    """Twenty weeks of summer say nothing of the year's end."""
    autumn = date(2023, 10, 2)
    found = Season.of(order_days(true_level, seeded(0), weeks=20, as_of=autumn), autumn)
    assert largest(found, autumn) < 0.25
    assert abs(found.effects[-1]) < 0.01


@pytest.mark.parametrize("back", [20, 60, 100])
def test_one_week_of_twenty_times_the_orders_moves_it_little(back, seeded):
    days = order_days(true_level, seeded(0))
    of_week = days[(-1 - days) // 7 == back]
    before = Season.of(days, AS_OF).log_level(AS_OF, AHEAD)
    after = Season.of(np.append(days, np.tile(of_week, 19)), AS_OF).log_level(AS_OF, AHEAD)
    moved = np.sort(abs(after - before))
    assert 0 < moved[-1] < 0.15  # the same week of next year
    assert moved[-8] < 0.03


def slow_season(days, as_of):
    """Least squares with a row per week and one per prior, six times, weighted anew.

    Returns the effects as ``Season`` has them, and what is left of each week, the last first.
    """
    weeks = -int(min(days)) // 7
    rows, counts = [], []
    for back in range(weeks, 0, -1):
        first = -7 * back
        counts.append(0.5 + sum(first <= day < first + 7 for day in days))
        knots = range(4, weeks, 4)
        steps = [min(max((weeks - back - knot + 2) / 4, 0), 1) for knot in knots]
        of_week = [float((back - 1) % 52 == week) for week in range(52)]
        rows.append([1.0, *day_columns(as_of + timedelta(first + 3)), *of_week, *steps])
    fixed = [1000.0, *(0.15 / sqrt(k) for k in (1, 2, 3, 4) for _ in "sc"), 0.7]
    steps = [0.06] * (len(rows[0]) - len(fixed) - 52)
    weight, log_counts = np.ones(weeks), np.log(counts)
    noise = sqrt(0.0064 + 1 / np.mean(counts))
    of_weeks = [0.05] * 52
    for _ in range(6):
        prior = np.diag(1 / np.array([*fixed, *of_weeks, *steps]))
        root = np.sqrt(weight) / noise
        design = np.vstack([np.array(rows) * root[:, None], prior])
        wanted = np.append(log_counts * root, np.zeros(len(prior)))
        effects = np.linalg.lstsq(design, wanted)[0]
        left = log_counts - np.array(rows) @ effects
        weight = np.array([1.0 if abs(x) <= 2.5 * noise else 2.5 * noise / abs(x) for x in left])
        of_weeks = [sqrt((0.05**2 + effect**2) / 2) for effect in effects[10:62]]
    shown = [x * 0.0064 / (0.0064 + 1 / n) for x, n in zip(left, counts, strict=True)]
    return effects[1:10], effects[10:62], shown[::-1]


def day_columns(day):
    years = (day - date(2000, 12, 27)).days / 365.2425
    phase = 2 * pi * years
    waves = [sin(k * phase) for k in (1, 2, 3, 4)] + [cos(k * phase) for k in (1, 2, 3, 4)]
    return [*waves, max(0.0, 1 - 365.2425 * abs(years - round(years)) / 9)]


@pytest.mark.parametrize(("weeks", "as_of"), [(9, AS_OF), (61, date(2024, 1, 2))])
def test_effects_against_a_slow_twin(weeks, as_of):
    days = order_days(true_level, weeks=weeks, per_week=30, as_of=as_of)
    days = days[days > 3 - 7 * weeks]  # a week that is not whole does not count
    days = np.append(days, np.full(200, -30))
    found = Season.of(days, as_of)
    slow = slow_season(days.tolist(), as_of)
    for array, twin in zip((found.effects, found.weeks, found.observed), slow, strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-8, atol=1e-12)


def test_days_and_their_order_are_all_that_counts():
    days = order_days(true_level, per_week=20)
    shuffled = np.random.default_rng(1).permutation(days)
    assert np.array_equal(Season.of(days, AS_OF).effects, Season.of(shuffled, AS_OF).effects)


def closed(back):
    """A week with half of its orders, so many weeks before the date and every 52 before that."""

    def level(days, as_of):
        return np.where((-1 - days) // 7 % 52 == back, log(0.5), 0.0)

    return level


def test_a_week_that_comes_back_every_year_is_forecast(seeded):
    found = Season.of(order_days(closed(40), seeded(1), weeks=110, per_week=MANY), AS_OF)
    ahead = np.log(found.week_levels(AS_OF, 52))
    assert ahead[11] == pytest.approx(log(0.5), abs=0.1)
    assert np.abs(np.delete(ahead, 11)).max() < 0.06


def test_a_week_that_fell_out_once_lies_in_the_past_and_a_little_of_it_ahead(seeded):
    """Once in a history of two years says less than every year."""
    days = order_days(flat, seeded(1), weeks=110, per_week=MANY)
    of_week = np.flatnonzero((-1 - days) // 7 == 5)
    found = Season.of(np.delete(days, of_week[::2]), AS_OF)
    past = np.log(found.week_levels(AS_OF - timedelta(42), 6))
    assert past[0] == pytest.approx(log(0.5), abs=0.1)
    assert np.abs(past[1:]).max() < 0.05
    assert log(0.8) < np.log(found.week_levels(AS_OF, 52))[46] < 0.05


def test_few_orders_a_week_say_little_of_a_single_week():
    """With five orders a week, what is left of them is chance."""
    found = Season.of(order_days(flat, 2, per_week=5), AS_OF)
    assert np.abs(found.log_level(AS_OF, -np.arange(1, 7 * 150))).max() < 0.3


@pytest.fixture(scope="module")
def season():
    return Season.of(order_days(true_level), AS_OF)


def test_the_level_of_a_week_is_the_mean_of_its_days(season):
    by_day = np.exp(season.log_level(AS_OF, np.arange(84)))
    expected = [by_day[7 * week : 7 * week + 7].mean() for week in range(12)]
    np.testing.assert_allclose(season.week_levels(AS_OF, 12), expected)
    assert len(season.week_levels(AS_OF, 0)) == 0


def test_a_day_has_one_level_from_whatever_date_it_is_counted(season):
    later = AS_OF + timedelta(400)
    here, there = season.log_level(AS_OF, AHEAD), season.log_level(later, AHEAD - 400)
    np.testing.assert_array_equal(here, there)
    smooth = replace(season, weeks=np.zeros(52))
    here, years_on = (smooth.log_level(AS_OF.replace(year=y), AHEAD) for y in (2024, 2028))
    np.testing.assert_allclose(here, years_on, atol=0.01)


def test_a_day_has_one_level_among_however_many(season):
    """To the bit: how far back the others' orders reach must not show."""
    levels = season.log_level(AS_OF, -np.arange(1, 1400))
    for days in range(1090, 1130):
        alone = season.log_level(AS_OF, -np.arange(1, days + 1))
        assert np.array_equal(alone, levels[:days])


HOLIDAY = Calendar(("GB-ENG",))


def of_easter(days, as_of):
    """Good Friday and Easter Monday, and half of the orders in their weeks."""
    special = SpecialDays.of(HOLIDAY, days, as_of)
    starts = as_of.toordinal() + 7 * (days // 7)
    first = np.zeros(len(days))
    for kind in np.unique(special.kind):
        days_of = special.day[special.kind == kind]
        if all(date.fromordinal(int(day)).month in (3, 4) for day in days_of):
            first += [np.any((days_of >= start) & (days_of < start + 7)) for start in starts]
    return np.minimum(first, 1.0) * log(0.5)


def test_a_holiday_that_moves_is_forecast_with_a_calendar_alone(seeded):
    """Easter of 2024 is on 31 March, in 2023 it was on 9 April, in 2022 on the 17th."""
    days = order_days(of_easter, seeded(1), per_week=MANY)
    ahead = np.arange(84)
    truth = of_easter(ahead, AS_OF)[::7]
    special = SpecialDays.of(HOLIDAY, days, AS_OF)
    said = {
        name: np.log(Season.of(days, AS_OF, of_days).week_levels(AS_OF, 12))
        for name, of_days in (("without", NO_SPECIAL_DAYS), ("with", special))
    }
    off = {name: np.abs(level - truth) for name, level in said.items()}
    weeks = np.flatnonzero(truth)
    assert len(weeks)
    assert off["with"][weeks].max() < 0.2
    assert off["without"][weeks].max() > 0.4
    assert np.delete(off["with"], weeks).max() < 0.15


def test_days_before_and_after_the_history_have_what_the_calendar_says(seeded):
    days = order_days(of_easter, seeded(1), per_week=MANY)
    season = Season.of(days, AS_OF, SpecialDays.of(HOLIDAY, days, AS_OF))
    later = AS_OF + timedelta(70)
    assert np.array_equal(
        season.log_level(AS_OF, np.arange(70, 90)), season.log_level(later, np.arange(20))
    )
    far = season.log_level(AS_OF, np.array([7 * 450, -7 * 300]))
    assert np.isfinite(far).all()


def test_weeks_are_off_by_factors_in_strata_whose_mean_is_one(seeded):
    season = Season.of(order_days(closed(40), seeded(1), weeks=110, per_week=MANY), AS_OF)
    factors = season.week_factors(AS_OF, 14, 200, np.random.default_rng(seeded(2)))
    assert factors.shape == (14, 200)
    assert factors.mean(axis=1) == pytest.approx(1.0, rel=1e-12)
    spread = np.log(factors).std(axis=1)
    assert spread.argmax() == 11  # the week that stands out may go otherwise
    assert spread[11] > 3 * np.delete(spread, 11).max()
    ranks = np.argsort(np.argsort(factors, axis=1), axis=1)
    assert abs(np.corrcoef(ranks)[np.triu_indices(14, 1)]).max() < 0.5  # six of 1/√200 are .42


def test_how_far_weeks_are_off_is_found_again(seeded):
    """Weeks that are off by a tenth at random, in a year like any other."""
    rng = np.random.default_rng(seeded(5))
    off = 0.1 * rng.standard_normal(400)

    def level(days, as_of):
        return off[(-1 - days) // 7]

    season = Season.of(order_days(level, seeded(6), weeks=140, per_week=MANY), AS_OF)
    factors = season.week_factors(AS_OF, 12, 400, rng)
    assert 0.06 < np.median(np.log(factors).std(axis=1)) < 0.22
    quiet = Season.of(order_days(flat, seeded(7), weeks=140, per_week=MANY), AS_OF)
    assert quiet.ahead.spread < 0.03 < season.ahead.spread


def test_a_history_of_less_than_a_year_leaves_the_spread_to_the_prior(seeded):
    short = Season.of(order_days(true_level, seeded(1), weeks=60), AS_OF).ahead
    assert short == Season.none(AS_OF).ahead
    assert 0.05 < short.spread < 0.12


def dips(weeks_with):
    """A week in eight with .6 of its orders, in the weeks back that ``weeks_with`` lets through.

    52 is not a multiple of eight: they are counted by their place in the year.
    """

    def level(days, as_of):
        back = (-1 - days) // 7
        return np.where((back % 52 % 8 == 3) & weeks_with(back), log(0.6), 0.0)

    return level


def test_what_stood_out_and_came_again_is_expected_to(seeded):
    level = dips(lambda back: back >= 0)
    season = Season.of(order_days(level, seeded(1), weeks=140, per_week=MANY), AS_OF)
    assert season.ahead.share > 0.95


def test_what_stood_out_and_did_not_come_again_is_expected_the_less(seeded):
    level = dips(lambda back: back >= 36)
    season = Season.of(order_days(level, seeded(1), weeks=140, per_week=MANY), AS_OF)
    assert season.ahead.share < 0.3
    ahead = np.log(season.week_levels(AS_OF, 12))
    assert np.abs(ahead).max() < 0.15
    as_it_was = replace(season, ahead=replace(season.ahead, share=1.0))
    assert np.log(as_it_was.week_levels(AS_OF, 12)).min() < -0.3


def test_how_weeks_differ_against_a_slow_twin():
    """The posterior's means, value by value; four weeks of one date."""
    backcast = Backcast(
        np.array([5.0, 4.6, 5.1, 5.0]),
        np.zeros(4),
        np.array([0.0, -0.5, 0.2, 0.0]),
        np.full(4, 1e-3),
    )
    off = [5.0, 5.1, 4.9, 5.0]  # less what stood out; their median is 5
    total, means = 0.0, np.zeros(3)
    for s in np.exp(np.linspace(log(0.01), log(0.4), 38)):
        for gamma in np.linspace(0, 1.5, 31):
            for b in np.linspace(0, 1, 21):
                p = 0.8 if b == 1 else 0.01
                p *= exp(-(((log(s) - log(0.07)) / 0.6) ** 2 + ((gamma - 0.4) / 0.3) ** 2) / 2)
                for i, e in enumerate((0.0, -0.5, 0.2, 0.0)):
                    scale = sqrt(s**2 + (gamma * e) ** 2 + 1e-3)
                    p *= (1 + ((off[i] - 5 + (1 - b) * e) / scale) ** 2 / 4) ** -2.5 / scale
                total, means = total + p, means + p * np.array([s, gamma, b])
    assert astuple(WeeksAhead.of([backcast])) == pytest.approx(means / total, rel=1e-9)


def test_what_is_saved_comes_back(seeded):
    days = order_days(of_easter, seeded(1), per_week=50)
    season = Season.of(days, AS_OF, SpecialDays.of(HOLIDAY, days, AS_OF))
    again = Season.from_arrays(season.arrays)
    assert np.array_equal(again.log_level(AS_OF, AHEAD), season.log_level(AS_OF, AHEAD))
    assert again.ahead == season.ahead
