"""What the gamma versions are fitted to."""

from dataclasses import dataclass

import numpy as np

from models.parts.kernels.collapsed import PairRows
from models.parts.kernels.renewal import survived_days
from models.parts.pair.arrivals import arrivals
from toolkit.data.tables import Floats, Ints, Patterns


@dataclass(frozen=True, slots=True)
class FitData:
    """What the model is fitted to: rows of pairs, their customers and products, arrivals."""

    rows: PairRows
    customer: Ints  # [pairs], row of its customer
    product: Ints  # [pairs], row of its product
    customer_id: Ints  # [customers], ascending
    product_id: Ints  # [products], ascending
    arrived: Floats  # first orders, of each product counted
    arrival_days: Floats  # days in which they were counted

    @classmethod
    def of(cls, patterns: Patterns, used: Ints, regularities: Ints) -> "FitData":
        """The pairs ``used`` of ``patterns``, rows in ascending order, and all arrivals."""
        customer_id, customer = np.unique(patterns.customer_id[used], return_inverse=True)
        product_id, product = np.unique(patterns.product_id[used], return_inverse=True)
        statistics = (
            patterns.interval_count[used].astype(float),
            patterns.interval_sum[used],
            patterns.interval_log_sum[used],
            survived_days(patterns.open_interval[used]),
        )
        arrived, days = arrivals(patterns)
        rows = PairRows.of(statistics, regularities)
        return cls(rows, customer, product, customer_id, product_id, arrived, days)

    @property
    def count(self) -> Floats:
        """m of each pair, [pairs]."""
        return self.rows.counts[self.rows.count_row]

    def information(self, *, lapse: bool) -> dict[str, Floats]:
        """How much is known of each customer, product and, with ``lapse``, tilt, by name."""
        information: Floats = (self.count + 0.5) / (self.count + 1.5)
        has_intervals: Floats = np.where(self.count > 1, 1.0, 1e-6)
        customer: Floats = np.bincount(self.customer, information).astype(float)
        product, tilt = (
            np.bincount(self.product, known).astype(float) for known in (information, has_intervals)
        )
        known = {"customer": customer, "product": product}
        return known | {"tilt": tilt} if lapse else known
