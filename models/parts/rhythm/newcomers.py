"""Customers who buy a product for the first time: how many come, from what the product did before.

First orders of a product in twelve weeks are negative binomial; the log of their mean is linear
in the product's past: the rates at which new customers came, faded as in ``activity.py``, how its
orders go, how many customers it has and how long it has been silent and known. The pair that
opened a product's history is what the count starts from, and is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.parts.rhythm.activity import (
    HALF_LIVES,
    LONG,
    BaseRates,
    faded_days,
    in_twelve_weeks,
    product_parts,
    repeat_rates,
)
from models.parts.rhythm.season import Season
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns, sum_from

NEWCOMER_ORDERS = 0.7
"""A product's rates start from so many first orders at the rate of all."""
MAX_AGE_DAYS, YEAR_DAYS = 1500.0, 365.0
OTHERS = tuple(h for h in HALF_LIVES if h != LONG)
NEWCOMERS = ("rate", *(f"rate_{h}" for h in OTHERS), "trend", "customers", "silence", "age")
"""Columns: a log rate per day, and what differs from it with another memory; the rest are logs."""
PRIOR_MEAN: Floats = np.array([0.0, 1.0] + [0.0] * (len(NEWCOMERS) - 1))
"""Of the constant at the columns' means, and the slopes: the rate goes on as it was."""
PRIOR_SD: Floats = np.array([1.0] + [0.5] * len(NEWCOMERS))


@dataclass(frozen=True, slots=True)
class Newcomers:
    """First orders in windows, a row per product and window."""

    arrived: Floats  # [rows]
    values: Floats  # [rows, NEWCOMERS]
    log_days: Floats  # [rows], of the window's days, each at its season's level

    @classmethod
    def of(cls, patterns: Patterns, windows: Iterable[tuple[int, int]], season: Season,
           per_day: float) -> "Newcomers":  # fmt: skip
        """From ``windows``: how many days back each began, and for how many it went on.

        What was known then is made of some products at a time.
        """
        orders = replace(patterns, customer_days=None)
        columns = [
            _rows(part.earlier(back), days, season, part, per_day)
            for back, days in windows
            for part in product_parts(orders)
            if first_days(part).min() < -back
        ]
        return cls(*(np.concatenate(column) for column in zip(*columns, strict=True)))

    def select(self, rows: int, seed: int) -> "Newcomers":
        """``rows`` of the rows, drawn at random; all where there are no more."""
        n = len(self.arrived)
        some = np.sort(np.random.default_rng(seed).permutation(n)[:rows])
        return Newcomers(self.arrived[some], self.values[some], self.log_days[some])

    def design(self) -> tuple[Floats, Floats]:
        """A column of ones and the centred columns [rows, 1 + NEWCOMERS], and the means.

        The rate's own mean stays in it, so that a constant of 0 and a slope of 1 go on with it.
        """
        mean = self.values.mean(axis=0)
        mean[0] = 0.0
        return np.hstack([np.ones((len(self.values), 1)), self.values - mean]), mean


def _rows(
    known: Patterns, days: int, season: Season, later: Patterns, per_day: float
) -> tuple[Floats, Floats, Floats]:
    """The columns of ``Newcomers`` for the products ``known`` when a window began."""
    back = (later.as_of_date - known.as_of_date).days
    first = first_days(later)
    inside = (first >= -back) & (first < days - back)
    ids = known.product_offsets()[0]
    row = np.searchsorted(ids, later.product_id[inside])
    row[row == len(ids)] = 0
    arrived = np.bincount(row[ids[row] == later.product_id[inside]], minlength=len(ids))
    levels = season.week_levels(known.as_of_date, days // DAYS_PER_WEEK)
    log_days = np.full(len(ids), np.log(DAYS_PER_WEEK * levels.sum()))
    return arrived.astype(float), newcomer_columns(known, season, per_day), log_days


def base_rates(patterns: Patterns, season: Season) -> BaseRates:
    """What rates are held to, from all pairs and products."""
    of_parts = [_first_orders(part, season)[LONG] for part in product_parts(patterns)]
    orders, days = (np.concatenate(column) for column in zip(*of_parts, strict=True))
    newcomers = float((orders.sum() + NEWCOMER_ORDERS) / (days.sum() + 1.0))
    return BaseRates(*repeat_rates(patterns, season), newcomers)


def newcomer_columns(patterns: Patterns, season: Season, per_day: float) -> Floats:
    """What each product's past says of its new customers, [products, NEWCOMERS]."""
    _, offset = patterns.product_offsets()
    start, events = offset[:-1], patterns.events
    rate = {
        h: np.log((orders + NEWCOMER_ORDERS) / (days + NEWCOMER_ORDERS / per_day))
        for h, (orders, days) in _first_orders(patterns, season).items()
    }
    first_event = patterns.event_offset[:-1][start]
    recent, long = (
        in_twelve_weeks(sum_from(np.exp2(events.day / h), first_event), h) for h in (30, LONG)
    )
    silence = np.minimum.reduceat(patterns.open_interval, start) if len(start) else rate[LONG]
    age = np.minimum(-_opened(patterns), MAX_AGE_DAYS)
    return np.stack(
        [
            rate[LONG],
            *(rate[h] - rate[LONG] for h in OTHERS),
            np.log(recent / long),
            np.log(np.diff(offset)),
            np.log((silence + 7.0) / 14.0),
            np.log(age / YEAR_DAYS),
        ],
        axis=1,
    )


def first_days(patterns: Patterns) -> Ints:
    """Day of each pair's first order, [pairs]."""
    days: Ints = patterns.events.day[patterns.event_offset[:-1]]
    return days


def _opened(patterns: Patterns) -> Ints:
    """Day of each product's first order, [products]."""
    start = patterns.product_offsets()[1][:-1]
    days: Ints = np.minimum.reduceat(first_days(patterns), start) if len(start) else start
    return days


def _first_orders(patterns: Patterns, season: Season) -> dict[int, tuple[Floats, Floats]]:
    """By half-life: first orders of each product but the one that opened it, and days, both faded.

    Days count from the one after it was opened, each at its season's level.
    """
    _, offset = patterns.product_offsets()
    first, opened = first_days(patterns), _opened(patterns)
    counted: NDArray[np.bool_] = first > np.repeat(opened, np.diff(offset))
    days = faded_days(season, patterns.as_of_date, int(-opened.min(initial=-1)))
    return {
        h: (
            patterns.sum_by_product(np.where(counted, np.exp2(first / h), 0.0)),
            days[h][-opened - 1],
        )
        for h in HALF_LIVES
    }
