"""From the posterior of every pair to predictions: exact next orders, drawn paths, sums."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.parts.next_order import confidence, next_order_quantiles
from models.parts.paths import simulate_new_pairs, simulate_pairs
from models.parts.renewal import PairPosterior
from models.parts.sizes import expected_size, sizes_by_pair
from toolkit.model import Streams
from toolkit.tables import (
    DAYS_PER_WEEK,
    QUANTILES,
    Floats,
    Ints,
    PairPredictions,
    Patterns,
    Predictions,
    ProductDraws,
)

MEDIAN = QUANTILES.index(0.50)


@dataclass(frozen=True, slots=True)
class NewPairs:
    """How customers new to a product arrive, and how they then reorder.

    First orders per day have rate Gamma(``arrival_shape``, ``arrival_rate``) [products]; a new
    pair's rate is Gamma(A, B) with regularity k, components [components] with ``weights``.
    """

    arrival_shape: Floats
    arrival_rate: Floats
    weights: Floats
    A: float
    B: Floats
    k: Ints


@dataclass(frozen=True, slots=True)
class Paths:
    """Draws of all products, and means over the draws."""

    orders: NDArray[np.float32]  # [products, weeks, draws]
    quantity: NDArray[np.float32]  # [products, weeks, draws]
    next_order_cdf: Floats  # [pairs, days]
    later_orders: Floats  # [pairs, weeks]
    new_orders: Floats  # [products, weeks]
    new_quantity: Floats  # [products, weeks]


def forecast(
    patterns: Patterns,
    posterior: PairPosterior,
    new_pairs: NewPairs,
    *,
    urn_weight: float,
    weeks: int,
    draws: int,
    streams: Streams,
) -> Predictions:
    """Predictions of all pairs and products in ``patterns``, in their order.

    The first order of each pair in the horizon enters the expectations exactly; later orders
    and new customers by the mean of their draws.
    """
    paths = simulate_paths(patterns, posterior, new_pairs, urn_weight, (weeks, draws), streams)
    p_by_week = paths.next_order_cdf[:, DAYS_PER_WEEK - 1 :: DAYS_PER_WEEK]
    expected_orders = np.diff(p_by_week, axis=1, prepend=0.0) + paths.later_orders
    interval = posterior.expected_interval()
    quantiles = next_order_quantiles(posterior, paths.next_order_cdf)
    pairs = PairPredictions(
        p_alive=np.ones(len(patterns)),
        confidence=confidence(posterior, paths.next_order_cdf, quantiles[:, MEDIAN], interval),
        expected_interval=interval,
        open_interval_p=posterior.open_interval_p,
        next_order_day=quantiles[:, MEDIAN],
        next_order_quantiles=quantiles,
        p_order_by_week=p_by_week.copy(),
        expected_orders=expected_orders,
        expected_quantity=expected_orders * expected_size(patterns, urn_weight)[:, None],
    )
    return Predictions(patterns, weeks, pairs, _product_draws(patterns, pairs, paths))


def _product_draws(patterns: Patterns, pairs: PairPredictions, paths: Paths) -> ProductDraws:
    ids, _ = patterns.product_offsets()
    known_quantity = patterns.sum_by_product(pairs.expected_quantity)
    return ProductDraws(
        product_id=ids,
        orders=paths.orders,
        quantity=paths.quantity,
        expected_orders=patterns.sum_by_product(pairs.expected_orders) + paths.new_orders,
        expected_quantity=known_quantity + paths.new_quantity,
        known_expected_quantity=known_quantity,
    )


def simulate_paths(
    patterns: Patterns,
    posterior: PairPosterior,
    new_pairs: NewPairs,
    urn_weight: float,
    shape: tuple[int, int],
    streams: Streams,
) -> Paths:
    """Draw the paths of every product, one compiled call each."""
    weeks, draws = shape
    ids, offset = patterns.product_offsets()
    paths = Paths(
        orders=np.empty((len(ids), weeks, draws), dtype=np.float32),
        quantity=np.empty((len(ids), weeks, draws), dtype=np.float32),
        next_order_cdf=np.empty((len(patterns), DAYS_PER_WEEK * weeks)),
        later_orders=np.zeros((len(patterns), weeks)),
        new_orders=np.empty((len(ids), weeks)),
        new_quantity=np.empty((len(ids), weeks)),
    )
    for j, product_id in enumerate(ids):
        rng = streams.product(int(product_id))
        rows = slice(offset[j], offset[j + 1])
        events, sizes = sizes_by_pair(patterns, rows)
        orders, quantity = np.zeros((2, draws, weeks))
        simulate_new_pairs(
            rng, new_pairs.arrival_shape[j], new_pairs.arrival_rate[j], new_pairs.weights,
            new_pairs.A, new_pairs.B, new_pairs.k, events, sizes, urn_weight, orders, quantity,
        )  # fmt: skip
        paths.new_orders[j], paths.new_quantity[j] = orders.mean(axis=0), quantity.mean(axis=0)
        simulate_pairs(
            rng, posterior.weights[rows], posterior.A[rows], posterior.B[rows], posterior.k,
            posterior.open_days[rows], posterior.survived[rows], posterior.log_survived[rows],
            events, sizes, urn_weight, paths.next_order_cdf[rows], orders, quantity,
            paths.later_orders[rows],
        )  # fmt: skip
        paths.orders[j], paths.quantity[j] = orders.T, quantity.T
    paths.later_orders[...] /= draws
    return paths
