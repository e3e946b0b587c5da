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

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class PairRows:
    """What the likelihood needs to know of each pair's history: sufficient statistics."""

    count: Ints  # [pairs], row of its m in ``counts``
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


def collapsed_likelihood(
    rows: PairRows,
    index: tuple[Ints, Ints],
    shape: float,
    customer: Floats,
    product: Floats,
    log_gamma: Floats,
    log_weight: Floats,
    log_kept: Floats,
    lapse: Floats,
) -> Gradient:
    """Log likelihood of all ``rows`` and its gradient.

    ``index``: each pair's row of ``customer`` and of ``product``, two arrays [pairs]; ``shape``:
    a; ``customer`` [customers] and ``product`` [products] add up to log c, c = a μ in
    days; ``log_gamma`` [counts, regularities]: log Γ(a + k m) / Γ(a); ``log_weight`` [products or
    1, regularities]: log w_j; ``log_kept``, ``lapse`` [counts]: see the module's docstring.
    """
    gradient = (
        np.zeros(len(customer)),
        np.zeros(len(product)),
        np.zeros(log_gamma.shape),
        np.zeros(log_weight.shape),
        np.zeros(len(log_kept)),
        np.zeros(len(lapse)),
    )
    value, by_shape = add_up(
        index[0], index[1], rows.count, rows.interval_sum, rows.survived, rows.constant,
        rows.counts, rows.regularities, shape, customer, product, log_gamma, log_weight,
        log_kept, lapse, *gradient,
    )  # fmt: skip
    return Gradient(value, by_shape, *gradient)


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
def add_up(
    row_customer: Ints, row_product: Ints, row_count: Ints, row_sum: Floats, row_open: Floats,
    row_constant: Floats, counts: Floats, ks: Ints, shape: float, customer: Floats,
    product: Floats, log_gamma: Floats, log_weight: Floats, log_kept: Floats, lapse: Floats,
    by_customer: Floats, by_product: Floats, by_gamma: Floats, by_weight: Floats,
    by_kept: Floats, by_lapse: Floats,
) -> tuple[float, float]:  # fmt: skip
    """Log likelihood and derivative by a; adds the other derivatives to the ``by_`` arrays."""
    c_customer, c_product = np.exp(customer), np.exp(product)
    lane, own = np.zeros(LANE_NUMBERS), np.zeros((len(ks), OWN_NUMBERS))
    lane[SHAPE : SHAPE + BLOCK] = shape
    value = by_shape = 0.0
    shared = len(log_weight) == 1
    for start in range(0, len(row_sum), BLOCK):
        n = min(BLOCK, len(row_sum) - start)
        for i in range(n):
            r = start + i
            h = row_count[r]
            p = 0 if shared else row_product[r]
            lane[C + i] = c_customer[row_customer[r]] * c_product[row_product[r]]
            lane[LOG_C + i] = customer[row_customer[r]] + product[row_product[r]]
            lane[COUNT + i], lane[SUM + i], lane[OPEN + i] = counts[h], row_sum[r], row_open[r]
            lane[LAPSED + i] = lapse[h]
            value += log_kept[h]
            for j in range(len(ks)):
                own[j, DEAD + i] = row_constant[r, j] + log_gamma[h, j] + log_weight[p, j]
        lane[TOP : TOP + BLOCK] = -np.inf
        lane[SCALE:] = 0.0
        for j in range(len(ks)):
            condition(n, ks[j], lane, own[j])
            sum_terms(n, ks[j], own[j])
            log_densities(n, lane, own[j])
        for j in range(len(ks)):
            densities(n, lane, own[j])
        value += _finish(n, lane)
        for j in range(len(ks)):
            _derivatives(n, ks[j], lane, own[j])
        for i in range(n):
            r = start + i
            h = row_count[r]
            p = 0 if shared else row_product[r]
            by_shape += lane[BY_A + i]
            by_customer[row_customer[r]] += lane[BY_C + i]
            by_product[row_product[r]] += lane[BY_C + i]
            by_kept[h] += 1.0
            by_lapse[h] += lane[BY_LAPSE + i]
            for j in range(len(ks)):
                by_gamma[h, j] += own[j, DEAD + i]
                by_weight[p, j] += own[j, DEAD + i]
    return value, by_shape
