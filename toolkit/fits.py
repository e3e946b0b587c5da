"""Fitted versions: ``FITS/MODEL/VERSION/`` on a disk or in a store, written whole or not at all."""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from toolkit.disk import check_on_disk, check_room, whole_folder
from toolkit.errors import ModelError
from toolkit.model import FittedModel, find_model, model_file
from toolkit.results.fit import FitCard
from toolkit.sources.parquet.remote import is_remote, remote_at
from toolkit.stored_fits import check_store, stored_fit, stored_versions, upload_fit

ROOM_BYTES = 16_000_000
"""So much can be written where a fit is to be saved, before it is begun."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def save_fit(fitted: FittedModel, fits: Path) -> Path:
    """Save ``fitted`` below ``fits`` and return its folder; an equal version stays as it is,
    unless it is damaged. Of a fit in an object store, the folder is a copy in the user's cache.

    Raises ``OSError`` where there is no room, or no access, ``ModelError`` where a store refuses;
    nothing half-made is left, or it is never read.
    """
    if is_remote(fits):
        return _save_in_store(fitted, fits)
    target = fits / fitted.name / fitted.version
    if _is_saved(fitted, target):
        return target
    with whole_folder(target) as part:
        fitted.save(part)
    return target


def _save_in_store(fitted: FittedModel, fits: Path) -> Path:
    name, version = fitted.name, fitted.version
    with suppress(ModelError):  # damaged, say
        there = stored_fit(name, version, fits)
        if there is not None and _is_saved(fitted, there):
            return there
    upload_fit(fitted, fits)
    return _folder_in_store(name, version, fits)


def _folder_in_store(name: str, version: str, fits: Path) -> Path:
    found = stored_fit(name, version, fits)
    if found is None:
        raise ModelError(
            f"{place_of(fits / name / version)} was not uploaded whole: save the fit again"
        )
    return found


def place_of(fits: Path) -> str:
    """A folder as people name it: ``Path`` loses a slash of an address."""
    return remote_at(fits).name if is_remote(fits) else str(fits)


def keep_model(model: FittedModel, fits: Path) -> str:
    """What ``kept_model`` finds the model by, in another process: saved below ``fits`` if need be.

    The name of a model that needs no fit is enough where it has its default parameters. Raises as
    ``save_fit``.
    """
    found = find_model(model.name)
    if isinstance(found, FittedModel) and found.version == model.version:
        return model.name
    save_fit(model, fits)
    return f"{model.name}@{model.version}"


@lru_cache(maxsize=2)
def kept_model(kept: str, fits: Path) -> FittedModel:
    """The model of ``keep_model``, loaded once in a process."""
    name, _, version = kept.partition("@")
    if not version:
        return load_fit(name, fits)
    remote = is_remote(fits)
    folder = _folder_in_store(name, version, fits) if remote else fits / name / version
    return find_model(name).load(folder)


def kept_files(kept: str, fits: Path) -> list[Path]:
    """What ``kept_model`` reads."""
    name, _, version = kept.partition("@")
    fit = [fits / name / version] if version else []
    return [*fit, *filter(None, [model_file(name)])]


def _is_saved(fitted: FittedModel, folder: Path) -> bool:
    try:
        return folder.exists() and find_model(fitted.name).load(folder).version == fitted.version
    except Exception:  # a model may raise whatever damaged files lead to
        return False


def check_place(fits: Path) -> None:
    """Raise ``OSError`` where no fit could be saved, before minutes are spent on one.

    ``ModelError`` where it is a store that does not take one.
    """
    if is_remote(fits):
        check_store(fits)
        return
    check_on_disk(fits)
    folder = fits.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    check_room(folder, ROOM_BYTES)


def fit_folder(model: str, fits: Path) -> Path:
    """The folder of the fit called ``NAME@VERSION``, or of the latest of ``NAME`` to be made.

    Of a fit in an object store, a copy in the user's cache. Raises ``ModelError`` where there is
    none, or the store cannot be read, ``ArgumentError`` as ``check_on_disk`` does.
    """
    name, _, version = model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        raise ModelError(f"{found.name} needs no fit: it has none")
    name = found.name  # of a model named by its file, too
    if is_remote(fits):
        if not version or stored_fit(name, version, fits) is None:
            version = _chosen(name, version, stored_versions(name, fits), place_of(fits))
        return _folder_in_store(name, version, fits)
    check_on_disk(fits)
    saved = {path.name: _made(path) for path in (fits / name).glob("[!.]*") if path.is_dir()}
    return fits / name / _chosen(name, version, saved, str(fits))


def _chosen(name: str, version: str, saved: Mapping[str, Any], fits: str) -> str:
    """The version that is asked for, or the latest; ``saved`` tells when each was made."""
    if not saved:
        raise ModelError(f"{name} has not been fitted in {fits}: run `toolkit fit {name}` first")
    if version and version not in saved:
        known = ", ".join(sorted(saved))
        raise ModelError(f"{fits} holds no version {version!r} of {name}; it holds {known}")
    return version or max(sorted(saved), key=saved.__getitem__)


def _made(folder: Path) -> tuple[datetime, int]:
    """When a fit was made, by its card; of fits whose cards do not say, when it was written."""
    card = FitCard.read(folder) or FitCard()
    return card.fitted_at or _LONG_AGO, folder.stat().st_mtime_ns


def load_fit(model: str, fits: Path) -> FittedModel:
    """The fitted model called ``NAME`` or ``NAME@VERSION``.

    A model that needs no fit is its own; of the fits of any other, the version named, or the
    latest to be made. Raises ``ModelError`` where there is none, or it cannot be used.
    """
    name, _, version = model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        if version and version != found.version:
            raise ModelError(f"{found.name} has no version {version!r}; it is {found.version!r}")
        return found
    return found.load(fit_folder(model, fits))
