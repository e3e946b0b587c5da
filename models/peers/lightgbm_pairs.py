"""``lightgbm_pairs``: boosted trees on recency, frequency, customer and product, per pair.

What it assumes
    What pairs did in the twelve weeks after an earlier date, given what was known of them then,
    tells what they will do now. It was looked at from 84, 112 and 140 days before the as-of date
    (so that all twelve weeks are known before it), by pairs that had ordered by then. Columns:
    counts of the pair's, the customer's and the product's orders over 7 to 364 days and over the
    same weeks a year ago, faded counts, intervals, open interval, ratios of these
    (``models/parts/pair_features.py``).

When it is right
    Who orders within the next weeks, from everything that is known of customer and product; it is
    the strongest of the peers on pairs.

When it is wrong
    Whatever sets the coming weeks apart from those it was trained on: seasons, above all. It knows
    no dates within a week, no lapse (P(alive) is 1), no customers new to a product, and makes no
    whole paths of orders.

Parameters
    Trees for the expected count of twelve weeks (Poisson) and for an order by week 1, 2, 4, 8 and
    12 (binary): 300 rounds for the count and 150 for the others, 31 leaves, learning rate 0.05, at
    most 150,000 rows, all chosen on earlier dates than any reported. They are made to agree:
    P(order by week) rises with the week and does not exceed the expected count; week 4 stands as
    it is. Between those weeks, and after the last, the hazard is constant.
    The count is 0 with the probability that week 12 leaves, else 1 + negative binomial with the
    expected mean; its spread is estimated from the training rows. Expected interval: 84 days over
    the expected count. Quantities: the pair's mean.

Sources
    Friedman (2001), doi:10.1214/aos/1013203451; van Houwelingen (2007),
    doi:10.1111/j.1467-9469.2006.00529.x, for training from earlier dates. Fitted by LightGBM.
"""

import numpy as np

from models.parts.fitting.card import Arrays
from models.parts.pair_trees import ROWS, HistoryRows, columns_of
from models.peers.parts.learned import LearnedRule
from models.peers.parts.pair_trees import (
    HORIZON_WEEKS,
    MARK_DAYS,
    Answers,
    counts_of,
    spread_of_counts,
    train,
)
from models.peers.parts.tables import no_products
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILES,
    Floats,
    PairPredictions,
    Patterns,
    Predictions,
)
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams

NAME = "lightgbm_pairs"
HORIZON_DAYS = DAYS_PER_WEEK * HORIZON_WEEKS
FEWEST_ORDERS = 1e-3
MEDIAN = QUANTILES.index(0.50)


def learn(patterns: Patterns, settings: FitSettings, seed: int) -> tuple[Arrays, int]:
    """Grow the trees from what pairs did after the earlier dates."""
    rows = HistoryRows.of(patterns, MARK_DAYS, HORIZON_WEEKS, settings.pairs or ROWS, seed)
    if not rows.orders.any():
        raise ModelError(
            f"{NAME} learns from what pairs did in {HORIZON_WEEKS} weeks after earlier "
            f"dates, and before {patterns.as_of_date} none did anything: nothing to fit"
        )
    trees = train(rows, seed)
    spread = spread_of_counts(Answers.of(trees, rows.columns), rows.orders)
    return {**trees, "spread": np.array(spread)}, len(rows.orders)


def forecast(
    arrays: Arrays, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
) -> Predictions:
    """Predict every pair over ``weeks`` weeks; nothing is drawn."""
    answers = Answers.of(arrays, columns_of(patterns))
    pairs = predict_pairs(answers, patterns, weeks, float(arrays["spread"]))
    products = no_products(patterns.product_offsets()[0], weeks, draws)
    return Predictions(patterns, weeks, pairs, products)


def predict_pairs(
    answers: Answers, patterns: Patterns, weeks: int, spread: float
) -> PairPredictions:
    """What follows from the trees' answers for ``weeks`` weeks."""
    wait = answers.wait(weeks)
    p_by_week = p_by_weeks(answers, max(weeks, HORIZON_WEEKS))
    orders_by = answers.orders_by(p_by_week)[:, :weeks]
    p_by_week = p_by_week[:, :weeks]
    orders = np.diff(orders_by, axis=1, prepend=0.0)
    interval = HORIZON_DAYS / np.maximum(answers.orders, FEWEST_ORDERS)
    quantiles = wait.quantiles()
    size = patterns.total_quantity / patterns.order_count
    return PairPredictions(
        p_alive=np.ones(len(patterns)),
        confidence=wait.confidence(quantiles[:, MEDIAN], interval),
        expected_interval=interval,
        open_interval_p=np.exp(-patterns.open_interval / interval),
        next_order_day=quantiles[:, MEDIAN],
        next_order_quantiles=quantiles,
        p_order_by_week=p_by_week,
        expected_orders=orders,
        expected_quantity=orders * size[:, None],
        order_count_p=counts_of(p_by_week[:, -1], orders_by[:, -1], spread),
    )


def p_by_weeks(answers: Answers, weeks: int) -> Floats:
    """P(an order by the end of each week), [pairs, weeks]."""
    wait, pairs = answers.wait(weeks), len(answers.orders)
    ends = DAYS_PER_WEEK * np.arange(1.0, weeks + 1)
    return np.stack([wait.by(np.full(pairs, end)) for end in ends], axis=1)


MODEL = LearnedRule(NAME, "1", __doc__ or "", ("pairs",), learn, forecast, reads_customer_days=True)
