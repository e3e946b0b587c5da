"""``rhythm``'s predictions: paths of all pairs under draws of the population."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.parts.fitting.posterior_file import draw_last
from models.parts.kernels.weekly import HORIZON_WEEKS, NODE, NODE_WEIGHT
from models.parts.kernels.weekly_paths import WeeklyArrivals, predict_new_pairs, predict_pairs
from models.parts.kernels.weekly_states import REACH_WEEKS, Coefficients, Places, WeeklyDraws
from models.parts.pair.results import Results
from models.parts.pair.sizes import URN_WEIGHT, Urn
from models.parts.pair.streams import Begin, Draw, draw_all, draw_apart
from models.parts.rhythm.activity import (
    BLOCKS,
    BOOSTED_BLOCKS,
    RESTARTED,
    Activity,
    BaseRates,
    Blocks,
    activity,
    column,
)
from models.parts.rhythm.boosting import Trees, with_boosted
from models.parts.rhythm.drift import Drift
from models.parts.rhythm.newcomers import newcomer_columns
from models.parts.rhythm.pair_pooling import others
from models.parts.rhythm.season import Season
from toolkit.data.tables import QUANTILES, Floats, Ints, PairDraws, Patterns, Predictions
from toolkit.model import Streams

DRIFT = "drift"
"""Of products' levels, among what a fit saves."""
TREES, BASE = "trees", "trees_base"
"""Of the boosted column."""
PAIR_TREES, PAIR_BASE = "pair_trees", "pair_trees_base"
"""Of the trees that pairs are pooled with."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What paths are drawn from."""

    season: Season
    drift: Drift
    base: BaseRates
    draws: Coefficients
    column: Trees | None  # that make the boosted column
    pool: Trees | None  # that pairs are pooled with

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Predictor":
        """From draws of the posterior, [draw, …], and constants, by their names."""
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
        return cls(
            Season.from_arrays(a),
            Drift(*a[DRIFT].tolist()),
            BaseRates(*a["base_rates"].tolist()),
            draws,
            Trees(arrays[TREES], arrays[BASE]) if TREES in arrays else None,
            Trees(arrays[PAIR_TREES], arrays[PAIR_BASE]) if PAIR_TREES in arrays else None,
        )

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        results = Results.empty(len(patterns.product_offsets()[0]), len(patterns), draws, weeks)
        if len(patterns):
            draw_all(patterns, self._begin(patterns, results, streams))
        return results.predictions(patterns, URN_WEIGHT)

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows`` order in each draw of ``predict``."""
        products = len(patterns.product_offsets()[0])
        results = Results.empty(products, len(patterns), draws, weeks)
        return draw_apart(patterns, rows, results, self._begin(patterns, results, streams))

    def _begin(self, patterns: Patterns, results: Results, streams: Streams) -> Begin:
        _, draws, weeks = results.orders.shape
        ids, _ = patterns.product_offsets()
        ahead = self.ahead(patterns.as_of_date, weeks, draws, streams)
        known, levels = self.rows(patterns), np.array(QUANTILES)
        arrival = newcomer_columns(patterns, self.season, self.base.newcomers)
        new = known.select(slice(len(patterns), None))
        by_trees, pace = others(patterns, self.pool), ahead.pace()
        season = ahead.season[:weeks, None] * ahead.factors

        def begin(j: int, part: slice) -> Draw:
            rng, strata = streams.product(int(ids[j])), np.arange(draws)
            shared = self.shared(ahead, ahead.levels(rng), pace)
            urn, arrivals = Urn.of(patterns, part, URN_WEIGHT), WeeklyArrivals(arrival[j], season)
            predict_new_pairs(rng, new, j, arrivals, shared, urn, results.of_product(j, part))
            results.settle_new_pairs(j)

            def draw(some: slice) -> None:
                predict_pairs(
                    rng,
                    known.select(some),
                    by_trees.select(some),
                    shared,
                    urn.starting_at(some.start - part.start),
                    levels,
                    strata,
                    results.of_product(j, some),
                )

            return draw

        return begin

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
        """The pairs in ``rows`` once more, under the same population, weeks and shocks."""
        results = Results.empty(len(rows), len(rows), draws, weeks)
        ahead = self.ahead(patterns.as_of_date, weeks, draws, streams)
        known, by_trees, pace = self.rows(patterns), others(patterns, self.pool), ahead.pace()
        for i, row in enumerate(rows.tolist()):
            part, own = patterns.of_same_product(row), slice(row, row + 1)
            product_id, customer_id = int(patterns.product_id[row]), int(patterns.customer_id[row])
            predict_pairs(
                streams.again(product_id, customer_id, number),
                known.select(own),
                by_trees.select(own),
                self.shared(ahead, ahead.levels(streams.product(product_id)), pace),
                Urn.of(patterns, part, URN_WEIGHT).starting_at(row - part.start),
                np.array(QUANTILES),
                np.arange(draws),
                results.of_product(i, slice(i, i + 1)),
            )
        return results.pair_draws

    def rows(self, patterns: Patterns) -> Activity:
        """The rows of all pairs, then of a new one for each product, with the boosted column."""
        known = activity(patterns, self.season, self.base)
        if self.column is None:
            return known
        return with_boosted(known, self.column, self.season, patterns.as_of_date)

    @property
    def blocks(self) -> Blocks:
        """The columns of each block of coefficients."""
        return BLOCKS if self.column is None else BOOSTED_BLOCKS

    def ahead(self, as_of_date: date, weeks: int, draws: int, streams: Streams) -> "Ahead":
        """What all products share, under ``draws`` draws of the population."""
        index = np.arange(draws) * len(self.draws.decline) // draws
        c = Coefficients(*(np.ascontiguousarray(a[..., index]) for a in self.draws))
        c = c._replace(next_level=in_strata(c.next_level, self.draws.next_level))
        season = self.season.week_levels(as_of_date, REACH_WEEKS)
        factors = self.season.week_factors(as_of_date, weeks, draws, streams.shared())
        return Ahead(c, season, factors, self.drift)

    def shared(self, ahead: "Ahead", levels: "Levels", pace: Floats) -> WeeklyDraws:
        """What a product's pairs share; ``pace`` of all products."""
        week = np.minimum(np.arange(REACH_WEEKS), len(levels.by_week) - 1)
        pace = pace * levels.by_week[week]
        season = np.append(0.0, np.cumsum(ahead.season))
        places = _places(self.blocks)
        shock = levels.of_all + levels.own
        return WeeklyDraws(ahead.draws, places, NODE, NODE_WEIGHT, shock, pace, season)


class Ahead(NamedTuple):
    """What all products share of the weeks to come."""

    draws: Coefficients
    season: Floats  # [REACH_WEEKS], the level of each week
    factors: Floats  # [weeks, draws], what it may be off by
    drift: Drift

    def pace(self) -> Floats:
        """Season, what it may be off by, and decline of each week, [REACH_WEEKS, draws]."""
        declined = np.minimum(np.arange(REACH_WEEKS), HORIZON_WEEKS - 1)[:, None]
        pace: Floats = self.season[:, None] * np.exp(-declined * self.draws.decline)
        pace[: len(self.factors)] *= self.factors
        return pace

    def levels(self, rng: np.random.Generator) -> "Levels":
        """How a product's pairs are off together, drawn anew."""
        draws = len(self.draws.decline)
        strata = (rng.permutation(draws) + rng.random(draws)) / draws
        scale, z = self.draws.product_shock, ndtri(strata)
        (weeks,) = rng.spawn(1)  # what follows is the same, however many weeks are asked for
        return Levels(self.draws.next_level, *self.drift.draw(weeks, scale, z, len(self.factors)))


class Levels(NamedTuple):
    """By how much the hazards of a product's pairs are off, in logs and, by week, in times."""

    of_all: Floats  # [draws], as all products are
    own: Floats  # [draws]
    by_week: Floats  # [weeks + 1, draws], its own, too; the last is every later week's

    def only(self, *, of_all: bool, own: bool) -> "Levels":
        """As if the others were known not to be off."""
        by_week = self.by_week if own else np.ones_like(self.by_week)
        return Levels(of_all * self.of_all, own * self.own, by_week)


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
