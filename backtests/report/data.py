"""Everything that the page tells, gathered from a run's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from backtests.compare.comparison import Comparison, Difference, compare_versions, kept_comparison
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
from backtests.run.folder import COMPARISON, SCORES, THRESHOLDS, RunFolder, read_scores
from backtests.run.records import RunDescription
from backtests.scores.score import Score
from backtests.scores.summaries import reliability_tables, summarize
from backtests.thresholds.choice import ThresholdChoice, kept_choices
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

    description: RunDescription
    versions: tuple[str, ...]
    dates: tuple[str, ...]
    scores: pd.DataFrame
    comparison: Comparison | None  # None with fewer than two versions
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

    def gaps(self, score: Score) -> tuple[Difference, ...]:
        """Each version's difference to the best on a score; none if that was not compared."""
        return () if self.comparison is None else self.comparison.gaps(score.name)


def gather(run: RunFolder, database: Path | None = None) -> ReportData:
    """Gather what there is; scores that the folder lacks are computed.

    ``database`` is where names and history of the products are looked up, if not where the run
    found them. Raises ``ArgumentError`` if no task of the run has finished.
    """
    tasks = run.tasks()
    if not tasks:
        raise ArgumentError(f"{run.path} holds no finished task: there is nothing to report")
    tables = week_tables(run)
    products, known = _products(run, tables, database)
    return ReportData(
        description=run.description,
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
        fits=fits_of(run, tasks),
        failures=failures_of(tasks),
        work=work_of(run, tasks),
        observed_weeks={str(task.as_of_date): task.observed_weeks for task in tasks},
    )


def _products(
    run: RunFolder, tables: Mapping[str, pd.DataFrame], database: Path | None
) -> tuple[tuple[ProductSeries, ...], Known]:
    chosen = choose(tables)
    ids = [one.product_id for one in chosen]
    known = look_up(database or Path(run.description.database), ids, run.dates)
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
    if _is_current(run, path):
        return read_scores(path)
    return summarize(run, slices=run.experiment.slices)


def _comparison(run: RunFolder) -> Comparison | None:
    """None for a run of one version, or of versions that no score has in common."""
    path = run.path / COMPARISON
    stored = kept_comparison(path) if _is_current(run, path) else None
    if stored is not None and stored.versions == run.versions:
        return stored
    try:
        return compare_versions(run)
    except ArgumentError:
        return None


def _choices(run: RunFolder) -> tuple[ThresholdChoice, ...]:
    """What ``toolkit thresholds`` chose, if it did since the run."""
    path = run.path / THRESHOLDS
    return kept_choices(path).choices if _is_current(run, path) else ()


def _is_current(run: RunFolder, path: Path) -> bool:
    """Whether a file is there and no task finished after it."""
    if not path.exists():
        return False
    made = path.stat().st_mtime_ns
    return all(folder.stat().st_mtime_ns <= made for folder in run.task_folders())
