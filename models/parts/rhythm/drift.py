"""How a product's level moves from week to week: what its pairs share beside a window's shock.

In week w = 1, 2, … after the as-of date the hazards of all pairs of a product are off by the factor

    exp(b + x_w + e_w),   x_w = x_{w−1} + N(0, σ²),  x_0 = 0,   e_w ~ N(0, ν),

b constant over the weeks. σ² and ν are read from windows of twelve weeks before the date, as the
season is: once, by moments. With y_iw the orders of pair i in week w, over those of all pairs in
it, two pairs of a product are independent given its level, so that with C the sum of y_i y_jᵀ over
all i ≠ j of one product and window, and h the distance of the weeks v and w,

    (C_vv + C_ww − 2 C_vw) / mean of C ≈ 2 ν + σ² h:

a variogram, in which the pairs' own noise is not, whatever it is. The shock's deviation s is that
of a window's mean level, drift included: b has what is left of s² without the walk's and the weeks'
share of it, and none of the means changes.

Source: Matheron (1963), doi:10.2113/gsecongeo.58.8.1246, for variograms.
"""

from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import nnls
from scipy.special import ndtri

from models.parts.kernels.weekly import HORIZON_WEEKS
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Patterns

WINDOWS = 4
LARGE = 100.0
"""A product's window counts for (orders / (orders + so many))²: few orders tell little."""
FEWEST = 0.5
"""Weeks with fewer orders, as a share of the median week's, tell of holidays, not of products."""
PRIOR, PRIOR_WINDOWS = (0.02, 0.002), 5.0
"""ν and σ² as if they had been seen in so many windows of large products."""


class Drift(NamedTuple):
    """Variances of the logs of products' levels."""

    by_week: float  # ν, of a week by itself
    step: float  # σ², of the walk from one week to the next

    @classmethod
    def of(cls, patterns: Patterns) -> Self:
        """As the products' orders before the date drifted."""
        apart, level = _variogram(patterns)
        weeks = np.arange(HORIZON_WEEKS)
        pairs = np.triu_indices(HORIZON_WEEKS, 1)
        design = np.stack([np.full(len(pairs[0]), 2.0), weeks[pairs[1]] - weeks[pairs[0]]], axis=1)
        weight = PRIOR_WINDOWS / HORIZON_WEEKS**2
        told = level[pairs] + weight
        seen = (apart[pairs] + weight * design @ np.array(PRIOR)) / told
        found, _ = nnls(design * np.sqrt(told)[:, None], seen * np.sqrt(told))
        return cls(*found.tolist())

    def draw(
        self, rng: np.random.Generator, scale: Floats, z: Floats, weeks: int
    ) -> tuple[Floats, Floats]:
        """b [draws], and the other factors of each week and of all later ones, [weeks + 1, draws].

        ``scale`` [draws]: s, the deviation of a window's shock; ``z`` [draws]: normal numbers. The
        walk ends with the last week.
        """
        draws = len(z)
        strata = ndtri((np.arange(draws) + 0.5) / draws)
        normal = rng.permuted(np.tile(strata, (weeks, 2, 1)), axis=2)
        walk = np.zeros((weeks + 1, draws))
        walk[:-1] = np.sqrt(self.step) * np.cumsum(normal[:, 0], axis=0)
        walk[-1] = walk[-2]
        walk[:-1] += np.sqrt(self.by_week) * normal[:, 1]
        variance = self.step * np.minimum(np.arange(1, weeks + 2), weeks)[:, None]
        variance[:-1] += self.by_week
        left = np.maximum(scale**2 - self.of_window, 0.0)
        return np.sqrt(left) * z, np.exp(walk + 0.5 * (scale**2 - left - variance))

    @property
    def of_window(self) -> float:
        """Variance of what the mean level of a window is off by because of both."""
        n = HORIZON_WEEKS
        return self.by_week / n + self.step * (n + 1) * (2 * n + 1) / (6 * n)


def _variogram(patterns: Patterns) -> tuple[Floats, Floats]:
    """C_vv + C_ww − 2 C_vw, and the mean of C, over windows and products, both [weeks, weeks]."""
    event_pair = np.repeat(np.arange(len(patterns)), patterns.order_count)
    week = (-1 - patterns.events.day) // DAYS_PER_WEEK
    product = np.unique(patterns.product_id, return_inverse=True)[1]
    apart, level = np.zeros((2, HORIZON_WEEKS, HORIZON_WEEKS))
    for window in range(WINDOWS):
        latest = window * HORIZON_WEEKS
        known = np.zeros(len(patterns), dtype=bool)
        known[event_pair[week >= latest + HORIZON_WEEKS]] = True
        inside = (week >= latest) & (week < latest + HORIZON_WEEKS) & known[event_pair]
        ordering, row = np.unique(event_pair[inside], return_inverse=True)
        orders = np.zeros((len(ordering), HORIZON_WEEKS))
        np.add.at(orders, (row, latest + HORIZON_WEEKS - 1 - week[inside]), 1.0)
        of_all = orders.sum(axis=0)
        usual = of_all > FEWEST * np.median(of_all)
        orders *= np.divide(of_all.mean(), of_all, out=np.zeros(HORIZON_WEEKS), where=usual)
        _, row = np.unique(product[ordering], return_inverse=True)
        of_products = np.zeros((row.max(initial=-1) + 1, HORIZON_WEEKS))
        np.add.at(of_products, row, orders)
        weight = (of_products.sum(axis=1, keepdims=True) + LARGE) ** -2.0
        shared = of_products.T @ (weight * of_products) - orders.T @ (weight[row] * orders)
        own, both = np.diag(shared), np.outer(usual, usual)
        apart += np.where(both, own[:, None] + own - 2.0 * shared, 0.0)
        level += both * max(shared[both].mean() if both.any() else 0.0, 0.0)
    return apart, level
