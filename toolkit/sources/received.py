"""Orders that a database does not hold yet: stated by hand, known as of the day after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from toolkit.data.tables import CustomerDays, Ints, OrderEvents
from toolkit.sources.base import OrderSource, ProductInfo, categories_of
from toolkit.sources.returns import settled


@dataclass(frozen=True, slots=True)
class ReceivedOrder:
    """A customer ordered so many units of a product; at what price is not said."""

    customer_id: int
    product_id: int
    quantity: float


@dataclass(frozen=True, slots=True)
class WithReceived:
    """What ``source`` knows before a date, and orders received on that date: as of the day after.

    Nothing else of that day is known, whatever the source holds of it. Prices are those before it.
    Each method raises ``ValueError`` for another date than ``as_of``.
    """

    source: OrderSource
    day: date
    received: Sequence[ReceivedOrder] = ()

    @property
    def as_of(self) -> date:
        """The day after."""
        return self.day + timedelta(1)

    def order_events(
        self, as_of_date: date, product_ids: Sequence[int] | None = None
    ) -> OrderEvents:
        """Those before the day, and the orders received on it."""
        self._check(as_of_date)
        known = self.source.order_events(self.day, product_ids)
        units: dict[tuple[int, int], float] = {}
        for order in self.received:
            if product_ids is None or order.product_id in product_ids:
                pair = order.product_id, order.customer_id
                units[pair] = units.get(pair, 0.0) + order.quantity
        product_id = np.append(known.product_id, [product for product, _ in units])
        customer_id = np.append(known.customer_id, [customer for _, customer in units])
        day = np.append(known.day, [0] * len(units)) - 1
        rows = np.lexsort((day, customer_id, product_id))
        return OrderEvents(
            self.as_of,
            product_id[rows].astype(np.int64),
            customer_id[rows].astype(np.int64),
            day[rows].astype(np.int64),
            np.append(known.quantity, settled(np.array([*units.values()])))[rows],
        )

    def customer_days(self, as_of_date: date, customer_ids: Sequence[int]) -> CustomerDays:
        """Those before the day, and the day where they ordered on it."""
        self._check(as_of_date)
        known = self.source.customer_days(self.day, customer_ids)
        asked = {*customer_ids}
        pairs = {(o.customer_id, o.product_id) for o in self.received if o.customer_id in asked}
        customers, products = np.unique(
            np.array([customer for customer, _ in pairs], np.int64), return_counts=True
        )
        customer_id = np.append(known.customer_id, customers)
        day: Ints = np.append(known.day, np.zeros(len(customers), np.int64)) - 1
        rows = np.lexsort((day, customer_id))
        return CustomerDays(customer_id[rows], day[rows], np.append(known.products, products)[rows])

    def ordered_products(self, as_of_date: date, customer_ids: Sequence[int]) -> list[int]:
        """Those before the day, and those of the orders received on it."""
        self._check(as_of_date)
        known = self.source.ordered_products(self.day, customer_ids)
        asked = {*customer_ids}
        return sorted({*known, *(o.product_id for o in self.received if o.customer_id in asked)})

    def products(self, as_of_date: date, product_ids: Sequence[int]) -> Mapping[int, ProductInfo]:
        """Names, and prices before the day."""
        self._check(as_of_date)
        return self.source.products(self.day, product_ids)

    def customer_names(self, customer_ids: Sequence[int]) -> Mapping[int, str]:
        """The source's own."""
        return self.source.customer_names(customer_ids)

    def categories(self, product_ids: Sequence[int] | None = None) -> Mapping[int, str]:
        """The source's own."""
        return categories_of(self.source, product_ids)

    def _check(self, as_of_date: date) -> None:
        if as_of_date != self.as_of:
            raise ValueError(f"orders received on {self.day} are known as of {self.as_of} alone")
