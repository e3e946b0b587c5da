"""What an engine keeps of products that customers were asked about, as long as the orders stay.

A customer's rows are those of the products that they ordered, and it takes all pairs of a product
to predict one: they share a stream of draws, and some models move each by what they expect of all.
So what is said of a product's pairs is kept for the next customer who ordered it, too.
"""

import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from itertools import pairwise

import numpy as np

from toolkit.data.tables import Floats, Ints, PairPredictions, Predictions
from toolkit.errors import PredictionError
from toolkit.results.pair import FailedPair
from toolkit.sources.base import ProductInfo, state_of
from toolkit.stages.discovery import discover
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, in_chunks

MOST_PAIRS = 200_000
"""So many are kept at most, about 130 MB at twelve weeks: of the products asked for last."""

NOTHING_KNOWN = ProductInfo(None, None)


@dataclass(frozen=True, slots=True)
class HeldPairs:
    """Some pairs, a row each, and what is predicted of them."""

    customer_id: Ints  # [pairs]
    order_count: Ints  # [pairs]
    open_interval: Floats  # [pairs]
    predicted: PairPredictions  # of [pairs]

    @classmethod
    def of(cls, predictions: Predictions, rows: slice) -> "HeldPairs":
        """Copies, so that nothing else of the predictions is kept."""
        known, pairs = predictions.patterns, predictions.pairs
        columns = (getattr(pairs, field.name)[rows].copy() for field in fields(pairs))
        return cls(
            known.customer_id[rows].copy(),
            known.order_count[rows].copy(),
            known.open_interval[rows].copy(),
            PairPredictions(*columns),
        )

    @classmethod
    def of_customer(cls, customer_id: int, products: Sequence["HeldPairs"]) -> "HeldPairs":
        """The customer's row of each product."""
        rows = [int(np.flatnonzero(of.customer_id == customer_id)[0]) for of in products]
        several = [(of.predicted, row) for of, row in zip(products, rows, strict=True)]
        columns = (
            np.stack([getattr(predicted, field.name)[row] for predicted, row in several])
            for field in fields(PairPredictions)
        )
        return cls(
            np.full(len(rows), customer_id),
            np.array([of.order_count[row] for of, row in zip(products, rows, strict=True)]),
            np.array([of.open_interval[row] for of, row in zip(products, rows, strict=True)]),
            PairPredictions(*columns),
        )


@dataclass(frozen=True, slots=True)
class HeldProduct:
    """A product's pairs by customer, those that failed, and what a unit of it is called and costs.

    ``pairs``: None where all failed.
    """

    product_id: int
    pairs: HeldPairs | None
    failed: tuple[FailedPair, ...]
    info: ProductInfo

    @property
    def size(self) -> int:
        """How many pairs are kept."""
        return len(self.failed) + (0 if self.pairs is None else len(self.pairs.customer_id))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Of whom, when and with which model: what is kept for one is of no use to another."""

    analyzer: PatternAnalyzer
    predictor: CustomerPredictor
    as_of: date
    state: Hashable

    def same_as(self, other: "_Asked | None") -> bool:
        return (
            other is not None
            and self.state is not None
            and self.analyzer is other.analyzer
            and self.predictor is other.predictor
            and (self.as_of, self.state) == (other.as_of, other.state)
        )


class HeldProducts:
    """Of one as-of date at a time, where the source tells whether its orders are still the same.

    Threads may ask at the same time.
    """

    def __init__(self) -> None:
        """Nothing is held yet."""
        self._lock = threading.Lock()
        self._asked: _Asked | None = None
        self._products: dict[int, HeldProduct] = {}

    def of(
        self,
        analyzer: PatternAnalyzer,
        predictor: CustomerPredictor,
        as_of: date,
        product_ids: Sequence[int],
    ) -> list[HeldProduct]:
        """Products that were ordered before the date; those that are not held are predicted.

        Raises as predicting all of them at once does, whatever is held.
        """
        asked = _Asked(analyzer, predictor, as_of, state_of(analyzer.source))
        held = self._held(asked)
        missing = [i for i in product_ids if i not in held]
        try:
            made = _made(asked, missing)
        except PredictionError:
            if len(missing) == len(product_ids):
                raise
            made = _made(asked, product_ids)  # what fails by itself is left out beside others
        products = {i: made[i] if i in made else held[i] for i in product_ids}
        if not made or state_of(analyzer.source) == asked.state:
            self._keep(asked, products)
        return [products[i] for i in product_ids]

    def _held(self, asked: _Asked) -> Mapping[int, HeldProduct]:
        with self._lock:
            return dict(self._products) if asked.same_as(self._asked) else {}

    def _keep(self, asked: _Asked, products: Mapping[int, HeldProduct]) -> None:
        """As the last that were asked for; what was asked for before goes first."""
        if asked.state is None:
            return
        with self._lock:
            known = self._products if asked.same_as(self._asked) else {}
            kept = {**{i: known[i] for i in known if i not in products}, **products}
            pairs = sum(product.size for product in kept.values())
            for product_id in [*kept]:
                if pairs <= MOST_PAIRS:
                    break
                pairs -= kept.pop(product_id).size
            self._asked, self._products = asked, kept


def _made(asked: _Asked, product_ids: Sequence[int]) -> dict[int, HeldProduct]:
    """Products as they are predicted now: two queries, or three with customers' days."""
    if not product_ids:
        return {}
    source = asked.analyzer.source
    patterns, broken = asked.analyzer.analyze(discover(source, asked.as_of, product_ids))
    pairs: dict[int, HeldPairs] = {}
    failed: dict[int, list[FailedPair]] = {}
    for pair in broken:
        failed.setdefault(pair.product_id, []).append(pair)
    for chunk in in_chunks(asked.predictor, patterns):
        predictions, failures = asked.predictor.predict(chunk)
        pairs.update(_by_product(predictions))
        for pair in failures:
            failed.setdefault(pair.product_id, []).append(pair)
    infos = source.products(asked.as_of, product_ids)
    return {
        i: HeldProduct(i, pairs.get(i), tuple(failed.get(i, ())), infos.get(i, NOTHING_KNOWN))
        for i in product_ids
    }


def _by_product(predictions: Predictions) -> Iterator[tuple[int, HeldPairs]]:
    ids, offset = predictions.patterns.product_offsets()
    for product_id, (start, end) in zip(ids.tolist(), pairwise(offset.tolist()), strict=True):
        yield product_id, HeldPairs.of(predictions, slice(start, end))
