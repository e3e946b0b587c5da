"""What is kept of many products together: sums of draws, a row a product, pairs at risk.

Nothing has the size of the products' draws, so that a part may be made wherever its orders lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from toolkit.data.grouping import Grouping
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    Floats,
    Ints,
    Patterns,
    Predictions,
    ProductDraws,
    quantiles_of,
    sum_from,
)
from toolkit.results.pair import FailedPair
from toolkit.results.risk import OVERDUE, reason_of, severity_of
from toolkit.sources.base import categories_of
from toolkit.stages.listing import Chooser
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, in_chunks
from toolkit.views.products import Named, named

YEAR_DAYS = 364
"""What a pair usually orders is told from so many days before the date: whole weeks."""

BLOCK = 500
"""So many products, by id, are summed by themselves, and then the blocks in turn: sums of draws
are rounded alike whoever adds up a block."""


@dataclass(frozen=True, slots=True)
class SummedDraws:
    """Draws summed over products, draw by draw; of categories, those over the horizon.

    Revenue is that of the products with a price.
    """

    orders: Floats  # [weeks, draws]
    quantity: Floats  # [weeks, draws]
    revenue: Floats  # [weeks, draws]
    category_quantity: Floats  # [categories, draws]
    category_revenue: Floats  # [categories, draws]

    @classmethod
    def none(cls, predictor: CustomerPredictor, categories: int) -> "SummedDraws":
        """Of no products."""
        by_week = predictor.weeks, predictor.draws
        by_category = categories, predictor.draws
        return cls(*map(np.zeros, (by_week, by_week, by_week, by_category, by_category)))

    def add_product(self, drawn: ProductDraws, row: int, price: float, category: int) -> None:
        """Add one product; ``price`` is NaN where none is known."""
        quantity = drawn.quantity[row].astype(float)
        total = quantity.sum(axis=0)
        np.add(self.orders, drawn.orders[row], out=self.orders)
        np.add(self.quantity, quantity, out=self.quantity)
        self.category_quantity[category] += total
        if np.isfinite(price):
            np.add(self.revenue, quantity * price, out=self.revenue)
            self.category_revenue[category] += total * price

    def add(self, other: "SummedDraws", rows: Sequence[int] | slice = slice(None)) -> None:
        """Add other products, whose categories are in these ``rows``."""
        for name in ("orders", "quantity", "revenue"):
            np.add(getattr(self, name), getattr(other, name), out=getattr(self, name))
        self.category_quantity[rows] += other.category_quantity
        self.category_revenue[rows] += other.category_revenue

    def clear(self) -> None:
        """Of no products again."""
        for field in fields(self):
            getattr(self, field.name).fill(0.0)


@dataclass(frozen=True, slots=True)
class ProductRows:
    """Products that were predicted, a row each, by id."""

    product_id: Ints  # [products], ascending
    product_name: Sequence[str]  # [products]
    unit_price: Floats  # [products], NaN where none is known
    category: Ints  # [products], which of the part's categories
    customers: Ints  # [products], who ordered it before the date
    expected_orders: Floats  # [products, weeks]
    expected_quantity: Floats  # [products, weeks]
    known_expected_quantity: Floats  # [products, weeks]
    total_quantiles: Floats  # [products, QUANTILES], of the units over the horizon
    previous_quantity: Floats  # [products], units in as many weeks before the date


@dataclass(frozen=True, slots=True)
class Buyers:
    """Who ordered any product of a category before the date, each once."""

    category: Ints  # [buyers], which of the part's categories
    customer_id: Ints  # [buyers]


@dataclass(frozen=True, slots=True)
class Losses:
    """Pairs that have probably lapsed or are overdue, and the units that are lost of them."""

    customer_id: Ints  # [losses]
    product_id: Ints  # [losses]
    quantity: Floats  # [losses], over the horizon
    reason: Sequence[str]  # [losses]


@dataclass(frozen=True, slots=True)
class PortfolioPart:
    """Some of the products. ``categories``: their names, None of products without one."""

    products: ProductRows
    draws: SummedDraws
    categories: Sequence[str | None]
    buyers: Buyers
    losses: Losses


type Failed = tuple[FailedPair, ...]


def part_of(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    patterns: Patterns,
    product_ids: Ints,
    chooser: Chooser,
    default_price: float | None,
) -> tuple[PortfolioPart, Failed]:
    """The products of the ``patterns`` together, and the pairs on which the model failed.

    ``product_ids``: all that were ordered before the date, ascending, whose blocks are summed.
    """
    source, as_of = analyzer.source, patterns.as_of_date
    ids = patterns.product_offsets()[0]
    products = named(source, as_of, ids, default_price)
    group = Grouping.of(ids, categories_of(source, ids.tolist()))
    sums = _BlockSums.none(predictor, len(group.names) or 1)
    failed: list[FailedPair] = []
    rows: list[ProductRows] = []
    losses: list[Losses] = []
    for chunk in in_chunks(predictor, patterns):
        predictions, failures = predictor.predict_what_can_be(chunk)
        failed += failures
        block = np.searchsorted(product_ids, predictions.products.product_id) // BLOCK
        sums.add(predictions.products, block, products, group)
        rows.append(_rows(predictions, products, group))
        losses.append(_losses(predictions, chooser))
    part = PortfolioPart(
        joined_columns(rows),
        sums.of_all(),
        group.names or (None,),
        _buyers(patterns, products, group),
        joined_columns(losses),
    )
    return part, tuple(failed)


def joined_columns[Columns: (ProductRows, Buyers, Losses)](tables: Sequence[Columns]) -> Columns:
    """One table, of at least one, below the other."""
    first = tables[0]
    columns = (_joined([getattr(table, f.name) for table in tables]) for f in fields(first))
    return type(first)(*columns)


def _joined(columns: Sequence[Any]) -> Any:  # noqa: ANN401  # arrays, or lists of text
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return [text for column in columns for text in column]


@dataclass(slots=True)
class _BlockSums:
    """The block at hand, and the blocks before it."""

    done: SummedDraws
    block: SummedDraws
    number: int = 0

    @classmethod
    def none(cls, predictor: CustomerPredictor, categories: int) -> "_BlockSums":
        first, second = (SummedDraws.none(predictor, categories) for _ in range(2))
        return cls(first, second)

    def add(self, drawn: ProductDraws, block: Ints, products: Named, group: Grouping) -> None:
        """Add products, one after the other by id: the cut into chunks changes no bit."""
        known = products.rows(drawn.product_id)
        price, code = products.price[known], group.code[known]
        for row, number in enumerate(block.tolist()):
            if number != self.number:
                self._end_block()
                self.number = number
            self.block.add_product(drawn, row, price[row], code[row])

    def of_all(self) -> SummedDraws:
        """The sum of all blocks."""
        self._end_block()
        return self.done

    def _end_block(self) -> None:
        self.done.add(self.block)
        self.block.clear()


def _rows(predictions: Predictions, products: Named, group: Grouping) -> ProductRows:
    known, predicted = predictions.patterns, predictions.products
    own = products.select(predicted.product_id)
    totals = predicted.quantity.astype(float).sum(axis=1)  # [products, draws]
    return ProductRows(
        product_id=predicted.product_id,
        product_name=own.names,
        unit_price=own.price,
        category=group.code[products.rows(predicted.product_id)],
        customers=np.diff(known.product_offsets()[1]),
        expected_orders=predicted.expected_orders,
        expected_quantity=predicted.expected_quantity,
        known_expected_quantity=predicted.known_expected_quantity,
        total_quantiles=quantiles_of(totals, axis=1).T,
        previous_quantity=known.sum_by_product(
            _units_since(known, DAYS_PER_WEEK * predictions.weeks)
        ),
    )


def _buyers(patterns: Patterns, products: Named, group: Grouping) -> Buyers:
    category = group.code[products.rows(patterns.product_id)]
    each_once = np.unique(np.stack([category, patterns.customer_id]), axis=1)
    return Buyers(*each_once)


def _units_since(known: Patterns, days: int) -> Floats:
    """Units that each pair ordered in the last so many days, [pairs]."""
    events = known.events
    units = np.where(events.day >= -days, events.quantity, 0.0)
    return sum_from(units, known.event_offset[:-1])


def usual_quantity(known: Patterns, horizon: int) -> Floats:
    """Units that each pair ordered in the year before the date, scaled to the horizon, [pairs].

    Of a younger pair, since its first order, but over ``horizon`` days at least.
    """
    age = -known.events.day[known.event_offset[:-1]].astype(float)
    observed = np.clip(age, min(horizon, YEAR_DAYS), YEAR_DAYS)
    usual: Floats = _units_since(known, YEAR_DAYS) / observed * horizon
    return usual


def _losses(predictions: Predictions, chooser: Chooser) -> Losses:
    """The pairs that have probably lapsed or are overdue, where that loses anything."""
    known, predicted = predictions.patterns, predictions.pairs
    least = {i: chooser(i).min_orders for i in predictions.products.product_id.tolist()}
    enough = known.order_count >= np.array([least[i] for i in known.product_id.tolist()])
    severity = severity_of(known.order_count, predicted, 0.0)
    usual = usual_quantity(known, DAYS_PER_WEEK * predictions.weeks)
    lost = usual - predicted.expected_quantity.sum(axis=1)
    rows = np.flatnonzero(enough & (severity <= OVERDUE) & (lost > 0.0))
    reasons = [
        reason_of(int(severity[row]), predicted, known.open_interval, row) or ""
        for row in rows.tolist()
    ]
    return Losses(known.customer_id[rows], known.product_id[rows], lost[rows], reasons)
