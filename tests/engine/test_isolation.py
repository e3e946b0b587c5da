"""Pairs that break the model: found, named and left out, wherever they are."""

import numpy as np
import pytest

from models.pair_conjugate import MODEL
from tests.models.helpers import patterns_of
from toolkit.errors import PredictionError
from toolkit.model import GRANULARITIES
from toolkit.stages.prediction import PAIRS_PER_SHARD, CustomerPredictor


class Fragile:
    """Raises on some (product, customer) pairs and gives NaN for others."""

    name = "fragile"
    version = "1"
    reads_customer_days = False
    granularities = GRANULARITIES

    def __init__(self, raises=(), nan=()):
        self.raises, self.nan = set(raises), set(nan)

    def predict(self, patterns, **settings):
        pairs = list(zip(patterns.product_id.tolist(), patterns.customer_id.tolist(), strict=True))
        if self.raises & set(pairs):
            raise RuntimeError("boom")
        predictions = MODEL.predict(patterns, **settings)
        predictions.pairs.expected_quantity[[p in self.nan for p in pairs]] = np.nan
        return predictions

    def save(self, folder):
        raise NotImplementedError


def shop(products, customers):
    history = [(-40, 1.0), (-12, 2.0)]
    return patterns_of({(p, c): history for p in range(products) for c in range(customers)})


@pytest.mark.parametrize(
    ("raises", "nan"),
    [
        ({(0, 1)}, set()),
        ({(0, 1)}, {(2, 2)}),
        ({(0, 1), (0, 2), (1, 4)}, {(0, 3)}),
        ({(1, c) for c in range(5)}, set()),
    ],
)
def test_just_the_failing_pairs_are_left_out(raises, nan):
    patterns = shop(3, 5)
    predictions, failed = CustomerPredictor(Fragile(raises, nan), draws=5).predict(patterns)
    assert {(pair.product_id, pair.customer_id) for pair in failed} == raises | nan
    assert len(predictions.patterns) == 15 - len(raises | nan) == len(predictions.pairs.p_alive)
    assert predictions.pairs.finite().all()


def test_a_shard_that_fails_whole_does_not_take_the_others_along():
    """The second product is a shard of its own, of one pair."""
    history = [(-40, 1.0), (-12, 2.0)]
    patterns = patterns_of({(1, c): history for c in range(PAIRS_PER_SHARD)} | {(2, 7): history})
    predictions, failed = CustomerPredictor(Fragile({(2, 7)}), draws=2).predict(patterns)
    assert [(pair.product_id, pair.customer_id) for pair in failed] == [(2, 7)]
    assert predictions.products.product_id.tolist() == [1]


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_failing_on_every_pair_is_an_error(how):
    every = {(p, c) for p in range(3) for c in range(5)}
    with pytest.raises(PredictionError, match="fragile failed"):
        CustomerPredictor(Fragile(**{how: every}), draws=2).predict(shop(3, 5))


def test_too_many_failing_pairs_are_an_error():
    many = {(p, c) for p in range(30) for c in range(5)}
    with pytest.raises(PredictionError, match="fragile failed: boom"):
        CustomerPredictor(Fragile(many), draws=2).predict(shop(40, 5))
