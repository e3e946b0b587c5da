"""Predictive checks of ``rhythm``, see ``checks.py``. Only fitting imports this.

What the fitted rows did in their windows is made again, from what was known of each before. The
coefficients come from the prior or the posterior; frailties, lapses, the windows' levels and the
products' shocks are drawn afresh.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.checks import POSTERIOR_DRAWS, PRIOR_DRAWS, Replications, Statistics
from models.parts.kernels.weekly import (
    HORIZON_WEEKS,
    MAX_LOG_EXTRA,
    MAX_LOG_HAZARD,
    MIN_LOG_HAZARD,
    NODE,
    NODE_WEIGHT,
)
from models.parts.rhythm.activity import COLUMNS, OWN_ORDERS, column
from models.parts.rhythm.windows import WindowData
from toolkit.data.tables import Floats

FEW, MANY = 0.5, 2.5
"""Repeat orders before a window, faded: a row has few, some between them, or many."""
EXPECTED = 5.0
"""So many order weeks have to be expected of a product in a window for it to be looked at."""

type Draws = dict[str, NDArray[Any]]
"""Of the parameters, by name, [draws, …]."""
type Made = tuple[NDArray[np.bool_], Floats]
"""Weeks with an order, [rows, weeks], and orders beyond the first of each, [rows]."""


def predictive_checks(
    data: WindowData,
    prior: Draws,
    posterior: Draws,
    rng: np.random.Generator,
) -> Replications:
    """What the rows of ``data`` did, and what draws of ``prior`` and ``posterior`` make them do."""
    from_prior, from_posterior = (
        [replicate(data, draw, rng) for draw in _spread(draws, count)]
        for draws, count in ((prior, PRIOR_DRAWS), (posterior, POSTERIOR_DRAWS))
    )
    expected = np.mean([_by_product(data, ordered) for ordered, _ in from_posterior], axis=0)
    return Replications.of(
        statistics(data, (data.ordered, data.extra), expected),
        [statistics(data, made, expected) for made in from_prior],
        [statistics(data, made, expected) for made in from_posterior],
    )


def replicate(data: WindowData, draw: Draws, rng: np.random.Generator) -> Made:
    """What the rows do under one draw of the parameters."""
    level = rng.normal(0.0, draw["level_sd"], data.window.max() + 1)
    shock = draw["product_shock"] * rng.standard_normal(data.product_window.max() + 1)
    return order_weeks(data, draw, level[data.window] + shock[data.product_window], rng)


def order_weeks(data: WindowData, draw: Draws, shock: Floats, rng: np.random.Generator) -> Made:
    """What the rows do under one draw of the coefficients and ``shock`` [rows]; see ``weekly.py``.

    ``draw``: a constant and slopes for each of its ``blocks``, ``log_dip_length`` and ``decline``.
    """

    def linear(block: str) -> Floats:
        constant, slopes = draw[block][0], draw[block][1:]
        sums: Floats = constant + data.values[:, column(data.blocks[block])] @ slopes
        return sums

    rows = len(data.elapsed)
    log_kinds = np.exp(linear("frailty"))[:, None] * NODE
    kinds = np.exp(log_kinds - log_kinds.max(axis=1, keepdims=True))
    kinds /= (kinds @ NODE_WEIGHT)[:, None]
    frailty = kinds[np.arange(rows), rng.choice(len(NODE), rows, p=NODE_WEIGHT)]
    alive = rng.logistic(size=rows) < linear("alive")
    log_dip, rate, length = linear("dip"), linear("rate") + shock, np.exp(draw["log_dip_length"])
    ordered, since = np.zeros((rows, HORIZON_WEEKS), dtype=bool), data.elapsed + 0.5
    for week in range(HORIZON_WEEKS):
        dip = np.exp(log_dip - since * data.clock / length)
        log_hazard = rate + data.log_season[data.window, week] - draw["decline"] * week - dip
        hazard = np.exp(np.clip(log_hazard, MIN_LOG_HAZARD, MAX_LOG_HAZARD))
        ordered[:, week] = alive & (rng.standard_exponential(rows) < frailty * hazard)
        since = np.where(ordered[:, week], 1.0, since + 1.0)
    log_extra = np.minimum(linear("extra"), MAX_LOG_EXTRA)
    return ordered, rng.poisson(ordered.sum(axis=1) * np.exp(log_extra)).astype(float)


def statistics(data: WindowData, made: Made, expected: Floats) -> Statistics:
    """What is compared, by name; NaN where nothing defines it.

    Shares of all rows by their order weeks in the window; shares of rows with an order among those
    with few, some and many orders before; the mean week of the first order, 1 the window's first;
    from one order week to the next, the share of 1 and the mean; orders per order week; the
    deviation of the log of each product's order weeks over those ``expected`` [products'
    windows].
    """
    ordered, extra = made
    weeks = ordered.sum(axis=1)
    before = np.exp(data.values[:, COLUMNS.index("orders")]) - OWN_ORDERS
    row, week = np.nonzero(ordered)
    gap = np.diff(week)[np.diff(row) == 0]
    counted = expected >= EXPECTED
    off = np.log((_by_product(data, ordered)[counted] + 0.5) / (expected[counted] + 0.5))
    return {
        "pairs: no order": _mean(weeks == 0),
        "pairs: 1 order week": _mean(weeks == 1),
        "pairs: 2 or 3": _mean((weeks == 2) | (weeks == 3)),
        "pairs: 4 or more": _mean(weeks >= 4),
        "ordered: few before": _mean(weeks[before < FEW] > 0),
        "ordered: some before": _mean(weeks[(before >= FEW) & (before < MANY)] > 0),
        "ordered: many before": _mean(weeks[before >= MANY] > 0),
        "first order: week": _mean(ordered.argmax(axis=1)[weeks > 0] + 1),
        "gap: 1 week": _mean(gap == 1),
        "gap: mean weeks": _mean(gap),
        "orders per order week": 1.0 + float(extra.sum()) / len(week) if len(week) else np.nan,
        "product / expected": float(off.std()) if len(off) else np.nan,
    }


def _by_product(data: WindowData, ordered: NDArray[np.bool_]) -> Floats:
    """Order weeks of each product in each window."""
    weeks = ordered.sum(axis=1).astype(float)
    of_product: Floats = np.bincount(data.product_window, weeks).astype(float)
    return of_product


def _spread(draws: Draws, count: int) -> list[Draws]:
    """``count`` of the draws, evenly spaced; some of them twice where there are fewer."""
    drawn = len(draws["decline"])
    rows = np.arange(count) * drawn // count
    return [{name: array[row] for name, array in draws.items()} for row in rows]


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else np.nan
