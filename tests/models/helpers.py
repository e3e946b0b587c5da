"""Order events from a generated truth, and patterns written by hand, for tests of models."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from models.parts.rhythm.season import HARMONICS, YEAR_WEEKS, Season
from models.parts.rhythm.weeks_ahead import WeeksAhead
from toolkit.data.tables import CustomerDays, OrderEvents, Patterns
from toolkit.sources.generator import GeneratedOrders
from toolkit.stages.patterns import PatternAnalyzer

AS_OF = date(2024, 1, 1)


def patterns_of(histories: dict[tuple[int, int], Sequence[tuple[int, float]]]) -> Patterns:
    """Patterns of (product, customer) → [(day, quantity), …], days relative to ``AS_OF``."""
    rows = [(p, c, day, q) for (p, c), orders in sorted(histories.items()) for day, q in orders]
    product, customer, day, quantity = (np.array(column) for column in zip(*rows, strict=True))
    events = OrderEvents(AS_OF, product, customer, day, quantity.astype(float))
    return analyzed(events)


def analyzed(events: OrderEvents) -> Patterns:
    """The patterns of ``events``, which are all the orders that there are."""
    patterns, failed = PatternAnalyzer(source=None).analyze(events)
    assert not failed
    return replace(patterns, customer_days=CustomerDays.of(patterns.events))


def split_at(orders: GeneratedOrders, day: int) -> tuple[OrderEvents, OrderEvents]:
    """Events before ``day`` (of the generator's span) and from it on, both relative to it."""
    as_of = orders.truth.start_date + timedelta(day)
    lines = orders.order_lines
    since = (lines["ordered_at"].dt.normalize() - np.datetime64(as_of)).dt.days
    grouped = (
        lines.assign(day=since).groupby(["product_id", "customer_id", "day"])["quantity"].sum()
    )
    frame = grouped.reset_index()
    parts = []
    for part in (frame[frame["day"] < 0], frame[frame["day"] >= 0]):
        columns = [part[c].to_numpy() for c in ("product_id", "customer_id", "day", "quantity")]
        parts.append(OrderEvents(as_of, *columns))
    return parts[0], parts[1]


DATA_SETS = 12


def assert_tails_of_a_right_model(tails: np.ndarray) -> None:
    """``tails`` [DATA_SETS, statistics] of a model's own data, each uniform on 0 … 1.

    Of a tenth of them beyond 0.05 and 0.95 the standard error is 0.03 with all statistics of five
    data sets (counted; they hang together), 0.02 of twelve; that a statistic is beyond 0.8 twelve
    times has a chance of 4e-9.
    """
    assert np.mean((tails < 0.05) | (tails > 0.95)) < 0.25
    assert np.all(tails.min(axis=0) < 0.8)
    assert np.all(tails.max(axis=0) > 0.2)


def some_season(seed, scale, weeks=100):
    """Any season, with effects of single weeks and what is left of ``weeks`` weeks."""
    rng = np.random.default_rng(seed)
    effects, of_weeks = rng.normal(0, scale, 2 * HARMONICS + 1), rng.normal(0, scale, YEAR_WEEKS)
    observed = rng.normal(0, scale, weeks)
    ahead = WeeksAhead(spread=0.0, ratio=0.0, share=1.0)
    return Season(effects, of_weeks, observed, np.zeros(0), ahead, AS_OF.toordinal())
