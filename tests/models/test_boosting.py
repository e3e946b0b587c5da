"""The boosted column: by hand, gone forward with, saved with the fit."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.parts.rhythm.activity import BOOSTED, BaseRates, activity, column
from models.parts.rhythm.boosting import (
    BOOSTED_KNOWN_DAYS,
    BOOSTED_OFFSETS,
    FEWEST_ROWS,
    WEEKS,
    ForwardChain,
    with_boosted,
)
from models.parts.rhythm.windows import WINDOW_DAYS, Windows
from models.parts.trees import answer
from tests.models.helpers import AS_OF, analyzed, patterns_of, some_season, split_at
from toolkit.data.tables import OrderEvents
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams, find_model
from toolkit.sources.generator import Truth, generate_orders

BASE = BaseRates(per_day=0.01, per_visit=0.1, newcomers=0.02)
SEASON = some_season(3, 0.3)
MODEL = find_model("rhythm_boosted")


@pytest.fixture(scope="module")
def patterns():
    orders = generate_orders(Truth(customers=80, products=12, pairs=700, days=620), seed=3)
    return analyzed(split_at(orders, 600)[0])


@pytest.fixture(scope="module")
def fitted(patterns):
    return MODEL.fit(patterns, seed=1, settings=FitSettings(method="laplace", draws=100))


def predicted(model, patterns, weeks=5):
    return model.predict(patterns, weeks=weeks, draws=40, streams=Streams(3)).pairs


def shuffled_from(patterns, day, rng):
    """The same pairs, their orders from ``day`` on at other days from it on."""
    events = patterns.events
    later = np.flatnonzero(events.day >= day)
    days = events.day.copy()
    days[later] = rng.integers(day, 0, len(later))
    pair = np.repeat(np.arange(len(patterns)), patterns.order_count)
    order = np.unique(np.stack([pair, days]), axis=1, return_index=True)[1]
    product, customer = patterns.product_id[pair], patterns.customer_id[pair]
    columns = (product, customer, days, events.quantity)
    return analyzed(OrderEvents(patterns.as_of_date, *(column[order] for column in columns)))


def some_of(landmark, rows):
    return replace(landmark, features=landmark.features[:rows], ordered=landmark.ordered[:rows])


def none_of(landmark):
    return some_of(landmark, 0)


def boosted_of(patterns, back):
    chain = ForwardChain(patterns, SEASON, BASE, 5)
    known = activity(patterns.earlier(back), SEASON, BASE)
    return chain.boosted(known, back).values[:, -1]


def test_the_column_is_the_hazard_that_the_trees_stand_for(patterns):
    chain = ForwardChain(patterns, SEASON, BASE, 5)
    known = activity(patterns, SEASON, BASE)
    found = with_boosted(known, chain.trees(0), SEASON, patterns.as_of_date)
    assert found.values.shape[1] == known.values.shape[1] + 1
    assert column((BOOSTED,)).tolist() == [known.values.shape[1]]
    features = np.column_stack([known.values, np.log(known.elapsed + 0.5)])
    season = SEASON.week_levels(patterns.as_of_date, WEEKS).sum()
    trees = chain.trees(0)
    odds = np.exp(answer(trees.text, features, raw=True) + trees.base) * season
    p_order = 1.0 - np.exp(-np.exp(found.values[:, -1]) * season)
    assert np.allclose(p_order, odds / (1.0 + odds))
    assert found.values[:, -1].std() > 0.3  # they have learned something


@pytest.mark.parametrize("back", [WINDOW_DAYS, 2 * WINDOW_DAYS + 28])
def test_a_windows_column_hangs_on_nothing_from_its_first_day_on(patterns, back):
    moved = shuffled_from(patterns, -back, np.random.default_rng(back))
    assert moved.events.day.tolist() != patterns.events.day.tolist()
    assert moved.earlier(back).events.day.tolist() == patterns.earlier(back).events.day.tolist()
    assert boosted_of(moved, back).tolist() == boosted_of(patterns, back).tolist()


def test_what_was_over_before_a_window_is_learned_from(patterns):
    moved = shuffled_from(patterns, -2 * WINDOW_DAYS, np.random.default_rng(1))
    trees = [ForwardChain(p, SEASON, BASE, 5).trees(WINDOW_DAYS) for p in (patterns, moved)]
    assert trees[0].text.tobytes() != trees[1].text.tobytes()


def test_trees_see_whether_a_pair_ordered_in_the_four_weeks_from_the_landmark_on():
    histories = {(1, 1): [(-300, 1.0), (-84, 1.0)], (1, 2): [(-290, 1.0), (-57, 2.0)],
                 (1, 3): [(-280, 1.0), (-85, 1.0)], (1, 4): [(-270, 1.0), (-56, 1.0)],
                 (1, 5): [(-84, 1.0), (-83, 1.0)]}  # fmt: skip
    landmark = ForwardChain(patterns_of(histories), SEASON, BASE, 5)._landmark(84)
    assert landmark.ordered.tolist() == [1.0, 1.0, 0.0, 0.0]  # the fifth is not known yet
    weeks = SEASON.week_levels(AS_OF - timedelta(84), WEEKS)
    assert landmark.log_season == pytest.approx(np.log(weeks.sum()))


@pytest.mark.parametrize(
    ("ordering", "share"), [(0, 0.5 / 401), (37, 37.5 / FEWEST_ROWS), (400, 400.5 / 401)]
)
def test_where_nothing_can_be_split_the_column_says_how_many_ordered(ordering, share):
    """Of 400 pairs, alike but for that: too few landmark rows for a tree, or one class only."""
    orders = {
        (1, c): [(-300, 1.0), *([(-136, 1.0), (-108, 1.0), (-80, 1.0)] if c < ordering else [])]
        for c in range(400)
    }
    patterns = patterns_of(orders)
    chain = ForwardChain(patterns, SEASON, BASE, 5)
    chain._landmarks = {84: chain._look_from(84)}
    chain._landmarks |= {112: none_of(chain._landmarks[84]), 140: none_of(chain._landmarks[84])}
    known = activity(patterns, SEASON, BASE)
    season = SEASON.week_levels(AS_OF, WEEKS).sum()
    before = SEASON.week_levels(AS_OF - timedelta(84), WEEKS).sum()
    if 0 < ordering < 400:  # one row fewer than trees ask for
        chain._landmarks[84] = some_of(chain._landmarks[84], FEWEST_ROWS - 1)
    odds = share / (1.0 - share) * season / before
    column_of = chain.boosted(known, 0).values[:, -1]
    assert not len(chain.trees(0).text)
    assert 1.0 - np.exp(-np.exp(column_of) * season) == pytest.approx(odds / (1.0 + odds))


@pytest.mark.parametrize("days", [[-420 + 14 * i for i in range(30)], [-430, -9]])
def test_one_pair_is_enough_for_a_fit(days):
    patterns = patterns_of({(1, 1): [(day, 1.0) for day in days]})
    fit = MODEL.fit(patterns, seed=1, settings=FitSettings(method="laplace", draws=100))
    assert np.isfinite(predicted(fit, patterns).expected_orders).all()


def test_a_fit_is_saved_with_its_trees(fitted, patterns, tmp_path):
    assert "boosted" in fitted.inference.coordinates["rate_column"].tolist()
    assert len(fitted.arrays["rate"][0]) == len(fitted.inference.coordinates["rate_column"])
    fitted.save(tmp_path)
    loaded = MODEL.load(tmp_path)
    assert loaded.version == fitted.version
    expected = predicted(fitted, patterns).expected_orders
    assert predicted(loaded, patterns).expected_orders.tobytes() == expected.tobytes()


def test_predictions_follow_the_column(fitted, patterns):
    """Trees that were grown from other days make other forecasts; the slope is what it was."""
    other = ForwardChain(patterns, SEASON, BASE, 9).trees(WINDOW_DAYS)
    swapped = replace(fitted, predictor=replace(fitted.predictor, column=other))
    found = [predicted(model, patterns).p_order_by_week for model in (fitted, swapped)]
    assert not np.allclose(*found)


def test_a_history_too_short_for_a_window_is_refused():
    days = 2 * WINDOW_DAYS + BOOSTED_KNOWN_DAYS + 56
    histories = {(1, c): [(-days + 1, 1.0), (-40 - c, 1.0), (-3, 1.0)] for c in range(5)}
    patterns = patterns_of(histories)
    windows = Windows(patterns, BOOSTED_KNOWN_DAYS)
    assert [windows.count(offset) for offset in BOOSTED_OFFSETS] == [2, 2, 1]
    with pytest.raises(ModelError, match=r"needs repeat orders and 420 days of history"):
        MODEL.fit(patterns, seed=1)


def test_the_slopes_prior_is_its_own(patterns):
    with pytest.raises(ModelError, match="prior boosted_slope is unknown; rhythm has"):
        find_model("rhythm").fit(
            patterns, seed=1, settings=FitSettings(prior={"boosted_slope": (1.0, 0.1)})
        )
