"""The registered model ``inter-order``: its versions, their aliases and thresholds.

A version of it is a fit, of whatever model. What is named ``NAME@VERSION`` on the command line
(``rhythm@1-0c24ce95``) is found by that name here, too.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.utils import get_results_from_paginated_fn

from toolkit.card import Card, Grid, Shown
from toolkit.errors import ArgumentError, TrackingError
from toolkit.results.fit import headed
from toolkit.stages.listing import ProductThresholds
from toolkit.tracking.store import (
    Store,
    masked,
)
from toolkit.validation import parse

logger = logging.getLogger(__name__)

REGISTERED_MODEL = "inter-order"
CHAMPION, PREVIOUS = "champion", "previous"
FIT_TAG = "fit"
THRESHOLDS_TAG = "thresholds"
_FORMER = "complaints"
"""The tag that versions registered earlier hold their warnings in."""

SHORT = 5_000
"""So many characters of thresholds are shown beside the version itself."""

_PER_PAGE = 1000


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class _AttachedFile:
    """What a version's tag says of its thresholds: a file among the artefacts of its run."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelVersionRef(Shown):
    """A version of ``inter-order``: its number, and the fit it is."""

    number: int
    model: str
    version: str
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str] = field(repr=False)

    @property
    def fit(self) -> str:
        """``NAME@VERSION`` of the fit."""
        return f"{self.model}@{self.version}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against using it; none for a fit that has converged."""
        return tuple((self.tags.get("warnings") or self.tags.get(_FORMER, "")).splitlines())

    @property
    def converged(self) -> bool:
        """Whether its fit has converged."""
        return self.tags.get("converged") == "true"

    @property
    def as_of_date(self) -> str | None:
        """What it was fitted to was known before this date; None of what needs no fit."""
        return self.tags.get("as_of_date")

    @property
    def uri(self) -> str:
        """What ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{REGISTERED_MODEL}/{self.number}"

    def __str__(self) -> str:
        """``inter-order version 3 (rhythm@1-0c24ce95)``."""
        return f"{REGISTERED_MODEL} version {self.number} ({self.fit})"

    def __repr__(self) -> str:
        """As ``str``, with its aliases; not its tags."""
        named = f": {', '.join(self.aliases)}" if self.aliases else ""
        return f"<{self}{named}>"

    def to_card(self) -> Card:
        """What the registry says of it."""
        facts = {
            "aliases": ", ".join(self.aliases) or "none",
            "fitted as of": self.as_of_date or "needs no fit",
            "converged": "yes" if self.converged else "no",
            "thresholds": "attached" if THRESHOLDS_TAG in self.tags else "none",
            "run": self.run_id,
            "loads from": self.uri,
        }
        return Card(
            title=str(self),
            warnings=[headed(warning) for warning in self.warnings],
            grids=[Grid("", ("", ""), list(facts.items()))],
        )

    def to_dict(self) -> dict[str, object]:
        """Number, fit and aliases, for JSON."""
        return {"number": self.number, "fit": self.fit, "aliases": list(self.aliases)}


def versions(store: Store) -> list[ModelVersionRef]:
    """All registered versions, oldest first; none where nothing was registered."""
    with store.errors():
        named = aliases(store)
        found = get_results_from_paginated_fn(
            lambda most, token: store.client.search_model_versions(
                f"name = '{REGISTERED_MODEL}'", most, page_token=token
            ),
            _PER_PAGE,
        )
    return sorted((_ref(version, named) for version in found), key=lambda ref: ref.number)


def find(store: Store, reference: str) -> ModelVersionRef:
    """The version meant by ``reference``; ``TrackingError`` says what there is.

    ``champion`` or ``inter-order@champion``: by alias. ``3`` or ``inter-order@3``: by number.
    ``rhythm@1-0c24ce95``: by fit. ``rhythm``: the latest of the model.
    """
    known = versions(store)
    if not known:
        raise TrackingError(
            f"{masked(store.uri)} holds no version of {REGISTERED_MODEL}: "
            "`toolkit register NAME` registers a fit"
        )
    name = name_of(reference)
    matching = [
        ref
        for ref in known
        if name in (*ref.aliases, str(ref.number), ref.version, ref.fit, ref.model)
    ]
    if not matching:
        listed = ", ".join(_described(ref) for ref in known[-10:])
        raise TrackingError(
            f"{masked(store.uri)} holds no version {reference!r} of {REGISTERED_MODEL}; "
            f"it holds {listed}"
        )
    return matching[-1]


def name_of(reference: str) -> str:
    """What is meant, without the registered model's own name before it."""
    return reference.removeprefix(f"{REGISTERED_MODEL}@").removeprefix("@")


def package_uri(store: Store, ref: ModelVersionRef) -> str:
    """Where a version's artefacts lie."""
    with store.errors():
        number = str(ref.number)
        return str(store.client.get_model_version_download_uri(REGISTERED_MODEL, number))


def aliases(store: Store) -> dict[str, int]:
    """Which version each alias names; none where nothing was registered."""
    with store.errors():
        model = _model(store)
    return {} if model is None else {alias: int(n) for alias, n in model.aliases.items()}


def registered_tags(store: Store) -> dict[str, str]:
    """The tags of the registered model itself; none where nothing was registered."""
    model = _model(store)
    return {} if model is None else dict(model.tags)


def _model(store: Store) -> RegisteredModel | None:
    try:
        return store.client.get_registered_model(REGISTERED_MODEL)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def make_registered_model(store: Store) -> None:
    """Make ``inter-order``, without versions, if it is not there."""
    try:
        store.client.create_registered_model(
            REGISTERED_MODEL, description="Inter-order forecasts: a version is a fit."
        )
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def move_aliases(
    store: Store,
    moves: Mapping[str, int | None],
    expected: Mapping[str, int | None],
    before: Callable[[], None] = lambda: None,
) -> None:
    """Let aliases name other versions (None: none), in the order given, if nobody was faster.

    ``expected`` is what the caller saw when it decided; where an alias no longer names that,
    nothing moves and ``TrackingError`` says so. ``before`` is called when that is sure and nothing
    has moved yet, with the store held alone; if it raises, nothing moves. In a local store, of
    two callers at once one moves. A server has no such lock: there the aliases are read again
    afterwards. A kill in the middle leaves the first moves made: name the alias that matters last.
    """
    with store.errors(), store.alone():
        _demand(aliases(store), expected)
        before()
        for alias, number in moves.items():
            if number is None:
                store.client.delete_registered_model_alias(REGISTERED_MODEL, alias)
            else:
                store.client.set_registered_model_alias(REGISTERED_MODEL, alias, str(number))
        if store.file is None:
            _demand(aliases(store), moves)


def attach_thresholds(
    store: Store, reference: str | ModelVersionRef, thresholds: Mapping[str, Any]
) -> ModelVersionRef:
    """Keep ``thresholds`` (anything JSON takes) with a version, in place of those it had.

    The document is a file among the artefacts of the fit's run; the version's tag names it, with
    its digest, so that a version has the old ones or the new ones and never a half of them.
    """
    ref = find(store, reference) if isinstance(reference, str) else reference
    text = json.dumps(thresholds, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = f"thresholds-{digest[:8]}.json"
    tag: dict[str, Any] = {"file": name, "sha256": digest}
    if len(text) <= SHORT:
        tag["thresholds"] = thresholds
    uri = _run_uri(store, ref)
    with store.errors(), tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text, encoding="utf-8")
        store.artifacts(uri).log_artifact(str(Path(folder) / name))
        store.client.set_model_version_tag(
            REGISTERED_MODEL, str(ref.number), THRESHOLDS_TAG, json.dumps(tag, ensure_ascii=False)
        )
    return find(store, str(ref.number))


def thresholds_of(store: Store, ref: ModelVersionRef) -> dict[str, Any] | None:
    """The thresholds attached to a version; None if there are none.

    Raises ``TrackingError`` if the file is gone, or is not the one that was attached.
    """
    if THRESHOLDS_TAG not in ref.tags:
        return None
    try:
        tag = parse(_AttachedFile, json.loads(ref.tags[THRESHOLDS_TAG]), "what is said of them")
    except ValueError as exc:
        raise TrackingError(
            f"{ref} has thresholds that cannot be found{_anew(ref)}: {exc}"
        ) from exc
    uri = _run_uri(store, ref)
    try:
        with store.artifact(uri, tag.file) as path, store.errors():
            content = path.read_bytes()
    except TrackingError as exc:
        said = f"{ref} has thresholds that cannot be found{_anew(ref)}: {exc}"
        raise TrackingError(said, unavailable=exc.unavailable) from exc
    if hashlib.sha256(content).hexdigest() != tag.sha256:
        raise TrackingError(f"{path} does not hold the thresholds attached to {ref}{_anew(ref)}")
    thresholds: dict[str, Any] = json.loads(content)
    return thresholds


def product_thresholds_of(store: Store, ref: ModelVersionRef) -> ProductThresholds | None:
    """The thresholds attached to a version, by product; None if there are none.

    Raises ``TrackingError`` as ``thresholds_of`` does, and if an engine cannot use them.
    """
    content = thresholds_of(store, ref)
    try:
        return None if content is None else ProductThresholds.from_dict(content)
    except ArgumentError as exc:
        raise TrackingError(f"{ref} has thresholds that cannot be used{_anew(ref)}: {exc}") from exc


def _anew(ref: ModelVersionRef) -> str:
    return f" (`toolkit thresholds RUN --attach {ref.fit}` attaches others)"


def _ref(version: ModelVersion, named: Mapping[str, int]) -> ModelVersionRef:
    number = int(version.version)
    model, _, fit = version.tags.get(FIT_TAG, "").partition("@")
    own = tuple(sorted(alias for alias, of in named.items() if of == number))
    return ModelVersionRef(number, model, fit, version.run_id or "", own, dict(version.tags))


def _described(ref: ModelVersionRef) -> str:
    return f"{ref.number} ({', '.join((ref.fit, *ref.aliases))})"


def _run_uri(store: Store, ref: ModelVersionRef) -> str:
    with store.errors():
        return str(store.client.get_run(ref.run_id).info.artifact_uri)


def _demand(now: Mapping[str, int], wanted: Mapping[str, int | None]) -> None:
    for alias, number in wanted.items():
        if now.get(alias) != number:
            raise TrackingError(
                f"{REGISTERED_MODEL}@{alias} names {_number(now.get(alias))} by now, "
                f"not {_number(number)}: somebody else has moved it",
                unavailable=True,  # the same call, having seen that, may do it
            )


def _number(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"
