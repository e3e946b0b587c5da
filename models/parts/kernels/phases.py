"""Order paths of known pairs under draws of the population, each draw a lane.

An interval of whole regularity k passes k phases, each exponential with rate k λ. That the open
one has reached T says how many phases i it may have passed by then: i < k with weight t_i, the
terms of the survival's sum (``collapsed.py``). Given i, exactly and without rejection,

    λ ~ Gamma(A + i, B + k T)      what is left of the interval ~ Gamma(k − i, k λ)

so that a pair's regularity, phase, rate and next order are drawn one after another. Probabilities
of the next order average the distribution given (k, i, λ) over the draws (Rao–Blackwell).
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.collapsed import PairRows
from models.parts.kernels.draws import draw_erlang, draw_gamma
from models.parts.kernels.lanes import (
    ALIVE,
    BLOCK,
    COUNT,
    DEAD,
    LANE_NUMBERS,
    LAPSED,
    LOG_C,
    OPEN,
    OWN_NUMBERS,
    SCALE,
    SHAPE,
    SUM,
    TOP,
    TOTAL,
    A,
    C,
    Q,
    condition,
    densities,
    log_densities,
    sum_terms,
    survivals,
)
from models.parts.kernels.renewal import HALF_DAY
from models.parts.kernels.vector import side_by_side
from models.parts.pair.results import ProductResults
from models.parts.pair.sizes import Urn, draw_size
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    MIN_TOLERANCE_DAYS,
    REACH_DAYS,
    TOLERANCE_SHARE,
    Floats,
    Ints,
)

# What is drawn per lane: see ``draw_states``.
P_ALIVE, P_OPEN, REGULARITY, PHASES_LEFT, RATE, MEAN_RATE, REST = range(7)
STATE_COLUMNS = 7


class PhaseDraws(NamedTuple):
    """What the pairs of a product share, under every draw of the population."""

    regularities: Ints  # [regularities], k
    log_gamma: Floats  # [counts, regularities, draws], log Γ(a + k m) / Γ(a)
    shape: Floats  # [draws], a
    log_c: Floats  # [draws], of the average customer
    log_weight: Floats  # [regularities, draws]
    alpha: Floats  # [draws], lapse ~ Beta(α, β); α = 0: nobody lapses
    beta: Floats  # [draws]


class PhaseArrivals(NamedTuple):
    """How new customers of a product arrive, and what they are drawn from.

    Their rate per day is Gamma(``shape`` + ``arrived``, ``rate`` + ``days``).
    """

    arrived: float  # first orders so far
    days: float  # in which they were counted
    shape: Floats  # [draws]
    rate: Floats  # [draws]
    customer_scale: Floats  # [draws]
    weight: Floats  # [regularities, draws]


@side_by_side
def draw_states(
    rng: Any, rows: PairRows, pair: int, effect: Floats, shared: PhaseDraws, lapse: Floats,
    lane: Floats, own: Floats, state: Floats,
) -> None:  # fmt: skip
    """One pair's state under every draw, given that it is alive; fills ``state`` [draws, 7].

    P(alive), P(an interval outlasts the open one), k, phases left, λ, its mean given k and the
    phase, and what is left of the interval in days. ``effect`` [draws], of the customer;
    ``lapse`` [draws], after the last order.
    """
    constant, count, ks = rows.constant[pair], rows.count_row[pair], shared.regularities
    for start in range(0, len(shared.shape), BLOCK):
        n = min(BLOCK, len(shared.shape) - start)
        lane[COUNT : COUNT + n] = rows.counts[count]
        lane[SUM : SUM + n] = rows.interval_sum[pair]
        lane[OPEN : OPEN + n] = rows.survived[pair]
        lane[TOP : TOP + n] = -np.inf
        lane[SCALE : SCALE + n] = 0.0
        for i in range(n):
            d = start + i
            lane[SHAPE + i], lane[LAPSED + i] = shared.shape[d], lapse[d]
            lane[LOG_C + i] = shared.log_c[d] + effect[d]
        for i in range(n):
            lane[C + i] = np.exp(lane[LOG_C + i])
        for j in range(len(ks)):
            for i in range(n):
                known = constant[j] + shared.log_gamma[count, j, start + i]
                own[j, DEAD + i] = known + shared.log_weight[j, start + i]
            condition(n, ks[j], lane, own[j])
            sum_terms(n, ks[j], own[j])
            log_densities(n, lane, own[j])
        for j in range(len(ks)):
            densities(n, lane, own[j])
            survivals(n, own[j])
        for i in range(n):
            _draw_state(rng, i, ks, lane, own, state[start + i])


@side_by_side
def _draw_state(rng: Any, i: int, ks: Ints, lane: Floats, own: Floats, state: Floats) -> None:
    """Regularity, phase, rate and rest of lane ``i``; see ``draw_states``."""
    alive = every = 0.0
    for j in range(len(ks)):
        alive += own[j, ALIVE + i]
        every += own[j, DEAD + i]
    state[P_ALIVE] = min(1.0, (1.0 - lane[LAPSED + i]) * alive / lane[SCALE + i])
    state[P_OPEN] = min(1.0, alive / every)
    u = rng.random() * alive
    chosen = 0
    while chosen < len(ks) - 1 and u >= own[chosen, ALIVE + i]:
        u -= own[chosen, ALIVE + i]
        chosen += 1
    k = ks[chosen]
    shape, q = own[chosen, A + i], own[chosen, Q + i]
    u = rng.random() * own[chosen, TOTAL + i]
    term, phase = 1.0, 0
    while phase < k - 1 and u >= term:
        u -= term
        phase += 1
        term *= (shape + (phase - 1.0)) * q / phase
    inverse_scale = lane[C + i] + k * (lane[SUM + i] + lane[OPEN + i])
    state[REGULARITY], state[PHASES_LEFT] = k, k - phase
    state[MEAN_RATE] = (shape + phase) / inverse_scale
    state[RATE] = draw_gamma(rng, shape + phase) / inverse_scale
    state[REST] = draw_erlang(rng, k - phase) / (k * state[RATE])


@side_by_side
def next_order_by_week(
    state: Floats, first: float, p_by_week: Floats, term: Floats, later: Floats
) -> None:
    """P(next order by the end of each week), averaged over draws; fills ``p_by_week`` [weeks].

    ``first``: days beyond the open interval that the next one may last and still end by the end
    of the as-of date. ``term``, ``later``: room for one number per week.
    """
    weeks = len(p_by_week)
    p_by_week[:] = 0.0
    for d in range(len(state)):
        pace = state[d, REGULARITY] * state[d, RATE]
        none = np.exp(-pace * (first + DAYS_PER_WEEK - 1))
        step = np.exp(-pace * DAYS_PER_WEEK)
        for week in range(weeks):
            term[week] = none
            later[week] = none
            none *= step
        for phase in range(1, int(state[d, PHASES_LEFT])):
            for week in range(weeks):
                term[week] *= pace * (first + DAYS_PER_WEEK - 1 + DAYS_PER_WEEK * week) / phase
                later[week] += term[week]
        for week in range(weeks):
            p_by_week[week] += state[d, P_ALIVE] * (1.0 - later[week])
    reached = 0.0
    for week in range(weeks):  # rounding must not make it fall
        reached = min(1.0, max(reached, p_by_week[week] / len(state)))
        p_by_week[week] = reached


@side_by_side
def _p_next_order_by(state: Floats, days: float) -> float:
    """P(what is left of the open interval < ``days``), averaged over draws."""
    if days <= 0:
        return 0.0
    total = 0.0
    for d in range(len(state)):
        passed = state[d, REGULARITY] * state[d, RATE] * days
        term = later = np.exp(-passed)
        for phase in range(1, int(state[d, PHASES_LEFT])):
            term *= passed / phase
            later += term
        total += state[d, P_ALIVE] * (1.0 - later)
    return total / len(state)


@side_by_side
def next_order_days(
    state: Floats, first: float, levels: Floats, by_day: Floats, quantiles: Floats
) -> None:
    """The first day by which the next order has come with each probability in ``levels``.

    From the drawn days, each weighing its P(alive); NaN beyond ``REACH_DAYS``. ``by_day``: room
    for one number per day up to there.
    """
    by_day[:] = 0.0
    for d in range(len(state)):
        day = max(0.0, np.ceil(state[d, REST] - first))
        if day <= REACH_DAYS:
            by_day[int(day)] += state[d, P_ALIVE] / len(state)
    reached, day = by_day[0], 0
    for q in range(len(levels)):
        while reached < levels[q] and day < REACH_DAYS:
            day += 1
            reached += by_day[day]
        quantiles[q] = day if reached >= levels[q] else np.nan


@side_by_side
def confidence(state: Floats, first: float, day: float, expected_interval: float) -> float:
    """P(next order within ± max(3 days, a quarter of the expected interval) of ``day``).

    0 where there is no day (NaN).
    """
    if np.isnan(day):
        return 0.0
    tolerance = np.floor(max(MIN_TOLERANCE_DAYS, TOLERANCE_SHARE * expected_interval))
    until = _p_next_order_by(state, first + day + tolerance)
    before = _p_next_order_by(state, first + day - tolerance - 1)
    return min(1.0, max(0.0, until - before))


@side_by_side
def follow(
    rng: Any, draw: int, day: float, rate: float, k: int, alpha: float, beta: float, urn: Urn,
    pair: int, drawn: Floats, out: ProductResults, later: Floats,
) -> int:  # fmt: skip
    """Place an order on ``day`` and all that follow it within the horizon; returns how many.

    After each the pair lapses with probability α / (α + β), and β grows by one where it has not.
    """
    horizon = DAYS_PER_WEEK * out.orders.shape[1]
    n_drawn = 0
    while day < horizon:
        week = int(day) // DAYS_PER_WEEK
        size = draw_size(rng, urn, pair, drawn, n_drawn)
        out.orders[draw, week] += 1.0
        out.quantity[draw, week] += size
        if n_drawn > 0:
            later[week] += 1.0
        drawn[n_drawn] = size
        n_drawn += 1
        if alpha > 0.0:
            if rng.random() * (alpha + beta) < alpha:
                break
            beta += 1.0
        interval = draw_erlang(rng, k) / (k * rate)
        if interval > horizon:
            break
        day += max(1.0, np.floor(interval + HALF_DAY))
    return n_drawn


@side_by_side
def predict_pairs(
    rng: Any, rows: PairRows, open_days: Floats, effect: Floats, shared: PhaseDraws, urn: Urn,
    levels: Floats, out: ProductResults,
) -> None:  # fmt: skip
    """Predict one product's pairs: fills in ``out``, and adds their paths to its orders.

    ``open_days`` [pairs]; ``effect`` [pairs, draws], of the customer; ``levels``: of the quantiles.
    """
    draws, weeks = out.orders.shape
    alpha, beta = shared.alpha, shared.beta
    lane, own = np.zeros(LANE_NUMBERS), np.zeros((len(shared.regularities), OWN_NUMBERS))
    state, lapse, drawn = np.empty((draws, STATE_COLUMNS)), np.empty(draws), np.empty(7 * weeks)
    term, later, by_day = np.empty(weeks), np.empty(weeks), np.empty(REACH_DAYS + 1)
    for p in range(len(open_days)):
        m, quantiles, summary = rows.counts[rows.count_row[p]], out.quantiles[p], out.summary[p]
        for d in range(draws):
            lapse[d] = alpha[d] / (alpha[d] + beta[d] + m) if alpha[d] > 0.0 else 0.0
        draw_states(rng, rows, p, effect[p], shared, lapse, lane, own, state)
        first = open_days[p] + HALF_DAY - rows.survived[p]
        next_order_by_week(state, first, out.p_by_week[p], term, later)
        next_order_days(state, first, levels, by_day, quantiles)
        interval = draws / state[:, MEAN_RATE].sum()
        summary[0], summary[1] = state[:, P_ALIVE].mean(), state[:, P_OPEN].mean()
        summary[2] = interval
        summary[3] = confidence(state, first, quantiles[len(levels) // 2], interval)
        for d in range(draws):
            if rng.random() < state[d, P_ALIVE]:
                placed = follow(
                    rng, d, max(0.0, np.ceil(state[d, REST] - first)), state[d, RATE],
                    int(state[d, REGULARITY]), alpha[d], beta[d] + m + 1.0, urn, p,
                    drawn, out, out.later_orders[p],
                )  # fmt: skip
                if placed > 0:
                    out.order_counts[p, min(placed, out.order_counts.shape[1] - 1)] += 1.0


@side_by_side
def predict_new_pairs(
    rng: Any, new: PhaseArrivals, shared: PhaseDraws, urn: Urn, out: ProductResults
) -> None:
    """Add the orders of customers who buy the product for the first time within the horizon.

    They arrive as a Poisson process, each a customer of the population, and reorder like any pair.
    """
    draws, weeks = out.orders.shape
    horizon, ks, weight = DAYS_PER_WEEK * weeks, shared.regularities, new.weight
    drawn, ignored = np.empty(horizon), np.empty(weeks)
    for d in range(draws):
        per_day = draw_gamma(rng, new.shape[d] + new.arrived) / (new.rate[d] + new.days)
        for _ in range(rng.poisson(per_day * horizon)):
            u, j = rng.random(), 0
            while j < len(ks) - 1 and u >= weight[j, d]:
                u -= weight[j, d]
                j += 1
            c = np.exp(shared.log_c[d] + new.customer_scale[d] * rng.standard_normal())
            rate = draw_gamma(rng, shared.shape[d]) / c
            follow(
                rng, d, np.floor(rng.random() * horizon), rate, ks[j], shared.alpha[d],
                shared.beta[d], urn, -1, drawn, out, ignored,
            )  # fmt: skip
