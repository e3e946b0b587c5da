"""A run on disk: ``RUNS/NAME-KEY/``.

=====================================  ==================================================
``run.json``                           experiment, data, code, seed
``fits/MODEL/VERSION/``                the fits that the run made or was given
``fits/MODEL/AS_OF-DIGEST.json``       which fit belongs to which settings and date
``tasks/AS_OF/LABEL/SHARD/``           ``task.json``, ``pairs.parquet``, ``product_weeks.parquet``,
                                       ``totals.parquet``, ``past.parquet``
``scores.parquet``                     the scores, tidy
``weeks.parquet``                      scores of single weeks, which a watch is held against
``comparison.json``                    which version is better on what
``thresholds.json``                    thresholds chosen and verified
``report.html``                        all of it as one page
=====================================  ==================================================

A task's folder appears whole, by one rename; what a killed run leaves half done begins with a dot.
Its card, ``task.json``, has a digest of each table: one that is missing or damaged is found, never
left out of what is read.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from backtests.run.experiment import Experiment
from backtests.run.records import RunDescription, TaskRecord
from backtests.scores.history import CLASS_TYPE
from backtests.scores.tables import score_totals
from toolkit.disk import whole_file, whole_folder
from toolkit.errors import ArgumentError, ToolkitError
from toolkit.validation import load, write

META, TASK = "run.json", "task.json"
SCORES, WEEKS, COMPARISON = "scores.parquet", "weeks.parquet", "comparison.json"
THRESHOLDS, REPORT = "thresholds.json", "report.html"
SUMMARIES = (SCORES, WEEKS, COMPARISON, THRESHOLDS, REPORT)
PAIRS, PRODUCT_WEEKS = "pairs.parquet", "product_weeks.parquet"
TOTALS, PAST = "totals.parquet", "past.parquet"
ANEW = "`toolkit backtest` makes the run anew"
MENDED = "`toolkit backtest`, asked the same again, makes it anew"


@dataclass(frozen=True, slots=True)
class ScoreTables:
    """The tables of one task; None for a level that the version says nothing about.

    ``totals``: sums over its products, by category where there are any, see ``sum_products``.
    ``past``: the weeks before the as-of date, see ``PastYear``.
    """

    pairs: pd.DataFrame | None = None
    product_weeks: pd.DataFrame | None = None
    totals: pd.DataFrame | None = None
    past: pd.DataFrame | None = None


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

    def is_whole(self, as_of: date, label: str, shard: int) -> bool:
        """Whether a task was done, and all that it wrote is there as it was written."""
        try:
            record = self.task(as_of, label, shard)
            if record is None or record.failed:
                return False
            for name in record.digests:
                _checked_table(self.task_folder(as_of, label, shard) / name, record)
        except ArgumentError:
            return False
        return True

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

    def totals(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per week and date, of all products together; empty if there are none."""
        shards = self._table(TOTALS, version, as_of, None).drop(columns="category", errors="ignore")
        return shards if shards.empty else _scored(shards, ["as_of_date", "week"], columns)

    def categories(
        self, version: str, as_of: date | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """A row per category, week and date; empty if no product has a category.

        ``category`` is NA for the products without one.
        """
        shards = self._table(TOTALS, version, as_of, None)
        if "category" not in shards:
            return pd.DataFrame()
        return _scored(shards, ["as_of_date", "category", "week"], columns)

    def past(self, version: str, as_of: date) -> pd.DataFrame:
        """A row per product, with its weeks before the date; empty if there are none."""
        return self._table(PAST, version, as_of, None)

    def _table(
        self, name: str, version: str, as_of: date | None, columns: Sequence[str] | None
    ) -> pd.DataFrame:
        if version not in self.versions:
            known = ", ".join(self.versions)
            raise ArgumentError(f"{self.path} holds no version {version!r}; it holds {known}")
        parts = []
        for day, folder in self._whole_tasks(version, as_of):
            record = _read_task(folder / TASK)
            if name in record.digests:
                frame = _read(_checked_table(folder / name, record), columns)
                if "product_class" in frame:  # Parquet drops classes that do not occur
                    frame = frame.astype({"product_class": CLASS_TYPE})
                parts.append(frame.assign(as_of_date=pd.Timestamp(day)))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _whole_tasks(self, version: str, as_of: date | None) -> Iterator[tuple[date, Path]]:
        """Each task's date and folder; ``ArgumentError`` unless all of a date are there."""
        for day, shards in zip(self.dates, self.description.shards, strict=True):
            if as_of in (None, day):
                folders = self.task_folders(version, day)
                if len(folders) != shards:
                    raise ArgumentError(
                        f"{self.path} is not complete: it holds {len(folders)} of {shards} tasks "
                        f"of {version} as of {day}; {MENDED}"
                    )
                yield from ((day, folder) for folder in folders)


def _scored(shards: pd.DataFrame, keys: list[str], columns: Sequence[str] | None) -> pd.DataFrame:
    """The sums of the shards by these keys, scored."""
    sums = shards.groupby(keys, as_index=False, dropna=False).sum()
    scored = score_totals(sums).assign(**{key: sums[key] for key in keys})
    return scored if columns is None else scored[[*columns, "as_of_date"]]


def _read_task(path: Path) -> TaskRecord:
    return load(TaskRecord, path, "the record of a task", remedy=ANEW)


def start_run(path: Path, description: RunDescription) -> RunFolder:
    """The folder of a run, made or found again; leftovers of a killed one are removed."""
    path.mkdir(parents=True, exist_ok=True)
    for leftover in path.glob(".part-*"):
        leftover.unlink()
    remove_unfinished(path)
    run = RunFolder(path)
    with suppress(ArgumentError):  # it is missing or damaged
        if run.description == description:
            return run
    write(path / META, description)
    return RunFolder(path)


def remove_unfinished(path: Path) -> None:
    """What tasks of the run that were killed while they wrote left behind."""
    for leftover in path.glob("tasks/*/*/.part-*"):
        shutil.rmtree(leftover, ignore_errors=True)


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
        raise ToolkitError(f"another process is at work in {path}") from None


def write_task(folder: Path, record: TaskRecord, tables: ScoreTables) -> None:
    """Write a task's results; ``folder`` appears complete, in place of what was there."""
    digests = {}
    with whole_folder(folder) as part:
        named = {
            PAIRS: tables.pairs,
            PRODUCT_WEEKS: tables.product_weeks,
            TOTALS: tables.totals,
            PAST: tables.past,
        }
        for name, table in named.items():
            if table is not None:
                table.to_parquet(part / name, index=False, compression="zstd")
                digests[name] = _digest((part / name).read_bytes())
        write(part / TASK, replace(record, digests=digests))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table whole or not at all."""
    with whole_file(path) as part:
        table.to_parquet(part, index=False, compression="zstd")


def read_scores(path: Path, remedy: str = MENDED) -> pd.DataFrame:
    """The scores in a file; ``ArgumentError``, with the remedy, if it holds none."""
    try:
        return _read(path.read_bytes())
    except (OSError, pa.ArrowException) as exc:
        raise ArgumentError(f"{path} is damaged: {str(exc).splitlines()[0]}; {remedy}") from exc


def _checked_table(path: Path, record: TaskRecord) -> bytes:
    """A task's table, which has to be as its card says."""
    content = path.read_bytes() if path.is_file() else b""
    if _digest(content) != record.digests[path.name]:
        state = "is damaged" if content else "is missing"
        raise ArgumentError(f"{path} {state}; {MENDED}")
    return content


def _read(content: bytes, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """In this thread: Arrow's own, still at work when Python ends, abort the process or hang it."""
    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    table = file.read(None if columns is None else list(columns), use_threads=False)
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
