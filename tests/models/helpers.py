"""Order events from a generated truth, and patterns written by hand, for tests of models."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from toolkit.engine.patterns import PatternAnalyzer
from toolkit.sources.generator import GeneratedOrders
from toolkit.tables import CustomerDays, OrderEvents, Patterns

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
