"""Orders at fixed distances: each pair's mean interval, repeated. Points, no uncertainty."""

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import (
    COUNTS,
    DAYS_PER_WEEK,
    QUANTILES,
    REACH_DAYS,
    Floats,
    PairPredictions,
    Patterns,
    Predictions,
    ProductDraws,
)
from toolkit.model import Streams

type DueMask = NDArray[np.bool_]


def next_day(patterns: Patterns) -> Floats:
    """The first day from the as-of date on that is whole mean intervals after the last order.

    [pairs]; NaN for pairs with one order: they have no interval.
    """
    interval, open_interval = patterns.mean_interval, patterns.open_interval
    return np.round(interval * np.ceil(open_interval / interval) - open_interval)


def repeat_interval(
    patterns: Patterns, alive: DueMask, *, weeks: int, draws: int, streams: Streams
) -> Predictions:
    """Every pair that is ``alive`` [pairs] orders on its next day and so on; others never do."""
    day = np.where(alive, next_day(patterns), np.nan)
    orders = orders_by_week(day, patterns.mean_interval, weeks)
    size = patterns.total_quantity / patterns.order_count
    pairs = point_pairs(patterns, alive, day, orders, orders * size[:, None])
    return Predictions(patterns, weeks, pairs, point_products(patterns, pairs, draws))


def orders_by_week(day: Floats, interval: Floats, weeks: int) -> Floats:
    """How many of the days ``day``, ``day + interval``, … fall into each week, [pairs, weeks]."""
    ends = DAYS_PER_WEEK * np.arange(1, weeks + 1) - 1
    with np.errstate(invalid="ignore"):  # NaN: no order
        until = np.floor((ends - day[:, None]) / interval[:, None]) + 1
    total = np.where(day[:, None] <= ends, until, 0.0)
    return np.diff(total, axis=1, prepend=0.0)


def point_pairs(
    patterns: Patterns, alive: DueMask, day: Floats, orders: Floats, quantity: Floats
) -> PairPredictions:
    """What the rule says of pairs, as distributions that are points."""
    total = np.minimum(orders.sum(axis=1), COUNTS - 1).astype(np.int64)
    counts = np.zeros((len(day), COUNTS))
    counts[np.arange(len(day)), total] = 1.0
    day = np.where(day <= REACH_DAYS, day, np.nan)
    known = patterns.interval_count > 0
    return PairPredictions(
        p_alive=alive.astype(float),
        confidence=np.isfinite(day).astype(float),
        expected_interval=np.where(known, patterns.mean_interval, REACH_DAYS + 1.0),
        open_interval_p=(~known | (patterns.open_interval <= patterns.mean_interval)).astype(float),
        next_order_day=day,
        next_order_quantiles=np.repeat(day[:, None], len(QUANTILES), axis=1),
        p_order_by_week=(np.cumsum(orders, axis=1) > 0).astype(float),
        expected_orders=orders,
        expected_quantity=quantity,
        order_count_p=counts,
    )


def point_products(patterns: Patterns, pairs: PairPredictions, draws: int) -> ProductDraws:
    """Sums over each product's pairs; all draws are alike. New customers are not foreseen."""
    orders = patterns.sum_by_product(pairs.expected_orders)
    quantity = patterns.sum_by_product(pairs.expected_quantity)
    return ProductDraws(
        product_id=patterns.product_offsets()[0],
        orders=np.repeat(orders[:, :, None], draws, axis=2).astype(np.float32),
        quantity=np.repeat(quantity[:, :, None], draws, axis=2).astype(np.float32),
        expected_orders=orders,
        expected_quantity=quantity,
        known_expected_quantity=quantity,
    )
