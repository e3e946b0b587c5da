"""Fits in an object store, ``s3://BUCKET/FITS/MODEL/VERSION/``, read through a cache of the user's.

    manifest.json             written last: names the fit's files, with bytes and digests
    parts-6f2c…/card.json     as they lie in a fit's folder on a disk

So half an upload is no fit. What was read once lies in a folder of the cache that bears the
manifest's digest; its files are compared with their own digests whenever it is used.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Annotated

from filelock import FileLock
from pydantic import AfterValidator, AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from toolkit.disk import whole_folder
from toolkit.errors import ModelError, SourceError
from toolkit.model import FittedModel
from toolkit.results.fit import FitCard
from toolkit.sources.parquet.manifest import MANIFEST, PARTS
from toolkit.sources.parquet.remote import Remote, remote_at
from toolkit.validation import written

CACHE_VARIABLE = "XDG_CACHE_HOME"
KEY_DIGITS = 16


def _inside(name: str) -> str:
    if not name or name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
        raise ValueError(f"has to be a path in the fit's folder, got {name!r}")
    return name


type Inside = Annotated[str, AfterValidator(_inside)]


@dataclass(frozen=True, slots=True)
class FitFile:
    """A file by its path in the fit's folder."""

    name: Inside
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FitManifest:
    """What a fit's files are, and in which folder of parts they lie."""

    parts: Inside
    fitted_at: AwareDatetime
    files: tuple[FitFile, ...]


def check_store(fits: Path) -> None:
    """Raise ``ModelError`` where no fit could be uploaded, before minutes are spent on one."""
    with _told():
        remote_at(fits).check_writable()


def upload_fit(fitted: FittedModel, fits: Path) -> None:
    """Upload a fit's files, and then its manifest. ``ModelError`` where the store takes none."""
    check_store(fits)  # to upload a folder would make a bucket that is missing
    with _told(), TemporaryDirectory(prefix="fit-") as room:
        place = _place(fits, fitted.name, fitted.version)
        parts = Path(room) / f"{PARTS}{token_hex(8)}"
        parts.mkdir()
        fitted.save(parts)
        card = FitCard.read(parts) or FitCard()
        files = sorted(path for path in parts.rglob("*") if path.is_file())
        manifest = FitManifest(
            parts.name,
            card.fitted_at or datetime.now(UTC),
            tuple(_described(path, parts) for path in files),
        )
        place.bring(parts)
        place.replace_manifest(written(manifest))


def stored_versions(model: str, fits: Path) -> dict[str, datetime]:
    """The versions of a model that were uploaded whole, and when each was fitted."""
    with _told():
        names = remote_at(f"{fits}/{model}").folders()
        found = {name: _manifest(_place(fits, model, name)) for name in names}
    return {name: manifest[0].fitted_at for name, manifest in found.items() if manifest}


def stored_fit(model: str, version: str, fits: Path) -> Path | None:
    """The folder of the cache that holds a fit, downloaded if need be; None where there is none.

    Raises ``ModelError`` where the store cannot be read, or does not hold what its manifest names.
    """
    with _told():
        place = _place(fits, model, version)
        found = _manifest(place)
        if found is None:
            return None
        manifest, key = found
        folder = cache_folder() / f"{model}-{version}-{key}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):  # others may load it meanwhile
            if not all(_is_whole(folder / file.name, file) for file in manifest.files):
                _download(place, manifest, folder)
    return folder


def cache_folder() -> Path:
    """Where fits are kept that were read from a store; it may be removed at any time."""
    named = os.environ.get(CACHE_VARIABLE) or os.environ.get("LOCALAPPDATA")
    return (Path(named) if named else Path.home() / ".cache") / "interorder-toolkit" / "fits"


def _download(place: Remote, manifest: FitManifest, folder: Path) -> None:
    with whole_folder(folder) as part:
        for file in manifest.files:
            content = place.read(f"{manifest.parts}/{file.name}")
            what = f"{place.name}/{manifest.parts}/{file.name}"
            if content is None:
                raise ModelError(f"{what} is missing: save the fit again")
            if (len(content), _digest(content)) != (file.bytes, file.sha256):
                raise ModelError(f"{what} is not what was saved: save the fit again")
            target = part / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _place(fits: Path, model: str, version: str) -> Remote:
    return remote_at(f"{fits}/{model}/{version}")


def _manifest(place: Remote) -> tuple[FitManifest, str] | None:
    """What a fit's folder holds, and a digest of that; None where no upload ended."""
    content = place.read(MANIFEST)
    if content is None:
        return None
    try:
        manifest = TypeAdapter(FitManifest).validate_json(content, strict=True)
    except ValidationError as exc:
        raise ModelError(f"{place.name}/{MANIFEST} is no manifest of a fit") from exc
    return manifest, _digest(content)[:KEY_DIGITS]


def _described(path: Path, folder: Path) -> FitFile:
    content = path.read_bytes()
    return FitFile(path.relative_to(folder).as_posix(), len(content), _digest(content))


def _is_whole(path: Path, file: FitFile) -> bool:
    try:
        return _digest(path.read_bytes()) == file.sha256
    except OSError:
        return False


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _told() -> Iterator[None]:
    """What a store refuses is said of fits."""
    try:
        yield
    except SourceError as exc:
        raise ModelError(str(exc)) from exc
