"""Draws of the population posterior, and the predictions they make."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from models.parts.kernels.collapsed import PairRows
from models.parts.kernels.phases import (
    PhaseArrivals,
    PhaseDraws,
    predict_new_pairs,
    predict_pairs,
)
from models.parts.kernels.renewal import survived_days
from models.parts.pair.arrivals import arrivals
from models.parts.pair.results import Results
from models.parts.pair.sizes import Urn
from models.parts.pair.streams import Begin, Draw, draw_all, draw_apart
from toolkit.data.tables import (
    QUANTILES,
    Floats,
    Ints,
    PairDraws,
    Patterns,
    Predictions,
)
from toolkit.model import Streams


@dataclass(frozen=True, slots=True)
class Population:
    """Draws of what pairs share; durations in days. Every array's last axis is the draw."""

    regularities: Ints  # [regularities]
    urn_weight: float
    shape: Floats  # [draws], a: heterogeneity of the pairs' rates
    log_typical: Floats  # [draws], log μ of the average customer and product
    customer_scale: Floats  # [draws]
    product_scale: Floats  # [draws]
    tilt_scale: Floats  # [draws]
    log_weight: Floats  # [regularities, draws], of the average product
    alpha: Floats  # [draws], lapse ~ Beta(α, β); α = 0: nobody lapses
    beta: Floats  # [draws]
    arrival_shape: Floats  # [draws], first orders per product and day ~ Gamma
    arrival_rate: Floats  # [draws]
    customer_id: Ints  # [customers], ascending
    customer: Floats  # [customers, draws], effect on log μ
    product_id: Ints  # [products], ascending
    product: Floats  # [products, draws], effect on log μ
    tilt: Floats  # [products, draws], effect on the regularities

    @property
    def draws(self) -> int:
        """How many draws there are."""
        return len(self.shape)

    def spread(self, draws: int) -> "Population":
        """``draws`` of the draws, evenly spaced; some of them twice where there are fewer."""
        index = np.arange(draws) * self.draws // draws
        columns = {
            name: np.ascontiguousarray(value[..., index])
            for name in self.__slots__
            if isinstance(value := getattr(self, name), np.ndarray)
            and name not in ("regularities", "customer_id", "product_id")
        }
        return Population(**{n: columns.get(n, getattr(self, n)) for n in self.__slots__})

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predictions of all pairs and products in ``patterns``, in their order.

        Path d follows one draw of the population; a customer or product that the population does
        not know is drawn from it anew, from the product's own stream.
        """
        return _predict(self.spread(draws), patterns, weeks, streams)

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
        """The pairs in ``rows`` once more, path d under the same draw of the population.

        So are customers and products that the population does not know.
        """
        return _predict_again(self.spread(draws), patterns, rows, number, weeks, streams)

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows`` order in each draw of ``predict``."""
        return _predict_apart(self.spread(draws), patterns, rows, weeks, streams)


def _of_product(
    population: Population, product_id: int, log_gamma: Floats, rng: np.random.Generator
) -> PhaseDraws:
    row = np.searchsorted(population.product_id, product_id)
    if row < len(population.product_id) and population.product_id[row] == product_id:
        effect, tilt = population.product[row], population.tilt[row]
    else:
        effect = population.product_scale * rng.standard_normal(population.draws)
        tilt = population.tilt_scale * rng.standard_normal(population.draws)
    log_weight = population.log_weight + tilt * doublings(population.regularities)[:, None]
    return PhaseDraws(
        regularities=population.regularities,
        log_gamma=log_gamma,
        shape=population.shape,
        log_c=np.log(population.shape) + population.log_typical + effect,
        log_weight=log_weight - logsumexp(log_weight, axis=0),
        alpha=population.alpha,
        beta=population.beta,
    )


def doublings(regularities: Ints) -> Floats:
    """log₂ k, centred: what a product's tilt multiplies, [regularities]."""
    log2_k = np.log2(regularities)
    centred: Floats = log2_k - log2_k.mean()
    return centred


def _customer_effects(
    population: Population, customer_id: Ints, rng: np.random.Generator
) -> Floats:
    """Effects on log μ of a product's customers, [pairs, draws]."""
    row = np.searchsorted(population.customer_id, customer_id)
    row[row == len(population.customer_id)] = 0
    effects = population.customer[row]
    unseen = population.customer_id[row] != customer_id
    if unseen.any():
        normal = rng.standard_normal((int(unseen.sum()), population.draws))
        effects[unseen] = population.customer_scale * normal
    return effects


def _rows(population: Population, patterns: Patterns) -> tuple[PairRows, Floats]:
    """What is known of the pairs, and log Γ(a + k m) / Γ(a), [counts, regularities, draws]."""
    survived = survived_days(patterns.open_interval)
    m = patterns.interval_count.astype(float)
    rows = PairRows.of(
        (m, patterns.interval_sum, patterns.interval_log_sum, survived), population.regularities
    )
    A = population.shape + population.regularities[:, None] * rows.counts[:, None, None]
    return rows, gammaln(A) - gammaln(population.shape)


def _predict(
    population: Population, patterns: Patterns, weeks: int, streams: Streams
) -> Predictions:
    products = len(patterns.product_offsets()[0])
    results = Results.empty(products, len(patterns), population.draws, weeks)
    draw_all(patterns, _begin(population, patterns, streams, results))
    return results.predictions(patterns, population.urn_weight)


def _predict_apart(
    population: Population, patterns: Patterns, rows: Ints, weeks: int, streams: Streams
) -> PairDraws:
    products = len(patterns.product_offsets()[0])
    results = Results.empty(products, len(patterns), population.draws, weeks)
    begin = _begin(population, patterns, streams, results)
    return draw_apart(patterns, rows, results, begin)


def _begin(population: Population, patterns: Patterns, streams: Streams, results: Results) -> Begin:
    ids, _ = patterns.product_offsets()
    levels = np.array(QUANTILES)
    rows, log_gamma = _rows(population, patterns)
    arrived, days = arrivals(patterns)

    def begin(j: int, part: slice) -> Draw:
        rng = streams.product(int(ids[j]))
        shared = _of_product(population, int(ids[j]), log_gamma, rng)
        effect = _customer_effects(population, patterns.customer_id[part], rng)
        urn = Urn.of(patterns, part, population.urn_weight)
        new = PhaseArrivals(
            arrived[j], days[j], population.arrival_shape, population.arrival_rate,
            population.customer_scale, np.exp(shared.log_weight),
        )  # fmt: skip
        predict_new_pairs(rng, new, shared, urn, results.of_product(j, part))
        results.settle_new_pairs(j)

        def draw(some: slice) -> None:
            at = slice(some.start - part.start, some.stop - part.start)
            predict_pairs(
                rng,
                rows.select(some),
                patterns.open_interval[some],
                effect[at],
                shared,
                urn.starting_at(at.start),
                levels,
                results.of_product(j, some),
            )

        return draw

    return begin


def _predict_again(
    population: Population,
    patterns: Patterns,
    rows: Ints,
    number: int,
    weeks: int,
    streams: Streams,
) -> PairDraws:
    results = Results.empty(len(rows), len(rows), population.draws, weeks)
    known, log_gamma = _rows(population, patterns)
    for i, row in enumerate(rows.tolist()):
        part, own = patterns.of_same_product(row), slice(row, row + 1)
        product_id, customer_id = int(patterns.product_id[row]), int(patterns.customer_id[row])
        rng = streams.product(product_id)
        shared = _of_product(population, product_id, log_gamma, rng)
        effects = _customer_effects(population, patterns.customer_id[part], rng)
        predict_pairs(
            streams.again(product_id, customer_id, number),
            known.select(own),
            patterns.open_interval[own],
            effects[row - part.start :][:1],
            shared,
            Urn.of(patterns, part, population.urn_weight).starting_at(row - part.start),
            np.array(QUANTILES),
            results.of_product(i, slice(i, i + 1)),
        )
    return results.pair_draws
