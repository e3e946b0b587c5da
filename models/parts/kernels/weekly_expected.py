"""Orders that are expected in each week under each draw, no path drawn; formulas in ``weekly.py``.

Given the draw and the frailty, the chance of an order in a week follows from those of the weeks
before it: the renewal equation, in whole weeks. The frailty's kinds and P(alive) are summed out. It
is the mean of what ``weekly_paths.py`` simulates, without the noise of paths.
"""

import numpy as np

from models.parts.kernels.vector import exp, side_by_side
from models.parts.kernels.weekly_paths import MAX_EXTRA
from models.parts.kernels.weekly_states import (
    ALIVE,
    DEPTH,
    EXTRA,
    FADE,
    FRAILTY,
    KEEP,
    LEVEL,
    MEAN,
    POOL_WEEKS,
    STATE_COLUMNS,
    TAU,
    Others,
    WeeklyDraws,
    dips_after,
    draw_frailties,
    next_order_by_week,
    pool,
    row_states,
)
from models.parts.rhythm.activity import Activity
from toolkit.data.tables import Floats, Ints


@side_by_side
def _next_orders(factor: float, state: Floats, pace: Floats, room: Floats, ordered: Floats) -> None:
    """P(the next order is in the week) of a pair that is alive, [weeks, draws]."""
    draws = state.shape[1]
    for d in range(draws):
        room[0, d], room[1, d] = state[FADE, d], 1.0
    for week in range(len(ordered)):
        for d in range(draws):
            rate = factor * state[FRAILTY, d] * state[LEVEL, d] * pace[week, d]
            left = room[1, d] * exp(-rate * exp(-state[DEPTH, d] * room[0, d]))
            ordered[week, d] = room[1, d] - left
            room[1, d] = left
            room[0, d] *= state[KEEP, d]


@side_by_side
def _those_after(state: Floats, pace: Floats, dips: Floats, room: Floats, ordered: Floats) -> None:
    """From orders to start with, in each week, to these and all that follow, [weeks, draws]."""
    weeks, draws = ordered.shape
    for last in range(weeks):
        for d in range(draws):
            room[0, d] = ordered[last, d]
        for week in range(last + 1, weeks):
            for d in range(draws):
                rate = state[FRAILTY, d] * state[LEVEL, d] * pace[week, d]
                left = room[0, d] * exp(-rate * dips[week - last - 1, d])
                ordered[week, d] += room[0, d] - left
                room[0, d] = left


@side_by_side
def _in_an_order_week(extra: float) -> float:
    """Orders in a week that has one: with as many more at most as a path can draw."""
    p = exp(-extra)
    reached, orders = p, 1.0
    for more in range(1, MAX_EXTRA + 1):
        orders += 1.0 - reached
        p *= extra / more
        reached += p
    return orders


@side_by_side
def _take_kind(node: float, state: Floats) -> None:
    """λ of one of the kinds of pairs, under every draw."""
    for d in range(state.shape[1]):
        state[FRAILTY, d] = exp(state[TAU, d] * node) / state[MEAN, d]


@side_by_side
def expect_pairs(
    rows: Activity, others: Others, uniform: Floats, weight: Floats, slot: Ints,
    shared: WeeklyDraws, out: Floats,
) -> None:  # fmt: skip
    """Add ``weight`` [rows] times each pair's expected orders to its ``slot`` [rows] of ``out``.

    ``out`` is [slots, weeks, draws]; ``uniform`` [draws]: of the frailties that pooling looks at.
    """
    weeks, draws = out.shape[1:]
    state, room = np.empty((STATE_COLUMNS, draws)), np.empty((2, draws))
    passed, p_by_week = np.empty((max(weeks, POOL_WEEKS), draws)), np.empty(weeks)
    dips, ordered = np.empty((weeks, draws)), np.empty((weeks, draws))
    pace = shared.pace
    for r in range(len(rows.clock)):
        row_states(rows.values[r], rows.clock[r], rows.elapsed[r], shared, state)
        dips_after(state, dips)
        factor = 1.0
        if others.weight > 0.0:
            draw_frailties(uniform, shared, state)
            next_order_by_week(state, pace, passed, p_by_week, room)
            factor = pool(others.log_odds[r], others.weight, state, passed, p_by_week)
        for d in range(draws):
            state[EXTRA, d] = _in_an_order_week(state[EXTRA, d])
        for k in range(len(shared.node)):
            _take_kind(shared.node[k], state)
            _next_orders(factor, state, pace, room, ordered)
            _those_after(state, pace, dips, room, ordered)
            share = weight[r] * shared.weight[k]
            for week in range(weeks):
                for d in range(draws):
                    orders = state[ALIVE, d] * state[EXTRA, d] * ordered[week, d]
                    out[slot[r], week, d] += share * orders


@side_by_side
def expect_new_pairs(
    rows: Activity, product: int, arriving: Floats, shared: WeeklyDraws, out: Floats
) -> None:
    """Add the expected orders of a product's new customers to ``out`` [weeks, draws].

    ``rows``: of products' new customers; ``arriving`` [weeks, draws]: how many of them order for
    the first time.
    """
    weeks, draws = out.shape
    state, room = np.empty((STATE_COLUMNS, draws)), np.empty((2, draws))
    dips, ordered = np.empty((weeks, draws)), np.empty((weeks, draws))
    row_states(rows.values[product], rows.clock[product], 0.0, shared, state)
    dips_after(state, dips)
    for d in range(draws):
        state[EXTRA, d] = _in_an_order_week(state[EXTRA, d])
    for k in range(len(shared.node)):
        _take_kind(shared.node[k], state)
        for week in range(weeks):
            for d in range(draws):
                ordered[week, d] = arriving[week, d]
        _those_after(state, shared.pace, dips, room, ordered)
        share = shared.weight[k]
        for week in range(weeks):
            for d in range(draws):
                alive = state[ALIVE, d]
                both = alive * ordered[week, d] + (1.0 - alive) * arriving[week, d]
                out[week, d] += share * state[EXTRA, d] * both
