"""Order sizes: a Pólya urn over a pair's own past sizes and the product's.

A new size is one of the pair's own, or, with the urn's weight, one of the product's: any of its
pairs, then an order of that pair, so that a customer who orders every day does not speak for all.
A past size weighs ½ to the power of its age in units of ``HALF_LIFE_DAYS``: sizes drift. Every size
that is drawn joins the pair's own with weight one.

Weight and half-life were chosen on earlier dates than any reported, by the error of units given the
orders; on stores, gifts and groceries alike it was 0 to 12 % less than with all sizes alike and the
product's weighing as two (docs/accuracy.md).

Source: Blackwell & MacQueen (1973), doi:10.1214/aos/1176342372.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.vector import compiled, lean
from toolkit.data.tables import Floats, Ints, Patterns

URN_WEIGHT = 0.5
"""The product's sizes weigh as much as so many of the pair's own of today."""
HALF_LIFE_DAYS = 180.0
"""A size so long ago weighs half of one of today."""
MOST_HALF_LIVES = 500.0
"""Sizes before them weigh alike, and more than nothing: a pair that has no others has a mean."""


class Urn(NamedTuple):
    """What the next size of an order of a product is drawn from, beside the pair's own."""

    offset: Ints  # [pairs + 1], where each pair's ``sizes`` begin
    sizes: Floats  # [events]
    reached: Floats  # [events], weights of the pair's sizes so far
    weight: float  # of all of these, in sizes of the pair's own
    first: int = 0  # where the pair stands that sizes are drawn for first

    @classmethod
    def of(cls, patterns: Patterns, rows: slice, weight: float) -> "Urn":
        """The sizes of a product's pairs, which are ``rows`` of the patterns."""
        offset = patterns.event_offset[rows.start : rows.stop + 1]
        events = slice(offset[0], offset[-1])
        offset = offset - offset[0]
        reached = np.cumsum(size_weights(patterns.events.day[events]))
        before = np.concatenate([[0.0], reached])[offset[:-1]]
        reached -= np.repeat(before, np.diff(offset))
        return cls(offset, patterns.events.quantity[events], reached, weight)

    def starting_at(self, pair: int) -> "Urn":
        """The same, to draw sizes for ``pair`` and those after it."""
        return self._replace(first=pair)


def size_weights(day: Ints) -> Floats:
    """Of sizes on days before the as-of date, in sizes of that date."""
    half_lives = np.minimum(-day / HALF_LIFE_DAYS, MOST_HALF_LIVES)
    weights: Floats = 0.5**half_lives
    return weights


@lean
def draw_size(rng: Any, urn: Urn, pair: int, drawn: Floats, n_drawn: int) -> float:
    """The next size of a pair: its past sizes, those ``drawn`` before, or the product's.

    ``pair`` counts from ``urn.first``; -1 for a new one.
    """
    at = urn.first + pair
    own = urn.reached[urn.offset[at + 1] - 1] if pair >= 0 else 0.0
    u = rng.random() * (own + n_drawn + urn.weight)
    if u < own:
        return past_size(urn, at, u)
    if u < own + n_drawn:
        return drawn[int(u - own)]
    pair = int(rng.random() * (len(urn.offset) - 1))
    return past_size(urn, pair, rng.random() * urn.reached[urn.offset[pair + 1] - 1])


@compiled
def past_size(urn: Urn, pair: int, weight: float) -> float:
    """The size of a pair at which the weights so far exceed ``weight``."""
    first, end = urn.offset[pair], urn.offset[pair + 1]
    at = first + np.searchsorted(urn.reached[first:end], weight, side="right")
    return urn.sizes[min(at, end - 1)]


def expected_size(patterns: Patterns, urn_weight: float) -> Floats:
    """Mean of the urn's next order size, for every pair, [pairs]."""
    known, total = _past(patterns)
    _, offset = patterns.product_offsets()
    base_mean = np.repeat(expected_new_size(patterns), np.diff(offset))
    mean: Floats = (total + urn_weight * base_mean) / (known + urn_weight)
    return mean


def expected_new_size(patterns: Patterns) -> Floats:
    """The same, for a new pair of every product, [products]."""
    known, total = _past(patterns)
    _, offset = patterns.product_offsets()
    mean: Floats = patterns.sum_by_product(total / known) / np.diff(offset)
    return mean


def _past(patterns: Patterns) -> tuple[Floats, Floats]:
    """Weights of each pair's sizes, and the sizes times these, both summed up, [pairs]."""
    weights = size_weights(patterns.events.day)
    first = patterns.event_offset[:-1]
    known: Floats = np.add.reduceat(weights, first)
    total: Floats = np.add.reduceat(weights * patterns.events.quantity, first)
    return known, total
