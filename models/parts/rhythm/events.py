"""What further special days do to the demand of products, computed and not simulated.

Under each draw of the population and of the weeks to come, expected orders and units with the days
are held against those without, pair by pair and of new customers, as ``weekly_expected.py`` has
them. Nothing else changes: the past stays as it was observed, and what all products share is drawn
from the same numbers. The weeks are off by more where they stand out by more.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.parts.kernels.weekly_expected import expect_new_pairs, expect_pairs
from models.parts.kernels.weekly_paths import MAX_LOG_ARRIVALS
from models.parts.kernels.weekly_states import Others, WeeklyDraws
from models.parts.pair.sizes import URN_WEIGHT, expected_new_size, expected_size
from models.parts.rhythm.activity import Activity
from models.parts.rhythm.newcomers import newcomer_columns
from models.parts.rhythm.pair_pooling import others
from models.parts.rhythm.prediction import Predictor
from toolkit.data.calendar import Event
from toolkit.data.tables import DAYS_PER_WEEK, DemandFactors, Floats, Patterns
from toolkit.model import Streams


def event_factors(
    model: Predictor, patterns: Patterns, events: Sequence[Event], *, weeks: int, draws: int,
    streams: Streams,
) -> DemandFactors:  # fmt: skip
    """Demand with further events over demand without, of every product in ``patterns``."""
    with_events = model.season.with_events(events, patterns.as_of_date)
    worlds = [
        one.ahead(patterns.as_of_date, weeks, draws, streams)
        for one in (model, replace(model, season=with_events))
    ]
    paces = [ahead.pace() for ahead in worlds]
    ids, offset = patterns.product_offsets()
    n, rows, by_trees = len(patterns), model.rows(patterns), others(patterns, model.pool)
    new_rows, sizes = rows.select(slice(n, None)), _sizes(patterns)
    per_week = DAYS_PER_WEEK * _new_customers(model, patterns, worlds[0].draws.arrival)
    expected = np.zeros((2, 2, len(ids), weeks, draws))  # worlds, orders and units, …
    for j, product_id in enumerate(ids.tolist()):
        levels = worlds[0].levels(rng := streams.product(product_id))
        uniform = rng.permutation((np.arange(draws) + 0.5) / draws)
        part = slice(offset[j], offset[j + 1])
        known, pooled = rows.select(part), by_trees.select(part)
        for world, (ahead, pace) in enumerate(zip(worlds, paces, strict=True)):
            shared = model.shared(ahead, levels, pace)
            arriving = per_week[j] * ahead.season[:weeks, None] * ahead.factors
            new = np.zeros((weeks, draws))
            expect_new_pairs(new_rows, j, arriving, shared, new)
            of_pairs = _of_pairs(known, pooled, uniform, shared, new.shape)
            expected[world, 0, j] = of_pairs.sum(axis=0) + new
            units = np.tensordot(sizes[0][part], of_pairs, axes=1)
            expected[world, 1, j] = units + new * sizes[1][j]
    without, there = expected
    return DemandFactors(
        _ratio(there, without).astype(np.float32),
        _ratio(there.mean(axis=3), without.mean(axis=3)),
    )


def _of_pairs(
    rows: Activity, by_trees: Others, uniform: Floats, shared: WeeklyDraws, shape: tuple[int, ...]
) -> Floats:
    """Expected orders of each pair, [pairs, weeks, draws]."""
    count = len(rows.clock)
    orders = np.zeros((count, *shape))
    expect_pairs(rows, by_trees, uniform, np.ones(count), np.arange(count), shared, orders)
    return orders


def _sizes(patterns: Patterns) -> tuple[Floats, Floats]:
    """Expected sizes of orders, of pairs [pairs] and of products' new customers [products]."""
    return expected_size(patterns, URN_WEIGHT), expected_new_size(patterns)


def _new_customers(model: Predictor, patterns: Patterns, arrival: Floats) -> Floats:
    """New customers of each product a day at the year's mean level, [products, draws]."""
    columns = newcomer_columns(patterns, model.season, model.base.newcomers)
    log_mean = arrival[0] + (columns[:, :, None] * arrival[1:]).sum(axis=1)
    rates: Floats = np.exp(np.minimum(log_mean, MAX_LOG_ARRIVALS))
    return rates


def _ratio(there: Floats, without: Floats) -> Floats:
    """1 where nothing is expected."""
    ratio: Floats = np.divide(there, without, out=np.ones_like(there), where=without > 0)
    return ratio
