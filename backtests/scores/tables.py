"""Predictions against what happened: a row per pair, a row per product and week.

Only observed weeks are scored. What cannot be told yet is NaN: a count over the whole horizon
while part of it lies ahead, whether an interval held whose end was not reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.scores.actuals import Actuals
from backtests.scores.calibration import randomized_pit_draws, randomized_pit_weeks
from backtests.scores.history import KnownHistory, as_classes
from backtests.scores.metrics import (
    brier,
    crps_counts,
    crps_draws,
    crps_truncated,
    log_loss,
    poisson_deviance,
)
from toolkit.data.grouping import Grouping
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILE_NAMES,
    QUANTILES,
    Floats,
    Ints,
    PairPredictions,
    Predictions,
    ProductDraws,
    quantiles_of,
    tolerance_days,
)

type Mask = NDArray[np.bool_]

MONTH_WEEKS = 4
"""P(an order within 28 days) is scored as a yes-or-no forecast."""

DRAW = "draw_"
"""Columns of summed draws begin with it."""

NOT_FINITE = "the prediction is not finite"

INTERVALS = {"cover50": (0.25, 0.75), "cover80": (0.10, 0.90), "cover90": (0.05, 0.95)}


@dataclass(frozen=True, slots=True)
class Reality:
    """What predictions are held against: all pairs and products that were to be predicted."""

    actuals: Actuals
    history: KnownHistory
    u_pairs: Floats  # [pairs], in [0, 1): randomizes their PIT
    u_weeks: Floats  # [products, weeks]
    categories: Mapping[int, str] = field(default_factory=dict)  # none where there are none at all


def compare_pairs(predictions: Predictions, truth: Reality) -> tuple[pd.DataFrame, list[str]]:
    """The table of pairs, and which predictions were left out because they are no numbers."""
    patterns = predictions.patterns
    said = truth.history.rows_of(patterns.product_id, patterns.customer_id)
    finite = finite_pairs(predictions.pairs)
    rows = said[finite]
    table = score_pairs(
        rows_of(predictions.pairs, finite),
        truth.actuals.of_pairs(rows),
        truth.history.select(rows),
        truth.u_pairs[rows],
    )
    broken = zip(patterns.customer_id[~finite], patterns.product_id[~finite], strict=True)
    return table, [f"customer {c} of product {p}: {NOT_FINITE}" for c, p in broken]


def compare_products(predictions: Predictions, truth: Reality) -> tuple[pd.DataFrame, list[str]]:
    """The table of products and weeks, and which predictions were left out."""
    products = predictions.products
    finite = _finite_products(products)
    rows = np.searchsorted(truth.actuals.product_id, products.product_id[finite])
    orders_before, product_class = truth.history.by_product()
    table = score_product_weeks(
        rows_of(products, finite),
        truth.actuals.quantity[rows],
        orders_before[rows],
        product_class[rows],
        truth.u_weeks[rows],
    )
    return table, [f"product {p}: {NOT_FINITE}" for p in products.product_id[~finite]]


def sum_products(predictions: Predictions, truth: Reality) -> pd.DataFrame:
    """Products together, a row per observed week: units ordered, expected, and of each draw.

    Where there are categories, a row per category and week, with a column ``category``: NA for the
    products without one. Draws belong together across products and shards, and can be summed.
    Products whose predictions are no numbers count on neither side.
    """
    product_id = predictions.products.product_id
    finite = _finite_products(predictions.products)
    if not truth.categories:
        return _summed(predictions, truth, finite)
    group = Grouping.of(product_id[finite], truth.categories)
    parts = []
    for place, name in enumerate(group.names or ((None,) if finite.any() else ())):
        chosen = finite.copy()
        chosen[finite] = group.code == place
        parts.append(_named(_summed(predictions, truth, chosen), name))
    return pd.concat(parts) if parts else _named(_summed(predictions, truth, finite), None)[:0]


def _named(sums: pd.DataFrame, category: str | None) -> pd.DataFrame:
    return sums.assign(category=pd.array([category] * len(sums), dtype="string"))


def _summed(predictions: Predictions, truth: Reality, chosen: Mask) -> pd.DataFrame:
    products, weeks = predictions.products, truth.actuals.weeks
    rows = np.searchsorted(truth.actuals.product_id, products.product_id[chosen])
    draws = products.quantity[chosen, :weeks].sum(axis=0, dtype=float)
    return pd.DataFrame(
        {
            "week": np.arange(1, weeks + 1, dtype=np.int16),
            "quantity": truth.actuals.quantity[rows].sum(axis=0),
            "expected_quantity": products.expected_quantity[chosen, :weeks].sum(axis=0),
            **{f"{DRAW}{i}": draw for i, draw in enumerate(draws.T)},
        }
    )


def score_totals(sums: pd.DataFrame) -> pd.DataFrame:
    """Sums of ``sum_products`` over all shards, scored row by row; PITs lie midway in ties."""
    draws = sums.filter(regex=f"^{DRAW}").to_numpy(dtype=float)
    actual = sums["quantity"].to_numpy(dtype=float)
    quantiles = quantiles_of(draws, axis=1)
    return sums[["week", "quantity", "expected_quantity"]].assign(
        **dict(zip(QUANTILE_NAMES, quantiles, strict=True)),
        pit=randomized_pit_draws(draws, actual, np.full(len(actual), 0.5)),
    )


def finite_pairs(pairs: PairPredictions) -> Mask:
    """Pairs of which the version says when and how often they order, [pairs]."""
    said = np.concatenate([pairs.p_order_by_week, pairs.expected_orders], axis=1)
    finite: Mask = np.isfinite(said).all(axis=1)
    return finite


def _finite_products(products: ProductDraws) -> Mask:
    """Products of which all expectations and draws are numbers, [products]."""
    expected, draws = np.isfinite(products.expected_quantity), np.isfinite(products.quantity)
    return cast("Mask", expected.all(axis=1) & draws.all(axis=(1, 2)))


def rows_of[Table: (PairPredictions, ProductDraws)](table: Table, keep: Mask) -> Table:
    """Some rows of a table of predictions."""
    return type(table)(*(getattr(table, column.name)[keep] for column in fields(table)))


def score_pairs(
    pairs: PairPredictions, actuals: Actuals, history: KnownHistory, u: Floats
) -> pd.DataFrame:
    """One row per pair; ``u`` [pairs] in [0, 1) randomizes the PIT. Floats in single precision."""
    columns = {
        "customer_id": history.customer_id,
        "product_id": history.product_id,
        "order_count": history.order_count.astype(np.int32),
        "customer_age_days": history.customer_age_days.astype(np.int32),
        "product_orders_before": history.product_orders_before.astype(np.int32),
        "product_class": as_classes(history.product_class),
        "p_alive": pairs.p_alive,
        "confidence": pairs.confidence,
        "expected_interval": pairs.expected_interval,
        **_next_order(pairs, actuals, u),
        **_orders(pairs, actuals),
        **_month(pairs, actuals),
        "hit": hits(pairs, actuals),
    }
    return _single(pd.DataFrame(columns))


def score_product_weeks(
    products: ProductDraws,
    quantity: Floats,
    orders_before: Ints,
    product_class: NDArray[np.int8],
    u: Floats,
) -> pd.DataFrame:
    """One row per product and observed week.

    ``quantity`` [products, weeks] is what was ordered in the observed weeks, ``u`` [products,
    weeks] in [0, 1) randomizes the PIT. Floats in single precision.
    """
    count, weeks = quantity.shape
    draws = products.quantity[:, :weeks].reshape(count * weeks, -1).astype(float)
    actual = quantity.ravel()
    quantiles = quantiles_of(draws, axis=1)
    columns = {
        "product_id": np.repeat(products.product_id, weeks),
        "week": np.tile(np.arange(1, weeks + 1, dtype=np.int16), count),
        "product_orders_before": np.repeat(orders_before.astype(np.int32), weeks),
        "product_class": as_classes(np.repeat(product_class, weeks)),
        "quantity": actual,
        "expected_quantity": products.expected_quantity[:, :weeks].ravel(),
        **dict(zip(QUANTILE_NAMES, quantiles, strict=True)),
        "pit": randomized_pit_draws(draws, actual, u.ravel()),
        "crps": crps_draws(draws, actual),
    }
    return _single(pd.DataFrame(columns))


def _next_order(
    pairs: PairPredictions, actuals: Actuals, u: Floats
) -> dict[str, Floats | NDArray[np.int16]]:
    p_by_week, week = pairs.p_order_by_week[:, : actuals.weeks], actuals.next_week()
    quantiles = pairs.next_order_quantiles
    return {
        "next_week": week.astype(np.int16),
        "next_day": actuals.next_day,
        "next_median_day": pairs.next_order_day,
        **{f"p_order_w{w + 1}": p_by_week[:, w] for w in range(actuals.weeks)},
        **dict(zip(QUANTILE_NAMES, quantiles.T, strict=True)),
        "crps_next": crps_truncated(p_by_week, week),
        "pit_next": randomized_pit_weeks(p_by_week, week, u),
        **{
            name: covered(_quantile(pairs, low), _quantile(pairs, high), actuals)
            for name, (low, high) in INTERVALS.items()
        },
    }


def _orders(pairs: PairPredictions, actuals: Actuals) -> dict[str, Floats | NDArray[np.int16]]:
    """Orders over the observed weeks; what counts' chances tell is of the whole horizon, or NaN."""
    expected = pairs.expected_orders[:, : actuals.weeks].sum(axis=1)
    orders = actuals.orders_by_week.sum(axis=1)
    whole = actuals.weeks == pairs.expected_orders.shape[1]
    unknown = np.full(len(orders), np.nan)
    return {
        "expected_orders": expected,
        "orders": orders.astype(np.int16),
        "crps_orders": crps_counts(pairs.order_count_p, orders) if whole else unknown,
        "poisson_deviance": poisson_deviance(expected, orders),
        "absolute_error": np.abs(pairs.median_orders - orders) if whole else unknown,
    }


def _month(pairs: PairPredictions, actuals: Actuals) -> dict[str, Floats]:
    """An order within 28 days: yes or no, NaN while they are not over."""
    names = ("p_order_28d", "ordered_28d", "log_loss", "brier")
    if actuals.weeks < MONTH_WEEKS:
        return dict.fromkeys(names, np.full(len(pairs.p_alive), np.nan))
    p = pairs.p_order_by_week[:, MONTH_WEEKS - 1]
    ordered = (actuals.next_week() < MONTH_WEEKS).astype(float)
    return dict(zip(names, (p, ordered, log_loss(p, ordered), brier(p, ordered)), strict=True))


def covered(lower: Floats, upper: Floats, actuals: Actuals) -> Floats:
    """1 where the next order fell from ``lower`` to ``upper`` (days), 0 where not, [pairs].

    NaN where the days up to ``upper`` were not all observed, even if an order came: which rows
    count must not depend on what happened, or early orders would count more than late ones.
    """
    inside = (lower <= actuals.next_day) & (actuals.next_day <= upper)
    decided = np.floor(upper) <= actuals.days - 1
    return np.where(decided, inside.astype(float), np.nan)


def hits(pairs: PairPredictions, actuals: Actuals) -> Floats:
    """1 where the next order came within the tolerance of its predicted day, else 0, [pairs].

    NaN where the days of the tolerance were not all observed, or no day was predicted.
    """
    tolerance = tolerance_days(pairs.expected_interval)
    predicted = pairs.next_order_day
    hit = np.abs(actuals.next_day - predicted) <= tolerance
    decided = np.floor(predicted + tolerance) <= DAYS_PER_WEEK * actuals.weeks - 1
    return np.where(decided, hit.astype(float), np.nan)


def _quantile(pairs: PairPredictions, level: float) -> Floats:
    column: Floats = pairs.next_order_quantiles[:, QUANTILES.index(level)]
    return column


def _single(frame: pd.DataFrame) -> pd.DataFrame:
    """Double precision to single."""
    doubles = frame.select_dtypes("float64").columns
    return frame.astype(dict.fromkeys(doubles, np.float32))
