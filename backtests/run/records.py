"""What a run's folder says of the run, its fits and its tasks: JSON files, read as objects."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from backtests.run.experiment import Experiment
from toolkit.data.fingerprint import Fingerprint
from toolkit.results.fit import DiagnosticValues

type TaskStatus = Literal["done", "failed"]


@dataclass(frozen=True, slots=True)
class RunDescription:
    """``run.json``: what a run was asked, and on what it rests.

    Of ``database``, only the content counts, not the place. ``categories``: a digest of which
    product is in which category, None where none is. ``shards``: how many tasks each version
    has, by date.
    """

    name: str
    key: str
    experiment: Experiment
    data: Fingerprint
    database: str
    code_version: str
    toolkit_version: str
    seed: int
    shards: tuple[int, ...]
    categories: str | None = None


@dataclass(frozen=True, slots=True)
class FitRecord:
    """Which fit some settings and a date led to, NAME@VERSION, or why there is none."""

    model: str | None = None
    error: str | None = None
    seconds: float = 0.0
    asked: Mapping[str, object] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskRows:
    """How many rows a task's tables have."""

    pairs: int
    product_weeks: int


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """``task.json``: what one version made of one shard at one date.

    ``version`` is the label of the version, ``model_version`` that of the fit. ``diagnostics``
    and ``warnings`` are the fit's; ``failed_rows`` counts the pairs and products that were left
    out, ``failures`` are some of them. ``digests`` are those of its tables, by their files' names.
    """

    run: str
    as_of_date: date
    version: str
    model: str
    model_version: str | None
    shard: int
    shards: int
    status: TaskStatus
    error: str | None
    seconds: float
    warnings: tuple[str, ...]
    diagnostics: DiagnosticValues
    observed_weeks: int
    horizon_weeks: int
    rows: TaskRows
    failed_rows: int
    failures: tuple[str, ...]
    digests: Mapping[str, str]

    @property
    def failed(self) -> bool:
        """Whether it has no results."""
        return self.status == "failed"
