"""What was ordered of each product week by week, as a series that ends at the as-of date."""

from dataclasses import dataclass, replace

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns, by_week


@dataclass(frozen=True, slots=True)
class WeeklyDemand:
    """Weeks are whole, the last one ends on the day before the as-of date and stands last."""

    product_id: Ints  # [products]
    quantity: Floats  # [products, weeks]
    orders: Floats  # [products, weeks]
    weeks_known: Ints  # [products], from the week of the first order on, at least 1

    @classmethod
    def of(cls, patterns: Patterns, weeks: int) -> "WeeklyDemand":
        """The last ``weeks`` weeks of every product; what lies before does not count."""
        product_id = patterns.product_offsets()[0]
        events = patterns.events
        product = np.searchsorted(product_id, events.product_id)
        back = (-1 - events.day) // DAYS_PER_WEEK
        oldest = np.zeros(len(product_id), dtype=np.int64)
        np.maximum.at(oldest, product, back)
        quantity, orders = (
            by_week(product, events.day + DAYS_PER_WEEK * weeks, amount, len(product_id), weeks)
            for amount in (events.quantity, np.ones(len(events)))
        )
        return cls(product_id, quantity, orders, oldest + 1)

    def at_levels(self, levels: Floats) -> "WeeklyDemand":
        """The same with every week divided by its level, [weeks]."""
        return replace(self, quantity=self.quantity / levels, orders=self.orders / levels)

    def series(self, product: int) -> Floats:
        """Quantities of one product (its row) from the week of its first order on."""
        return self.quantity[product, -int(self.weeks_known[product]) :]
