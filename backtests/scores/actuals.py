"""What really happened after an as-of date; never shown to a model.

Weeks are whole weeks from the as-of date on. Only weeks that ended before the data did are
observed, and nothing is said of the others.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from backtests.scores.history import find_pairs
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, OrderEvents, Patterns, by_week
from toolkit.sources.base import OrderSource, events_until


def events_after(source: OrderSource, as_of_date: date, weeks: int) -> OrderEvents:
    """Order events of the ``weeks`` weeks from the as-of date on; their days are 0 and more.

    As they stand at the end of those weeks: a return in them takes out orders of theirs, or of
    before, which are not among these; so no quantity is negative. Later ones are not looked at.
    Products are those of the as-of date: orders of one that was replaced before it are its heir's,
    orders of one that is replaced later are its own.
    """
    end = as_of_date + timedelta(weeks=weeks)
    events = events_until(source, end, as_of_date)
    after = events.where(events.day >= -DAYS_PER_WEEK * weeks)
    day = after.day + DAYS_PER_WEEK * weeks
    return OrderEvents(as_of_date, after.product_id, after.customer_id, day, after.quantity)


@dataclass(frozen=True, slots=True)
class Actuals:
    """What the pairs and products known at the as-of date did in the ``weeks`` observed weeks."""

    weeks: int
    next_day: Floats  # [pairs], day of the first order, from 0; NaN if there was none
    orders_by_week: Ints  # [pairs, weeks], order events in each week
    product_id: Ints  # [products], ascending
    quantity: Floats  # [products, weeks], of everybody, new customers included

    @classmethod
    def of(cls, source: OrderSource, patterns: Patterns, weeks: int) -> "Actuals":
        """Read what happened in the ``weeks`` weeks after the patterns' as-of date."""
        events = events_after(source, patterns.as_of_date, weeks)
        return cls.among(events, (patterns.product_id, patterns.customer_id), weeks)

    @classmethod
    def among(cls, events: OrderEvents, pairs: tuple[Ints, Ints], weeks: int) -> "Actuals":
        """What of ``events``, all on or after the as-of date, the pairs and products did.

        ``pairs``: product and customer ids, [pairs] each, sorted by both.
        """
        product_id = np.unique(pairs[0])
        events = events.where(np.isin(events.product_id, product_id))
        product = np.searchsorted(product_id, events.product_id)
        units = np.nan_to_num(events.quantity)
        quantity = by_week(product, events.day, units, len(product_id), weeks)
        pair, known = find_pairs(pairs, (events.product_id, events.customer_id))
        day = events.day[known]
        orders = by_week(pair[known], day, np.ones(len(day)), len(pairs[0]), weeks)
        next_day = np.full(len(pairs[0]), np.inf)
        np.minimum.at(next_day, pair[known], day.astype(float))
        next_day[np.isinf(next_day)] = np.nan
        return cls(weeks, next_day, orders.astype(np.int64), product_id, quantity)

    @property
    def days(self) -> int:
        """Observed days."""
        return DAYS_PER_WEEK * self.weeks

    def next_week(self) -> Ints:
        """Week of the first order, from 0; ``weeks`` where there was none, [pairs]."""
        none = np.isnan(self.next_day)
        day = np.where(none, self.days, self.next_day).astype(np.int64)
        return day // DAYS_PER_WEEK

    def of_pairs(self, rows: Ints) -> "Actuals":
        """The same with some of the pairs."""
        return replace(self, next_day=self.next_day[rows], orders_by_week=self.orders_by_week[rows])
