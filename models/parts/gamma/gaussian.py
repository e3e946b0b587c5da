"""The Gaussian at a point of the gamma versions' population, by elimination; see ``mode.py``."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

from models.parts.gamma.data import FitData
from models.parts.gamma.density import TYPICAL, GammaDensity, Point
from toolkit.data.tables import Floats

DIFFERENCE = 1e-4
LONG_DIRECTIONS = 24
"""So many are taken from the customers at most: those with λ below ``LONG``."""
LONG, LEAST_EIGENVALUE = 0.7, 0.02
FLATTEST = 0.1
"""No direction of θ curves less: priors alone nearly do."""
MOST_DENSE = 2 * LONG_DIRECTIONS
"""Up to so many customers all eigenvalues are worked out."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """The negative Hessian of the log density at a point, priors of the effects left out."""

    theta: Floats  # A, [θ, θ]
    customer_theta: Floats  # X, [customers, θ]
    customer: Floats  # H_c, [customers]
    product_theta: Floats  # C, [parts, products, θ]
    product: Floats  # H_p, [parts, parts, products]
    pair: Floats  # M's entries, [parts, pairs]

    @classmethod
    def of(cls, density: GammaDensity, at: Point, *, convex: bool = False) -> Self:
        """By differences of the gradient; ``convex``: pairs that curve upwards taken for flat."""
        products, parts = at.product.shape[1], density.parts
        by_theta = [
            _difference(density, at, Point(unit, *no_effects(at))) for unit in np.eye(density.size)
        ]
        theta = np.array([slope.theta for slope in by_theta])
        customer_theta = np.array([slope.customer for slope in by_theta]).T
        product_theta = np.array([slope.product for slope in by_theta]).transpose(1, 2, 0)
        pair = _difference_of_pairs(density, at)
        if convex:
            pair[0] = np.maximum(pair[0], 0.0)
        index, several = (density.data.customer, density.data.product), density.several
        customer_theta[:, TYPICAL] = several[0] * np.bincount(index[0], pair[0], len(at.customer))
        product_theta[:, :, TYPICAL] = [
            several[1] * np.bincount(index[1], one, products) for one in pair
        ]
        product = np.zeros((parts, parts, products))
        product[0] = product[:, 0] = product_theta[:, :, TYPICAL]
        if density.lapse:
            customer, effects = no_effects(at)
            effects[1] = 1.0
            tilted = Point(np.zeros(density.size), customer, effects)
            product[1, 1] = _difference(density, at, tilted).product[1] - 1.0
        return cls(
            theta=(theta + theta.T) / 2,
            customer_theta=customer_theta,
            customer=customer_theta[:, TYPICAL].copy(),
            product_theta=product_theta,
            product=_without_hollows(product),
            pair=all(several) * pair,
        )

    @classmethod
    def mean(cls, each: list[Self]) -> Self:
        """Of several points."""
        return cls(*(
            np.mean([getattr(one, field.name) for one in each], axis=0) for field in fields(cls)
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The Gaussian with a ``Curvature`` and scales, by elimination."""

    curvature: Curvature
    scales: Floats  # [1 + parts]
    pairs: tuple[csr_array, ...]  # M, [customers, products] per part
    inverse: Floats  # D⁻¹, [products, parts, parts]
    customer_known: Floats  # E without the scale
    customer_theta: Floats  # X'
    long: Floats
    eigenvalues: Floats
    root: Floats

    @classmethod
    def of(cls, curvature: Curvature, data: FitData, scales: Floats) -> Self:
        """``data``: whose customers and products the pairs are of."""
        index = data.customer, data.product
        groups = len(curvature.customer), curvature.product.shape[2]
        pairs = tuple(csr_array((entries, index), shape=groups) for entries in curvature.pair)
        block = curvature.product.transpose(2, 0, 1) + np.diag(scales[1:] ** -2.0)
        inverse = np.linalg.inv(block).astype(float)
        known: Floats = curvature.customer.copy()
        of_theta: Floats = curvature.customer_theta.copy()
        theta: Floats = curvature.theta.copy()
        for a, one in enumerate(pairs):
            for b, other in enumerate(pairs):
                share = inverse[:, a, b]
                known -= (one * other) @ share
                of_theta -= one @ (share[:, None] * curvature.product_theta[b])
                theta -= curvature.product_theta[a].T @ (
                    share[:, None] * curvature.product_theta[b]
                )
        np.maximum(known, 0.0, out=known)
        long, eigenvalues = _long_directions(
            curvature.customer + scales[0] ** -2.0, pairs, inverse, known + scales[0] ** -2.0
        )
        self = cls(
            curvature,
            scales,
            pairs,
            inverse,
            known,
            of_theta,
            long,
            eigenvalues,
            np.eye(len(theta)),
        )
        theta -= of_theta.T @ self.of_customers(of_theta)
        return cls(
            curvature, scales, pairs, inverse, known, of_theta, long, eigenvalues,
            inverse_root(theta),
        )  # fmt: skip

    @property
    def customer_precision(self) -> Floats:
        """E, [customers]."""
        return self.customer_known + self.scales[0] ** -2.0

    def of_customers(self, slope: Floats) -> Floats:
        """B⁻¹ times columns ``slope``, [customers, …]."""
        each = (self.customer_precision**-0.5).reshape(-1, *[1] * (slope.ndim - 1))
        scaled = each * slope
        along = ((1.0 / self.eigenvalues - 1.0) * (self.long.T @ scaled).T).T
        found: Floats = each * (scaled + self.long @ along)
        return found

    def step(self, slope: Point) -> Point:
        """Newton's, from the gradient ``slope``."""
        of_theta = self.curvature.product_theta
        by_product = np.einsum("pab,bp->ap", self.inverse, slope.product)
        customer = slope.customer - sum(m @ e for m, e in zip(self.pairs, by_product, strict=True))
        theta = slope.theta - np.einsum("apt,ap->t", of_theta, by_product)
        theta = self.root @ (
            self.root.T @ (theta - self.customer_theta.T @ self.of_customers(customer))
        )
        customer = self.of_customers(customer - self.customer_theta @ theta)
        left = slope.product - of_theta @ theta
        left = left - np.array([m.T @ customer for m in self.pairs])
        return Point(theta, customer, np.einsum("pab,bp->ap", self.inverse, left))

    def draw(self, z: Point) -> Point:
        """How far from its mean it lies at standard normal numbers ``z``."""
        theta = self.root @ z.theta
        scaled = z.customer + self.long @ (
            (self.eigenvalues**-0.5 - 1.0) * (self.long.T @ z.customer)
        )
        customer = self.customer_precision**-0.5 * scaled
        customer = customer - self.of_customers(self.customer_theta @ theta)
        pull = -self.curvature.product_theta @ theta
        pull = pull - np.array([m.T @ customer for m in self.pairs])
        own = np.einsum("pab,bp->ap", np.linalg.cholesky(self.inverse), z.product)
        return Point(theta, customer, np.einsum("pab,bp->ap", self.inverse, pull) + own)

    def distance(self, one: Point, other: Point) -> float:
        """The largest step of θ, in deviations."""
        return float(np.abs(np.linalg.solve(self.root, other.theta - one.theta)).max())

    def pulls(self, at: Point, slope: Point) -> tuple[Floats, Floats]:
        """What the data say of customers (D⁻¹ Mᵀ apart) and products, off the mode, too."""
        by_product = np.einsum("pab,bp->ap", self.inverse, slope.product)
        by_customer = slope.customer - sum(
            m @ e for m, e in zip(self.pairs, by_product, strict=True)
        )
        return (
            at.customer * self.customer_precision + by_customer,
            self.product_pull(at.product) + slope.product,
        )

    def customer_pull(self, customer: Floats) -> Floats:
        """B times effects of customers, without what is not among the long directions."""
        each = self.customer_precision**0.5
        scaled = each * customer
        found: Floats = each * (
            scaled + self.long @ ((self.eigenvalues - 1.0) * (self.long.T @ scaled))
        )
        return found

    def product_pull(self, product: Floats) -> Floats:
        """D times effects of products."""
        found: Floats = np.einsum("abp,bp->ap", self.curvature.product, product)
        return found + product / self.scales[1:, None] ** 2


def no_effects(at: Point) -> tuple[Floats, Floats]:
    """Zeros for the effects of customers and products."""
    return np.zeros_like(at.customer), np.zeros_like(at.product)


def _difference(density: GammaDensity, at: Point, direction: Point) -> Point:
    """Minus the change of the gradient in a direction, at scales of 1."""
    ones = np.ones(1 + density.parts)
    up, down = (density.gradient(at.along(direction, d), ones) for d in (DIFFERENCE, -DIFFERENCE))
    return Point(*((d - u) / (2 * DIFFERENCE) for u, d in zip(up, down, strict=True)))


def _difference_of_pairs(density: GammaDensity, at: Point) -> Floats:
    """Minus the change of each pair's slopes as μ₀ moves, [parts, pairs]: M's entries."""
    unit = np.zeros(density.size)
    unit[TYPICAL] = DIFFERENCE
    direction = Point(unit, *no_effects(at))
    up, down = (density.pair_slopes(at.along(direction, sign)) for sign in (1.0, -1.0))
    found: Floats = (down - up) / (2 * DIFFERENCE)
    return found


def _without_hollows(product: Floats) -> Floats:
    """Blocks [parts, parts, products] with what curves upwards taken for flat."""
    eigenvalues, eigenvectors = np.linalg.eigh(product.transpose(2, 0, 1))
    flat = np.maximum(eigenvalues, 0.0)
    found: Floats = np.einsum("pac,pc,pbc->abp", eigenvectors, flat, eigenvectors)
    return found


def _long_directions(
    own: Floats, pairs: tuple[csr_array, ...], inverse: Floats, precision: Floats
) -> tuple[Floats, Floats]:
    """Eigenvectors and -values of E^−½ B E^−½ along which B curves far less than E."""
    each, count = precision**-0.5, len(precision)

    def times(v: Floats) -> Floats:
        v = v.ravel() * each
        found = own * v
        for a, one in enumerate(pairs):
            for b, other in enumerate(pairs):
                found = found - one @ (inverse[:, a, b] * (other.T @ v))
        return found * each

    if count <= MOST_DENSE:
        whole = np.array([times(unit) for unit in np.eye(count)])
        eigenvalues, vectors = np.linalg.eigh((whole + whole.T) / 2)
    else:
        operator = LinearOperator((count, count), matvec=times, dtype=float)
        eigenvalues, vectors = eigsh(
            operator, LONG_DIRECTIONS, which="SA", v0=np.ones(count), tol=1e-3
        )
    few = np.argsort(eigenvalues)[:LONG_DIRECTIONS]
    few = few[eigenvalues[few] < LONG]
    return vectors[:, few], np.maximum(eigenvalues[few], LEAST_EIGENVALUE)


def inverse_root(curvature: Floats) -> Floats:
    """R of R Rᵀ = S⁻¹; directions that curve upwards are as if they curved downwards."""
    eigenvalues, eigenvectors = np.linalg.eigh((curvature + curvature.T) / 2)
    root: Floats = eigenvectors / np.sqrt(np.maximum(np.abs(eigenvalues), FLATTEST))
    return root
