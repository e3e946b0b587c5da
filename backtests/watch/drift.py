"""How the orders of the last twelve weeks differ from those that a fit had last seen."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from toolkit.card import Grid
from toolkit.data.tables import DAYS_PER_WEEK, Floats, OrderEvents
from toolkit.sources.base import OrderSource

SPAN_WEEKS = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the ``SPAN_WEEKS`` weeks before a date."""

    customers: int
    products: int
    orders: int
    median_units: float  # of an order
    new_pairs: float  # share of the orders that were a pair's first
    by_weekday: tuple[float, ...]  # shares of the orders, Monday first

    @classmethod
    def of(cls, events: OrderEvents) -> "Figures":
        """From all order events before the date."""
        recent = events.day >= -DAYS_PER_WEEK * SPAN_WEEKS
        some = events.where(recent)
        orders, known = len(some), some.quantity[~np.isnan(some.quantity)]
        first = np.ones(len(events), dtype=bool)
        first[1:] = (np.diff(events.product_id) != 0) | (np.diff(events.customer_id) != 0)
        weekday = (events.as_of_date.weekday() + some.day) % DAYS_PER_WEEK
        shares = np.bincount(weekday, minlength=DAYS_PER_WEEK) / max(orders, 1)
        return cls(
            len(np.unique(some.customer_id)),
            len(np.unique(some.product_id)),
            orders,
            float(np.median(known)) if len(known) else 0.0,
            float(first[recent].mean()) if orders else 0.0,
            tuple(shares.tolist()),
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """The weeks before a fit's date, and those before another date.

    ``prices``: of the products ordered before both dates, the median of price now over price then;
    None where no product has both.
    """

    fitted_as_of: date
    then: Figures
    now: Figures
    prices: float | None = None

    @classmethod
    def read(cls, source: OrderSource, day: date, fitted_as_of: date) -> "Drift":
        """As ``source`` knows the orders before ``day``, prices too."""
        events = source.order_events(day)
        recent = events.where(events.day >= -DAYS_PER_WEEK * SPAN_WEEKS)
        ids = np.unique(recent.product_id).tolist()
        then, now = (source.products(when, ids) for when in (fitted_as_of, day))
        ratios = [
            price / before
            for i, info in now.items()
            if (price := info.unit_price) and i in then and (before := then[i].unit_price)
        ]
        found = cls.of(events, fitted_as_of)
        return replace(found, prices=float(np.median(ratios)) if ratios else None)

    @classmethod
    def of(cls, events: OrderEvents, fitted_as_of: date) -> "Drift":
        """From all order events before the later date; both dates see the orders as they stand."""
        days = (events.as_of_date - fitted_as_of).days
        known = events.where(events.day < -days)
        earlier = OrderEvents(
            events.as_of_date - timedelta(days), known.product_id, known.customer_id,
            known.day + days, known.quantity,
        )  # fmt: skip
        return cls(fitted_as_of, Figures.of(earlier), Figures.of(events))

    @property
    def weekday_distance(self) -> float:
        """Share of the orders that fall on other days of the week (total variation)."""
        then: Floats = np.array(self.then.by_weekday)
        return float(np.abs(then - np.array(self.now.by_weekday)).sum() / 2)

    def to_grid(self) -> Grid:
        """A table of both."""
        then, now = self.then, self.now
        heads = (f"{SPAN_WEEKS} weeks", f"before the fit, {self.fitted_as_of}", "now", "change")
        rows = [
            ("customers who ordered", f"{then.customers:,}", f"{now.customers:,}",
             _change(then.customers, now.customers)),
            ("products ordered", f"{then.products:,}", f"{now.products:,}",
             _change(then.products, now.products)),
            ("orders", f"{then.orders:,}", f"{now.orders:,}", _change(then.orders, now.orders)),
            ("units of a usual order", f"{then.median_units:,g}", f"{now.median_units:,g}",
             _change(then.median_units, now.median_units)),
            ("price of a product, the median", "", "",
             "" if self.prices is None else f"{self.prices - 1:+.1%}"),
            ("orders that were a pair's first", f"{then.new_pairs:.1%}", f"{now.new_pairs:.1%}",
             f"{100 * (now.new_pairs - then.new_pairs):+.1f} points"),
            ("orders on other weekdays", "", f"{self.weekday_distance:.1%}", ""),
        ]  # fmt: skip
        return Grid("What the orders were, and are", heads, rows, frozenset(heads[1:]))


def _change(then: float, now: float) -> str:
    return f"{now / then - 1:+.1%}" if then else ""
