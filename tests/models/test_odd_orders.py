"""Orders unlike most: every version that is fitted converges on them, or says what is missing."""

from functools import cache

import numpy as np
import pytest

from tests.models.helpers import analyzed, patterns_of, split_at
from toolkit.data.tables import OrderEvents
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams, find_model
from toolkit.sources.generator import Truth, generate_orders

pytestmark = pytest.mark.slow

DAYS = 700
WEEKS = 12


def generated(**truth):
    """Events of all pairs before the end."""
    return split_at(generate_orders(Truth(days=DAYS, **truth), seed=1), DAYS)[0]


def of_sizes(events, quantity):
    """The same orders of other quantities."""
    return OrderEvents(
        events.as_of_date, events.product_id, events.customer_id, events.day, quantity
    )


def over_twelve_orders_of_magnitude():
    events = generated(customers=20, products=10, pairs=100)
    exponents = np.random.default_rng(1).uniform(-6.0, 6.0, len(events))
    return analyzed(of_sizes(events, 10.0**exponents))


def regular(phase):
    """Sixty pairs with an order every fortnight, ``phase(product, customer)`` days ago."""
    return patterns_of({
        (p, c): [(-14 * i - phase(p, c), 1.0) for i in range(30, -1, -1)]
        for p in range(6)
        for c in range(10)
    })  # fmt: skip


ODD = {
    "no repeat orders": lambda: patterns_of(
        {(p, c): [(-400 + 7 * p - c, 1.0)] for p in range(9) for c in range(9)}
    ),
    "one pair": lambda: patterns_of({(1, 1): [(-420, 1.0), (-300, 1.0), (-20, 1.0)]}),
    "one product": lambda: analyzed(generated(customers=80, products=1, pairs=80)),
    "one customer": lambda: analyzed(generated(customers=1, products=80, pairs=80)),
    "equal intervals": lambda: regular(lambda p, c: (3 * p + c) % 14 + 1),
    "equal histories, so that columns are constant": lambda: regular(lambda p, c: 1),
    "fifty rows": lambda: analyzed(generated(customers=8, products=4, pairs=13)),
    "half of all orders are one product's": lambda: analyzed(
        generated(customers=100, customers_per_product=(95, *[5] * 19))
    ),
    "quantities over twelve orders of magnitude": over_twelve_orders_of_magnitude,
    "a quarter of a century": lambda: patterns_of(
        {(p, c): [(-7 * i - c, 1.0) for i in range(60, -1, -1)] for p in (1, 2) for c in (1, 2, 3)}
        | {(3, c): [(-9000, 1.0), (-4000 - c, 2.0), (-1, 1.0)] for c in range(4)}
        | {(4, c): [(-30 - c, 1.0)] for c in range(9)}
    ),
}
"""Functions of nothing: patterns."""
REFUSED = {("no repeat orders", name) for name in ("pooled_gamma", "lapse_gamma", "rhythm")}
patterns_named = cache(lambda name: ODD[name]())


def outcome(odd, name, settings):
    """The fit, or the sentence that refuses it, and that alone."""
    try:
        return find_model(name).fit(patterns_named(odd), seed=1, settings=settings)
    except ModelError as error:
        return str(error)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["pooled_gamma", "lapse_gamma", "rhythm"])
def test_predictions_are_finite_or_a_sentence_says_what_is_missing(odd, name):
    patterns = patterns_named(odd)
    fit = outcome(odd, name, FitSettings(method="laplace", draws=100))
    if (odd, name) in REFUSED:
        assert "nothing to fit; pair_conjugate forecasts without a fit" in fit
        return
    predictions = fit.predict(patterns, weeks=WEEKS, draws=50, streams=Streams(1))
    assert predictions.pairs.finite().all()
    assert np.isfinite(predictions.products.orders).all()


@pytest.mark.parametrize("odd", [odd for odd in ODD if (odd, "rhythm") not in REFUSED])
@pytest.mark.parametrize("name", ["lapse_gamma", "rhythm"])
def test_chains_converge(odd, name):
    fit = outcome(odd, name, FitSettings())
    assert fit.warnings == ()
