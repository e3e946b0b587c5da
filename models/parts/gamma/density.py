"""The log density of the gamma versions' population given its scales, and its derivatives.

What the search for the mode climbs (``mode.py``), and most of what is sampled (``posterior.py``).
θ holds what all pairs share, unbounded:

    log a,  μ₀,  y,  and with lapses  logit of the mean lapse, log of its concentration

The log of a pair's typical interval is μ₀ + its customer's effect + its product's. Effects are
N(0, scale²), as drawn, not yet deviations from a mean: the saved ``log_typical`` is μ₀ and both
means, each effect weighing as much as it is known. The only customer and the only product there is
have no effect on any pair: nothing would tell it from μ₀. Regularities of the average product have
the weights softmax(v), v = (y, −Σ y); its tilt adds tilt · x, x the doublings of k.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln, log_expit

from models.parts.gamma.data import FitData
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from models.parts.kernels.collapsed import (
    CollapsedParameters,
    Gradient,
    collapsed_likelihood,
    pair_likelihoods,
)
from toolkit.data.tables import Floats

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


@dataclass(frozen=True)
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

    @cached_property
    def several(self) -> NDArray[np.bool_]:
        """Whether there is more than one customer, product and tilt, [1 + parts]."""
        products = [len(self.data.product_id) > 1] * self.parts
        return np.array([len(self.data.customer_id) > 1, *products])

    @cached_property
    def shares(self) -> tuple[Floats, ...]:
        """What each customer's, product's and tilt's effect counts for in their means."""
        known = self.data.information(lapse=self.lapse)
        return tuple(
            more * each / each.sum()
            for more, each in zip(self.several, known.values(), strict=True)
        )

    @cached_property
    def doublings(self) -> Floats:
        """What a tilt multiplies, [regularities]."""
        return doublings(self.data.rows.regularities)

    def means(self, of: "Point") -> Floats:
        """Of customers, products and tilts, each weighing as much as it is known, [1 + parts]."""
        effects = of.customer, *of.product
        return np.array([(w * e).sum() for w, e in zip(self.shares, effects, strict=True)])

    def log_prior(self, scales: Floats) -> float:
        """Log density of the logs of ``scales``, [1 + parts]."""
        return float((np.log(scales) - 0.5 * (scales / self.largest_scales) ** 2).sum())

    @cached_property
    def largest_scales(self) -> Floats:
        """Deviations of the scales' HalfNormal priors, [1 + parts]."""
        p = self.prior
        return np.array([p.customer_scale, p.product_scale, p.tilt_scale])[: 1 + self.parts]

    def __call__(self, at: Point, scales: Floats) -> float:
        """Log density of ``at``; ``scales`` of customers, products and tilts, [1 + parts]."""
        return self.with_gradient(at, scales)[0]

    def gradient(self, at: Point, scales: Floats) -> Point:
        """Of the log density."""
        return self.with_gradient(at, scales)[1]

    def with_gradient(self, at: Point, scales: Floats) -> tuple[float, Point]:
        """Both, for the kernel has them together."""
        data, to = self.data, self.parameters(at)
        by = collapsed_likelihood(data.rows, (data.customer, data.product), to)
        by_logit = _by_logits(to, by)
        value, slope = self.of_effects(at, scales)
        slope.product[0] += self.several[1] * by.product
        if self.lapse:
            slope.product[1] += self.several[2] * self._by_tilt(by_logit)
        theta = slope.theta + self._by_theta(at, by, by_logit)
        customer = slope.customer + self.several[0] * by.customer
        return value + by.value, Point(theta, customer, slope.product)

    def of_effects(self, at: Point, scales: Floats) -> tuple[float, Point]:
        """Log density and gradient but for the pairs: of θ, and of the effects at ``scales``."""
        value, by_theta, by_means = self._prior(at.theta, self.means(at))
        effects = at.customer, *at.product
        value -= 0.5 * sum(
            float((e * e).sum()) / s**2 for e, s in zip(effects, scales, strict=True)
        )
        customer, *product = (
            by_mean * w - e / s**2
            for e, s, by_mean, w in zip(effects, scales, by_means, self.shares, strict=True)
        )
        return value, Point(by_theta, customer, np.array(product))

    def of_products(self, at: Point, scales: Floats) -> Floats:
        """Log density of each product's effects given all else, [products]; means left free."""
        index = self.data.customer, self.data.product
        pairs = pair_likelihoods(self.data.rows, index, self.parameters(at))
        spread: Floats = ((at.product / scales[1:, None]) ** 2).sum(axis=0)
        return np.bincount(index[1], pairs, at.product.shape[1]) - 0.5 * spread

    def pair_slopes(self, at: Point) -> Floats:
        """Of each pair by its log typical interval, and its product's tilt, [parts, pairs]."""
        data, every = self.data, np.arange(len(self.data.customer))
        single = Point(at.theta, at.customer[data.customer], at.product[:, data.product])
        to = self.parameters(single)
        by = collapsed_likelihood(data.rows, (every, every), to)
        return np.array([by.customer, *([self._by_tilt(_by_logits(to, by))] * self.lapse)])

    def _prior(self, theta: Floats, means: Floats) -> tuple[float, Floats, Floats]:
        """Of θ given the means of effects; its derivatives by both."""
        p, slope = self.prior, np.zeros(len(theta))
        shape, typical = theta[SHAPE] - p.shape[0], theta[TYPICAL] + means[:2].sum()
        slope[SHAPE] = -shape / p.shape[1] ** 2
        slope[TYPICAL] = -(typical - p.log_typical[0]) / p.log_typical[1] ** 2
        value = 0.5 * (shape * slope[SHAPE] + (typical - p.log_typical[0]) * slope[TYPICAL])
        x = self.doublings
        log_weight = log_softmax(weights(theta[WEIGHTS : self.lapses]) + means[2:].sum() * x)
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

    def parameters(self, at: Point) -> CollapsedParameters:
        """What the kernel takes."""
        rows, a = self.data.rows, np.exp(at.theta[SHAPE])
        customer = self.several[0] * at.customer
        product = self.several[1:, None] * at.product
        m = rows.counts
        log_kept, left = np.zeros((2, len(m)))
        v = weights(at.theta[WEIGHTS : self.lapses])[:, None]
        if self.lapse:
            v = v + self.doublings[:, None] * product[1]
            alpha, beta = self._lapse(at.theta)
            log_kept = (
                gammaln(beta + m) - gammaln(beta)
                - gammaln(alpha + beta + m) + gammaln(alpha + beta)
            )  # fmt: skip
            left = alpha / (alpha + beta + m)
        return CollapsedParameters(
            shape=float(a),
            customer=np.ascontiguousarray(customer),
            product=product[0] + (at.theta[TYPICAL] + at.theta[SHAPE]),
            log_gamma=gammaln(a + rows.regularities * m[:, None]) - gammaln(a),
            log_weight=np.ascontiguousarray(log_softmax(v).T),
            log_kept=log_kept,
            lapse=left,
        )

    def _lapse(self, theta: Floats) -> tuple[np.float64, np.float64]:
        """Both parameters of the Beta; NumPy's numbers, for which dividing by 0 is no error."""
        mean = np.float64(expit(theta[self.lapses]))
        concentration = np.exp(np.float64(theta[self.lapses + 1]))
        return mean * concentration, (1.0 - mean) * concentration

    def _by_tilt(self, by_logit: Floats) -> Floats:
        """[products or pairs]."""
        found: Floats = np.einsum("pk,k->p", by_logit, self.doublings)
        return found

    def _by_theta(self, at: Point, by: Gradient, by_logit: Floats) -> Floats:
        """[θ], of the pairs' log likelihood."""
        rows, a = self.data.rows, np.exp(at.theta[SHAPE])
        slope = np.zeros(len(at.theta))
        by_c = by.customer.sum()
        of_gamma = digamma(a + rows.regularities * rows.counts[:, None]) - digamma(a)
        slope[SHAPE] = by_c + a * (by.shape + (by.log_gamma * of_gamma).sum())
        slope[TYPICAL] = by_c
        of_all = by_logit.sum(axis=0)
        slope[WEIGHTS : self.lapses] = of_all[:-1] - of_all[-1]
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


def log_softmax(v: Floats) -> Floats:
    """Along the first axis; SciPy's takes three times as long for a few numbers."""
    off = v - v.max(axis=0)
    found: Floats = off - np.log(np.exp(off).sum(axis=0))
    return found


def _by_logits(to: CollapsedParameters, by: Gradient) -> Floats:
    """By the logits of the weights, [products or 1, regularities]."""
    of_all = by.log_weight.sum(axis=1, keepdims=True)
    found: Floats = by.log_weight - np.exp(to.log_weight) * of_all
    return found
