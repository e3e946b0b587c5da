"""Where a folder of orders lies, on a disk: what is read there, and how a new one takes its place.

A place reads and writes whole files by their paths in the folder. ``manifest.json`` is replaced in
one step; parts are brought first, and removed by the import after the next.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import duckdb
from filelock import FileLock, Timeout

from toolkit.disk import whole_file
from toolkit.errors import SourceError
from toolkit.sources.embedded.session import translated
from toolkit.sources.parquet.manifest import MANIFEST, PARTS, Manifest, parse_manifest
from toolkit.sources.parquet.remote import is_remote, remote_at

_PATTERN = {*"*?[]"}
_LOCK = ".lock"
_ROOM = ".import-"


class Place(Protocol):
    """A folder of orders, wherever it is."""

    @property
    def name(self) -> str:
        """What it is called in sentences, and where a part of it is found: ``NAME/PATH``."""

    def read(self, path: str) -> bytes | None:
        """A file; None where there is none."""

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None where there is none."""

    def replace_manifest(self, content: bytes) -> None:
        """Let another manifest take the place of the one that is there, in one step."""

    def bring(self, parts: Path) -> None:
        """Put a local folder of parts, whole, beside the manifest."""

    def remove_parts_but(self, kept: str | None) -> None:
        """Remove what former imports left: all parts but the folder that is named."""

    def working(self) -> AbstractContextManager[Path]:
        """A local folder to work in, for one import at a time.

        Raises ``SourceError`` where no orders can be written, or another import is at work.
        """

    def let_read(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Let a connection read files by ``NAME/PATH``."""


class Folder:
    """A folder on a disk of this machine, or one that it sees as such."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def read(self, path: str) -> bytes | None:
        """A file; None where there is none."""
        try:
            return (self.path / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None where there is none."""
        try:
            return (self.path / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace_manifest(self, content: bytes) -> None:
        """In one step."""
        with whole_file(self.path / MANIFEST) as part:
            part.write_bytes(content)

    def bring(self, parts: Path) -> None:
        """Rename a folder of parts that was made in ``working``."""
        parts.rename(self.path / parts.name)

    def remove_parts_but(self, kept: str | None) -> None:
        """Remove what former imports left."""
        for left in self.path.glob(f"{PARTS}*"):
            if left.name != kept:
                shutil.rmtree(left)

    @contextmanager
    def working(self) -> Iterator[Path]:
        """A folder in the folder itself, on the same disk."""
        self._refuse_what_is_no_place()
        with translated(self.path):
            self.path.mkdir(exist_ok=True)
            with self._alone():
                for left in self.path.glob(f"{_ROOM}*"):  # by imports that were killed
                    shutil.rmtree(left)
                with tempfile.TemporaryDirectory(prefix=_ROOM, dir=self.path) as room:
                    yield Path(room)

    def let_read(self, conn: duckdb.DuckDBPyConnection) -> None:
        """DuckDB reads files of this machine by itself."""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self.path / _LOCK, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise SourceError(
                f"another import into {self.name} is at work", transient=True
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _refuse_what_is_no_place(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise SourceError(f"{self.name} is a file; name a folder for the orders in Parquet")
        if not self.path.parent.is_dir():
            raise SourceError(f"there is no folder {self.path.parent} to write {self.path.name} to")
        there = [one.name for one in self.path.iterdir()] if self.path.exists() else []
        if MANIFEST in there:
            read_manifest(self)
        elif not all(name.startswith((PARTS, ".")) for name in there):
            raise SourceError(
                f"refused to write into {self.name}: it holds other files, and no {MANIFEST}; name "
                "a new or an empty folder"
            )


def absolute(path: Path) -> Path:
    """A path of orders that other processes take, wherever they work."""
    return path if is_remote(path) else path.absolute()


def place_at(address: str | Path) -> Place:
    """The place of a folder of orders: a path, or ``s3://BUCKET/FOLDER``.

    A ``Path`` of the latter, of which one of the slashes is lost, means it, too. Raises
    ``SourceError`` where the package is missing that reads it, or DuckDB could not name its files.
    """
    if _PATTERN & {*str(address)}:
        raise SourceError(f"the name of a folder of orders must hold none of * ? [ ]: {address}")
    return remote_at(address) if is_remote(address) else Folder(Path(address))


def read_manifest(place: Place) -> Manifest:
    """What a folder of orders holds. ``SourceError`` where it is none, or cannot be read."""
    content = place.read(MANIFEST)
    if content is None:
        raise SourceError(
            f"{place.name} holds no {MANIFEST}: it is no folder that `toolkit import --to` wrote, "
            "or its first import was cut short; import the orders again"
        )
    return parse_manifest(content, place.name)


def what_is_wrong(place: Place, bytes_of: Mapping[str, int]) -> str | None:
    """What is wrong with files of a folder, of which the sizes are known; None where nothing is."""
    broken = []
    for path, expected in bytes_of.items():
        size = place.size(path)
        if size is None:
            broken.append(f"{place.name}/{path} is missing")
        elif size != expected:
            broken.append(f"{place.name}/{path} has {size:,} bytes of {expected:,}")
    if not broken:
        return None
    if not {path.partition("/")[0] for path in bytes_of} <= {read_manifest(place).parts}:
        return f"the orders in {place.name} were imported anew meanwhile: open them again"
    more = f", and {len(broken) - 1:,} more files are broken" if broken[1:] else ""
    return f"{broken[0]}{more}; import the orders again"
