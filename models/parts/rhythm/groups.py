"""The columns of ``rhythm`` in groups that a person can tell apart, under plain names.

Within a group columns say much the same, so that one of them alone tells nothing of why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.parts.rhythm.activity import BOOSTED, COLUMNS
from toolkit.data.attribution import Measure

CLOCK, ELAPSED, LOG_ODDS = "clock", "elapsed", "log_odds"
"""What a row holds beside its columns, as logs; and what trees on pairs say of it."""
INPUTS = (*COLUMNS, BOOSTED, CLOCK, ELAPSED, LOG_ODDS)
"""All that expected orders of a pair follow from."""

type Inputs = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Group:
    """Inputs under one name; ``measure`` makes one readable number of a row's inputs."""

    name: str
    inputs: tuple[str, ...]
    unit: str = ""
    measure: Callable[[Inputs], float] | None = None

    def measured(self, pair: Inputs, typical: Inputs) -> Measure | None:
        """What the pair and a typical one are like; None where no number tells."""
        if self.measure is None:
            return None
        return Measure(self.unit, self.measure(pair), self.measure(typical))


GROUPS = (
    Group(
        "how often they order it",
        ("own_rate", "own_rate_by_visit", "own_rate_high", CLOCK),
        "days between orders",
        lambda x: float(np.exp(-x["own_rate"])),
    ),
    Group(
        "time since the last order",
        ("late", "overdue", "late_by_visit", "overdue_by_visit", ELAPSED),
        "times their usual interval since the last order",
        lambda x: float((np.exp(x[ELAPSED]) - 3.5) * np.exp(x["own_rate"])),
    ),
    Group(
        "orders so far",
        ("orders", "recent_orders", "one_over_intervals"),
        "repeat orders, old ones count less",
        lambda x: max(0.0, float(np.exp(x["orders"]) - 0.7)),
    ),
    Group(
        "how regularly they order it",
        ("irregularity", "last_interval_short"),
        "% by which their intervals scatter",
        lambda x: 100.0 * max(0.0, float(np.exp(x["irregularity"] - 0.3) - 0.2)),
    ),
    Group(
        "sizes of their orders",
        ("last_size", "last_size_late", "size"),
        "times their usual size in the last order",
        lambda x: float(np.exp(x["last_size"])),
    ),
    Group(
        "their business as a whole",
        ("visit_rate", "visit_trend", "basket"),
        "days between orders of anything",
        lambda x: float(np.exp(-x["visit_rate"])),
    ),
    Group(
        "time since they ordered anything",
        ("visit_late", "visit_overdue", "visit_very_overdue", "customer_silence"),
        "days since they ordered anything",
        lambda x: max(0.0, float(14.0 * np.exp(x["customer_silence"]) - 7.0)),
    ),
    Group(
        "the product as a whole",
        ("product_trend", "product_long_trend", "product_silence", "customers"),
        "customers of the product",
        lambda x: float(np.exp(x["customers"])),
    ),
    Group("boosted trees on all of these", (BOOSTED,)),
    Group("second opinion of trees on pairs", (LOG_ODDS,)),
)
