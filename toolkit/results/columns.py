"""What the fields of a product's forecast are made of: columns, and no record yet."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import (
    Floats,
    Ints,
    PairPredictions,
    Predictions,
    ProductDraws,
    quantiles_of,
)
from toolkit.results.metadata import ModelMetadata


@dataclass(frozen=True, slots=True)
class CustomerColumns:
    """Some of a product's customers, a row each: of their history, and all that is predicted."""

    customer_id: Ints  # [customers]
    order_count: Ints  # [customers]
    open_interval: Floats  # [customers], days since the last order
    predicted: PairPredictions  # of [customers]

    @classmethod
    def of(cls, predictions: Predictions, rows: Ints) -> "CustomerColumns":
        """The pairs in ``rows`` of the predictions."""
        known = predictions.patterns
        everyone = cls(known.customer_id, known.order_count, known.open_interval, predictions.pairs)
        return everyone.select(rows)

    def __len__(self) -> int:
        """Number of customers."""
        return len(self.customer_id)

    def select(self, rows: Ints | NDArray[np.bool_]) -> "CustomerColumns":
        """The customers in ``rows``, in their order."""
        return CustomerColumns(
            self.customer_id[rows],
            self.order_count[rows],
            self.open_interval[rows],
            self.predicted.select(rows),
        )

    @property
    def orders(self) -> list[float]:
        """Each customer's expected orders over the horizon."""
        return [sum(row) for row in self.predicted.expected_orders.tolist()]

    @property
    def quantity(self) -> list[float]:
        """Each customer's expected quantity over the horizon."""
        return [sum(row) for row in self.predicted.expected_quantity.tolist()]


@dataclass(frozen=True, slots=True)
class ProductDemand:
    """All demand for one product: expectations, and quantity quantiles by week and in total."""

    expected_orders: Floats  # [weeks]
    expected_quantity: Floats  # [weeks]
    known_expected_quantity: Floats  # [weeks]
    quantiles: Floats | None = None  # [weeks, QUANTILES]
    total_quantiles: Floats | None = None  # [QUANTILES]

    @classmethod
    def from_draws(cls, products: ProductDraws, row: int) -> "ProductDemand":
        """Demand of product ``row``; quantiles over its draws, the total's over their sums."""
        quantity = products.quantity[row].astype(float)
        return cls(
            expected_orders=products.expected_orders[row],
            expected_quantity=products.expected_quantity[row],
            known_expected_quantity=products.known_expected_quantity[row],
            quantiles=quantiles_of(quantity, axis=1).T,
            total_quantiles=quantiles_of(quantity.sum(axis=0), axis=0),
        )

    @classmethod
    def of_customers(cls, customers: CustomerColumns) -> "ProductDemand":
        """Demand of these customers alone. Their sum's quantiles need draws: there are none."""
        quantity = customers.predicted.expected_quantity.sum(axis=0)
        return cls(customers.predicted.expected_orders.sum(axis=0), quantity, quantity)


@dataclass(frozen=True, slots=True)
class ProductColumns:
    """All that the fields of a product's forecast are made of.

    ``listed`` are the customers that pass the thresholds, ``watched`` those to search for
    customers at risk; ``demand`` is everybody's. ``metadata`` is said as it stands.
    """

    product_id: int
    product_name: str
    unit_price: float | None
    as_of: date
    weeks: int
    listed: CustomerColumns
    watched: CustomerColumns
    demand: ProductDemand
    metadata: ModelMetadata

    def day(self, number: float) -> str:
        """A day after the as-of date."""
        return (self.as_of + timedelta(number)).isoformat()
