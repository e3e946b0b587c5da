"""Products as the model predicts them, for scenarios to multiply: one by one, chunk by chunk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from toolkit.data.calendar import Event
from toolkit.data.tables import Floats, Ints, Patterns, Predictions
from toolkit.results.pair import FailedPair
from toolkit.stages.discovery import discover
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, in_chunks

MOST_APART = 100
"""Of more customers draws of their own take too much room; together they are nearly as expected."""

type Won = tuple[int, int]
"""A customer who orders like the one with this id, the first (0) or a further one."""

type Events = tuple[Event, ...]
"""Further events in the calendar of the weeks to come."""


@dataclass(frozen=True, slots=True)
class Base:
    """A product as the model predicts it; the shares of customers are of all its demand.

    ``apart``: what single customers order in each draw, [2, weeks, draws]; None where the model
    does not tell. ``won``: what customers who are won order of it, by themselves. ``moved``: by how
    many times all of it differs with further events, draws and expectations, of shapes as these.
    ``in_differences``: draws may be below 0, as they are right in differences alone.
    """

    product_id: int
    draws: Floats  # [2, weeks, draws]: orders, quantity
    expected: Floats  # [2, weeks]
    customers: Ints  # [pairs]
    shares: Floats  # [2, pairs, weeks], at most 1 together
    apart: Mapping[int, Floats] | None = field(default_factory=dict)
    won: Mapping[Won, "Base"] = field(default_factory=dict)
    moved: Mapping[Events, tuple[Floats, Floats]] = field(default_factory=dict)
    in_differences: bool = False

    def expected_of(self, customer: int) -> Floats:
        """What one of its customers is expected to order, [2, weeks]."""
        (row,) = np.flatnonzero(self.customers == customer)
        theirs: Floats = self.shares[:, row] * self.expected
        return theirs


class Bases:
    """Products as the model predicts them, and the pairs that failed on the way."""

    def __init__(
        self,
        analyzer: PatternAnalyzer,
        predictor: CustomerPredictor,
        as_of: date,
        won: Sequence[Won] = (),
        events: Sequence[Events] = (),
        apart: Sequence[int] = (),
    ) -> None:
        self._analyzer, self.predictor, self.as_of = analyzer, predictor, as_of
        self._won, self._events, self._apart = won, events, apart
        self.source = analyzer.source
        self.failed: list[FailedPair] = []
        self.predicted_products: set[int] = set()

    def patterns(self, product_ids: Sequence[int] | None) -> Patterns:
        """The pairs of products, None for all."""
        events = discover(self.source, self.as_of, product_ids)
        patterns, broken = self._analyzer.analyze(events)
        self.failed += broken
        return patterns

    def of(self, product_ids: Sequence[int]) -> Iterator[Base]:
        """Some products, perhaps none."""
        if product_ids:
            yield from self.predicted(self.patterns(product_ids))

    def predicted(self, patterns: Patterns) -> Iterator[Base]:
        """Product by product; the draws of a chunk of them are held at a time."""
        if not len(patterns):
            return
        for chunk in in_chunks(self.predictor, patterns):
            predictions, failures = self.predictor.predict(chunk)
            self.failed += failures
            self.predicted_products |= set(predictions.products.product_id.tolist())
            won = {one: self._drawn_again(predictions, one) for one in self._won}
            known = predictions.patterns
            apart = self._drawn_apart(known)
            moved = {of: self.predictor.event_factors(known, of) for of in self._events}
            for j, base in enumerate(_bases(predictions)):
                again = {
                    one: of[base.product_id] for one, of in won.items() if base.product_id in of
                }
                times = {
                    one: (of.draws[:, j].astype(float), of.expected[:, j])
                    for one, of in moved.items()
                }
                own = None if apart is None else apart.get(base.product_id, {})
                yield replace(with_won(base, again), moved=times, apart=own)

    def _drawn_apart(self, known: Patterns) -> Mapping[int, Mapping[int, Floats]] | None:
        """By product and customer: what they order in its draws; None where nobody can tell."""
        found: dict[int, dict[int, Floats]] = {}
        if len(self._apart) > MOST_APART:
            return None
        rows = np.flatnonzero(np.isin(known.customer_id, self._apart))
        if not len(rows):
            return found
        drawn = self.predictor.predict_apart(known, rows)
        if drawn is None:
            return None
        both = np.stack([drawn.orders, drawn.quantity], axis=1).astype(float)
        for row, draws in zip(rows.tolist(), both, strict=True):
            product_id, customer_id = int(known.product_id[row]), int(known.customer_id[row])
            found.setdefault(product_id, {})[customer_id] = draws
        return found

    def _drawn_again(self, predictions: Predictions, won: Won) -> Mapping[int, Floats]:
        """By product: what a customer orders who is won, [2, weeks, draws]."""
        (like, number), known = won, predictions.patterns
        rows = np.flatnonzero(known.customer_id == like)
        drawn = self.predictor.predict_again(known, rows, number)
        both = np.stack([drawn.orders, drawn.quantity], axis=1).astype(float)
        return dict(zip(known.product_id[rows].tolist(), both, strict=True))


def _bases(predictions: Predictions) -> Iterator[Base]:
    known, pairs, products = predictions.patterns, predictions.pairs, predictions.products
    _, offset = known.product_offsets()
    for j, product_id in enumerate(products.product_id.tolist()):
        rows = slice(offset[j], offset[j + 1])
        units = products.expected_quantity[j]
        shares = (
            _shares(pairs.expected_orders[rows], products.expected_orders[j], None),
            _shares(pairs.expected_quantity[rows], units, products.known_expected_quantity[j]),
        )
        yield Base(
            product_id,
            draws=np.stack([products.orders[j], products.quantity[j]]).astype(float),
            expected=np.stack([products.expected_orders[j], units]),
            customers=known.customer_id[rows],
            shares=np.stack(shares),
        )


def with_won(base: Base, won: Mapping[Won, Floats]) -> Base:
    """With what is drawn of customers won, who are expected to order what those like them do."""
    of = {one: _alone(base, one[0], draws) for one, draws in won.items()}
    return replace(base, won=of)


def _alone(base: Base, like: int, draws: Floats) -> Base:
    return replace(
        base,
        draws=draws,
        expected=base.expected_of(like),
        customers=base.customers[:0],
        apart={},
        shares=base.shares[:, :0],
    )


def _shares(of_pairs: Floats, total: Floats, known: Floats | None) -> Floats:
    """What each pair has in a product's demand, [pairs, weeks].

    Where a model expects another sum of known customers than its pairs', all of these are scaled.
    """
    summed = of_pairs.sum(axis=0)
    scale = np.ones_like(summed)
    if known is not None:
        np.divide(known, summed, out=scale, where=summed > 0)
    shares = np.zeros_like(of_pairs)
    np.divide(of_pairs * scale, np.maximum(total, summed * scale), out=shares, where=total > 0)
    return shares


def with_new(
    bases: Iterator[Base], new: Sequence[int], predictor: CustomerPredictor
) -> Iterator[Base]:
    """Products, and those that nobody ordered before, which get the demand of others."""
    yield from bases
    for product_id in new:
        yield Base(
            product_id,
            draws=np.zeros((2, predictor.weeks, predictor.draws)),
            expected=np.zeros((2, predictor.weeks)),
            customers=np.zeros(0, dtype=np.int64),
            shares=np.zeros((2, 0, predictor.weeks)),
        )
