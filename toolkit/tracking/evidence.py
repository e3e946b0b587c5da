"""What backtests in MLflow say of a version: which one, under which label, and its figures."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from toolkit.tracking.registry import ModelVersionRef
from toolkit.tracking.runs import (
    BACKTEST_TAG,
    BEING_LOGGED,
    COMPLETE_TAG,
    CONTENT_TAG,
    KEY_TAG,
    PARENT_TAG,
    RUNS_PER_CALL,
    allowed_name,
    search,
)
from toolkit.tracking.store import Store

COMPARISON = "comparison.json"


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
class Difference:
    """A version's score less another's, smaller is better; ``low``, ``high`` hold its noise.

    A bound is None where nothing can be said of noise.
    """

    score: str
    title: str
    value: float
    value_against: float
    low: float | None
    high: float | None
    share: float

    @property
    def difference(self) -> float:
        """Negative: the version is better."""
        return self.value - self.value_against


@dataclass(frozen=True, slots=True)
class Evidence:
    """The backtest that speaks for a candidate, or against it.

    ``exact``: it tried this very fit at all of its dates; else other fits of the same model and
    formulas. ``scores`` are the candidate's over all dates, by ``LEVEL/SCORE``.
    """

    run_id: str
    name: str
    candidate: Backtested
    exact: bool
    others: tuple[Backtested, ...]
    scores: Mapping[str, float]
    comparison: Mapping[str, Any] | None

    def find(self, model: str, version: str | None) -> Backtested | None:
        """Who stands for a model of these formulas (None: any), the very fit before others."""
        return _best((self.candidate, *self.others), model, version)

    def difference(self, score: str, against: str) -> Difference | None:
        """The candidate's ``score`` less that of the label ``against``; None if not compared."""
        label = self.candidate.label
        for row in (self.comparison or {}).get("differences", ()):
            if row["score"] == score and {row["version"], row["against"]} == {label, against}:
                return _difference(row, row["version"] == label, (self.comparison or {})["share"])
        return None

    @property
    def compared(self) -> tuple[str, ...]:
        """The scores that were compared."""
        rows = (self.comparison or {}).get("differences", ())
        return tuple(dict.fromkeys(row["score"] for row in rows))


def formulas_of(version: str) -> str:
    """The part of a model version that counts its formulas, not its fits.

    >>> formulas_of("2-ead71581")
    '2'
    """
    return version.partition("-")[0]


def find_evidence(store: Store, ref: ModelVersionRef) -> Evidence | None:
    """The latest complete backtest of this very fit, else of its model and formulas; else None."""
    with store.errors():
        experiments = _experiments(store)
        children = search(store, experiments, f"params.model = '{ref.model}'")
        keys = {r.data.tags[BACKTEST_TAG] for r in children if BACKTEST_TAG in r.data.tags}
        found = [_evidence(store, experiments, key, ref) for key in sorted(keys)]
        chosen = max(filter(None, found), key=_preference, default=None)
        if chosen is None:
            return None
        parent, evidence = chosen
        return replace(evidence, comparison=_comparison(store, parent))


def _preference(found: tuple[Run, Evidence]) -> tuple[bool, int]:
    """This very fit before others, the latest before earlier ones."""
    parent, evidence = found
    return evidence.exact, int(parent.info.start_time)


def _evidence(
    store: Store, experiments: Sequence[str], key: str, ref: ModelVersionRef
) -> tuple[Run, Evidence] | None:
    """The backtest called ``key``, and what it says of ``ref``; None if nothing.

    A backtest that was cut short, or is only partly logged, is none.
    """
    runs = list(search(store, experiments, f"tags.`{BACKTEST_TAG}` = '{key}'"))
    parent = next((run for run in runs if run.data.tags.get(KEY_TAG) == key), None)
    if parent is None or not _is_complete(parent):
        return None
    tried = _backtested(run for run in runs if PARENT_TAG in run.data.tags)
    candidate = _best(tried, ref.model, ref.version)
    if candidate is None:
        return None
    evidence = Evidence(
        run_id=parent.info.run_id,
        name=parent.info.run_name,
        candidate=candidate,
        exact=candidate.fits == {ref.version},
        others=tuple(one for one in tried if one != candidate),
        scores=_scores(parent, candidate.label),
        comparison=None,
    )
    return parent, evidence


def _is_complete(parent: Run) -> bool:
    tags = parent.data.tags
    logged = tags.get(CONTENT_TAG, BEING_LOGGED) != BEING_LOGGED
    return logged and tags.get(COMPLETE_TAG) == "true"


def _backtested(children: Iterable[Run]) -> tuple[Backtested, ...]:
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


def _best(among: Sequence[Backtested], model: str, version: str | None) -> Backtested | None:
    """Of a model's labels that with the very fit, else that named as the model, else the first."""
    fitting = [
        one
        for one in among
        if one.model == model and (version is None or one.formulas == {formulas_of(version)})
    ]
    return min(fitting, key=lambda one: (one.fits != {version}, one.label != model), default=None)


def _scores(parent: Run, label: str) -> dict[str, float]:
    start = f"{allowed_name(label)}/"
    metrics = parent.data.metrics
    return {n.removeprefix(start): v for n, v in metrics.items() if n.startswith(start)}


def _comparison(store: Store, parent: Run) -> dict[str, Any] | None:
    files = store.artifacts(parent.info.artifact_uri)
    if COMPARISON not in {file.path for file in files.list_artifacts()}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        target = None if store.file else folder
        content: dict[str, Any] = json.loads(
            Path(files.download_artifacts(COMPARISON, target)).read_text(encoding="utf-8")
        )
    return content


def _difference(row: Mapping[str, Any], as_told: bool, share: float) -> Difference:
    """A row of the comparison, turned round unless the candidate is its ``version``."""
    value, against, low, high = (row[n] for n in ("value", "value_against", "low", "high"))
    if not as_told:
        value, against = against, value
        low, high = (None if bound is None else -bound for bound in (high, low))
    return Difference(row["score"], row["title"], value, against, low, high, share)


def _experiments(store: Store) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = store.client.search_experiments(max_results=RUNS_PER_CALL, page_token=token)
        found += [str(experiment.experiment_id) for experiment in page]
        token = page.token
        if not token:
            return found
