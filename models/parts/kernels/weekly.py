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

with G the sum of h over the weeks without an order and the product over those with one.
"""

import numpy as np

from models.parts.kernels.vector import exp, log, side_by_side
from toolkit.data.tables import Floats, Ints

NODES = 8
_z, _omega = np.polynomial.hermite_e.hermegauss(NODES)
NODE: Floats = _z
NODE_WEIGHT: Floats = _omega / _omega.sum()
HORIZON_WEEKS = 12
"""Weeks of a window that a fit looks at; from the last on, κ has done what it does."""
BLOCK = 64
MIN_LOG_HAZARD, MAX_LOG_HAZARD = -50.0, 6.0
"""log h is held between them, lest products over the weeks underflow."""
LINEAR = 1e-3
"""Below it 1 − exp(−x) is taken from its series."""


@side_by_side
def kinds(tau: float, node: Floats, weight: Floats, rate: Floats, slope: Floats) -> None:
    """λ_k, which average 1, and d log λ_k / dτ for a frailty of deviation ``tau``."""
    total = moment = 0.0
    for k in range(len(node)):
        rate[k] = exp(tau * node[k])
        total += weight[k] * rate[k]
        moment += weight[k] * rate[k] * node[k]
    for k in range(len(node)):
        rate[k] /= total
        slope[k] = node[k] - moment / total


# Columns of a block of rows: stretches of one long array, see ``lanes.py``.
FADE, KEEP, DEPTH, AGE, PACE, ETA, BY_ETA, BY_DIP, BY_SIGMA = range(0, 9 * BLOCK, BLOCK)
HAZARD = 9 * BLOCK
DIPPED, AGED, SLOPE, SEASON, ORDERED = (
    HAZARD + column * HORIZON_WEEKS * BLOCK for column in range(1, 6)
)
WORK_NUMBERS = HAZARD + 6 * HORIZON_WEEKS * BLOCK


@side_by_side
def _hazards(n: int, weeks: int, kappa: float, work: Floats) -> None:
    """h of every week, how deep the dip still is in it, and d log h / d log σ, its negative."""
    for i in range(n):
        work[FADE + i] = exp(-work[AGE + i])
        work[KEEP + i] = exp(-work[PACE + i])
        work[DEPTH + i] = exp(work[DEPTH + i])
    for w in range(weeks):
        at = w * BLOCK
        decline = kappa * w
        for i in range(n):
            dip = work[DEPTH + i] * work[FADE + i]
            level = work[ETA + i] + work[SEASON + at + i] - decline - dip
            work[HAZARD + at + i] = exp(max(MIN_LOG_HAZARD, min(level, MAX_LOG_HAZARD)))
            work[DIPPED + at + i] = dip
            work[AGED + at + i] = dip * work[AGE + i]
            quiet = 1.0 - work[ORDERED + at + i]
            work[FADE + i] = work[KEEP + i] * (work[ORDERED + at + i] + quiet * work[FADE + i])
            work[AGE + i] = work[PACE + i] + quiet * work[AGE + i]


@side_by_side
def _slopes(n: int, weeks: int, least: float, most: float, work: Floats) -> float:
    """Adds up the derivatives by η, log δ and log σ; returns the one by κ."""
    by_kappa = 0.0
    for i in range(n):
        work[BY_ETA + i] = work[BY_DIP + i] = work[BY_SIGMA + i] = 0.0
    for w in range(weeks):
        at = w * BLOCK
        total = 0.0
        for i in range(n):
            free = least < work[HAZARD + at + i] < most
            slope = work[SLOPE + at + i] if free else 0.0
            work[BY_ETA + i] += slope
            work[BY_DIP + i] -= slope * work[DIPPED + at + i]
            work[BY_SIGMA + i] -= slope * work[AGED + at + i]
            total += slope
        by_kappa -= w * total
    return by_kappa


@side_by_side
def _sum_out(
    i: int, weeks: int, log_tau: float, logit_alive: float, node: Floats, weight: Floats,
    work: Floats, room: Floats, part: Floats, when: Ints,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of row ``i`` of the block, and its derivatives by log τ and logit p.

    Fills its derivatives by log h. ``room`` [4, nodes], ``part`` [weeks, nodes] and ``when``
    [weeks] are room for what is passed on in between.
    """
    rate, rate_slope, chance, by_rate = room[0], room[1], room[2], room[3]
    tau = exp(log_tau)
    kinds(tau, node, weight, rate, rate_slope)
    quiet, orders = 0.0, 0
    for w in range(weeks):
        at = w * BLOCK + i
        quiet += work[HAZARD + at] * (1.0 - work[ORDERED + at])
        when[orders] = w
        orders += int(work[ORDERED + at])
    held = rate[0] * quiet if orders > 0 else 0.0  # taken out, lest all underflow
    for k in range(len(node)):
        chance[k] = weight[k] * exp(held - rate[k] * quiet)
        by_rate[k] = -rate[k] * quiet
    for o in range(orders):
        hazard = work[HAZARD + when[o] * BLOCK + i]
        for k in range(len(node)):
            x = rate[k] * hazard
            none = exp(-x)
            some = x * (1.0 - x * (0.5 - x / 6.0)) if x < LINEAR else 1.0 - none
            chance[k] *= some
            part[o, k] = x * none / some
            by_rate[k] += part[o, k]
    alive = 1.0 / (1.0 + exp(-logit_alive))
    total = 0.0
    for k in range(len(node)):
        total += chance[k]
    likelihood = alive * total + (1.0 - alive if orders == 0 else 0.0)
    by_quiet = spread = 0.0
    for k in range(len(node)):
        chance[k] *= alive / likelihood
        by_quiet -= chance[k] * rate[k]
        spread += chance[k] * by_rate[k] * rate_slope[k]
    for w in range(weeks):
        work[SLOPE + w * BLOCK + i] = by_quiet * work[HAZARD + w * BLOCK + i]
    for o in range(orders):
        by_log = 0.0
        for k in range(len(node)):
            by_log += chance[k] * part[o, k]
        work[SLOPE + when[o] * BLOCK + i] = by_log
    by_alive = alive * (1.0 - alive) * (total - (orders == 0)) / likelihood
    return log(likelihood) - held, tau * spread, by_alive


@side_by_side
def weekly_likelihood(
    ordered: Floats, elapsed: Floats, clock: Floats, log_season: Floats, node: Floats,
    weight: Floats, eta: Floats, log_dip: Floats, log_tau: Floats, logit_alive: Floats,
    log_sigma: float, kappa: float, by_eta: Floats, by_dip: Floats, by_tau: Floats,
    by_alive: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of all rows, its derivatives by log σ and κ; fills those by the others.

    ``ordered`` (0 or 1), ``log_season``: [weeks, rows]; ``elapsed``: weeks since the last order,
    ``clock``: own rate per week, and η, log δ, log τ, logit p: [rows]; ``node, weight`` [nodes].
    """
    weeks, rows = ordered.shape
    work = np.zeros(WORK_NUMBERS)
    room, part = np.empty((4, len(node))), np.empty((weeks, len(node)))
    when = np.empty(weeks, dtype=np.int64)
    inverse_sigma = np.exp(-log_sigma)
    least, most = exp(MIN_LOG_HAZARD), exp(MAX_LOG_HAZARD)
    value = by_sigma = by_kappa = 0.0
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        for i in range(n):
            work[PACE + i] = clock[start + i] * inverse_sigma
            work[AGE + i] = (elapsed[start + i] + 0.5) * work[PACE + i]
            work[DEPTH + i], work[ETA + i] = log_dip[start + i], eta[start + i]
        for w in range(weeks):
            for i in range(n):
                work[SEASON + w * BLOCK + i] = log_season[w, start + i]
                work[ORDERED + w * BLOCK + i] = ordered[w, start + i]
        _hazards(n, weeks, kappa, work)
        for i in range(n):
            r = start + i
            log_density, by_tau[r], by_alive[r] = _sum_out(
                i, weeks, log_tau[r], logit_alive[r], node, weight, work, room, part, when
            )
            value += log_density
        by_kappa += _slopes(n, weeks, least, most, work)
        for i in range(n):
            by_eta[start + i], by_dip[start + i] = work[BY_ETA + i], work[BY_DIP + i]
        for i in range(n):  # a loop of its own: its order may not hang on where the arrays lie
            by_sigma += work[BY_SIGMA + i]
    return value, by_sigma, by_kappa
