"""What thresholds cost and bring: how much demand is listed, and how right the lists are.

A pair is listed at (``min_orders``, ``min_confidence``) if it had so many order events before the
date and its confidence is so high. Whether it is, is known at the as-of date; how right it was, is
not: see ``backtests.thresholds.choice`` for choosing without looking ahead.

Errors, of all of which smaller is better:

- ``miss``: share of listed pairs whose next order fell outside the tolerance of its date, of those
  whose tolerance was observed to its end (decided by the prediction alone);
- ``days``: mean |predicted − actual day| of the next order, both cut at the last observed day,
  which is defined for pairs that never ordered, too;
- ``orders``: Σ |expected − actual orders of a pair| / Σ actual orders;
- ``brier``: mean (confidence − hit)², as many rows as ``miss``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated

import numpy as np
import pandas as pd
import pydantic
from pydantic import Field

from backtests.scores.score import ScoredRun, check_versions, column
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints
from toolkit.errors import ArgumentError
from toolkit.validation import CLOSED, Rising

MIN_ORDERS = (1, 2, 3, 4, 5, 6)
MIN_CONFIDENCE = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ERRORS = {
    "miss": "miss rate",
    "days": "days off",
    "orders": "error of orders",
    "brier": "Brier score",
}
"""The errors of lists and their titles; smaller is better for all of them."""

_COLUMNS = (
    "product_id", "customer_id", "order_count", "confidence", "hit", "orders", "expected_orders",
    "next_week", "next_day", "next_median_day",
)  # fmt: skip


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=CLOSED)
class ThresholdGrid:
    """The thresholds that are tried, ascending; ``ValueError`` if they are not."""

    min_orders: Rising[Annotated[int, Field(ge=1)]] = MIN_ORDERS
    min_confidence: Rising[Annotated[float, Field(ge=0, le=1)]] = MIN_CONFIDENCE

    @property
    def shape(self) -> tuple[int, int]:
        """How many thresholds of orders, of confidence."""
        return len(self.min_orders), len(self.min_confidence)


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over the pairs that each pair of thresholds lists; the last axes are the grid's."""

    grid: ThresholdGrid
    product_id: Ints  # [products]
    pairs: Floats  # [products, orders, confidence], listed at a date, over dates
    ordered: Floats  # [products, orders, confidence], orders of the listed
    total_ordered: Floats  # [products], orders of all known pairs
    gap: Floats  # [products, orders, confidence], Σ (confidence − hit) of the decided
    numerator: dict[str, Floats]  # by error: Σ of it, [products, orders, confidence]
    denominator: dict[str, Floats]
    square: dict[str, Floats]  # Σ of its squares
    customers: Floats  # [orders, confidence], who ordered and are listed for what they ordered
    total_customers: float  # who ordered, over dates

    def error(self, name: str) -> Floats:
        """An error by product, [products, orders, confidence]; NaN where nothing is listed."""
        return _ratio(self.numerator[name], self.denominator[name])

    def total(self) -> "Counts":
        """All products as one, whose id is 0."""

        def summed(part: Floats) -> Floats:
            whole: Floats = part.sum(axis=0, keepdims=True)
            return whole

        return replace(
            self,
            product_id=np.zeros(1, dtype=np.int64),
            pairs=summed(self.pairs),
            ordered=summed(self.ordered),
            total_ordered=summed(self.total_ordered),
            gap=summed(self.gap),
            numerator={name: summed(part) for name, part in self.numerator.items()},
            denominator={name: summed(part) for name, part in self.denominator.items()},
            square={name: summed(part) for name, part in self.square.items()},
        )

    def coverage(self) -> Floats:
        """Share of the orders of known pairs that listed pairs hold, [products, …]; NaN of none."""
        return _ratio(self.ordered, self.total_ordered[:, None, None])


def count_listed(
    run: ScoredRun,
    version: str,
    dates: Sequence[date] | None = None,
    grid: ThresholdGrid | None = None,
) -> Counts:
    """Count what each thresholds of ``grid`` list at ``dates`` (None: all of the run).

    ``ArgumentError`` if the version says nothing of pairs at these dates.
    """
    check_versions(run, [version])
    tried = grid or ThresholdGrid()
    frames = [_read(run, version, day) for day in (run.dates if dates is None else dates)]
    frames = [frame for frame in frames if not frame.empty]
    if not frames:
        raise ArgumentError(f"{version} says nothing of pairs at these dates")
    customers = [_customers(frame, tried) for frame in frames]
    return _count(
        pd.concat(frames, ignore_index=True),
        tried,
        np.sum([listed for listed, _ in customers], axis=0),
        float(sum(total for _, total in customers)),
    )


def frontier(counts: Counts) -> pd.DataFrame:
    """A row per thresholds, over all products: coverage against accuracy and calibration.

    ``min_orders``, ``min_confidence``, ``demand_coverage``, ``customer_coverage`` (of customers
    who ordered, those listed for something they ordered), ``pairs`` listed, the four errors and
    ``calibration_gap`` (mean confidence − share of hits).
    """
    whole = counts.total()
    orders, confidence = np.meshgrid(
        counts.grid.min_orders, counts.grid.min_confidence, indexing="ij"
    )
    columns = {
        "min_orders": orders,
        "min_confidence": confidence,
        "demand_coverage": whole.coverage(),
        "pairs": whole.pairs.astype(np.int64),
        **{name: whole.error(name) for name in ERRORS},
        "calibration_gap": _ratio(whole.gap, whole.denominator["miss"]),
        "customer_coverage": counts.customers / max(counts.total_customers, 1.0),
    }
    return pd.DataFrame({name: column.ravel() for name, column in columns.items()})


def _read(run: ScoredRun, version: str, day: date) -> pd.DataFrame:
    """A date's pairs with what goes into the errors; NaN confidence is never listed."""
    frame = run.pairs(version, day, _COLUMNS)
    if frame.empty:
        return frame
    observed = float(DAYS_PER_WEEK * frame["next_week"].max())
    hit, confidence = column(frame, "hit"), column(frame, "confidence")
    orders = column(frame, "orders")
    decided = np.isfinite(hit).astype(float)
    days = np.abs(_cut(frame, "next_median_day", observed) - _cut(frame, "next_day", observed))
    return frame[["product_id", "customer_id", "order_count", "confidence", "orders"]].assign(
        gap=np.nan_to_num(confidence - hit),
        miss=np.nan_to_num(1 - hit),
        miss_rows=decided,
        brier=np.nan_to_num((confidence - hit) ** 2),
        brier_rows=decided,
        days=days,
        days_rows=1.0,
        orders_error=np.abs(column(frame, "expected_orders") - orders),
    )


def _cut(frame: pd.DataFrame, name: str, observed: float) -> Floats:
    """Days, at most ``observed``; what has no day lies beyond."""
    return np.minimum(np.nan_to_num(column(frame, name), nan=observed), observed)


def _count(frame: pd.DataFrame, grid: ThresholdGrid, customers: Floats, total: float) -> Counts:
    ids, product = np.unique(frame["product_id"].to_numpy(), return_inverse=True)
    cell, listed = _cells(frame, grid)
    place = (product * grid.shape[0] * grid.shape[1] + cell)[listed]

    def sums(values: Floats) -> Floats:
        size = len(ids) * grid.shape[0] * grid.shape[1]
        cells = np.bincount(place, values[listed], size).astype(float)
        return _at_least(cells.reshape(-1, *grid.shape))

    orders = column(frame, "orders")
    total_ordered = np.bincount(product, orders, len(ids)).astype(float)
    errors = {name: column(frame, name) for name in ("miss", "days", "brier")}
    errors["orders"] = column(frame, "orders_error")
    rows = {name: column(frame, f"{name}_rows") for name in ("miss", "days", "brier")}
    rows["orders"] = orders
    return Counts(
        grid,
        ids.astype(np.int64),
        sums(np.ones(len(frame))),
        sums(orders),
        total_ordered,
        sums(column(frame, "gap")),
        {name: sums(values) for name, values in errors.items()},
        {name: sums(values) for name, values in rows.items()},
        {name: sums(values**2) for name, values in errors.items()},
        customers,
        total,
    )


def _customers(frame: pd.DataFrame, grid: ThresholdGrid) -> tuple[Floats, int]:
    """Of those who ordered, how many are listed for it, [orders, confidence], and how many."""
    ordered = frame[frame["orders"] > 0]
    ids, customer = np.unique(ordered["customer_id"].to_numpy(), return_inverse=True)
    cell, listed = _cells(ordered, grid)
    size = grid.shape[0] * grid.shape[1]
    place = (customer * size + cell)[listed]
    cells = np.bincount(place, minlength=len(ids) * size).astype(float)
    found = _at_least(cells.reshape(-1, *grid.shape))
    return (found > 0).sum(axis=0).astype(float), len(ids)


def _cells(frame: pd.DataFrame, grid: ThresholdGrid) -> tuple[Ints, np.ndarray]:
    """The strictest thresholds that list each pair, and whether any do, [pairs]."""
    orders, confidence = frame["order_count"].to_numpy(), column(frame, "confidence")
    by_orders = np.searchsorted(grid.min_orders, orders, side="right") - 1
    by_confidence = np.searchsorted(grid.min_confidence, confidence, side="right") - 1
    listed = (by_orders >= 0) & (by_confidence >= 0) & np.isfinite(confidence)
    return by_orders * grid.shape[1] + by_confidence, listed


def _at_least(cells: Floats) -> Floats:
    """Sums over all cells that are as strict or stricter, [..., orders, confidence]."""
    flipped = cells[..., ::-1, ::-1].cumsum(axis=-1).cumsum(axis=-2)
    return flipped[..., ::-1, ::-1]


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    ratio: Floats = numerator / np.where(denominator > 0, denominator, np.nan)
    return ratio
