"""A run folder as MLflow is to hold it, and the call that logs it."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from backtests.compare.words import verdicts
from backtests.run.fitting import Bar
from backtests.run.folder import COMPARISON, FAILED, SCORES, TASK, Json, RunFolder
from backtests.run.harness import no_bar
from backtests.scores.summaries import ALL
from toolkit.errors import TrackingError
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

SETTINGS = ("horizon_weeks", "draws", "seed", "refit", "share_of_products")
CARD = "card.json"
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
    meta = run.meta
    tasks = _by_run(run.tasks())
    scores = _scores(run.path / SCORES)
    failed = sum(task["status"] == FAILED for cards in tasks.values() for task in cards)
    totals = {
        "tasks": float(sum(map(len, tasks.values()))),
        "failed_tasks": float(failed),
        "seconds": sum(task["seconds"] for cards in tasks.values() for task in cards),
    }
    overall = {
        f"{label}/{name}": value
        for (label, day), values in scores.items()
        if day is None
        for name, value in values.items()
    }
    return TrackedBacktest(
        name=meta["name"],
        key=meta["key"],
        data=meta["data"],
        code_version=meta["code_version"],
        params=_params(run),
        metrics={**totals, **overall},
        tags={
            "toolkit_version": meta["toolkit_version"],
            COMPLETE_TAG: "true" if _is_complete(run, tasks) else "false",
            **_description(run),
        },
        artifacts=tuple(_files(run.path)),
        runs=tuple(
            _tracked_run(run, label, day, cards, scores.get((label, day), {}))
            for (label, day), cards in tasks.items()
        ),
    )


def _tracked_run(
    run: RunFolder, label: str, day: date, cards: list[Json], scores: dict[str, float]
) -> TrackedRun:
    """A version at a date: its shards together."""
    first = cards[0]
    failed = [card for card in cards if card["status"] == FAILED]
    diagnostics = {
        f"fit/{name}": float(value)
        for name, value in (first["diagnostics"] or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    spec = next(v for v in run.meta["experiment"]["versions"] if v["label"] == label)
    settings = {name: value for name, value in spec.items() if name not in ("label", "model")}
    files = [
        Artifact(run.task_folder(day, label, card["shard"]) / TASK, f"tasks/{card['shard']:04d}")
        for card in cards
    ]
    fit = run.fits / str(first["model"]) / str(first["model_version"]) / CARD
    if fit.exists():
        files.append(Artifact(fit, "fit"))
    return TrackedRun(
        label=label,
        as_of_date=day,
        params=_known(
            {"model": first["model"], "model_version": first["model_version"]} | settings
        ),
        metrics={
            "seconds": sum(card["seconds"] for card in cards),
            "shards": len(cards),
            "failed_shards": len(failed),
            "failed_rows": sum(card["failed_rows"] for card in cards),
            "observed_weeks": first["observed_weeks"],
            **{f"rows/{table}": _rows(cards, table) for table in first["rows"]},
            **diagnostics,
            **scores,
        },
        tags={"warnings": "\n".join(first["warnings"])} if first["warnings"] else {},
        artifacts=tuple(files),
        error=str(failed[0]["error"]) if failed else None,
    )


def _description(run: RunFolder) -> dict[str, str]:
    """Which version wins on what, where MLflow shows a run's description."""
    path = run.path / COMPARISON
    if not path.exists():
        return {}
    leaders = json.loads(path.read_text(encoding="utf-8"))["leaders"]
    said = verdicts(leaders, run.versions)
    return {DESCRIPTION_TAG: "\n".join(f"- **{best}** {rest}" for best, rest in said)}


def _is_complete(run: RunFolder, tasks: dict[tuple[str, date], list[Json]]) -> bool:
    """Whether every task has ended, well or not, and all are summarized: a run that was cut short
    may yet go on.
    """
    keys = ((label, day) for label in run.versions for day in run.dates)
    ended = all(key in tasks and len(tasks[key]) == tasks[key][0]["shards"] for key in keys)
    return ended and (run.path / SCORES).exists()


def _rows(cards: list[Json], table: str) -> float:
    return float(sum(card["rows"][table] for card in cards))


def _by_run(cards: list[Json]) -> dict[tuple[str, date], list[Json]]:
    """The tasks of each version and date, in the order in which they are listed."""
    found: dict[tuple[str, date], list[Json]] = {}
    for card in cards:
        key = str(card["version"]), date.fromisoformat(card["as_of_date"])
        found.setdefault(key, []).append(card)
    return found


def _scores(path: Path) -> dict[tuple[str, date | None], dict[str, float]]:
    """Scores over all rows, by version and date; None stands for all dates."""
    if not path.exists():
        return {}
    table = pd.read_parquet(path)
    found: dict[tuple[str, date | None], dict[str, float]] = {}
    for row in table[table["slice"] == ALL].to_dict("records"):
        when = row["as_of_date"]
        day = None if pd.isna(when) else pd.Timestamp(when).date()
        of_run = found.setdefault((str(row["version"]), day), {})
        of_run[f"{row['level']}/{row['score']}"] = float(row["value"])
    return found


def _params(run: RunFolder) -> dict[str, Scalar]:
    experiment = run.meta["experiment"]
    return {
        "experiment": experiment["name"],
        "versions": ", ".join(run.versions)[:LONGEST],
        "dates": ", ".join(map(str, run.dates))[:LONGEST],
        **_known({name: experiment.get(name) for name in SETTINGS}),
    }


def _known(values: Json) -> dict[str, Scalar]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float)}


def _files(folder: Path) -> Iterator[Artifact]:
    """What lies in the folder itself: what it was asked, its scores, its report."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            yield Artifact(path)
