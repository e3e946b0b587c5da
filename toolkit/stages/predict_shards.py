"""``toolkit predict`` on workers: a task for each run of products, whose tables are joined here.

What a task wrote stays until all are done: the same command, given again, does only the others.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.cluster.orders import OrdersAt
from toolkit.cluster.probe import code_digest
from toolkit.cluster.tables import read_table, write_table
from toolkit.cluster.workers import Workers
from toolkit.data.fingerprint import Fingerprint
from toolkit.data.tables import Patterns
from toolkit.disk import check_on_disk, whole_file, whole_folder
from toolkit.errors import PredictionError
from toolkit.fits import keep_model, kept_files, kept_model
from toolkit.results.pair import FailedPair
from toolkit.sources.codes import Codes
from toolkit.sources.parquet.place import absolute
from toolkit.sources.sql import as_source
from toolkit.stages.discovery import discover
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.predict_tables import (
    PAIRS,
    PRODUCT_WEEKS,
    TableWriter,
    WrittenTables,
    tables_of,
)
from toolkit.stages.prediction import CustomerPredictor, in_chunks
from toolkit.validation import load, write

WEEKS_PART, PAIRS_PART, DONE = "product_weeks.arrow", "pairs.arrow", "done.json"
LOCK = ".shards.lock"
KEY_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What is predicted: of these ``orders``, by the ``model`` that is kept in ``fits``."""

    orders: OrdersAt
    as_of_date: date
    model: str
    fits: Path
    weeks: int
    draws: int
    seed: int

    @classmethod
    def of(
        cls, predictor: CustomerPredictor, as_of_date: date, orders: OrdersAt, fits: Path
    ) -> "Asked":
        """What ``predictor`` says of the ``orders`` before the date.

        Its model is saved below ``fits``, if it is not there and its name is not enough.
        """
        fits = absolute(fits)
        return cls(
            orders,
            as_of_date,
            keep_model(predictor.model, fits),
            fits,
            predictor.weeks,
            predictor.draws,
            predictor.seed,
        )

    @property
    def reads(self) -> list[Path]:
        """What tasks read."""
        return [self.orders.place, *kept_files(self.model, self.fits)]

    def predictor(self) -> CustomerPredictor:
        """What predicts."""
        model = kept_model(self.model, self.fits)
        return CustomerPredictor(model, self.weeks, self.draws, self.seed)

    def key(self, data: Iterable[str]) -> str:
        """Identifies the result; ``data`` are digests of the orders."""
        told = (
            self.as_of_date,
            self.model,
            self.weeks,
            self.draws,
            self.seed,
            *data,
            self.orders.digest,  # of codes, too
            code_digest(),
        )
        return hashlib.sha256(" ".join(map(str, told)).encode()).hexdigest()[:KEY_DIGITS]


@dataclass(frozen=True, slots=True)
class Shard:
    """A task: these products, whose tables go into ``folder``."""

    asked: Asked
    products: tuple[int, ...]
    pairs: int
    folder: Path


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What a shard's tables hold, and what was left out of them."""

    products: int
    pairs: int
    failed: tuple[FailedPair, ...] = ()


def predict_on(
    workers: Workers,
    asked: Asked,
    tables: Iterable[Patterns],
    out: Path,
    progress: Callable[[int], None],
) -> WrittenTables:
    """Predict all pairs of the ``tables`` on ``workers``, as ``write_predictions`` does.

    Raises ``PredictionError`` for a task that kills whatever process tries it, and where another
    prediction into ``out`` is at work, ``OrdersReplacedError`` where an import takes the orders'
    place, and what handing tasks out raises; what was done by then is kept.
    """
    check_on_disk(out)
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        shards, folder = _planned(asked, tables, out)
        waiting = [shard for shard in shards if not (shard.folder / DONE).exists()]
        progress(sum(shard.pairs for shard in shards) - sum(shard.pairs for shard in waiting))
        with workers.seeing(asked.reads, folder):
            _work_off(workers, waiting, progress)
        written = _join(out, shards)
        shutil.rmtree(folder, ignore_errors=True)
    return written


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Another prediction would take the shards of this one for those of one that was given up."""
    try:
        with FileLock(out / LOCK, blocking=False):
            yield
            with suppress(OSError):  # a system may not remove what is open
                (out / LOCK).unlink()
    except Timeout:
        raise PredictionError(f"another prediction is at work in {out}") from None


def _planned(asked: Asked, tables: Iterable[Patterns], out: Path) -> tuple[list[Shard], Path]:
    """All shards, and their folder; those of other predictions are removed."""
    runs, data = [], []
    for table in tables:
        data.append(Fingerprint.of(table.events).sha256)
        chunks = in_chunks(asked.predictor(), table)
        runs += [(tuple(c.product_offsets()[0].tolist()), len(c)) for c in chunks]
    folder = out / f".shards-{asked.key(data)}"
    for other in set(out.glob(".shards-*")) - {folder}:
        shutil.rmtree(other, ignore_errors=True)
    return [Shard(asked, *run, folder / f"{number:06d}") for number, run in enumerate(runs)], folder


def _work_off(workers: Workers, shards: list[Shard], progress: Callable[[int], None]) -> None:
    def key(shard: Shard) -> tuple[str | int, ...]:
        return "predict", str(shard.folder)

    with closing(workers.each(predict_shard, shards, key)) as ended:
        for shard, done in ended:
            if done is None:
                raise PredictionError(
                    f"the worker process that predicted products {shard.products[0]} to "
                    f"{shard.products[-1]} died, more than once: was it out of memory?"
                )
            progress(shard.pairs)


def predict_shard(shard: Shard) -> ShardDone:
    """Predict the products and write their tables; done twice, it is the same."""
    asked, predictor = shard.asked, shard.asked.predictor()
    with asked.orders.open() as conn:
        source, codes = as_source(conn), Codes.of(conn)
        analyzer = PatternAnalyzer(source, predictor.model.reads_customer_days)
        patterns, _ = analyzer.analyze(discover(source, asked.as_of_date, shard.products))
    predictions, failed = predictor.predict(patterns)
    done = ShardDone(len(predictions.products.product_id), len(predictions.patterns), tuple(failed))
    with whole_folder(shard.folder) as part:
        tables = tables_of(predictions, codes)
        for name, table in zip((WEEKS_PART, PAIRS_PART), tables, strict=True):
            write_table(part / name, table)
        write(part / DONE, done)
    return done


def _join(out: Path, shards: list[Shard]) -> WrittenTables:
    """Both tables, complete before the first takes its place."""
    done = [load(ShardDone, s.folder / DONE, "what a shard of a prediction wrote") for s in shards]
    targets = out / PRODUCT_WEEKS, out / PAIRS
    with (
        whole_file(targets[0]) as weeks_part,
        whole_file(targets[1]) as pairs_part,
        ExitStack() as stack,
    ):
        writers = TableWriter(stack, weeks_part), TableWriter(stack, pairs_part)
        for shard in shards:
            for writer, name in zip(writers, (WEEKS_PART, PAIRS_PART), strict=True):
                writer.write(read_table(shard.folder / name))
    failed = tuple(pair for one in done for pair in one.failed)
    products, pairs = sum(one.products for one in done), sum(one.pairs for one in done)
    return WrittenTables(*targets, products, pairs, failed)
