"""A peer that is fitted: what it learns from, and how it predicts with that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from models.parts.fitting.card import Arrays, digest
from models.parts.fitting.posterior_file import Fit, read_fit
from toolkit.data.calendar import NO_CALENDAR
from toolkit.data.tables import Patterns, Predictions
from toolkit.model import DEFAULT_SETTINGS, FitSettings, Granularity, Progress, Streams, ignore
from toolkit.results.fit import FitCard

type Learn = Callable[[Patterns, FitSettings, int], tuple[Arrays, int]]
"""From patterns, ``pairs`` rows of them (None: as many as it likes), a calendar and a seed: the
parameters, and how many rows they are from. ``ModelError`` where there is nothing to learn from."""


class LearnedForecast(Protocol):
    """How a peer predicts with what it learned."""

    def __call__(
        self, arrays: Arrays, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict what ``patterns`` hold over ``weeks`` weeks."""


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """The model before its fit; ``granularities``: whether it speaks of pairs, products."""

    name: str
    formulas: str
    description: str = field(repr=False)
    granularities: tuple[Granularity, ...]
    learn: Learn
    forecast: LearnedForecast
    reads_customer_days: bool = False
    reads_calendar: bool = False

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> "FittedRule":
        """Learn from ``patterns``, from ``settings.pairs`` rows at most; nothing is sampled."""
        arrays, rows = self.learn(patterns, settings, seed)
        card = FitCard(
            model=self.name,
            formulas=self.formulas,
            version=digest(self.formulas, arrays),
            as_of_date=patterns.as_of_date,
            pairs=rows,
            seed=seed,
            description=self.description,
            settings={
                "pairs": settings.pairs,
                "calendar": str(settings.calendar if self.reads_calendar else NO_CALENDAR),
            },
            fitted_at=datetime.now(UTC),
        )
        return FittedRule(card, dict(arrays), self)

    def load(self, folder: Path) -> "FittedRule":
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""
        card, inference = read_fit(folder, self.name, self.formulas)
        return FittedRule(card, inference.arrays, self)


@dataclass(frozen=True, slots=True, repr=False)
class FittedRule(Fit):
    """The model with what it learned."""

    rule: LearnedRule = field(repr=False)

    @property
    def granularities(self) -> tuple[Granularity, ...]:
        """As the rule's."""
        return self.rule.granularities

    @property
    def reads_customer_days(self) -> bool:
        """As the rule does."""
        return self.rule.reads_customer_days

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict what ``patterns`` hold over ``weeks`` weeks."""
        return self.rule.forecast(self.arrays, patterns, weeks=weeks, draws=draws, streams=streams)
