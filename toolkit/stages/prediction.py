"""Stage 3: predictions for all pairs at once, by whichever model version is in use."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np

from toolkit.data.calendar import Event
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.data.tables import (
    DemandFactors,
    Ints,
    PairDraws,
    PairPredictions,
    Patterns,
    Predictions,
    ProductDraws,
)
from toolkit.errors import ArgumentError, ModelError, PredictionError
from toolkit.model import (
    CalendarModel,
    FittedModel,
    RedrawingModel,
    SplittingModel,
    Streams,
    check_granularities,
)
from toolkit.results.pair import CustomerPrediction, CustomerProductPattern, FailedPair
from toolkit.stages.arguments import MAX_WEEKS, check_whole, parse_date
from toolkit.stages.patterns import single_pair

PAIRS_PER_SHARD = 10_000
MAX_FAILED_PAIRS = 100
NUMBERS_PER_CHUNK = 50_000_000
"""Draws × weeks × products at most, and as many pairs as if each had its own product."""

type Failures = dict[int, str]
"""Row of a pattern table → why the model failed on it."""


@dataclass(frozen=True, slots=True)
class CustomerPredictor:
    """Predicts with ``model`` over ``weeks`` weeks; ``draws`` paths per pair, from ``seed``."""

    model: FittedModel
    weeks: int = WEEKS
    draws: int = DRAWS
    seed: int = SEED

    def __post_init__(self) -> None:
        """``ModelError`` for a model that does not predict both pairs and products.

        ``ArgumentError`` for a number out of range.
        """
        check_granularities(self.model)
        for name, low, high in (("weeks", 1, MAX_WEEKS), ("draws", 1, None), ("seed", 0, None)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), low, high))

    def predict(self, patterns: Patterns) -> tuple[Predictions, tuple[FailedPair, ...]]:
        """Predictions of all pairs, and the pairs left out because the model failed on them.

        Work is cut into shards of whole products and runs on all cores; the cut changes no bit
        of the result. Raises ``PredictionError`` if the model fails on everything.
        """
        predictions, failed = self.predict_what_can_be(patterns)
        if len(failed) == len(patterns) > 0:
            raise PredictionError(f"{self.model.name} failed on every pair: {failed[0].reason}")
        return predictions, failed

    def predict_what_can_be(self, patterns: Patterns) -> tuple[Predictions, tuple[FailedPair, ...]]:
        """As ``predict``, for a part of what is asked for, of which every pair may fail."""
        shards = patterns.split(PAIRS_PER_SHARD)
        with ThreadPoolExecutor(min(len(shards), os.cpu_count() or 1)) as pool:
            parts = list(pool.map(self._predict_shard, (patterns.select(s) for s in shards)))
        failures = {
            int(np.flatnonzero(shard)[row]): reason
            for shard, (_, failing) in zip(shards, parts, strict=True)
            for row, reason in failing.items()
        }
        predicted = without(patterns, failures)
        return _join(predicted, [part for part, _ in parts]), _failed_pairs(patterns, failures)

    def predict_again(self, patterns: Patterns, rows: Ints, number: int) -> PairDraws:
        """The pairs in ``rows`` of healthy ``patterns`` once more, for the time ``number``, from 0.

        Under all that pairs share in ``predict``. Raises ``ModelError`` for a model that cannot.
        """
        if not isinstance(self.model, RedrawingModel):
            raise ModelError(f"{self.model.name} draws no pair once more")
        if not len(rows):
            none = np.zeros((0, self.weeks, self.draws), dtype=np.float32)
            return PairDraws(none, none)
        some = np.isin(patterns.product_id, patterns.product_id[rows])
        return self.model.predict_again(
            patterns.select(some),
            np.searchsorted(np.flatnonzero(some), rows),
            number,
            weeks=self.weeks,
            draws=self.draws,
            streams=Streams(self.seed),
        )

    def predict_apart(self, patterns: Patterns, rows: Ints) -> PairDraws | None:
        """What the pairs in ``rows`` of healthy ``patterns`` order in each draw of ``predict``.

        None of a model that does not tell them apart.
        """
        if not isinstance(self.model, SplittingModel):
            return None
        some = np.isin(patterns.product_id, patterns.product_id[rows])
        return self.model.predict_apart(
            patterns.select(some),
            np.searchsorted(np.flatnonzero(some), rows),
            weeks=self.weeks,
            draws=self.draws,
            streams=Streams(self.seed),
        )

    def event_factors(self, patterns: Patterns, events: Sequence[Event]) -> DemandFactors:
        """By how many times demand of healthy ``patterns`` differs with further events.

        Raises ``ModelError`` for a model that knows no events.
        """
        model = self.model
        if not isinstance(model, CalendarModel):
            raise ModelError(f"{model.name} knows no events")
        shards = patterns.split(PAIRS_PER_SHARD)
        with ThreadPoolExecutor(min(len(shards), os.cpu_count() or 1)) as pool:
            parts = list(pool.map(
                lambda shard: model.event_factors(
                    patterns.select(shard), events, weeks=self.weeks, draws=self.draws,
                    streams=Streams(self.seed),
                ),
                shards,
            ))  # fmt: skip
        return DemandFactors(
            np.concatenate([part.draws for part in parts], axis=1),
            np.concatenate([part.expected for part in parts], axis=1),
        )

    def predict_next_order(
        self, pattern: CustomerProductPattern, as_of_date: str | date | None = None
    ) -> CustomerPrediction:
        """One pair's prediction, from its own orders alone.

        Nothing is known of the product's other customers: its level of late is this pair's (of a
        model that asks for one), orders are drawn anew, and all sizes come from the pair's own.
        ``as_of_date`` is the pattern's own; another one raises ``ArgumentError``. Raises
        ``PredictionError`` if the model fails on the pair.
        """
        if as_of_date is not None and parse_date(as_of_date) != pattern.as_of_date:
            raise ArgumentError(
                f"the pattern was taken as of {pattern.as_of_date}, got as_of_date {as_of_date}"
            )
        predictions, _ = self.predict(single_pair(pattern))
        return CustomerPrediction.from_tables(predictions.patterns, predictions.pairs, 0)

    def _predict_shard(self, patterns: Patterns) -> tuple[Predictions, Failures]:
        """Predict all pairs but those that fail, by raising or by what is not finite."""
        failures: Failures = {}
        while True:
            rows = np.setdiff1d(np.arange(len(patterns)), list(failures))
            healthy = without(patterns, failures)
            try:
                predictions = self._predict(healthy)
            except Exception as exc:
                found = self._failing_rows(healthy, exc)
            else:
                unfinished = np.flatnonzero(~predictions.pairs.finite())
                found = {int(row): "the prediction is not finite" for row in unfinished}
                if not found:
                    return predictions, failures
            failures |= {int(rows[row]): reason for row, reason in found.items()}

    def _predict(self, patterns: Patterns) -> Predictions:
        return self.model.predict(
            patterns, weeks=self.weeks, draws=self.draws, streams=Streams(self.seed)
        )

    def _failing_rows(self, patterns: Patterns, error: Exception) -> Failures:
        """The pairs that make the model raise ``error``, found by halving, and their reasons."""
        failing: Failures = {}
        suspects = [(np.arange(len(patterns)), error)]
        while suspects:
            rows, reason = suspects.pop()
            if len(rows) > 1:
                halves = np.array_split(rows, 2)
                suspects += [(h, e) for h in halves if (e := self._error(patterns, h))]
            elif len(rows) == 1:
                failing[int(rows[0])] = f"{type(reason).__name__}: {reason}"
            if len(failing) > MAX_FAILED_PAIRS:
                break
        if not 0 < len(failing) <= MAX_FAILED_PAIRS:
            raise PredictionError(f"{self.model.name} failed: {error}") from error
        return failing

    def _error(self, patterns: Patterns, rows: Ints) -> Exception | None:
        """What the model raises on these rows alone, if it does."""
        try:
            self._predict(patterns.select(np.isin(np.arange(len(patterns)), rows)))
        except Exception as exc:
            return exc
        return None


def in_chunks(predictor: CustomerPredictor, patterns: Patterns) -> Iterator[Patterns]:
    """Runs of whole products, so that the draws of one stay bounded whatever the data.

    The cut changes no bit of what is predicted.
    """
    pairs = max(1, NUMBERS_PER_CHUNK // (predictor.weeks * predictor.draws))
    return (patterns.select(mask) for mask in patterns.split(pairs))


def without(patterns: Patterns, rows: Iterable[int]) -> Patterns:
    """All pairs but those in ``rows``."""
    keep = np.ones(len(patterns), dtype=bool)
    keep[list(rows)] = False
    return patterns if keep.all() else patterns.select(keep)


def _failed_pairs(patterns: Patterns, failures: Failures) -> tuple[FailedPair, ...]:
    return tuple(
        FailedPair(int(patterns.product_id[row]), int(patterns.customer_id[row]), reason)
        for row, reason in sorted(failures.items())
    )


def _join(patterns: Patterns, parts: Sequence[Predictions]) -> Predictions:
    """Predictions of all ``patterns`` from those of their shards, in order."""
    if len(parts) == 1:
        return replace(parts[0], patterns=patterns)
    pairs = concatenated([part.pairs for part in parts])
    products = concatenated([part.products for part in parts])
    return Predictions(patterns, parts[0].weeks, pairs, products)


def concatenated[Table: (PairPredictions, ProductDraws)](tables: Sequence[Table]) -> Table:
    """One table, of at least one, below the other."""
    columns = ([getattr(t, f.name) for t in tables] for f in fields(tables[0]))
    return type(tables[0])(*(np.concatenate(column) for column in columns))
