"""``lightgbm_weeks``: boosted trees on a product's weeks, for each quantile and the mean.

What it assumes
    How a week's quantity follows from the weeks before it is the same for all products, once both
    are measured by the product's recent weekly mean. Columns: lags, rolling means, extremes and
    spread, orders, weeks without demand, age, the same week a year ago, week of the year, a
    calendar's special days in the week and those beside it, and the distance of the week to be
    forecast, 1 to 12: forecasts are direct, none feeds the next.

When it is right
    Many products with a common pattern of drift and intermittence; it is the usual winner among
    global methods.

When it is wrong
    Products unlike the others, the first year (no season is known), what single customers do. Weeks
    are drawn independently: the sum over the horizon is too narrow.

Parameters
    Tweedie trees (power 1.3) for the mean, quantile trees at the seven levels, sorted: 150 rounds
    of 31 leaves, learning rate 0.05. Rows: every product from every second of the last 60 weeks,
    four of the twelve distances each, at most 120,000, weighed by the product's mean to the
    power ¾: the loss of the quantities themselves (power 1) neglects small products, whose
    intervals it leaves too narrow. All chosen on earlier dates than any reported. Less than half
    of what a product's smallest week had is no order.

Sources
    Friedman (2001), doi:10.1214/aos/1013203451; Makridakis, Spiliotis & Assimakopoulos (2022),
    doi:10.1016/j.ijforecast.2021.11.013, where such trees won. Fitted by LightGBM.
"""

import numpy as np

from models.parts import week_trees
from models.parts.fitting.card import Arrays
from models.parts.special_days import SpecialDays
from models.parts.week_trees import (
    OBJECTIVES,
    ROWS,
    SEEN_WEEKS,
    TRAINED_WEEKS,
    Training,
    train,
)
from models.parts.weekly_demand import WeeklyDemand
from models.peers.parts.learned import LearnedRule
from models.peers.parts.tables import at_levels, no_pairs, quantities_only, spread
from toolkit.data.tables import Floats, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams

NAME = "lightgbm_weeks"


def learn(patterns: Patterns, settings: FitSettings, seed: int) -> tuple[Arrays, int]:
    """Grow the trees from product-weeks before the date."""
    special = SpecialDays.of_patterns(settings.calendar, patterns)
    past, most = WeeklyDemand.of(patterns, TRAINED_WEEKS), settings.pairs or ROWS
    training = Training.of(past, special, patterns.as_of_date, most, seed)
    if not training.label.any():
        raise ModelError(
            f"{NAME} learns from products that were known for some weeks, and before "
            f"{patterns.as_of_date} there is none with demand since: nothing to fit"
        )
    return {**train(training, seed, settings.cores), **special.arrays}, len(training.label)


def forecast(
    arrays: Arrays, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
) -> Predictions:
    """Predict every product's weekly quantities."""
    past = WeeklyDemand.of(patterns, SEEN_WEEKS)
    trees = [arrays[name] for name in OBJECTIVES]
    special = SpecialDays.from_arrays(arrays)
    mean, *quantiles = week_trees.forecast(trees, past, special, patterns.as_of_date, weeks)
    levels = spread(past.product_id, weeks, draws, streams)
    drawn = at_levels(np.sort(np.stack(quantiles, axis=-1), axis=-1), levels)
    drawn[drawn < half_an_order(past)[:, None, None]] = 0.0
    products = quantities_only(past.product_id, drawn, mean)
    return Predictions(patterns, weeks, no_pairs(len(patterns), weeks), products)


def half_an_order(past: WeeklyDemand) -> Floats:
    """Half of the smallest quantity that a week with demand had: less is none, [products]."""
    least = np.where(past.quantity > 0, past.quantity, np.inf).min(axis=1)
    return np.where(np.isfinite(least), least / 2.0, 0.0)


MODEL = LearnedRule(NAME, "2", __doc__ or "", ("products",), learn, forecast, reads_calendar=True)
