"""Order paths week by week under draws of the population; formulas as in ``weekly.py``.

A path draws whether its pair is alive, then its frailty, then a threshold, exponential with the
frailty as its rate: the next order falls into the week in which the hazards, summed up, pass it.
The dip starts anew from there. Within its week an order falls on the days its customer orders on.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.draws import draw_gamma, draw_strata
from models.parts.kernels.vector import exp, lean, log, side_by_side
from models.parts.kernels.weekly import HORIZON_WEEKS, MAX_LOG_HAZARD
from models.parts.kernels.weekly_states import (
    ALIVE,
    DEPTH,
    EXTRA,
    FADE,
    FRAILTY,
    KEEP,
    LEVEL,
    LOG_LEVEL,
    ONE,
    POOL_WEEKS,
    REACH_WEEKS,
    STATE_COLUMNS,
    Others,
    WeeklyDraws,
    dips_after,
    draw_frailties,
    frailty_at,
    next_order_by_week,
    pool,
    row_states,
)
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


class WeeklyArrivals(NamedTuple):
    """What says how many new customers a product gets."""

    values: Floats  # [columns], see ``Coefficients.arrival``
    season: Floats  # [weeks, draws], level of each week


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
        for column in range(len(state)):
            some[column, i] = state[column, i * stride]
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
    strata: Ints, out: ProductResults,
) -> None:  # fmt: skip
    """Predict one product's pairs: fills in ``out``, and adds their paths to its orders.

    ``rows`` and ``others``: the pairs'; ``levels``: of the quantiles; ``strata``: 0, 1, … [draws],
    left in the order in which the product's next pairs find it.
    """
    draws, weeks = out.orders.shape
    p_by_week, pace = out.p_by_week, shared.pace
    state, passed = np.empty((STATE_COLUMNS, draws)), np.empty((max(weeks, POOL_WEEKS), draws))
    drawn, dips, room = np.empty(7 * weeks), np.empty((weeks, draws)), np.empty((3, draws))
    uniform = np.empty((3, draws))
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
