"""Pairs: when the next order comes, pooled with what boosted trees on pairs expect.

The trees (``models/parts/pair_trees.py``) see more of a pair's past than the hazard's columns do.
The pool is the mean of both log odds of an order within four weeks,

    logit P = ½ logit P_paths + ½ (logit P_trees + base),

and all hazards until the pair's next order are moved by the one factor that makes it so: whole
paths are drawn from what is pooled. Orders after the next one are the paths' own: four weeks tell
little of how often those order who do in every four weeks.

base keeps the level: over all pairs on the day of the fit, as many order within four weeks as by
the paths alone. The trees saw other weeks, and know of no season.

Source: Bates & Granger (1969), doi:10.1057/jors.1969.103, for pooling; Satopää et al. (2014),
doi:10.1016/j.ijforecast.2013.09.009, for means of log odds.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from models.parts.kernels.weekly_states import LEAST_P, POOL_WEEKS, Others
from models.parts.pair_trees import ROWS, HistoryRows, columns_of, grow_by_week
from models.parts.rhythm.boosting import Trees, some_products
from models.parts.trees import FEWEST_ROWS, answer
from toolkit.data.tables import Floats, Patterns

MARK_DAYS = (28, 56, 84, 112)
"""Trees grow from pairs as they were so many days before."""
WEIGHT = 0.5
"""Of the trees, in the mean of log odds."""
LEVEL_PAIRS = 20_000
"""About so many pairs, all those of some products, tell the level."""
MOST_MOVED = 50.0


def grow_pair_trees(patterns: Patterns, own: Callable[[Patterns], Floats], seed: int) -> Trees:
    """Trees for an order within ``POOL_WEEKS``: none where too little happened to learn from.

    ``own``: what the paths say of pairs, P(order within ``POOL_WEEKS``).
    """
    rows = HistoryRows.of(patterns, MARK_DAYS, POOL_WEEKS, ROWS, seed)
    ordered = rows.orders.sum(axis=1) > 0
    if len(ordered) < FEWEST_ROWS or ordered.all() or not ordered.any():
        return Trees(np.zeros(0, dtype=np.uint8), np.zeros(1))
    text = grow_by_week(rows, POOL_WEEKS, seed)
    some = some_products(patterns, 0, LEVEL_PAIRS, np.random.default_rng(seed))
    of_trees = answer(text, columns_of(some), raw=True)
    return Trees(text, np.array([_level_kept(own(some), of_trees)]))


def _level_kept(own: Floats, log_odds: Floats) -> float:
    """What to add to ``log_odds`` so that the pool's probabilities add up to those of ``own``."""
    p = np.clip(own, LEAST_P, 1.0 - LEAST_P)

    def excess(base: float) -> float:
        pooled = (1.0 - WEIGHT) * logit(p) + WEIGHT * (log_odds + base)
        return float(np.sum(expit(pooled) - p))

    return float(brentq(excess, -MOST_MOVED, MOST_MOVED))


def others(patterns: Patterns, trees: Trees | None) -> Others:
    """What the trees say of every pair; nothing where there are none."""
    if trees is None or not len(trees.text):
        return Others(np.zeros(len(patterns)), 0.0)
    log_odds = answer(trees.text, columns_of(patterns), raw=True) + trees.base
    return Others(log_odds, WEIGHT)
