"""Order sizes: a Pólya urn over a pair's own past sizes and the product's.

A new size is one of the pair's own with weight one each, or, with the urn's weight, one of the
product's: any of its pairs, then any order of that pair, so that a customer who orders every day
does not speak for all. Every size that is drawn joins the pair's own.

Source: Blackwell & MacQueen (1973), doi:10.1214/aos/1176342372.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.vector import compiled
from toolkit.data.tables import Floats, Ints, Patterns

URN_WEIGHT = 2.0
"""The product's sizes weigh as much as so many of the pair's own."""


class Urn(NamedTuple):
    """What the next size of an order of a product is drawn from, beside the pair's own."""

    offset: Ints  # [pairs + 1], where each pair's ``sizes`` begin
    sizes: Floats  # [events]
    weight: float  # of all of these, in sizes of the pair's own

    @classmethod
    def of(cls, patterns: Patterns, rows: slice, weight: float) -> "Urn":
        """The sizes of a product's pairs, which are ``rows`` of the patterns."""
        offset = patterns.event_offset[rows.start : rows.stop + 1]
        return cls(offset - offset[0], patterns.events.quantity[offset[0] : offset[-1]], weight)


@compiled
def draw_size(rng: Any, urn: Urn, own: Floats, drawn: Floats, n_drawn: int) -> float:
    """The next size of a pair: ``own`` past sizes, those ``drawn`` before, or the product's."""
    u = rng.random() * (len(own) + n_drawn + urn.weight)
    if u < len(own):
        return own[int(u)]
    if u < len(own) + n_drawn:
        return drawn[int(u) - len(own)]
    pair = int(rng.random() * (len(urn.offset) - 1))
    first, orders = urn.offset[pair], urn.offset[pair + 1] - urn.offset[pair]
    return urn.sizes[first + int(rng.random() * orders)]


def expected_size(patterns: Patterns, urn_weight: float) -> Floats:
    """Mean of the urn's next order size, for every pair, [pairs]."""
    _, offset = patterns.product_offsets()
    pairs = np.diff(offset)
    own_mean = patterns.total_quantity / patterns.order_count
    base_mean = np.repeat(patterns.sum_by_product(own_mean) / pairs, pairs)
    total = patterns.total_quantity + urn_weight * base_mean
    mean: Floats = total / (patterns.order_count + urn_weight)
    return mean
