"""Values for an export by workers: a task for each batch of products.

They write files that the export reads, stages and removes: workers know neither the cache nor its
password, and nothing large passes the scheduler. What is left to one process is to pass bytes on.

Workers open the orders anew for each task, where the export goes on with those that it opened: an
import that takes their place meanwhile ends it.
"""

import hashlib
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

import numpy as np
import pyarrow as pa

from toolkit.cache.releases.values import Value
from toolkit.cluster.probe import file_digest
from toolkit.cluster.tables import read_table, write_table
from toolkit.cluster.workers import Workers
from toolkit.disk import check_on_disk, whole_file
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError, SourceError
from toolkit.export.making import MOST_ERRORS, Made, Maker, make_values, without_warnings
from toolkit.fits import load_fit, save_fit
from toolkit.model import FittedModel, find_model, model_file
from toolkit.results.metadata import RegisteredVersion
from toolkit.results.pair_rows import COLUMNS, PairRows
from toolkit.sources.embedded.database import open_database
from toolkit.sources.parquet.manifest import MANIFEST
from toolkit.sources.parquet.place import absolute, is_remote, place_at
from toolkit.stages.listing import ProductThresholds

ROWS = pa.list_(pa.float64())


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine that a worker makes again.

    ``model`` is NAME@VERSION of a fit in ``fits``, or the name of a model that needs none;
    ``orders`` a digest of what is in ``database``.
    """

    database: Path
    orders: str | None
    model: str
    fits: Path
    weeks: int
    draws: int
    seed: int
    thresholds: ProductThresholds
    registered: RegisteredVersion | None
    default_price: float | None

    @classmethod
    def of(
        cls, engine: ForecastEngine, database: Path, orders: str | None, fits: Path
    ) -> "EngineSpec":
        """That of ``engine``, whose model is saved below ``fits`` where its name is not enough."""
        predictor, model = engine.predictor, engine.predictor.model
        found = find_model(model.name)
        as_it_is = isinstance(found, FittedModel) and found.version == model.version
        if not as_it_is:
            save_fit(model, fits)
        return cls(
            absolute(database),
            orders,
            model.name if as_it_is else f"{model.name}@{model.version}",
            fits,
            predictor.weeks,
            predictor.draws,
            predictor.seed,
            engine.thresholds,
            engine.registered,
            engine.aggregator.default_price,
        )

    @property
    def reads(self) -> list[Path]:
        """What tasks read."""
        name, _, version = self.model.partition("@")
        fit = [self.fits / name / version] if version else []
        return [self.database, *fit, *filter(None, [model_file(name)])]


@dataclass(frozen=True, slots=True)
class Batch:
    """A task: values of these products for a release, into ``file``."""

    engine: EngineSpec
    as_of_date: date
    release_id: str
    product_ids: tuple[int, ...]
    most_errors: int
    file: Path


def workers_maker(workers: Workers, engine: ForecastEngine, database: Path, work: Path) -> Maker:
    """Makes values as ``engine``, which reads ``database``, on ``workers``.

    They write into a folder of the export's own below ``work``, which is removed in the end.
    Raises ``SourceError`` where other orders have taken the place of ``database`` since.
    """
    orders = digest_of(database)

    def make(
        batches: Sequence[Sequence[int]], as_of: date, release_id: str
    ) -> Generator[Made, None, None]:
        check_on_disk(work)
        folder = work.absolute() / f"export-{release_id}-{token_hex(4)}"
        try:
            spec = EngineSpec.of(engine, database, orders, folder / "fits")
            tasks = [
                Batch(spec, as_of, release_id, tuple(ids), MOST_ERRORS, folder / f"{n:06d}.arrow")
                for n, ids in enumerate(batches)
            ]
            with workers.seeing(spec.reads, folder):
                yield from _made_by(workers, tasks)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return make


def _made_by(workers: Workers, tasks: Sequence[Batch]) -> Generator[Made, None, None]:
    with closing(workers.each(make_batch, tasks, lambda t: ("export", str(t.file)))) as ended:
        for task, errors in ended:
            if errors is None:
                raise PredictionError(
                    f"the worker process that forecast products {task.product_ids[0]} to "
                    f"{task.product_ids[-1]} died, more than once: was it out of memory?"
                )
            made = _read(task.file)
            task.file.unlink()
            yield made | Made(errors=errors)


def make_batch(task: Batch) -> dict[int, str]:
    """Write the values; why products have none, by their ids."""
    spec = task.engine
    with open_database(spec.database) as conn, without_warnings():
        if digest_of(spec.database) != spec.orders:
            raise SourceError(
                f"{spec.database} holds other orders than when the export began: an import took "
                "their place; the export has to be made anew"
            )
        engine = ForecastEngine(
            conn,
            spec.weeks,
            model=_model(spec.model, spec.fits),
            thresholds=spec.thresholds,
            registered=spec.registered,
            default_price=spec.default_price,
            draws=spec.draws,
            seed=spec.seed,
        )
        made = make_values(
            engine, task.product_ids, task.as_of_date, task.release_id, task.most_errors
        )
    with whole_file(task.file) as part:
        write_table(part, _table(made))
    return dict(made.errors)


def digest_of(database: Path) -> str | None:
    """Tells the orders of an import from those of another; None where there are none."""
    if not is_remote(database) and not database.is_dir():
        return file_digest(database)
    manifest = place_at(database).read(MANIFEST)  # names all parts, and is replaced in one step
    return None if manifest is None else hashlib.sha256(manifest).hexdigest()


@lru_cache(maxsize=2)
def _model(model: str, fits: Path) -> FittedModel:
    """Loaded once in a process."""
    name, _, version = model.partition("@")
    return find_model(name).load(fits / name / version) if version else load_fit(name, fits)


def _table(made: Made) -> pa.Table:
    """A row for each product; of its pairs the customers, and all rows one after the other."""
    values = made.values.values()
    return pa.table(
        {
            "product_id": pa.array(made.values, pa.int64()),
            "total": pa.array([made.totals.get(i) for i in made.values], pa.float64()),
            "content": pa.array([value.content for value in values], pa.large_binary()),
            "status": pa.array([value.status for value in values], pa.string()),
            "facts": pa.array([value.facts for value in values], pa.string()),
            "customer_id": pa.array([v.pairs.customer_id for v in values], pa.list_(pa.int64())),
            "rows": pa.array([value.pairs.values.ravel() for value in values], ROWS),
        }
    )


def _read(file: Path) -> Made:
    table = read_table(file)
    values, totals = {}, {}
    for row in range(len(table)):
        one = {name: table[name][row] for name in table.column_names}
        customers, numbers = (np.array(one[n].values) for n in ("customer_id", "rows"))
        product, total = one["product_id"].as_py(), one["total"].as_py()
        values[product] = Value(
            one["content"].as_py(),
            one["status"].as_py(),
            one["facts"].as_py(),
            PairRows(customers, numbers.reshape(-1, len(COLUMNS))),
        )
        if total is not None:
            totals[product] = total
    return Made(values, totals)
