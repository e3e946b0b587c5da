"""Predictions of ``rhythm`` under known coefficients, against paths simulated step by step."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from models.parts.kernels.weekly import NODE, NODE_WEIGHT
from models.parts.kernels.weekly_paths import FEW_DRAWS
from models.parts.kernels.weekly_states import MOST_SCALED, POOL_WEEKS, Others
from models.parts.rhythm import prediction
from models.parts.rhythm.activity import ALIVE, DIP, EXTRA, FRAILTY, RATE, activity, column
from models.parts.rhythm.newcomers import NEWCOMERS
from models.parts.rhythm.prediction import Predictor
from models.parts.rhythm.weeks_ahead import WeeksAhead
from tests.chance import assert_near, error_of_mean, error_of_sd, z_limit
from tests.models.helpers import patterns_of, some_season
from toolkit.data.tables import QUANTILES
from toolkit.model import Streams

DRAWS, WEEKS = 20_000, 12
HISTORIES = {
    (1, 1): [(-95, 4.0), (-60, 4.0), (-33, 6.0)],
    (2, 1): [(-400, 1.0)],
    (3, 7): [(-11 - 7 * i, 12.0) for i in range(9, -1, -1)],
    (4, 2): [(-70, 3.0), (-3, 5.0), (-2, 1.0), (-1, 2.0)],
}


def coefficients(names, constant, **slopes):
    return np.array([constant, *(slopes.get(name, 0.0) for name in names)])


ONE = {
    "rate": coefficients(RATE, 0.3, own_rate=0.6, late=-0.1, visit_rate=0.1, overdue=-0.2),
    "dip": coefficients(DIP, 0.4, irregularity=-0.3),
    "frailty": coefficients(FRAILTY, -0.5, recent_orders=-0.1),
    "alive": coefficients(ALIVE, 1.0, customer_silence=-0.2, late=-0.3),
    "extra": coefficients(EXTRA, -1.5, own_rate=0.1),
    "log_dip_length": np.array(-1.0),
    "decline": np.array(0.02),
    "next_level": np.array(0.1),
    "product_shock": np.array(0.0),
    "arrival": coefficients(NEWCOMERS, -50.0),
    "arrival_shape": np.array(1e-9),
}


def shifted(draw, **constants):
    """The draw with constants that are higher by so much."""
    moved = {n: draw[n] + by * (np.arange(len(draw[n])) == 0) for n, by in constants.items()}
    return draw | moved


OTHER = shifted(ONE, rate=0.5, alive=-0.8) | {
    "log_dip_length": np.array(0.3),
    "decline": np.array(0.0),
}


def arrays_of(*draws):
    """What a fit with these draws of the population saves."""
    population = {name: np.stack([draw[name] for draw in draws]) for name in ONE}
    effects = np.array([0.2, 0.0, 0.1, 0.0, -0.3, 0.0, 0.0, 0.0, 0.4])
    season = replace(some_season(1, 0.2), effects=effects)
    constants = {"drift": np.zeros(2), "base_rates": np.array([0.02, 0.3, 0.01])}
    return {**season.arrays, **constants} | population


def fitted(*draws):
    """The model with these draws of its population."""
    return Predictor.of(arrays_of(*draws))


def slow_paths(model, patterns, row, draw, paths, rng):
    """Order counts by week [paths, WEEKS] of a row of ``activity``, week by week."""
    known = activity(patterns, model.season, model.base)
    values = dict(draw)
    for name, columns in (
        ("rate", RATE), ("dip", DIP), ("frailty", FRAILTY), ("alive", ALIVE), ("extra", EXTRA)
    ):  # fmt: skip
        values[name] = draw[name][0] + known.values[row][column(columns)] @ draw[name][1:]
    days = np.arange(7 * WEEKS)
    season = np.exp(model.season.log_level(patterns.as_of_date, days)).reshape(WEEKS, 7).mean(1)
    alive = rng.random(paths) < 1 / (1 + np.exp(-values["alive"]))
    kinds = np.exp(np.exp(values["frailty"]) * NODE)
    frailty = rng.choice(kinds / (NODE_WEIGHT @ kinds), paths, p=NODE_WEIGHT)
    since = np.full(paths, known.elapsed[row] + 0.5)
    counts = np.zeros((paths, WEEKS))
    for week in range(WEEKS):
        dip = np.exp(values["dip"] - since * known.clock[row] * np.exp(-values["log_dip_length"]))
        level = values["rate"] + values["next_level"] - values["decline"] * week
        hazard = season[week] * np.exp(level - dip)
        orders = alive & (rng.random(paths) < -np.expm1(-frailty * hazard))
        extra = np.minimum(rng.poisson(np.exp(values["extra"]), paths), 7)
        counts[:, week] = orders * (1 + extra)
        since = np.where(orders, 1.0, since + 1.0)
    return counts


@pytest.fixture(scope="module")
def patterns():
    return patterns_of(HISTORIES)


@pytest.fixture(scope="module")
def predicted(patterns, seeded):
    model = fitted(ONE, OTHER)
    return model.predict(patterns, weeks=WEEKS, draws=DRAWS, streams=Streams(seeded(3)))


@pytest.mark.parametrize("row", range(4))
def test_paths_are_those_of_the_hazards(patterns, predicted, row, seeded):
    """Half of the draws are paths under the first draw of the population, half under the second."""
    rng = np.random.default_rng(seeded(row))
    model = fitted(ONE, OTHER)
    halves = [slow_paths(model, patterns, row, draw, 100_000, rng) for draw in (ONE, OTHER)]
    counts = np.concatenate(halves)
    ordered = np.maximum.accumulate(counts > 0, axis=1).mean(axis=0)
    pairs, drawn = predicted.pairs, predicted.products.orders[row]
    near = partial(assert_near, comparisons=4 * (3 * WEEKS + 2), one=counts.max() / DRAWS)
    more = np.sqrt(1 + len(counts) / DRAWS)  # the error of both sides, of which one drew less
    by_week = more * error_of_mean(counts, axis=0)
    near(pairs.p_order_by_week[row], ordered, more * np.sqrt(ordered * (1 - ordered) / len(counts)))
    near(drawn.mean(axis=1), counts.mean(axis=0), by_week)
    near(pairs.expected_orders[row], counts.mean(axis=0), by_week)
    total = counts.sum(axis=1)
    near(drawn.sum(axis=0).std(), total.std(), more * error_of_sd(total))
    first = halves[0].sum(axis=1)
    drawn_first = drawn[:, : DRAWS // 2].sum(axis=0)
    near(drawn_first.mean(), first.mean(), np.hypot(*map(error_of_mean, (first, drawn_first))))


def test_p_alive_is_the_mean_of_the_formula(patterns, predicted):
    known = activity(patterns, fitted(ONE).season, fitted(ONE).base)
    for row in range(4):
        x = known.values[row][column(ALIVE)]
        logits = np.array([draw["alive"][0] + x @ draw["alive"][1:] for draw in (ONE, OTHER)])
        expected = np.mean(1 / (1 + np.exp(-logits)))
        assert predicted.pairs.p_alive[row] == pytest.approx(expected, abs=1e-12)


def test_dates_agree_with_the_weeks_and_fall_on_the_customers_weekdays(patterns, predicted):
    """(3, 7) orders every seven days, eleven days before the as-of date at last: on day 3."""
    quantiles = predicted.pairs.next_order_quantiles[2]
    p = predicted.pairs.p_order_by_week[2]
    for level, day in zip(QUANTILES, quantiles, strict=True):
        if np.isnan(day) or day >= 7 * WEEKS:
            assert level > p[-1]
            continue
        week = int(day) // 7
        assert (p[week - 1] if week else 0.0) < level <= p[week] + 1e-12
    assert np.all(quantiles[:3] % 7 == 3)


def test_beyond_the_horizon_the_distribution_of_the_next_order_goes_on(patterns, seeded):
    """Quantiles with a horizon of one week are those with one of two years, up to Monte Carlo.

    Beyond it they come from ``FEW_DRAWS`` draws, of which a quantile is known to one in as many:
    the mean over a hundred seeds is looked at.
    """
    model, repeats = fitted(ONE), 100
    p = model.predict(patterns, weeks=104, draws=DRAWS, streams=Streams(seeded(5))).pairs
    p = np.pad(p.p_order_by_week, ((0, 0), (1, 0)))  # [rows, 1 + weeks]
    reached = np.empty((repeats, *p.shape[:1], len(QUANTILES)))
    width = np.zeros(reached.shape[1:])
    for i in range(repeats):
        streams = Streams(seeded(100 + i))
        days = model.predict(patterns, weeks=1, draws=200, streams=streams).pairs
        days = days.next_order_quantiles
        week = np.fmin(days // 7, 104).astype(int)  # or none in 104 weeks
        before = np.take_along_axis(p, week, axis=1)
        after = np.take_along_axis(np.pad(p, ((0, 0), (0, 1)), constant_values=1.0), week + 1, 1)
        reached[i] = (before + after) / 2
        width = np.maximum(width, (after - before) / 2)
    off = np.abs(reached.mean(axis=0) - np.array(QUANTILES))
    noise = reached.std(axis=0) / np.sqrt(repeats)
    assert np.all(off <= width + 1 / FEW_DRAWS + z_limit(off.size) * noise)


def test_the_product_shock_is_shared_by_its_pairs(seeded):
    histories = {(1, c): [(-90, 1.0), (-50, 1.0), (-10, 1.0)] for c in range(30)}
    patterns = patterns_of(histories)

    def total(shock):
        model = fitted(ONE | {"product_shock": np.array(shock)})
        result = model.predict(patterns, weeks=WEEKS, draws=4_000, streams=Streams(seeded(1)))
        return result.products.orders[0].sum(axis=0)

    calm, shaken = total(0.0), total(0.5)
    # twice as much, but for noise of 2 %; shocks of each pair's own would hardly show in the sum
    assert shaken.std() / shaken.mean() > 1.5 * calm.std() / calm.mean()


def test_a_row_of_draws_is_used_in_order_and_evenly(patterns):
    """As many draws as the population has: each is used once."""
    alive, lapsed = shifted(ONE, alive=90.0), shifted(ONE, alive=-90.0)
    result = fitted(alive, lapsed).predict(patterns, weeks=WEEKS, draws=200, streams=Streams(1))
    assert np.all(result.products.orders[..., 100:] == 0)
    assert result.pairs.p_alive == pytest.approx(0.5)


def test_new_customers_come_with_the_season_and_reorder_if_they_stay(patterns, seeded):
    """exp(−1.6) arrive a day for each customer there is, and order 1 + the mean of extra orders."""
    arrival = coefficients(NEWCOMERS, -1.6, customers=1.0)
    draw = ONE | {"arrival_shape": np.array(1e6), "arrival": arrival}
    draw |= {"extra": coefficients(EXTRA, -1.5)}
    new = []
    for stays in (90.0, -90.0):
        model = fitted(shifted(draw, alive=stays))
        result = model.predict(patterns, weeks=WEEKS, draws=20_000, streams=Streams(seeded(2)))
        known = patterns.sum_by_product(result.pairs.expected_orders)
        new.append(result.products.expected_orders - known)
    levels = np.exp(model.season.log_level(patterns.as_of_date, np.arange(84)))
    customers = np.diff(patterns.product_offsets()[1])
    arriving = 7 * np.exp(-1.6) * np.outer(customers, levels.reshape(WEEKS, 7).mean(axis=1))
    assert new[1] == pytest.approx(arriving * (1 + np.exp(-1.5)), rel=0.05)
    assert np.all(new[0].sum(axis=1) > 1.1 * new[1].sum(axis=1))


def pooled_with(log_odds, weight, monkeypatch, predict):
    """What ``predict`` returns where trees say ``log_odds`` [pairs] of every pair."""
    with monkeypatch.context() as patch:
        patch.setattr(prediction, "others", lambda patterns, trees: Others(log_odds, weight))
        return predict()


def log_odds_of(pairs):
    p = pairs.p_order_by_week[:, POOL_WEEKS - 1]
    return np.log(p / (1 - p))


def test_pooled_pairs_have_the_mean_of_the_log_odds(patterns, monkeypatch):
    def predict(weeks=WEEKS):
        return fitted(ONE, OTHER).predict(patterns, weeks=weeks, draws=400, streams=Streams(3))

    own, others = predict(), np.array([-1.0, -4.0, 1.5, 0.3])
    assert np.abs(log_odds_of(own.pairs) - others).max() > 1.0
    pooled = pooled_with(others, 0.25, monkeypatch, predict)
    expected = 0.75 * log_odds_of(own.pairs) + 0.25 * others
    np.testing.assert_allclose(log_odds_of(pooled.pairs), expected, atol=1e-5)
    shorter = pooled_with(others, 0.25, monkeypatch, lambda: predict(weeks=2))
    np.testing.assert_allclose(
        shorter.pairs.p_order_by_week, pooled.pairs.p_order_by_week[:, :2], rtol=1e-12
    )
    same = pooled_with(others, 0.0, monkeypatch, predict)
    assert same.products.quantity.tobytes() == own.products.quantity.tobytes()
    assert same.pairs.p_order_by_week.tobytes() == own.pairs.p_order_by_week.tobytes()


def test_paths_are_pooled_until_the_next_order_and_their_own_from_there_on(
    patterns, monkeypatch, seeded
):
    """Of a pair without frailty, which the week of an order would tell of."""
    row, draw = 0, shifted(ONE, frailty=-50.0)

    def predict():
        streams = Streams(seeded(3))
        return fitted(draw).predict(patterns, weeks=WEEKS, draws=DRAWS, streams=streams)

    own = predict()
    pooled = pooled_with(np.full(4, 2.0), 0.5, monkeypatch, predict)
    first, later = [], []
    for found in (own, pooled):
        orders = found.products.orders[row]
        week = np.where(orders.any(axis=0), (orders > 0).argmax(axis=0), WEEKS)
        first.append(np.bincount(week, minlength=WEEKS + 1)[:WEEKS] / DRAWS)
        later.append([orders[:, week == w].sum(axis=0) for w in range(WEEKS - 1)])
    p = np.diff(pooled.pairs.p_order_by_week[row], prepend=0.0)
    near = partial(assert_near, comparisons=2 * WEEKS)
    near(first[1], p, np.sqrt(p * (1 - p) / DRAWS), one=1 / DRAWS)
    assert np.abs(first[1] - first[0]).max() > 0.02
    means = [np.array([some.mean() for some in of_weeks]) for of_weeks in later]
    errors = [np.array([error_of_mean(some) for some in of_weeks]) for of_weeks in later]
    near(means[1], means[0], np.hypot(*errors))


def test_what_no_hazard_can_reach_is_come_near_to(patterns, monkeypatch):
    """A pair that has probably lapsed cannot order as surely as trees may say."""
    lapsed = fitted(shifted(ONE, alive=-3.0))
    for log_odds in (-700.0, 30.0):
        found = pooled_with(
            np.full(4, log_odds), 0.5, monkeypatch,
            lambda: lapsed.predict(patterns, weeks=WEEKS, draws=50, streams=Streams(1)),
        )  # fmt: skip
        assert found.pairs.finite().all()
        assert np.all(found.pairs.p_order_by_week[:, -1] <= found.pairs.p_alive + 1e-12)
    assert MOST_SCALED == 10.0


def test_an_open_interval_twice_as_long_is_less_likely():
    def p(days):
        pattern = patterns_of({(1, 1): [(-days - 60, 1.0), (-days - 30, 1.0), (-days, 1.0)]})
        pairs = fitted(ONE).predict(pattern, weeks=1, draws=200, streams=Streams(1)).pairs
        return pairs.open_interval_p[0]

    assert 1.0 >= p(1) > p(30) > p(60) > p(120) > 0.0


def test_settings_that_no_fit_would_give_stay_finite(patterns):
    for factor in (-20.0, 20.0):
        blocks = ("rate", "dip", "frailty", "alive")
        wild = ONE | {name: ONE[name] * factor for name in blocks}
        result = fitted(wild).predict(patterns, weeks=WEEKS, draws=50, streams=Streams(1))
        assert result.pairs.finite().all()
        assert np.isfinite(result.products.quantity).all()


def test_weeks_are_off_by_what_all_products_share(patterns):
    """Means of draws whose week is above its level, over those of the others.

    As far apart as the factors, or a little less: a pair orders in a week, or does not.
    """
    plain = fitted(shifted(ONE, rate=-1.0))
    season = replace(plain.season, ahead=WeeksAhead(0.4, 0.0, 1.0))
    unsure, draws, streams = replace(plain, season=season), 40_000, Streams(5)
    said = unsure.predict(patterns, weeks=2, draws=draws, streams=streams)
    factors = season.week_factors(patterns.as_of_date, 2, draws, streams.shared())
    for week in range(2):
        above = factors[week] > 1.0
        expected = factors[week][above].mean() / factors[week][~above].mean()
        assert expected > 1.8
        orders = said.products.orders[:, week].astype(float)
        ratio = orders[:, above].mean(axis=1) / orders[:, ~above].mean(axis=1)
        assert np.all((expected**0.6 < ratio) & (ratio < 1.1 * expected))
    one = unsure.predict(
        patterns.select(patterns.product_id == patterns.product_id[-1]),
        weeks=2, draws=draws, streams=streams,
    )  # fmt: skip
    assert np.array_equal(one.products.orders[0], said.products.orders[-1])
