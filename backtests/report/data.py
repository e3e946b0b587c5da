"""Everything that the page tells, gathered from a run's folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd

from backtests.compare.comparison import compare_versions
from backtests.report.curves import Histogram, version_histograms
from backtests.report.frontiers import Frontier, frontiers_of
from backtests.report.health import (
    ReportedFailure,
    ReportedFit,
    Work,
    failures_of,
    fits_of,
    work_of,
)
from backtests.report.names import Known, look_up
from backtests.report.products import Chosen, choose, series, week_tables
from backtests.run.folder import COMPARISON, SCORES, THRESHOLDS, Json, RunFolder
from backtests.scores.summaries import reliability_tables, summarize
from backtests.thresholds.choice import ThresholdChoice
from toolkit.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class ProductSeries:
    """A product of the picker: its numbers as ``products.series`` gives them."""

    chosen: Chosen
    name: str
    numbers: Mapping[str, object]
    before: Mapping[str, Sequence[float]]  # by date: units of the weeks before it


@dataclass(frozen=True, slots=True)
class ReportData:
    """A run, gathered."""

    meta: Json
    versions: tuple[str, ...]
    dates: tuple[str, ...]
    scores: pd.DataFrame
    comparison: Json | None  # as ``Comparison.to_dict``; None with fewer than two versions
    frontiers: tuple[Frontier, ...]
    histograms: Mapping[str, Mapping[str, Histogram]]  # by version and level
    reliability: pd.DataFrame
    products: tuple[ProductSeries, ...]
    products_scored: int
    names_problem: str | None
    fits: tuple[ReportedFit, ...]
    failures: tuple[ReportedFailure, ...]
    work: tuple[Work, ...]
    observed_weeks: Mapping[str, int]  # by date


def gather(run: RunFolder, database: Path | None = None) -> ReportData:
    """Gather what there is; scores that the folder lacks are computed.

    ``database`` is where names and history of the products are looked up, if not where the run
    found them. Raises ``ArgumentError`` if no task of the run has finished.
    """
    cards = run.tasks()
    if not cards:
        raise ArgumentError(f"{run.path} holds no finished task: there is nothing to report")
    tables = week_tables(run)
    products, known = _products(run, tables, database)
    return ReportData(
        meta=run.meta,
        versions=run.versions,
        dates=tuple(day.isoformat() for day in run.dates),
        scores=_scores(run),
        comparison=_comparison(run),
        frontiers=frontiers_of(run, _choices(run)),
        histograms={version: version_histograms(run, version) for version in run.versions},
        reliability=reliability_tables(run),
        products=products,
        products_scored=len({i for t in tables.values() for i in t["product_id"].unique()}),
        names_problem=known.problem,
        fits=fits_of(run, cards),
        failures=failures_of(cards),
        work=work_of(run, cards),
        observed_weeks={str(card["as_of_date"]): int(card["observed_weeks"]) for card in cards},
    )


def _products(
    run: RunFolder, tables: Mapping[str, pd.DataFrame], database: Path | None
) -> tuple[tuple[ProductSeries, ...], Known]:
    chosen = choose(tables)
    ids = [one.product_id for one in chosen]
    known = look_up(database or Path(str(run.meta["database"])), ids, run.dates)
    few = {version: table[table["product_id"].isin(ids)] for version, table in tables.items()}
    made = tuple(
        ProductSeries(
            one,
            known.names.get(one.product_id, f"Product {one.product_id}"),
            series(few, one.product_id),
            {
                day.isoformat(): known.before[one.product_id, day].tolist()
                for day in run.dates
                if (one.product_id, day) in known.before
            },
        )
        for one in chosen
    )
    return made, known


def _scores(run: RunFolder) -> pd.DataFrame:
    path = run.path / SCORES
    return pd.read_parquet(path) if _is_current(run, path) else summarize(run)


def _comparison(run: RunFolder) -> Json | None:
    stored = _stored(run, COMPARISON)
    if stored is not None and stored["versions"] == list(run.versions):
        return stored
    return _if_there(lambda: compare_versions(run).to_dict())


def _choices(run: RunFolder) -> list[ThresholdChoice]:
    """What ``toolkit thresholds`` chose, if it did since the run."""
    stored = _stored(run, THRESHOLDS) or {"choices": []}
    return [ThresholdChoice.from_dict(choice) for choice in stored["choices"]]


def _stored(run: RunFolder, name: str) -> Json | None:
    path = run.path / name
    return cast("Json", json.loads(path.read_text())) if _is_current(run, path) else None


def _is_current(run: RunFolder, path: Path) -> bool:
    """Whether a file is there and no task finished after it."""
    if not path.exists():
        return False
    made = path.stat().st_mtime_ns
    return all(folder.stat().st_mtime_ns <= made for folder in run.task_folders())


def _if_there(make: Callable[[], Json]) -> Json | None:
    """None for a run of one version, or of versions that no score has in common."""
    try:
        return make()
    except ArgumentError:
        return None
