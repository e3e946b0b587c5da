"""How far the effects of single products are from Gaussian. Only fitting uses them.

With lapses, most are near it, but a product that nobody orders any more may be one whose pairs all
lapsed, or one that is slow: its effect has two modes, which NUTS crosses now and then, and the
regularity that goes with it differs between them. With u the product's effects as the Gaussian has
them standardised, effect before tilt, and z what is sampled,

    u_effect = T(z_effect),   u_tilt = m(z_effect) + s(z_effect) W(z_tilt)

T takes quantiles of N(0, 1) to those of the effect, m and s are mean and deviation of u_tilt given
the effect: all from the product's own density on a grid, where θ, scales and customers are in the
middle of the posterior. They are cubic B-splines whose coefficients are the values at the knots, so
that T rises; beyond the knots T is straight. W has mean 0, deviation 1 and the skewness of u_tilt:

    W(z) = (exp(c z) − exp(c² / 2)) / (d exp(c² / 2)),   d = sign(c) √(exp(c²) − 1)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtri

from models.parts.gamma.density import GammaDensity, Point
from models.parts.gamma.gaussian import Gaussian
from toolkit.data.tables import Floats

REACH, STEP = 6.0, 0.25
"""z of the last knots, but for one more on both sides; and from one knot to the next."""
KNOTS = np.arange(-REACH - STEP, REACH + 1.5 * STEP, STEP)
LEAST_SLOPE = 0.02
"""T rises by so much per unit of z at least."""
EFFECTS = 4.0 * np.sinh(np.linspace(-2.0, 2.0, 33))
TILTS = 3.0 * np.sinh(np.linspace(-1.6, 1.6, 13))
"""The grid, in deviations of the Gaussian: dense about its middle."""
FINER = 10
"""Points to an interval of the grid, for the quantiles."""
_PIECES = np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6
_BY_T = np.diag([1.0, 2.0, 3.0], -1) / STEP
BASIS = np.array([_PIECES, _PIECES @ _BY_T, _PIECES @ _BY_T @ _BY_T])
"""Of the B-splines that are not 0 between two knots, [derivative, spline, power of the share]."""
MOST_SKEWNESS, LEAST_SKEW = 0.6, 1e-3
LEAST_VARIANCE, SMALLEST = 1e-4, 1e-300


def find_bends(density: GammaDensity, at: Point, gaussian: Gaussian) -> tuple[Floats, Floats]:
    """Coefficients of T, m and log s, [3, products, knots], and c, [products]; or none of each."""
    if not density.lapse:
        return np.empty((0, at.product.shape[1], len(KNOTS))), np.empty(0)
    on_grid = _on_grid(density, at, gaussian)
    weight = np.exp(on_grid - on_grid.max(axis=(0, 1))) * np.gradient(TILTS)[:, None]
    marginal = np.maximum(weight.sum(axis=1), SMALLEST)
    mean = np.einsum("v,uvp->up", TILTS, weight) / marginal
    square, cube = (np.einsum("v,uvp->up", TILTS**n, weight) / marginal for n in (2, 3))
    variance = np.maximum(square - mean**2, LEAST_VARIANCE)
    skewness = (cube - 3 * mean * variance - mean**3) / variance**1.5
    quantiles = quantiles_at_knots(np.log(marginal))
    splines = [_looked_up(each, quantiles) for each in (mean, 0.5 * np.log(variance))]
    chance = marginal * np.gradient(EFFECTS)[:, None]
    return np.array([quantiles, *splines]), _skew((chance * skewness).sum(0) / chance.sum(0))


def _skew(skewness: Floats) -> Floats:
    """c of W, which is skewed by about 3 c; never 0, where W has no value."""
    c = np.clip(skewness, -MOST_SKEWNESS, MOST_SKEWNESS) / 3.0
    found: Floats = np.where(np.abs(c) < LEAST_SKEW, LEAST_SKEW, c)
    return found


def roots(known: Any, scales: Any) -> tuple[Any, Any, Any]:
    """(r, b, l) of D = H_p + 1 / scales² per product: D = [[r² + b², b l], [b l, l²]].

    ``known``: H_p, [2, 2, products].
    """
    last = (known[1, 1] + scales[1] ** -2.0) ** 0.5
    beside = known[0, 1] / last
    return (known[0, 0] + scales[0] ** -2.0 - beside**2) ** 0.5, beside, last


class Bends:
    """u of effects and tilts as a function of z, both [2, products]."""

    def __init__(self, coefficients: Floats, skew: Floats) -> None:
        """As ``find_bends`` has them."""
        _, products, knots = coefficients.shape
        self._coefficients = coefficients.reshape(len(coefficients), -1)
        self._first = np.arange(products) * knots + np.arange(BASIS.shape[1])[:, None]
        self._skew = skew
        self._scale = np.sign(skew) * np.sqrt(np.expm1(skew**2))
        self._log_scale = float(np.log(skew / self._scale).sum())

    def __call__(self, z: Floats) -> tuple[Floats, float, Callable[[Floats], Floats]]:
        """u, the sum of the logs of its slopes, and what makes slopes by z of slopes by u."""
        (effect, slope, curve), (mean, mean_slope, _), (log_sd, log_sd_slope, _) = self._splines(
            z[0]
        )
        log_rise = self._skew * z[1] - self._skew**2 / 2
        off, sd = np.expm1(log_rise) / self._scale, np.exp(log_sd)
        log_slope = (np.log(slope) + log_sd + log_rise).sum() + self._log_scale

        def back(by: Floats) -> Floats:
            """Of the sum of the logs, too."""
            by_first = by[0] * slope + by[1] * (mean_slope + sd * log_sd_slope * off)
            by_last = by[1] * sd * self._skew * (off + 1.0 / self._scale)
            return np.array([by_first + curve / slope + log_sd_slope, by_last + self._skew])

        return np.array([effect, mean + sd * off]), float(log_slope), back

    def _splines(self, z: Floats) -> Floats:
        """T, m and log s with their first and second derivatives at z, [3, 3, products]."""
        inside = np.clip((z + REACH) / STEP, 0.0, 2.0 * REACH / STEP - 1e-9)
        low = inside.astype(np.int64)
        t, beyond, within = inside - low, z - (inside * STEP - REACH), np.abs(z) < REACH
        basis = np.einsum("dik,kp->dip", BASIS, np.array([np.ones(len(t)), t, t**2, t**3]))
        coefficients = self._coefficients.take(self._first + low, axis=1)
        found = np.einsum("sip,dip->sdp", coefficients, basis)
        found[0, 0] += beyond * found[0, 1]
        found[0, 2] *= within
        found[1:, 1] *= within
        return found


def _on_grid(density: GammaDensity, at: Point, gaussian: Gaussian) -> Floats:
    """Log densities of products' effects, [effects, tilts, products]."""
    first, beside, last = roots(gaussian.curvature.product, gaussian.scales[1:])

    def there(u: float, v: float) -> Floats:
        effect = u / first
        off = np.array([effect, (v - beside * effect) / last])
        return density.of_products(at._replace(product=at.product + off), gaussian.scales)

    return np.array([[there(u, v) for v in TILTS] for u in EFFECTS])


def quantiles_at_knots(log_density: Floats) -> Floats:
    """At the knots, of densities on the grid of effects, [effects, products]."""
    index = np.arange(len(EFFECTS))
    fine = np.linspace(0.0, index[-1], FINER * index[-1] + 1)
    u = CubicSpline(index, EFFECTS)(fine)
    density = np.exp(CubicSpline(index, log_density)(fine) + np.log(np.gradient(u))[:, None])
    between = (density[1:] + density[:-1]) / 2
    below = np.cumsum(between, axis=0)[:-1]
    above = np.cumsum(between[::-1], axis=0)[::-1][1:]
    whole = below + above
    z = np.where(below < above, ndtri(below / whole), -ndtri(above / whole))
    found = np.array([_extended(KNOTS, of, u[1:-1]) for of in z.T])
    least = LEAST_SLOPE * STEP * np.arange(len(KNOTS))
    rising: Floats = np.maximum.accumulate(found - least, axis=1) + least
    return rising


def _extended(x: Floats, at: Floats, values: Floats) -> Floats:
    """Linear between ``at``, which ascend, and straight on outside."""
    known = np.abs(at) < REACH
    at, values = at[known], values[known]
    found = np.interp(x, at, values)
    for end, inner in ((0, 1), (-1, -2)):
        slope = (values[end] - values[inner]) / (at[end] - at[inner])
        outside = x < at[0] if end == 0 else x > at[-1]
        found[outside] = values[end] + slope * (x[outside] - at[end])
    return found


def _looked_up(values: Floats, at: Floats) -> Floats:
    """Of ``values`` on the grid of effects, [effects, products], at u [products, knots]."""
    return np.array([np.interp(u, EFFECTS, of) for u, of in zip(at, values.T, strict=True)])
