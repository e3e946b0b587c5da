"""Stage 2: the ordering pattern of every pair, all pairs at once."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np

from toolkit.data.tables import MAX_AMOUNT, CustomerDays, OrderEvents, Patterns
from toolkit.results.pair import CustomerProductPattern, FailedPair
from toolkit.sources.base import OrderSource, PartedSource
from toolkit.stages.arguments import parse_date
from toolkit.stages.discovery import discover


@dataclass(frozen=True, slots=True)
class PatternAnalyzer:
    """Turns order events into patterns.

    Reads from ``source`` when asked for a single pair and, with ``customer_days``, on which days
    the customers in the events ordered anything.
    """

    source: OrderSource
    customer_days: bool = False

    def analyze(self, events: OrderEvents) -> tuple[Patterns, tuple[FailedPair, ...]]:
        """The patterns of all pairs in ``events``, and the pairs left out because they failed.

        A pair fails when one of its quantities is no number, or larger than any order is.
        """
        bad_events = ~(events.quantity <= MAX_AMOUNT)  # NaN is bad, too
        days = None
        if self.customer_days:
            customers = np.unique(events.customer_id).tolist()
            days = self.source.customer_days(events.as_of_date, customers)
        with np.errstate(over="ignore"):  # by what is left out
            patterns = Patterns.of(events, days)
        if not bad_events.any():
            return patterns, ()
        pair_of_event = np.repeat(np.arange(len(patterns)), patterns.order_count)
        bad_pairs = np.unique(pair_of_event[bad_events])
        failed = tuple(_failure(patterns, i) for i in bad_pairs)
        healthy = np.ones(len(patterns), dtype=bool)
        healthy[bad_pairs] = False
        return patterns.select(healthy), failed

    def analyze_customer_product(
        self, customer_id: int, product_id: int, as_of_date: str | date
    ) -> CustomerProductPattern | None:
        """One pair's pattern before ``as_of_date`` (ISO text or date); None without orders."""
        events = self.source.order_events(parse_date(as_of_date), [product_id])
        patterns, _ = self.analyze(events.where(events.customer_id == customer_id))
        return CustomerProductPattern.from_patterns(patterns, 0) if len(patterns) else None


def read_patterns(
    source: OrderSource, as_of_date: date, customer_days: bool = False
) -> tuple[Patterns, tuple[FailedPair, ...]]:
    """The patterns of all pairs known before a date, and the pairs left out because they failed."""
    return PatternAnalyzer(source, customer_days).analyze(discover(source, as_of_date, None))


def patterns_in_parts(
    source: OrderSource, as_of_date: date, customer_days: bool = False
) -> Iterator[tuple[Patterns, tuple[FailedPair, ...]]]:
    """The same, in tables of whole products, so that one part of the orders is read at a time.

    Customers' days, if asked for, are those of all customers in each table. One table where the
    orders do not lie in parts; none where nobody ordered anything.
    """
    parted = source if isinstance(source, PartedSource) else None
    parts = [None] if parted is None else parted.product_parts(as_of_date)
    if parted is None or list(parts) == [None]:
        yield read_patterns(source, as_of_date, customer_days)
        return
    days = _days_of_all(parted, as_of_date) if customer_days else None
    for product_ids in parts:
        events = discover(source, as_of_date, product_ids)
        patterns, failed = PatternAnalyzer(source).analyze(events)
        yield patterns if days is None else replace(patterns, customer_days=days), failed


def _days_of_all(source: PartedSource, as_of_date: date) -> CustomerDays:
    parts = [source.customer_days(as_of_date, ids) for ids in source.customer_parts(as_of_date)]
    columns = ([getattr(part, field.name) for part in parts] for field in fields(CustomerDays))
    return CustomerDays(*map(np.concatenate, columns))


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
    return Patterns.of(events, CustomerDays.of(events))


def _failure(patterns: Patterns, row: int) -> FailedPair:
    quantities = patterns.events.quantity[slice(*patterns.event_offset[row : row + 2])]
    bad = quantities[~(quantities <= MAX_AMOUNT)][0]
    return FailedPair(
        product_id=int(patterns.product_id[row]),
        customer_id=int(patterns.customer_id[row]),
        reason=f"quantity is {bad}, not a number up to {MAX_AMOUNT:g}",
    )
