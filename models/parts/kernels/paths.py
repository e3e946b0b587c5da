"""Order paths: every order of every pair within the horizon, as draws, compiled.

One call simulates one product. The day of a pair's next order is drawn from its exact
distribution, its rate and regularity from their posterior given that day, and later intervals
follow until the horizon ends. Each order draws its size from the pair's Pólya urn.
"""

from typing import Any

import numpy as np

from models.parts.kernels.renewal import HALF_DAY
from models.parts.kernels.vector import compiled
from models.parts.pair.sizes import draw_size
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints

NEGLIGIBLE = 1e-6
"""Components of less weight are not looked at."""


@compiled
def joint_survival(
    weights: Floats, A: Floats, B: Floats, k: Ints, open_days: float, survived: float,
    log_survived: Floats, out: Floats,
) -> None:  # fmt: skip
    """P(component, next order after day d), [components, days], of one pair; whole 2 A.

    ``log_survival`` for all days at once, without a logarithm or exponential per day: the finite
    sum by Horner's rule, and z^A, relative to its value when the interval had survived, as the
    2 A-th power of a square root by repeated squaring. Both loops run over days side by side.
    """
    days = out.shape[1]
    first = open_days + HALF_DAY
    coefficients = np.ones(k.max())
    z, power = np.empty(days), np.empty(days)
    for c in range(len(weights)):
        out[c] = 0.0
        if weights[c] < NEGLIGIBLE:
            continue
        z_survived = B[c] / (B[c] + k[c] * survived)
        scale = weights[c] * np.exp(A[c] * np.log(z_survived) - log_survived[c])
        coefficients[0] = scale
        for j in range(1, k[c]):
            coefficients[j] = coefficients[j - 1] * ((A[c] + j - 1.0) / j)
        for day in range(days):
            z[day] = B[c] / (B[c] + k[c] * (first + day))
            power[day] = np.sqrt(z[day] / z_survived)
        for j in range(k[c] - 1, -1, -1):
            for day in range(days):
                out[c, day] = out[c, day] * (1.0 - z[day]) + coefficients[j]
        _multiply_by_power(out[c], power, round(2.0 * A[c]))


@compiled
def _multiply_by_power(out: Floats, base: Floats, exponent: int) -> None:
    """``out *= base ** exponent`` by repeated squaring; ``base`` is used up."""
    while exponent > 0:
        if exponent & 1:
            for i in range(len(out)):
                out[i] *= base[i]
        for i in range(len(out)):
            base[i] *= base[i]
        exponent >>= 1


@compiled
def _first_day(u: float, cdf: Floats) -> int:
    """The first day whose cdf exceeds ``u``; ``len(cdf)`` if none does."""
    low, high = 0, len(cdf)
    while low < high:
        middle = (low + high) // 2
        if cdf[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _component_on(u: float, day: int, weights: Floats, later: Floats) -> int:
    """The component whose share of the next order's ``day`` holds ``u``, counted from 0."""
    for c in range(len(weights) - 1):
        u -= (later[c, day - 1] if day > 0 else weights[c]) - later[c, day]
        if u < 0:
            return c
    return len(weights) - 1


@compiled
def _follow(
    rng: Any, draw: int, day: int, A: float, B: float, k: int, own: Floats, offset: Ints,
    sizes: Floats, weight: float, drawn: Floats, orders: Floats, quantity: Floats, later: Floats,
) -> int:  # fmt: skip
    """Place an order on ``day`` and all that follow it within the horizon; rate Gamma(A, B).

    Returns how many there are.
    """
    horizon = DAYS_PER_WEEK * orders.shape[1]
    scale = B / (k * rng.standard_gamma(A))
    n_drawn = 0
    while day < horizon:
        week = day // DAYS_PER_WEEK
        size = draw_size(rng, own, offset, sizes, drawn, n_drawn, weight)
        orders[draw, week] += 1.0
        quantity[draw, week] += size
        if n_drawn > 0:
            later[week] += 1.0
        drawn[n_drawn] = size
        n_drawn += 1
        interval = rng.standard_gamma(k) * scale
        if interval > horizon:
            break
        day += max(1, int(interval + HALF_DAY))
    return n_drawn


@compiled
def simulate_pairs(
    rng: Any, weights: Floats, A: Floats, B: Floats, k: Ints, open_days: Floats,
    survived: Floats, log_survived: Floats, offset: Ints, sizes: Floats, urn_weight: float,
    cdf: Floats, orders: Floats, quantity: Floats, later_orders: Floats, order_counts: Floats,
) -> None:  # fmt: skip
    """Fill in ``cdf`` and add the draws of one product's known pairs to the other results.

    ``weights, A, B, log_survived``: [pairs, components]; ``k``: [components]; ``open_days,
    survived``: [pairs]; ``offset``: [pairs + 1] into the order ``sizes``; ``cdf``: [pairs, days],
    P(next order by that day); ``orders, quantity``: [draws, weeks]; ``later_orders``: [pairs,
    weeks], orders after a path's first one, over all draws; ``order_counts``: [pairs, COUNTS],
    draws with so many orders.
    """
    horizon = cdf.shape[1]
    later, drawn = np.empty((len(k), horizon)), np.empty(horizon)
    for i in range(len(open_days)):
        pair_weights, pair_cdf, pair_later = weights[i], cdf[i], later_orders[i]
        joint_survival(
            pair_weights, A[i], B[i], k, open_days[i], survived[i], log_survived[i], later
        )
        reached = 0.0
        for day in range(horizon):  # rounding must not make it fall
            reached = max(reached, 1.0 - later[:, day].sum())
            pair_cdf[day] = reached
        own = sizes[offset[i] : offset[i + 1]]
        for d in range(len(orders)):
            u = rng.random()
            if u < pair_cdf[-1]:
                day = _first_day(u, pair_cdf)
                before = pair_cdf[day - 1] if day > 0 else 0.0
                c = _component_on(u - before, day, pair_weights, later)
                placed = _follow(
                    rng, d, day, A[i, c] + k[c], B[i, c] + k[c] * (open_days[i] + day), k[c], own,
                    offset, sizes, urn_weight, drawn, orders, quantity, pair_later,
                )  # fmt: skip
                order_counts[i, min(placed, order_counts.shape[1] - 1)] += 1.0


@compiled
def simulate_new_pairs(
    rng: Any, shape: float, rate: float, weights: Floats, A: float, B: Floats, k: Ints,
    offset: Ints, sizes: Floats, urn_weight: float, orders: Floats, quantity: Floats,
) -> None:  # fmt: skip
    """Add the draws of customers who buy the product for the first time within the horizon.

    They arrive as a Poisson process whose rate per day is Gamma(shape, rate), and reorder like
    a pair without history: components ``weights, B, k`` [components], rate shape ``A``.
    """
    draws, weeks = orders.shape
    horizon = DAYS_PER_WEEK * weeks
    drawn, nobody, ignored = np.empty(horizon), np.empty(0), np.empty(weeks)
    cdf = np.cumsum(weights)
    for d in range(draws):
        for _ in range(rng.poisson(rng.standard_gamma(shape) / rate * horizon)):
            c = min(_first_day(rng.random(), cdf), len(k) - 1)
            _follow(
                rng, d, int(rng.random() * horizon), A, B[c], k[c], nobody, offset, sizes,
                urn_weight, drawn, orders, quantity, ignored,
            )  # fmt: skip
