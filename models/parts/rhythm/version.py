"""``rhythm`` as a version: fitting, predicting, saving."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.parts.fitting.card import sampled_card
from models.parts.fitting.checks import PRIOR_DRAWS
from models.parts.fitting.inference import Inference, thinned
from models.parts.fitting.posterior_file import Fit, draw_last, read_fit
from models.parts.fitting.prior import with_given
from models.parts.kernels.compile_caches import kept_code
from models.parts.kernels.weekly import HORIZON_WEEKS, NODE, NODE_WEIGHT
from models.parts.kernels.weekly_paths import (
    REACH_WEEKS,
    Coefficients,
    Places,
    WeeklyArrivals,
    WeeklyDraws,
    predict_new_pairs,
    predict_pairs,
)
from models.parts.pair.results import Results
from models.parts.pair.sizes import URN_WEIGHT, Urn
from models.parts.rhythm.activity import (
    BLOCKS,
    BOOSTED_BLOCKS,
    RESTARTED,
    BaseRates,
    Blocks,
    activity,
    column,
)
from models.parts.rhythm.boosting import (
    BOOSTED_KNOWN_DAYS,
    BOOSTED_OFFSETS,
    ForwardChain,
    Trees,
    with_boosted,
)
from models.parts.rhythm.newcomers import NEWCOMERS, base_rates, newcomer_columns
from models.parts.rhythm.pooling import grow_week_trees, pooled
from models.parts.rhythm.prior import DEFAULT_PRIOR, OF_BOOSTED
from models.parts.rhythm.season import Season
from toolkit.data.tables import QUANTILES, Floats, Patterns, Predictions
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
}
COORDINATES = {
    "arrival_column": ("constant", *NEWCOMERS),
    "of": ("day", "visit", "newcomers"),
}
"""What the columns of the coefficients are called, in a posterior's file."""
TREES, BASE = "trees", "trees_base"
"""Of the boosted column, among what a fit saves."""
WEEK_TREES = "week_trees"
"""Of the product-weeks that units are pooled with."""


@dataclass(frozen=True, slots=True)
class RhythmVersion:
    """The model before its fit.

    ``boosted``: the rate has a column by trees; ``pooled``: units are pooled with trees on weeks.
    """

    name: str
    formulas: str
    description: str = field(repr=False)
    boosted: bool = False
    pooled: bool = False
    reads_customer_days: ClassVar[bool] = True
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
        season = Season.of(patterns.events.day, patterns.as_of_date)
        base = base_rates(patterns, season)
        chain = ForwardChain(patterns, season, base, seed) if self.boosted else None
        data = WindowData.of(patterns, season, base, settings.pairs or ROWS, seed, chain=chain)
        trees = chain.trees(0) if chain else None
        del chain  # and all that its trees have seen
        model = build_model(data, prior_given)
        with kept_code():
            prior = draw_prior(model, PRIOR_DRAWS, seed)
            density = RhythmPosterior(data, prior_given)
        sampled, statistics, diagnostics = (
            approximate(density, settings, seed)
            if settings.method == "laplace"
            else sample(density, settings, seed, progress, TUNE)
        )
        posterior = without_inner(sampled)
        drawn = {str(name): thinned(array.to_numpy()) for name, array in posterior.items()}
        constants: dict[str, NDArray[Any]] = {
            **season.arrays,
            "base_rates": np.array([base.per_day, base.per_visit, base.newcomers]),
            **({TREES: trees.text, BASE: trees.base} if trees else {}),
            **({WEEK_TREES: grow_week_trees(patterns, seed)} if self.pooled else {}),
        }
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

    season: Season = field(repr=False)
    base: BaseRates
    draws: Coefficients = field(repr=False)
    reads_customer_days: ClassVar[bool] = True
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    @classmethod
    def of(cls, card: FitCard, inference: Inference) -> "FittedRhythm":
        """From what is saved."""
        arrays = inference.arrays
        a = {name: draw_last(array) for name, array in arrays.items()}
        draws = Coefficients(
            rate=a["rate"],
            dip=a["dip"],
            frailty=a["frailty"],
            alive=a["alive"],
            extra=a["extra"],
            inverse_dip_length=np.exp(-a["log_dip_length"]),
            decline=a["decline"],
            next_level=a["next_level"],
            product_shock=a["product_shock"],
            arrival=a["arrival"],
            arrival_shape=a["arrival_shape"],
        )
        season, base = Season.from_arrays(a), BaseRates(*a["base_rates"].tolist())
        return cls(card, arrays, season, base, draws, inference=inference)

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        ids, offset = patterns.product_offsets()
        n = len(patterns)
        results = Results.empty(len(ids), n, draws, weeks)
        if not n:
            return results.predictions(patterns, URN_WEIGHT)
        index = np.arange(draws) * len(self.draws.decline) // draws
        c = Coefficients(*(np.ascontiguousarray(a[..., index]) for a in self.draws))
        c = c._replace(next_level=in_strata(c.next_level, self.draws.next_level))
        known, blocks = activity(patterns, self.season, self.base), BLOCKS
        if TREES in self.arrays:
            blocks = BOOSTED_BLOCKS
            trees = Trees(self.arrays[TREES], self.arrays[BASE])
            known = with_boosted(known, trees, self.season, patterns.as_of_date)
        places = _places(blocks)
        season = self.season.week_levels(patterns.as_of_date, REACH_WEEKS)
        ahead = np.append(0.0, np.cumsum(season))
        declined = np.minimum(np.arange(REACH_WEEKS), HORIZON_WEEKS - 1)[:, None] * c.decline
        pace = season[:, None] * np.exp(-declined)
        arrival = newcomer_columns(patterns, self.season, self.base.newcomers)
        new, levels = known.select(slice(n, None)), np.array(QUANTILES)
        for j, product_id in enumerate(ids):
            rng = streams.product(int(product_id))
            strata = (rng.permutation(draws) + rng.random(draws)) / draws
            shock = c.next_level + c.product_shock * ndtri(strata)
            shared = WeeklyDraws(c, places, NODE, NODE_WEIGHT, shock, pace, ahead)
            part = slice(offset[j], offset[j + 1])
            urn, out = Urn.of(patterns, part, URN_WEIGHT), results.of_product(j, part)
            arrivals = WeeklyArrivals(arrival[j], season[:weeks])
            predict_new_pairs(rng, new, j, arrivals, shared, urn, out)
            results.settle_new_pairs(j)
            predict_pairs(rng, known.select(part), shared, urn, levels, out)
        predictions = results.predictions(patterns, URN_WEIGHT)
        return (
            pooled(predictions, self.arrays[WEEK_TREES])
            if WEEK_TREES in self.arrays
            else predictions
        )


def in_strata(some: Floats, draws: Floats) -> Floats:
    """``some`` of the ``draws``, moved to the middles of as many strata of all, in their order.

    All products share the level of the window: were it drawn at random, so would be their total.
    """
    moved = np.empty(len(some))
    moved[np.argsort(some)] = np.quantile(draws, (np.arange(len(some)) + 0.5) / len(some))
    return moved


def _places(blocks: Blocks) -> Places:
    """Where the columns of each block stand among a row's values."""
    restarted = np.array([blocks["rate"].index(name) for name in RESTARTED])
    return Places(**{block: column(names) for block, names in blocks.items()}, restarted=restarted)
