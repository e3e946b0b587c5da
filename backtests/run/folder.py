"""A run on disk: ``RUNS/NAME-KEY/``.

=====================================  ==================================================
``run.json``                           experiment, data, code, seed
``fits/MODEL/VERSION/``                the fits that the run made or was given
``fits/MODEL/AS_OF-DIGEST.json``       which fit belongs to which settings and date
``tasks/AS_OF/LABEL/SHARD/``           ``task.json``, ``pairs.parquet``, ``product_weeks.parquet``
``scores.parquet``                     the scores, tidy
``comparison.json``                    which version is better on what
``thresholds.json``                    thresholds chosen and verified
``report.html``                        all of it as one page
=====================================  ==================================================

A task's folder appears whole, by one rename; what a killed run leaves half done begins with a dot.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from backtests.run.experiment import Experiment
from backtests.run.records import RunDescription, TaskRecord
from backtests.scores.history import CLASS_TYPE
from toolkit.errors import ArgumentError, ToolkitError
from toolkit.validation import load, write

META, TASK = "run.json", "task.json"
SCORES, COMPARISON = "scores.parquet", "comparison.json"
THRESHOLDS, REPORT = "thresholds.json", "report.html"
SUMMARIES = (SCORES, COMPARISON, THRESHOLDS, REPORT)
PAIRS, PRODUCT_WEEKS = "pairs.parquet", "product_weeks.parquet"
ANEW = "`toolkit backtest` makes the run anew"


@dataclass(frozen=True, slots=True)
class ScoreTables:
    """Both tables of one task; None for a level that the version says nothing about."""

    pairs: pd.DataFrame | None = None
    product_weeks: pd.DataFrame | None = None


@dataclass(frozen=True)
class RunFolder:
    """Reads a run; raises ``ArgumentError`` where ``path`` holds none."""

    path: Path

    @cached_property
    def description(self) -> RunDescription:
        """What the run was asked and on what it rests."""
        file = self.path / META
        if not file.exists():
            raise ArgumentError(f"{self.path} is not the folder of a backtest: it holds no {META}")
        return load(RunDescription, file, "the description of a backtest", remedy=ANEW)

    @property
    def experiment(self) -> Experiment:
        """What the run was asked."""
        return self.description.experiment

    @property
    def horizon_weeks(self) -> int:
        """How far the versions forecast."""
        return self.experiment.horizon_weeks

    @property
    def versions(self) -> tuple[str, ...]:
        """Labels, in the order of the experiment."""
        return tuple(version.label for version in self.experiment.versions)

    @property
    def dates(self) -> tuple[date, ...]:
        """As-of dates, ascending."""
        return self.experiment.dates.list

    @property
    def fits(self) -> Path:
        """Where the run's fits are."""
        return self.path / "fits"

    def tasks(self) -> list[TaskRecord]:
        """What every finished task says of itself, by date, version and shard."""
        return [_read_task(folder / TASK) for folder in self.task_folders()]

    def task_folders(self, version: str | None = None, as_of: date | None = None) -> list[Path]:
        """Folders of finished tasks, by date, version and shard."""
        found: list[Path] = []
        for day in self.dates if as_of is None else (as_of,):
            for label in self.versions if version is None else (version,):
                shards = self.path.glob(f"tasks/{day}/{label}/[0-9]*/{TASK}")
                found += sorted(path.parent for path in shards)
        return found

    def task_folder(self, as_of: date, label: str, shard: int) -> Path:
        """Where a task's results belong."""
        return self.path / "tasks" / as_of.isoformat() / label / f"{shard:04d}"

    def task(self, as_of: date, label: str, shard: int) -> TaskRecord | None:
        """What a task says of itself; None if it has not finished."""
        path = self.task_folder(as_of, label, shard) / TASK
        return _read_task(path) if path.exists() else None

    def pairs(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per pair and date, with a column ``as_of_date``; empty if there are none."""
        return self._table(PAIRS, version, as_of, columns)

    def product_weeks(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per product, week and date, with a column ``as_of_date``; empty if none."""
        return self._table(PRODUCT_WEEKS, version, as_of, columns)

    def _table(
        self, name: str, version: str, as_of: date | None, columns: Sequence[str] | None
    ) -> pd.DataFrame:
        if version not in self.versions:
            known = ", ".join(self.versions)
            raise ArgumentError(f"{self.path} holds no version {version!r}; it holds {known}")
        parts = []
        for folder in self.task_folders(version, as_of):
            path = folder / name
            if path.exists():
                frame = pd.read_parquet(path, columns=None if columns is None else list(columns))
                if "product_class" in frame:  # Parquet drops classes that do not occur
                    frame = frame.astype({"product_class": CLASS_TYPE})
                day = folder.parent.parent.name
                parts.append(frame.assign(as_of_date=pd.Timestamp(day)))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _read_task(path: Path) -> TaskRecord:
    return load(TaskRecord, path, "the record of a task", remedy=ANEW)


def start_run(path: Path, description: RunDescription) -> RunFolder:
    """The folder of a run, made or found again; leftovers of a killed one are removed."""
    path.mkdir(parents=True, exist_ok=True)
    for leftover in path.glob(".part-*"):
        leftover.unlink()
    for leftover in path.glob("tasks/*/*/.part-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if not (path / META).exists():
        write(path / META, description)
    return RunFolder(path)


def withdraw_summaries(run: RunFolder) -> None:
    """Remove what was said of the tasks so far: there will be others."""
    for name in SUMMARIES:
        (run.path / name).unlink(missing_ok=True)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Holds the run's lock; ``ToolkitError`` while another process does. A kill frees it."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / ".lock", blocking=False):
            yield
    except Timeout:
        raise ToolkitError(f"another backtest is at work in {path}") from None


def write_task(folder: Path, record: TaskRecord, tables: ScoreTables) -> None:
    """Write a task's results; ``folder`` appears complete, in place of what was there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        for name, table in ((PAIRS, tables.pairs), (PRODUCT_WEEKS, tables.product_weeks)):
            if table is not None:
                table.to_parquet(part / name, index=False, compression="zstd")
        write(part / TASK, record)
        part.chmod(0o755)
        if folder.exists():  # a task that failed before
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table whole or not at all."""
    part = path.with_name(f".part-{path.name}")
    table.to_parquet(part, index=False, compression="zstd")
    part.replace(path)
