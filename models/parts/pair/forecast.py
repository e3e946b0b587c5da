"""From the posterior of every pair to predictions: exact next orders, drawn paths, sums."""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv

from models.parts.kernels.paths import Frailty, NewPairs, simulate_new_pairs, simulate_pairs
from models.parts.kernels.renewal import PairPosterior
from models.parts.pair.next_order import confidence, next_order_quantiles
from models.parts.pair.results import MEDIAN, Results
from models.parts.pair.sizes import Urn
from models.parts.pair.streams import Begin, Draw, draw_all, draw_apart
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    Floats,
    Ints,
    PairDraws,
    Patterns,
    Predictions,
)
from toolkit.model import Streams


class Outlook(NamedTuple):
    """What is known of the pairs and products of some patterns, to be drawn from."""

    posterior: PairPosterior
    variance: Floats  # [products], of the frailty that a product's pairs share
    new_pairs: NewPairs
    urn_weight: float


def forecast(
    patterns: Patterns,
    outlook: Outlook,
    *,
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
    next_order_cdf = simulate_paths(patterns, outlook, streams, results)
    posterior = outlook.posterior
    interval = posterior.expected_interval()
    quantiles = next_order_quantiles(posterior, next_order_cdf)
    results.p_by_week[...] = next_order_cdf[:, DAYS_PER_WEEK - 1 :: DAYS_PER_WEEK]
    results.quantiles[...] = quantiles
    p_alive, open_interval_p, expected_interval, how_sure = results.summary.T
    p_alive[...] = 1.0
    open_interval_p[...] = posterior.open_interval_p
    expected_interval[...] = interval
    how_sure[...] = confidence(posterior, next_order_cdf, quantiles[:, MEDIAN], interval)
    return results.predictions(patterns, outlook.urn_weight)


def forecast_again(
    patterns: Patterns,
    outlook: Outlook,
    rows: Ints,
    number: int,
    *,
    weeks: int,
    draws: int,
    streams: Streams,
) -> PairDraws:
    """The pairs in ``rows`` once more, with the frailty of their products in ``forecast``."""
    results = Results.empty(len(rows), len(rows), draws, weeks)
    ignored = np.empty((1, DAYS_PER_WEEK * weeks))
    variance = np.repeat(outlook.variance, np.diff(patterns.product_offsets()[1]))
    for i, row in enumerate(rows.tolist()):
        part, product = patterns.of_same_product(row), int(patterns.product_id[row])
        simulate_pairs(
            streams.again(product, int(patterns.customer_id[row]), number),
            outlook.posterior.select(slice(row, row + 1)),
            _frailty(streams.product(product), variance[row], draws),
            Urn.of(patterns, part, outlook.urn_weight).starting_at(row - part.start),
            ignored,
            results.of_product(i, slice(i, i + 1)),
        )
    return results.pair_draws


def forecast_apart(
    patterns: Patterns,
    outlook: Outlook,
    rows: Ints,
    *,
    weeks: int,
    draws: int,
    streams: Streams,
) -> PairDraws:
    """What the pairs in ``rows`` order in each draw of ``forecast``."""
    products = len(patterns.product_offsets()[0])
    results = Results.empty(products, len(patterns), draws, weeks)
    ignored = np.empty((len(patterns), DAYS_PER_WEEK * weeks))
    begin = _begin(patterns, outlook, streams, results, ignored)
    return draw_apart(patterns, rows, results, begin)


def simulate_paths(
    patterns: Patterns,
    outlook: Outlook,
    streams: Streams,
    results: Results,
) -> Floats:
    """Draw the paths of every product, one compiled call each, into ``results``.

    Returns P(next order by the end of each day), [pairs, days].
    """
    cdf = np.empty((len(patterns), DAYS_PER_WEEK * results.p_by_week.shape[1]))
    draw_all(patterns, _begin(patterns, outlook, streams, results, cdf))
    return cdf


def _begin(
    patterns: Patterns,
    outlook: Outlook,
    streams: Streams,
    results: Results,
    cdf: Floats,
) -> Begin:
    ids, _ = patterns.product_offsets()

    def begin(j: int, rows: slice) -> Draw:
        rng, urn = streams.product(int(ids[j])), Urn.of(patterns, rows, outlook.urn_weight)
        frailty = _frailty(rng, outlook.variance[j], len(results.orders[j]))
        of_product = results.of_product(j, rows)
        simulate_new_pairs(rng, outlook.new_pairs, j, frailty, urn, of_product)
        results.settle_new_pairs(j)

        def draw(some: slice) -> None:
            of_some = urn.starting_at(some.start - rows.start)
            out = results.of_product(j, some)
            simulate_pairs(rng, outlook.posterior.select(some), frailty, of_some, cdf[some], out)

        return draw

    return begin


def _frailty(rng: np.random.Generator, variance: float, draws: int) -> Frailty:
    """Gamma of mean 1, one draw from each of as many equal shares of it, in random order.

    From a product's stream it is the first that is drawn: whoever begins it has the same.
    """
    share = (rng.permutation(draws) + rng.random(draws)) / draws
    return Frailty(variance, variance * gammaincinv(1 / variance, share))
