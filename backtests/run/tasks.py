"""A task: one as-of date, one version, one shard of products. It knows nothing of the others.

Tasks can be pickled and name the data by its address; results depend on neither the shard nor
the process. What a worker reads for one date it keeps until the next.
"""

import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backtests.run.folder import RunFolder, ScoreTables, write_task
from backtests.run.provenance import ProductSample, uniforms
from backtests.run.records import TaskRecord, TaskRows
from backtests.scores.actuals import Actuals, events_after
from backtests.scores.history import FirstDays, KnownHistory
from backtests.scores.past import PastYear
from backtests.scores.tables import Reality, compare_pairs, compare_products, sum_products
from toolkit.cluster.orders import OrdersAt
from toolkit.data.tables import CustomerDays, Floats, OrderEvents, Patterns, Predictions
from toolkit.errors import OrdersReplacedError
from toolkit.fits import load_fit
from toolkit.model import GRANULARITIES, FittedModel, Granularity, Streams
from toolkit.results.fit import DiagnosticValues, FitCard
from toolkit.results.pair import FailedPair
from toolkit.sources.base import categories_of
from toolkit.sources.sql import as_source
from toolkit.stages.discovery import discover
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor

SHOWN_FAILURES = 5
NO_TABLES = ScoreTables()


@dataclass(frozen=True, slots=True)
class Task:
    """What to predict and score; ``model`` is NAME, or NAME@VERSION of a fit in ``fits``.

    ``content`` is a digest of what the ``orders`` tell: a worker outlives many runs. ``seed`` is
    the predictions', ``pit_seed`` that of the randomized PITs, equal for all versions.
    """

    orders: OrdersAt
    content: str
    fits: Path
    as_of_date: date
    label: str
    model: str
    horizon_weeks: int
    observed_weeks: int
    draws: int
    seed: int
    pit_seed: int
    sample: ProductSample
    shard: int
    shards: int
    error: str | None = None  # why there is no model to predict with


@dataclass(frozen=True, slots=True)
class Scored:
    """A task's tables and what there is to say of them."""

    tables: ScoreTables = NO_TABLES
    version: str | None = None
    warnings: tuple[str, ...] = ()
    diagnostics: DiagnosticValues = field(default_factory=dict)
    failures: tuple[str, ...] = ()  # of single pairs and products


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended."""

    task: Task
    error: str | None
    seconds: float


def work(task: Task, run: Path) -> Outcome:
    """Score the task and write its folder; an error is written, not raised.

    Raises ``OrdersReplacedError`` where an import has taken the place of the orders.
    """
    started, scored, error = time.perf_counter(), Scored(), task.error
    if error is None:
        try:
            scored = score(task)
        except OrdersReplacedError:
            raise
        except Exception as exc:
            error = f"{type(exc).__name__}: {exc}"
    outcome = Outcome(task, error, time.perf_counter() - started)
    if not RunFolder(run).is_whole(task.as_of_date, task.label, task.shard):
        record(outcome, scored, run)  # else a worker that was given up has done it meanwhile
    return outcome


def record(outcome: Outcome, scored: Scored, run: Path) -> None:
    """Write a task's folder below ``run``."""
    task, tables = outcome.task, scored.tables
    name, _, version = task.model.partition("@")
    made = TaskRecord(
        run=run.name,
        as_of_date=task.as_of_date,
        version=task.label,
        model=name,
        model_version=scored.version or version or None,
        shard=task.shard,
        shards=task.shards,
        status="done" if outcome.error is None else "failed",
        error=outcome.error,
        seconds=round(outcome.seconds, 3),
        warnings=scored.warnings,
        diagnostics=scored.diagnostics,
        observed_weeks=task.observed_weeks,
        horizon_weeks=task.horizon_weeks,
        rows=TaskRows(
            pairs=0 if tables.pairs is None else len(tables.pairs),
            product_weeks=0 if tables.product_weeks is None else len(tables.product_weeks),
        ),
        failed_rows=len(scored.failures),
        failures=scored.failures[:SHOWN_FAILURES],
        digests={},
    )
    folder = RunFolder(run).task_folder(task.as_of_date, task.label, task.shard)
    write_task(folder, made, tables)


def score(task: Task) -> Scored:
    """Predict the shard and compare with what happened. Raises what the model raises."""
    model, diagnostics = _model(task.model, task.fits)
    said = Scored(NO_TABLES, model.version, model.warnings, diagnostics)
    known = _known(task.orders, task.content, task.as_of_date, task.sample)
    patterns = known.patterns.select(shard_of(known.patterns, task.shard, task.shards))
    if not len(patterns):
        return said
    if model.reads_customer_days:
        days = _customer_days(task.orders, task.content, task.as_of_date, task.sample)
        patterns = replace(patterns, customer_days=days)
    predictions, failed = predict(model, patterns, task)
    events = _events_after(task.orders, task.content, task.as_of_date, task.observed_weeks)
    truth = Reality(
        Actuals.among(events, (patterns.product_id, patterns.customer_id), task.observed_weeks),
        KnownHistory.of(patterns, known.first_days),
        *pit_uniforms(patterns, task.as_of_date, task.observed_weeks, task.pit_seed),
        known.categories,
    )
    tables, broken = compare(predictions, truth, model.granularities)
    return replace(said, tables=tables, failures=(*map(_told, failed), *broken))


def compare(
    predictions: Predictions, truth: Reality, granularities: Container[Granularity]
) -> tuple[ScoreTables, list[str]]:
    """The tables of what the model predicts, and what in them is not a number."""
    pairs = compare_pairs(predictions, truth) if "pairs" in granularities else (None, [])
    if "products" not in granularities:
        return ScoreTables(pairs[0]), pairs[1]
    products, broken = compare_products(predictions, truth)
    past = PastYear.of(predictions.patterns).to_table()
    tables = ScoreTables(pairs[0], products, sum_products(predictions, truth), past)
    return tables, pairs[1] + broken


def predict(
    model: FittedModel, patterns: Patterns, task: Task
) -> tuple[Predictions, tuple[FailedPair, ...]]:
    """Predictions, and the pairs left out because the model failed on them.

    A model of one granularity leaves the other NaN, and is asked directly.
    """
    if set(model.granularities) == set(GRANULARITIES):
        predictor = CustomerPredictor(model, task.horizon_weeks, task.draws, task.seed)
        return predictor.predict(patterns)
    predictions = model.predict(
        patterns, weeks=task.horizon_weeks, draws=task.draws, streams=Streams(task.seed)
    )
    return predictions, ()


def shard_of(patterns: Patterns, shard: int, shards: int) -> NDArray[np.bool_]:
    """The pairs of one of ``shards`` runs of whole products, about equal in pairs, [pairs]."""
    _, offset = patterns.product_offsets()
    part = offset[:-1] * shards // max(1, len(patterns))
    return np.repeat(part == shard, np.diff(offset))


def pit_uniforms(
    patterns: Patterns, as_of_date: date, weeks: int, seed: int
) -> tuple[Floats, Floats]:
    """Numbers in [0, 1) for the PITs: [pairs] and [products, weeks].

    A product's depend on the seed, the date and its id alone.
    """
    ids, offset = patterns.product_offsets()
    by_pair, by_week = np.empty(len(patterns)), np.empty((len(ids), weeks))
    for row, product_id in enumerate(ids.tolist()):
        pairs = slice(offset[row], offset[row + 1])
        key = (seed, as_of_date.toordinal(), product_id % 2**64)
        numbers = uniforms(key, weeks + pairs.stop - pairs.start)
        by_week[row], by_pair[pairs] = numbers[:weeks], numbers[weeks:]
    return by_pair, by_week


@dataclass(frozen=True, slots=True)
class _Known:
    patterns: Patterns
    first_days: FirstDays
    categories: Mapping[int, str]  # of products, as they are today: they have no date


@lru_cache(maxsize=1)
def _known(orders: OrdersAt, content: str, as_of_date: date, sample: ProductSample) -> _Known:
    """What was known before the date of products in the sample, and of all customers."""
    with orders.open() as conn:
        source = as_source(conn)
        events = discover(source, as_of_date, None)
        patterns, _ = PatternAnalyzer(source).analyze(events)
        in_sample = sample.holds(patterns.product_id)
        chosen = patterns if in_sample.all() else patterns.select(in_sample)
        categories = categories_of(source, chosen.product_offsets()[0].tolist())
    return _Known(chosen, FirstDays.of(events), categories)


@lru_cache(maxsize=1)
def _customer_days(
    orders: OrdersAt, content: str, as_of_date: date, sample: ProductSample
) -> CustomerDays:
    customers = _known(orders, content, as_of_date, sample).first_days.customer_id
    with orders.open() as conn:
        return as_source(conn).customer_days(as_of_date, customers.tolist())


@lru_cache(maxsize=1)
def _events_after(orders: OrdersAt, content: str, as_of_date: date, weeks: int) -> OrderEvents:
    with orders.open() as conn:
        return events_after(as_source(conn), as_of_date, weeks)


@lru_cache(maxsize=8)
def _model(model: str, fits: Path) -> tuple[FittedModel, DiagnosticValues]:
    """The fitted model, and the diagnostics of its fit, if it has any."""
    card = FitCard.read(fits / model.replace("@", "/")) or FitCard()
    return load_fit(model, fits), card.diagnostics


def _told(failed: FailedPair) -> str:
    return f"customer {failed.customer_id} of product {failed.product_id}: {failed.reason}"
