"""What prediction kernels fill in, and the predictions it makes."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.parts.pair.sizes import expected_size
from toolkit.data.tables import (
    COUNTS,
    QUANTILES,
    Floats,
    PairDraws,
    PairPredictions,
    Patterns,
    Predictions,
    ProductDraws,
)

MEDIAN = QUANTILES.index(0.50)


class ProductResults(NamedTuple):
    """One product's share of the results, as a kernel fills it in."""

    orders: Floats  # [draws, weeks]
    quantity: Floats  # [draws, weeks]
    p_by_week: Floats  # [pairs, weeks] and the others, too: see ``Results``
    later_orders: Floats
    order_counts: Floats
    quantiles: Floats
    summary: Floats


@dataclass(frozen=True, slots=True)
class Results:
    """Drawn orders and quantities are [products, draws, weeks], summed over a product's pairs."""

    orders: Floats
    quantity: Floats
    new_orders: Floats  # [products, weeks], means over the draws
    new_quantity: Floats  # [products, weeks]
    p_by_week: Floats  # [pairs, weeks], P(next order by the end of the week)
    later_orders: Floats  # [pairs, weeks], orders after a path's first, summed over the draws
    order_counts: Floats  # [pairs, COUNTS], draws with so many orders, 0 not counted
    quantiles: Floats  # [pairs, QUANTILES], days of the next order
    summary: Floats  # [pairs, 4]: P(alive), P(open interval), expected interval, confidence

    @classmethod
    def empty(cls, products: int, pairs: int, draws: int, weeks: int) -> "Results":
        """Room for the results, no order in it yet."""
        return cls(
            orders=np.zeros((products, draws, weeks)),
            quantity=np.zeros((products, draws, weeks)),
            new_orders=np.empty((products, weeks)),
            new_quantity=np.empty((products, weeks)),
            p_by_week=np.empty((pairs, weeks)),
            later_orders=np.zeros((pairs, weeks)),
            order_counts=np.zeros((pairs, COUNTS)),
            quantiles=np.empty((pairs, len(QUANTILES))),
            summary=np.empty((pairs, 4)),
        )

    def of_product(self, product: int, pairs: slice) -> ProductResults:
        """The product's row and the rows of its pairs, to be filled in."""
        of_pairs = (
            *(self.p_by_week, self.later_orders, self.order_counts),
            *(self.quantiles, self.summary),
        )
        rows = (column[pairs] for column in of_pairs)
        return ProductResults(self.orders[product], self.quantity[product], *rows)

    def settle_new_pairs(self, product: int) -> None:
        """All orders of the product's row so far are its new pairs': keep their means."""
        self.new_orders[product] = self.orders[product].mean(axis=0)
        self.new_quantity[product] = self.quantity[product].mean(axis=0)

    @property
    def pair_draws(self) -> PairDraws:
        """The draws, where each row of the products is that of a single pair."""
        return PairDraws(draws_last(self.orders), draws_last(self.quantity))

    def predictions(self, patterns: Patterns, urn_weight: float) -> Predictions:
        """The predictions of ``patterns``, once everything is filled in."""
        draws, weeks = self.orders.shape[1:]
        first_orders = np.diff(self.p_by_week, axis=1, prepend=0.0)
        expected_orders = first_orders + self.later_orders / draws
        size = expected_size(patterns, urn_weight)
        p_alive, open_interval_p, expected_interval, confidence = self.summary.T
        pairs = PairPredictions(
            p_alive=p_alive,
            confidence=confidence,
            expected_interval=expected_interval,
            open_interval_p=open_interval_p,
            next_order_day=self.quantiles[:, MEDIAN],
            next_order_quantiles=self.quantiles,
            p_order_by_week=self.p_by_week,
            expected_orders=expected_orders,
            expected_quantity=expected_orders * size[:, None],
            order_count_p=self._order_count_p(),
        )
        known_quantity = patterns.sum_by_product(pairs.expected_quantity)
        products = ProductDraws(
            product_id=patterns.product_offsets()[0],
            orders=draws_last(self.orders),
            quantity=draws_last(self.quantity),
            expected_orders=patterns.sum_by_product(expected_orders) + self.new_orders,
            expected_quantity=known_quantity + self.new_quantity,
            known_expected_quantity=known_quantity,
        )
        return Predictions(patterns, weeks, pairs, products)

    def _order_count_p(self) -> Floats:
        """P(so many orders): none exactly, the others by their shares of the draws with any."""
        some = self.p_by_week[:, -1]
        counts = self.order_counts.copy()
        counts[:, 1] += counts.sum(axis=1) == 0  # no draw of something that hardly ever happens
        p: Floats = counts * (some / counts.sum(axis=1))[:, None]
        p[:, 0] = 1.0 - some
        return p


def draws_last(drawn: Floats) -> NDArray[np.float32]:
    """From [rows, draws, weeks] to [rows, weeks, draws], in single precision."""
    return drawn.transpose(0, 2, 1).astype(np.float32)
