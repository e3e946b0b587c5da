"""Customers who order week by week, and how many of them have fallen silent.

Of the customers who ordered in ``HABIT`` of ``BEFORE`` weeks, the share that then ordered nothing
for two weeks. One week of silence is a holiday, two are hardly ever: where half of the customers
are lost, it jumps to nearly half in the second week, whatever the forecasts say.

An alarm stands for four weeks from the last share above the limit. That is what shares drawn from
those before the watch with a Gaussian kernel (as in ``charts.py``) stay below for a century in a
share .56^(1/charts) of centuries, and a third at the least: a holiday of two weeks that the history
does not hold is no lost customer base. There is none where the customers are too few to tell.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from backtests.watch.charts import (
    BANDWIDTH,
    CENTURIES,
    CENTURY_WEEKS,
    CHARTS,
    CUSTOMERS,
    FEWEST_WEEKS,
    QUIET,
)
from backtests.watch.figure import ChartState
from toolkit.data.tables import DAYS_PER_WEEK, Floats, OrderEvents
from toolkit.sources.base import OrderSource

HABIT, BEFORE, SILENT = 10, 12, 2
FEWEST_CUSTOMERS = 20
"""With such a habit, for a share."""

STANDS = 4
MEASURE = f"highest of {STANDS} weeks"
LEAST_LIMIT = 1 / 3
USUAL = (0.16, 0.84)


def customers_state(source: OrderSource, day: date, last_date: date, since: date) -> ChartState:
    """The chart of regular customers: weeks from ``since`` on, held against those before.

    Weeks are whole ones up to ``day``; one is over when it ended by ``last_date``.
    """
    late = max(0, (day - last_date).days - 1)
    end = day - timedelta(DAYS_PER_WEEK * -(-late // DAYS_PER_WEEK))
    shares = silent_shares(source.order_events(end))
    begins = [
        end - timedelta(DAYS_PER_WEEK * weeks) for weeks in range(len(shares), 0, -1)
    ]  # of the second silent week
    first = sum(begin < since for begin in begins)
    return _state(shares[first:], begins[first:], shares[:first])


def silent_shares(events: OrderEvents) -> Floats:
    """The share of each week of silence that ended before the as-of date, oldest first, [weeks].

    NaN where fewer than ``FEWEST_CUSTOMERS`` had a habit.
    """
    ids, row = np.unique(events.customer_id, return_inverse=True)
    age = (-events.day - 1) // DAYS_PER_WEEK
    weeks = int(age.max(initial=-1)) + 1
    ordered = np.zeros((len(ids), weeks + 1), dtype=np.int32)
    ordered[row, weeks - age] = 1
    total = ordered.cumsum(axis=1)  # [customers, weeks + 1], weeks with an order so far
    span = BEFORE + SILENT
    if weeks < span:
        return np.zeros(0)
    habit = total[:, BEFORE : weeks + 1 - SILENT] - total[:, : weeks + 1 - span] >= HABIT
    silent = total[:, span:] == total[:, BEFORE : weeks + 1 - SILENT]
    customers = habit.sum(axis=0)
    shares = (habit & silent).sum(axis=0) / np.maximum(customers, 1)
    return np.where(customers >= FEWEST_CUSTOMERS, shares, np.nan)


def limit_of(shares: Floats) -> float | None:
    """From shares of weeks before the watch; None where they are too few."""
    known = shares[np.isfinite(shares)]
    if len(known) < FEWEST_WEEKS:
        return None
    rng = np.random.default_rng(0)
    width = BANDWIDTH * len(known) ** -0.2 * known.std(ddof=1)
    highest = np.zeros(CENTURIES)
    for century in range(CENTURIES):
        drawn = known[rng.integers(len(known), size=CENTURY_WEEKS)]
        highest[century] = (drawn + width * rng.standard_normal(CENTURY_WEEKS)).max()
    return max(LEAST_LIMIT, float(np.quantile(highest, QUIET ** (1 / len(CHARTS)))))


def _state(shares: Floats, begins: Sequence[date], before: Floats) -> ChartState:
    limit = limit_of(before)
    there = np.nan_to_num(shares, nan=0.0).tolist()
    highest = [max(there[max(0, i + 1 - STANDS) : i + 1]) for i in range(len(there))]
    history = tuple(
        (day, value, None if limit is None else total)
        for day, value, total in zip(begins, shares.tolist(), highest, strict=True)
        if math.isfinite(value)
    )
    last = history[-1][1] if history else None
    state = ChartState(
        CUSTOMERS.name, CUSTOMERS.title, len(history), last, history=history, measure=MEASURE
    )
    if limit is None:
        return state
    quiet = [place for place, total in enumerate(highest) if total <= limit]
    begun = quiet[-1] + 1 if quiet else 0
    low, high = np.quantile(before[np.isfinite(before)], USUAL).tolist()
    return replace(
        state,
        usual=(low, high),
        sum=highest[-1] if highest else 0.0,
        limit=limit,
        since=begins[begun] if begun < len(begins) else None,
    )
