"""``faded_frequency``: how often lately, and how popular the product is; the rest is calibration.

What it assumes
    A pair's orders are counted, each the less the older it is (half of it after a half-life): that
    ranks the customers of a product, as baselines of repurchase research do who look for the
    customers of a product in place of the products of a customer. To become a probability it is
    held against what pairs did after earlier dates: over twelve weeks a pair orders as a Poisson
    process whose rate is Gamma with shape k and, per day, mean

        λ = exp(a + b log(own + LEAST) + c log(all + LEAST) − c log(customers)),

    own the faded orders of the pair, all those of the product's customers together.

When it is right
    Who orders soon, where customers are alike but for how much and how lately they order.

When it is wrong
    It knows no intervals: whoever ordered yesterday is the likeliest to order tomorrow, and nobody
    is due. Nor does it know seasons, trends of the customer, or lapse (P(alive) is 1). Nothing is
    said of products: sums over pairs would lack new customers.

Parameters
    The half-life is the one of HALF_LIVES whose fit has the highest likelihood; a, b, c and k are
    the most likely (negative binomial counts of twelve weeks, 84, 112 and 140 days before the
    as-of date, of ROWS rows at most). LEAST = 0.1, fixed. Quantities: the pair's mean.

Sources
    Li, Ariannezhad, Yates & de Rijke (2023), doi:10.1145/3595384, for the task, the customers of an
    item ranked for the next period; the formula is our own. Ehrenberg (1959), doi:10.2307/2985810,
    for the negative binomial.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import nbinom

from models.parts.fitting.card import Arrays
from models.parts.fitting.posterior import Counts, dot, negative_binomial
from models.parts.pair_trees import HistoryRows
from models.peers.parts.learned import LearnedRule
from models.peers.parts.pair_trees import HORIZON_WEEKS, MARK_DAYS
from models.peers.parts.tables import no_products
from models.peers.parts.waiting import Wait, knots
from toolkit.data.tables import (
    COUNTS,
    DAYS_PER_WEEK,
    QUANTILES,
    Floats,
    PairPredictions,
    Patterns,
    Predictions,
    sum_from,
)
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams

NAME = "faded_frequency"
HALF_LIVES = (14.0, 30.0, 60.0, 120.0, 240.0, 480.0)
LEAST = 0.1
ROWS = 50_000
COLUMNS = 3
MEDIAN = QUANTILES.index(0.50)
HORIZON_DAYS = DAYS_PER_WEEK * HORIZON_WEEKS


def faded(patterns: Patterns, half_life: float) -> Floats:
    """1, log of the pair's faded orders, log of its product's per customer, [pairs, COLUMNS]."""
    own = sum_from(np.exp2(patterns.events.day / half_life), patterns.event_offset[:-1])
    customers = np.diff(patterns.product_offsets()[1])
    popularity = np.log(patterns.sum_by_product(own) + LEAST) - np.log(customers)
    return np.column_stack([
        np.ones(len(own)), np.log(own + LEAST), np.repeat(popularity, customers)
    ])  # fmt: skip


def learn(patterns: Patterns, settings: FitSettings, seed: int) -> tuple[Arrays, int]:
    """The most likely half-life, coefficients and shape."""
    rows = HistoryRows.of(
        patterns, MARK_DAYS, HORIZON_WEEKS, settings.pairs or ROWS, seed, _at_all_half_lives
    )
    counts = rows.orders.sum(axis=1)
    if not counts.any():
        raise ModelError(
            f"{NAME} learns from what pairs did in {HORIZON_WEEKS} weeks after earlier "
            f"dates, and before {patterns.as_of_date} none did anything: nothing to fit"
        )
    columns = np.split(rows.columns, len(HALF_LIVES), axis=1)
    found = [most_likely(of_half_life, counts) for of_half_life in columns]
    best = int(np.argmax([likelihood for likelihood, _ in found]))
    return {"half_life": np.array(HALF_LIVES[best]), "parameters": found[best][1]}, len(counts)


def _at_all_half_lives(patterns: Patterns) -> Floats:
    return np.hstack([faded(patterns, half_life) for half_life in HALF_LIVES])


def most_likely(columns: Floats, counts: Floats) -> tuple[float, Floats]:
    """Log likelihood of the counts, and (a, b, c, log k) where it is highest.

    ``columns`` [rows, COLUMNS], ``counts`` [rows] of HORIZON_DAYS days; λ is per day.
    """
    tallied, days = Counts.of(counts), np.log(HORIZON_DAYS)

    def loss(at: Floats) -> tuple[float, Floats]:
        value, by_mean, by_shape = negative_binomial(tallied, dot(columns, at[:-1]) + days, at[-1])
        slope = np.append(by_mean @ columns, by_shape)
        return -value / len(counts), -slope / len(counts)

    start = np.array([np.log(counts.mean()) - days, 0.0, 0.0, 0.0])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*[(-20, 20)] * 3, (-4, 6)])
    return -float(found.fun), found.x


def forecast(
    arrays: Arrays, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
) -> Predictions:
    """Predict every pair over ``weeks`` weeks; nothing is drawn."""
    *coefficients, log_shape = arrays["parameters"].tolist()
    rate = np.exp(dot(faded(patterns, float(arrays["half_life"])), np.array(coefficients)))
    size = patterns.total_quantity / patterns.order_count
    pairs = predict_pairs(rate, float(np.exp(log_shape)), patterns.open_interval, size, weeks)
    products = no_products(patterns.product_offsets()[0], weeks, draws)
    return Predictions(patterns, weeks, pairs, products)


def predict_pairs(
    rate: Floats, shape: float, open_interval: Floats, size: Floats, weeks: int
) -> PairPredictions:
    """What follows from the mean rates per day [pairs] and the shape of their Gamma."""
    days = knots(weeks)
    wait = Wait(days, shape * np.log1p(rate[:, None] * days / shape))
    quantiles, interval = wait.quantiles(), 1.0 / rate
    orders = np.repeat(DAYS_PER_WEEK * rate[:, None], weeks, axis=1)
    mean = DAYS_PER_WEEK * weeks * rate[:, None]
    counts = np.array(nbinom.pmf(np.arange(COUNTS), shape, shape / (shape + mean)), dtype=float)
    counts[:, -1] = np.maximum(1.0 - counts[:, :-1].sum(axis=1), 0.0)
    return PairPredictions(
        p_alive=np.ones(len(rate)),
        confidence=wait.confidence(quantiles[:, MEDIAN], interval),
        expected_interval=interval,
        open_interval_p=(1.0 + rate * open_interval / shape) ** -shape,
        next_order_day=quantiles[:, MEDIAN],
        next_order_quantiles=quantiles,
        p_order_by_week=-np.expm1(-wait.hazard[:, 1 : weeks + 1]),
        expected_orders=orders,
        expected_quantity=orders * size[:, None],
        order_count_p=counts,
    )


MODEL = LearnedRule(NAME, "1", __doc__ or "", ("pairs",), learn, forecast)
