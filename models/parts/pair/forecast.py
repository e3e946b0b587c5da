"""From the posterior of every pair to predictions: exact next orders, drawn paths, sums."""

from dataclasses import dataclass

import numpy as np

from models.parts.kernels.paths import simulate_new_pairs, simulate_pairs
from models.parts.kernels.renewal import PairPosterior
from models.parts.pair.next_order import confidence, next_order_quantiles
from models.parts.pair.results import MEDIAN, Results
from models.parts.pair.sizes import sizes_by_pair
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns, Predictions
from toolkit.model import Streams


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
    products = len(patterns.product_offsets()[0])
    results = Results.empty(products, len(patterns), draws, weeks)
    next_order_cdf = simulate_paths(patterns, posterior, new_pairs, urn_weight, streams, results)
    interval = posterior.expected_interval()
    quantiles = next_order_quantiles(posterior, next_order_cdf)
    results.p_by_week[...] = next_order_cdf[:, DAYS_PER_WEEK - 1 :: DAYS_PER_WEEK]
    results.quantiles[...] = quantiles
    p_alive, open_interval_p, expected_interval, how_sure = results.summary.T
    p_alive[...] = 1.0
    open_interval_p[...] = posterior.open_interval_p
    expected_interval[...] = interval
    how_sure[...] = confidence(posterior, next_order_cdf, quantiles[:, MEDIAN], interval)
    return results.predictions(patterns, urn_weight)


def simulate_paths(
    patterns: Patterns,
    posterior: PairPosterior,
    new_pairs: NewPairs,
    urn_weight: float,
    streams: Streams,
    results: Results,
) -> Floats:
    """Draw the paths of every product, one compiled call each, into ``results``.

    Returns P(next order by the end of each day), [pairs, days].
    """
    ids, offset = patterns.product_offsets()
    weeks = results.p_by_week.shape[1]
    next_order_cdf = np.empty((len(patterns), DAYS_PER_WEEK * weeks))
    for j, product_id in enumerate(ids):
        rng = streams.product(int(product_id))
        rows = slice(offset[j], offset[j + 1])
        events, sizes = sizes_by_pair(patterns, rows)
        orders, quantity = results.orders[j], results.quantity[j]
        simulate_new_pairs(
            rng, new_pairs.arrival_shape[j], new_pairs.arrival_rate[j], new_pairs.weights,
            new_pairs.A, new_pairs.B, new_pairs.k, events, sizes, urn_weight, orders, quantity,
        )  # fmt: skip
        results.settle_new_pairs(j)
        simulate_pairs(
            rng, posterior.weights[rows], posterior.A[rows], posterior.B[rows], posterior.k,
            posterior.open_days[rows], posterior.survived[rows], posterior.log_survived[rows],
            events, sizes, urn_weight, next_order_cdf[rows], orders, quantity,
            results.later_orders[rows], results.order_counts[rows],
        )  # fmt: skip
    return next_order_cdf
