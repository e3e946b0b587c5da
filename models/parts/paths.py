"""Order paths: every order of every pair within the horizon, as draws, compiled.

One call simulates one product. A pair's draw picks a component of its posterior, draws the
first interval given how long it has been open, then the rate given that interval, then later
intervals until the horizon ends. Each order draws its size from the pair's Pólya urn.
"""

from typing import Any

import numba
import numpy as np

from toolkit.tables import DAYS_PER_WEEK, Floats, Ints

jit = numba.njit(cache=True, nogil=True, error_model="numpy")

_PLAIN_REJECTION_FROM = 0.3
"""Survival above which drawing until the interval is long enough is the cheapest way. Below 1/e
the log-concave density of log z falls from the truncation point on, so that an exponential
envelope there is valid."""


@jit
def _truncated_interval(rng: Any, A: float, B: float, k: float, survived: float, p: float) -> float:
    """A draw of the next interval given that it is longer than ``survived``; ``p``: P(that)."""
    z0 = B / (B + k * survived)
    if p > _PLAIN_REJECTION_FROM:
        z = rng.beta(A, k)
        while z > z0:
            z = rng.beta(A, k)
    else:
        z = _truncated_beta(rng, A, k, z0)
    return B / k * (1.0 / z - 1.0) if z > 0 else np.inf


@jit
def _truncated_beta(rng: Any, A: float, k: float, z0: float) -> float:
    """A draw from Beta(A, k) restricted to (0, z0), z0 in the lower tail.

    With z = z0 exp(−w) the density of w >= 0 is exp(−A w) (1 − z)^(k − 1); an exponential
    envelope that touches it at w = 0 bounds it: tangent for k >= 1 (log-concave), with rate A
    for k < 1.
    """
    rate = A - max(k - 1.0, 0.0) * z0 / (1.0 - z0)
    while True:
        w = rng.standard_exponential() / rate
        z = z0 * np.exp(-w)
        log_accept = (k - 1.0) * (np.log1p(-z) - np.log1p(-z0)) - (A - rate) * w
        if -rng.standard_exponential() <= log_accept:
            return z


@jit
def _size(
    rng: Any, own: Floats, offset: Ints, sizes: Floats, drawn: Floats, n_drawn: int, weight: float
) -> float:
    """The next order size from the urn: own past sizes, sizes drawn before, or the product's.

    The product's: any of its pairs, then any order of that pair, so that a customer who orders
    every day does not speak for all.
    """
    u = rng.random() * (len(own) + n_drawn + weight)
    if u < len(own):
        return own[int(u)]
    if u < len(own) + n_drawn:
        return drawn[int(u) - len(own)]
    pair = int(rng.random() * (len(offset) - 1))
    return sizes[offset[pair] + int(rng.random() * (offset[pair + 1] - offset[pair]))]


@jit
def _follow(
    rng: Any, day: float, A: float, B: float, k: float, own: Floats, offset: Ints,
    sizes: Floats, weight: float, drawn: Floats, orders: Floats, quantity: Floats, later: Floats,
) -> None:  # fmt: skip
    """Place an order on ``day`` and all that follow it within the horizon."""
    horizon = DAYS_PER_WEEK * len(orders)
    scale = B / (k * rng.standard_gamma(A))
    n_drawn = 0
    while day < horizon:
        week = int(day) // DAYS_PER_WEEK
        drawn[n_drawn] = _size(rng, own, offset, sizes, drawn, n_drawn, weight)
        orders[week] += 1.0
        quantity[week] += drawn[n_drawn]
        if n_drawn > 0:
            later[week] += 1.0
        n_drawn += 1
        day += max(1.0, np.floor(rng.standard_gamma(k) * scale + 0.5))


@jit
def simulate_pairs(
    rng: Any, weight_cdf: Floats, A: Floats, B: Floats, k: Floats, survival: Floats,
    survived: Floats, open_days: Floats, offset: Ints, sizes: Floats, urn_weight: float,
    orders: Floats, quantity: Floats, later: Floats,
) -> None:  # fmt: skip
    """Add the draws of one product's known pairs to ``orders`` and ``quantity``.

    ``weight_cdf, A, B, survival``: [pairs, components]; ``k``: [components]; ``survived,
    open_days``: [pairs]; ``offset``: [pairs + 1] into the order ``sizes``; ``orders, quantity``:
    [draws, weeks]; ``later``: [pairs, weeks], counts over all draws.
    """
    draws, weeks = orders.shape
    horizon = DAYS_PER_WEEK * weeks
    drawn = np.empty(horizon)
    for i in range(len(open_days)):
        own = sizes[offset[i] : offset[i + 1]]
        for d in range(draws):
            c = _component(rng, weight_cdf[i])
            x = _truncated_interval(rng, A[i, c], B[i, c], k[c], survived[i], survival[i, c])
            day = max(max(1.0, np.floor(x + 0.5)) - open_days[i], 0.0)
            if day < horizon:
                _follow(
                    rng, day, A[i, c] + k[c], B[i, c] + k[c] * x, k[c], own, offset, sizes,
                    urn_weight, drawn, orders[d], quantity[d], later[i],
                )  # fmt: skip


@jit
def _component(rng: Any, cdf: Floats) -> int:
    u = rng.random()
    c = 0
    while c < len(cdf) - 1 and u >= cdf[c]:
        c += 1
    return c


@jit
def simulate_new_pairs(
    rng: Any, shape: float, rate: float, weight_cdf: Floats, A: float, B: Floats, k: Floats,
    offset: Ints, sizes: Floats, urn_weight: float, orders: Floats, quantity: Floats,
) -> None:  # fmt: skip
    """Add the draws of customers who buy the product for the first time within the horizon.

    They arrive as a Poisson process whose rate per day is Gamma(shape, rate), and reorder like
    a pair without history: components ``weight_cdf, B, k`` [components], rate shape ``A``.
    """
    draws, weeks = orders.shape
    horizon = DAYS_PER_WEEK * weeks
    drawn, nobody, ignored = np.empty(horizon), np.empty(0), np.empty(weeks)
    for d in range(draws):
        for _ in range(rng.poisson(rng.standard_gamma(shape) / rate * horizon)):
            c = _component(rng, weight_cdf)
            day = np.floor(rng.random() * horizon)
            _follow(
                rng, day, A, B[c], k[c], nobody, offset, sizes, urn_weight,
                drawn, orders[d], quantity[d], ignored,
            )  # fmt: skip
