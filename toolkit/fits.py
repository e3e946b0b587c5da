"""Fitted versions on disk: ``FITS/MODEL/VERSION/``, written whole or not at all."""

import errno
import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from toolkit.disk import check_on_disk, check_room, whole_folder
from toolkit.errors import ModelError
from toolkit.model import FittedModel, find_model, model_file
from toolkit.results.fit import FitCard

ROOM_BYTES = 16_000_000
"""So much can be written where a fit is to be saved, before it is begun."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def save_fit(fitted: FittedModel, fits: Path) -> Path:
    """Save ``fitted`` below ``fits`` and return its folder; an equal version stays as it is,
    unless it is damaged.

    Raises ``OSError`` where there is no room, or no access; nothing half-made is left.
    """
    target = fits / fitted.name / fitted.version
    if _is_saved(fitted, target):
        return target
    with whole_folder(target) as part:
        fitted.save(part)
    return target


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
    return find_model(name).load(fits / name / version) if version else load_fit(name, fits)


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
    """Raise ``OSError`` where no fit could be saved, before minutes are spent on one."""
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

    Raises ``ModelError`` where there is none, ``ArgumentError`` as ``check_on_disk`` does.
    """
    name, _, version = model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        raise ModelError(f"{found.name} needs no fit: it has none")
    check_on_disk(fits)
    name = found.name  # of a model named by its file, too
    saved = sorted(path for path in (fits / name).glob("[!.]*") if path.is_dir())
    if not saved:
        raise ModelError(f"{name} has not been fitted in {fits}: run `toolkit fit {name}` first")
    chosen = [path for path in saved if path.name == version] if version else saved
    if not chosen:
        known = ", ".join(path.name for path in saved)
        raise ModelError(f"{fits} holds no version {version!r} of {name}; it holds {known}")
    return max(chosen, key=_made)


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
