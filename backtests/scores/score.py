"""What a score is, and the rows of a run that it is computed from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from toolkit.data.tables import Floats
from toolkit.errors import ArgumentError

type ScoreTable = Literal["pairs", "product_weeks", "totals", "categories"]
type Better = Literal["smaller", "larger", "target", ""]
type Parts = tuple[Floats, Floats]

HEADLINE_ORDERS = 10
"""Product-weeks count in the headline if their product had so many order events before."""


class ScoredRun(Protocol):
    """A run whose score tables can be read: ``backtests.run.folder.RunFolder`` is one."""

    @property
    def horizon_weeks(self) -> int:
        """How far the versions forecast."""

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

    def totals(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per week and date, all products together; an empty frame if there are none."""

    def categories(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per category, week and date; an empty frame if no product has a category."""

    def past(self, version: str, as_of: date) -> pd.DataFrame:
        """A row per product of ``PastYear``; an empty frame if there are none."""


NEXT_ORDER, PAIR, PRODUCT_WEEK, CONFIDENCE = "next_order", "pair", "product_week", "confidence"
TOTAL, CATEGORY = "total", "category"

SCORE_LEVELS = {
    PRODUCT_WEEK: "Units of a product in a week",
    TOTAL: "Units of all products in a week",
    CATEGORY: "Units of a category in a week",
    PAIR: "Orders of a customer and product",
    NEXT_ORDER: "Date of the next order",
    CONFIDENCE: "Confidence",
}
"""What is scored, and its title."""


@dataclass(frozen=True, slots=True)
class Score:
    """A number for rows of a run's table: rows with NaN in one of ``columns`` do not count.

    ``parts``: numerator and denominator, [rows] each, where the score is Σ numerator /
    Σ denominator and smaller is better: these are compared by bootstrap. ``target``: the best
    value, where ``better`` is "target". ``percent``: a share, written as one. ``headline``: in
    the first table of a report; ``sliced``: drawn by slice, as a ratio of versions.
    """

    name: str
    level: str
    title: str
    columns: tuple[str, ...]
    value: Callable[[pd.DataFrame], float]
    better: Better = "smaller"
    unit: str = ""
    digits: int = 3
    target: float = math.nan
    percent: bool = False
    parts: Callable[[pd.DataFrame], Parts] | None = None
    headline: bool = False
    sliced: bool = False

    def sums(self, frame: pd.DataFrame) -> Parts:
        """``parts`` of a frame; ``ArgumentError`` if the score has none."""
        if self.parts is None:
            raise ArgumentError(f"{self.name} cannot be compared by its sums")
        return self.parts(frame)

    @property
    def table(self) -> ScoreTable:
        """The table that holds its columns."""
        tables: dict[str, ScoreTable] = {
            PRODUCT_WEEK: "product_weeks", TOTAL: "totals", CATEGORY: "categories",
        }  # fmt: skip
        return tables.get(self.level, "pairs")

    @property
    def heading(self) -> str:
        """The title, as it begins a line."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def hint(self) -> str:
        """Which way is better, in words."""
        if self.better == "target":
            return f"best: {self.format(self.target)}"
        return f"{self.better} is better" if self.better else ""

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign."""
        return {"smaller": "↓", "larger": "↑", "target": "◎", "": ""}[self.better]

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return "% inside" if self.percent else self.unit

    def scaled(self, value: float) -> float:
        """The number that is written and drawn."""
        return 100 * value if self.percent else value

    def format(self, value: float, sign: bool = False) -> str:
        """``0.123``, or ``12.3 %``; an en dash where there is no number."""
        if not math.isfinite(value):
            return "–"
        digits = 1 if self.percent else self.digits
        shown = round(self.scaled(value), digits) + 0.0
        text = f"{shown:{'+' if sign else ''},.{digits}f}".replace("-", "−")
        return f"{text} %" if self.percent else text


def read_table(
    run: ScoredRun, table: ScoreTable, version: str, as_of: date | None, columns: Sequence[str]
) -> pd.DataFrame:
    """Some columns of a version's table, only the headline's rows of product-weeks."""
    wanted = list(dict.fromkeys(columns))
    if table == "pairs":
        return run.pairs(version, as_of, wanted)
    if table == "totals":
        return run.totals(version, as_of, wanted)
    if table == "categories":
        return run.categories(version, as_of, wanted)
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
