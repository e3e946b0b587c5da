"""How the fits went, and what failed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from backtests.run.folder import RunFolder
from backtests.run.records import TaskRecord
from toolkit.results.fit import DiagnosticValues, FitCard, PredictiveCheck

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ReportedFit:
    """A fit, and the version and dates that predicted with it."""

    version: str
    model: str
    fit: str
    dates: tuple[str, ...]
    as_of_date: date | None  # what was known before it, it learned from
    pairs: int | None
    diagnostics: DiagnosticValues
    warnings: tuple[str, ...]
    checks: tuple[PredictiveCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """What went wrong in the same way, how often, and in which dates."""

    version: str
    what: str
    count: int
    unit: str
    dates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a version's tasks came to."""

    version: str
    tasks: int
    failed_tasks: int
    pairs: int
    product_weeks: int
    failed_rows: int
    seconds: float


def fits_of(run: RunFolder, tasks: Sequence[TaskRecord]) -> tuple[ReportedFit, ...]:
    """The fits that the tasks used, by version and first date; models without a fit have none."""
    used: dict[tuple[str, str, str], list[TaskRecord]] = {}
    for task in tasks:
        if task.diagnostics or task.warnings:
            key = task.version, task.model, str(task.model_version)
            used.setdefault(key, []).append(task)
    return tuple(_fit(run, key, tasks) for key, tasks in used.items())


def work_of(run: RunFolder, tasks: Sequence[TaskRecord]) -> tuple[Work, ...]:
    """A row per version."""
    return tuple(_work(v, [task for task in tasks if task.version == v]) for v in run.versions)


def failures_of(tasks: Sequence[TaskRecord]) -> tuple[ReportedFailure, ...]:
    """Failed tasks by version and error, then rows that were left out, with examples."""
    errors: dict[tuple[str, str], list[TaskRecord]] = {}
    for task in tasks:
        if task.failed:
            errors.setdefault((task.version, str(task.error)), []).append(task)
    failed = tuple(
        ReportedFailure(version, error, len(found), "tasks", _dates(found))
        for (version, error), found in errors.items()
    )
    return failed + tuple(_failed_rows(tasks))


def _failed_rows(tasks: Sequence[TaskRecord]) -> Iterator[ReportedFailure]:
    for version in dict.fromkeys(task.version for task in tasks):
        found = [t for t in tasks if t.version == version and t.failed_rows]
        if found:
            examples = [text for task in found for text in task.failures][:EXAMPLES]
            count = sum(task.failed_rows for task in found)
            yield ReportedFailure(version, "; ".join(examples), count, "rows", _dates(found))


def _fit(run: RunFolder, key: tuple[str, str, str], tasks: Sequence[TaskRecord]) -> ReportedFit:
    version, model, fit = key
    card = FitCard.read(run.fits / model / fit) or FitCard()
    return ReportedFit(
        version=version,
        model=model,
        fit=fit,
        dates=_dates(tasks),
        as_of_date=card.as_of_date,
        pairs=card.pairs,
        diagnostics=tasks[0].diagnostics,
        warnings=tasks[0].warnings,
        checks=card.checks,
    )


def _work(version: str, tasks: Sequence[TaskRecord]) -> Work:
    return Work(
        version=version,
        tasks=len(tasks),
        failed_tasks=sum(task.failed for task in tasks),
        pairs=sum(task.rows.pairs for task in tasks),
        product_weeks=sum(task.rows.product_weeks for task in tasks),
        failed_rows=sum(task.failed_rows for task in tasks),
        seconds=sum(task.seconds for task in tasks),
    )


def _dates(tasks: Sequence[TaskRecord]) -> tuple[str, ...]:
    return tuple(sorted({str(task.as_of_date) for task in tasks}))
