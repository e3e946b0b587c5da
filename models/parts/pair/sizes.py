"""Order sizes: a Pólya urn over a pair's own past sizes and the product's.

A new size is one of the pair's own with weight one each, or, with the urn's weight, one of the
product's: any of its pairs, then any order of that pair, so that a customer who orders every day
does not speak for all. Every size that is drawn joins the pair's own.

Source: Blackwell & MacQueen (1973), doi:10.1214/aos/1176342372.
"""

from typing import Any

import numpy as np

from models.parts.kernels.vector import compiled
from toolkit.data.tables import Floats, Ints, Patterns

URN_WEIGHT = 2.0
"""The product's sizes weigh as much as so many of the pair's own."""


@compiled
def draw_size(
    rng: Any, own: Floats, offset: Ints, sizes: Floats, drawn: Floats, n_drawn: int, weight: float
) -> float:
    """The next size of a pair: ``own`` past sizes, those ``drawn`` before, or the product's."""
    u = rng.random() * (len(own) + n_drawn + weight)
    if u < len(own):
        return own[int(u)]
    if u < len(own) + n_drawn:
        return drawn[int(u) - len(own)]
    pair = int(rng.random() * (len(offset) - 1))
    return sizes[offset[pair] + int(rng.random() * (offset[pair + 1] - offset[pair]))]


def expected_size(patterns: Patterns, urn_weight: float) -> Floats:
    """Mean of the urn's next order size, for every pair, [pairs]."""
    _, offset = patterns.product_offsets()
    pairs = np.diff(offset)
    own_mean = patterns.total_quantity / patterns.order_count
    base_mean = np.repeat(patterns.sum_by_product(own_mean) / pairs, pairs)
    total = patterns.total_quantity + urn_weight * base_mean
    mean: Floats = total / (patterns.order_count + urn_weight)
    return mean


def sizes_by_pair(patterns: Patterns, rows: slice) -> tuple[Ints, Floats]:
    """Offsets of a product's pairs into its order sizes [pairs + 1], and the sizes [events]."""
    offset = patterns.event_offset[rows.start : rows.stop + 1]
    return offset - offset[0], patterns.events.quantity[offset[0] : offset[-1]]
