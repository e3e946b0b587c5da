"""The likelihood of many pairs, their rates, regularities and lapse integrated out, with gradient.

A pair's m intervals have sum S and log sum L, and the open one has reached T days. Given
regularity k_j its rate integrates out (``renewal.py``), with A = a + k_j m, B = c + k_j S, c = a μ:

    log f_j = log Γ(A) / Γ(a) + a log c − A log B + m (k_j log k_j − log Γ(k_j)) + (k_j − 1) L
    I_j     = z^A Σ_{i<k_j} (A)_i / i! q^i,   q = k_j T / (B + k_j T),   z = 1 − q

A pair may lapse after each order. It has not after m orders with probability ``kept``, and does
after the last one with probability ``lapse``, so that the pair contributes

    kept · Σ_j w_j f_j (lapse + (1 − lapse) I_j)

What depends on m alone (the gamma functions, ``kept``, ``lapse``) comes in as tables over the
distinct m, so that only logarithms, exponentials and short sums are left per pair; these run for
a block of pairs side by side. Derivatives are taken along: with t_i the terms of the sum,
dI/dz = z^(A−1) (A + k − 1) t_{k−1}, and those of the sum by A follow the terms' own recurrence.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from models.parts.kernels.lanes import (
    ALIVE,
    BLOCK,
    COUNT,
    DEAD,
    FREE,
    LANE_NUMBERS,
    LAPSED,
    LOG_B,
    LOG_C,
    LOG_Z,
    OPEN,
    OWN_NUMBERS,
    SCALE,
    SHAPE,
    SUM,
    TERM,
    TOP,
    TOTAL,
    TOTAL_BY_A,
    A,
    C,
    Q,
    condition,
    densities,
    log_densities,
    sum_terms,
)
from models.parts.kernels.vector import log, side_by_side
from toolkit.data.tables import Floats, Ints


class PairRows(NamedTuple):
    """What the likelihood needs to know of each pair's history: sufficient statistics."""

    count_row: Ints  # [pairs], row of its m in ``counts``
    interval_sum: Floats  # [pairs], S in days
    survived: Floats  # [pairs], T in days: the next interval is known to be longer
    constant: Floats  # [pairs, regularities], m (k log k − log Γ(k)) + (k − 1) L
    counts: Floats  # [counts], the distinct m, ascending
    regularities: Ints  # [regularities], the whole numbers k_j

    @classmethod
    def of(
        cls, statistics: tuple[Floats, Floats, Floats, Floats], regularities: Ints
    ) -> "PairRows":
        """Rows of pairs with ``statistics`` m, S, L and T, each [pairs]."""
        m, S, L, T = statistics
        k = regularities
        counts, count = np.unique(m, return_inverse=True)
        constant = m[:, None] * (k * np.log(k) - gammaln(k)) + (k - 1) * L[:, None]
        return cls(count.astype(np.int64), S, T, constant, counts, k)

    def select(self, pairs: slice | Ints) -> "PairRows":
        """The rows of some pairs."""
        return self._replace(
            count_row=self.count_row[pairs],
            interval_sum=self.interval_sum[pairs],
            survived=self.survived[pairs],
            constant=self.constant[pairs],
        )


class CollapsedParameters(NamedTuple):
    """What the likelihood is a function of; see the module's docstring."""

    shape: float  # a
    customer: Floats  # [customers]; with ``product`` it adds up to log c, c = a μ in days
    product: Floats  # [products]
    log_gamma: Floats  # [counts, regularities], log Γ(a + k m) / Γ(a)
    log_weight: Floats  # [products or 1, regularities], log w_j
    log_kept: Floats  # [counts]
    lapse: Floats  # [counts]


BY_C, BY_A, BY_LAPSE = FREE


class Gradient(NamedTuple):
    """The log likelihood and its derivatives, each in the shape of what it is taken by."""

    value: float
    shape: float  # by a, at constant c
    customer: Floats  # [customers], by log c
    product: Floats  # [products], by log c
    log_gamma: Floats  # [counts, regularities]
    log_weight: Floats  # [products or 1, regularities]
    log_kept: Floats  # [counts]
    lapse: Floats  # [counts]


@side_by_side
def _densities(
    start: int, n: int, rows: PairRows, index: tuple[Ints, Ints], at: CollapsedParameters,
    c: tuple[Floats, Floats], lane: Floats, own: Floats, value: float,
) -> float:  # fmt: skip
    """w f and w f I of n pairs from ``start`` on; their log ``kept`` are added to ``value``.

    ``c``: its factors by customer and by product.
    """
    row_customer, row_product = index
    ks, shared = rows.regularities, len(at.log_weight) == 1
    for i in range(n):
        r = start + i
        h = rows.count_row[r]
        p = 0 if shared else row_product[r]
        lane[C + i] = c[0][row_customer[r]] * c[1][row_product[r]]
        lane[LOG_C + i] = at.customer[row_customer[r]] + at.product[row_product[r]]
        lane[COUNT + i], lane[SUM + i] = rows.counts[h], rows.interval_sum[r]
        lane[OPEN + i], lane[LAPSED + i] = rows.survived[r], at.lapse[h]
        value += at.log_kept[h]
        for j in range(len(ks)):
            known = rows.constant[r, j] + at.log_gamma[h, j]
            own[j, DEAD + i] = known + at.log_weight[p, j]
    lane[TOP : TOP + BLOCK] = -np.inf
    lane[SCALE:] = 0.0
    for j in range(len(ks)):
        condition(n, ks[j], lane, own[j])
        sum_terms(n, ks[j], own[j])
        log_densities(n, lane, own[j])
    for j in range(len(ks)):
        densities(n, lane, own[j])
    return value


@side_by_side
def _finish(n: int, lane: Floats) -> float:
    """Sum of the pairs' log densities; SCALE becomes its inverse."""
    value = 0.0
    for i in range(n):
        value += log(lane[SCALE + i]) + lane[TOP + i]
        lane[SCALE + i] = 1.0 / lane[SCALE + i]
    return value


@side_by_side
def _derivatives(n: int, k: int, lane: Floats, own: Floats) -> None:
    """Adds what one regularity says to BY_C, BY_A, BY_LAPSE; its posterior weight to DEAD."""
    for i in range(n):
        dead, alive = own[DEAD + i] * lane[SCALE + i], own[ALIVE + i] * lane[SCALE + i]
        lane[BY_LAPSE + i] += dead - alive
        alive *= 1.0 - lane[LAPSED + i]
        weight = lane[LAPSED + i] * dead + alive
        c_over_b = lane[C + i] / (lane[C + i] + k * lane[SUM + i])
        last = own[TERM + i] / own[TOTAL + i] * own[Q + i]
        lane[BY_C + i] += weight * (lane[SHAPE + i] - own[A + i] * c_over_b)
        lane[BY_C + i] += alive * (own[A + i] + (k - 1.0)) * last * c_over_b
        lane[BY_A + i] += weight * (lane[LOG_C + i] - own[LOG_B + i])
        lane[BY_A + i] += alive * (own[LOG_Z + i] + own[TOTAL_BY_A + i] / own[TOTAL + i])
        own[DEAD + i] = weight


@side_by_side
def collapsed_likelihood(
    rows: PairRows, index: tuple[Ints, Ints], at: CollapsedParameters
) -> Gradient:
    """Log likelihood of all ``rows`` and its gradient.

    ``index``: each pair's row of ``at.customer`` and of ``at.product``, two arrays [pairs].
    """
    row_customer, row_product = index
    ks, shape = rows.regularities, at.shape
    by_customer, by_product = np.zeros_like(at.customer), np.zeros_like(at.product)
    by_gamma, by_weight = np.zeros_like(at.log_gamma), np.zeros_like(at.log_weight)
    by_kept, by_lapse = np.zeros_like(at.log_kept), np.zeros_like(at.lapse)
    c_customer, c_product = np.exp(at.customer), np.exp(at.product)
    lane, own = np.zeros(LANE_NUMBERS), np.zeros((len(ks), OWN_NUMBERS))
    lane[SHAPE : SHAPE + BLOCK] = shape
    value = by_shape = 0.0
    shared = len(at.log_weight) == 1
    for start in range(0, len(rows.survived), BLOCK):
        n = min(BLOCK, len(rows.survived) - start)
        c = c_customer, c_product
        value = _densities(start, n, rows, index, at, c, lane, own, value)
        value += _finish(n, lane)
        for j in range(len(ks)):
            _derivatives(n, ks[j], lane, own[j])
        for i in range(n):
            r = start + i
            h = rows.count_row[r]
            p = 0 if shared else row_product[r]
            by_shape += lane[BY_A + i]
            by_customer[row_customer[r]] += lane[BY_C + i]
            by_product[row_product[r]] += lane[BY_C + i]
            by_kept[h] += 1.0
            by_lapse[h] += lane[BY_LAPSE + i]
            for j in range(len(ks)):
                by_gamma[h, j] += own[j, DEAD + i]
                by_weight[p, j] += own[j, DEAD + i]
    return Gradient(
        value, by_shape, by_customer, by_product, by_gamma, by_weight, by_kept, by_lapse
    )


@side_by_side
def pair_likelihoods(rows: PairRows, index: tuple[Ints, Ints], at: CollapsedParameters) -> Floats:
    """Log likelihood of each of ``rows``, [pairs]; ``index`` as above."""
    c = np.exp(at.customer), np.exp(at.product)
    lane, own = np.zeros(LANE_NUMBERS), np.zeros((len(rows.regularities), OWN_NUMBERS))
    lane[SHAPE : SHAPE + BLOCK] = at.shape
    value = np.empty(len(rows.survived))
    for start in range(0, len(value), BLOCK):
        n = min(BLOCK, len(value) - start)
        _densities(start, n, rows, index, at, c, lane, own, 0.0)
        for i in range(n):
            kept = at.log_kept[rows.count_row[start + i]]
            value[start + i] = log(lane[SCALE + i]) + lane[TOP + i] + kept
    return value
