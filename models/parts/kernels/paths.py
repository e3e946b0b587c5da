"""Order paths: every order of every pair within the horizon, as draws, compiled.

One call simulates one product. The day of a pair's next order is drawn from its exact
distribution, its rate and regularity from their posterior given that day, and later intervals
follow until the horizon ends. Each order draws its size from the pair's Pólya urn.

A product's pairs share a factor of their hazards, drawn anew in each draw: a frailty w ~
Gamma(1 / v, 1 / v), of mean 1 and variance v. P(next order later than day d) is still the exact
S(d), as the mean over w, if it is exp(-w x(d)) given w, where x = (S^-v - 1) / v inverts the
Laplace transform (1 + v x)^(-1 / v) of w. So where e is a standard exponential number and
x = e / w, the order comes when 1 - S(d) exceeds 1 - (1 + v x)^(-1 / v). From that order on the
pair's rate is multiplied by w over its mean given x, (1 + v) / (1 + v x): as it was, in the mean.

Source: Clayton (1978), doi:10.1093/biomet/65.1.141; Marshall & Olkin (1988),
doi:10.1080/01621459.1988.10478671, for drawing by frailties.
"""

from typing import Any, NamedTuple

import numpy as np

from models.parts.kernels.renewal import HALF_DAY, PairPosterior
from models.parts.kernels.vector import compiled, lean
from models.parts.pair.results import ProductResults
from models.parts.pair.sizes import Urn, draw_size
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints

NEGLIGIBLE = 1e-6
"""Components of less weight are not looked at."""


class Frailty(NamedTuple):
    """A product's factor of all its pairs' hazards, in each draw."""

    variance: float
    of_draw: Floats  # [draws], their mean about 1


class NewPairs(NamedTuple):
    """How customers new to a product arrive, and how they then reorder.

    First orders per day have rate Gamma(``arrival_shape``, ``arrival_rate``) [products]; a new
    pair's rate is Gamma(A, B) with regularity k, components [components] with ``weights``.
    """

    arrival_shape: Floats
    arrival_rate: Floats
    weights: Floats
    A: float
    B: Floats
    k: Ints


@compiled
def joint_survival(posterior: PairPosterior, pair: int, out: Floats) -> None:
    """P(component, next order after day d), [components, days], of one pair; whole 2 A.

    ``log_survival`` for all days at once, without a logarithm or exponential per day: the finite
    sum by Horner's rule, and z^A, relative to its value when the interval had survived, as the
    2 A-th power of a square root by repeated squaring. Both loops run over days side by side.
    """
    weights, A, B, k = posterior.weights[pair], posterior.A[pair], posterior.B[pair], posterior.k
    survived, log_survived = posterior.survived[pair], posterior.log_survived[pair]
    days = out.shape[1]
    first = posterior.open_days[pair] + HALF_DAY
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
def _component_on(u: float, day: int, weights: Floats, later: Floats) -> int:
    """The component whose share of the next order's ``day`` holds ``u``, counted from 0."""
    for c in range(len(weights) - 1):
        u -= (later[c, day - 1] if day > 0 else weights[c]) - later[c, day]
        if u < 0:
            return c
    return len(weights) - 1


@lean
def _follow(
    rng: Any, draw: int, day: int, A: float, B: float, k: int, pace: float, urn: Urn,
    pair: int, drawn: Floats, out: ProductResults, later: Floats,
) -> int:  # fmt: skip
    """Place an order on ``day`` and all that follow it within the horizon; their rate is
    Gamma(A, B) times ``pace``.

    Returns how many there are.
    """
    horizon = DAYS_PER_WEEK * out.orders.shape[1]
    scale = B / (k * rng.standard_gamma(A) * pace)
    n_drawn = 0
    while day < horizon:
        week = day // DAYS_PER_WEEK
        size = draw_size(rng, urn, pair, drawn, n_drawn)
        out.orders[draw, week] += 1.0
        out.quantity[draw, week] += size
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
    rng: Any, posterior: PairPosterior, frailty: Frailty, urn: Urn, cdf: Floats,
    out: ProductResults,
) -> None:  # fmt: skip
    """Fill in ``cdf`` and add the draws of one product's known pairs to ``out``.

    ``cdf``: [pairs, days], P(next order by that day); of ``out``, orders, quantity, later orders
    and order counts.
    """
    horizon, k = cdf.shape[1], posterior.k
    later, drawn, v = np.empty((len(k), horizon)), np.empty(horizon), frailty.variance
    for i in range(len(cdf)):
        pair_weights, pair_cdf, pair_later = posterior.weights[i], cdf[i], out.later_orders[i]
        A, B, open_days = posterior.A[i], posterior.B[i], posterior.open_days[i]
        joint_survival(posterior, i, later)
        reached = 0.0
        for day in range(horizon):  # rounding must not make it fall
            reached = max(reached, 1.0 - later[:, day].sum())
            pair_cdf[day] = reached
        # x of the horizon's end, and room for rounding: most draws need no logarithm
        furthest = np.expm1(-v * np.log1p(-pair_cdf[-1])) / v * (1.0 + 1e-9)
        for d in range(len(out.orders)):
            w = frailty.of_draw[d]
            x = rng.standard_exponential() / w
            if x > furthest:
                continue
            u = -np.expm1(-np.log1p(v * x) / v)
            if u < pair_cdf[-1]:
                day = np.searchsorted(pair_cdf, u, side="right")
                before = pair_cdf[day - 1] if day > 0 else 0.0
                c = _component_on(u - before, day, pair_weights, later)
                placed = _follow(
                    rng, d, day, A[c] + k[c], B[c] + k[c] * (open_days + day), k[c],
                    w * (1.0 + v * x) / (1.0 + v), urn, i, drawn, out, pair_later,
                )  # fmt: skip
                out.order_counts[i, min(placed, out.order_counts.shape[1] - 1)] += 1.0


@compiled
def simulate_new_pairs(
    rng: Any, new: NewPairs, product: int, frailty: Frailty, urn: Urn, out: ProductResults
) -> None:
    """Add the draws of customers who buy the product for the first time within the horizon.

    They arrive as a Poisson process, its rate multiplied by the frailty, and reorder like a pair
    without history.
    """
    draws, weeks = out.orders.shape
    horizon = DAYS_PER_WEEK * weeks
    drawn, ignored = np.empty(horizon), np.empty(weeks)
    shape, rate = new.arrival_shape[product], new.arrival_rate[product]
    cdf = np.cumsum(new.weights)
    for d in range(draws):
        mean = rng.standard_gamma(shape) / rate * horizon * frailty.of_draw[d]
        for _ in range(rng.poisson(mean)):
            c = min(np.searchsorted(cdf, rng.random(), side="right"), len(new.k) - 1)
            _follow(
                rng, d, int(rng.random() * horizon), new.A, new.B[c], new.k[c], 1.0, urn, -1,
                drawn, out, ignored,
            )  # fmt: skip
