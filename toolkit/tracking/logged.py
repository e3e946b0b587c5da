"""Backtests read back from the store: which versions they tried, and their figures."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run
from mlflow.utils import get_results_from_paginated_fn

from toolkit.tracking.runs import (
    BACKTEST_TAG,
    BEING_LOGGED,
    COMPLETE_TAG,
    CONTENT_TAG,
    DESCRIPTION_TAG,
    KEY_TAG,
    PARENT_TAG,
    RUNS_PER_CALL,
    allowed_name,
    search,
)
from toolkit.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Backtested:
    """A version in a backtest: its label there, its model, and the fits used at its dates."""

    label: str
    model: str
    fits: frozenset[str]
    tasks: int
    failed_tasks: int

    @property
    def formulas(self) -> frozenset[str]:
        """The formulas behind its fits."""
        return frozenset(map(formulas_of, self.fits))


@dataclass(frozen=True, slots=True)
class StoredBacktest:
    """A backtest that is complete; ``started`` is in ms since 1970.

    ``metrics`` are those over all dates, by ``LABEL/LEVEL/SCORE``. ``verdicts``: which version wins
    on what, a line each, in Markdown; empty where nothing was compared.
    """

    run_id: str
    name: str
    started: int
    tried: tuple[Backtested, ...]
    metrics: Mapping[str, float]
    artifact_uri: str
    verdicts: str = ""

    def scores(self, label: str) -> dict[str, float]:
        """The scores of a label over all dates, by ``LEVEL/SCORE``."""
        start = f"{allowed_name(label)}/"
        return {n.removeprefix(start): v for n, v in self.metrics.items() if n.startswith(start)}


def formulas_of(version: str) -> str:
    """The part of a model version that counts its formulas, not its fits.

    >>> formulas_of("2-ead71581")
    '2'
    """
    return version.partition("-")[0]


def stored_backtests(store: Store, model: str) -> list[StoredBacktest]:
    """The backtests that tried ``model``; those cut short, or only partly logged, are left out.

    Raises ``TrackingError`` where the store cannot be read.
    """
    with store.errors():
        experiments = _experiments(store)
        children = search(store, experiments, f"params.model = '{model}'")
        keys = {r.data.tags[BACKTEST_TAG] for r in children if BACKTEST_TAG in r.data.tags}
        return [
            found for key in sorted(keys) for found in _stored_backtest(store, experiments, key)
        ]


def latest_backtests(store: Store, most: int) -> list[StoredBacktest]:
    """The backtests that began last, of whatever models, the newest first.

    Raises ``TrackingError`` where the store cannot be read.
    """
    with store.errors():
        experiments = _experiments(store)
        found = search(store, experiments, f"tags.{COMPLETE_TAG} = 'true'") if experiments else []
        parents = sorted(filter(_is_complete, found), key=lambda run: -int(run.info.start_time))
        keys = [run.data.tags[KEY_TAG] for run in parents[:most] if KEY_TAG in run.data.tags]
        return [one for key in keys for one in _stored_backtest(store, experiments, key)]


@contextmanager
def artifact_of(store: Store, backtest: StoredBacktest, name: str) -> Iterator[Path | None]:
    """A file of a backtest, where it can be read; None if it has none of this name."""
    uri = backtest.artifact_uri
    with store.errors():
        there = name in {file.path for file in store.artifacts(uri).list_artifacts()}
    with store.artifact(uri, name) if there else nullcontext() as path:
        yield path


def _stored_backtest(
    store: Store, experiments: Sequence[str], key: str
) -> Iterator[StoredBacktest]:
    runs = search(store, experiments, f"tags.`{BACKTEST_TAG}` = '{key}'")
    parent = next((run for run in runs if run.data.tags.get(KEY_TAG) == key), None)
    if parent is not None and _is_complete(parent):
        yield StoredBacktest(
            run_id=parent.info.run_id,
            name=parent.info.run_name,
            started=int(parent.info.start_time),
            tried=_tried(run for run in runs if PARENT_TAG in run.data.tags),
            metrics=parent.data.metrics,
            artifact_uri=parent.info.artifact_uri,
            verdicts=parent.data.tags.get(DESCRIPTION_TAG, ""),
        )


def _is_complete(parent: Run) -> bool:
    tags = parent.data.tags
    logged = tags.get(CONTENT_TAG, BEING_LOGGED) != BEING_LOGGED
    return logged and tags.get(COMPLETE_TAG) == "true"


def _tried(children: Iterable[Run]) -> tuple[Backtested, ...]:
    """The labels of a backtest, each with its runs at all dates together."""
    by_label: defaultdict[str, list[Run]] = defaultdict(list)
    for run in children:
        by_label[run.data.tags["version"]].append(run)
    return tuple(
        Backtested(
            label=label,
            model=next((r.data.params["model"] for r in runs if "model" in r.data.params), ""),
            fits=frozenset(
                r.data.params["model_version"] for r in runs if "model_version" in r.data.params
            ),
            tasks=round(sum(r.data.metrics.get("shards", 0) for r in runs)),
            failed_tasks=round(sum(r.data.metrics.get("failed_shards", 0) for r in runs)),
        )
        for label, runs in sorted(by_label.items())
    )


def _experiments(store: Store) -> list[str]:
    found = get_results_from_paginated_fn(
        lambda most, token: store.client.search_experiments(max_results=most, page_token=token),
        RUNS_PER_CALL,
    )
    return [str(experiment.experiment_id) for experiment in found]
