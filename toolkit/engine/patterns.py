"""Stage 2: the ordering pattern of every pair, all pairs at once."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from toolkit.engine.arguments import parse_date
from toolkit.sources.base import OrderSource
from toolkit.tables import Floats, Ints, OrderEvents, Patterns
from toolkit.types import CustomerProductPattern, FailedPair

MAX_QUANTITY = 1e12
"""Sums over customers and draws stay finite and exact to seven digits below it."""


@dataclass(frozen=True, slots=True)
class PatternAnalyzer:
    """Turns order events into patterns; reads from ``source`` when asked for a single pair."""

    source: OrderSource

    def analyze(self, events: OrderEvents) -> tuple[Patterns, tuple[FailedPair, ...]]:
        """The patterns of all pairs in ``events``, and the pairs left out because they failed.

        A pair fails when one of its quantities is no number, or larger than any order is.
        """
        offset = _pair_offsets(events)
        bad_events = ~(events.quantity <= MAX_QUANTITY)  # NaN is bad, too
        if not bad_events.any():
            return summarise(events, offset), ()
        pair_of_event = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
        bad_pairs = np.unique(pair_of_event[bad_events])
        failed = tuple(_failure(events, offset[i], offset[i + 1]) for i in bad_pairs)
        healthy = events.where(~np.isin(pair_of_event, bad_pairs))
        return summarise(healthy, _pair_offsets(healthy)), failed

    def analyze_customer_product(
        self, customer_id: int, product_id: int, as_of_date: str | date
    ) -> CustomerProductPattern | None:
        """One pair's pattern before ``as_of_date`` (ISO text or date); None without orders."""
        events = self.source.order_events(parse_date(as_of_date), [product_id])
        patterns, _ = self.analyze(events.where(events.customer_id == customer_id))
        return CustomerProductPattern.from_patterns(patterns, 0) if len(patterns) else None


def single_pair(pattern: CustomerProductPattern) -> Patterns:
    """The pattern as a table of one pair."""
    days = [(day - pattern.as_of_date).days for day in pattern.order_dates]
    events = OrderEvents(
        as_of_date=pattern.as_of_date,
        product_id=np.full(len(days), pattern.product_id, dtype=np.int64),
        customer_id=np.full(len(days), pattern.customer_id, dtype=np.int64),
        day=np.array(days, dtype=np.int64),
        quantity=np.array(pattern.quantities, dtype=float),
    )
    return summarise(events, _pair_offsets(events))


def _pair_offsets(events: OrderEvents) -> Ints:
    """Where each pair's events start, and the end, [pairs + 1]."""
    if not len(events):
        return np.zeros(1, dtype=np.int64)
    changed = (np.diff(events.product_id) != 0) | (np.diff(events.customer_id) != 0)
    return np.concatenate([[0], np.flatnonzero(changed) + 1, [len(events)]]).astype(np.int64)


def _failure(events: OrderEvents, start: int, stop: int) -> FailedPair:
    quantities = events.quantity[start:stop]
    bad = quantities[~(quantities <= MAX_QUANTITY)][0]
    return FailedPair(
        product_id=int(events.product_id[start]),
        customer_id=int(events.customer_id[start]),
        reason=f"quantity is {bad}, not a number up to {MAX_QUANTITY:g}",
    )


def summarise(events: OrderEvents, offset: Ints) -> Patterns:
    """Sufficient statistics of every pair; ``offset`` as in :class:`Patterns`."""
    first, last = offset[:-1], offset[1:] - 1
    order_count = np.diff(offset)
    m = (order_count - 1).astype(float)
    interval = np.diff(events.day, prepend=0).astype(float)  # [events]
    interval[first] = np.nan  # a pair's first event ends no interval
    total = (events.day[last] - events.day[first]).astype(float)
    mean = _ratio(total, m)
    deviation = interval - np.repeat(mean, order_count)
    std = np.sqrt(_ratio(_sum_by_pair(deviation**2, first), m - 1))
    return Patterns(
        events=events,
        event_offset=offset,
        product_id=events.product_id[first],
        customer_id=events.customer_id[first],
        order_count=order_count,
        interval_sum=total,
        interval_log_sum=_sum_by_pair(np.log(interval), first),
        mean_interval=mean,
        std_interval=std,
        cv=_ratio(std, mean),
        open_interval=-events.day[last].astype(float),
        total_quantity=_sum_by_pair(events.quantity, first),
    )


def _sum_by_pair(values: Floats, first: Ints) -> Floats:
    """Sums of each pair's values, NaN counted as nothing, [pairs]."""
    if not len(first):
        return np.zeros(0)
    sums: Floats = np.add.reduceat(np.nan_to_num(values), first)
    return sums


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """``numerator / denominator`` where the denominator is positive, else NaN."""
    out = np.full(len(numerator), np.nan)
    positive: NDArray[np.bool_] = denominator > 0
    np.divide(numerator, denominator, out=out, where=positive)
    return out
