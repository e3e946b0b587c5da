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

from typing import Any

import numpy as np

from models.parts.vector import exp, log, side_by_side
from toolkit.tables import Floats

NODES = 8
_z, _omega = np.polynomial.hermite_e.hermegauss(NODES)
NODE: Floats = _z
NODE_WEIGHT: Floats = _omega / _omega.sum()
HORIZON_WEEKS = 12
"""Weeks of a window that a fit looks at; from the last on, κ has done what it does."""
BLOCK = 64
MAX_LOG_HAZARD = 6.0
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


@side_by_side
def weekly_likelihood(
    ordered: Any, elapsed: Floats, clock: Floats, log_season: Floats, node: Floats,
    weight: Floats, eta: Floats, log_dip: Floats, log_tau: Floats, logit_alive: Floats,
    log_sigma: float, kappa: float, by_eta: Floats, by_dip: Floats, by_tau: Floats,
    by_alive: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """Log likelihood of all rows, its derivatives by log σ and κ; fills those by the others.

    ``ordered, log_season``: [rows, weeks]; ``elapsed``: weeks since the last order, ``clock``: own
    rate per week, and η, log δ, log τ, logit p: [rows]; ``node, weight`` [nodes].
    """
    rows, weeks = ordered.shape
    hazard, dipped, aged = np.empty((3, weeks, BLOCK))
    slope = np.zeros((weeks, BLOCK))
    lane = np.empty((4, BLOCK))  # the dip, what a week leaves of it, its depth, weeks on the clock
    rate, rate_slope, chance, by_rate = np.empty((4, len(node)))
    part = np.empty((weeks, len(node)))
    sigma, most = np.exp(log_sigma), exp(MAX_LOG_HAZARD)
    value = by_sigma = by_kappa = 0.0
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        for i in range(n):
            pace = clock[start + i] / sigma
            lane[3, i] = (elapsed[start + i] + 0.5) * pace
            lane[0, i] = exp(-lane[3, i])
            lane[1, i] = exp(-pace)
            lane[2, i] = exp(log_dip[start + i])
        for w in range(weeks):
            for i in range(n):
                r = start + i
                dip = lane[2, i] * lane[0, i]
                level = eta[r] + log_season[r, w] - kappa * w - dip
                hazard[w, i] = exp(min(level, MAX_LOG_HAZARD))
                dipped[w, i] = dip
                aged[w, i] = dip * lane[3, i]  # d log h / d log σ is minus it
                pace = clock[r] / sigma
                lane[0, i] = lane[1, i] if ordered[r, w] else lane[0, i] * lane[1, i]
                lane[3, i] = pace if ordered[r, w] else lane[3, i] + pace
        for i in range(n):
            r = start + i
            tau = exp(log_tau[r])
            kinds(tau, node, weight, rate, rate_slope)
            quiet, orders = 0.0, 0
            for w in range(weeks):
                if not ordered[r, w]:
                    quiet += hazard[w, i]
                else:
                    orders += 1
            held = rate[0] * quiet if orders > 0 else 0.0  # taken out, lest all underflow
            for k in range(len(node)):
                chance[k] = weight[k] * exp(held - rate[k] * quiet)
                by_rate[k] = -rate[k] * quiet
            for w in range(weeks):
                if ordered[r, w]:
                    for k in range(len(node)):
                        x = rate[k] * hazard[w, i]
                        none = exp(-x)
                        some = x * (1.0 - x * (0.5 - x / 6.0)) if x < LINEAR else 1.0 - none
                        chance[k] *= some
                        part[w, k] = x * none / some
                        by_rate[k] += part[w, k]
            alive = 1.0 / (1.0 + exp(-logit_alive[r]))
            total = 0.0
            for k in range(len(node)):
                total += chance[k]
            likelihood = alive * total + (1.0 - alive if orders == 0 else 0.0)
            value += log(likelihood) - held
            by_alive[r] = alive * (1.0 - alive) * (total - (orders == 0)) / likelihood
            by_quiet = spread = 0.0
            for k in range(len(node)):
                chance[k] *= alive / likelihood
                by_quiet -= chance[k] * rate[k]
                spread += chance[k] * by_rate[k] * rate_slope[k]
            by_tau[r] = tau * spread
            for w in range(weeks):
                if ordered[r, w]:
                    by_log = 0.0
                    for k in range(len(node)):
                        by_log += chance[k] * part[w, k]
                    slope[w, i] = by_log
                else:
                    slope[w, i] = by_quiet * hazard[w, i]
        for i in range(n):
            by_eta[start + i] = 0.0
            by_dip[start + i] = 0.0
        for w in range(weeks):
            for i in range(n):
                if hazard[w, i] >= most:
                    slope[w, i] = 0.0
                by_eta[start + i] += slope[w, i]
                by_dip[start + i] -= slope[w, i] * dipped[w, i]
                by_sigma -= slope[w, i] * aged[w, i]
                by_kappa -= slope[w, i] * w
    return value, by_sigma, by_kappa
