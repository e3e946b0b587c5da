"""Boosted trees on product-weeks: rows of products, weeks and distances, and what they expect."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from models.parts.special_days import SpecialDays
from models.parts.trees import TreeText, answer, grow
from models.parts.weekly_demand import WeeklyDemand
from toolkit.data.tables import DAYS_PER_WEEK, QUANTILES, Floats, Ints

HORIZON_WEEKS = 12
SEEN_WEEKS = 65
"""Columns look back over so many weeks: a year, and its quarter."""
ORIGIN_STEP_WEEKS, ORIGIN_SPAN_WEEKS = 2, 60
TRAINED_WEEKS = SEEN_WEEKS + ORIGIN_SPAN_WEEKS
FEWEST_WEEKS = 6
LAGS = (1, 2, 3, 4, 5, 6, 8, 13)
MEANS = (2, 4, 8, 13, 26, 52)
SCALE_WEEKS = 26
DISTANCES = 4
"""Of each product and origin so many of the twelve distances are trained on, at random."""
ROWS = 120_000
WEIGHT_POWER = 0.75
"""Rows weigh by that power of their scale: 1 is the loss of the quantities, 0 that of shares."""
ROUNDS = 150
SETTINGS: Mapping[str, Any] = {"feature_fraction": 0.6}
MEAN: Mapping[str, Any] = {"objective": "tweedie", "tweedie_variance_power": 1.3}
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "mean": MEAN,
    **{f"quantile_{level}": {"objective": "quantile", "alpha": level} for level in QUANTILES},
}
"""What trees are grown for, by name."""
YEAR_DAYS = 365.2425


@dataclass(frozen=True, slots=True)
class WeekRows:
    """Product-weeks seen from an origin before them."""

    columns: Floats  # [rows, columns], quantities relative to ``scale``
    scale: Floats  # [rows], the product's recent weekly mean


@dataclass(frozen=True, slots=True)
class Training:
    """Rows and what was then ordered, relative to their scale."""

    rows: WeekRows
    label: Floats  # [rows]

    @classmethod
    def of(
        cls, past: WeeklyDemand, special: SpecialDays, as_of_date: date, most: int, seed: int
    ) -> "Training":
        """Every product that was known for some weeks, from every second week back.

        ``past`` has ``TRAINED_WEEKS`` weeks.
        """
        rng = np.random.default_rng(seed)
        origins = np.arange(1, ORIGIN_SPAN_WEEKS + 1, ORIGIN_STEP_WEEKS)
        parts = [_drawn(past, special, int(origin), as_of_date, rng) for origin in origins]
        columns, scale, label = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = np.arange(len(label))
        if len(kept) > most:
            kept = np.sort(rng.choice(len(kept), most, replace=False))
        return cls(WeekRows(columns[kept], scale[kept]), label[kept] / scale[kept])


def _drawn(
    past: WeeklyDemand,
    special: SpecialDays,
    origin: int,
    as_of_date: date,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Columns, scales and quantities of weeks drawn from those that an origin sees ahead."""
    known = np.flatnonzero(past.weeks_known >= origin + FEWEST_WEEKS)
    distances = np.arange(1, min(HORIZON_WEEKS, origin) + 1)
    ahead = np.sort(
        np.argsort(rng.random((len(known), len(distances))), axis=1)[:, :DISTANCES], axis=1
    )
    product, distance = np.repeat(known, ahead.shape[1]), distances[ahead.ravel()]
    rows = rows_of(past, special, origin, as_of_date, product, distance)
    return rows.columns, rows.scale, past.quantity[product, distance - 1 - origin]


def rows_of(
    past: WeeklyDemand,
    special: SpecialDays,
    origin: int,
    as_of_date: date,
    product: Ints,
    distance: Ints,
) -> WeekRows:
    """Rows of ``product`` (its row) and week ``distance``, seen ``origin`` weeks before the date.

    Only weeks before the origin are looked at.
    """
    end = past.quantity.shape[1] - origin
    seen = slice(end - SEEN_WEEKS, end)
    quantity, orders = past.quantity[:, seen], past.orders[:, seen]
    age = past.weeks_known - origin
    unknown = np.arange(SEEN_WEEKS) < SEEN_WEEKS - age[:, None]
    quantity = np.where(unknown, np.nan, quantity)[product]
    orders = np.where(unknown, np.nan, orders)[product]
    weeks = np.clip(age, 1, SEEN_WEEKS).astype(float)[product]
    scale = _scale(quantity, weeks)
    start = as_of_date - timedelta(DAYS_PER_WEEK * origin)
    columns = {
        "distance": distance.astype(float),
        "week_of_year": ((start.timetuple().tm_yday + 7 * (distance - 1)) % YEAR_DAYS) / 7,
        "age": age[product].astype(float),
        "scale": np.log(scale),
        **{f"lag_{lag}": quantity[:, -lag] / scale for lag in LAGS},
        **{f"mean_{w}": _mean(quantity[:, -w:]) / scale for w in MEANS},
        **{f"orders_{w}": _mean(orders[:, -w:]) for w in MEANS},
        **{f"share_{w}": _mean((quantity[:, -w:] > 0).astype(float)) for w in (4, 13, 26, 52)},
        **_spreads(quantity, scale),
        **_year_ago(quantity, scale, distance),
        "silence": _silence(quantity),
        "size": _mean(quantity[:, -26:]) / np.maximum(_mean(orders[:, -26:]), 1 / 26) / scale,
    }
    ahead = start.toordinal() + DAYS_PER_WEEK * np.arange(HORIZON_WEEKS)
    of_days = special.by_group(ahead)[distance - 1]
    return WeekRows(np.column_stack([*columns.values(), of_days]), scale)


def _scale(quantity: Floats, weeks: Floats) -> Floats:
    """Mean of the last half year, held a little to that of all weeks; positive."""
    total = np.nansum(quantity, axis=1)
    recent = np.nansum(quantity[:, -SCALE_WEEKS:], axis=1)
    scale = (recent + total / weeks) / (np.minimum(weeks, SCALE_WEEKS) + 1.0)
    return np.where(scale > 0, scale, 1.0)


def _spreads(quantity: Floats, scale: Floats) -> dict[str, Floats]:
    """Extremes and deviations of the last half year and quarter."""
    columns = {}
    for weeks in (13, 26):
        recent = np.nan_to_num(quantity[:, -weeks:])
        columns[f"highest_{weeks}"] = recent.max(axis=1) / scale
        columns[f"deviation_{weeks}"] = recent.std(axis=1) / scale
        columns[f"median_{weeks}"] = np.median(recent, axis=1) / scale
    return columns


def _year_ago(quantity: Floats, scale: Floats, distance: Ints) -> dict[str, Floats]:
    """The same week and its neighbours a year before; NaN where that is not known."""
    same = SEEN_WEEKS - 52 + distance - 1
    rows = np.arange(len(quantity))
    near = np.stack([quantity[rows, np.minimum(same + d, SEEN_WEEKS - 1)] for d in (-1, 0, 1)], 1)
    return {"year_ago": near[:, 1] / scale, "near_year_ago": near.mean(axis=1) / scale}


def _silence(quantity: Floats) -> Floats:
    """Weeks since the last one with demand."""
    demanded = np.nan_to_num(quantity[:, ::-1]) > 0
    silent = np.where(demanded.any(axis=1), demanded.argmax(axis=1), SEEN_WEEKS)
    return silent.astype(float)


def _mean(weeks: Floats) -> Floats:
    """Mean of the weeks that are known, NaN without any, [rows]."""
    known = np.isfinite(weeks)
    count = known.sum(axis=1).astype(float)
    mean = np.full(len(weeks), np.nan)
    np.divide(np.nansum(weeks, axis=1), count, out=mean, where=count > 0)
    return mean


def train(training: Training, seed: int, cores: int) -> dict[str, TreeText]:
    """Trees for each of ``OBJECTIVES``, by name; ``cores`` of them are grown at a time."""
    columns = training.rows.columns
    weight = training.rows.scale**WEIGHT_POWER

    def grown(objective: Mapping[str, Any]) -> TreeText:
        return grow(columns, training.label, {**SETTINGS, **objective}, ROUNDS, seed, weight)

    with ThreadPoolExecutor(cores) as pool:
        return dict(zip(OBJECTIVES, pool.map(grown, OBJECTIVES.values()), strict=True))


def forecast(
    trees: Sequence[TreeText],
    past: WeeklyDemand,
    special: SpecialDays,
    as_of_date: date,
    weeks: int,
) -> list[Floats]:
    """What each of the ``trees`` says of the quantities, [products, weeks].

    Weeks beyond the twelfth are like the twelfth.
    """
    products = len(past.product_id)
    product = np.repeat(np.arange(products), weeks)
    distance = np.tile(np.minimum(np.arange(1, weeks + 1), HORIZON_WEEKS), products)
    rows = rows_of(past, special, 0, as_of_date, product, distance)
    return [
        (np.maximum(answer(one, rows.columns), 0.0) * rows.scale).reshape(products, weeks)
        for one in trees
    ]
