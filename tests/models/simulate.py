"""Histories from a known population, in continuous time: what fits have to recover."""

from dataclasses import dataclass

import numpy as np

from models.parts.gamma.data import FitData
from models.parts.kernels.collapsed import PairRows

KS = np.array([1, 2, 4, 8, 16, 32])


@dataclass(frozen=True)
class Truth:
    """Population parameters, named as the model names them."""

    shape: float
    log_typical: float
    customer_scale: float
    product_scale: float
    regularity: np.ndarray
    arrival_shape: float
    arrival_days: float
    lapse: float = 0.0
    lapse_concentration: float = 1.0
    tilt_scale: float = 0.0


def simulate(truth, customers, products, pairs, days, rng):
    """``pairs`` histories of at most ``days`` days, as a fit takes them, and the effects.

    Every pair starts with an order, uniformly within the days; the last interval is censored.
    """
    cells = rng.choice(customers * products, pairs, replace=False)
    cells.sort()
    product, customer = np.divmod(cells, customers)
    u = rng.normal(0, truth.customer_scale, customers)
    v = rng.normal(0, truth.product_scale, products)
    tilt = rng.normal(0, truth.tilt_scale, products)
    doublings = np.log2(KS) - np.log2(KS).mean()
    weights = truth.regularity * np.exp(tilt[:, None] * doublings)
    weights /= weights.sum(axis=1, keepdims=True)
    mu = np.exp(truth.log_typical + u[customer] + v[product])
    rate = rng.gamma(truth.shape, 1 / (truth.shape * mu))
    k = np.array([rng.choice(KS, p=weights[j]) for j in product])
    alpha = truth.lapse * truth.lapse_concentration
    p = rng.beta(alpha, truth.lapse_concentration - alpha, pairs) if alpha else np.zeros(pairs)
    m, S, L, T = np.zeros((4, pairs))
    for i, exposure in enumerate(rng.uniform(1, days, pairs)):
        while True:
            lapsed = rng.random() < p[i]
            interval = np.inf if lapsed else rng.gamma(k[i], 1 / (k[i] * rate[i]))
            if S[i] + interval > exposure:
                break
            m[i] += 1
            S[i] += interval
            L[i] += np.log(interval)
        T[i] = exposure - S[i]
    arrival_days = np.full(products, 180.0)
    arrived = rng.poisson(
        rng.gamma(truth.arrival_shape, 1 / (truth.arrival_shape * truth.arrival_days), products)
        * arrival_days
    ).astype(float)
    rows = PairRows.of((m, S, L, T), KS)
    data = FitData(
        rows, customer, product, np.arange(customers), np.arange(products), arrived, arrival_days
    )
    return data, {"customer": u, "product": v, "tilt": tilt}
