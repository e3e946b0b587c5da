"""A registered version, loaded: the fit behind it, and all that an engine takes of it."""

import logging
import os
from dataclasses import dataclass
from datetime import date

from toolkit.errors import ModelError, TrackingError
from toolkit.model import FittedModel, known_model
from toolkit.results.fit import headed
from toolkit.results.metadata import RegisteredVersion
from toolkit.stages.listing import ProductThresholds
from toolkit.tracking.registry import (
    CHAMPION,
    ModelVersionRef,
    aliases,
    find,
    name_of,
    package_uri,
    product_thresholds_of,
)
from toolkit.tracking.store import (
    DEFAULT_URI,
    URI_VARIABLE,
    Store,
    masked,
    open_store,
    resolved,
    sqlite_file,
)

logger = logging.getLogger(__name__)

FIT_FOLDER = "artifacts/fit"
"""Where a version's artefacts hold what ``FittedModel.save`` wrote."""


@dataclass(frozen=True, slots=True)
class VersionInUse:
    """A registered version as an engine takes it."""

    model: FittedModel
    thresholds: ProductThresholds
    registered: RegisteredVersion


def load_registered(store: Store, reference: str | ModelVersionRef) -> FittedModel:
    """The fitted model behind a reference, as ``find`` takes it.

    Raises ``TrackingError`` if it is not there, or its files are not; ``ModelError`` if they do
    not hold it, or the installed models cannot use them.
    """
    ref = find(store, reference) if isinstance(reference, str) else reference
    model, remedy = known_model(ref.model), _repair(ref)
    uri = package_uri(store, ref)
    try:
        with store.artifact(uri, FIT_FOLDER) as path:
            fitted = model.load(path)
    except TrackingError as exc:
        said = f"{ref} cannot be loaded: {exc}; {remedy}"
        raise TrackingError(said, unavailable=exc.unavailable) from exc
    except ModelError as exc:
        raise ModelError(f"{ref} cannot be loaded: {exc}; {remedy}") from exc
    if fitted.version != ref.version:
        raise ModelError(f"{ref} holds the files of {fitted.name}@{fitted.version}; {remedy}")
    return fitted


def load_for_engine(store: Store | str | None, reference: str) -> VersionInUse | None:
    """The version meant by ``reference``, as ``find`` takes it; None if no champion was promoted.

    A store that is not there is not made. Raises as ``load_in_use`` does.
    """
    champion = name_of(reference) == CHAMPION
    opened = store if isinstance(store, Store) else open_if_there(store, champion)
    if opened is None or (champion and CHAMPION not in aliases(opened)):
        return None
    ref = find(opened, reference)
    if ref.warnings:
        logger.warning("%s", headed(f"{ref}: {'; '.join(ref.warnings)}"))
    return load_in_use(opened, ref)


def load_in_use(store: Store, ref: ModelVersionRef) -> VersionInUse:
    """All that an engine takes of a version; thresholds are the defaults where none are attached.

    Raises as ``load_registered`` does, and ``TrackingError`` for thresholds that are none.
    """
    fitted_as_of = None if ref.as_of_date is None else date.fromisoformat(ref.as_of_date)
    return VersionInUse(
        model=load_registered(store, ref),
        thresholds=product_thresholds_of(store, ref) or ProductThresholds(),
        registered=RegisteredVersion(
            ref.number, ref.run_id, ref.tags.get("data.sha256"), fitted_as_of
        ),
    )


def open_if_there(uri: str | None, champion: bool = True) -> Store | None:
    """The store; of one whose file is missing None for the champion, else ``TrackingError``."""
    address = resolved(uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI)
    file = sqlite_file(address)
    if file is None or file.exists():
        return open_store(address)
    if champion:
        return None
    raise TrackingError(f"there is no tracking store {masked(address)}: nothing is registered")


def _repair(ref: ModelVersionRef) -> str:
    return (
        f"if its files are damaged, `toolkit register {ref.fit} --fits FOLDER` writes them anew "
        "from the fit"
    )
