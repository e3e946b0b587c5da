"""``bg_nbd`` and ``pareto_nbd`` as versions: fitting, predicting, saving."""

from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial

import numpy as np

from models.parts.fitting.card import Arrays
from models.parts.trees import some_of
from models.peers.parts.learned import LearnedRule
from models.peers.parts.purchase_fit import distinct
from models.peers.parts.purchases import BetaGeo, ParetoNBD, Past
from models.peers.parts.tables import no_products
from models.peers.parts.waiting import Wait, knots
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILES,
    PairPredictions,
    Patterns,
    Predictions,
)
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams

MEDIAN = QUANTILES.index(0.50)
PAIRS = 100_000
"""A fit looks at so many, chosen at random, if it is not told how many."""

type PurchasePopulation = BetaGeo | ParetoNBD


def purchase_version(
    name: str,
    description: str,
    population: Callable[..., PurchasePopulation],
    most_probable: Callable[[Past], PurchasePopulation],
) -> LearnedRule:
    """The model before its fit: what its population is, and how that is found."""
    learns, forecasts = partial(learn, name, most_probable), partial(forecast, population)
    return LearnedRule(name, "1", description, ("pairs",), learns, forecasts)


def learn(
    name: str,
    most_probable: Callable[[Past], PurchasePopulation],
    patterns: Patterns,
    settings: FitSettings,
    seed: int,
) -> tuple[Arrays, int]:
    """The population's most probable parameters under the library's own priors."""
    if not np.any(patterns.interval_count > 0):
        raise ModelError(
            f"{name} learns from repeat orders, and no pair has two orders "
            f"before {patterns.as_of_date}: nothing to fit"
        )
    past = past_of(patterns)
    rows = some_of(len(past.x), settings.pairs or PAIRS, seed)
    population = most_probable(Past(past.x[rows], past.t_x[rows], past.T[rows]))
    return {"parameters": np.array(astuple(population))}, len(rows)


def forecast(
    population: Callable[..., PurchasePopulation],
    arrays: Arrays,
    patterns: Patterns,
    *,
    weeks: int,
    draws: int,
    streams: Streams,
) -> Predictions:
    """Predict every pair over ``weeks`` weeks, exactly; pairs of equal past are one row."""
    rows, pair = distinct(past_of(patterns))
    said = predict_rows(population(*arrays["parameters"].tolist()), rows, weeks).select(pair)
    size = patterns.total_quantity / patterns.order_count
    pairs = replace(said, expected_quantity=said.expected_orders * size[:, None])
    products = no_products(patterns.product_offsets()[0], weeks, draws)
    return Predictions(patterns, weeks, pairs, products)


def predict_rows(population: PurchasePopulation, past: Past, weeks: int) -> PairPredictions:
    """All of it from the model's own formulas, times P(alive); every order is of one unit."""
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
    return PairPredictions(
        p_alive=alive,
        confidence=wait.confidence(quantiles[:, MEDIAN], interval),
        expected_interval=interval,
        open_interval_p=np.exp(-rate * (past.T - past.t_x)),
        next_order_day=quantiles[:, MEDIAN],
        next_order_quantiles=quantiles,
        p_order_by_week=p_order[:, 1 : weeks + 1],
        expected_orders=expected,
        expected_quantity=expected,
        order_count_p=counts,
    )


def past_of(patterns: Patterns) -> Past:
    """Repeat orders, recency and age of every pair, in weeks."""
    age = -patterns.events.day[patterns.event_offset[:-1]] / DAYS_PER_WEEK
    recency = age - patterns.open_interval / DAYS_PER_WEEK
    return Past(patterns.interval_count.astype(float), np.maximum(recency, 0.0), age)
