"""Order paths week by week under draws of the population; formulas as in ``weekly.py``.

A path draws whether its pair is alive, then its frailty, then a threshold, exponential with the
frailty as its rate: the next order falls into the week in which the hazards, summed up, pass it.
The dip starts anew from there. Probabilities of the next order average those given the frailty
over the draws (Rao–Blackwell). Within its week an order falls on the days its customer orders on.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.draws import draw_gamma, draw_strata
from models.parts.kernels.vector import exp, lean, log, side_by_side
from models.parts.kernels.weekly import HORIZON_WEEKS, MAX_LOG_HAZARD
from models.parts.pair.results import ProductResults
from models.parts.pair.sizes import Urn, draw_size
from models.parts.rhythm.activity import Activity
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    MIN_TOLERANCE_DAYS,
    REACH_DAYS,
    TOLERANCE_SHARE,
    Floats,
    Ints,
)

MAX_EXTRA = 6
"""A week has seven days to order on."""
MAX_LOG_ARRIVALS = 5.0
"""No product gets more new customers a day than exp of this."""
NO_DIP = 1e-4
"""A dip this shallow is over."""
FEW_DRAWS = 50
"""So many draws tell how long an interval lasts, and when an order beyond the horizon comes."""
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


class WeeklyArrivals(NamedTuple):
    """What says how many new customers a product gets."""

    values: Floats  # [columns], see ``Coefficients.arrival``
    season: Floats  # [weeks, draws], level of each week


@side_by_side
def _linear(values: Floats, places: Ints, coefficients: Floats, out: Floats) -> None:
    """Constant and columns times coefficients, [draws]."""
    out[:] = coefficients[0]
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
def first_orders(
    uniform: Floats, factor: float, state: Floats, passed: Floats, threshold: Floats, week: Ints
) -> None:
    """Thresholds of the hazards for uniforms [draws], and in which week each is passed.

    ``passed`` [weeks, draws]; the week is their number where it is beyond them.
    """
    for d in range(len(uniform)):
        threshold[d] = -log(1.0 - uniform[d])
    for d in range(len(uniform)):
        threshold[d] /= factor * state[FRAILTY, d]
    week[:] = 0
    for w in range(len(passed)):
        for d in range(len(uniform)):
            week[d] += 1 if threshold[d] >= passed[w, d] else 0


@side_by_side
def weeks_beyond(
    weeks: int, state: Floats, pace: Floats, ahead: Floats, left: Floats, more: Floats
) -> None:
    """How many weeks after the horizon the hazards pass what is ``left`` of thresholds [draws].

    Fills ``more`` [draws], −1 where nothing is left; none reaches beyond ``REACH_WEEKS``. Uses up
    ``left``, and the dips in ``state``. ``pace``: [REACH_WEEKS, draws].
    """
    more[:] = 0.0
    for d in range(len(left)):
        state[FADE, d] *= state[KEEP, d] ** weeks
    week, going = weeks, 1.0
    while week < REACH_WEEKS and going > 0.0:
        no_dip, going = NO_DIP if week >= HORIZON_WEEKS else -1.0, 0.0
        for d in range(len(left)):
            dip = state[DEPTH, d] * state[FADE, d]
            one = 1.0 if left[d] >= 0.0 and dip >= no_dip else 0.0
            left[d] -= one * state[LEVEL, d] * pace[week, d] * exp(-dip)
            state[FADE, d] *= state[KEEP, d]
            more[d] += one
            going += one
        week += 1
    for d in range(len(left)):
        week = weeks + int(more[d])
        if left[d] < 0.0:
            more[d] -= 1.0
        elif week < REACH_WEEKS:  # the dip is over
            share = pace[week, d] / (ahead[week + 1] - ahead[week])
            target = ahead[week] + left[d] / (state[LEVEL, d] * share)
            more[d] = np.searchsorted(ahead, target, side="right") - 1 - weeks


@side_by_side
def spread_beyond(
    weekday: Floats, weeks: int, threshold: Floats, passed: Floats, state: Floats, pace: Floats,
    ahead: Floats, some: Floats, room: Floats, by_day: Floats,
) -> None:  # fmt: skip
    """Add the next order to ``by_day`` where it comes after the horizon, told by some draws.

    ``threshold`` and ``passed`` [draws], the hazards of the horizon; ``pace`` [REACH_WEEKS, some],
    and room for as many: ``some`` [STATE_COLUMNS, some], ``room`` [2, some at least].
    """
    few, stride = pace.shape[1], max(1, len(threshold) // FEW_DRAWS)
    left, more = room[0, :few], room[1, :few]
    for i in range(few):
        some[:, i] = state[:, i * stride]
        left[i] = threshold[i * stride] - passed[i * stride]
    weeks_beyond(weeks, some, pace, ahead, left, more)
    for i in range(few):
        if more[i] >= 0.0:
            _spread_over_days(weekday, weeks + int(more[i]), some[ALIVE, i] / few, by_day)


@side_by_side
def open_interval_p(
    values: Floats, restarted: Floats, elapsed: float, state: Floats, shared: WeeklyDraws,
    room: Floats,
) -> float:  # fmt: skip
    """P(an interval lasts for ``elapsed`` weeks), in a plain season, averaged over some draws.

    ``room``: [3, draws].
    """
    rate, places = shared.coefficients.rate, shared.places
    draws, weeks = min(FEW_DRAWS, state.shape[1]), int(elapsed + 0.5)
    for d in range(draws):
        room[0, d], room[1, d], room[2, d] = state[LOG_LEVEL, d], state[KEEP, d], 0.0
    for j in range(len(places.restarted)):
        at = places.restarted[j]
        change = restarted[j] - values[places.rate[at]]
        for d in range(draws):
            room[0, d] += change * rate[1 + at, d]
    week, going = 0, 1.0
    while week < weeks and going > 0.0:
        going = 0.0
        for d in range(draws):
            dip = state[DEPTH, d] * room[1, d]
            one = 1.0 if dip >= NO_DIP else 0.0
            room[2, d] += exp(-dip) if dip >= NO_DIP else 1.0
            room[1, d] *= state[KEEP, d]
            going += one
        week += 1
    total = 0.0
    for d in range(draws):
        passed = room[2, d] + (weeks - week)
        total += exp(-state[FRAILTY, d] * exp(min(room[0, d], MAX_LOG_HAZARD)) * passed)
    return total / draws


@side_by_side
def _spread_over_days(weekday: Floats, week: int, p: float, by_day: Floats) -> None:
    for i in range(DAYS_PER_WEEK):
        day = DAYS_PER_WEEK * week + i
        if day < len(by_day):
            by_day[day] += p * weekday[i]


@side_by_side
def next_order_days(
    by_day: Floats, levels: Floats, expected_interval: float, quantiles: Floats
) -> float:
    """The first day by which the next order has come with each probability in ``levels``.

    NaN beyond reach. Returns P(next order within ± max(3 days, a quarter of the expected interval)
    of the median), 0 where there is none.
    """
    reached, day = by_day[0], 0
    for q in range(len(levels)):
        while reached < levels[q] and day < len(by_day) - 1:
            day += 1
            reached += by_day[day]
        quantiles[q] = day if reached >= levels[q] else np.nan
    median = quantiles[len(levels) // 2]
    if np.isnan(median):
        return 0.0
    tolerance = int(max(MIN_TOLERANCE_DAYS, TOLERANCE_SHARE * expected_interval))
    first, last = max(0, int(median) - tolerance), min(len(by_day) - 1, int(median) + tolerance)
    return min(1.0, by_day[first : last + 1].sum())


@side_by_side
def dips_after(state: Floats, dips: Floats) -> None:
    """What the dip leaves of the hazard so many weeks after an order, [weeks, draws]."""
    dips[0] = state[KEEP]
    for week in range(1, len(dips)):
        for d in range(state.shape[1]):
            dips[week, d] = state[KEEP, d] * dips[week - 1, d]
    for week in range(len(dips)):
        for d in range(state.shape[1]):
            dips[week, d] = exp(-state[DEPTH, d] * dips[week, d])


@side_by_side
def _orders_in_week(rng: Any, extra: float, one: float) -> int:
    """One, and a Poisson number more, of mean ``extra``; P(one) is ``one``."""
    u, p, placed = rng.random(), one, 1
    while u >= p and placed <= MAX_EXTRA:
        u -= p
        p *= extra / placed
        placed += 1
    return placed


@lean
def follow(
    rng: Any, d: int, week: int, frailty: float, state: Floats, pace: Floats, dips: Floats,
    urn: Urn, pair: int, drawn: Floats, orders: Floats, quantity: Floats, later: Floats,
) -> int:  # fmt: skip
    """Place an order in ``week`` and all that follow it within the horizon; returns how many."""
    weeks, n_drawn = orders.shape[1], 0
    while week < weeks:
        for _ in range(_orders_in_week(rng, state[EXTRA, d], state[ONE, d])):
            size = draw_size(rng, urn, pair, drawn, n_drawn)
            orders[d, week] += 1.0
            quantity[d, week] += size
            if n_drawn > 0:
                later[week] += 1.0
            drawn[n_drawn] = size
            n_drawn += 1
        left = rng.standard_exponential() / (frailty * state[LEVEL, d])
        last = week
        week += 1
        while week < weeks:
            left -= pace[week, d] * dips[week - last - 1, d]
            if left < 0.0:
                break
            week += 1
    return n_drawn


@side_by_side
def predict_pairs(
    rng: Any, rows: Activity, others: Others, shared: WeeklyDraws, urn: Urn, levels: Floats,
    out: ProductResults,
) -> None:  # fmt: skip
    """Predict one product's pairs: fills in ``out``, and adds their paths to its orders.

    ``rows`` and ``others``: the pairs'; ``levels``: of the quantiles.
    """
    draws, weeks = out.orders.shape
    p_by_week, pace = out.p_by_week, shared.pace
    state, passed = np.empty((STATE_COLUMNS, draws)), np.empty((max(weeks, POOL_WEEKS), draws))
    drawn, dips, room = np.empty(7 * weeks), np.empty((weeks, draws)), np.empty((3, draws))
    strata, uniform = np.arange(draws), np.empty((3, draws))
    threshold, first = np.empty(draws), np.empty(draws, dtype=np.int64)
    by_day, pace_of_some = np.empty(REACH_DAYS + 1), pace[:, :: max(1, draws // FEW_DRAWS)].copy()
    some = np.empty((STATE_COLUMNS, pace_of_some.shape[1]))
    for p in range(len(rows.clock)):
        values, elapsed, weekday = rows.values[p], rows.elapsed[p], rows.weekday[p]
        row_states(values, rows.clock[p], elapsed, shared, state)
        for i in range(len(uniform)):
            draw_strata(rng, strata, uniform[i])
        draw_frailties(uniform[0], shared, state)
        next_order_by_week(state, pace, passed, p_by_week[p], room)
        factor = 1.0
        if others.weight > 0.0:
            factor = pool(others.log_odds[p], others.weight, state, passed, p_by_week[p])
        first_orders(uniform[1], factor, state, passed[:weeks], threshold, first)
        by_day[:] = 0.0
        before = 0.0
        for week in range(weeks):
            _spread_over_days(weekday, week, p_by_week[p, week] - before, by_day)
            before = p_by_week[p, week]
        spread_beyond(
            weekday, weeks, threshold, passed[weeks - 1], state, pace_of_some, shared.ahead, some,
            room, by_day,
        )  # fmt: skip
        dips_after(state, dips)
        for d in range(draws):
            if first[d] < weeks and uniform[2, d] < state[ALIVE, d]:
                placed = follow(
                    rng, d, first[d], state[FRAILTY, d], state, pace, dips, urn, p, drawn,
                    out.orders, out.quantity, out.later_orders[p],
                )  # fmt: skip
                out.order_counts[p, min(placed, out.order_counts.shape[1] - 1)] += 1.0
        interval, summary = DAYS_PER_WEEK / rows.clock[p], out.summary[p]
        summary[0] = state[ALIVE].mean()
        summary[1] = open_interval_p(values, rows.restarted[p], elapsed, state, shared, room)
        summary[2] = interval
        summary[3] = next_order_days(by_day, levels, interval, out.quantiles[p])


@side_by_side
def predict_new_pairs(
    rng: Any, rows: Activity, product: int, arrivals: WeeklyArrivals, shared: WeeklyDraws, urn: Urn,
    out: ProductResults,
) -> None:  # fmt: skip
    """Add the orders of customers who buy the product for the first time within the horizon.

    ``rows``: of products' new customers. They arrive at a rate per day that is Gamma with mean
    exp(constant + ``arrivals.values`` times their coefficients), times the season, and whoever is
    alive after the first order reorders like any pair.
    """
    draws, weeks = out.orders.shape
    c = shared.coefficients
    state = np.empty((STATE_COLUMNS, draws))
    drawn, dips = np.empty(7 * weeks), np.empty((weeks, draws))
    ignored = np.empty(weeks)
    row_states(rows.values[product], rows.clock[product], 0.0, shared, state)
    dips_after(state, dips)
    for d in range(draws):
        log_mean = c.arrival[0, d]
        for j in range(len(arrivals.values)):
            log_mean += arrivals.values[j] * c.arrival[1 + j, d]
        per_week = DAYS_PER_WEEK * exp(min(log_mean, MAX_LOG_ARRIVALS))
        per_week *= draw_gamma(rng, c.arrival_shape[d]) / c.arrival_shape[d]
        for week in range(weeks):
            for _ in range(rng.poisson(per_week * arrivals.season[week, d])):
                frailty = frailty_at(rng.random(), d, state, shared)
                until = weeks if rng.random() < state[ALIVE, d] else week + 1
                follow(
                    rng, d, week, frailty, state, shared.pace, dips, urn, -1, drawn,
                    out.orders[:, :until], out.quantity[:, :until], ignored,
                )  # fmt: skip
