"""``rhythm`` as a version: fitting, predicting, saving."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.card import sampled_card
from models.parts.fitting.checks import PRIOR_DRAWS
from models.parts.fitting.inference import Inference, thinned
from models.parts.fitting.posterior_file import Fit, read_fit
from models.parts.fitting.prior import with_given
from models.parts.kernels.compile_caches import kept_code
from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.kernels.weekly_states import POOL_WEEKS
from models.parts.rhythm.activity import BLOCKS
from models.parts.rhythm.boosting import BOOSTED_KNOWN_DAYS, BOOSTED_OFFSETS, ForwardChain
from models.parts.rhythm.drift import Drift
from models.parts.rhythm.events import event_factors
from models.parts.rhythm.explanation import pair_parts, product_parts
from models.parts.rhythm.newcomers import NEWCOMERS, base_rates
from models.parts.rhythm.pair_pooling import grow_pair_trees
from models.parts.rhythm.prediction import BASE, DRIFT, PAIR_BASE, PAIR_TREES, TREES, Predictor
from models.parts.rhythm.prior import DEFAULT_PRIOR, OF_BOOSTED
from models.parts.rhythm.season import Season
from models.parts.rhythm.week_pooling import (
    WeekTrees,
    factors,
    pooled,
    pooled_again,
    pooled_apart,
    pooled_factors,
)
from models.parts.special_days import SpecialDays
from toolkit.data.attribution import Attribution
from toolkit.data.calendar import Event
from toolkit.data.tables import (
    DemandFactors,
    Floats,
    Ints,
    PairDraws,
    Patterns,
    Predictions,
)
from toolkit.errors import ModelError
from toolkit.model import (
    DEFAULT_SETTINGS,
    GRANULARITIES,
    FitSettings,
    Granularity,
    Progress,
    Streams,
    ignore,
)
from toolkit.results.fit import FitCard

ROWS = 20_000
"""Pairs in windows that a fit looks at, if it is not told how many."""
TUNE = 150
"""Steps before the first draw: the coordinates leave little to be learned."""

DIMENSIONS = {
    **{block: f"{block}_column" for block in BLOCKS},
    "arrival": "arrival_column",
    "base_rates": "of",
    DRIFT: "variance",
}
COORDINATES = {
    "arrival_column": ("constant", *NEWCOMERS),
    "of": ("day", "visit", "newcomers"),
    "variance": Drift._fields,
}
"""What the columns of the coefficients are called, in a posterior's file."""
LEVEL_DRAWS = 100
"""Of each pair, when the level of all is looked at."""


@dataclass(frozen=True, slots=True)
class RhythmVersion:
    """The model before its fit.

    ``boosted``: the rate has a column by trees; ``pooled``: pairs and units of product-weeks are
    pooled with trees of their own.
    """

    name: str
    formulas: str
    description: str = field(repr=False)
    boosted: bool = False
    pooled: bool = False
    reads_customer_days: ClassVar[bool] = True
    reads_calendar: ClassVar[bool] = True
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> "FittedRhythm":
        """Sample the population posterior from about ``settings.pairs`` pairs in windows."""
        with kept_code():
            from models.parts.fitting.densities import power_scaling
            from models.parts.fitting.laplace import approximate
            from models.parts.fitting.sampling import draw_prior, sample, without_inner
            from models.parts.rhythm.checks import predictive_checks
            from models.parts.rhythm.model import build_model
            from models.parts.rhythm.pointwise import densities
            from models.parts.rhythm.posterior import RhythmPosterior
            from models.parts.rhythm.windows import KNOWN_DAYS, WINDOW_DAYS, WindowData, Windows

        known_days, fewest, latest = KNOWN_DAYS, 1, 0
        if self.boosted:
            known_days, fewest, latest = BOOSTED_KNOWN_DAYS, 2, max(BOOSTED_OFFSETS)
        windows = Windows(patterns, known_days).count(latest)
        if not np.any(patterns.interval_count > 0) or windows < fewest:
            raise ModelError(
                f"{self.name} learns from what pairs did in windows of {HORIZON_WEEKS} weeks: it "
                f"needs repeat orders and {known_days + fewest * WINDOW_DAYS + latest} days of "
                f"history, and before {patterns.as_of_date} there is nothing to fit; "
                "pair_conjugate forecasts without a fit"
            )
        prior_given = with_given(
            DEFAULT_PRIOR, settings.prior, self.name, () if self.boosted else OF_BOOSTED
        )
        special = SpecialDays.of_patterns(settings.calendar, patterns)
        season = Season.of(patterns.events.day, patterns.as_of_date, special)
        base = base_rates(patterns, season)
        chain = ForwardChain(patterns, season, base, seed) if self.boosted else None
        data = WindowData.of(patterns, season, base, settings.pairs or ROWS, seed, chain=chain)
        trees = chain.trees(0) if chain else None
        del chain  # and all that its trees have seen
        model = build_model(data, prior_given)
        with kept_code():
            prior = draw_prior(model, PRIOR_DRAWS, seed)
            density = RhythmPosterior(data, prior_given, settings.cores)
        sampled, statistics, diagnostics = (
            approximate(density, settings, seed)
            if settings.method == "laplace"
            else sample(density, settings, seed, progress, TUNE)
        )
        posterior = without_inner(sampled)
        drawn = {str(name): thinned(array.to_numpy()) for name, array in posterior.items()}
        constants: dict[str, NDArray[Any]] = {
            **season.arrays,
            DRIFT: np.array(Drift.of(patterns)),
            "base_rates": np.array([base.per_day, base.per_visit, base.newcomers]),
            **({TREES: trees.text, BASE: trees.base} if trees else {}),
        }
        if self.pooled:
            own = Predictor.of({**drawn, **constants})
            constants |= _pooled_with(patterns, own, seed, settings.cores)
        of_blocks = {f"{b}_column": ("constant", *names) for b, names in data.blocks.items()}
        made = predictive_checks(data, prior, drawn, np.random.default_rng(seed))
        inference = Inference.of(
            posterior, statistics, prior, made, constants, DIMENSIONS, COORDINATES | of_blocks,
            densities(model, density.density, data.newcomers, sampled, settings.cores),
        )  # fmt: skip
        arrays, rows = inference.arrays, len(data.elapsed)
        card = sampled_card(
            self, arrays, patterns, rows, seed, settings, diagnostics, made.checks(),
            power_scaling(inference, [str(name) for name in posterior]),
        )  # fmt: skip
        return FittedRhythm.of(card, inference)

    def load(self, folder: Path) -> "FittedRhythm":
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""
        return FittedRhythm.of(*read_fit(folder, self.name, self.formulas))


@dataclass(frozen=True, slots=True, repr=False)
class FittedRhythm(Fit):
    """The model with draws of its population posterior."""

    predictor: Predictor = field(repr=False)
    week_trees: WeekTrees | None = field(repr=False)
    reads_customer_days: ClassVar[bool] = True
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    @classmethod
    def of(cls, card: FitCard, inference: Inference) -> "FittedRhythm":
        """From what is saved."""
        arrays = inference.arrays
        return cls(card, arrays, Predictor.of(arrays), WeekTrees.of(arrays), inference=inference)

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        own = self.predictor.predict(patterns, weeks=weeks, draws=draws, streams=streams)
        if self.week_trees is None:
            return own
        return pooled(own, self.week_trees, self.predictor.season, streams)

    def predict_again(
        self,
        patterns: Patterns,
        rows: Ints,
        number: int,
        *,
        weeks: int,
        draws: int,
        streams: Streams,
    ) -> PairDraws:
        """Draw the pairs in ``rows`` once more, their units moved as those of their product are."""
        again = self.predictor.predict_again(
            patterns, rows, number, weeks=weeks, draws=draws, streams=streams
        )
        if self.week_trees is None:
            return again
        own = self.predictor.predict(patterns, weeks=weeks, draws=draws, streams=streams)
        return pooled_again(again, rows, own, self.week_trees, self.predictor.season)

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows`` order in each draw, moved as all of their product is."""
        apart = self.predictor.predict_apart(
            patterns, rows, weeks=weeks, draws=draws, streams=streams
        )
        if self.week_trees is None:
            return apart
        own = self.predictor.predict(patterns, weeks=weeks, draws=draws, streams=streams)
        return pooled_apart(apart, rows, own, self.week_trees, self.predictor.season, streams)

    @property
    def event_days(self) -> dict[str, tuple[date, ...]]:
        """By kind that its calendar had before its date: all days of it."""
        return self.predictor.season.event_days

    def event_factors(
        self,
        patterns: Patterns,
        events: Sequence[Event],
        *,
        weeks: int,
        draws: int,
        streams: Streams,
    ) -> DemandFactors:
        """By how many times demand differs with further events of kinds in ``event_days``."""
        of_paths = event_factors(
            self.predictor, patterns, events, weeks=weeks, draws=draws, streams=streams
        )
        if self.week_trees is None:
            return of_paths
        own = self.predictor.predict(patterns, weeks=weeks, draws=draws, streams=streams)
        season = self.predictor.season
        return pooled_factors(
            of_paths,
            own,
            self.week_trees,
            (season, season.with_events(events, patterns.as_of_date)),
        )

    def explain_pair(
        self, patterns: Patterns, row: int, *, weeks: int, draws: int, streams: Streams
    ) -> Attribution:
        """Why the pair in a row orders more or less often than a typical one of the patterns."""
        return pair_parts(self.predictor, patterns, row, weeks=weeks, draws=draws, streams=streams)

    def explain_product(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Attribution:
        """What the demand of a product consists of; ``patterns`` are its own."""
        moved = None
        if self.week_trees is not None:
            own = self.predictor.predict(patterns, weeks=weeks, draws=draws, streams=streams)
            (moved,) = factors(own, self.week_trees, self.predictor.season)
        return product_parts(
            self.predictor, patterns, moved, weeks=weeks, draws=draws, streams=streams
        )


def _pooled_with(
    patterns: Patterns, own: Predictor, seed: int, cores: int
) -> dict[str, NDArray[Any]]:
    """What the versions that pool save besides; ``own``: what they would predict unpooled."""

    def p_order(some: Patterns) -> Floats:
        predicted = own.predict(some, weeks=POOL_WEEKS, draws=LEVEL_DRAWS, streams=Streams(seed))
        return predicted.pairs.p_order_by_week[:, -1]

    trees = grow_pair_trees(patterns, p_order, seed)
    week_trees = WeekTrees.grow(patterns, own.season, seed, cores)
    of_weeks = {} if week_trees is None else week_trees.arrays
    return {PAIR_TREES: trees.text, PAIR_BASE: trees.base, **of_weeks}
