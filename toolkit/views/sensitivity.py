"""What each of a grid of thresholds lists, out of one prediction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import compress, pairwise

import numpy as np

from toolkit.data.tables import Floats, Ints, Predictions
from toolkit.errors import ArgumentError, PredictionError
from toolkit.results.columns import CustomerColumns
from toolkit.results.sensitivity import ListedProducts, ListedTogether, ThresholdSensitivity
from toolkit.stages.arguments import check_share, check_whole
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Thresholds, warn_of
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import in_chunks
from toolkit.views.making import Making
from toolkit.views.products import named, never_ordered

MIN_ORDERS = (1, 2, 3, 4, 5)
MIN_CONFIDENCE = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class ThresholdGrid:
    """Thresholds to compare, each once and ascending; ``ArgumentError`` with all that are none."""

    min_orders: Sequence[int] = MIN_ORDERS
    min_confidence: Sequence[float] = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        """Plain numbers, whatever they came as."""
        wrong: list[str] = []
        for name, check in (("min_orders", _check_orders), ("min_confidence", check_share)):
            object.__setattr__(self, name, _each(name, getattr(self, name), check, wrong))
        if wrong:
            raise ArgumentError("; ".join(wrong))

    @property
    def cells(self) -> list[Thresholds]:
        """All pairs of both, by orders and then by confidence."""
        return [Thresholds(o, c) for o in self.min_orders for c in self.min_confidence]

    @property
    def shape(self) -> tuple[int, int]:
        """How many thresholds of orders, of confidence."""
        return len(self.min_orders), len(self.min_confidence)


def _check_orders(name: str, value: int) -> int:
    return check_whole(name, value, 1)


def _each[Number: float](
    name: str,
    values: Sequence[Number] | Number,
    check: Callable[[str, Number], Number],
    wrong: list[str],
) -> tuple[Number, ...]:
    """The numbers that are thresholds; what is wrong with the others is added to ``wrong``."""
    found: set[Number] = set()
    before = len(wrong)
    if not isinstance(values, Iterable):
        wrong.append(f"{name} has to be a list of numbers, got {values!r}")
        return ()
    for value in values:
        try:
            found.add(check(name, value))
        except ArgumentError as exc:
            wrong.append(str(exc))
    if not found and len(wrong) == before:
        wrong.append(f"{name} has to be at least one number, got none")
    return tuple(sorted(found))


def sensitivity_of(
    analyzer: PatternAnalyzer,
    making: Making,
    product_ids: Sequence[int] | None,
    as_of: date,
    grid: ThresholdGrid,
) -> ThresholdSensitivity | None:
    """The products, None for all of them; None if nobody ordered any before the date.

    Every product is predicted once, whatever the grid. Raises ``PredictionError`` where every
    pair failed.
    """
    patterns, broken = analyzer.analyze(discover(analyzer.source, as_of, product_ids))
    if not len(patterns) and not broken:
        return None
    parts, failed = [], [*broken]
    for chunk in in_chunks(making.predictor, patterns):
        predictions, failures = making.predictor.predict(chunk)
        failed += failures
        parts.append(_part(predictions, grid))
    warn_of(failed)
    listed = [product for part in parts for product in part.listed]
    if not listed:
        raise PredictionError(f"no pair could be predicted: {failed[0].reason}")
    product_id = np.concatenate([part.product_id for part in parts])
    products = named(analyzer.source, as_of, product_id, making.default_price)
    table = ListedProducts(
        product_id=product_id,
        product_name=products.names,
        unit_price=products.prices,
        known_quantity=np.array([product.known for product in listed]),
        customers=np.stack([product.customers for product in listed]),
        orders=np.stack([product.orders for product in listed]),
        quantity=np.stack([product.quantity for product in listed]),
    )
    return ThresholdSensitivity.of(
        (grid.min_orders, grid.min_confidence),
        table,
        _together(parts, grid),
        never_ordered(product_ids, product_id, failed),
        making.predictor.weeks,
        as_of,
        making.metadata(as_of, len(failed)),
    )


@dataclass(frozen=True, slots=True)
class _Listed:
    """What is listed of a product; the axes are the grid's."""

    known: float
    customers: Ints
    orders: Floats
    quantity: Floats


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of a chunk of products: nothing of the size of its draws."""

    product_id: Ints  # [products]
    listed: list[_Listed]  # [products]
    known: Ints  # customers of any of them
    customers: list[Ints]  # [cells], who is listed for any of them
    expected: list[float]  # [products], units over the horizon
    draws: list[Floats]  # [products] of [draws]


def _part(predictions: Predictions, grid: ThresholdGrid) -> _Part:
    products = predictions.products
    everyone = CustomerColumns.of(predictions, np.arange(len(predictions.patterns)))
    _, offset = predictions.patterns.product_offsets()
    return _Part(
        product_id=products.product_id,
        listed=[
            _listed(everyone.select(np.arange(a, b)), grid) for a, b in pairwise(offset.tolist())
        ],
        known=np.unique(everyone.customer_id),
        customers=[np.unique(everyone.customer_id[c.passed_by(everyone)]) for c in grid.cells],
        expected=products.expected_quantity.sum(axis=1).tolist(),
        draws=[units.astype(float).sum(axis=0) for units in products.quantity],
    )


def _listed(customers: CustomerColumns, grid: ThresholdGrid) -> _Listed:
    """Sums in the order in which a forecast makes its own, so that they are equal to the bit."""
    orders, quantity = customers.orders, customers.quantity
    passed = [cell.passed_by(customers).tolist() for cell in grid.cells]

    def sums(values: Sequence[float]) -> Floats:
        return np.array([float(sum(compress(values, who))) for who in passed]).reshape(grid.shape)

    return _Listed(
        known=float(sum(quantity)),
        customers=np.array([sum(who) for who in passed], dtype=np.int64).reshape(grid.shape),
        orders=sums(orders),
        quantity=sums(quantity),
    )


def _together(parts: Sequence[_Part], grid: ThresholdGrid) -> ListedTogether:
    """One sum after the other, product by product, so that the cut into chunks changes no bit."""
    draws = sum((drawn for part in parts for drawn in part.draws), np.zeros(1))
    customers = [_count(cell) for cell in zip(*(part.customers for part in parts), strict=True)]
    return ListedTogether(
        customers=np.array(customers, dtype=np.int64).reshape(grid.shape),
        customer_count=_count([part.known for part in parts]),
        expected_quantity=sum(units for part in parts for units in part.expected),
        draws=draws,
    )


def _count(customers: Sequence[Ints]) -> int:
    """Of several lists, each customer once."""
    return len(np.unique(np.concatenate(customers)))
