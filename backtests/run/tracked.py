"""A run folder as MLflow is to hold it, and the call that logs it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd

from backtests.compare.comparison import kept_comparison, verdicts
from backtests.run.fitting import Bar
from backtests.run.folder import COMPARISON, SCORES, TASK, RunFolder, read_scores
from backtests.run.harness import no_bar
from backtests.run.records import TaskRecord
from backtests.scores.summaries import ALL
from toolkit.errors import TrackingError
from toolkit.results.fit import CARD_FILE
from toolkit.tracking.runs import (
    COMPLETE_TAG,
    DESCRIPTION_TAG,
    Artifact,
    LoggedBacktest,
    Scalar,
    TrackedBacktest,
    TrackedRun,
    log_backtest,
)
from toolkit.tracking.store import open_store
from toolkit.validation import plain

SETTINGS = ("horizon_weeks", "draws", "seed", "refit", "share_of_products")
LONGEST = 500


def track(folder: Path, uri: str | None = None, bar: Bar = no_bar) -> LoggedBacktest:
    """Log the run in ``folder`` to the store at ``uri`` (see ``open_store``), as far as it is.

    What is logged already is skipped. Raises ``ArgumentError`` for a folder without a run; a
    ``TrackingError`` says how to log it later, and what is in the folder stays as it is.
    """
    backtest = tracked_backtest(RunFolder(folder))
    try:
        store = open_store(uri)
        with bar("Logging runs", len(backtest.runs) + 1) as advance:
            return log_backtest(store, backtest, lambda done, total: advance(1))
    except TrackingError as exc:
        later = f"{exc}; the results stay in {folder}: `toolkit track {folder}` logs them later"
        raise TrackingError(later, unavailable=exc.unavailable) from exc


def tracked_backtest(run: RunFolder) -> TrackedBacktest:
    """All of a run that MLflow is to hold: tables of single pairs stay in the folder."""
    description, every = run.description, run.tasks()
    tasks = _by_run(every)
    scores = _scores(run.path / SCORES)
    totals = {
        "tasks": float(len(every)),
        "failed_tasks": float(sum(task.failed for task in every)),
        "seconds": sum(task.seconds for task in every),
    }
    overall = {
        f"{label}/{name}": value
        for (label, day), values in scores.items()
        if day is None
        for name, value in values.items()
    }
    return TrackedBacktest(
        name=description.name,
        key=description.key,
        data=plain(description.data),
        code_version=description.code_version,
        params=_params(run),
        metrics={**totals, **overall},
        tags={
            "toolkit_version": description.toolkit_version,
            COMPLETE_TAG: "true" if _is_complete(run, tasks) else "false",
            **_description(run),
        },
        artifacts=tuple(_files(run.path)),
        runs=tuple(
            _tracked_run(run, label, day, shards, scores.get((label, day), {}))
            for (label, day), shards in tasks.items()
        ),
    )


def _tracked_run(
    run: RunFolder, label: str, day: date, shards: list[TaskRecord], scores: dict[str, float]
) -> TrackedRun:
    """A version at a date: its shards together."""
    first = shards[0]
    failed = [shard for shard in shards if shard.failed]
    diagnostics = {
        f"fit/{name}": float(value)
        for name, value in first.diagnostics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    asked = next(version for version in run.experiment.versions if version.label == label)
    settings = asdict(asked) | {"model": first.model, "model_version": first.model_version}
    files = [
        Artifact(run.task_folder(day, label, one.shard) / TASK, f"tasks/{one.shard:04d}")
        for one in shards
    ]
    fit = run.fits / first.model / str(first.model_version) / CARD_FILE
    if fit.exists():
        files.append(Artifact(fit, "fit"))
    return TrackedRun(
        label=label,
        as_of_date=day,
        params=_known({name: value for name, value in settings.items() if name != "label"}),
        metrics={
            "seconds": sum(shard.seconds for shard in shards),
            "shards": len(shards),
            "failed_shards": len(failed),
            "failed_rows": sum(shard.failed_rows for shard in shards),
            "observed_weeks": first.observed_weeks,
            "rows/pairs": float(sum(shard.rows.pairs for shard in shards)),
            "rows/product_weeks": float(sum(shard.rows.product_weeks for shard in shards)),
            **diagnostics,
            **scores,
        },
        tags={"warnings": "\n".join(first.warnings)} if first.warnings else {},
        artifacts=tuple(files),
        error=str(failed[0].error) if failed else None,
    )


def _description(run: RunFolder) -> dict[str, str]:
    """Which version wins on what, where MLflow shows a run's description."""
    path = run.path / COMPARISON
    if not path.exists():
        return {}
    said = verdicts(kept_comparison(path).leaders, run.versions)
    return {DESCRIPTION_TAG: "\n".join(f"- **{best}** {rest}" for best, rest in said)}


def _is_complete(run: RunFolder, tasks: dict[tuple[str, date], list[TaskRecord]]) -> bool:
    """Whether every task has ended, well or not, and all are summarized: a run that was cut short
    may yet go on.
    """
    keys = ((label, day) for label in run.versions for day in run.dates)
    ended = all(key in tasks and len(tasks[key]) == tasks[key][0].shards for key in keys)
    return ended and (run.path / SCORES).exists()


def _by_run(tasks: list[TaskRecord]) -> dict[tuple[str, date], list[TaskRecord]]:
    """The tasks of each version and date, in the order in which they are listed."""
    found: dict[tuple[str, date], list[TaskRecord]] = {}
    for task in tasks:
        found.setdefault((task.version, task.as_of_date), []).append(task)
    return found


def _scores(path: Path) -> dict[tuple[str, date | None], dict[str, float]]:
    """Scores over all rows, by version and date; None stands for all dates."""
    if not path.exists():
        return {}
    table = read_scores(path)
    found: dict[tuple[str, date | None], dict[str, float]] = {}
    for row in table[table["slice"] == ALL].to_dict("records"):
        when = row["as_of_date"]
        day = None if pd.isna(when) else pd.Timestamp(when).date()
        of_run = found.setdefault((str(row["version"]), day), {})
        of_run[f"{row['level']}/{row['score']}"] = float(row["value"])
    return found


def _params(run: RunFolder) -> dict[str, Scalar]:
    experiment = run.experiment
    return {
        "experiment": experiment.name,
        "versions": ", ".join(run.versions)[:LONGEST],
        "dates": ", ".join(map(str, run.dates))[:LONGEST],
        **_known({name: getattr(experiment, name) for name in SETTINGS}),
    }


def _known(values: Mapping[str, object]) -> dict[str, Scalar]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float)}


def _files(folder: Path) -> Iterator[Artifact]:
    """What lies in the folder itself: what it was asked, its scores, its report."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            yield Artifact(path)
