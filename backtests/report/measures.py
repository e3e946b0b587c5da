"""How scores are called and written on the page, and which way is better."""

import math
from dataclasses import dataclass
from typing import Literal

from backtests.scores.registry import CONFIDENCE, NEXT_ORDER, PAIR, PRODUCT_WEEK

type Better = Literal["smaller", "larger", "target", ""]

LEVEL_TITLES = {
    PRODUCT_WEEK: "Units of a product in a week",
    PAIR: "Orders of a customer and product",
    NEXT_ORDER: "Date of the next order",
    CONFIDENCE: "Confidence",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A score's name on the page; ``percent``: a share, written as one."""

    name: str
    level: str
    title: str
    better: Better = "smaller"
    unit: str = ""
    target: float = math.nan
    percent: bool = False
    digits: int = 3

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


def _coverages(level: str, what: str) -> tuple[Measure, ...]:
    kinds = {"coverage": "PIT in the central", "interval": f"{what} in the"}
    return tuple(
        Measure(f"{kind}_{share}", level, f"{text} {share} %", "target", "", share / 100, True)
        for kind, text in kinds.items()
        for share in (50, 80, 90)
    )


MEASURES: tuple[Measure, ...] = (
    Measure("weighted_quantile_loss", PRODUCT_WEEK, "Weighted quantile loss, week"),
    Measure("wape_median", PRODUCT_WEEK, "WAPE of the median, week"),
    Measure("wape_horizon", PRODUCT_WEEK, "WAPE of the mean, whole horizon"),
    Measure("crps_quantity", PRODUCT_WEEK, "CRPS over demand, week"),
    Measure("bias_quantity", PRODUCT_WEEK, "Bias of the mean", "target", "", 0.0, True),
    *_coverages(PRODUCT_WEEK, "units"),
    Measure("pit_ks", PRODUCT_WEEK, "PIT's distance from uniform (KS)"),
    Measure("poisson_loss", PAIR, "Poisson loss of order counts"),
    Measure("crps_orders", PAIR, "CRPS of order counts", unit="orders"),
    Measure("absolute_error", PAIR, "Absolute error of order counts", unit="orders"),
    Measure("bias_orders", PAIR, "Bias of order counts", "target", "", 0.0, True),
    Measure("log_loss", PAIR, "Log loss, order in 28 days", digits=4),
    Measure("brier", PAIR, "Brier score, order in 28 days", digits=4),
    Measure("auc", PAIR, "AUC, order in 28 days", "larger"),
    Measure("calibration_error", PAIR, "Calibration error, order in 28 days"),
    Measure("crps_next", NEXT_ORDER, "CRPS of the next order's date", unit="days", digits=2),
    *_coverages(NEXT_ORDER, "date"),
    Measure("pit_ks", NEXT_ORDER, "PIT's distance from uniform (KS)"),
    Measure("brier_confidence", CONFIDENCE, "Brier score of confidence", digits=4),
    Measure("calibration_error_confidence", CONFIDENCE, "Calibration error of confidence"),
    Measure("mean_confidence", CONFIDENCE, "Mean confidence", "", percent=True),
    Measure("hit_rate", CONFIDENCE, "Hits", "", percent=True),
)
_KNOWN = {(measure.level, measure.name): measure for measure in MEASURES}

HEADLINE = (
    (PRODUCT_WEEK, "weighted_quantile_loss"),
    (PRODUCT_WEEK, "wape_median"),
    (PRODUCT_WEEK, "wape_horizon"),
    (PAIR, "poisson_loss"),
    (PAIR, "absolute_error"),
    (PAIR, "log_loss"),
    (NEXT_ORDER, "crps_next"),
    (CONFIDENCE, "brier_confidence"),
)
"""Scores that are compared in the first table and drawn by date."""

SLICED = (
    (PRODUCT_WEEK, "weighted_quantile_loss"),
    (PAIR, "crps_orders"),
    (PAIR, "log_loss"),
    (NEXT_ORDER, "crps_next"),
)
"""Scores that are drawn by slice: all positive, so that versions compare as a ratio."""


def measure(level: str, name: str) -> Measure:
    """What is known of a score; one that is not known is written by its name."""
    return _KNOWN.get((level, name)) or Measure(name, level, name.replace("_", " "), "")
