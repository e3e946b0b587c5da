"""The work of the compiled path kernel in plain NumPy: the same model, vectorised over draws."""

import numpy as np
from scipy.special import betainc, betaincinv

from models.pair_conjugate import MODEL
from toolkit.data.tables import DAYS_PER_WEEK, Patterns

PAIRS_AT_ONCE = 500


def simulate(
    patterns: Patterns, weeks: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weekly orders and quantities summed over all pairs, [weeks, draws] each."""
    rng = np.random.default_rng(seed)
    totals = np.zeros((2, weeks, draws))
    for start in range(0, len(patterns), PAIRS_AT_ONCE):
        rows = np.arange(len(patterns))
        part = patterns.select((rows >= start) & (rows < start + PAIRS_AT_ONCE))
        _add_part(part, totals, rng)
    return totals[0], totals[1]


def _add_part(patterns: Patterns, totals: np.ndarray, rng: np.random.Generator) -> None:
    _, weeks, draws = totals.shape
    posterior, horizon = MODEL.outlook(patterns).posterior, DAYS_PER_WEEK * weeks
    pair = np.repeat(np.arange(len(patterns)), draws)
    draw = np.tile(np.arange(draws), len(patterns))
    component = (rng.random(len(pair))[:, None] > posterior.weights.cumsum(axis=1)[pair]).sum(
        axis=1
    )
    k = posterior.k[np.minimum(component, len(posterior.k) - 1)]
    component = np.minimum(component, len(posterior.k) - 1)
    A, B = posterior.A[pair, component], posterior.B[pair, component]
    survived = posterior.survived[pair]
    rate, x = _outlasting(A, B, k, survived, rng)
    day = np.maximum(1, np.floor(x + 0.5)) - posterior.open_days[pair]
    offset, sizes = patterns.event_offset, patterns.events.quantity
    while (alive := day < horizon).any():
        pair, draw, day, k, rate = (v[alive] for v in (pair, draw, day, k, rate))
        count = offset[pair + 1] - offset[pair]
        size = sizes[offset[pair] + (rng.random(len(pair)) * count).astype(int)]
        week = day.astype(int) // DAYS_PER_WEEK
        np.add.at(totals[0], (week, draw), 1.0)
        np.add.at(totals[1], (week, draw), size)
        day = day + np.maximum(1, np.floor(rng.gamma(k, 1 / (k * rate)) + 0.5))


def _outlasting(A, B, k, survived, rng) -> tuple[np.ndarray, np.ndarray]:
    """Rates and next intervals longer than ``survived``, by inverting the beta distribution."""
    z0 = B / (B + k * survived)
    z = betaincinv(A, k, rng.random(len(A)) * betainc(A, k, z0))
    x = B / k * (1 / np.maximum(z, 1e-300) - 1)
    return rng.gamma(A + k, 1 / (B + k * x)), x
