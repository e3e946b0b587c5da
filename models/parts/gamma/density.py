"""The log density of the gamma versions' population given its scales, and its derivatives.

What the search for the mode climbs (``mode.py``). θ holds what all pairs share, unbounded:

    log a,  μ₀,  y,  and with lapses  logit of the mean lapse, log of its concentration

The log of a pair's typical interval is μ₀ + its customer's effect + its product's. Effects are
N(0, scale²), as drawn, not yet deviations from a mean: the saved ``log_typical`` is μ₀ and both
means, each effect weighing as much as it is known. Regularities of the average product have the
weights softmax(v), v = (y, −Σ y); its tilt adds tilt · x, x the doublings of k.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, gammaln, log_expit, log_softmax

from models.parts.gamma.data import FitData
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from models.parts.kernels.collapsed import (
    CollapsedParameters,
    Gradient,
    collapsed_likelihood,
    pair_likelihoods,
)
from toolkit.data.tables import Floats, Ints

SHAPE, TYPICAL, WEIGHTS = 0, 1, 2
"""Where log a, μ₀ and the first y stand in θ; lapses come last."""


class Point(NamedTuple):
    """θ, and the effects of customers and products as drawn."""

    theta: Floats  # [θ]
    customer: Floats  # [customers]
    product: Floats  # [parts, products]: on log μ, and with lapses the tilt

    def along(self, step: "Point", share: float) -> "Point":
        """So far in a direction."""
        return Point(*(here + share * there for here, there in zip(self, step, strict=True)))

    def normal(self, rng: np.random.Generator) -> "Point":
        """Standard normal numbers in its shape."""
        return Point(*(rng.standard_normal(each.shape) for each in self))


@dataclass(frozen=True, slots=True)
class GammaDensity:
    """The log density of a ``Point`` given the effects' ``scales``, without constants."""

    data: FitData
    prior: GammaPrior
    lapse: bool

    @property
    def parts(self) -> int:
        """Effects of a product: 1, and 2 where it has a tilt."""
        return 2 if self.lapse else 1

    @property
    def lapses(self) -> int:
        """Where the lapses stand in θ."""
        return WEIGHTS + len(self.data.rows.regularities) - 1

    @property
    def size(self) -> int:
        """Of θ."""
        return self.lapses + 2 * self.lapse

    def means(self, of: "Point") -> Floats:
        """Of customers, products and tilts, each weighing as much as it is known, [1 + parts]."""
        return np.array(
            [w @ e for w, e in zip(self._shares(), (of.customer, *of.product), strict=True)]
        )

    def log_prior(self, scales: Floats) -> float:
        """Log density of the logs of ``scales``, [1 + parts]."""
        p = self.prior
        of = np.array([p.customer_scale, p.product_scale, p.tilt_scale])[: len(scales)]
        return float((np.log(scales) - 0.5 * (scales / of) ** 2).sum())

    def __call__(self, at: Point, scales: Floats) -> float:
        """Log density of ``at``; ``scales`` of customers, products and tilts, [1 + parts]."""
        value = self._pairs(at, (self.data.customer, self.data.product)).value
        spread = sum(
            float(e @ e) / s**2 for e, s in zip((at.customer, *at.product), scales, strict=True)
        )
        return value - 0.5 * spread + self._prior(at.theta, self.means(at))[0]

    def gradient(self, at: Point, scales: Floats) -> Point:
        """Of the log density."""
        data = self.data
        by = self._pairs(at, (data.customer, data.product))
        _, by_theta, by_means = self._prior(at.theta, self.means(at))
        own = [by.customer, by.product, *([self._by_tilt(at, by)] if self.lapse else [])]
        customer, *product = (
            slope - e / s**2 + by_mean * w
            for slope, e, s, by_mean, w in zip(
                own, (at.customer, *at.product), scales, by_means, self._shares(), strict=True
            )
        )
        return Point(by_theta + self._by_theta(at, by), customer, np.array(product))

    def of_products(self, at: Point, scales: Floats) -> Floats:
        """Log density of each product's effects given all else, [products]; means left free."""
        index = self.data.customer, self.data.product
        pairs = pair_likelihoods(self.data.rows, index, self._parameters(at))
        spread: Floats = ((at.product / scales[1:, None]) ** 2).sum(axis=0)
        return np.bincount(index[1], pairs, at.product.shape[1]) - 0.5 * spread

    def pair_slopes(self, at: Point) -> Floats:
        """Of each pair by its log typical interval, and its product's tilt, [parts, pairs]."""
        data, every = self.data, np.arange(len(self.data.customer))
        single = Point(at.theta, at.customer[data.customer], at.product[:, data.product])
        by = self._pairs(single, (every, every))
        return np.array([by.customer, *([self._by_tilt(single, by)] if self.lapse else [])])

    def _shares(self) -> list[Floats]:
        columns = self.data.columns(lapse=self.lapse)
        names = ("customer", "product", "tilt")[: 1 + self.parts]
        known = [columns[f"{name}_information"] for name in names]
        return [each / each.sum() for each in known]

    def _prior(self, theta: Floats, means: Floats) -> tuple[float, Floats, Floats]:
        """Of θ given the means of effects; its derivatives by both."""
        p, slope = self.prior, np.zeros(len(theta))
        shape, typical = theta[SHAPE] - p.shape[0], theta[TYPICAL] + means[:2].sum()
        slope[SHAPE] = -shape / p.shape[1] ** 2
        slope[TYPICAL] = -(typical - p.log_typical[0]) / p.log_typical[1] ** 2
        value = 0.5 * (shape * slope[SHAPE] + (typical - p.log_typical[0]) * slope[TYPICAL])
        x = doublings(self.data.rows.regularities)
        log_weight = log_softmax(weights(theta[WEIGHTS : self.lapses]) + sum(means[2:]) * x)
        by_weight = 1.0 - len(x) * np.exp(log_weight)
        slope[WEIGHTS : self.lapses] = by_weight[:-1] - by_weight[-1]
        value += log_weight.sum()
        if self.lapse:
            logit, log_concentration = theta[self.lapses :]
            once, never = p.lapse
            off = log_concentration - p.lapse_concentration[0]
            slope[self.lapses] = once * expit(-logit) - never * expit(logit)
            slope[self.lapses + 1] = -off / p.lapse_concentration[1] ** 2
            value += once * log_expit(logit) + never * log_expit(-logit)
            value += 0.5 * off * slope[self.lapses + 1]
        by_means = np.array([slope[TYPICAL], slope[TYPICAL], by_weight @ x])
        return float(value), slope, by_means[: len(means)]

    def _log_weight(self, at: Point) -> Floats:
        """[products or 1, regularities]."""
        v = weights(at.theta[WEIGHTS : self.lapses])[None, :]
        if self.lapse:
            v = v + at.product[1][:, None] * doublings(self.data.rows.regularities)
        log_weight: Floats = log_softmax(v, axis=1)
        return log_weight

    def _pairs(self, at: Point, index: tuple[Ints, Ints]) -> Gradient:
        """The kernel's log likelihood and derivatives."""
        return collapsed_likelihood(self.data.rows, index, self._parameters(at))

    def _parameters(self, at: Point) -> CollapsedParameters:
        """What the kernel takes."""
        rows, a = self.data.rows, np.exp(at.theta[SHAPE])
        m = rows.counts
        log_kept, left = np.zeros((2, len(m)))
        if self.lapse:
            alpha, beta = self._lapse(at.theta)
            log_kept = (
                gammaln(beta + m) - gammaln(beta)
                - gammaln(alpha + beta + m) + gammaln(alpha + beta)
            )  # fmt: skip
            left = alpha / (alpha + beta + m)
        return CollapsedParameters(
            shape=float(a),
            customer=np.ascontiguousarray(at.customer),
            product=at.product[0] + (at.theta[TYPICAL] + at.theta[SHAPE]),
            log_gamma=gammaln(a + rows.regularities * m[:, None]) - gammaln(a),
            log_weight=self._log_weight(at),
            log_kept=log_kept,
            lapse=left,
        )

    def _lapse(self, theta: Floats) -> tuple[float, float]:
        mean, concentration = expit(theta[self.lapses]), np.exp(theta[self.lapses + 1])
        return float(mean * concentration), float((1.0 - mean) * concentration)

    def _by_logits(self, at: Point, by: Gradient) -> Floats:
        """By the logits of the weights, [products or 1, regularities]."""
        weight = np.exp(self._log_weight(at))
        found: Floats = by.log_weight - weight * by.log_weight.sum(axis=1, keepdims=True)
        return found

    def _by_tilt(self, at: Point, by: Gradient) -> Floats:
        """[products]."""
        found: Floats = self._by_logits(at, by) @ doublings(self.data.rows.regularities)
        return found

    def _by_theta(self, at: Point, by: Gradient) -> Floats:
        """[θ], of the pairs' log likelihood."""
        rows, a = self.data.rows, np.exp(at.theta[SHAPE])
        slope = np.zeros(len(at.theta))
        by_c = by.customer.sum()
        of_gamma = digamma(a + rows.regularities * rows.counts[:, None]) - digamma(a)
        slope[SHAPE] = by_c + a * (by.shape + (by.log_gamma * of_gamma).sum())
        slope[TYPICAL] = by_c
        by_logit = self._by_logits(at, by).sum(axis=0)
        slope[WEIGHTS : self.lapses] = by_logit[:-1] - by_logit[-1]
        if self.lapse:
            slope[self.lapses :] = self._by_lapse(at.theta, by)
        return slope

    def _by_lapse(self, theta: Floats, by: Gradient) -> tuple[float, float]:
        """By the logit of the mean lapse, and by the log of its concentration."""
        m = self.data.rows.counts
        alpha, beta = self._lapse(theta)
        total = alpha + beta
        mean = alpha / total
        kept_by_beta = digamma(beta + m) - digamma(beta)
        kept_by_total = digamma(total) - digamma(total + m)
        by_mean = total * (by.lapse / (total + m) - by.log_kept * kept_by_beta)
        by_total = by.log_kept * ((1.0 - mean) * kept_by_beta + kept_by_total)
        by_total = by_total + by.lapse * mean * m / (total + m) ** 2
        return float(mean * (1.0 - mean) * by_mean.sum()), float(total * by_total.sum())


def weights(y: Floats) -> Floats:
    """v = (y, −Σ y): logits of as many weights as there are y, and one more."""
    return np.append(y, -y.sum())
