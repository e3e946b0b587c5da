"""Forecasts for an export by workers: a task for each batch of products.

They write files that the export reads, stages and removes: workers know neither the cache nor its
password, and nothing large passes the scheduler.
"""

import json
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

from toolkit.cluster.workers import Workers
from toolkit.disk import whole_file
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError
from toolkit.export.making import Made, Maker, forecast_each
from toolkit.fits import load_fit, save_fit
from toolkit.model import FittedModel, find_model, model_file
from toolkit.results.metadata import RegisteredVersion
from toolkit.sources.embedded.database import open_database
from toolkit.stages.listing import ProductThresholds


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine that a worker makes again; ``model`` as ``load_fit`` takes it."""

    database: Path
    model: str
    fits: Path
    weeks: int
    draws: int
    seed: int
    thresholds: ProductThresholds
    registered: RegisteredVersion | None
    default_price: float | None

    @classmethod
    def of(cls, engine: ForecastEngine, database: Path, fits: Path) -> "EngineSpec":
        """That of ``engine``, whose model is saved below ``fits`` where it was fitted."""
        predictor, model = engine.predictor, engine.predictor.model
        fitted = not isinstance(find_model(model.name), FittedModel)
        if fitted:
            save_fit(model, fits)
        return cls(
            database.absolute(),
            f"{model.name}@{model.version}" if fitted else model.name,
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
    """A task: forecasts of these products, into ``file``."""

    engine: EngineSpec
    as_of_date: date
    product_ids: tuple[int, ...]
    most_errors: int
    file: Path


def made_by(
    workers: Workers, engine: ForecastEngine, database: Path, work: Path, most_errors: int
) -> Maker:
    """Makes forecasts as ``engine``, which reads ``database``, on ``workers``.

    They write into a folder of the export's own below ``work``, which is removed in the end.
    """

    def make(batches: Sequence[Sequence[int]], as_of: date) -> Generator[Made, None, None]:
        folder = work.absolute() / f"export-{token_hex(4)}"
        try:
            spec = EngineSpec.of(engine, database, folder / "fits")
            tasks = [
                Batch(spec, as_of, tuple(ids), most_errors, folder / f"{number:06d}.json")
                for number, ids in enumerate(batches)
            ]
            with workers.seeing(spec.reads, folder):
                yield from _made(workers, tasks)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return make


def _made(workers: Workers, tasks: Sequence[Batch]) -> Generator[Made, None, None]:
    with closing(workers.each(forecast_batch, tasks, lambda t: ("export", str(t.file)))) as ended:
        for task, errors in ended:
            if errors is None:
                raise PredictionError(
                    f"the worker process that forecast products {task.product_ids[0]} to "
                    f"{task.product_ids[-1]} died, more than once: was it out of memory?"
                )
            rows = json.loads(task.file.read_bytes())
            task.file.unlink()
            yield Made(
                {row["id"]: row["forecast"] for row in rows},
                {row["id"]: row["total"] for row in rows if row["forecast"] is not None},
                errors,
            )


def forecast_batch(task: Batch) -> dict[int, str]:
    """Write the forecasts; why products have none, by their ids."""
    spec = task.engine
    with open_database(spec.database) as conn:
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
        made = forecast_each(engine, task.product_ids, task.as_of_date, task.most_errors)
    rows = [
        {"id": i, "total": made.totals.get(i), "forecast": forecast}
        for i, forecast in made.forecasts.items()
    ]
    with whole_file(task.file) as part:
        part.write_text(json.dumps(rows), encoding="ascii")
    return dict(made.errors)


@lru_cache(maxsize=2)
def _model(model: str, fits: Path) -> FittedModel:
    """Loaded once in a process."""
    return load_fit(model, fits)
