"""Folders of results in an object store: uploaded whole, read through a cache of the user's.

``manifest.json`` is written last and names the files, with bytes and digests: half an upload is
nothing. What was read once lies in a folder of the cache that bears the manifest's digest; its
files are compared with their own digests whenever it is used.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from secrets import token_hex
from tempfile import mkdtemp
from typing import Annotated

from filelock import FileLock
from pydantic import AfterValidator, AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from toolkit.disk import check_on_disk, whole_folder
from toolkit.errors import SourceError
from toolkit.sources.parquet.manifest import MANIFEST, PARTS
from toolkit.sources.parquet.remote import Remote, is_remote, remote_at
from toolkit.validation import written

CACHE_VARIABLE = "XDG_CACHE_HOME"
KEY_DIGITS = 16
FORMAT = 1

_NEVER = {*"\\:\0"}
"""In no name of ours: on one system or another it leads elsewhere, or nowhere."""


def _inside(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or _NEVER & {*name}:
        raise ValueError(f"has to be a path in the folder, got {name!r}")
    return name


type Inside = Annotated[str, AfterValidator(_inside)]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file by its path in the folder, and by where it lies in the store's."""

    name: Inside
    path: Inside
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _OfFormat:
    """What a manifest of any format says."""

    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """What a manifest says: all files, and when they were made."""

    made_at: AwareDatetime
    files: tuple[StoredFile, ...]
    format: int = FORMAT


def upload_as_parts(folder: Path, place: Remote, made_at: datetime, again: bool = True) -> None:
    """Upload files into a folder of parts of their own: what is there can be read meanwhile.

    ``again``: those, too, that are there with the same digest. Raises ``SourceError`` where the
    store does not take them.
    """
    before = None if again else manifest_at(place)
    there = {} if before is None else {(f.name, f.sha256): f for f in before[0].files}
    files = [
        there.get((file.name, file.sha256), file)
        for file in _described(folder, f"{PARTS}{token_hex(8)}/")
    ]
    for file in files:
        if file not in there.values() or place.size(file.path) != file.bytes:
            place.send(folder / file.name, file.path)
    place.replace_manifest(written(StoredFolder(made_at, tuple(files))))


@contextmanager
def uploaded(out: Path, work: Path | None = None) -> Iterator[Path]:
    """A folder to fill, which is uploaded to ``out`` in the end; on a disk ``out`` itself.

    ``work``: the folder is one below it, and stays until all is uploaded. Raises ``SourceError``
    where the store takes nothing, or holds orders, a fit or a run there, before any work is done;
    where it does not take the files in the end, they stay, and the error says where.
    ``ArgumentError`` as ``check_on_disk`` does, of ``work``, too.
    """
    if not is_remote(out):
        check_on_disk(out)
        yield out
        return
    place = remote_at(out)
    _refuse_what_is_no_result(place)
    place.check_writable()
    folder = Path(mkdtemp(prefix="results-")) if work is None else _room(work, place.name)
    try:
        yield folder
    except BaseException:
        if work is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        files = _described(folder, "")
        place.remove_manifest()  # it is of what is replaced now
        for file in files:
            place.send(folder / file.name, file.path)
        place.replace_manifest(written(StoredFolder(datetime.now(UTC), files)))
    except SourceError as exc:
        raise SourceError(f"{exc}; the files are in {folder}") from exc
    shutil.rmtree(folder, ignore_errors=True)


def manifest_at(place: Remote) -> tuple[StoredFolder, str] | None:
    """What lies there, and a digest of that; None where no upload ended.

    Raises ``SourceError`` where the store cannot be read.
    """
    content = place.read(MANIFEST)
    if content is None:
        return None
    try:
        of_format = TypeAdapter(_OfFormat).validate_json(content, strict=True).format
        if of_format != FORMAT:
            raise SourceError(
                f"{place.name} is written in format {of_format}, and this version of the toolkit "
                f"reads format {FORMAT}: save it again, or use the version that wrote it"
            )
        manifest = TypeAdapter(StoredFolder).validate_json(content, strict=True)
    except ValidationError as exc:
        raise SourceError(f"{place.name}/{MANIFEST} is no manifest of results") from exc
    return manifest, hashlib.sha256(content).hexdigest()[:KEY_DIGITS]


def cached(place: Remote, kind: str, name: str) -> Path | None:
    """The folder of the cache that holds what lies there, downloaded if need be; None for nothing.

    Raises ``SourceError`` where the store cannot be read, or does not hold what its manifest names.
    """
    found = manifest_at(place)
    if found is None:
        return None
    manifest, key = found
    folder = cache_folder(kind) / f"{name}-{key}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):  # others may load it meanwhile
            if not all(_is_whole(folder / file.name, file) for file in manifest.files):
                _download(place, manifest, folder)
    except OSError as exc:
        raise SourceError(
            f"{place.name} is read through a folder that cannot be written, {folder.parent}: "
            f"{exc.strerror or exc}; {CACHE_VARIABLE} names another"
        ) from exc
    return folder


def cache_folder(kind: str) -> Path:
    """Where is kept what was read from a store; it may be removed at any time."""
    named = Path(os.environ.get(CACHE_VARIABLE) or os.environ.get("LOCALAPPDATA") or "")
    own = named if named.is_absolute() else Path.home() / ".cache"
    return own / "interorder-toolkit" / kind


def _refuse_what_is_no_result(place: Remote) -> None:
    """Its manifest would be lost: of orders, or of a fit or a run, whose files lie in parts."""
    found = manifest_at(place)
    if found is not None and any(file.path != file.name for file in found[0].files):
        raise SourceError(f"{place.name} holds a fit or a run: name another folder")


def _room(work: Path, address: str) -> Path:
    """The same for the same address, so that what is resumed finds what there is."""
    check_on_disk(work)
    key = hashlib.sha256(address.encode()).hexdigest()[:KEY_DIGITS]
    folder = work.absolute() / f"results-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download(place: Remote, manifest: StoredFolder, folder: Path) -> None:
    with whole_folder(folder) as part:
        for file in manifest.files:
            target = part / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not place.fetch(file.path, target):
                raise SourceError(f"{place.name}/{file.path} is missing: save it again")
            if not _is_whole(target, file):
                raise SourceError(f"{place.name}/{file.path} is not what was saved: save it again")


def _described(folder: Path, parts: str) -> tuple[StoredFile, ...]:
    """Its files, but for hidden ones."""
    names = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple(
        StoredFile(
            name.as_posix(),
            f"{parts}{name.as_posix()}",
            (folder / name).stat().st_size,
            _digest(folder / name),
        )
        for name in names
        if not any(part.startswith(".") for part in name.parts)
    )


def _is_whole(path: Path, file: StoredFile) -> bool:
    try:
        return _digest(path) == file.sha256
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
