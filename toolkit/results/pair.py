"""Results of one pair: how it ordered so far, and when it orders next.

Probabilities lie in [0, 1]; orders and quantities are expectations unless a quantile is named;
dates are ``datetime.date``.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from toolkit.card import Card, Figure, Grid, Shown, Span, counted
from toolkit.data.tables import QUANTILES, PairPredictions, Patterns
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.results.figures import Drawing

BEYOND = "beyond two years"
"""What is said of a next order that is further away than is predicted."""


@dataclass(frozen=True, slots=True)
class FailedPair:
    """A pair that was left out of a forecast, and why."""

    product_id: int
    customer_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class CustomerProductPattern(Shown):
    """One pair's ordering pattern before ``as_of_date``. Durations in days.

    ``mean_interval_days`` is None without a second order, ``std_interval_days`` and ``cv``
    (sample deviation, and its ratio to the mean) without a third.
    """

    customer_id: int
    product_id: int
    as_of_date: date
    order_dates: tuple[date, ...]
    quantities: tuple[float, ...]
    total_orders: int
    interval_sum_days: float
    interval_log_sum: float
    mean_interval_days: float | None
    std_interval_days: float | None
    cv: float | None
    open_interval_days: float
    avg_quantity: float

    @classmethod
    def from_patterns(cls, patterns: Patterns, row: int) -> "CustomerProductPattern":
        """Row ``row`` of a pattern table."""
        events = slice(*patterns.event_offset[row : row + 2])
        days = patterns.events.day[events].tolist()
        return cls(
            customer_id=int(patterns.customer_id[row]),
            product_id=int(patterns.product_id[row]),
            as_of_date=patterns.as_of_date,
            order_dates=tuple(patterns.as_of_date + timedelta(day) for day in days),
            quantities=tuple(patterns.events.quantity[events].tolist()),
            total_orders=int(patterns.order_count[row]),
            interval_sum_days=float(patterns.interval_sum[row]),
            interval_log_sum=float(patterns.interval_log_sum[row]),
            mean_interval_days=_known(patterns.mean_interval[row]),
            std_interval_days=_known(patterns.std_interval[row]),
            cv=_known(patterns.cv[row]),
            open_interval_days=float(patterns.open_interval[row]),
            avg_quantity=float(patterns.total_quantity[row] / patterns.order_count[row]),
        )

    def plot_timeline(self, prediction: "CustomerPrediction | None" = None) -> "Drawing":
        """The orders on a line of time, the open interval, and when the next one is expected.

        ``prediction`` is of the same pair, as of the same date, else ``ArgumentError``. The
        figure is returned, never shown.
        """
        from toolkit.results.figures import plot_timeline

        if prediction is not None and _pair(prediction) != _pair(self):
            raise ArgumentError(
                "the prediction has to be of the pattern's pair and date, "
                f"{_said(self)}; got {_said(prediction)}"
            )
        known = (
            None
            if prediction is None
            else dict(zip(QUANTILES, prediction.next_order_quantiles, strict=True))
        )
        return plot_timeline(
            self._timeline_title(),
            self.as_of_date,
            self.order_dates,
            self.quantities,
            known,
            None if prediction is None else prediction.next_order_date,
        )

    def _timeline_title(self) -> str:
        title = (
            f"Customer {self.customer_id}, product {self.product_id}: "
            f"{counted(self.total_orders, 'order')}"
        )
        if self.mean_interval_days is not None:
            title += f", one every {self.mean_interval_days:,.0f} days"
        return f"{title}, the last {self.open_interval_days:,.0f} days ago"

    def __repr__(self) -> str:
        """Which pair, and what is to know of it; not all its orders."""
        mean = self.mean_interval_days
        pace = "" if mean is None else f", one every {mean:.1f} days"
        return (
            f"<CustomerProductPattern of customer {self.customer_id}, product {self.product_id} "
            f"before {self.as_of_date}: {counted(self.total_orders, 'order')}{pace}, "
            f"the last {self.open_interval_days:.0f} days ago>"
        )

    def to_card(self) -> Card:
        """How the pair ordered so far."""
        mean, deviation = self.mean_interval_days, self.std_interval_days
        figures = [
            Figure("orders", f"{self.total_orders:,}"),
            Figure(
                "days between orders",
                "–" if mean is None else f"{mean:,.1f}",
                "" if deviation is None else f"± {deviation:,.1f}",
            ),
            Figure("days since the last", f"{self.open_interval_days:,.0f}"),
            Figure("units an order", f"{self.avg_quantity:,.3g}"),
        ]
        gaps = [""] + [
            f"{(later - earlier).days:,}"
            for earlier, later in zip(self.order_dates, self.order_dates[1:], strict=False)
        ]
        rows = [
            (f"{day}", gap, f"{units:,g}")
            for day, gap, units in zip(self.order_dates, gaps, self.quantities, strict=True)
        ]
        heads = ("ordered on", "days after", "units")
        orders = Grid("Last orders", heads, rows[::-1], frozenset(heads[1:]))
        return Card(
            title=f"Customer {self.customer_id}, product {self.product_id}",
            subtitle=f"What was known before {self.as_of_date}",
            figures=figures,
            grids=[orders.first(more="orders before these")],
        )


@dataclass(frozen=True, slots=True)
class CustomerPrediction(Shown):
    """What is predicted for one pair over the weeks after ``as_of_date``.

    ``next_order_date`` is the median; it and the quantiles (levels ``QUANTILES``) are None
    beyond reach. ``prediction_confidence`` is the probability that the next order falls within
    ± max(3 days, a quarter of the expected interval) of that date. Weekly tuples hold one
    number per week; ``p_order_by_week`` is cumulative.
    """

    customer_id: int
    product_id: int
    as_of_date: date
    total_orders: int
    open_interval_days: float
    expected_interval_days: float
    open_interval_p: float
    p_alive: float
    prediction_confidence: float
    next_order_date: date | None
    next_order_quantiles: tuple[date | None, ...]
    p_order_by_week: tuple[float, ...]
    expected_orders: tuple[float, ...]
    expected_quantity: tuple[float, ...]

    @classmethod
    def from_tables(
        cls, patterns: Patterns, pairs: PairPredictions, row: int
    ) -> "CustomerPrediction":
        """Row ``row`` of a pattern table and its predictions."""
        as_of = patterns.as_of_date
        return cls(
            customer_id=int(patterns.customer_id[row]),
            product_id=int(patterns.product_id[row]),
            as_of_date=as_of,
            total_orders=int(patterns.order_count[row]),
            open_interval_days=float(patterns.open_interval[row]),
            expected_interval_days=float(pairs.expected_interval[row]),
            open_interval_p=float(pairs.open_interval_p[row]),
            p_alive=float(pairs.p_alive[row]),
            prediction_confidence=float(pairs.confidence[row]),
            next_order_date=date_of(as_of, pairs.next_order_day[row]),
            next_order_quantiles=tuple(
                date_of(as_of, day) for day in pairs.next_order_quantiles[row].tolist()
            ),
            p_order_by_week=tuple(pairs.p_order_by_week[row].tolist()),
            expected_orders=tuple(pairs.expected_orders[row].tolist()),
            expected_quantity=tuple(pairs.expected_quantity[row].tolist()),
        )

    def __repr__(self) -> str:
        """Which pair, and when it orders next; not every week."""
        return (
            f"<CustomerPrediction of customer {self.customer_id}, product {self.product_id} "
            f"as of {self.as_of_date}: next order {self.next_order_date or 'beyond reach'}, "
            f"confidence {self.prediction_confidence:.2f}, P(alive) {self.p_alive:.2f}>"
        )

    def to_card(self) -> Card:
        """When the pair orders next, and how sure that is."""
        weeks = range(1, len(self.p_order_by_week) + 1)
        rows = [
            (
                f"{week}",
                f"{100 * share:.0f} %",
                Span(0.0, share, share),
                f"{orders:,.2f}",
                f"{units:,.1f}",
            )
            for week, share, orders, units in zip(
                weeks,
                self.p_order_by_week,
                self.expected_orders,
                self.expected_quantity,
                strict=True,
            )
        ]
        day = self.next_order_date
        heads = ("week", "P(ordered by its end)", "", "orders", "units")
        return Card(
            title=f"Customer {self.customer_id}, product {self.product_id}",
            subtitle=f"As of {self.as_of_date}, from {self.total_orders:,} orders",
            figures=[
                Figure("next order", BEYOND if day is None else f"{day}"),
                Figure("confidence", f"{self.prediction_confidence:.2f}"),
                Figure("P(still a customer)", f"{self.p_alive:.2f}"),
                Figure("days between orders", f"{self.expected_interval_days:,.0f}"),
            ],
            grids=[Grid("By week", heads, rows, frozenset({*heads[1:2], *heads[3:]}))],
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def date_of(as_of: date, day: float) -> date | None:
    """The date so many days after ``as_of``, None for NaN: beyond reach."""
    return None if math.isnan(day) else as_of + timedelta(int(day))


def _pair(of: CustomerProductPattern | CustomerPrediction) -> tuple[int, int, date]:
    return of.customer_id, of.product_id, of.as_of_date


def _said(of: CustomerProductPattern | CustomerPrediction) -> str:
    return f"customer {of.customer_id}, product {of.product_id} as of {of.as_of_date}"
