"""What NUTS samples of the gamma versions: the density of ``density.py`` in round coordinates.

x is z of θ, of the scales' logs, of customers and of products, from which ``mode.py`` makes the
parameters, then the logs of the arrivals' shape and days. The log density at x is that of the
parameters and of the data given them, and the log of how much the parameters grow with x (the
Jacobian's determinant).

The gradient is taken backwards, by hand: each step also returns a function that makes slopes by
what the step was given of slopes by what it made, and adds those of its own growth.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from models.parts.fitting.posterior import (
    LONG_STEPS,
    NEAR_NORMAL,
    SHORT_STEPS,
    Counts,
    Trajectories,
    negative_binomial,
    normal,
)
from models.parts.gamma.bends import Bends, roots
from models.parts.gamma.data import FitData
from models.parts.gamma.density import (
    SHAPE,
    TYPICAL,
    WEIGHTS,
    GammaDensity,
    Point,
    log_softmax,
    weights,
)
from models.parts.gamma.mode import GammaCoordinates, find_coordinates
from models.parts.gamma.prior import GammaPrior
from models.parts.kernels.collapsed import CollapsedParameters
from toolkit.data.tables import Floats

type _Back = Callable[[Floats], tuple[Floats, ...]]
"""Slopes by what a step was given, from slopes by what it made."""


MANY = 3000
"""Parameters among which steps have to be short as it is, and fewer of them pay."""


class _Made(NamedTuple):
    """The parameters at an x, and how to get back from slopes by them to slopes by x."""

    at: Point
    scales: Floats  # [1 + parts]
    log_growth: float  # of customers and products with their z
    arrivals: Floats  # logs of shape and days
    back_from_customers: _Back
    back_from_products: _Back


class GammaPosterior:
    """The posterior of ``data`` in coordinates about its middle, found unless they are given."""

    def __init__(
        self,
        data: FitData,
        prior: GammaPrior | None = None,
        *,
        lapse: bool,
        coordinates: GammaCoordinates | None = None,
    ) -> None:
        p = prior or GammaPrior()
        self.density = GammaDensity(data, p, lapse)
        self.at = at = coordinates or find_coordinates(self.density)
        self._customers, self._products = _Customers(at), _Products(at, data)
        sizes = [len(at.theta), len(at.log_scale), len(at.customer), at.product_pull.size]
        self._cuts = np.cumsum(sizes)
        self._groups = np.array([len(at.customer), *map(len, at.product_pull)])
        self._arrivals = np.array([p.arrival_shape, p.arrival_days]).T  # means, deviations
        self._arrived, self._log_days = Counts.of(data.arrived), np.log(data.arrival_days)

    @property
    def start(self) -> Floats:
        """The middle, and the means of the arrivals' priors."""
        mean, sd = self._arrivals
        return np.concatenate([np.zeros(self._cuts[-1]), mean + sd**2 / 2])

    @property
    def trajectories(self) -> tuple[Trajectories, ...]:
        """Of few parameters those that hardly diverge; of many those that take fewest gradients."""
        if len(self.start) < MANY:
            return (SHORT_STEPS,)
        return (LONG_STEPS if self.density.lapse else NEAR_NORMAL,)

    @property
    def is_round(self) -> NDArray[np.bool_]:
        """All but the arrivals."""
        found: NDArray[np.bool_] = np.arange(len(self.start)) < self._cuts[-1]
        return found

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Log density at x, but for a constant, and its gradient; NaN where x is not finite."""
        if not np.isfinite(x).all():
            return np.nan, np.zeros_like(x)
        with np.errstate(all="ignore"):
            made = self._made(x)
            value, slope = self.density.with_gradient(made.at, made.scales)
            orders, by_orders = self._first_orders(made.arrivals)
            prior, by_prior = normal(made.arrivals, *self._arrivals)
            value += self._log_growth(made) + orders + prior
            theta, customer, scales, product = made.back_from_products(slope.product)
            more, scale, customer = made.back_from_customers(slope.customer + customer)
            theta = self.at.root.T @ (slope.theta + theta + more)
            scales = np.append(scale, scales) + self._by_log_scales(made)
            parts = theta, scales * self.at.log_scale_sd, customer, product.ravel()
            return float(value), np.concatenate([*parts, by_orders + by_prior])

    def values(self, x: Floats) -> dict[str, NDArray[Any]]:
        """The parameters at x, effects as deviations from their means, and x."""
        with np.errstate(all="ignore"):
            made, density = self._made(x), self.density
            theta, means = made.at.theta, density.means(made.at)
            effects = made.at.customer, *made.at.product
            names = ("customer", "product", "tilt")[: len(effects)]
            v = weights(theta[WEIGHTS : density.lapses]) + means[2:].sum() * density.doublings
            found: dict[str, Any] = {"x_raw": x.copy()}
            found |= {
                name: more * (effect - mean)
                for name, more, effect, mean in zip(
                    names, density.several, effects, means, strict=True
                )
            }
            found |= {
                "shape": np.exp(theta[SHAPE]),
                "log_typical": theta[TYPICAL] + means[:2].sum(),
            }
            found |= {f"{n}_scale": s for n, s in zip(names, made.scales, strict=True)}
            if density.lapse:
                logit, log_concentration = theta[density.lapses :]
                found |= {
                    "lapse": expit(logit),
                    "lapse_concentration": np.exp(log_concentration),
                }
            found["regularity"] = np.exp(log_softmax(v))
            found["arrival_shape"], found["arrival_days"] = np.exp(made.arrivals)
            return {name: np.array(value) for name, value in found.items()}

    def but_for_data(self, x: Floats) -> tuple[float, CollapsedParameters]:
        """What the log density has beside the data's log likelihood, and the pairs' parameters."""
        with np.errstate(all="ignore"):
            made = self._made(x)
            value = self.density.of_effects(made.at, made.scales)[0] + self._log_growth(made)
            value += normal(made.arrivals, *self._arrivals)[0]
            return value, self.density.parameters(made.at)

    def _made(self, x: Floats) -> _Made:
        at, parts = self.at, self.density.parts
        z_theta, z_scale, z_customer, z_product, arrivals = np.split(x, self._cuts)
        moved = at.root @ z_theta
        scales = np.exp(at.log_scale + at.log_scale_sd * z_scale)
        customer, of_customers, from_customers = self._customers(moved, scales[0], z_customer)
        product, of_products, from_products = self._products(
            moved, customer - at.customer, scales[1:], z_product.reshape(parts, -1)
        )
        return _Made(
            Point(at.theta + moved, customer, product), scales, of_customers + of_products,
            arrivals, from_customers, from_products,
        )  # fmt: skip

    def _log_growth(self, made: _Made) -> float:
        """Log density of the scales' logs, and all that effects have but for their squares."""
        of_scales = self.density.log_prior(made.scales) - self._groups @ np.log(made.scales)
        return made.log_growth + float(of_scales)

    def _by_log_scales(self, made: _Made) -> Floats:
        """Of ``_log_growth`` and of the effects' squares, as they are, [1 + parts]."""
        squares = np.array([(e * e).sum() for e in (made.at.customer, *made.at.product)])
        of_prior = 1.0 - (made.scales / self.density.largest_scales) ** 2
        found: Floats = of_prior + squares / made.scales**2 - self._groups
        return found

    def _first_orders(self, arrivals: Floats) -> tuple[float, Floats]:
        """Log likelihood of the products' first orders, and its slope by both logs."""
        log_shape, log_days = arrivals
        value, by_log_mean, by_log_shape = negative_binomial(
            self._arrived, self._log_days - log_days, log_shape
        )
        return value, np.array([by_log_shape, -by_log_mean.sum()])


class _Customers:
    """Effects of customers, see ``mode.py``."""

    def __init__(self, at: GammaCoordinates) -> None:
        self._at = at
        self._theta = np.ascontiguousarray(at.customer_theta.T)
        self._long = np.ascontiguousarray(at.long.T)

    def __call__(self, moved: Floats, scale: float, z: Floats) -> tuple[Floats, float, _Back]:
        """At θ ``moved`` from the middle; back to slopes by θ, the log scale and z."""
        precision = self._at.customer_known + scale**-2.0
        each = precision**-0.5
        pull = self._at.customer_pull - np.einsum("tc,t->c", self._theta, moved)
        standardised = self._stretched(self._stretched(each * pull) + z)

        def back(by: Floats) -> tuple[Floats, ...]:
            by_standardised = each * by
            by_z = self._stretched(by_standardised)
            by_pull = each * self._stretched(by_z)
            by_log_each = 1.0 + by_standardised * standardised + by_pull * pull
            by_log_scale = (by_log_each / precision).sum() / scale**2
            return -np.einsum("tc,c->t", self._theta, by_pull), by_log_scale, by_z

        return each * standardised, -0.5 * float(np.log(precision).sum()), back

    def _stretched(self, x: Floats) -> Floats:
        """K x."""
        along = self._at.stretch * np.einsum("lc,c->l", self._long, x)
        found: Floats = x + np.einsum("lc,l->c", self._long, along)
        return found


class _Products:
    """Effects of products, see ``mode.py`` and ``bends.py``."""

    def __init__(self, at: GammaCoordinates, data: FitData) -> None:
        self._at, products = at, at.product_pull.shape[1]
        shape = at.product_pull.size, len(at.customer)
        rows = [part * products + data.product for part in range(len(at.product_pull))]
        index = np.concatenate(rows), np.tile(data.customer, len(rows))
        self._pairs = csr_array((at.pair_customer.ravel(), index), shape=shape)  # Mᵀ, all parts
        self._pairs_back = csr_array(self._pairs.T)
        self._theta = np.ascontiguousarray(at.product_theta.transpose(0, 2, 1))
        self._bends = Bends(at.product_bend, at.tilt_skew) if len(at.product_pull) > 1 else None

    def __call__(
        self, moved: Floats, customer: Floats, scales: Floats, z: Floats
    ) -> tuple[Floats, float, _Back]:
        """At θ and customers ``moved`` from the middle; back to both, the log scales and z."""
        pull = self._at.product_pull - np.einsum("atp,t->ap", self._theta, moved)
        pull -= (self._pairs @ customer).reshape(pull.shape)
        effect, log_growth, own_back = (
            self._bent(self._bends, pull, scales, z) if self._bends
            else self._straight(pull, scales, z)
        )  # fmt: skip

        def back(by: Floats) -> tuple[Floats, ...]:
            by_pull, by_log_scale, by_z = own_back(by)
            by_customer = -(self._pairs_back @ by_pull.ravel())
            return -np.einsum("atp,ap->t", self._theta, by_pull), by_customer, by_log_scale, by_z

        return effect, log_growth, back

    def _straight(self, pull: Floats, scales: Floats, z: Floats) -> tuple[Floats, float, _Back]:
        """Of one effect each; back to slopes by pulls, log scales and z."""
        precision = self._at.product_known[0] + scales**-2.0
        each = precision**-0.5
        standardised = each * pull + z

        def back(by: Floats) -> tuple[Floats, ...]:
            by_z = each * by
            by_pull = each * by_z
            by_log_each = 1.0 + by_z * standardised + by_pull * pull
            by_log_scale = (by_log_each / precision).sum(axis=1) / scales**2
            return by_pull, by_log_scale, by_z

        return each * standardised, -0.5 * float(np.log(precision).sum()), back

    def _bent(
        self, bends: Bends, pull: Floats, scales: Floats, z: Floats
    ) -> tuple[Floats, float, _Back]:
        """Of effect and tilt."""
        first, beside, last = roots(self._at.product_known, scales)
        (u, v), of_bends, back_from_bends = bends(z)
        pulled_tilt = pull[1] / last
        pulled = (pull[0] - beside * pulled_tilt) / first
        effect = (pulled + u) / first
        tilt = (pulled_tilt + v - beside * effect) / last

        def back(by: Floats) -> tuple[Floats, ...]:
            by_v = by[1] / last
            by_u = (by[0] - by_v * beside) / first
            by_first_pull = by_u / first
            by_last_pull = (by_v - by_first_pull * beside) / last
            by_first = -(by_u * (effect + pulled / first) + 1.0 / first)
            by_beside = -(by_v * effect + by_first_pull * pulled_tilt + by_first * beside / first)
            by_last = -(
                (by[1] * tilt + 1.0 + by_last_pull * last * pulled_tilt + by_beside * beside) / last
            )
            by_precision = np.array([by_first / first, by_last / last])
            by_log_scale = -by_precision.sum(axis=1) / scales**2
            by_z = back_from_bends(np.array([by_u, by_v]))
            return np.array([by_first_pull, by_last_pull]), by_log_scale, by_z

        log_growth = of_bends - float(np.log(first * last).sum())
        return np.array([effect, tilt]), log_growth, back
