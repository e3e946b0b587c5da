"""Fitted versions on disk: ``FITS/MODEL/VERSION/``, written whole or not at all."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from toolkit.errors import ModelError
from toolkit.model import FittedModel, find_model


def save_fit(fitted: FittedModel, fits: Path) -> Path:
    """Save ``fitted`` below ``fits`` and return its folder; an equal version stays as it is."""
    target = fits / fitted.name / fitted.version
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        fitted.save(part)
        part.chmod(0o755)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def check_place(fits: Path) -> None:
    """Raise ``OSError`` where no fit could be saved, before minutes are spent on one."""
    folder = fits.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def fit_folder(model: str, fits: Path) -> Path:
    """The folder of the fit called ``NAME@VERSION``, or of the latest of ``NAME`` to be saved.

    Raises ``ModelError`` where there is none.
    """
    name, _, version = model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        raise ModelError(f"{found.name} needs no fit: it has none")
    name = found.name  # of a model named by its file, too
    saved = sorted(
        (path for path in (fits / name).glob("[!.]*") if path.is_dir()),
        key=lambda path: path.stat().st_mtime_ns,
    )
    if not saved:
        raise ModelError(f"{name} has not been fitted in {fits}: run `toolkit fit {name}` first")
    chosen = [path for path in saved if path.name == version] if version else saved
    if not chosen:
        known = ", ".join(path.name for path in saved)
        raise ModelError(f"{fits} holds no version {version!r} of {name}; it holds {known}")
    return chosen[-1]


def load_fit(model: str, fits: Path) -> FittedModel:
    """The fitted model called ``NAME`` or ``NAME@VERSION``.

    A model that needs no fit is its own; of the fits of any other, the version named, or the
    latest to be saved. Raises ``ModelError`` where there is none, or it cannot be used.
    """
    name, _, version = model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        if version and version != found.version:
            raise ModelError(f"{found.name} has no version {version!r}; it is {found.version!r}")
        return found
    return found.load(fit_folder(model, fits))
