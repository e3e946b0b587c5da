"""What a pair's, its customer's and its product's past activity say of its coming weeks.

Orders fade: one that lies d days back counts 2^(−d / h) with half-life h, and so do the days
through which it could have come, each at its season's level. A discounted rate is the faded
orders over the faded days, held to the product's rate where there are few.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.parts.kernels.vector import compiled
from models.parts.rhythm.season import Season
from toolkit.data.tables import CustomerDays, Floats, Ints, Patterns, sum_from
from toolkit.errors import ModelError

HALF_LIVES = (30, 90, 270, 900)
LONG, LONGER = 270, 900
PAIRS_AT_ONCE = 100_000
"""What is needed of all pairs to fit is made of so many of them at a time."""

OWN_ORDERS = 0.7
"""A pair's rate starts from so many orders at its product's rate."""
PRODUCT_DAYS, PRODUCT_CUSTOMER_DAYS = 2000.0, 100.0
"""A product's rates start from so many days, the calendar's and its customers', at those of all."""
SEASON_DAYS = 1096
HIGH_RATE = float(np.log(1 / 14))
"""A pair that orders more often than every two weeks has a high rate."""
EARLY, LATE = -3.0, 1.5
"""How much is left of a last order, larger or smaller than usual, shows between them."""

RATE = (
    *("own_rate", "own_rate_by_visit", "visit_rate", "visit_trend", "basket"),
    *("visit_late", "visit_overdue", "visit_very_overdue", "late", "overdue"),
    *("late_by_visit", "overdue_by_visit", "product_trend", "product_long_trend"),
    *("last_interval_short", "orders", "irregularity", "one_over_intervals"),
    *("own_rate_high", "last_size", "last_size_late", "size", "customers"),
)
FRAILTY = ("recent_orders",)
ALIVE = ("customer_silence", "product_silence", "late")
DIP = ("irregularity", "orders", "overdue")
EXTRA = ("visit_rate", "own_rate")
COLUMNS = tuple(dict.fromkeys((*RATE, *FRAILTY, *ALIVE, *DIP, *EXTRA)))
RESTARTED = ("late", "overdue", "late_by_visit", "overdue_by_visit", "last_size_late")
"""What an order sets back."""

type Blocks = Mapping[str, tuple[str, ...]]

BLOCKS: Blocks = {"rate": RATE, "dip": DIP, "frailty": FRAILTY, "alive": ALIVE, "extra": EXTRA}
"""The columns of each block of coefficients."""

BOOSTED = "boosted"
"""A column that trees make of the others, the last one (``boosting.py``)."""
BOOSTED_BLOCKS: Blocks = {**BLOCKS, "rate": (*RATE, BOOSTED)}


@dataclass(frozen=True, slots=True)
class BaseRates:
    """What rates are held to where little is known.

    Repeat orders of all pairs per day and per day on which their customer ordered anything, and
    first orders per product and day.
    """

    per_day: float
    per_visit: float
    newcomers: float


class Activity(NamedTuple):
    """One row per pair, or per product for a customer that buys it for the first time."""

    values: Floats  # [rows, COLUMNS], and ``BOOSTED`` where a version has it
    restarted: Floats  # [rows, RESTARTED], what they are right after an order
    clock: Floats  # [rows], own rate per week: how fast a renewal passes
    elapsed: Floats  # [rows], weeks since the last order
    weekday: Floats  # [rows, 7], share of the customer's days; day 0 is the as-of date

    def select(self, rows: slice) -> "Activity":
        """Some of the rows."""
        return Activity(*(column[rows] for column in self))


def column(names: tuple[str, ...]) -> Ints:
    """Where ``names`` stand in ``COLUMNS`` and after them."""
    every = (*COLUMNS, BOOSTED)
    return np.array([every.index(name) for name in names], dtype=np.int64)


def product_parts(patterns: Patterns) -> Iterator[Patterns]:
    """Tables of whole products: what is made of all order events at once may not fit beside them.

    One, the whole, where it is small.
    """
    if len(patterns) <= PAIRS_AT_ONCE:
        yield patterns
        return
    for mask in patterns.split(PAIRS_AT_ONCE):
        yield patterns.select(mask)


def repeat_rates(patterns: Patterns, season: Season) -> tuple[float, float]:
    """Repeat orders of all pairs per day, and per day on which their customer ordered."""
    of_parts = []
    for part in product_parts(patterns):
        sums = _Sums.of(part, season)
        of_parts.append((sums.repeat[LONG], sums.visits, sums.faded_days[LONG][sums.age]))
    columns = (np.concatenate(column) for column in zip(*of_parts, strict=True))  # each [pairs]
    repeat, visits, days = (float(column.sum()) for column in columns)
    return (repeat + OWN_ORDERS) / days, (repeat + OWN_ORDERS) / (visits + 1.0)


def activity(patterns: Patterns, season: Season, base: BaseRates) -> Activity:
    """The rows of all pairs in ``patterns``, then of a new pair for each of its products."""
    s = _Sums.of(patterns, season)
    of_pairs = s.with_new_pairs
    own_rate = s.own_rate(s.faded_days[LONG][s.age], PRODUCT_DAYS, base.per_day)
    own_rate_by_visit = s.own_rate(s.visits, PRODUCT_CUSTOMER_DAYS, base.per_visit)
    customer = s.customer_rows()
    elapsed_days = of_pairs(patterns.open_interval)
    late, fresh = np.log(elapsed_days + 3.5) + own_rate, np.log(3.5) + own_rate
    visits_since = of_pairs(s.visits_since)
    late_by_visit = np.log(visits_since + 0.5) + own_rate_by_visit
    fresh_by_visit = np.log(0.5) + own_rate_by_visit
    visit_late = np.log(customer["silence"] + 3.5) + customer["rate"]
    trend, long_trend, product_silence = s.product_columns()
    intervals = of_pairs(patterns.interval_count)
    last_interval = np.log(of_pairs(s.last_interval) + 3.0) + own_rate
    last_size, size = s.size_columns()
    columns = {
        "own_rate": own_rate,
        "own_rate_by_visit": own_rate_by_visit,
        "visit_rate": customer["rate"],
        "visit_trend": customer["trend"],
        "basket": customer["basket"],
        "visit_late": visit_late,
        "visit_overdue": np.maximum(visit_late, 0.0),
        "visit_very_overdue": np.maximum(visit_late - 1.0, 0.0),
        "late": late,
        "overdue": np.maximum(late, 0.0),
        "late_by_visit": late_by_visit,
        "overdue_by_visit": np.maximum(late_by_visit, 0.0),
        "product_trend": trend,
        "product_long_trend": long_trend,
        "last_interval_short": np.where(intervals > 0, np.minimum(last_interval, 0.0), 0.0),
        "orders": np.log(OWN_ORDERS + of_pairs(s.repeat[LONGER])),
        "irregularity": of_pairs(s.irregularity),
        "one_over_intervals": np.where(intervals > 0, 1.0 / np.maximum(intervals, 1.0), 0.0),
        "own_rate_high": np.maximum(own_rate - HIGH_RATE, 0.0),
        "last_size": last_size,
        "last_size_late": last_size * np.clip(late, EARLY, LATE),
        "size": size,
        "customers": s.customers(),
        "recent_orders": np.log(OWN_ORDERS + of_pairs(s.repeat[LONG])),
        "customer_silence": np.log((customer["silence"] + 7.0) / 14.0),
        "product_silence": product_silence,
    }
    restarted = (
        *(fresh, np.maximum(fresh, 0.0), fresh_by_visit, np.maximum(fresh_by_visit, 0.0)),
        last_size * np.clip(fresh, EARLY, LATE),
    )
    return Activity(
        values=np.stack([columns[name] for name in COLUMNS], axis=1),
        restarted=np.stack(restarted, axis=1),
        clock=7.0 * np.exp(own_rate),
        elapsed=elapsed_days / 7.0,
        weekday=customer["weekday"],
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Faded sums over pairs, customers and products; dictionaries are by half-life."""

    patterns: Patterns
    product_start: Ints  # [products], first pair of each
    product: Ints  # [pairs]
    customer: Ints  # [pairs], row of its customer
    customer_start: Ints  # [customers + 1], into ``days``
    days: CustomerDays
    age: Ints  # [pairs], days since the first order
    repeat: dict[int, Floats]  # [pairs], orders but the first
    all_orders: dict[int, Floats]  # [pairs]
    visits: Floats  # [pairs], the customer's days after the pair's first order, ``LONG``
    visits_since: Ints  # [pairs], the customer's days after the pair's last order
    last_interval: Floats  # [pairs], days, 0 without
    irregularity: Floats  # [pairs], of the log intervals, 0 with fewer than two
    faded_days: dict[int, Floats]  # [days + 1], the last so many days, at their season's level
    mean_level: dict[int, float]  # season's level of the faded past

    @classmethod
    def of(cls, patterns: Patterns, season: Season) -> "_Sums":
        if patterns.customer_days is None:
            raise ModelError("the patterns come without their customers' order days")
        days, events = patterns.customer_days, patterns.events
        _, offset = patterns.product_offsets()
        customer_id, start = np.unique(days.customer_id, return_index=True)
        customer_start = np.append(start, len(days.day)).astype(np.int64)
        customer = np.searchsorted(customer_id, patterns.customer_id)
        first = patterns.event_offset[:-1]
        first_day, last_day = events.day[first], -patterns.open_interval.astype(np.int64)
        past = -min(int(days.day.min(initial=0)), int(events.day.min(initial=0)), -SEASON_DAYS)
        faded = faded_days(season, patterns.as_of_date, past)
        repeat, all_orders, mean_level = {}, {}, {}
        year_days = np.arange(1, SEASON_DAYS + 1)
        is_first = np.zeros(len(events), dtype=bool)
        is_first[first] = True
        for h in HALF_LIVES:
            mean_level[h] = faded[h][SEASON_DAYS] / np.exp2((0.5 - year_days) / h).sum()
            order = np.exp2(events.day / h)
            repeat[h] = sum_from(np.where(is_first, 0.0, order), first)
            all_orders[h] = sum_from(order, first)
        visits, visits_since = _visits(
            customer, customer_start, days.day, np.exp2(days.day / LONG), first_day, last_day
        )
        interval = np.diff(events.day, prepend=0).astype(float)
        last = patterns.event_offset[1:] - 1
        return cls(
            patterns=patterns,
            product_start=offset[:-1],
            product=np.repeat(np.arange(len(offset) - 1), np.diff(offset)),
            customer=customer,
            customer_start=customer_start,
            days=days,
            age=-first_day,
            repeat=repeat,
            all_orders=all_orders,
            visits=visits,
            visits_since=visits_since,
            last_interval=np.where(patterns.interval_count > 0, interval[last], 0.0),
            irregularity=_irregularity(patterns, np.where(is_first, 1.0, interval)),
            faded_days=faded,
            mean_level=mean_level,
        )

    def by_product(self, values: Floats) -> Floats:
        """Sums over each product's pairs, [products]."""
        return sum_from(values, self.product_start)

    def with_new_pairs(self, values: NDArray[Any]) -> Floats:
        """Values of the pairs, and 0 for each product's new one, [pairs + products]."""
        return np.append(values, np.zeros(len(self.product_start)))

    def own_rate(self, exposure: Floats, prior: float, prior_rate: float) -> Floats:
        """Log of each row's repeat orders per unit of ``exposure`` [pairs], both faded.

        It is held to its product's rate, and that one, by ``prior`` units, to ``prior_rate``.
        """
        orders = self.repeat[LONG]
        of_product = (self.by_product(orders) + prior * prior_rate) / (
            self.by_product(exposure) + prior
        )
        products = np.arange(len(self.product_start))
        held = OWN_ORDERS / of_product[np.concatenate([self.product, products])]
        rate: Floats = np.log(
            (OWN_ORDERS + self.with_new_pairs(orders)) / (held + self.with_new_pairs(exposure))
        )
        return rate

    def product_columns(self) -> tuple[Floats, Floats, Floats]:
        """Trend, long trend and log silence of each row's product.

        A new customer's order ends the silence.
        """
        n_products = len(self.product_start)
        product = np.concatenate([self.product, np.arange(n_products)])
        n = {h: self.by_product(self.all_orders[h]) for h in HALF_LIVES}
        silence = np.minimum.reduceat(self.patterns.open_interval, self.product_start)[product]
        silence[len(self.product) :] = 0.0
        age = np.maximum.reduceat(self.age, self.product_start).astype(float)
        known_days = _memory(LONGER) * (1.0 - np.exp2(-age / LONGER))
        level = self.mean_level
        trend = np.log(in_twelve_weeks(n[30], 30) / in_twelve_weeks(n[LONG], LONG))
        long_trend = np.log(in_twelve_weeks(n[90], 90) / (2.0 + n[LONGER] / known_days * 84.0))
        return (
            trend[product] + np.log(level[LONG] / level[30]),
            long_trend[product] + np.log(level[LONGER] / level[90]),
            np.log((silence + 7.0) / 14.0),
        )

    def size_columns(self) -> tuple[Floats, Floats]:
        """Log of the last size over the usual one, and of that one over its product's.

        A new pair's are 0, as of one that buys what is usual.
        """
        patterns = self.patterns
        orders = patterns.order_count.astype(float)
        usual = patterns.total_quantity / orders
        of_product = self.by_product(patterns.total_quantity) / self.by_product(orders)
        last = patterns.events.quantity[patterns.event_offset[1:] - 1]
        return (
            self.with_new_pairs(np.log(last / usual)),
            self.with_new_pairs(np.log(usual / of_product[self.product])),
        )

    def customers(self) -> Floats:
        """Log of how many customers each row's product has, [pairs + products]."""
        products = np.arange(len(self.product_start))
        count = np.bincount(self.product, minlength=len(products)).astype(float)
        return np.log(count[np.concatenate([self.product, products])])

    def customer_rows(self) -> dict[str, Floats]:
        """Columns of each row's customer.

        A product's new one is the mean of those it has, on a day on which it orders.
        """
        start = self.customer_start[:-1]
        day, products = self.days.day, self.days.products.astype(float)
        fade = {h: np.exp2(day / h) for h in (30, LONG)}
        visits = sum_from(fade[LONG], start)
        lines = {h: sum_from(fade[h] * products, start) for h in (30, LONG)}
        weekdays = np.zeros((len(start), 7))
        for i in range(7):
            weekdays[:, i] = sum_from(np.where(day % 7 == i, fade[LONG], 0.0), start)
        first, last = day[start], day[self.customer_start[1:] - 1]
        level = self.mean_level
        columns = {
            "rate": np.log((1.0 + visits) / (30.0 + self.faded_days[LONG][-first])),
            "trend": np.log(in_twelve_weeks(lines[30], 30) / in_twelve_weeks(lines[LONG], LONG))
            + np.log(level[LONG] / level[30]),
            "basket": np.log((1.0 + lines[LONG]) / (1.0 + visits)),
            "silence": -last.astype(float),
        }
        size = np.diff(np.append(self.product_start, len(self.customer)))
        rows = {}
        for name, values in columns.items():
            of_pair = values[self.customer]
            rows[name] = np.concatenate([of_pair, self.by_product(of_pair) / size])
        rows["silence"][len(self.customer) :] = 0.0
        of_pair = (weekdays + 0.5) / (weekdays.sum(axis=1, keepdims=True) + 3.5)
        of_pair = of_pair[self.customer]
        means = np.stack([self.by_product(of_pair[:, i]) / size for i in range(7)], axis=1)
        rows["weekday"] = np.concatenate([of_pair, means])
        return rows


def _memory(half_life: int) -> float:
    """Faded days of an endless past."""
    return half_life / float(np.log(2.0))


def faded_days(season: Season, as_of_date: date, past: int) -> dict[int, Floats]:
    """By half-life: the last so many days, faded, each at its season's level, [past + 1]."""
    back = np.arange(1, past + 1)
    level = np.exp(season.log_level(as_of_date, -back))
    return {h: np.append(0.0, np.cumsum(np.exp2((0.5 - back) / h) * level)) for h in HALF_LIVES}


def in_twelve_weeks(faded: Floats, half_life: int) -> Floats:
    """Orders in twelve weeks at the faded rate, and two."""
    return 2.0 + faded / _memory(half_life) * 84.0


def _irregularity(patterns: Patterns, interval: Floats) -> Floats:
    """Log of the deviation of log intervals, centred; 0 with fewer than two, [pairs]."""
    m = np.maximum(patterns.interval_count, 1)
    squares = sum_from(np.log(interval) ** 2, patterns.event_offset[:-1])
    variance = squares / m - (patterns.interval_log_sum / m) ** 2
    spread = np.log(0.2 + np.sqrt(np.maximum(variance, 0.0))) + 0.3
    irregularity: Floats = np.where(patterns.interval_count > 1, spread, 0.0)
    return irregularity


@compiled
def _visits(
    customer: Ints, start: Ints, day: Ints, fade: Floats, first_day: Ints, last_day: Ints
) -> tuple[Floats, Ints]:
    """The customer's days after each pair's first order, faded, and those after its last."""
    faded = np.zeros(len(customer))
    since = np.zeros(len(customer), dtype=np.int64)
    for i in range(len(customer)):
        row = start[customer[i] + 1] - 1
        while row >= start[customer[i]] and day[row] > first_day[i]:
            faded[i] += fade[row]
            if day[row] > last_day[i]:
                since[i] += 1
            row -= 1
    return faded, since
