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
from models.parts.rhythm.newcomers import newcomer_columns
from models.parts.rhythm.pair_pooling import others
from models.parts.rhythm.season import Season
from toolkit.data.tables import QUANTILES, Floats, Ints, PairDraws, Patterns, Predictions
from toolkit.model import Streams

TREES, BASE = "trees", "trees_base"
"""Of the boosted column, among what a fit saves."""
PAIR_TREES, PAIR_BASE = "pair_trees", "pair_trees_base"
"""Of the trees that pairs are pooled with."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What paths are drawn from."""

    season: Season
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
            BaseRates(*a["base_rates"].tolist()),
            draws,
            Trees(arrays[TREES], arrays[BASE]) if TREES in arrays else None,
            Trees(arrays[PAIR_TREES], arrays[PAIR_BASE]) if PAIR_TREES in arrays else None,
        )

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        ids, offset = patterns.product_offsets()
        n = len(patterns)
        results = Results.empty(len(ids), n, draws, weeks)
        if not n:
            return results.predictions(patterns, URN_WEIGHT)
        ahead = self.ahead(patterns.as_of_date, weeks, draws, streams)
        known = self.rows(patterns)
        arrival = newcomer_columns(patterns, self.season, self.base.newcomers)
        new, levels = known.select(slice(n, None)), np.array(QUANTILES)
        by_trees, pace = others(patterns, self.pool), ahead.pace()
        for j, product_id in enumerate(ids):
            rng = streams.product(int(product_id))
            level, shock = ahead.shocks(rng)
            shared = self.shared(ahead, level + shock, pace)
            part = slice(offset[j], offset[j + 1])
            urn, out = Urn.of(patterns, part, URN_WEIGHT), results.of_product(j, part)
            arrivals = WeeklyArrivals(arrival[j], ahead.season[:weeks, None] * ahead.factors)
            predict_new_pairs(rng, new, j, arrivals, shared, urn, out)
            results.settle_new_pairs(j)
            predict_pairs(rng, known.select(part), by_trees.select(part), shared, urn, levels, out)
        return results.predictions(patterns, URN_WEIGHT)

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
            level, shock = ahead.shocks(streams.product(product_id))
            predict_pairs(
                streams.again(product_id, customer_id, number),
                known.select(own),
                by_trees.select(own),
                self.shared(ahead, level + shock, pace),
                Urn.of(patterns, part, URN_WEIGHT).starting_at(row - part.start),
                np.array(QUANTILES),
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
        return Ahead(c, season, factors)

    def shared(self, ahead: "Ahead", shock: Floats, pace: Floats) -> WeeklyDraws:
        """What a product's pairs share; ``shock`` [draws], with the level of all."""
        season = np.append(0.0, np.cumsum(ahead.season))
        places = _places(self.blocks)
        return WeeklyDraws(ahead.draws, places, NODE, NODE_WEIGHT, shock, pace, season)


class Ahead(NamedTuple):
    """What all products share of the weeks to come."""

    draws: Coefficients
    season: Floats  # [REACH_WEEKS], the level of each week
    factors: Floats  # [weeks, draws], what it may be off by

    def pace(self) -> Floats:
        """Season, what it may be off by, and decline of each week, [REACH_WEEKS, draws]."""
        declined = np.minimum(np.arange(REACH_WEEKS), HORIZON_WEEKS - 1)[:, None]
        pace: Floats = self.season[:, None] * np.exp(-declined * self.draws.decline)
        pace[: len(self.factors)] *= self.factors
        return pace

    def shocks(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The level of all products in the window, and a product's own shock, both [draws]."""
        draws = len(self.draws.decline)
        strata = (rng.permutation(draws) + rng.random(draws)) / draws
        return self.draws.next_level, self.draws.product_shock * ndtri(strata)


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
