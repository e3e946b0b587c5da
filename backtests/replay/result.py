"""What a replay found: achieved service by rule, and what stock the same service takes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from toolkit.card import Card, CardCell, Figure, Grid, Shown, Strong, counted, in_a_line
from toolkit.replenishment.policy import ReplenishmentPolicy, Target, lead_time_text

type Measure = Literal["service_level", "fill_rate"]

MEASURES: dict[Measure, str] = {"service_level": "cycle service level", "fill_rate": "fill rate"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and its 95 % interval over other products and dates."""

    value: float
    low: float
    high: float

    def holds(self, number: float) -> bool:
        """Whether the interval holds a number."""
        return self.low <= number <= self.high


@dataclass(frozen=True, slots=True)
class Achieved:
    """A rule set for a target, and what it achieved.

    ``service_level`` is the share of product-dates without shortage, ``fill_rate`` the share of
    demand served at once. ``promised_service_level`` is the mean of what the model's draws said: as
    demand comes in whole units, more than the target. ``stock`` is in units, all products.
    """

    rule: str
    aims_at: Target | None
    target: float | None
    service_level: Measured
    fill_rate: Measured
    promised_service_level: float | None
    stock: float


@dataclass(frozen=True, slots=True)
class EqualService:
    """The stock that a rule takes where its knob is turned until it achieves the same service.

    ``ratio`` is to the first model's rule. Both NaN where no setting achieves it.
    """

    measure: Measure
    service: float
    rule: str
    stock: float
    ratio: Measured


@dataclass(frozen=True, slots=True)
class ReplayReport(Shown):
    """A replay: ``rows`` are products at dates that were ordered in the 26 weeks before."""

    policy: ReplenishmentPolicy
    dates: tuple[date, ...]
    rows: int
    weekly_demand: float  # units of all products
    achieved: tuple[Achieved, ...]
    equal_service: tuple[EqualService, ...]
    models: tuple[str, ...]
    draws: int
    seed: int

    def __repr__(self) -> str:
        """How many dates and rows; not the tables."""
        return f"<ReplayReport of {counted(len(self.dates), 'date')}, {self.rows:,} rows>"

    def to_frame(self) -> pd.DataFrame:
        """What each rule achieved, a row for each of its targets."""
        return pd.json_normalize([asdict(one) for one in self.achieved], sep="_")

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            **asdict(self),
            "policy": self.policy.to_dict(),
            "dates": [str(day) for day in self.dates],
            "equal_service": [
                {
                    **asdict(one),
                    "stock": None if np.isnan(one.stock) else one.stock,
                    "ratio": None if np.isnan(one.ratio.value) else asdict(one.ratio),
                }
                for one in self.equal_service
            ],
        }

    def to_card(self) -> Card:
        """Both tables."""
        lead = lead_time_text(self.policy.lead_time_days)
        return Card(
            title="Replay of what to order",
            subtitle=f"{counted(len(self.dates), 'date')} from {min(self.dates)} to "
            f"{max(self.dates)}, lead time {lead}, review every {self.policy.review_days} days",
            figures=[
                Figure("products at dates", f"{self.rows:,}"),
                Figure("units a week", f"{self.weekly_demand:,.0f}"),
            ],
            grids=[self._achieved_grid(), *map(self._equal_grid, MEASURES)],
            sentences=[
                "In per cent, with 95 % intervals over other products and dates; what a rule aims "
                "at stands out. stock: of all products, in weeks of demand, mean of just after a "
                "delivery and just before the next.",
                "promised: P(no shortage) by the model's draws; it is more than a service level "
                "asks where demand comes in whole orders.",
            ],
        )

    def _weeks(self, stock: float) -> str:
        return "–" if np.isnan(stock) else f"{stock / self.weekly_demand:.2f}"

    def _achieved_grid(self) -> Grid:
        heads = ("rule", "target", "promised", "service level", "fill rate", "stock")
        rows: list[Sequence[CardCell]] = [
            (
                in_a_line(one.rule),
                "–" if one.target is None else f"{100 * one.target:g}",
                "–"
                if one.promised_service_level is None
                else f"{100 * one.promised_service_level:.1f}",
                _aimed(_percent(one.service_level), one.aims_at == "service_level"),
                _aimed(_percent(one.fill_rate), one.aims_at == "fill_rate"),
                self._weeks(one.stock),
            )
            for one in self.achieved
        ]
        return Grid("Achieved", heads, rows, frozenset(heads[1:]))

    def _equal_grid(self, measure: Measure) -> Grid:
        these = [one for one in self.equal_service if one.measure == measure]
        levels = sorted({one.service for one in these})
        rows: list[Sequence[CardCell]] = []
        for rule in dict.fromkeys(one.rule for one in these):
            by = {one.service: one for one in these if one.rule == rule}
            cells = [f"{self._weeks(by[s].stock)}{_ratio(by[s].ratio)}" for s in levels]
            rows.append((in_a_line(rule), *cells))
        heads = ("rule", *(f"{100 * s:g} %" for s in levels))
        title = f"Stock for the same achieved {MEASURES[measure]}"
        return Grid(title, heads, rows, frozenset(heads[1:]))


def _aimed(text: str, aimed: bool) -> CardCell:
    return Strong(text) if aimed else text


def _percent(one: Measured) -> str:
    return f"{100 * one.value:.1f} ({100 * one.low:.1f} – {100 * one.high:.1f})"


def _ratio(one: Measured) -> str:
    """Beside the stock: its ratio to the first rule's, unless that is its own."""
    if np.isnan(one.value) or one.low == one.high:
        return ""
    return f", × {one.value:.2f} ({one.low:.2f} – {one.high:.2f})"
