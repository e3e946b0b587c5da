"""``bg_nbd`` and ``pareto_nbd`` as versions: fitting, predicting, saving."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from models.parts.fitting.card import digest
from models.parts.fitting.posterior_file import Fit, read_fit
from models.peers.parts.fit import card_of
from models.peers.parts.purchase_fit import distinct
from models.peers.parts.purchases import BetaGeo, ParetoNBD, Past
from models.peers.parts.tables import no_products
from models.peers.parts.waiting import Wait, knots
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILES,
    Floats,
    PairPredictions,
    Patterns,
    Predictions,
)
from toolkit.errors import ModelError
from toolkit.model import DEFAULT_SETTINGS, FitSettings, Granularity, Progress, Streams, ignore

MEDIAN = QUANTILES.index(0.50)

type PurchasePopulation = BetaGeo | ParetoNBD


@dataclass(frozen=True, slots=True)
class PurchaseVersion:
    """The model before its fit: what its population is, and how that is found.

    ``pairs``: the fit looks at so many, chosen at random, if it is not told how many.
    """

    name: str
    formulas: str
    description: str
    population: Callable[..., PurchasePopulation]
    most_probable: Callable[[Past], PurchasePopulation]
    pairs: int
    granularities: ClassVar[tuple[Granularity, ...]] = ("pairs",)
    reads_customer_days: ClassVar[bool] = False

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> "FittedPurchases":
        """The population's most probable parameters under the library's own priors."""
        if not np.any(patterns.interval_count > 0):
            raise ModelError(
                f"{self.name} learns from repeat orders, and no pair has two orders "
                f"before {patterns.as_of_date}: nothing to fit"
            )
        past, wanted = past_of(patterns), settings.pairs or self.pairs
        rows = np.arange(len(past.x))
        if wanted < len(rows):
            rows = np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))
        used = Past(past.x[rows], past.t_x[rows], past.T[rows])
        population = self.most_probable(used)
        arrays = {"parameters": np.array(astuple(population))}
        card = card_of(
            self.name, self.formulas, self.description, digest(self.formulas, arrays), patterns,
            len(rows), seed, settings,
        )  # fmt: skip
        return FittedPurchases(card, arrays, population)

    def load(self, folder: Path) -> "FittedPurchases":
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""
        card, inference = read_fit(folder, self.name, self.formulas)
        arrays = inference.arrays
        return FittedPurchases(card, arrays, self.population(*arrays["parameters"].tolist()))


@dataclass(frozen=True, slots=True, repr=False)
class FittedPurchases(Fit):
    """The model with its population's parameters."""

    population: PurchasePopulation = field(repr=False)
    granularities: ClassVar[tuple[Granularity, ...]] = ("pairs",)
    reads_customer_days: ClassVar[bool] = False

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair over ``weeks`` weeks, exactly; pairs of equal past are one row."""
        rows, pair = distinct(past_of(patterns))
        said = predict_rows(self.population, rows, weeks)
        size = patterns.total_quantity / patterns.order_count
        expected_orders = said.expected_orders[pair]
        pairs = PairPredictions(
            p_alive=said.p_alive[pair],
            confidence=said.confidence[pair],
            expected_interval=said.expected_interval[pair],
            open_interval_p=said.open_interval_p[pair],
            next_order_day=said.quantiles[pair, MEDIAN],
            next_order_quantiles=said.quantiles[pair],
            p_order_by_week=said.p_by_week[pair],
            expected_orders=expected_orders,
            expected_quantity=expected_orders * size[:, None],
            order_count_p=said.counts[pair],
        )
        products = no_products(patterns.product_offsets()[0], weeks, draws)
        return Predictions(patterns, weeks, pairs, products)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of rows of pairs, [rows, …]."""

    p_alive: Floats
    confidence: Floats
    expected_interval: Floats
    open_interval_p: Floats
    quantiles: Floats
    p_by_week: Floats
    expected_orders: Floats
    counts: Floats


def predict_rows(population: PurchasePopulation, past: Past, weeks: int) -> Said:
    """All of it from the model's own formulas, times P(alive)."""
    alive = population.p_alive(past)
    days = knots(weeks)
    p_order = np.zeros((len(past.x), len(days)))
    p_order[:, 1:] = population.p_order(past, days[1:] / DAYS_PER_WEEK) * alive[:, None]
    wait = Wait.of(days, p_order)
    interval = DAYS_PER_WEEK * (population.alpha + past.T) / (population.r + past.x)
    quantiles = wait.quantiles()
    by_week = [population.expected_orders(past, float(week)) for week in range(1, weeks + 1)]
    expected = np.diff(np.stack(by_week, axis=1) * alive[:, None], axis=1, prepend=0.0)
    counts = population.p_counts(past, float(weeks)) * alive[:, None]
    counts[:, 0] += 1.0 - alive
    rate = (population.r + past.x) / (population.alpha + past.T)
    return Said(
        p_alive=alive,
        confidence=wait.confidence(quantiles[:, MEDIAN], interval),
        expected_interval=interval,
        open_interval_p=np.exp(-rate * (past.T - past.t_x)),
        quantiles=quantiles,
        p_by_week=p_order[:, 1 : weeks + 1],
        expected_orders=expected,
        counts=counts,
    )


def past_of(patterns: Patterns) -> Past:
    """Repeat orders, recency and age of every pair, in weeks."""
    age = -patterns.events.day[patterns.event_offset[:-1]] / DAYS_PER_WEEK
    recency = age - patterns.open_interval / DAYS_PER_WEEK
    return Past(patterns.interval_count.astype(float), np.maximum(recency, 0.0), age)
