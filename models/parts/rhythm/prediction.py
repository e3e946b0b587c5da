"""``rhythm``'s predictions: paths of all pairs under draws of the population."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.parts.fitting.posterior_file import draw_last
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
from models.parts.rhythm.boosting import Trees, with_boosted
from models.parts.rhythm.newcomers import newcomer_columns
from models.parts.rhythm.pair_pooling import others
from models.parts.rhythm.season import Season
from toolkit.data.tables import QUANTILES, Floats, Patterns, Predictions
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
        index = np.arange(draws) * len(self.draws.decline) // draws
        c = Coefficients(*(np.ascontiguousarray(a[..., index]) for a in self.draws))
        c = c._replace(next_level=in_strata(c.next_level, self.draws.next_level))
        known, blocks = activity(patterns, self.season, self.base), BLOCKS
        if self.column is not None:
            blocks = BOOSTED_BLOCKS
            known = with_boosted(known, self.column, self.season, patterns.as_of_date)
        places = _places(blocks)
        season = self.season.week_levels(patterns.as_of_date, REACH_WEEKS)
        ahead = np.append(0.0, np.cumsum(season))
        factors = self.season.week_factors(patterns.as_of_date, weeks, draws, streams.shared())
        declined = np.minimum(np.arange(REACH_WEEKS), HORIZON_WEEKS - 1)[:, None] * c.decline
        pace = season[:, None] * np.exp(-declined)
        pace[:weeks] *= factors
        arrival = newcomer_columns(patterns, self.season, self.base.newcomers)
        new, levels = known.select(slice(n, None)), np.array(QUANTILES)
        by_trees = others(patterns, self.pool)
        for j, product_id in enumerate(ids):
            rng = streams.product(int(product_id))
            strata = (rng.permutation(draws) + rng.random(draws)) / draws
            shock = c.next_level + c.product_shock * ndtri(strata)
            shared = WeeklyDraws(c, places, NODE, NODE_WEIGHT, shock, pace, ahead)
            part = slice(offset[j], offset[j + 1])
            urn, out = Urn.of(patterns, part, URN_WEIGHT), results.of_product(j, part)
            arrivals = WeeklyArrivals(arrival[j], season[:weeks, None] * factors)
            predict_new_pairs(rng, new, j, arrivals, shared, urn, out)
            results.settle_new_pairs(j)
            predict_pairs(rng, known.select(part), by_trees.select(part), shared, urn, levels, out)
        return results.predictions(patterns, URN_WEIGHT)


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
