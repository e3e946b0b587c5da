"""What is scored, and from which columns of a run's tables.

Most scores are a ratio of two sums over rows, so that any resample of rows is scored from sums
alone. A new score is one entry of ``SCORES``.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from backtests.scores import calibration, metrics
from backtests.scores.metrics import pinball
from backtests.scores.score import (
    CATEGORY,
    CONFIDENCE,
    NEXT_ORDER,
    PAIR,
    PRODUCT_WEEK,
    TOTAL,
    Better,
    Parts,
    Score,
    column,
)
from toolkit.data.tables import QUANTILE_NAMES, QUANTILES, Floats
from toolkit.errors import ArgumentError


def _ratio(
    name: str,
    level: str,
    title: str,
    columns: tuple[str, ...],
    parts: Callable[[pd.DataFrame], Parts],
    **how: Any,  # noqa: ANN401 the fields of a score
) -> Score:
    """Σ numerator / Σ denominator; NaN where the denominator is 0."""

    def value(frame: pd.DataFrame) -> float:
        numerator, denominator = parts(frame)
        total = float(denominator.sum())
        return float(numerator.sum()) / total if total else math.nan

    return Score(name, level, title, columns, value, parts=parts, **how)


def _mean(name: str, level: str, title: str, **how: Any) -> Score:  # noqa: ANN401 as above
    """The mean of the column of that name."""
    return _ratio(
        name, level, title, (name,), lambda frame: (column(frame, name), np.ones(len(frame))), **how
    )


def _metric(
    name: str,
    level: str,
    title: str,
    columns: tuple[str, ...],
    metric: Callable[..., float],
    better: Better = "smaller",
    **how: Any,  # noqa: ANN401 as above
) -> Score:
    """A metric of some columns, in the order of its arguments."""

    def value(frame: pd.DataFrame) -> float:
        return metric(*(column(frame, name) for name in columns))

    return Score(name, level, title, columns, value, better, **how)


def _inside(
    level: str, kind: str, title: str, columns: Mapping[str, tuple[str, ...]],
    metric: Callable[..., float],
) -> Iterator[Score]:  # fmt: skip
    """The share inside the central 50, 80 and 90 %."""
    for share, names in columns.items():
        part = int(share) / 100
        yield _metric(
            f"{kind}_{share}", level, f"{title} {share} %", names, partial(metric, part), "target",
            target=part, percent=True,
        )  # fmt: skip


def _quantile_loss(frame: pd.DataFrame) -> Parts:
    quantity = column(frame, "quantity")
    quantiles = frame[list(QUANTILE_NAMES)].to_numpy(dtype=np.float64)
    return 2 * pinball(quantiles, QUANTILES, quantity).mean(axis=1), quantity


def _median_error(frame: pd.DataFrame) -> Parts:
    quantity = column(frame, "quantity")
    return np.abs(column(frame, "q50") - quantity), quantity


def _horizon_error(frame: pd.DataFrame) -> Parts:
    """|Σ expected − Σ actual| over a product's weeks, in the first row of each."""
    error = (frame["expected_quantity"] - frame["quantity"]).astype(np.float64)
    keys = [name for name in ("as_of_date", "product_id") if name in frame]
    groups = error.groupby([frame[key] for key in keys], sort=False)
    first = ~frame.duplicated(keys).to_numpy()
    return np.abs(groups.transform("sum").to_numpy()) * first, column(frame, "quantity")


def _confidence(frame: pd.DataFrame) -> Parts:
    return (column(frame, "confidence") - column(frame, "hit")) ** 2, np.ones(len(frame))


def _by_pit(share: float, pit: Floats) -> float:
    return calibration.coverage(pit, share)


def _in_interval(_: float, low: Floats, high: Floats, quantity: Floats) -> float:
    return float(calibration.inside(low, high, quantity).mean())


_MONTH, _HIT = ("p_order_28d", "ordered_28d"), ("confidence", "hit")
_ENDS = {"50": ("q25", "q75"), "80": ("q10", "q90"), "90": ("q05", "q95")}


def _of_sums(level: str, what: str) -> Iterator[Score]:
    """Scores of products together: too few rows to be compared by bootstrap."""
    yield _metric(
        "wape_median", level, f"WAPE of the weekly median of {what}", ("q50", "quantity"),
        lambda median, units: float(np.abs(median - units).sum() / max(units.sum(), 1e-9)),
    )  # fmt: skip
    yield _metric(
        "bias_quantity", level, f"bias of {what}'s mean", ("expected_quantity", "quantity"),
        metrics.bias, "target", target=0.0, percent=True,
    )  # fmt: skip
    yield from _inside(
        level, "coverage", f"PIT of {what} in the central", dict.fromkeys(_ENDS, ("pit",)), _by_pit
    )
    yield _metric(
        "pit_ks", level, f"PIT's distance from uniform (KS), {what}", ("pit",),
        calibration.ks_uniform,
    )  # fmt: skip


def _loss_of_sums(quantity: Floats, *quantiles: Floats) -> float:
    loss = 2 * pinball(np.stack(quantiles, axis=1), QUANTILES, quantity).mean(axis=1)
    total = float(quantity.sum())
    return float(loss.sum()) / total if total else math.nan


SCORES: tuple[Score, ...] = (
    _ratio(
        "weighted_quantile_loss", PRODUCT_WEEK, "weighted quantile loss of weeks",
        (*QUANTILE_NAMES, "quantity"), _quantile_loss, headline=True, sliced=True,
    ),
    _ratio(
        "wape_median", PRODUCT_WEEK, "WAPE of the weekly median", ("q50", "quantity"),
        _median_error, headline=True,
    ),
    _ratio(
        "wape_horizon", PRODUCT_WEEK, "WAPE of the horizon's mean",
        ("expected_quantity", "quantity", "product_id"), _horizon_error, headline=True,
    ),
    _ratio(
        "crps_quantity", PRODUCT_WEEK, "CRPS of weeks over demand", ("crps", "quantity"),
        lambda frame: (column(frame, "crps"), column(frame, "quantity")),
    ),
    _metric(
        "bias_quantity", PRODUCT_WEEK, "bias of the mean", ("expected_quantity", "quantity"),
        metrics.bias, "target", target=0.0, percent=True,
    ),
    *_inside(
        PRODUCT_WEEK, "coverage", "PIT in the central", dict.fromkeys(_ENDS, ("pit",)), _by_pit
    ),
    *_inside(
        PRODUCT_WEEK, "interval", "units in the",
        {share: (*ends, "quantity") for share, ends in _ENDS.items()}, _in_interval,
    ),
    _metric(
        "pit_ks", PRODUCT_WEEK, "PIT's distance from uniform (KS)", ("pit",), calibration.ks_uniform
    ),
    *_of_sums(TOTAL, "the total"),
    _metric(
        "weighted_quantile_loss", CATEGORY, "weighted quantile loss of weeks of a category",
        ("quantity", *QUANTILE_NAMES), _loss_of_sums,
    ),
    *_of_sums(CATEGORY, "a category"),
    _mean("poisson_deviance", PAIR, "Poisson deviance of order counts", headline=True),
    _mean("crps_orders", PAIR, "CRPS of order counts", unit="orders", sliced=True),
    _mean(
        "absolute_error", PAIR, "absolute error of median order counts", unit="orders",
        headline=True,
    ),
    _metric(
        "bias_orders", PAIR, "bias of order counts", ("expected_orders", "orders"), metrics.bias,
        "target", target=0.0, percent=True,
    ),
    _mean(
        "log_loss", PAIR, "log loss of an order within 28 days", digits=4, headline=True,
        sliced=True,
    ),
    _mean("brier", PAIR, "Brier score of an order within 28 days", digits=4),
    _metric("auc", PAIR, "AUC of an order within 28 days", _MONTH, calibration.auc, "larger"),
    _metric(
        "calibration_error", PAIR, "calibration error of an order within 28 days", _MONTH,
        calibration.expected_calibration_error,
    ),
    _mean(
        "crps_next", NEXT_ORDER, "CRPS of the next order's date", unit="days", digits=2,
        headline=True, sliced=True,
    ),
    *_inside(
        NEXT_ORDER, "coverage", "PIT in the central", dict.fromkeys(_ENDS, ("pit_next",)), _by_pit
    ),
    *_inside(
        NEXT_ORDER, "interval", "date in the", {share: (f"cover{share}",) for share in _ENDS},
        lambda _, inside: float(inside.mean()),
    ),
    _metric(
        "pit_ks", NEXT_ORDER, "PIT's distance from uniform (KS)", ("pit_next",),
        calibration.ks_uniform,
    ),
    _ratio(
        "brier_confidence", CONFIDENCE, "Brier score of confidence", _HIT, _confidence, digits=4,
        headline=True,
    ),
    _metric(
        "calibration_error_confidence", CONFIDENCE, "calibration error of confidence", _HIT,
        calibration.expected_calibration_error,
    ),
    _metric(
        "mean_confidence", CONFIDENCE, "mean confidence", _HIT,
        lambda confidence, _: float(confidence.mean()), "", percent=True,
    ),
    _metric(
        "hit_rate", CONFIDENCE, "hits", _HIT, lambda _, hit: float(hit.mean()), "", percent=True
    ),
)  # fmt: skip
"""Every score, one entry each, as reports list them."""

HEADLINE = tuple(score for score in SCORES if score.headline)
SLICED = tuple(score for score in SCORES if score.sliced)

_KNOWN = {(score.level, score.name): score for score in SCORES}


def find_scores(names: Sequence[str] | None) -> tuple[Score, ...]:
    """The comparable scores of these names, all for None; ArgumentError names the known ones."""
    known = {score.name: score for score in SCORES if score.parts is not None}
    if names is None:
        return tuple(known.values())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ArgumentError(f"there is no score {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def score_of(level: str, name: str) -> Score:
    """What is known of a score; one that is not known is written by its name."""
    return _KNOWN.get((level, name)) or Score(
        name, level, name.replace("_", " "), (), lambda _: math.nan, ""
    )
