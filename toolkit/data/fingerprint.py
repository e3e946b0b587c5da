"""Which data: what tells one set of order events from another."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from toolkit.data.tables import OrderEvents
from toolkit.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Order events, their span, and a digest of their content."""

    rows: int
    customers: int
    products: int
    first_date: date
    last_date: date
    sha256: str

    @classmethod
    def of(cls, events: OrderEvents) -> "Fingerprint":
        """The fingerprint of sorted ``events``; the as-of date they are told from is no part of it.

        Raises ``ArgumentError`` where there are none.
        """
        if not len(events):
            raise ArgumentError(f"there are no orders before {events.as_of_date}")
        return cls(
            rows=len(events),
            customers=len(np.unique(events.customer_id)),
            products=len(np.unique(events.product_id)),
            first_date=events.as_of_date + timedelta(int(events.day.min())),
            last_date=events.as_of_date + timedelta(int(events.day.max())),
            sha256=_digest(events),
        )


def _digest(events: OrderEvents) -> str:
    whole = hashlib.sha256()
    day = events.day + events.as_of_date.toordinal()
    for column in (events.product_id, events.customer_id, day, events.quantity):
        whole.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes())
    return whole.hexdigest()
