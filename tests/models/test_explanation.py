"""What ``rhythm`` says its expectations are made of, against sums and paths of its own."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from models.parts.kernels.weekly_states import Others
from models.parts.rhythm import explanation, prediction
from models.parts.rhythm.activity import RATE, activity, column
from models.parts.rhythm.explanation import pair_parts, product_parts
from models.parts.rhythm.groups import GROUPS, INPUTS
from models.parts.rhythm.newcomers import NEWCOMERS
from models.parts.rhythm.prediction import Predictor
from models.parts.rhythm.weeks_ahead import WeeksAhead
from models.parts.shapley import coalitions, shapley
from tests.models.helpers import patterns_of
from tests.models.test_weekly_paths import ONE, OTHER, arrays_of, coefficients, shifted
from toolkit.model import Streams

WEEKS, DRAWS = 12, 40
HISTORIES = {
    (1, 1): [(-95, 4.0), (-60, 4.0), (-33, 6.0)],
    (1, 2): [(-400, 1.0)],
    (1, 7): [(-11 - 7 * i, 12.0) for i in range(9, -1, -1)],
    (1, 9): [(-70, 3.0), (-3, 5.0), (-2, 1.0), (-1, 2.0)],
}
SHOCKED = {"product_shock": np.array(0.3), "arrival_shape": np.array(1e9)}
COMING = SHOCKED | {"arrival": coefficients(NEWCOMERS, -3.0)}
SETTINGS = {"weeks": WEEKS, "draws": DRAWS, "streams": Streams(3)}


@pytest.fixture(scope="module")
def patterns():
    return patterns_of(HISTORIES)


@pytest.fixture(scope="module")
def model():
    return Predictor.of(arrays_of(ONE | COMING, OTHER | COMING))


def test_every_input_is_in_one_group():
    assert sorted(name for group in GROUPS for name in group.inputs) == sorted(INPUTS)
    assert 6 <= len(GROUPS) <= 10
    assert len({group.name for group in GROUPS}) == len(GROUPS)


def test_shapley_values_are_means_over_all_orders_of_coming():
    players = 4
    values = np.random.default_rng(1).normal(size=(2**players, 3))
    slow = np.zeros((players, 3))
    orders = list(permutations(range(players)))
    for order in orders:
        there = 0
        for player in order:
            slow[player] += (values[there | 1 << player] - values[there]) / len(orders)
            there |= 1 << player
    shares = shapley(values)
    assert shares == pytest.approx(slow, rel=1e-12, abs=1e-14)
    assert shares.sum(axis=0) == pytest.approx(values[-1] - values[0], rel=1e-12)


def test_who_adds_nothing_gets_nothing_and_equals_get_the_same():
    there = coalitions(3)
    shares = shapley(5.0 * (there[:, 0] & there[:, 1]) + 0.0 * there[:, 2])
    assert shares.tolist() == [2.5, 2.5, 0.0]


@pytest.mark.parametrize("row", range(len(HISTORIES)))
def test_log_rates_add_up_under_each_draw(model, patterns, row):
    found = pair_parts(model, patterns, row, **SETTINGS)
    known = activity(patterns, model.season, model.base).values[: len(patterns)][:, column(RATE)]
    half = np.arange(DRAWS) * 2 // DRAWS
    slopes = np.stack([ONE["rate"], OTHER["rate"]])[half, 1:]
    expected = slopes @ (known[row] - known.mean(axis=0))
    assert sum(part.log_rate for part in found.parts) == pytest.approx(expected, abs=1e-12)
    assert np.abs(expected).min() > 0.01


@pytest.mark.parametrize("row", range(len(HISTORIES)))
def test_orders_add_up_under_each_draw(model, patterns, row):
    found = pair_parts(model, patterns, row, **SETTINGS)
    total = found.base + sum(part.amount for part in found.parts)
    assert total == pytest.approx(found.expected, rel=1e-12, abs=1e-12)
    assert np.ptp(found.expected) > 0.0


def test_all_pairs_have_the_same_typical_one_but_for_their_shock(model, patterns):
    first, last = (pair_parts(model, patterns, row, **SETTINGS) for row in (0, 3))
    assert first.base == pytest.approx(last.base, rel=1e-12)


def test_a_pair_that_is_typical_has_nothing_to_explain(model):
    alike = patterns_of({(1, customer): [(-60, 2.0), (-20, 2.0)] for customer in (1, 2)})
    found = pair_parts(model, alike, 1, **SETTINGS)
    assert found.expected == pytest.approx(found.base, rel=1e-12)
    assert [np.abs(part.amount).max() for part in found.parts] == pytest.approx([0.0] * 8)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_expected_orders_are_those_of_paths(model, patterns, weight, monkeypatch, seeded):
    """Those of 20,000 paths, of each pair and of new customers; pooled with other log odds, too."""

    def others(of, trees):
        return Others(np.linspace(-1.0, 2.0, len(of)), weight)

    monkeypatch.setattr(prediction, "others", others)
    monkeypatch.setattr(explanation, "others", others)
    settings = SETTINGS | {"draws": 20_000, "streams": Streams(seeded(5))}
    predicted = model.predict(patterns, **settings)
    settings["draws"] = 2_000
    for row in range(len(patterns)):
        found = pair_parts(model, patterns, row, **settings).expected.mean()
        orders = predicted.pairs.expected_orders[row].sum()
        assert found == pytest.approx(orders, rel=0.04, abs=0.03)
    product = product_parts(model, patterns, None, **settings)
    units = predicted.products.expected_quantity.sum()
    assert product.expected.mean() == pytest.approx(units, rel=0.04)
    assert units > 1.05 * predicted.products.known_expected_quantity.sum()


def test_a_products_parts_add_up_under_each_draw(model, patterns):
    moved = np.linspace(0.8, 1.3, WEEKS)
    for factor in (None, moved):
        found = product_parts(model, patterns, factor, **SETTINGS)
        total = found.base + sum(part.amount for part in found.parts)
        assert total == pytest.approx(found.expected, rel=1e-12)
        named = [explanation.NEW, explanation.SEASON, explanation.LEVEL, explanation.SHOCK]
        extra = [] if factor is None else [explanation.WEEK_TREES]
        assert [part.name for part in found.parts] == named + extra


def amounts(model, patterns):
    found = product_parts(model, patterns, None, **SETTINGS)
    return {part.name: part.amount for part in found.parts}


def test_parts_that_are_not_there_add_nothing(model, patterns):
    plain = replace(
        model,
        season=model.season.none(patterns.as_of_date),
        draws=model.draws._replace(product_shock=np.zeros(2), next_level=np.zeros(2)),
    )
    plain = replace(plain, season=replace(plain.season, ahead=WeeksAhead(0.0, 0.0, 1.0)))
    found = amounts(plain, patterns)
    for name in (explanation.SEASON, explanation.LEVEL, explanation.SHOCK):
        assert found[name] == pytest.approx(np.zeros(DRAWS), abs=1e-9)
    assert found[explanation.NEW].min() > 0.0


def test_special_days_are_a_part_of_their_own(model, patterns):
    """All weeks to come are raised by a fifth, and nothing else is."""
    season = replace(
        model.season.none(patterns.as_of_date), special=np.full(400, np.log(1.2)),
        ahead=WeeksAhead(0.0, 0.0, 1.0),
    )  # fmt: skip
    raised = replace(model, season=season)
    found = amounts(raised, patterns)
    assert found[explanation.SPECIAL].min() > 0.0
    assert found[explanation.SEASON] == pytest.approx(np.zeros(DRAWS), abs=1e-9)


def test_a_shock_shows_in_its_part_alone(patterns):
    calm = Predictor.of(arrays_of(ONE | COMING | {"product_shock": np.array(0.0)}))
    wild = Predictor.of(arrays_of(shifted(ONE) | COMING | {"product_shock": np.array(0.5)}))
    spread = [np.ptp(amounts(model, patterns)[explanation.SHOCK]) for model in (calm, wild)]
    assert spread[0] == pytest.approx(0.0, abs=1e-9)
    assert spread[1] > 1.0
