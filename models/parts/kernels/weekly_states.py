"""What a pair is under draws of the population, and when its next order comes, week by week.

Formulas as in ``weekly.py``. Probabilities of the next order average those given the frailty over
the draws (Rao–Blackwell).
"""

from typing import NamedTuple

import numpy as np

from models.parts.kernels.vector import exp, side_by_side
from models.parts.kernels.weekly import MAX_LOG_HAZARD
from toolkit.data.tables import DAYS_PER_WEEK, REACH_DAYS, Floats, Ints

REACH_WEEKS = REACH_DAYS // DAYS_PER_WEEK + 1
POOL_WEEKS = 4
"""Pairs are pooled by what happens within so many weeks."""
POOL_STEPS, MOST_SCALED, LEAST_P = 6, 10.0, 1e-9

# What a row is under each draw: see ``row_states``.
LOG_LEVEL, LEVEL, DEPTH, FADE, KEEP, ALIVE, TAU, MEAN, FRAILTY, EXTRA, ONE = range(11)
STATE_COLUMNS = 11


class Coefficients(NamedTuple):
    """Draws of the coefficients, constant first, and of what else a path needs, [..., draws]."""

    rate: Floats  # [1 + columns, draws], of log h
    dip: Floats  # of log δ
    frailty: Floats  # of log τ
    alive: Floats  # of logit p
    extra: Floats  # of the log of orders beyond the first in a week
    inverse_dip_length: Floats  # [draws], 1 / σ
    decline: Floats  # [draws], κ
    next_level: Floats  # [draws]
    product_shock: Floats  # [draws]
    arrival: Floats  # [1 + columns, draws], of the log of a product's first orders per day
    arrival_shape: Floats  # [draws]


class Places(NamedTuple):
    """Where the columns of each block stand among a row's values."""

    rate: Ints
    dip: Ints
    frailty: Ints
    alive: Ints
    extra: Ints
    restarted: Ints  # of ``rate``: coefficients of what an order sets back


class WeeklyDraws(NamedTuple):
    """What the pairs of a product share, under every draw of the population."""

    coefficients: Coefficients
    places: Places
    node: Floats  # [kinds], of the frailty
    weight: Floats  # [kinds]
    shock: Floats  # [draws]
    pace: Floats  # [REACH_WEEKS, draws], season, what it may be off by, and decline of each week
    ahead: Floats  # [REACH_WEEKS + 1], seasons summed up


class Others(NamedTuple):
    """What another model says of pairs, to be pooled with."""

    log_odds: Floats  # [pairs], of an order within ``POOL_WEEKS``
    weight: float  # of them in the pool; 0: there is none

    def select(self, rows: slice) -> "Others":
        """What it says of some of the pairs."""
        return Others(self.log_odds[rows], self.weight)


@side_by_side
def _linear(values: Floats, places: Ints, coefficients: Floats, out: Floats) -> None:
    """Constant and columns times coefficients, [draws]."""
    for d in range(len(out)):
        out[d] = coefficients[0, d]
    for j in range(len(places)):
        value = values[places[j]]
        for d in range(len(out)):
            out[d] += value * coefficients[1 + j, d]


@side_by_side
def row_states(
    values: Floats, clock: float, elapsed: float, shared: WeeklyDraws, state: Floats
) -> None:
    """One row under every draw; fills ``state`` [columns, draws].

    Hazard without dip, season and decline, and before that the log of it without the product's
    shock; depth of the dip; what is left of it now, and what a week leaves of it; P(alive); τ, and
    what exp(τ z) has to be divided by for λ to average 1; orders in a week beyond the first, and
    P(none of them).
    """
    c, places, shock = shared.coefficients, shared.places, shared.shock
    node, weight = shared.node, shared.weight
    _linear(values, places.rate, c.rate, state[LOG_LEVEL])
    _linear(values, places.dip, c.dip, state[DEPTH])
    _linear(values, places.frailty, c.frailty, state[TAU])
    _linear(values, places.alive, c.alive, state[ALIVE])
    _linear(values, places.extra, c.extra, state[EXTRA])
    for d in range(state.shape[1]):
        state[LEVEL, d] = exp(min(state[LOG_LEVEL, d] + shock[d], MAX_LOG_HAZARD))
        state[DEPTH, d] = exp(min(state[DEPTH, d], MAX_LOG_HAZARD))
        state[TAU, d] = exp(min(state[TAU, d], 1.5))
        state[ALIVE, d] = 1.0 / (1.0 + exp(-max(min(state[ALIVE, d], 700.0), -700.0)))
        state[EXTRA, d] = exp(min(state[EXTRA, d], 2.0))
        state[ONE, d] = exp(-state[EXTRA, d])
        pace = clock * c.inverse_dip_length[d]
        state[KEEP, d] = exp(-pace)
        state[FADE, d] = exp(-pace * (elapsed + 0.5))
    state[MEAN] = 0.0
    for k in range(len(node)):
        for d in range(state.shape[1]):
            state[MEAN, d] += weight[k] * exp(state[TAU, d] * node[k])


@side_by_side
def frailty_at(u: float, d: int, state: Floats, shared: WeeklyDraws) -> float:
    """λ of one of the kinds of pairs that there are under draw ``d``, for a uniform ``u``."""
    node, weight, k = shared.node, shared.weight, 0
    while k < len(node) - 1 and u >= weight[k]:
        u -= weight[k]
        k += 1
    return exp(state[TAU, d] * node[k]) / state[MEAN, d]


@side_by_side
def draw_frailties(uniform: Floats, shared: WeeklyDraws, state: Floats) -> None:
    """The same under every draw, for as many uniforms."""
    node, weight, reached = shared.node, shared.weight, 0.0
    state[FRAILTY] = node[0]
    for k in range(1, len(node)):
        reached += weight[k - 1]
        for d in range(len(uniform)):
            state[FRAILTY, d] = node[k] if uniform[d] >= reached else state[FRAILTY, d]
    for d in range(len(uniform)):
        state[FRAILTY, d] = exp(state[TAU, d] * state[FRAILTY, d]) / state[MEAN, d]


@side_by_side
def next_order_by_week(
    state: Floats, pace: Floats, passed: Floats, p_by_week: Floats, room: Floats
) -> None:
    """P(next order by the end of each week) [weeks]; ``passed`` [weeks, draws]: hazards summed up.

    ``pace`` [weeks, draws]: season and decline of each week; ``room`` [2, draws]. ``passed`` may
    have more weeks than are asked for.
    """
    draws = state.shape[1]
    for d in range(draws):
        room[0, d], room[1, d] = state[FADE, d], 0.0
    reached = 0.0
    for week in range(len(passed)):
        total = 0.0
        for d in range(draws):
            dip = exp(-state[DEPTH, d] * room[0, d])
            room[1, d] += state[LEVEL, d] * pace[week, d] * dip
            room[0, d] *= state[KEEP, d]
            passed[week, d] = room[1, d]
            total += state[ALIVE, d] * (1.0 - exp(-state[FRAILTY, d] * room[1, d]))
        reached = min(1.0, max(reached, total / draws))  # rounding must not make it fall
        if week < len(p_by_week):
            p_by_week[week] = reached


@side_by_side
def pool(log_odds: float, weight: float, state: Floats, passed: Floats, p_by_week: Floats) -> float:
    """Pool a pair: fills ``p_by_week``, and returns the factor of hazards until its next order.

    P(order within ``POOL_WEEKS``) then has the mean of its own log odds and of ``log_odds``, which
    have the ``weight``. It is concave in the factor: Newton's steps come up to it from below.
    """
    within = passed[POOL_WEEKS - 1]
    own = min(max(_p_order(1.0, state, within), LEAST_P), 1.0 - LEAST_P)
    pooled = (1.0 - weight) * np.log(own / (1.0 - own)) + weight * log_odds
    target = 1.0 / (1.0 + np.exp(-pooled))
    factor = 1.0
    for _ in range(POOL_STEPS):
        p, slope = 0.0, 0.0
        for d in range(len(within)):
            hazard = state[FRAILTY, d] * within[d]
            left = state[ALIVE, d] * exp(-factor * hazard)
            p += state[ALIVE, d] - left
            slope += hazard * left
        step = (target * len(within) - p) / max(slope, LEAST_P)
        factor = min(max(factor + step, factor / 2.0), 2.0 * factor)
    factor = min(max(factor, 1.0 / MOST_SCALED), MOST_SCALED)
    reached = 0.0
    for week in range(len(p_by_week)):
        reached = min(1.0, max(reached, _p_order(factor, state, passed[week])))
        p_by_week[week] = reached
    return factor


@side_by_side
def _p_order(factor: float, state: Floats, passed: Floats) -> float:
    """P(an order before ``factor`` times the hazards ``passed`` [draws])."""
    total = 0.0
    for d in range(len(passed)):
        total += state[ALIVE, d] * (1.0 - exp(-factor * state[FRAILTY, d] * passed[d]))
    return total / len(passed)


@side_by_side
def dips_after(state: Floats, dips: Floats) -> None:
    """What the dip leaves of the hazard so many weeks after an order, [weeks, draws]."""
    for d in range(state.shape[1]):
        dips[0, d] = state[KEEP, d]
    for week in range(1, len(dips)):
        for d in range(state.shape[1]):
            dips[week, d] = state[KEEP, d] * dips[week - 1, d]
    for week in range(len(dips)):
        for d in range(state.shape[1]):
            dips[week, d] = exp(-state[DEPTH, d] * dips[week, d])
