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

Source: Bates & Granger (1969), doi:10.1057/jors.1969.103, for pooling; Genest & Zidek (1986),
doi:10.1214/ss/1177013825, for the logarithmic pool.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from models.parts.rhythm.season import Season
from models.parts.special_days import NO_SPECIAL_DAYS
from models.parts.trees import TreeText
from models.parts.week_trees import (
    FEWEST_WEEKS,
    MEAN,
    ROWS,
    SEEN_WEEKS,
    TRAINED_WEEKS,
    Training,
    forecast,
    train,
)
from models.parts.weekly_demand import WeeklyDemand
from toolkit.data.tables import DemandFactors, Floats, Ints, PairDraws, Patterns, Predictions

WEIGHT = 2.0 / 3.0
"""Of the trees, in the mean of logs."""
WIDEST = 10.0
"""Where expectations are further apart than so many times, they are taken to be so far apart."""


def grow_week_trees(patterns: Patterns, season: Season, seed: int) -> TreeText:
    """Trees for the mean of a product's week, or none where no week tells of any demand."""
    past = _at_levels(patterns, season, TRAINED_WEEKS)
    training = Training.of(past, NO_SPECIAL_DAYS, patterns.as_of_date, ROWS, seed)
    if not training.label.any():
        return np.zeros(0, dtype=np.uint8)
    return train(training, seed, {"mean": MEAN})["mean"]


def pooled(own: Predictions, trees: TreeText, season: Season) -> Predictions:
    """The predictions with their units moved to the pool of both expectations."""
    if not len(trees) or not len(own.patterns):
        return own
    factor = factors(own, trees, season)
    pairs, products = own.pairs, own.products
    of_pair = np.repeat(factor, np.diff(own.patterns.product_offsets()[1]), axis=0)
    return replace(
        own,
        pairs=replace(pairs, expected_quantity=pairs.expected_quantity * of_pair),
        products=replace(
            products,
            quantity=products.quantity * factor[..., None].astype(np.float32),
            expected_quantity=products.expected_quantity * factor,
            known_expected_quantity=products.known_expected_quantity * factor,
        ),
    )


def pooled_again(
    again: PairDraws, rows: Ints, own: Predictions, trees: TreeText, season: Season
) -> PairDraws:
    """The units of pairs in ``rows`` that were drawn once more, moved as their product's are."""
    if not len(trees) or not len(rows):
        return again
    ids, _ = own.patterns.product_offsets()
    product = np.searchsorted(ids, own.patterns.product_id[rows])
    factor = factors(own, trees, season)[product, :, None].astype(np.float32)
    return replace(again, quantity=again.quantity * factor)


def pooled_factors(
    of_paths: DemandFactors, own: Predictions, trees: TreeText, seasons: tuple[Season, Season]
) -> DemandFactors:
    """By how many times the pool differs in a second season, where the paths do ``of_paths``."""
    if not len(trees) or not len(own.patterns):
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
    own: Predictions, trees: TreeText, season: Season, ahead: Season | None = None
) -> Floats:
    """What moves the units of products to the pool, [products, weeks].

    ``ahead``: the season of the weeks to come, if it is another.
    Products that were known for less than six weeks are left as they are: the trees saw none such.
    """
    as_of_date, weeks = own.patterns.as_of_date, own.weeks
    past = _at_levels(own.patterns, season, SEEN_WEEKS)
    (expected,) = forecast([trees], past, NO_SPECIAL_DAYS, as_of_date, weeks)
    expected *= (ahead or season).week_levels(as_of_date, weeks)
    known = past.weeks_known >= FEWEST_WEEKS
    return _factor(own.products.expected_quantity, np.where(known[:, None], expected, 0.0))


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
