"""New pairs: customers who buy a product for the first time.

A product's first orders arrive as a Poisson process with a rate ν ~ Gamma(shape, rate) per day,
conjugate to the number of pairs that first ordered within the window before the as-of date.
The pairs that opened the product's history are what the count starts from, so they are left out.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.data.tables import Floats, Patterns

WINDOW_DAYS = 182


@dataclass(frozen=True, slots=True)
class ArrivalPrior:
    """Gamma prior of the rate of first orders per product: ``shape``, ``rate`` in days."""

    shape: float
    rate: float


def arrivals(patterns: Patterns) -> tuple[Floats, Floats]:
    """First orders of each product within the window, and the days in which they were counted."""
    _, offset = patterns.product_offsets()
    first_day = patterns.events.day[patterns.event_offset[:-1]]
    if not len(first_day):
        return np.zeros(0), np.zeros(0)
    opened = np.minimum.reduceat(first_day, offset[:-1])
    opened_of_pair = np.repeat(opened, np.diff(offset))
    counted = (first_day >= -WINDOW_DAYS) & (first_day > opened_of_pair)
    days = np.minimum(WINDOW_DAYS, -opened).astype(float)
    return patterns.sum_by_product(counted.astype(float)), days


def arrival_posteriors(patterns: Patterns, prior: ArrivalPrior) -> tuple[Floats, Floats]:
    """Gamma shape and rate (days) of each product's first orders per day, two arrays [products]."""
    arrived, days = arrivals(patterns)
    return prior.shape + arrived, prior.rate + days
