"""Tables of predictions for those who speak of pairs only, or of products only."""

import numpy as np

from toolkit.data.tables import (
    COUNTS,
    QUANTILES,
    Floats,
    Ints,
    PairPredictions,
    ProductDraws,
)
from toolkit.model import Streams


def no_pairs(pairs: int, weeks: int) -> PairPredictions:
    """Nothing is said of pairs: all NaN."""
    single, weekly = np.full(pairs, np.nan), np.full((pairs, weeks), np.nan)
    return PairPredictions(
        p_alive=single,
        confidence=single,
        expected_interval=single,
        open_interval_p=single,
        next_order_day=single,
        next_order_quantiles=np.full((pairs, len(QUANTILES)), np.nan),
        p_order_by_week=weekly,
        expected_orders=weekly,
        expected_quantity=weekly,
        order_count_p=np.full((pairs, COUNTS), np.nan),
    )


def no_products(product_id: Ints, weeks: int, draws: int) -> ProductDraws:
    """Nothing is said of products: all NaN."""
    nothing = np.full((len(product_id), weeks), np.nan)
    drawn = np.full((len(product_id), weeks, draws), np.nan, dtype=np.float32)
    return ProductDraws(product_id, drawn, drawn, nothing, nothing, nothing)


def quantities_only(product_id: Ints, quantity: Floats, expected_quantity: Floats) -> ProductDraws:
    """Draws [products, weeks, draws] and means of the units; nothing of orders or customers."""
    nothing = no_products(product_id, *quantity.shape[1:])
    return ProductDraws(
        product_id,
        nothing.orders,
        quantity.astype(np.float32),
        nothing.expected_orders,
        expected_quantity,
        nothing.known_expected_quantity,
    )


def spread(product_id: Ints, weeks: int, draws: int, streams: Streams) -> Floats:
    """Levels in (0, 1), evenly spaced and in random order, [products, weeks, draws].

    Draws at these levels have the distribution's quantiles without noise, whatever their number.
    """
    even = (np.arange(draws) + 0.5) / draws
    levels = np.empty((len(product_id), weeks, draws))
    for row, product in zip(levels, product_id.tolist(), strict=True):
        rng = streams.product(product)
        row[...] = rng.permuted(np.broadcast_to(even, (weeks, draws)), axis=1)
    return levels


def at_levels(quantiles: Floats, levels: Floats) -> Floats:
    """Values at ``levels`` [products, weeks, draws] of distributions known at ``QUANTILES``.

    ``quantiles`` are [products, weeks, QUANTILES], ascending; straight lines between them, and on
    to the ends by the slope of the outermost, never below 0.
    """
    known = np.array(QUANTILES)
    right = np.clip(np.searchsorted(known, levels), 1, len(known) - 1)
    left = right - 1
    low = np.take_along_axis(quantiles, left, axis=2)
    slope = (np.take_along_axis(quantiles, right, axis=2) - low) / (known[right] - known[left])
    values: Floats = np.maximum(low + slope * (levels - known[left]), 0.0)
    return values
