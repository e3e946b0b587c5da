"""Pairs pooled with trees on pairs: what they say, and the level that is kept."""

import numpy as np
import pytest
from scipy.special import expit, logit

from models.parts.kernels.weekly_states import POOL_WEEKS
from models.parts.pair_trees import columns_of
from models.parts.rhythm.pair_pooling import WEIGHT, _level_kept, grow_pair_trees, others
from models.parts.trees import answer
from tests.models.helpers import analyzed, patterns_of, split_at
from toolkit.model import Streams, find_model
from toolkit.sources.generator import Truth, generate_orders


def own(patterns):
    """P(order within four weeks), by another model."""
    paths = find_model("pair_conjugate")
    predicted = paths.predict(patterns, weeks=POOL_WEEKS, draws=10, streams=Streams(1))
    return predicted.pairs.p_order_by_week[:, -1]


@pytest.fixture(scope="module")
def patterns():
    orders = generate_orders(Truth(customers=60, products=15, pairs=400, days=500), seed=4)
    return analyzed(split_at(orders, 480)[0])


@pytest.fixture(scope="module")
def trees(patterns):
    return grow_pair_trees(patterns, own, seed=1)


def test_trees_say_of_each_pair_what_they_say_of_it_among_all(patterns, trees):
    said = others(patterns, trees)
    assert said.weight == WEIGHT
    expected = answer(trees.text, columns_of(patterns), raw=True) + trees.base
    assert np.array_equal(said.log_odds, expected)
    assert said.log_odds.std() > 0.1
    one = patterns.product_id == patterns.product_id[100]
    assert np.array_equal(others(patterns.select(one), trees).log_odds, said.log_odds[one])
    assert np.array_equal(said.select(slice(3, 9)).log_odds, said.log_odds[3:9])


def test_over_all_pairs_the_pool_expects_as_many_orders_as_the_paths(patterns, trees):
    """Where all pairs are few enough to be looked at."""
    p, said = own(patterns), others(patterns, trees).log_odds
    pooled = expit((1 - WEIGHT) * logit(p) + WEIGHT * said)
    assert pooled.sum() == pytest.approx(p.sum(), rel=1e-9)
    assert np.abs(pooled - p).max() > 0.05


@pytest.mark.parametrize("p", [0.0, 1e-12, 0.3, 1.0 - 1e-12, 1.0])
def test_a_level_is_found_whatever_the_paths_say(p):
    for log_odds in (-15.0, 0.0, 15.0):
        base = _level_kept(np.full(5, p), np.full(5, log_odds))
        # with all pairs alike the trees are moved to the paths
        assert expit(log_odds + base) == pytest.approx(p, abs=1e-8)


@pytest.mark.parametrize("ordering", [True, False])
def test_where_pairs_tell_too_little_none_are_grown(ordering):
    """Few of them, or none that did otherwise than the others."""
    last = -3 if ordering else -400
    few = {(c, 1): [(-500, 1.0), (-450, 1.0), (last, 1.0)] for c in range(20)}
    many = {(c, 1): [(-500, 1.0), (-450, 1.0)] for c in range(300)}
    for histories in (few, many):
        short = patterns_of(histories)
        trees = grow_pair_trees(short, own, seed=1)
        assert len(trees.text) == 0
        assert others(short, trees).weight == 0.0
    assert others(short, None).weight == 0.0


def test_nothing_from_the_as_of_date_on_moves_a_tree(patterns):
    """Trees of an earlier day are those that were grown on it."""
    events = patterns.events
    before = analyzed(events.where(events.day < -28))
    then = patterns.earlier(28)
    grown = [grow_pair_trees(known, own, seed=1) for known in (before.earlier(28), then)]
    assert grown[0].text.tobytes() == grown[1].text.tobytes()
    assert np.array_equal(grown[0].base, grown[1].base)
