"""The level of the weeks to come: what orders of late say of a pair and of its product.

A rhythm that is learned from all of a pair's past takes long to see that the pair has changed, and
all pairs of a product may change alike: customers leave, or the product goes out of use. Of the
last twelve weeks, which are as many as are usually forecast, n orders of a pair came and e were
expected at its rate. The posterior mean of a factor with a Gamma prior of mean 1 that is worth
κ orders, where n is Poisson (Gelman et al., Bayesian Data Analysis, 3rd ed. 2013, section 2.6), is

    level = (κ + n) / (κ + e)

of each pair first, with κ = ``ORDERS_OF_PAIR``, then of its product, from the sums of n and of
e times the pair's level, with κ = ``ORDERS_OF_PRODUCT``. In the weeks to come a pair's time runs
as many times as fast as both say.

The product's factor stays unknown: its posterior has a relative variance of 1 / (κ + n), and from
these twelve weeks to the next it drifts by ``DRIFT`` more.
"""

from typing import NamedTuple

import numpy as np

from models.parts.kernels.renewal import survived_days
from models.parts.pair.pauses import Intervals
from toolkit.data.tables import Floats, Patterns, sum_from

WINDOW_DAYS = 84
ORDERS_OF_PAIR, ORDERS_OF_PRODUCT = 3.0, 1.0
DRIFT = 0.05


class Levels(NamedTuple):
    """How fast time runs for pairs, and how little is known of that for a product."""

    pace: Floats  # [pairs]
    variance: Floats  # [products], of the factor that a product's pairs share; its mean is 1


def levels(patterns: Patterns, known: Intervals, rates: Floats) -> Levels:
    """The levels of all pairs and products; ``known`` intervals, expected orders a day [pairs].

    A pair counts from its first order on, or from its first after a pause. Where that was
    yesterday, none could have come since, and none is expected.
    """
    begun = known.S + patterns.open_interval
    came = _orders_since(patterns, np.minimum(begun - 1, WINDOW_DAYS))
    expected = rates * np.minimum(survived_days(begun), WINDOW_DAYS)
    of_pair = _level(ORDERS_OF_PAIR, came, expected)
    orders = patterns.sum_by_product(came)
    of_product = _level(ORDERS_OF_PRODUCT, orders, patterns.sum_by_product(of_pair * expected))
    pairs_of_product = np.diff(patterns.product_offsets()[1])
    return Levels(
        of_pair * np.repeat(of_product, pairs_of_product),
        1 / (ORDERS_OF_PRODUCT + orders) + DRIFT,
    )


def _level(worth: float, came: Floats, expected: Floats) -> Floats:
    return (worth + came) / (worth + expected)


def _orders_since(patterns: Patterns, days: Floats) -> Floats:
    """Orders of each pair in its last ``days`` days, [pairs]."""
    recent = patterns.events.day >= -np.repeat(days, patterns.order_count)
    return sum_from(recent.astype(float), patterns.event_offset[:-1])
