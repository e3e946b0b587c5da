"""Backtests in MLflow: a run for each, a child run per version and as-of date, each there once.

A run carries its key as a tag from the moment it exists, and a digest of its content when all of
it is logged. Logging the same backtest again skips what is complete, completes what a kill cut
short, and brings up to date what has changed since.
"""

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import batched
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.utils import get_results_from_paginated_fn
from mlflow.utils.time import get_current_time_millis

from toolkit.errors import TrackingError
from toolkit.tracking.store import Store

KEY_TAG = "toolkit.key"
BACKTEST_TAG = "toolkit.backtest"
CONTENT_TAG = "toolkit.content"
COMPLETE_TAG = "complete"
"""Of a backtest's own run: "true" if all of its tasks had ended when it was logged."""

DESCRIPTION_TAG = "mlflow.note.content"
"""What MLflow shows as the description of a run."""

BEING_LOGGED = "being logged again"
"""In place of the digest, until all of what has changed is there."""

PARENT_TAG = "mlflow.parentRunId"
METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
RUNS_PER_CALL = 1000
DIGEST_LENGTH = 36
"""MLflow's limit for the digest of a dataset."""

_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")

type Scalar = str | int | float | bool
type LogProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file, and the folder of the run to put it into."""

    file: Path
    folder: str = ""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What one version said at one date. Scores that are not finite are not logged.

    The metric ``seconds``, if there is one, is how long it took: MLflow shows it as duration, too.
    """

    label: str
    as_of_date: date
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TrackedBacktest:
    """A whole backtest: ``key`` (hex) tells it from any other, ``data`` is the data's fingerprint.

    ``data`` holds at least ``sha256``. No two of ``runs`` share label and as-of date.
    """

    name: str
    key: str
    data: Mapping[str, Scalar]
    code_version: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    runs: tuple[TrackedRun, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedBacktest:
    """Where a backtest is in MLflow: how many runs were logged now, how many were there."""

    experiment_id: str
    run_id: str
    logged: int
    complete_before: int


@dataclass(frozen=True, slots=True)
class _Content:
    """All of one run, parent or child."""

    key: str
    name: str
    params: Mapping[str, Scalar]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    failed: bool
    seconds: float | None = None

    def digest(self) -> str:
        """Equal for equal content, files included, in whichever store."""
        files = [(a.folder, a.file.name, _sha256(a.file)) for a in self.artifacts]
        tags = {name: value for name, value in self.tags.items() if name != PARENT_TAG}
        whole = [dict(self.params), dict(self.metrics), tags, files, self.failed]
        return _digest(whole)


def log_backtest(
    store: Store, backtest: TrackedBacktest, progress: LogProgress = lambda done, total: None
) -> LoggedBacktest:
    """Log all of ``backtest`` that is not logged yet; ``progress`` is told runs done, and of all.

    The parent is complete last, so a parent that is has all its children, as they are now. Raises
    ``TrackingError`` if the store does not take it; what is logged by then stays, and calling
    again resumes there.
    """
    with store.errors():
        logger = _Logger(store, store.experiment_id(backtest.name), backtest)
        parent = logger.reopened(logger.parent)
        total = len(backtest.runs) + 1
        logged = 0
        for done, run in enumerate(backtest.runs):
            logged += logger.log(logger.child(run, parent.info.run_id))
            progress(done + 1, total)
        logged += logger.log(logger.parent)
        if store.file is None:
            logger.remove_duplicates()
        progress(total, total)
        return LoggedBacktest(logger.experiment_id, parent.info.run_id, logged, total - logged)


class _Logger:
    """Logs the runs of one backtest; knows which were there when it began."""

    def __init__(self, store: Store, experiment_id: str, backtest: TrackedBacktest) -> None:
        self.experiment_id = experiment_id
        self._store = store
        self._backtest = backtest
        self._known = {key: runs[0] for key, runs in self._runs().items()}

    @property
    def parent(self) -> _Content:
        """The backtest's own run."""
        backtest = self._backtest
        data = {f"data.{name}": value for name, value in backtest.data.items()}
        return _Content(
            key=backtest.key,
            name=f"{backtest.name} {backtest.key}",
            params={**backtest.params, **data},
            metrics=backtest.metrics,
            tags={**backtest.tags, **self._tags()},
            artifacts=backtest.artifacts,
            failed=False,
        )

    def child(self, run: TrackedRun, parent_id: str) -> _Content:
        """The run of a version and date."""
        when = run.as_of_date.isoformat()
        own = {"version": run.label, "as_of_date": when}
        note = {} if run.error is None else {"error": run.error, DESCRIPTION_TAG: run.error}
        return _Content(
            key=f"{self._backtest.key}-{_digest([when, run.label])[:16]}",
            name=f"{run.label} {when}",
            params={**run.params, **own},
            metrics=run.metrics,
            tags={**run.tags, **own, **note, PARENT_TAG: parent_id, **self._tags()},
            artifacts=run.artifacts,
            failed=run.error is not None,
            seconds=run.metrics.get("seconds"),
        )

    def log(self, content: _Content) -> bool:
        """Log what is not yet; whether there was anything to do."""
        digest = content.digest()
        if _complete(self._known.get(content.key), digest):
            return False
        with self._store.alone():  # MLflow breaks off where two processes set a new tag at once
            run = self._current(content)
            if _complete(run, digest):
                return False
            self._fill(run, content)
            self._store.client.set_tag(run.info.run_id, CONTENT_TAG, digest)
        return True

    def reopened(self, content: _Content) -> Run:
        """The run of ``content``, made if there is none, which is not complete until all of it is
        logged, again too.
        """
        if content.key not in self._known:
            with self._store.alone():
                self._known[content.key] = self._current(content)
        run = self._known[content.key]
        if CONTENT_TAG in run.data.tags and not _complete(run, content.digest()):
            with self._store.alone():
                self._store.client.set_tag(run.info.run_id, CONTENT_TAG, BEING_LOGGED)
        return run

    def remove_duplicates(self) -> None:
        """Keep the oldest run of each key; two writers to a server may have made one each."""
        runs = self._runs()
        parent = runs[self._backtest.key][0].info.run_id
        for key, (kept, *others) in runs.items():
            for other in others:
                self._store.client.delete_run(other.info.run_id)
            if key != self._backtest.key and kept.data.tags.get(PARENT_TAG) != parent:
                self._store.client.set_tag(kept.info.run_id, PARENT_TAG, parent)

    def _current(self, content: _Content) -> Run:
        """The run as it is now: somebody else may have made or completed it in the meantime."""
        found = self._runs(f" AND tags.`{KEY_TAG}` = '{content.key}'")
        if content.key in found:
            return found[content.key][0]
        tags = {**content.tags, KEY_TAG: content.key}
        begun = get_current_time_millis() - round(1000 * (content.seconds or 0))
        return self._store.client.create_run(
            self.experiment_id, start_time=begun, tags=tags, run_name=content.name
        )

    def _fill(self, run: Run, content: _Content) -> None:
        client, run_id = self._store.client, run.info.run_id
        # A metric logged twice with one time is one; a changed one has to be later to count.
        changed = CONTENT_TAG in run.data.tags
        moment = get_current_time_millis() if changed else run.info.start_time
        log_values(self._store, run_id, content.params, content.metrics, content.tags, moment)
        client.log_inputs(run_id, [dataset(self._backtest.data, "eval")])
        files = self._store.artifacts(run.info.artifact_uri)
        for artifact in content.artifacts:
            files.log_artifact(str(artifact.file), artifact.folder or None)
        took = content.seconds
        ended = None if took is None else run.info.start_time + round(1000 * took)
        client.set_terminated(run_id, "FAILED" if content.failed else "FINISHED", ended)

    def _runs(self, more: str = "") -> dict[str, list[Run]]:
        """This backtest's runs by their keys, oldest first."""
        where = f"tags.`{BACKTEST_TAG}` = '{self._backtest.key}'{more}"
        found: defaultdict[str, list[Run]] = defaultdict(list)
        for run in search(self._store, self.experiment_id, where):
            found[run.data.tags[KEY_TAG]].append(run)
        return {
            key: sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))
            for key, runs in found.items()
        }

    def _tags(self) -> dict[str, str]:
        return {
            BACKTEST_TAG: self._backtest.key,
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": "toolkit backtest",
            "code_version": self._backtest.code_version,
        }


def _complete(run: Run | None, digest: str) -> bool:
    return run is not None and run.data.tags.get(CONTENT_TAG) == digest


def log_run(
    store: Store,
    experiment: str,
    name: str,
    params: Mapping[str, Scalar],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    files: Sequence[Path] = (),
    failed: bool = True,
) -> str:
    """Log a run of its own in ``experiment``, with ``files``; returns its id.

    Raises ``TrackingError`` if the store does not take it.
    """
    with store.errors(), store.alone():
        place = store.experiment_id(experiment)
        run = store.client.create_run(place, run_name=name, tags=dict(tags))
        run_id = str(run.info.run_id)
        log_values(store, run_id, params, metrics, {}, get_current_time_millis())
        if files and run.info.artifact_uri is None:
            raise TrackingError(f"{store.uri} has no place for files")
        for file in files:
            store.artifacts(run.info.artifact_uri).log_artifact(str(file))
        store.client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
    return run_id


def log_values(
    store: Store,
    run_id: str,
    params: Mapping[str, Scalar],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    moment: int,
) -> None:
    """Log many values in few calls, the metrics as of ``moment`` (ms since 1970)."""
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    listed = [Metric(allowed_name(name), value, moment, 0) for name, value in finite.items()]
    for some in batched(listed, METRICS_PER_CALL):
        store.client.log_batch(run_id, metrics=some)
    texts = [Param(allowed_name(name), str(value)) for name, value in params.items()]
    for texts_of_a_call in batched(texts, PARAMS_PER_CALL):
        store.client.log_batch(run_id, params=texts_of_a_call)
    marks = [RunTag(name, value) for name, value in tags.items()]
    for marks_of_a_call in batched(marks, PARAMS_PER_CALL):
        store.client.log_batch(run_id, tags=marks_of_a_call)


def search(store: Store, experiment: str | Sequence[str], where: str) -> list[Run]:
    """All active runs of experiments (one id or several) that fit MLflow's condition ``where``."""
    ids = [experiment] if isinstance(experiment, str) else list(experiment)
    found: list[Run] = get_results_from_paginated_fn(
        lambda most, token: store.client.search_runs(
            ids, where, max_results=most, page_token=token
        ),
        RUNS_PER_CALL,
    )
    return found


def allowed_name(name: str) -> str:
    """The name with what MLflow does not take replaced.

    >>> allowed_name("crps of rhythm@1 (days)")
    'crps of rhythm_1 _days_'
    """
    return _NOT_IN_A_NAME.sub("_", name)


def dataset(data: Mapping[str, Scalar], context: str) -> DatasetInput:
    """The orders, by their fingerprint, as MLflow lists them beside a run.

    ``context``: what they were used for, ``training`` or ``eval``.
    """
    digest = str(data["sha256"])[:DIGEST_LENGTH]
    profile = json.dumps(dict(data), default=str)
    # A source of a type that MLflow does not know breaks mlflow.data.get_source.
    made = json.dumps({"tags": {"mlflow.source.name": "toolkit import"}})
    orders = Dataset("orders", digest, "code", made, profile=profile)
    return DatasetInput(orders, [InputTag("mlflow.data.context", context)])


def _digest(content: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
