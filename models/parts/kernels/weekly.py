"""The likelihood of which weeks a pair orders in, its frailty and lapse summed out, with gradient.

A pair that is alive orders in week w, given its past and its frailty λ, with probability
1 − exp(−λ h_w), where

    log h_w = η + log S_w − κ w − δ exp(−u_w / σ)

S_w is the season, u_w the weeks since its last order on its own clock (times its own rate), so
that δ is how deep the hazard dips after an order and σ how long. log λ takes ``NODES`` values,
τ times those of the Gauss–Hermite rule with its weights ω, shifted so that E λ = 1: a normal
frailty on the log scale with standard deviation τ, or, read as it stands, a mixture of so many
kinds of pairs that is exactly normalised. With probability 1 − p the pair is not alive, and

    L = (1 − p) [no order at all] + p Σ_k ω_k exp(−λ_k G) Π (1 − exp(−λ_k h_w))

with G the sum of h over the weeks without an order and the product over those with one. In each
week with an order there are 1 + Poisson(ε) orders.

η, log δ, log τ, logit p and log ε are linear in the columns of ``Rows.design``; to η come the
level of the row's window and the shock of its group (``weekly_rows.py``).

Rows run side by side, ``LANES`` at a time. The fewer order weeks differ in a block, the
less its lanes wait.
"""

import numpy as np

from models.parts.kernels.vector import exp, log, side_by_side
from models.parts.kernels.weekly_rows import LANES, Outcomes, Rows, Weeks
from toolkit.data.tables import Floats, Ints

NODES = 8
_z, _omega = np.polynomial.hermite_e.hermegauss(NODES)
NODE: Floats = _z
NODE_WEIGHT: Floats = _omega / _omega.sum()
HALF = NODES // 2
"""Nodes come in pairs, z and −z."""
HORIZON_WEEKS = 12
"""Weeks of a window that a fit looks at; from the last on, κ has done what it does."""
MIN_LOG_HAZARD, MAX_LOG_HAZARD = -50.0, 6.0
"""log h is held between them, lest products over the weeks underflow."""
MAX_LOG_EXTRA = 5.0
"""However wild the parameters, no more than exp of this is expected in an order week."""
LINEAR = 1e-3
"""Below it 1 − exp(−x) is taken from its series."""

# Columns of a block: stretches of one long array at fixed offsets, and a loop works on two arrays
# at most. Only so can the compiler see that no column overlaps another, and run it side by side.
ETA, LOG_DIP, LOG_TAU, LOGIT, LOG_EXTRA = range(0, 5 * LANES, LANES)
BY = 5 * LANES  # derivatives by those five
BY_ETA, BY_DIP, BY_TAU, BY_LOGIT, BY_EXTRA = range(BY, 2 * BY, LANES)
FADE, KEEP, DEPTH, AGE, PACE, QUIET, HELD, TAU, MOMENT, ALIVE, TOTAL, VALUE, BY_SIGMA, BY_KAPPA = (
    range(2 * BY, 2 * BY + 14 * LANES, LANES)
)
_WEEK, _NODE = HORIZON_WEEKS * LANES, NODES * LANES
HAZARD, DIPPED, AGED, SLOPE = range(BY_KAPPA + LANES, BY_KAPPA + LANES + 4 * _WEEK, _WEEK)
RATE, CHANCE, BY_RATE = range(SLOPE + _WEEK, SLOPE + _WEEK + 3 * _NODE, _NODE)
PART = BY_RATE + _NODE
WORK_NUMBERS = PART + HORIZON_WEEKS * _NODE
MET, THERE, EXPECTED, SOME, SHARE = FADE, KEEP, DEPTH, AGE, PACE
"""Of one order week; what the weeks' clock was is no longer needed then."""


@side_by_side
def _predictors(design: Floats, of_predictor: Ints, slopes: Floats, work: Floats) -> None:
    """η, log δ, log τ, logit p and log ε, but for what windows and groups add to η."""
    for p in range(5):
        at = p * LANES
        for i in range(LANES):
            work[at + i] = 0.0
        for c in range(of_predictor[p], of_predictor[p + 1]):
            slope = slopes[c]
            for i in range(LANES):
                work[at + i] += design[c, i] * slope


@side_by_side
def _hazards(ordered: Floats, log_season: Floats, kappa: float, work: Floats) -> None:
    """h of every week, how deep the dip still is in it, and d log h / d log σ, its negative."""
    for i in range(LANES):
        work[FADE + i] = exp(-work[AGE + i])
        work[KEEP + i] = exp(-work[PACE + i])
        work[DEPTH + i] = exp(work[LOG_DIP + i])
        work[QUIET + i] = 0.0
    for w in range(len(log_season)):
        at, level = w * LANES, log_season[w] - kappa * w
        for i in range(LANES):
            quiet = 1.0 - ordered[w, i]
            dip = work[DEPTH + i] * work[FADE + i]
            log_hazard = work[ETA + i] + level - dip
            hazard = exp(max(MIN_LOG_HAZARD, min(log_hazard, MAX_LOG_HAZARD)))
            work[HAZARD + at + i] = hazard
            work[DIPPED + at + i] = dip
            work[AGED + at + i] = dip * work[AGE + i]
            work[QUIET + i] += hazard * quiet
            work[FADE + i] = work[KEEP + i] * (1.0 - quiet + quiet * work[FADE + i])
            work[AGE + i] = work[PACE + i] + quiet * work[AGE + i]


@side_by_side
def _kinds(work: Floats) -> None:
    """λ_k, which average 1, and Σ ω_k λ_k z_k."""
    for i in range(LANES):
        work[TAU + i] = exp(work[LOG_TAU + i])
        work[TOTAL + i] = work[MOMENT + i] = 0.0
    for k in range(HALF):
        low, high = RATE + k * LANES, RATE + (NODES - 1 - k) * LANES
        node, weight = NODE[k], NODE_WEIGHT[k]
        for i in range(LANES):
            rate = exp(work[TAU + i] * node)
            inverse = 1.0 / rate
            work[low + i], work[high + i] = rate, inverse
            work[TOTAL + i] += weight * (rate + inverse)
            work[MOMENT + i] += weight * node * (rate - inverse)
    for i in range(LANES):
        work[TOTAL + i] = 1.0 / work[TOTAL + i]
        work[MOMENT + i] *= work[TOTAL + i]
    for k in range(NODES):
        for i in range(LANES):
            work[RATE + k * LANES + i] *= work[TOTAL + i]


@side_by_side
def _without_order(order_weeks: Floats, work: Floats) -> None:
    """ω_k exp(−λ_k G), and its derivative by log λ_k over itself."""
    for i in range(LANES):  # taken out of all where there are orders, lest all underflow
        work[HELD + i] = work[RATE + i] * work[QUIET + i] if order_weeks[i] > 0.0 else 0.0
    for k in range(NODES):
        at, weight = k * LANES, NODE_WEIGHT[k]
        for i in range(LANES):
            x = work[RATE + at + i] * work[QUIET + i]
            work[CHANCE + at + i] = weight * exp(work[HELD + i] - x)
            work[BY_RATE + at + i] = -x


@side_by_side
def _with_orders(most: int, order_week: Weeks, order_weeks: Floats, work: Floats) -> None:
    """Times Π (1 − exp(−λ_k h_w)), of ``most`` order weeks at most."""
    for o in range(most):
        for i in range(LANES):
            work[MET + i] = work[HAZARD + order_week[o, i] * LANES + i]
            work[THERE + i] = 1.0 if order_weeks[i] > o else 0.0
        for k in range(NODES):
            at, part = k * LANES, PART + (o * NODES + k) * LANES
            for i in range(LANES):
                work[EXPECTED + i] = work[RATE + at + i] * work[MET + i]
            for i in range(LANES):
                x, there = work[EXPECTED + i], work[THERE + i] > 0.0
                none = exp(-x)
                some = x * (1.0 - x * (0.5 - x / 6.0)) if x < LINEAR else 1.0 - none
                work[SOME + i] = some if there else 1.0
                work[SHARE + i] = x * none / some if there else 0.0
            for i in range(LANES):
                work[CHANCE + at + i] *= work[SOME + i]
            for i in range(LANES):
                work[BY_RATE + at + i] += work[SHARE + i]
            for i in range(LANES):
                work[part + i] = work[SHARE + i]


@side_by_side
def _sum_out(order_weeks: Floats, extra: Floats, work: Floats) -> None:
    """The log likelihood, and its derivatives by log τ, logit p and log ε, and by G, in QUIET."""
    for i in range(LANES):
        work[TOTAL + i] = 0.0
    for k in range(NODES):
        for i in range(LANES):
            work[TOTAL + i] += work[CHANCE + k * LANES + i]
    for i in range(LANES):
        alive = 1.0 / (1.0 + exp(-work[LOGIT + i]))
        none = 1.0 if order_weeks[i] == 0.0 else 0.0
        likelihood = alive * work[TOTAL + i] + (1.0 - alive) * none
        work[ALIVE + i] = alive / likelihood
        work[BY_LOGIT + i] = work[ALIVE + i] * (1.0 - alive) * (work[TOTAL + i] - none)
        free = work[LOG_EXTRA + i] < MAX_LOG_EXTRA
        log_extra = min(work[LOG_EXTRA + i], MAX_LOG_EXTRA)
        expected = order_weeks[i] * exp(log_extra)
        work[VALUE + i] = log(likelihood) - work[HELD + i] + extra[i] * log_extra - expected
        work[BY_EXTRA + i] = extra[i] - expected if free else 0.0
        work[QUIET + i] = work[BY_TAU + i] = 0.0
    for k in range(NODES):
        at, node = k * LANES, NODE[k]
        for i in range(LANES):
            share = work[CHANCE + at + i] * work[ALIVE + i]
            work[CHANCE + at + i] = share
            work[QUIET + i] -= share * work[RATE + at + i]
            work[BY_TAU + i] += share * work[BY_RATE + at + i] * (node - work[MOMENT + i])
    for i in range(LANES):
        work[BY_TAU + i] *= work[TAU + i]


@side_by_side
def _by_hazards(
    weeks: int, most: int, order_week: Weeks, order_weeks: Floats, work: Floats
) -> None:
    """Derivatives by log h of every week."""
    for w in range(weeks):
        at = w * LANES
        for i in range(LANES):
            work[SLOPE + at + i] = work[QUIET + i] * work[HAZARD + at + i]
    for o in range(most):
        for i in range(LANES):
            work[MET + i] = 0.0
        for k in range(NODES):
            at, part = k * LANES, PART + (o * NODES + k) * LANES
            for i in range(LANES):
                work[SHARE + i] = work[part + i]
            for i in range(LANES):
                work[MET + i] += work[CHANCE + at + i] * work[SHARE + i]
        for i in range(LANES):
            if order_weeks[i] > o:
                work[SLOPE + order_week[o, i] * LANES + i] = work[MET + i]


@side_by_side
def _by_predictors(weeks: int, least: float, most: float, work: Floats) -> None:
    """Derivatives by η, log δ, log σ and κ."""
    for i in range(LANES):
        work[BY_ETA + i] = work[BY_DIP + i] = work[BY_SIGMA + i] = work[BY_KAPPA + i] = 0.0
    for w in range(weeks):
        at = w * LANES
        for i in range(LANES):
            free = least < work[HAZARD + at + i] < most
            slope = work[SLOPE + at + i] if free else 0.0
            work[BY_ETA + i] += slope
            work[BY_DIP + i] -= slope * work[DIPPED + at + i]
            work[BY_SIGMA + i] -= slope * work[AGED + at + i]
            work[BY_KAPPA + i] -= w * slope


@side_by_side
def _by_slopes(
    design: Floats, of_predictor: Ints, count: int, by_slopes: Floats, work: Floats
) -> tuple[float, float, float]:
    """Adds derivatives by the slopes; returns the log likelihood and those by log σ and κ."""
    for p in range(5):
        at = BY + p * LANES
        for i in range(count, LANES):
            work[at + i] = 0.0
        for c in range(of_predictor[p], of_predictor[p + 1]):
            total = 0.0
            for i in range(LANES):
                total += design[c, i] * work[at + i]
            by_slopes[c] += total
    value = by_sigma = by_kappa = 0.0
    for i in range(count):
        value += work[VALUE + i]
        by_sigma += work[BY_SIGMA + i]
        by_kappa += work[BY_KAPPA + i]
    return value, by_sigma, by_kappa


@side_by_side
def weekly_likelihood(
    done: Outcomes, rows: Rows, slopes: Floats, level: Floats, shock: Floats, log_sigma: float,
    kappa: float, by_slopes: Floats, by_level: Floats, by_shock: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of all rows, its derivatives by log σ and κ; fills those by the others.

    ``slopes``: of all columns of ``rows.design``; ``level`` [windows]; ``shock`` [groups].
    """
    work = np.zeros(WORK_NUMBERS)
    weeks = rows.log_season.shape[1]
    inverse_sigma = np.exp(-log_sigma)
    least, most_hazard = exp(MIN_LOG_HAZARD), exp(MAX_LOG_HAZARD)
    by_slopes[:] = 0.0
    by_level[:] = 0.0
    by_shock[:] = 0.0
    value = by_sigma = by_kappa = 0.0
    for b in range(len(rows.filled)):
        window, count, design = rows.window[b], rows.filled[b], rows.design[b]
        order_week, order_weeks = done.order_week[b], done.order_weeks[b]
        _predictors(design, rows.of_predictor, slopes, work)
        most = 0
        for i in range(LANES):
            work[ETA + i] += level[window] + shock[rows.group[b, i]]
            work[PACE + i] = rows.clock[b, i] * inverse_sigma
            work[AGE + i] = (rows.elapsed[b, i] + 0.5) * work[PACE + i]
            most = max(most, int(order_weeks[i]))
        _hazards(done.ordered[b], rows.log_season[window], kappa, work)
        _kinds(work)
        _without_order(order_weeks, work)
        _with_orders(most, order_week, order_weeks, work)
        _sum_out(order_weeks, done.extra[b], work)
        _by_hazards(weeks, most, order_week, order_weeks, work)
        _by_predictors(weeks, least, most_hazard, work)
        parts = _by_slopes(design, rows.of_predictor, count, by_slopes, work)
        value += parts[0]
        by_sigma += parts[1]
        by_kappa += parts[2]
        total = 0.0
        for i in range(LANES):
            total += work[BY_ETA + i]
        by_level[window] += total
        for i in range(count):
            by_shock[rows.group[b, i]] += work[BY_ETA + i]
    return value, by_sigma, by_kappa


@side_by_side
def _scale_hazards(weeks: int, work: Floats) -> None:
    """h of every week, and their sum where there is no order, kept in BY_ETA, times exp(AGE)."""
    for i in range(LANES):
        work[AGE + i] = exp(work[AGE + i])
    for w in range(weeks):
        at = HAZARD + w * LANES
        for i in range(LANES):
            work[at + i] *= work[AGE + i]
    for i in range(LANES):
        work[BY_ETA + i] *= work[AGE + i]
        work[QUIET + i] = work[BY_ETA + i]


@side_by_side
def group_likelihoods(
    done: Outcomes, rows: Rows, slopes: Floats, level: Floats, shock: Floats, log_sigma: float,
    kappa: float, value: Floats,
) -> None:  # fmt: skip
    """Fills in the log likelihood of each group's rows at several values of its shock.

    ``shock`` and ``value`` are [groups, values]; the rest as ``weekly_likelihood`` takes it.
    log h is held within its limits at the first of the values.
    """
    work = np.zeros(WORK_NUMBERS)
    inverse_sigma = np.exp(-log_sigma)
    value[:] = 0.0
    for b in range(len(rows.filled)):
        window, group = rows.window[b], rows.group[b]
        order_week, order_weeks = done.order_week[b], done.order_weeks[b]
        _predictors(rows.design[b], rows.of_predictor, slopes, work)
        most = 0
        for i in range(LANES):
            work[ETA + i] += level[window] + shock[group[i], 0]
            work[PACE + i] = rows.clock[b, i] * inverse_sigma
            work[AGE + i] = (rows.elapsed[b, i] + 0.5) * work[PACE + i]
            most = max(most, int(order_weeks[i]))
        _hazards(done.ordered[b], rows.log_season[window], kappa, work)
        _kinds(work)
        for i in range(LANES):
            work[BY_ETA + i] = work[QUIET + i]  # no derivative is taken
        for v in range(shock.shape[1]):
            if v > 0:
                for i in range(LANES):
                    work[AGE + i] = shock[group[i], v] - shock[group[i], v - 1]
                _scale_hazards(rows.log_season.shape[1], work)
            _without_order(order_weeks, work)
            _with_orders(most, order_week, order_weeks, work)
            _sum_out(order_weeks, done.extra[b], work)
            for i in range(rows.filled[b]):
                value[group[i], v] += work[VALUE + i]
