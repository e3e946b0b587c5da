"""Formulas of BG/NBD and Pareto/NBD for one pair's future, given its past and the population.

A pair's past is x repeat orders, the last at t_x, known for T (units of time since its first
order). While it lasts it orders as a Poisson process with rate λ ~ Gamma(r, α); given the past and
that it has not left, λ ~ Gamma(R, A) with R = r + x, A = α + T. Arrays are [pairs].

Sources: Fader, Hardie & Lee (2005), doi:10.1287/mksc.1040.0098; Fader & Hardie (2014), Deriving the
conditional PMF of the Pareto/NBD model, and their note on that of the BG/NBD model; Schmittlein,
Morrison & Colombo (1987), doi:10.1287/mnsc.33.1.1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from toolkit.data.tables import COUNTS, Floats

FAR = 40.0
NEGLIGIBLE = 1e-13


def _nodes(count: int) -> tuple[Floats, Floats]:
    """Nodes in (0, 1) and weights of Gauss and Legendre's quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) / 2.0, weights / 2.0


NODES, WEIGHTS = _nodes(32)
FEW_NODES, FEW_WEIGHTS = _nodes(8)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of pairs: repeat orders, time of the last, time since the first."""

    x: Floats
    t_x: Floats
    T: Floats


@dataclass(frozen=True, slots=True)
class BetaGeo:
    """BG/NBD: after each repeat order a pair leaves with probability p ~ Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, past: Past) -> Floats:
        """P(has not left); 1 without a repeat order, as only those can be followed by leaving."""
        x, log_odds = past.x, np.log((self.alpha + past.T) / (self.alpha + past.t_x))
        left = np.log(self.a / (self.b + np.maximum(x, 1.0) - 1.0)) + (self.r + x) * log_odds
        return np.where(x > 0, 1.0 / (1.0 + np.exp(np.minimum(left, 700.0))), 1.0)

    def p_order(self, past: Past, t: Floats) -> Floats:
        """P(an order within each of the times ``t``), for one that has not left, [pairs, times]."""
        R, A = self.r + past.x, self.alpha + past.T
        return -np.expm1(-R[:, None] * np.log1p(t / A[:, None]))

    def p_counts(self, past: Past, t: float) -> Floats:
        """P(0, 1, … orders within ``t``), the last: or more, for one that has not left.

        [pairs, COUNTS]: j arrivals and no leaving, or at least j, and leaving after the j-th.
        """
        a, b = self.a, self.b + past.x
        nbd = _nbd(self.r + past.x, self.alpha + past.T, t)
        at_least = np.maximum(1.0 - np.cumsum(nbd, axis=1), 0.0)
        p, stayed = np.zeros_like(nbd), np.ones(len(b))
        p[:, 0] = nbd[:, 0]
        for j in range(1, COUNTS - 1):
            odds = 1.0 / (a + b + j - 1)  # of leaving after the j-th: a, of staying: b + j − 1
            p[:, j] = stayed * a * odds * at_least[:, j - 1]
            stayed = stayed * (b + j - 1) * odds
            p[:, j] += stayed * nbd[:, j]
        return _with_rest(p)

    def expected_orders(self, past: Past, t: float) -> Floats:
        """Expected orders within ``t``, for one that has not left.

        Σ_j P(at least j): j arrivals, and none of the first j − 1 was followed by leaving.
        """
        R, A, b = self.r + past.x, self.alpha + past.T, self.b + past.x
        nbd = np.exp(-R * np.log1p(t / A))
        tail, stayed, total = 1.0 - nbd, np.ones(len(R)), np.zeros(len(R))
        rows, j = np.arange(len(R)), 1
        while len(rows):
            total[rows] += stayed * tail
            stayed = stayed * (b[rows] + j - 1) / (self.a + b[rows] + j - 1)
            nbd = nbd * (R[rows] + j - 1) / j * (t / (A[rows] + t))
            tail = tail - nbd
            go_on = tail > NEGLIGIBLE
            rows, stayed, nbd, tail = rows[go_on], stayed[go_on], nbd[go_on], tail[go_on]
            j += 1
        return total


@dataclass(frozen=True, slots=True)
class ParetoNBD:
    """Pareto/NBD: a pair leaves at a rate μ ~ Gamma(s, β) of its own, whenever it wants."""

    r: float
    alpha: float
    s: float
    beta: float

    def p_alive(self, past: Past) -> Floats:
        """P(has not left)."""
        p: Floats = 1.0 / (1.0 + np.exp(np.minimum(self._log_odds_left(past), 700.0)))
        return p

    def log_likelihood(self, past: Past) -> Floats:
        """Log density of each pair's past: that of one that has not left, over P(has not left)."""
        r, R, A = self.r, self.r + past.x, self.alpha + past.T
        stayed = (
            gammaln(R) - gammaln(r) + r * np.log(self.alpha) - R * np.log(A)
            - self.s * np.log1p(past.T / self.beta)
        )  # fmt: skip
        log_density: Floats = stayed + np.logaddexp(0.0, self._log_odds_left(past))
        return log_density

    def _log_odds_left(self, past: Past) -> Floats:
        """Log of P(has left) / P(has not left): an integral over when it left.

        ∫ from t_x to T of ((α + T) / (α + u))^R s (β + T)^s / (β + u)^(s + 1) du, over
        v = log((α + u) / (α + t_x)); beyond R v = ``FAR`` nothing is left of it.
        """
        R, start = self.r + past.x, self.alpha + past.t_x
        span = np.log((self.alpha + past.T) / start)
        length = np.minimum(span, FAR / R)
        total = np.zeros(len(R))
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            v = length * node
            later = start * np.expm1(v) + past.t_x + self.beta  # β + u
            density = (1.0 - R) * v - (self.s + 1) * np.log(later / (self.beta + past.T))
            total += weight * length * np.exp(density)
        with np.errstate(divide="ignore"):  # T = t_x: no time to leave in
            odds: Floats = np.log(total * self.s * start / (self.beta + past.T)) + R * span
        return odds

    def p_order(self, past: Past, t: Floats) -> Floats:
        """P(an order within each of the ascending times ``t``), for one that has not left.

        [pairs, times]: ∫ of the density of the next arrival, times P(has not left by then).
        """
        R, A, B = self.r + past.x, self.alpha + past.T, self.beta + past.T
        p, total, before = np.empty((len(R), len(t))), np.zeros(len(R)), 0.0
        for column, until in enumerate(t.tolist()):
            for node, weight in zip(FEW_NODES, FEW_WEIGHTS, strict=True):
                u = before + (until - before) * node
                log_density = -(R + 1) * np.log1p(u / A) - self.s * np.log1p(u / B)
                total = total + (until - before) * weight * R / A * np.exp(log_density)
            p[:, column], before = total, until
        return np.minimum(p, 1.0)

    def p_counts(self, past: Past, t: float) -> Floats:
        """P(0, 1, … orders within ``t``), the last: or more, for one that has not left.

        [pairs, COUNTS]: it stays to the end, or leaves at some u before.
        """
        R, A, B = self.r + past.x, self.alpha + past.T, self.beta + past.T
        p = _nbd(R, A, t) * np.exp(-self.s * np.log1p(t / B))[:, None]
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            u = t * node
            leaves = self.s / B * np.exp(-(self.s + 1) * np.log1p(u / B))
            p += _nbd(R, A, u) * (t * weight * leaves)[:, None]
        return _with_rest(p)

    def expected_orders(self, past: Past, t: float) -> Floats:
        """Expected orders within ``t``, for one that has not left."""
        R, A, B = self.r + past.x, self.alpha + past.T, self.beta + past.T
        staying, power = np.log1p(t / B), self.s - 1.0
        time = -np.expm1(-power * staying) / power if abs(power) > 1e-9 else staying
        orders: Floats = R * B / A * time
        return orders


def _nbd(R: Floats, A: Floats, t: float) -> Floats:
    """P(j arrivals within ``t``) for j = 0 … COUNTS − 2, and 0 in the last column."""
    p = np.zeros((len(R), COUNTS))
    p[:, 0] = np.exp(-R * np.log1p(t / A))
    for j in range(1, COUNTS - 1):
        p[:, j] = p[:, j - 1] * ((R + j - 1) / j * (t / (A + t)))
    return p


def _with_rest(p: Floats) -> Floats:
    """``p`` with what is missing to 1 in the last column."""
    p[:, -1] = np.maximum(1.0 - p[:, :-1].sum(axis=1), 0.0)
    whole: Floats = p / p.sum(axis=1, keepdims=True)
    return whole
