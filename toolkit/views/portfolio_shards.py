"""Many products together, on workers: a task sums the draws of a block of products.

It leaves a file of sums, rows and lists, of the size of its products and not of their draws.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from datetime import date
from itertools import batched
from pathlib import Path

import numpy as np

from toolkit.cluster.on_workers import OnWorkers
from toolkit.cluster.tables import read_columns, write_columns
from toolkit.data.fingerprint import digests_of
from toolkit.disk import check_on_disk, part_beside, whole_file
from toolkit.errors import OrdersReplacedError, PredictionError
from toolkit.sources.base import OrderSource, in_product_parts
from toolkit.sources.sql import as_source
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, Thresholds
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.predict_shards import Asked
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views.portfolio_parts import (
    BLOCK,
    Buyers,
    Failed,
    Losses,
    PortfolioPart,
    ProductRows,
    SummedDraws,
    part_of,
)

_TABLES = {"products": ProductRows, "draws": SummedDraws, "buyers": Buyers, "losses": Losses}


@dataclass(frozen=True, slots=True)
class Block:
    """A task: these products together, into ``file``; ``min_orders`` is that of each.

    ``events``: a digest of their order events, as whoever hands the task out has them.
    """

    asked: Asked
    product_ids: tuple[int, ...]
    events: str
    min_orders: tuple[int, ...]
    default_price: float | None
    file: Path


@dataclass(frozen=True, slots=True)
class BlockDone:
    """Pairs that were left out: as their orders are none, or as the model failed on them."""

    broken: Failed
    failed: Failed


def parts_on(
    by: OnWorkers,
    source: OrderSource,
    predictor: CustomerPredictor,
    product_ids: Sequence[int] | None,
    as_of: date,
    chooser: Chooser,
    default_price: float | None,
) -> tuple[list[PortfolioPart], Failed]:
    """The parts of the products, in order, and the pairs that failed.

    ``source`` holds the orders that workers open. Raises ``PredictionError`` for a task that kills
    whatever process tries it, ``OrdersReplacedError`` where an import takes the orders' place, or
    they are not those of ``source``, and what handing tasks out raises; nothing is kept then.
    """
    ordered = _ordered(source, as_of, product_ids)
    if not ordered:
        return [], ()
    with _room(by.work) as room:
        asked = Asked.of(predictor, as_of, by.orders, room / "fits")
        tasks = [
            Block(
                asked,
                block,
                _joined(ordered[product_id] for product_id in block),
                tuple(chooser(product_id).min_orders for product_id in block),
                default_price,
                room / f"{number:06d}.arrow",
            )
            for number, block in enumerate(batched(sorted(ordered), BLOCK))
        ]
        with by.workers.seeing(asked.reads, room):
            done = _work_off(by, tasks)
        parts = [_read(task.file) for task in tasks]
    broken = (pair for task in tasks for pair in done[task.file].broken)
    failed = (pair for task in tasks for pair in done[task.file].failed)
    return parts, (*broken, *failed)


def sum_block(task: Block) -> BlockDone:
    """Predict the products, sum their draws and write what is kept; done twice, it is the same."""
    least = dict(zip(task.product_ids, task.min_orders, strict=True))
    predictor = task.asked.predictor()
    with task.asked.orders.open() as conn:
        source = as_source(conn)
        analyzer = PatternAnalyzer(source, predictor.model.reads_customer_days)
        events = discover(source, task.asked.as_of_date, task.product_ids)
        if _joined(digests_of(events).values()) != task.events:
            raise OrdersReplacedError(
                f"{task.asked.orders.place} holds other orders than those that are forecast: open "
                "it within the block of on_workers"
            )
        patterns, broken = analyzer.analyze(events)
        ids = np.array(task.product_ids)
        choose = _chooser(least)
        part, failed = part_of(analyzer, predictor, patterns, ids, choose, task.default_price)
    with whole_file(task.file) as file:
        _write(file, part)
    return BlockDone(broken, failed)


def _chooser(min_orders: dict[int, int]) -> Chooser:
    return lambda product_id: Thresholds(min_orders[product_id])


def _ordered(
    source: OrderSource, as_of: date, product_ids: Sequence[int] | None
) -> dict[int, bytes]:
    """The products that were ordered before the date, with a digest of each one's order events.

    One part is read at a time.
    """
    parts = in_product_parts(source, as_of) if product_ids is None else [product_ids]
    found: dict[int, bytes] = {}
    for ids in parts:
        found |= digests_of(discover(source, as_of, ids))
    return found


def _joined(digests: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


@contextmanager
def _room(work: Path) -> Iterator[Path]:
    """A folder below ``work`` that is removed in the end, or after a kill by a later forecast."""
    check_on_disk(work)
    room = part_beside(work.absolute() / "forecast")
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _work_off(by: OnWorkers, tasks: Sequence[Block]) -> dict[Path, BlockDone]:
    done: dict[Path, BlockDone] = {}
    with closing(by.workers.each(sum_block, tasks, lambda t: ("forecast", str(t.file)))) as ended:
        for task, result in ended:
            if result is None:
                raise PredictionError(
                    f"the worker process that predicted products {task.product_ids[0]} to "
                    f"{task.product_ids[-1]} died, more than once: was it out of memory?"
                )
            done[task.file] = result
            by.progress(len(done), len(tasks))
    return done


def _write(file: Path, part: PortfolioPart) -> None:
    tables = {name: getattr(part, name) for name in _TABLES}
    columns = {
        f"{name}.{field.name}": getattr(table, field.name)
        for name, table in tables.items()
        for field in fields(table)
    }
    write_columns(file, {**columns, "categories": part.categories})


def _read(file: Path) -> PortfolioPart:
    columns = read_columns(file)
    tables = {
        name: kind(*(columns[f"{name}.{field.name}"] for field in fields(kind)))
        for name, kind in _TABLES.items()
    }
    return PortfolioPart(categories=columns["categories"], **tables)
