"""Units by product and week: paths of pairs, pooled with what trees on product-weeks expect.

The trees see a product as one series and know best how it bends with the weeks; the paths know who
stands behind it, and how sure one can be. Both have the season of all orders: the trees see weeks
divided by their level (those before the date as it was observed), and what they expect of a week is
times what the season says of it. What moves all products would else be learnt from sixty weeks
with a holiday or two. The pool is the weighted geometric mean of both expectations,

    log E = ⅓ log E_paths + ⅔ log E_trees,

and every path's units in that week, each customer's among them, are moved by the one factor
E / E_paths: draws stay coherent from the pair to the total, and who orders when is left as it is.
The weights are the best on four earlier dates together (docs/accuracy.md); those learned on one
alone forecast worse than equal ones.

How far a week may be off its expectation both know, too: trees for quantiles how such products
varied, the paths who may order. The draw of rank i among n becomes

    ½ x_(i) + ½ Q((i − ½) / n),

Q being the trees' quantiles, linear in between, and above the highest as far beyond it as the
paths' draws are; all draws of a week then by one factor, so that their mean stays. Ranks stay, and
so does what moves together; a week without an order stays one: whose would its units be? Draws that
are equal are ranked at random, by product and week: by their index, the same draws would be the
high ones of every product, and sums of products far too wide.

Source: Bates & Granger (1969), doi:10.1057/jors.1969.103, for pooling; Genest & Zidek (1986),
doi:10.1214/ss/1177013825, for the logarithmic pool; Ratcliff (1979),
doi:10.1037/0033-2909.86.3.446, for means of quantile functions (Vincent's).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.rhythm.season import Season
from models.parts.special_days import NO_SPECIAL_DAYS
from models.parts.trees import TreeText
from models.parts.week_trees import (
    FEWEST_WEEKS,
    OBJECTIVES,
    ROWS,
    SEEN_WEEKS,
    TRAINED_WEEKS,
    Training,
    forecast,
    train,
)
from models.parts.weekly_demand import WeeklyDemand
from toolkit.data.tables import (
    QUANTILES,
    DemandFactors,
    Floats,
    Ints,
    PairDraws,
    Patterns,
    Predictions,
)
from toolkit.model import Streams

WEIGHT = 2.0 / 3.0
"""Of the trees, in the mean of logs."""
WIDEST = 10.0
"""Where expectations are further apart than so many times, they are taken to be so far apart."""


SHAPE_WEIGHT = 0.5
"""Of the trees, in the mean of quantile functions."""
SAVED = "week_trees_"
"""What they are called among what a fit saves begins with it."""

type Draws = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WeekTrees:
    """Trees on product-weeks by objective: the mean, and each of ``QUANTILES``."""

    texts: Mapping[str, TreeText]

    @classmethod
    def grow(
        cls, patterns: Patterns, season: Season, seed: int, cores: int = 1
    ) -> "WeekTrees | None":
        """From the weeks before the date; None where none of them tells of any demand."""
        past = _at_levels(patterns, season, TRAINED_WEEKS)
        training = Training.of(past, NO_SPECIAL_DAYS, patterns.as_of_date, ROWS, seed)
        return cls(train(training, seed, cores)) if training.label.any() else None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "WeekTrees | None":
        """Those among what a fit saved."""
        texts = {name: arrays[SAVED + name] for name in OBJECTIVES if SAVED + name in arrays}
        return cls(texts) if texts else None

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """To be saved, by name."""
        return {SAVED + name: text for name, text in self.texts.items()}

    def forecast(
        self, patterns: Patterns, season: Season, ahead: Season, weeks: int
    ) -> tuple[Floats, Floats]:
        """Means, [products, weeks], and quantiles, [QUANTILES, products, weeks].

        0 of products that were known for less than six weeks: the trees saw none such.
        """
        past = _at_levels(patterns, season, SEEN_WEEKS)
        known = (past.weeks_known >= FEWEST_WEEKS)[:, None]
        level = known * ahead.week_levels(patterns.as_of_date, weeks)
        texts = [self.texts[name] for name in OBJECTIVES]
        mean, *quantiles = forecast(texts, past, NO_SPECIAL_DAYS, patterns.as_of_date, weeks)
        return mean * level, np.sort(np.stack(quantiles), axis=0) * level


def pooled(own: Predictions, trees: WeekTrees, season: Season, streams: Streams) -> Predictions:
    """The predictions with their units moved to the pool of both expectations and shapes."""
    if not len(own.patterns):
        return own
    factor, of_draws = _both_factors(own, trees, season, streams)
    pairs, products = own.pairs, own.products
    of_pair = np.repeat(factor, np.diff(own.patterns.product_offsets()[1]), axis=0)
    return replace(
        own,
        pairs=replace(pairs, expected_quantity=pairs.expected_quantity * of_pair),
        products=replace(
            products,
            quantity=products.quantity * of_draws,
            expected_quantity=products.expected_quantity * factor,
            known_expected_quantity=products.known_expected_quantity * factor,
        ),
    )


def pooled_again(
    again: PairDraws, rows: Ints, own: Predictions, trees: WeekTrees, season: Season
) -> PairDraws:
    """The units of pairs in ``rows`` that were drawn once more, moved as their product's are
    expected to: given what all share they are independent of its other draws, and of their ranks.
    """
    if not len(rows):
        return again
    ids, _ = own.patterns.product_offsets()
    product = np.searchsorted(ids, own.patterns.product_id[rows])
    factor = factors(own, trees, season)[product, :, None].astype(np.float32)
    return replace(again, quantity=again.quantity * factor)


def pooled_apart(
    apart: PairDraws,
    rows: Ints,
    own: Predictions,
    trees: WeekTrees,
    season: Season,
    streams: Streams,
) -> PairDraws:
    """What pairs in ``rows`` order in draws of their products, moved as each of these draws is."""
    if not len(rows):
        return apart
    ids, _ = own.patterns.product_offsets()
    _, of_draws = _both_factors(own, trees, season, streams)
    product = np.searchsorted(ids, own.patterns.product_id[rows])
    return replace(apart, quantity=apart.quantity * of_draws[product])


def pooled_factors(
    of_paths: DemandFactors, own: Predictions, trees: WeekTrees, seasons: tuple[Season, Season]
) -> DemandFactors:
    """By how many times the pool differs in a second season, where the paths do ``of_paths``."""
    if not len(own.patterns):
        return of_paths
    expected = own.products.expected_quantity * of_paths.expected[1]
    moved = replace(own, products=replace(own.products, expected_quantity=expected))
    before, after = (
        factors(one, trees, seasons[0], ahead)
        for one, ahead in zip((own, moved), seasons, strict=True)
    )
    by = np.stack([np.ones_like(after), after / before])  # orders stay the paths'
    return DemandFactors(of_paths.draws * by[..., None].astype(np.float32), of_paths.expected * by)


def factors(
    own: Predictions, trees: WeekTrees, season: Season, ahead: Season | None = None
) -> Floats:
    """What moves the units of products to the pool, [products, weeks].

    ``ahead``: the season of the weeks to come, if it is another.
    """
    mean, _ = trees.forecast(own.patterns, season, ahead or season, own.weeks)
    return _factor(own.products.expected_quantity, mean)


def _both_factors(
    own: Predictions, trees: WeekTrees, season: Season, streams: Streams
) -> tuple[Floats, Draws]:
    """What moves expected units, [products, weeks], and each draw, [products, weeks, draws]."""
    mean, quantiles = trees.forecast(own.patterns, season, season, own.weeks)
    expected = own.products.expected_quantity
    factor = _factor(expected, mean)
    moved = own.products.quantity * factor[..., None].astype(np.float32)
    return factor, factor[..., None].astype(np.float32) * _shape(
        moved,
        np.where(expected > 0, quantiles, 0.0),
        _among_equals(own.products.product_id, moved, streams),
    )


def _at_levels(patterns: Patterns, season: Season, weeks: int) -> WeeklyDemand:
    """The last weeks, each divided by the season's level of it."""
    first = patterns.as_of_date - timedelta(weeks=weeks)
    return WeeklyDemand.of(patterns, weeks).at_levels(season.week_levels(first, weeks))


def _factor(paths: Floats, trees: Floats) -> Floats:
    """What moves the paths' units, [products, weeks]; 1 where one of both expects nothing."""
    both = (paths > 0) & (trees > 0)
    ratio = np.divide(trees, paths, out=np.ones_like(paths), where=both)
    factor: Floats = np.clip(ratio, 1.0 / WIDEST, WIDEST) ** WEIGHT
    return factor


def _among_equals(product_id: Ints, draws: Draws, streams: Streams) -> Draws:
    """What equal draws are ranked by, a product's and first weeks' always the same numbers."""
    by: Draws = np.empty(draws.shape, dtype=np.float32)  # week by week, however draws lie
    for of_product, number in zip(by, product_id.tolist(), strict=True):
        _, rng = streams.product(number).spawn(2)  # the paths use the first
        rng.random(out=of_product, dtype=np.float32)
    return by


def _shape(draws: Draws, quantiles: Floats, among_equals: Draws) -> Draws:
    """What moves each draw to the mean of both quantile functions, their mean kept.

    1 where there is no draw above 0 or no quantile, [products, weeks, draws].
    """
    order = np.lexsort((among_equals, draws), axis=2)
    own = np.take_along_axis(draws, order, axis=2)
    said = _at_ranks(quantiles, own)
    mixed = np.where(own > 0, (1 - SHAPE_WEIGHT) * own + SHAPE_WEIGHT * said, 0)
    total = mixed.sum(axis=2, keepdims=True)
    kept = np.divide(
        own.sum(axis=2, keepdims=True), total, out=np.ones_like(total), where=total > 0
    )
    by = np.divide(mixed * kept, own, out=np.ones_like(own), where=own > 0)
    by[~quantiles.any(axis=0)] = 1.0
    moved = np.empty_like(by)
    np.put_along_axis(moved, order, by, axis=2)
    return moved


def _at_ranks(quantiles: Floats, own: Draws) -> Draws:
    """The trees' quantile function at the ranks of draws in order, [products, weeks, draws]."""
    levels, number = np.array(QUANTILES), own.shape[2]
    at = (np.arange(number) + 0.5) / number
    low = np.clip(np.searchsorted(levels, at) - 1, 0, len(levels) - 2)
    share = ((at - levels[low]) / (levels[low + 1] - levels[low])).astype(np.float32)
    of_trees = np.moveaxis(quantiles.astype(np.float32), 0, 2)
    said: Draws = np.maximum(of_trees[..., low] * (1 - share) + of_trees[..., low + 1] * share, 0)
    last = max(0, int(np.searchsorted(at, levels[-1], side="right")) - 1)
    known = own[..., last] > 0
    beyond = own[known, last + 1 :] / own[known, last, None]
    said[known, last + 1 :] = said[known, last, None] * beyond
    return said
