"""What is scored, and from which columns of a run's tables.

A score is a ratio of two sums over rows, so that any resample of rows is scored from sums alone.
Of all of them smaller is better.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from backtests.scores.metrics import pinball
from toolkit.data.tables import QUANTILES, Floats
from toolkit.errors import ArgumentError
from toolkit.results.forecast import QUANTILE_NAMES

type Table = Literal["pairs", "product_weeks"]
type Parts = tuple[Floats, Floats]

HEADLINE_ORDERS = 10
"""Product-weeks count in the headline if their product had so many order events before."""


class ScoredRun(Protocol):
    """A run whose score tables can be read: ``backtests.run.folder.RunFolder`` is one."""

    @property
    def meta(self) -> dict[str, Any]:
        """What the run was asked; ``meta["experiment"]["horizon_weeks"]`` is used."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Labels of the versions."""

    @property
    def dates(self) -> tuple[date, ...]:
        """As-of dates, ascending."""

    def pairs(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per pair and date; an empty frame if there are none."""

    def product_weeks(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per product, week and date; an empty frame if there are none."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score of ``table``'s rows: Σ numerator / Σ denominator, of one ``level`` of forecasts."""

    name: str
    level: str
    title: str
    table: Table
    columns: tuple[str, ...]
    parts: Callable[[pd.DataFrame], Parts]  # numerator and denominator, [rows] each
    unit: str = ""


def read_table(
    run: ScoredRun, table: Table, version: str, as_of: date | None, columns: Sequence[str]
) -> pd.DataFrame:
    """Some columns of a version's table, only the headline's rows of product-weeks."""
    wanted = list(dict.fromkeys(columns))
    if table == "pairs":
        return run.pairs(version, as_of, wanted)
    frame = run.product_weeks(version, as_of, [*wanted, "product_orders_before"])
    if frame.empty:
        return frame
    return frame[frame["product_orders_before"] >= HEADLINE_ORDERS].reset_index(drop=True)


def check_versions(run: ScoredRun, versions: Sequence[str]) -> tuple[str, ...]:
    """``versions`` if the run holds each and none is named twice; else ArgumentError."""
    unknown = [version for version in versions if version not in run.versions]
    if unknown:
        held = ", ".join(run.versions)
        raise ArgumentError(f"the run holds no version {', '.join(unknown)}; it holds {held}")
    if len(set(versions)) < len(versions):
        raise ArgumentError(f"versions are named twice: {', '.join(versions)}")
    return tuple(versions)


def column(frame: pd.DataFrame, name: str) -> Floats:
    """A column in double precision."""
    return frame[name].to_numpy(dtype=np.float64)


def mean_of(name: str) -> Callable[[pd.DataFrame], Parts]:
    """The mean of a column."""
    return lambda frame: (column(frame, name), np.ones(len(frame)))


def _quantile_loss(frame: pd.DataFrame) -> Parts:
    quantity = column(frame, "quantity")
    quantiles = frame[list(QUANTILE_NAMES)].to_numpy(dtype=np.float64)
    return 2 * pinball(quantiles, QUANTILES, quantity).mean(axis=1), quantity


def _median_error(frame: pd.DataFrame) -> Parts:
    quantity = column(frame, "quantity")
    return np.abs(column(frame, "q50") - quantity), quantity


def _horizon_error(frame: pd.DataFrame) -> Parts:
    """|Σ expected − Σ actual| over a product's weeks, told in its first row."""
    error = (frame["expected_quantity"] - frame["quantity"]).astype(np.float64)
    keys = [name for name in ("as_of_date", "product_id") if name in frame]
    groups = error.groupby([frame[key] for key in keys], sort=False)
    first = ~frame.duplicated(keys).to_numpy()
    return np.abs(groups.transform("sum").to_numpy()) * first, column(frame, "quantity")


def _quantity_crps(frame: pd.DataFrame) -> Parts:
    return column(frame, "crps"), column(frame, "quantity")


def _confidence(frame: pd.DataFrame) -> Parts:
    return (column(frame, "confidence") - column(frame, "hit")) ** 2, np.ones(len(frame))


def _pair(name: str, level: str, title: str, of: str, unit: str = "") -> Score:
    return Score(name, level, title, "pairs", (of,), mean_of(of), unit)


def _week(
    name: str, title: str, columns: tuple[str, ...], parts: Callable[[pd.DataFrame], Parts]
) -> Score:
    return Score(name, "product_week", title, "product_weeks", (*columns, "quantity"), parts)


NEXT_ORDER, PAIR, PRODUCT_WEEK, CONFIDENCE = "next_order", "pair", "product_week", "confidence"

SCORES: tuple[Score, ...] = (
    _week(
        "weighted_quantile_loss", "weighted quantile loss of weeks", QUANTILE_NAMES, _quantile_loss
    ),
    _week("wape_median", "WAPE of the weekly median", ("q50",), _median_error),
    _week("wape_horizon", "WAPE of the horizon's mean", ("expected_quantity",), _horizon_error),
    _week("crps_quantity", "CRPS of weeks over demand", ("crps",), _quantity_crps),
    _pair("poisson_loss", PAIR, "Poisson loss of order counts", "poisson_loss"),
    _pair("crps_orders", PAIR, "CRPS of order counts", "crps_orders", " orders"),
    _pair("absolute_error", PAIR, "absolute error of order counts", "absolute_error", " orders"),
    _pair("log_loss", PAIR, "log loss of an order within 28 days", "log_loss"),
    _pair("brier", PAIR, "Brier score of an order within 28 days", "brier"),
    _pair("crps_next", NEXT_ORDER, "CRPS of the next order's date", "crps_next", " days"),
    Score(
        "brier_confidence",
        CONFIDENCE,
        "Brier score of confidence",
        "pairs",
        ("confidence", "hit"),
        _confidence,
    ),
)


def find_scores(names: Sequence[str] | None) -> tuple[Score, ...]:
    """The scores of these names, all for None; ArgumentError names the known ones."""
    if names is None:
        return SCORES
    known = {score.name: score for score in SCORES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ArgumentError(f"there is no score {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names)
