"""What is known of pairs and products at the as-of date by which scores are sliced."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.data.tables import DAYS_PER_WEEK, Ints, OrderEvents, Patterns

CLASSES = ("smooth", "erratic", "intermittent", "lumpy")
"""Of products, by how regular their weekly demand is; codes are places in this tuple."""

CLASS_TYPE = pd.CategoricalDtype(list(CLASSES))

MAX_INTERVAL_WEEKS = 1.32
MAX_CV2 = 0.49


@dataclass(frozen=True, slots=True)
class FirstDays:
    """Each customer's first day with an order of anything known."""

    customer_id: Ints  # [customers], ascending
    day: Ints  # [customers], <= -1

    @classmethod
    def of(cls, events: OrderEvents) -> "FirstDays":
        """From all events known."""
        ids, row = np.unique(events.customer_id, return_inverse=True)
        first = np.zeros(len(ids), dtype=np.int64)
        np.minimum.at(first, row, events.day)
        return cls(ids, first)

    def ages(self, customer_id: Ints) -> Ints:
        """Days from the customers' first order to the as-of date, [customers asked for]."""
        age: Ints = -self.day[np.searchsorted(self.customer_id, customer_id)]
        return age


@dataclass(frozen=True, slots=True)
class KnownHistory:
    """What was known of each pair, and of its product, [pairs]."""

    product_id: Ints
    customer_id: Ints
    order_count: Ints
    customer_age_days: Ints
    product_orders_before: Ints
    product_class: NDArray[np.int8]

    @classmethod
    def of(cls, patterns: Patterns, first_days: FirstDays) -> "KnownHistory":
        """Of all ``patterns``, which hold whole products."""
        _, offset = patterns.product_offsets()
        event_offset = patterns.event_offset[offset]
        classes = product_classes(patterns.events, event_offset)
        pairs = np.diff(offset)
        return cls(
            patterns.product_id,
            patterns.customer_id,
            patterns.order_count,
            first_days.ages(patterns.customer_id),
            np.repeat(np.diff(event_offset), pairs),
            np.repeat(classes, pairs),
        )

    def select(self, rows: Ints) -> "KnownHistory":
        """The pairs in ``rows``."""
        return KnownHistory(*(getattr(self, column.name)[rows] for column in fields(self)))

    def rows_of(self, product_id: Ints, customer_id: Ints) -> Ints:
        """The row of each of the pairs, which are among these."""
        return find_pairs((self.product_id, self.customer_id), (product_id, customer_id))[0]

    def by_product(self) -> tuple[Ints, NDArray[np.int8]]:
        """Order events and class of each product, ascending by id, [products]."""
        _, first = np.unique(self.product_id, return_index=True)
        return self.product_orders_before[first], self.product_class[first]


def as_classes(codes: NDArray[np.int8]) -> pd.Categorical:
    """Codes of classes as a column of their names."""
    return pd.Categorical.from_codes(codes.astype(np.int64), dtype=CLASS_TYPE)


def find_pairs(
    known: tuple[Ints, Ints], wanted: tuple[Ints, Ints]
) -> tuple[Ints, NDArray[np.bool_]]:
    """Row of each wanted pair among the known, and whether it is there at all, [wanted].

    Pairs are (product ids, customer ids); the known are sorted by both.
    """
    if not len(known[0]):
        return np.zeros(len(wanted[0]), dtype=np.int64), np.zeros(len(wanted[0]), dtype=np.bool_)
    products, customers = map(np.unique, known)

    def key(pairs: tuple[Ints, Ints]) -> Ints:
        product = np.searchsorted(products, pairs[0])
        return product * (len(customers) + 1) + np.searchsorted(customers, pairs[1])

    row = np.minimum(np.searchsorted(key(known), key(wanted)), len(known[0]) - 1)
    there = (known[0][row] == wanted[0]) & (known[1][row] == wanted[1])
    return row, there


def product_classes(events: OrderEvents, offset: Ints) -> NDArray[np.int8]:
    """The class of each product, whose events are ``offset[i]:offset[i + 1]``, [products].

    By the weekly quantity from the week of its first order to the as-of date: smooth or erratic
    if there are less than 1.32 weeks to a week with demand, erratic or lumpy if the squared
    coefficient of variation of the demand in weeks that have any is 0.49 or more (Syntetos,
    Boylan & Croston 2005, doi:10.1057/palgrave.jors.2601841).
    """
    week = (-events.day - 1) // DAYS_PER_WEEK  # 0: the last week before the date
    product = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    weeks = int(week.max(initial=0)) + 1
    cell, row = np.unique(product * weeks + week, return_inverse=True)
    demand = np.bincount(row, np.nan_to_num(events.quantity), len(cell))
    owner, products = cell // weeks, len(offset) - 1
    active = np.bincount(owner, minlength=products)
    span = np.zeros(products, dtype=np.int64)
    np.maximum.at(span, owner, cell % weeks + 1)
    mean = np.bincount(owner, demand, products) / active
    variance = np.bincount(owner, (demand - mean[owner]) ** 2, products) / active
    rare = span / active >= MAX_INTERVAL_WEEKS
    varied = variance / mean**2 >= MAX_CV2
    return (2 * rare + varied).astype(np.int8)
