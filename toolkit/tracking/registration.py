"""Making a fit a version of the registered model ``inter-order``: data and three lines of code."""

import json
import logging
import tempfile
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from toolkit.errors import ModelError, TrackingError
from toolkit.installed import DISTRIBUTION
from toolkit.model import FittedModel, check_granularities, known_model
from toolkit.results.fit import FitCard
from toolkit.tracking.loading import load_registered
from toolkit.tracking.pyfunc import load_model, save_model
from toolkit.tracking.registry import (
    FIT_TAG,
    REGISTERED_MODEL,
    ModelVersionRef,
    find,
    make_registered_model,
    package_uri,
    versions,
)
from toolkit.tracking.runs import KEY_TAG, Scalar, dataset, log_values, search
from toolkit.tracking.serving import EXAMPLE, FIT, MODEL, SIGNATURE
from toolkit.tracking.store import Store
from toolkit.validation import plain

logger = logging.getLogger(__name__)

PACKAGE = "model"
"""The folder of a fit's run that holds what MLflow loads."""

CODE = Path(__file__).with_name("served_model.py")
LONGEST_TAG = 5_000
_FACTS = ("model", "formulas", "version", "as_of_date", "pairs", "seed")


def register_fit(
    store: Store, fit: FittedModel | Path, *, data: Mapping[str, Scalar] | None = None
) -> ModelVersionRef:
    """The version of ``inter-order`` that ``fit``, or the one saved in a folder, is.

    Made if there is none; where its files are damaged, they are written anew. The same fit is
    registered once, whoever else does it at the time, and a kill in the middle leaves nothing in
    the way of the next call. A fit with warnings is registered as not converged. ``data`` is the
    fingerprint of the data it was fitted to, if known.
    Raises ``TrackingError`` where the store does not take it, ``ModelError`` for a folder that
    holds no fit, and a model that cannot make forecasts.
    """
    fitted = load_saved(fit) if isinstance(fit, Path) else fit
    check_granularities(fitted)
    name = f"{fitted.name}@{fitted.version}"
    with tempfile.TemporaryDirectory() as scratch, store.errors():
        saved = Path(scratch) / FIT
        saved.mkdir()
        fitted.save(saved)
        card = FitCard.read(saved) or FitCard()
        tags = _tags(fitted, card, data or {})
        with store.alone():
            number = _number_of(store, name)
            if number is None:
                package = _package(fitted, saved, Path(scratch) / PACKAGE)
                number = _registered(store, name, card, tags, package, data or {})
            elif (damage := _damage(store, ref := find(store, str(number)))) is not None:
                logger.warning("Its files are written anew: %s", damage)
                package = _package(fitted, saved, Path(scratch) / PACKAGE)
                store.artifacts(package_uri(store, ref)).log_artifacts(str(package))
        _add_tags(store, number, tags)
    return find(store, str(number))


def load_saved(folder: Path) -> FittedModel:
    """The fitted model that ``save`` wrote into ``folder``; ``ModelError`` if it wrote none."""
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError) as exc:
            raise ModelError(f"{file} cannot be read: {exc}") from exc
        if isinstance(content, dict) and isinstance(content.get("model"), str):
            return known_model(content["model"]).load(folder)
    raise ModelError(f"{folder} does not hold a saved fit")


def _tags(fitted: FittedModel, card: FitCard, data: Mapping[str, Scalar]) -> dict[str, str]:
    """What is said of a version without opening it."""
    told = {f"data.{name}": str(value) for name, value in data.items()}
    if card.as_of_date is not None:
        told["as_of_date"] = card.as_of_date.isoformat()
    if fitted.warnings:
        told["warnings"] = "\n".join(fitted.warnings)[:LONGEST_TAG]
    return {
        FIT_TAG: f"{fitted.name}@{fitted.version}",
        "model": fitted.name,
        "version": fitted.version,
        "converged": "false" if fitted.warnings else "true",
        **told,
    }


def _package(fitted: FittedModel, saved: Path, folder: Path) -> Path:
    """What MLflow loads: a module that is three lines, the fit's files, what has to be there."""
    save_model(
        folder,
        python_model=str(CODE),
        artifacts={FIT: str(saved)},
        model_config={MODEL: fitted.name},
        signature=SIGNATURE,
        input_example=EXAMPLE,  # saved, not predicted, since there is a signature
        pip_requirements=[
            f"{name}=={installed(name)}" for name in (DISTRIBUTION, "mlflow", "pandas")
        ],
        metadata={FIT_TAG: f"{fitted.name}@{fitted.version}"},
    )
    return folder


def _registered(
    store: Store,
    name: str,
    card: FitCard,
    tags: Mapping[str, str],
    package: Path,
    data: Mapping[str, Scalar],
) -> int:
    """Log the fit's run, put the package into it, make it a version; its number.

    The version comes last and at once, so it is whole if it is there.
    """
    experiment_id = store.experiment_id(REGISTERED_MODEL)
    run = _run(store, experiment_id, name, tags)
    numbers = {k: v for k, v in card.diagnostics.items() if isinstance(v, int | float)}
    params = {**{name: str(value) for name, value in card.settings.items()}, **_facts(card)}
    log_values(store, run.info.run_id, params, numbers, tags, run.info.start_time)
    if data:
        store.client.log_inputs(run.info.run_id, [dataset(data, "training")])
    store.artifacts(run.info.artifact_uri).log_artifacts(str(package), PACKAGE)
    store.client.set_terminated(run.info.run_id)
    make_registered_model(store)
    store.client.create_model_version(
        REGISTERED_MODEL,
        source=f"{run.info.artifact_uri}/{PACKAGE}",
        run_id=run.info.run_id,
        tags=dict(tags),
        description=name,
    )
    number = _number_of(store, name)
    if number is None:
        raise MlflowException(f"{name} was registered, and is not there")
    return number


def _damage(store: Store, ref: ModelVersionRef) -> str | None:
    """Why neither an engine nor MLflow could load the version; None if both can."""
    try:
        load_registered(store, ref)
    except (ModelError, TrackingError) as exc:
        return str(exc)
    with store.artifact(package_uri(store, ref), "") as path:
        try:
            load_model(str(path))
        except Exception as exc:  # whatever the broken file leads to
            return f"{ref} cannot be loaded by MLflow: {exc}"
    return None


def _run(store: Store, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
    """The run of a fit; there already if an earlier call was cut short."""
    found = search(store, experiment_id, f"tags.`{KEY_TAG}` = '{name}'")
    if found:
        return min(found, key=lambda run: (run.info.start_time, run.info.run_id))
    own = {**tags, KEY_TAG: name, "mlflow.source.name": "toolkit register"}
    return store.client.create_run(experiment_id, tags=own, run_name=name)


def _number_of(store: Store, name: str) -> int | None:
    """The version that is the fit called ``name``.

    Of several, which two writers to a server may have made at once, the first stays.
    """
    numbers = [ref.number for ref in versions(store) if ref.fit == name]
    for number in numbers[1:]:
        store.client.delete_model_version(REGISTERED_MODEL, str(number))
    return numbers[0] if numbers else None


def _add_tags(store: Store, number: int, tags: Mapping[str, str]) -> None:
    """What was not known when the version was registered."""
    there = find(store, str(number)).tags
    for name in tags.keys() - there.keys():
        store.client.set_model_version_tag(REGISTERED_MODEL, str(number), name, tags[name])


def _facts(card: FitCard) -> dict[str, Scalar]:
    facts = plain(card)
    return {name: facts[name] for name in _FACTS if facts[name] not in (None, "")}
