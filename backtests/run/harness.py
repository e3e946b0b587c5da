"""A backtest from experiment to run folder: survey, fits, tasks, in this order.

Finished tasks are kept: an interrupted run is resumed, and ends with what it
would have ended with.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from pathlib import Path

from backtests.run.experiment import Experiment
from backtests.run.fitting import Bar, FitMaker, Fitting, find_versions, fit_all, frozen_fit
from backtests.run.folder import (
    SCORES,
    WEEKS,
    RunFolder,
    only_one,
    remove_unfinished,
    start_run,
    withdraw_summaries,
    write_table,
)
from backtests.run.pool import fitted_by, work_through
from backtests.run.provenance import ProductSample, Survey, code_version, run_key
from backtests.run.records import FitRecord, RunDescription
from backtests.run.stored import restore_run
from backtests.run.tasks import Outcome, Task
from backtests.scores.summaries import summarize
from backtests.scores.weekly import weeks_of_run
from toolkit.cluster.orders import OrdersAt
from toolkit.cluster.workers import Workers, open_workers
from toolkit.data.tables import observed_weeks
from toolkit.disk import check_on_disk
from toolkit.errors import ArgumentError
from toolkit.fits import save_fit
from toolkit.installed import own_version
from toolkit.model import FittedModel, ModelVersion, find_model, model_file
from toolkit.sources.parquet.place import absolute
from toolkit.sources.sql import as_source


@contextmanager
def no_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Progress that nobody watches."""
    yield lambda steps: None


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a backtest did: its folder, its tasks and what there is to say of it."""

    folder: Path
    tasks: int
    kept: int  # from an earlier start
    failed: Mapping[str, int]  # tasks by version
    errors: tuple[str, ...]  # one per version and message
    notices: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def failures(self) -> int:
        """Tasks that failed."""
        return sum(self.failed.values())


def run_backtest(
    experiment: Experiment,
    database: Path,
    *,
    runs: Path,
    fits: Path,
    jobs: int,
    cluster: str | None = None,
    bar: Bar = no_bar,
    stored: Path | None = None,
) -> RunReport:
    """Do the ``experiment`` on ``database``, in ``jobs`` processes, in a folder below ``runs``.

    ``cluster``: the address of a Dask scheduler, or a file about one, whose workers do the tasks in
    place of processes. ``fits`` holds what frozen versions were fitted to. ``stored``: runs in an
    object store; one that was uploaded there, see ``upload_run``, is not done anew. Raises
    ``ArgumentError`` for dates outside the data, ``ModelError`` for unknown versions,
    ``SourceError`` where the data cannot be read, or an import takes their place meanwhile,
    ``ClusterError`` where workers cannot do the tasks, or are lost; what a version does wrong is
    recorded, not raised.
    """
    started = time.perf_counter()
    check_on_disk(runs)
    models: dict[str, ModelVersion | FittedModel] = {**find_versions(experiment)}
    database = absolute(database)
    orders = OrdersAt.now(database)
    with orders.open() as conn:
        survey = Survey.of(as_source(conn))
    dates, notices = check_dates(experiment, survey)
    experiment = experiment.at(dates)
    frozen = {
        version.label: frozen_fit(version, dates[0], fits)
        for version in experiment.versions
        if version.refit == "frozen"
    }
    description = describe(experiment, survey, database)
    path = runs.absolute() / f"{experiment.name}-{description.key}"
    if stored is not None:
        restore_run(path, stored)
    with open_workers(jobs, cluster) as workers, only_one(path):
        run = start_run(path, description)
        with workers.seeing([database, *_model_files(experiment)], run.path):
            make = None if cluster is None else fitted_by(workers, bar)
            chosen = _models(experiment, models | frozen, orders, run, jobs, bar, make)
            tasks = list(plan(experiment, survey, orders, run, chosen))
            kept = _work_off(tasks, run, workers, bar)
            remove_unfinished(run.path)  # workers may have been lost on the way
        write_table(run.path / SCORES, summarize(run, slices=experiment.slices))
        write_table(run.path / WEEKS, weeks_of_run(run, run.versions))
    return _report(run, len(tasks), kept, notices, started)


def _model_files(experiment: Experiment) -> set[Path]:
    """Files that models come from which are not installed."""
    names = {version.model.partition("@")[0] for version in experiment.versions}
    return set(filter(None, map(model_file, names)))


def _work_off(tasks: Sequence[Task], run: RunFolder, workers: Workers, bar: Bar) -> int:
    """Do the tasks that are not done yet. Returns how many were."""
    waiting = [t for t in tasks if not run.is_whole(t.as_of_date, t.label, t.shard)]
    if waiting:
        withdraw_summaries(run)
    kept = len(tasks) - len(waiting)
    with bar("Predicting and scoring", len(tasks)) as advance:
        advance(kept)

        def tell(outcome: Outcome) -> None:
            advance(1)

        work_through(waiting, run.path, workers, tell)
    return kept


def check_dates(experiment: Experiment, survey: Survey) -> tuple[tuple[date, ...], tuple[str, ...]]:
    """The as-of dates, and a notice for each whose horizon is not wholly observed.

    Raises ``ArgumentError`` naming all that have no order before them or no whole week after.
    """
    first, last = survey.data.first_date, survey.data.last_date
    weeks = experiment.horizon_weeks
    dates = experiment.dates.resolve(last, weeks)
    seen = {day: observed_weeks(day, last, weeks) for day in dates}
    outside = [str(day) for day in dates if day <= first or not seen[day]]
    if outside:
        raise ArgumentError(
            f"as-of dates outside the data: {', '.join(outside)}; orders run from {first} to "
            f"{last}, and a date needs orders before it and a whole week after it"
        )
    return dates, tuple(
        f"as of {day}, {seen[day]} of {weeks} weeks are over by {last}: the others are not scored"
        for day in dates
        if seen[day] < weeks
    )


def describe(experiment: Experiment, survey: Survey, database: Path) -> RunDescription:
    """What ``run.json`` says."""
    names = {version.model.partition("@")[0] for version in experiment.versions}
    code = code_version(names)
    anywhere = replace(experiment, database=None)
    return RunDescription(
        name=experiment.name,
        key=run_key(anywhere, survey.data, code, survey.categories, survey.replaced),
        experiment=anywhere,
        data=survey.data,
        categories=survey.categories,
        database=str(database),
        code_version=code,
        toolkit_version=own_version(),
        seed=experiment.seed,
        shards=tuple(
            -(-survey.pairs_before(day, _sample(experiment)) // experiment.pairs_per_shard)
            for day in experiment.dates.list
        ),
    )


def _sample(experiment: Experiment) -> ProductSample:
    return ProductSample(experiment.share_of_products, experiment.seed)


def plan(
    experiment: Experiment,
    survey: Survey,
    orders: OrdersAt,
    run: RunFolder,
    chosen: Mapping[tuple[str, date], FitRecord],
) -> Iterator[Task]:
    """All tasks by date, then shard, then version.

    What a date needs is read once, and what several versions compile at first, beside each other.
    """
    last, weeks = survey.data.last_date, experiment.horizon_weeks
    sample = _sample(experiment)
    for day, shards in zip(run.dates, run.description.shards, strict=True):
        for shard, version in product(range(shards), experiment.versions):
            fit = chosen[version.label, day]
            yield Task(
                orders=orders,
                content=survey.content,
                fits=run.fits,
                as_of_date=day,
                label=version.label,
                model=fit.model or version.model,
                horizon_weeks=weeks,
                observed_weeks=observed_weeks(day, last, weeks),
                draws=experiment.draws,
                seed=version.seed,
                pit_seed=experiment.seed,
                sample=sample,
                shard=shard,
                shards=shards,
                error=fit.error,
            )


def _models(
    experiment: Experiment,
    models: Mapping[str, ModelVersion | FittedModel],
    orders: OrdersAt,
    run: RunFolder,
    jobs: int,
    bar: Bar,
    make: FitMaker | None,
) -> dict[tuple[str, date], FitRecord]:
    """By label and date: NAME or NAME@VERSION, or why there is none."""
    chosen: dict[tuple[str, date], FitRecord] = {}
    wanted: dict[tuple[str, date], Fitting] = {}
    for version in experiment.versions:
        for day in run.dates:
            key, model = (version.label, day), models[version.label]
            if isinstance(model, FittedModel):
                chosen[key] = FitRecord(_kept(model, run))
            else:
                once = version.refit == "condition"  # before the first date, not before each
                wanted[key] = Fitting.of(
                    version, run.dates[0] if once else day, experiment.calendar
                )
    fittings = list(dict.fromkeys(wanted.values()))
    became = fit_all(fittings, orders, run.fits, jobs, bar, make)
    return chosen | {key: became[fitting] for key, fitting in wanted.items()}


def _kept(model: FittedModel, run: RunFolder) -> str:
    """NAME if that is all there is to it; NAME@VERSION of a fit, kept in the run's folder."""
    if isinstance(find_model(model.name), FittedModel):
        return model.name
    save_fit(model, run.fits)
    return f"{model.name}@{model.version}"


def _report(
    run: RunFolder, tasks: int, kept: int, notices: tuple[str, ...], started: float
) -> RunReport:
    records = run.tasks()
    warnings: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        warnings[record.version] |= dict.fromkeys(record.warnings)
    failed = [record for record in records if record.failed]
    return RunReport(
        folder=run.path,
        tasks=tasks,
        kept=kept,
        failed=Counter(record.version for record in failed),
        errors=tuple(dict.fromkeys(f"{record.version}: {record.error}" for record in failed)),
        notices=notices,
        warnings=tuple(
            f"{version}: {'; '.join(said)}" for version, said in warnings.items() if said
        ),
        seconds=time.perf_counter() - started,
    )
