"""Columnar tables that flow between the stages: many pairs and products at once.

All days are whole days relative to the as-of date: the as-of date is day 0, the day before it
is −1. Everything known has a negative day. Rows are sorted by product, customer and day, so a
product's pairs and a pair's events are contiguous and addressed by offsets.
"""

from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from toolkit.card import SHOWN_ROWS, Card, Figure, Grid, Shown, counted

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]

QUANTILES: tuple[float, ...] = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
"""The levels at which quantities and dates are reported everywhere."""

QUANTILE_NAMES = tuple(f"q{round(100 * level):02d}" for level in QUANTILES)
"""What they are called in every table and forecast: q05, q10, …"""

DAYS_PER_WEEK = 7

COUNTS = 32
"""A pair's number of orders over the horizon is told as 0, 1, … and ``COUNTS`` − 1 or more."""

MIN_TOLERANCE_DAYS, TOLERANCE_SHARE = 3, 0.25
"""A next order is as predicted if it is within so many days of its date, or within this share of
the expected interval where that is more. A pair's confidence is the probability that it is."""

REACH_DAYS = 730
"""A next-order date further away than this (two years) is not reported."""


MAX_AMOUNT = 1e12
"""No quantity and no price is larger: sums over customers and draws stay finite, and exact to
seven digits."""


@dataclass(frozen=True, slots=True)
class OrderEvents:
    """Order events: one row per (product, customer, day), strictly before ``as_of_date``.

    ``quantity`` is the day's net sum, less what was returned later; it is positive, or NaN where
    the data held no number.
    """

    as_of_date: date
    product_id: Ints  # [events]
    customer_id: Ints  # [events]
    day: Ints  # [events], <= -1
    quantity: Floats  # [events]

    def __len__(self) -> int:
        """Number of order events."""
        return len(self.day)

    def where(self, keep: NDArray[np.bool_]) -> "OrderEvents":
        """The events for which ``keep`` is true."""
        return OrderEvents(
            self.as_of_date,
            self.product_id[keep],
            self.customer_id[keep],
            self.day[keep],
            self.quantity[keep],
        )


@dataclass(frozen=True, slots=True)
class CustomerDays:
    """Days on which customers ordered anything: one row per (customer, day), sorted by both."""

    customer_id: Ints  # [rows]
    day: Ints  # [rows], <= -1
    products: Ints  # [rows], how many products were ordered that day

    @classmethod
    def of(cls, events: OrderEvents) -> "CustomerDays":
        """The days in ``events``, which hold all the products that count."""
        order = np.lexsort((events.day, events.customer_id))
        customer_id, day = events.customer_id[order], events.day[order]
        start = starts_of(customer_id, day)
        return cls(customer_id[start], day[start], np.diff(np.append(start, len(day))))

    def together(self, other: "CustomerDays") -> "CustomerDays":
        """Both as one: the products of a day that is in both are added up."""
        customer_id = np.concatenate((self.customer_id, other.customer_id))
        day = np.concatenate((self.day, other.day))
        order = np.lexsort((day, customer_id))
        customer_id, day = customer_id[order], day[order]
        start = starts_of(customer_id, day)
        products = np.concatenate((self.products, other.products))[order]
        sums = np.add.reduceat(products, start) if len(start) else products
        return CustomerDays(customer_id[start], day[start], sums)

    def where(self, keep: NDArray[np.bool_]) -> "CustomerDays":
        """The days for which ``keep`` is true."""
        return CustomerDays(self.customer_id[keep], self.day[keep], self.products[keep])


@dataclass(frozen=True, slots=True)
class Patterns(Shown):
    """What is known of each pair, one row per pair, and the events it was derived from.

    ``customer_days`` are all the days of at least these customers, whatever they ordered; None
    if nobody asked for them.

    Interval statistics are over the ``interval_count = order_count - 1`` completed intervals,
    in days. ``mean_interval`` is NaN without intervals, ``std_interval`` and ``cv`` (sample
    standard deviation, and its ratio to the mean) are NaN with fewer than two.
    """

    events: OrderEvents
    customer_days: CustomerDays | None
    event_offset: Ints  # [pairs + 1]: pair i owns events event_offset[i]:event_offset[i + 1]
    product_id: Ints  # [pairs]
    customer_id: Ints  # [pairs]
    order_count: Ints  # [pairs]
    interval_sum: Floats  # [pairs], S = Σ x
    interval_log_sum: Floats  # [pairs], L = Σ log x
    mean_interval: Floats  # [pairs]
    std_interval: Floats  # [pairs]
    cv: Floats  # [pairs]
    open_interval: Floats  # [pairs], T: days from the last event to the as-of date, >= 1
    total_quantity: Floats  # [pairs]

    @classmethod
    def of(cls, events: OrderEvents, customer_days: CustomerDays | None = None) -> "Patterns":
        """The patterns of all pairs in ``events``."""
        first = starts_of(events.product_id, events.customer_id)
        offset = np.append(first, len(events)).astype(np.int64)
        last, order_count = offset[1:] - 1, np.diff(offset)
        m = (order_count - 1).astype(float)
        interval = np.diff(events.day, prepend=0).astype(float)  # [events]
        interval[first] = np.nan  # a pair's first event ends no interval
        total = (events.day[last] - events.day[first]).astype(float)
        mean = ratio_of(total, m)
        deviation = interval - np.repeat(mean, order_count)
        std = np.sqrt(ratio_of(sum_from(deviation**2, first), m - 1))
        return cls(
            events=events,
            customer_days=customer_days,
            event_offset=offset,
            product_id=events.product_id[first],
            customer_id=events.customer_id[first],
            order_count=order_count,
            interval_sum=total,
            interval_log_sum=sum_from(np.log(interval), first),
            mean_interval=mean,
            std_interval=std,
            cv=ratio_of(std, mean),
            open_interval=-events.day[last].astype(float),
            total_quantity=sum_from(events.quantity, first),
        )

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.product_id)

    def __repr__(self) -> str:
        """How many pairs and orders, and of when; not all columns."""
        return (
            f"<Patterns of {len(self):,} pairs before {self.as_of_date}, "
            f"from {len(self.events):,} order events>"
        )

    def to_card(self) -> Card:
        """How many pairs there are, and the first of them."""
        count = len(self)
        ids, _ = self.product_offsets()
        customers = len(set(self.customer_id.tolist()))
        heads = ("product", "customer", "orders", "days between", "since the last", "units")
        rows = [
            (
                f"{self.product_id[i]}",
                f"{self.customer_id[i]}",
                f"{self.order_count[i]:,}",
                f"{self.mean_interval[i]:,.1f}" if self.order_count[i] > 1 else "–",
                f"{self.open_interval[i]:,.0f}",
                f"{self.total_quantity[i]:,g}",
            )
            for i in range(min(count, SHOWN_ROWS))
        ]
        rest = f"and {count - len(rows):,} more" if count > len(rows) else ""
        return Card(
            title=counted(count, "pair"),
            subtitle=f"Known before {self.as_of_date}",
            figures=[
                Figure("product" if len(ids) == 1 else "products", f"{len(ids):,}"),
                Figure("customer" if customers == 1 else "customers", f"{customers:,}"),
                Figure("order events", f"{len(self.events):,}"),
            ],
            grids=[Grid("", heads, rows, frozenset(heads[2:]), rest)] if rows else [],
        )

    @property
    def as_of_date(self) -> date:
        """The date before which everything here was known."""
        return self.events.as_of_date

    @property
    def interval_count(self) -> Ints:
        """m: completed intervals per pair, [pairs]."""
        return self.order_count - 1

    def select(self, keep: NDArray[np.bool_]) -> "Patterns":
        """The pairs for which ``keep`` is true, with their events."""
        events = self.events.where(np.repeat(keep, self.order_count))
        offset = np.append(0, np.cumsum(self.order_count[keep])).astype(np.int64)
        columns = (getattr(self, field.name)[keep] for field in fields(self)[3:])
        return Patterns(events, self.customer_days, offset, *columns)

    def earlier(self, days: int) -> "Patterns":
        """The patterns ``days`` days before, without orders that a later return took back."""
        events = self.events
        known = events.where(events.day < -days)
        seen = self.customer_days and self.customer_days.where(self.customer_days.day < -days)
        as_of_date = events.as_of_date - timedelta(days)
        return Patterns.of(
            replace(known, as_of_date=as_of_date, day=known.day + days),
            seen and replace(seen, day=seen.day + days),
        )

    def sum_by_product(self, values: Floats) -> Floats:
        """Sums over each product's pairs of ``values`` [pairs, …], [products, …]."""
        return sum_from(values, self.product_offsets()[1][:-1])

    def split(self, pairs: int) -> list[NDArray[np.bool_]]:
        """Masks that cut the table into runs of whole products of about ``pairs`` pairs.

        In order, at least one, and not larger than ``pairs`` plus one product.
        """
        _, offset = self.product_offsets()
        part_of_product = offset[:-1] // pairs
        part = np.repeat(part_of_product, np.diff(offset))
        return [part == number for number in np.unique(part_of_product)] or [part == 0]

    def of_same_product(self, row: int) -> slice:
        """The pairs of the product that the pair in a row is of."""
        ends = (
            np.searchsorted(self.product_id, self.product_id[row], s) for s in ("left", "right")
        )
        return slice(*map(int, ends))

    def product_offsets(self) -> tuple[Ints, Ints]:
        """Distinct product ids [products] and the pair offset of each [products + 1]."""
        ids, start = np.unique(self.product_id, return_index=True)
        return ids, np.append(start, len(self)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class PairPredictions:
    """What a model says of each pair, one row per pair, in the order of the patterns.

    Days count from the as-of date (0 is the as-of date itself); a next order beyond
    ``REACH_DAYS``, or one that never comes, is NaN.
    """

    p_alive: Floats  # [pairs]
    confidence: Floats  # [pairs]
    expected_interval: Floats  # [pairs], days
    open_interval_p: Floats  # [pairs], P(an interval lasts as long as the open one), before it
    next_order_day: Floats  # [pairs]
    next_order_quantiles: Floats  # [pairs, QUANTILES]
    p_order_by_week: Floats  # [pairs, weeks], at least one order by the end of the week
    expected_orders: Floats  # [pairs, weeks], in each week
    expected_quantity: Floats  # [pairs, weeks], in each week
    order_count_p: Floats  # [pairs, COUNTS], P(so many orders over all weeks), the last: or more

    def select(self, rows: Ints | NDArray[np.bool_]) -> "PairPredictions":
        """The pairs in ``rows``, in their order."""
        return PairPredictions(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def median_orders(self) -> Floats:
        """Median of a pair's orders over all weeks, at most ``COUNTS`` − 1, [pairs]."""
        up_to = np.cumsum(self.order_count_p, axis=1)
        median = np.argmax(up_to >= up_to[:, -1:] / 2.0, axis=1)
        return np.where(np.isfinite(up_to[:, -1]), median, np.nan)

    def finite(self) -> NDArray[np.bool_]:
        """Pairs whose probabilities and expectations are all finite, [pairs]."""
        several = (
            *(self.p_order_by_week, self.expected_orders),
            *(self.expected_quantity, self.order_count_p),
        )
        single = (self.p_alive, self.confidence, self.expected_interval, self.open_interval_p)
        finite = np.isfinite(np.column_stack((*several, *single)))
        rows: NDArray[np.bool_] = np.logical_and.reduce(finite, axis=1)
        return rows


@dataclass(frozen=True, slots=True)
class ProductDraws:
    """Predictive draws of each product's weekly demand, summed over its pairs per draw.

    Orders and quantities hold all demand, new customers included; ``known_expected_quantity``
    is the part of the customers known at the as-of date. Expectations are the model's own, with
    less noise than the mean of the draws.
    """

    product_id: Ints  # [products], ascending
    orders: NDArray[np.float32]  # [products, weeks, draws]
    quantity: NDArray[np.float32]  # [products, weeks, draws]
    expected_orders: Floats  # [products, weeks]
    expected_quantity: Floats  # [products, weeks]
    known_expected_quantity: Floats  # [products, weeks]


@dataclass(frozen=True, slots=True)
class PairDraws:
    """Predictive draws of the weekly demand of some pairs, one row per pair."""

    orders: NDArray[np.float32]  # [pairs, weeks, draws]
    quantity: NDArray[np.float32]  # [pairs, weeks, draws]


@dataclass(frozen=True, slots=True)
class DemandFactors:
    """By how many times the demand of products differs from what is predicted: orders, units."""

    draws: NDArray[np.float32]  # [2, products, weeks, draws]
    expected: Floats  # [2, products, weeks]


@dataclass(frozen=True, slots=True)
class Predictions:
    """One model's predictions for a table of patterns."""

    patterns: Patterns
    weeks: int
    pairs: PairPredictions
    products: ProductDraws


def starts_of(*keys: Ints) -> Ints:
    """Where sorted keys, of one length, change: the first row of each group."""
    changed = np.zeros(len(keys[0]), dtype=np.bool_)
    changed[:1] = True
    for key in keys:
        changed[1:] |= np.diff(key) != 0
    return np.flatnonzero(changed)


def sum_from(values: Floats, start: Ints) -> Floats:
    """Sums of the stretches that begin at ``start``, NaN counted as nothing, [stretches, …]."""
    if not len(start):
        return np.zeros((0, *values.shape[1:]))
    sums: Floats = np.add.reduceat(np.nan_to_num(values), start)
    return sums


def by_week(row: Ints, day: Ints, amount: Floats, rows: int, weeks: int) -> Floats:
    """Sums of ``amount`` in each of the weeks from day 0 on, [rows, weeks]; ``row`` says whose."""
    inside = (day >= 0) & (day < DAYS_PER_WEEK * weeks)
    cell = row[inside] * weeks + day[inside] // DAYS_PER_WEEK
    sums: Floats = np.bincount(cell, amount[inside], rows * weeks).astype(float)
    return sums.reshape(rows, weeks)


def ratio_of(numerator: Floats, denominator: Floats) -> Floats:
    """``numerator / denominator`` where the denominator is positive, else NaN."""
    out = np.full(len(numerator), np.nan)
    positive: NDArray[np.bool_] = denominator > 0
    np.divide(numerator, denominator, out=out, where=positive)
    return out


def quantiles_of(draws: NDArray[np.floating], axis: int) -> Floats:
    """``QUANTILES`` of draws, first axis of the result; a new draw is below each as often as named.

    With n draws that is the (n + 1) p-th in order: definition 6 of Hyndman & Fan (1996),
    doi:10.2307/2684934. The usual one, the 7th, makes 80 % intervals of 200 draws hold 79.2 %.
    """
    quantiles: Floats = np.quantile(draws, QUANTILES, axis=axis, method="weibull")
    return quantiles


def tolerance_days(expected_interval: Floats) -> Floats:
    """How far a next order may be from its date and still be as predicted, in days, [pairs]."""
    tolerance: Floats = np.maximum(MIN_TOLERANCE_DAYS, TOLERANCE_SHARE * expected_interval)
    return tolerance


def observed_weeks(as_of_date: date, last_date: date, weeks: int) -> int:
    """Whole weeks from ``as_of_date`` on, ``weeks`` at most, that ended by ``last_date``.

    >>> observed_weeks(date(2024, 1, 1), date(2024, 1, 14), 12)
    2
    """
    days = (last_date - as_of_date).days + 1
    return max(0, min(weeks, days // DAYS_PER_WEEK))
