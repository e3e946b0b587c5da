"""The columns of ``activity`` pair by pair and day by day, in plain Python."""

from itertools import pairwise
from math import exp, log, sqrt
from statistics import mean

import numpy as np

WEEKS_12 = 84
SEASON_DAYS = 1096


class SlowActivity:
    """What the past says: ``orders`` is (product, customer) → days, ``visits`` customer → day →
    products ordered that day, ``sizes`` (product, customer) → sizes of the orders, in their
    order; ``level`` is the season's level of a day.
    """

    def __init__(self, orders, sizes, visits, level, per_day, per_visit):
        self.orders, self.sizes, self.visits, self.level = orders, sizes, visits, level
        self.per_day, self.per_visit = per_day, per_visit

    def faded_days(self, half_life, days):
        """The last so many days, each faded from its middle on, at its season's level."""
        return sum(2 ** ((0.5 - d) / half_life) * self.level(-d) for d in range(1, days + 1))

    def mean_level(self, half_life):
        weights = sum(2 ** ((0.5 - d) / half_life) for d in range(1, SEASON_DAYS + 1))
        return self.faded_days(half_life, SEASON_DAYS) / weights

    def repeat(self, pair, half_life=270):
        """Faded orders but the first."""
        return sum(2 ** (day / half_life) for day in sorted(self.orders[pair])[1:])

    def visits_after_first(self, pair):
        first = min(self.orders[pair])
        return sum(2 ** (day / 270) for day in self.visits[pair[1]] if day > first)

    def customers_of(self, product):
        return sorted(customer for p, customer in self.orders if p == product)

    def sizes_of(self, product):
        """Of all orders of a product."""
        return [q for c in self.customers_of(product) for q in self.sizes[product, c]]

    def product(self, product):
        """The product's rates and columns; ``silence`` is in days."""
        pairs = [(product, customer) for customer in self.customers_of(product)]
        days = [day for pair in pairs for day in self.orders[pair]]
        repeat = sum(self.repeat(pair) for pair in pairs)
        exposure = sum(self.faded_days(270, -min(self.orders[pair])) for pair in pairs)
        visits = sum(self.visits_after_first(pair) for pair in pairs)
        n = {h: sum(2 ** (day / h) for day in days) for h in (30, 90, 270, 900)}
        known_days = 900 / log(2) * (1 - 2 ** (min(days) / 900))
        long_run = 2 + n[900] / known_days * WEEKS_12
        return {
            "rate": (repeat + 2000 * self.per_day) / (exposure + 2000),
            "rate_by_visit": (repeat + 100 * self.per_visit) / (visits + 100),
            "trend": log(in_12_weeks(n[30], 30) / in_12_weeks(n[270], 270))
            + log(self.mean_level(270) / self.mean_level(30)),
            "long_trend": log(in_12_weeks(n[90], 90) / long_run)
            + log(self.mean_level(900) / self.mean_level(90)),
            "silence": -max(days),
        }

    def customer(self, customer):
        """The customer's columns; ``silence`` is in days."""
        visits = self.visits[customer]
        faded = sum(2 ** (day / 270) for day in visits)
        lines = {h: sum(n * 2 ** (day / h) for day, n in visits.items()) for h in (30, 270)}
        weekday = [sum(2 ** (d / 270) for d in visits if d % 7 == i) for i in range(7)]
        return {
            "rate": log((1 + faded) / (30 + self.faded_days(270, -min(visits)))),
            "trend": log(in_12_weeks(lines[30], 30) / in_12_weeks(lines[270], 270))
            + log(self.mean_level(270) / self.mean_level(30)),
            "basket": log((1 + lines[270]) / (1 + faded)),
            "silence": -max(visits),
            "weekday": [(w + 0.5) / (faded + 3.5) for w in weekday],
        }

    def known_pair(self, pair):
        """The columns of a pair, by name."""
        days = sorted(self.orders[pair])
        intervals = [later - day for day, later in pairwise(days)]
        product, customer = self.product(pair[0]), self.customer(pair[1])
        own_orders = 0.7 + self.repeat(pair)
        age = self.faded_days(270, -days[0])
        own_rate = log(own_orders / (0.7 / product["rate"] + age))
        by_visit = 0.7 / product["rate_by_visit"] + self.visits_after_first(pair)
        since = sum(1 for day in self.visits[pair[1]] if day > days[-1])
        return self._row(
            own_rate,
            log(own_orders / by_visit),
            product,
            customer,
            -days[-1],
            since,
            log(self.sizes[pair][-1] / mean(self.sizes[pair])),
        ) | {
            "size": log(mean(self.sizes[pair]) / mean(self.sizes_of(pair[0]))),
            "customers": log(len(self.customers_of(pair[0]))),
            "last_interval_short": min(log(intervals[-1] + 3) + own_rate, 0) if intervals else 0,
            "orders": log(0.7 + self.repeat(pair, 900)),
            "irregularity": irregularity(intervals),
            "one_over_intervals": 1 / len(intervals) if intervals else 0,
            "recent_orders": log(own_orders),
        }

    def new_pair(self, product_id):
        """The columns of a customer who is about to buy the product for the first time."""
        product = self.product(product_id) | {"silence": 0}
        customers = [self.customer(c) for c in self.customers_of(product_id)]
        means = {name: np.mean([c[name] for c in customers], axis=0) for name in customers[0]}
        rates = log(product["rate"]), log(product["rate_by_visit"])
        return self._row(*rates, product, means | {"silence": 0}, 0, 0, 0) | {
            "size": 0,
            "customers": log(len(customers)),
            "last_interval_short": 0,
            "orders": log(0.7),
            "irregularity": 0,
            "one_over_intervals": 0,
            "recent_orders": log(0.7),
        }

    def _row(
        self, own_rate, own_rate_by_visit, product, customer, silence, visits_since, last_size
    ):
        late, fresh = log(silence + 3.5) + own_rate, log(3.5) + own_rate
        late_by_visit = log(visits_since + 0.5) + own_rate_by_visit
        fresh_by_visit = log(0.5) + own_rate_by_visit
        visit_late = log(customer["silence"] + 3.5) + customer["rate"]
        return {
            "own_rate": own_rate,
            "own_rate_by_visit": own_rate_by_visit,
            "visit_rate": customer["rate"],
            "visit_trend": customer["trend"],
            "basket": customer["basket"],
            "visit_late": visit_late,
            "visit_overdue": max(visit_late, 0),
            "visit_very_overdue": max(visit_late - 1, 0),
            "late": late,
            "overdue": max(late, 0),
            "late_by_visit": late_by_visit,
            "overdue_by_visit": max(late_by_visit, 0),
            "product_trend": product["trend"],
            "product_long_trend": product["long_trend"],
            "customer_silence": log((customer["silence"] + 7) / 14),
            "product_silence": log((product["silence"] + 7) / 14),
            "own_rate_high": max(own_rate - log(1 / 14), 0),
            "last_size": last_size,
            "last_size_late": last_size * min(max(late, -3), 1.5),
            "restarted": [
                *(fresh, max(fresh, 0), fresh_by_visit, max(fresh_by_visit, 0)),
                last_size * min(max(fresh, -3), 1.5),
            ],
            "clock": 7 * exp(own_rate),
            "elapsed": silence / 7,
            "weekday": customer["weekday"],
        }


def in_12_weeks(faded, half_life):
    """Orders in twelve weeks at the faded rate, and two."""
    return 2 + faded * log(2) / half_life * WEEKS_12


def irregularity(intervals):
    """Log of 0.2 and the deviation of the log intervals, and 0.3; 0 with fewer than two."""
    if len(intervals) < 2:
        return 0
    logs = [log(interval) for interval in intervals]
    mean = sum(logs) / len(logs)
    return log(0.2 + sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))) + 0.3
