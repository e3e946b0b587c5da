"""Products' streams of draws: followed whole, or with what some pairs order kept apart.

A product's pairs are drawn one after the other, from one stream, into the product's sums. What a
pair adds is what the sums are after it less what they were before it.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from models.parts.pair.results import Results, draws_last
from toolkit.data.tables import Ints, PairDraws, Patterns

type Draw = Callable[[slice], None]
"""Draws the next pairs of a product, which are these rows of the patterns."""

type Begin = Callable[[int, slice], Draw]
"""Begins a product, by its place and the rows of its pairs: all that is drawn before them."""


def draw_all(patterns: Patterns, begin: Begin) -> None:
    """Every pair of every product."""
    for j, ends in enumerate(pairwise(patterns.product_offsets()[1].tolist())):
        begin(j, slice(*ends))(slice(*ends))


def draw_apart(patterns: Patterns, rows: Ints, results: Results, begin: Begin) -> PairDraws:
    """What the pairs in ``rows``, which ascend, add to their products' draws in ``results``."""
    found = np.zeros((2, len(rows), *results.orders.shape[1:]))
    for j, (start, end) in enumerate(pairwise(patterns.product_offsets()[1].tolist())):
        places = range(*np.searchsorted(rows, (start, end)).tolist())
        if not places:
            continue
        sums, at = (results.orders[j], results.quantity[j]), start
        draw = begin(j, slice(start, end))
        for place in places:
            row = int(rows[place])
            if at < row:
                draw(slice(at, row))
            before = [of.copy() for of in sums]
            draw(slice(row, row + 1))
            for kept, after, of in zip(found, sums, before, strict=True):
                kept[place] = after - of
            at = row + 1
    return PairDraws(*map(draws_last, found))
