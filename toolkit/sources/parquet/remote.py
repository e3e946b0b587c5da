"""A folder in an object store, ``s3://BUCKET/FOLDER``, through fsspec: of orders, or of a fit.

The store's own client finds its settings: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and
``AWS_ENDPOINT_URL``, a profile, or the role of the machine. Nothing of them is kept or shown.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb

from toolkit.errors import SourceError
from toolkit.installed import need
from toolkit.sources.parquet.manifest import MANIFEST, PARTS

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SCHEMES = {"s3": "s3fs"}
"""Kinds of stores, and the package that reads each."""

REMOTE = re.compile(rf"(?P<scheme>{'|'.join(SCHEMES)}):/{{1,2}}(?P<rest>[^/].*)")
"""An address in an object store."""

_PROBE = ".probe"

_CREDENTIALS = re.compile(r"[^\s/:\"']+:[^\s/@]+@")


class Remote:
    """A folder in an object store. One writer at a time may write into it: there is no lock."""

    def __init__(self, scheme: str, rest: str) -> None:
        """Raises ``SourceError`` where the package is missing that reads the store."""
        self.name = f"{scheme}://{rest.rstrip('/')}"
        need(SCHEMES[scheme], f"reading {scheme}://", SourceError)
        fsspec = need("fsspec", f"reading {scheme}://", SourceError)
        self._files = cast(
            "AbstractFileSystem",
            fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True),
        )

    def read(self, path: str) -> bytes | None:
        """A file; None where there is none."""
        with _translated(f"{self.name} could not be read"):
            try:
                return bytes(self._files.cat_file(f"{self.name}/{path}"))
            except FileNotFoundError:
                return None

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None where there is none."""
        with _translated(f"{self.name} could not be read"):
            try:
                return int(self._files.info(f"{self.name}/{path}")["size"])
            except FileNotFoundError:
                return None

    def replace_manifest(self, content: bytes) -> None:
        """One object is written whole or not at all."""
        with _translated(f"{self.name} could not be written"):
            self._files.pipe_file(f"{self.name}/{MANIFEST}", content)

    def remove_manifest(self) -> None:
        """Let there be none, if there is one."""
        with _translated(f"{self.name} could not be written"), suppress(FileNotFoundError):
            self._files.rm_file(f"{self.name}/{MANIFEST}")

    def send(self, file: Path, path: str) -> None:
        """Upload a file; it appears whole or not at all."""
        with _translated(f"{self.name} could not be written"):
            self._files.put_file(str(file), f"{self.name}/{path}")

    def fetch(self, path: str, target: Path) -> bool:
        """Download a file; False where there is none."""
        with _translated(f"{self.name} could not be read"):
            try:
                self._files.get_file(f"{self.name}/{path}", str(target))
            except FileNotFoundError:
                return False
        return True

    def bring(self, parts: Path) -> None:
        """Upload a folder of parts."""
        with _translated(f"{self.name} could not be written"):
            self._files.put(f"{parts}/", f"{self.name}/{parts.name}/", recursive=True)

    def folders(self) -> list[str]:
        """The names of the folders in it, ascending. ``SourceError`` where there is no bucket."""
        with _translated(f"{self.name} could not be read"):
            try:
                there = self._files.ls(self.name, detail=True)
            except FileNotFoundError:
                self._check_bucket()
                return []
        return sorted(_last(one["name"]) for one in there if one["type"] == "directory")

    def check_writable(self) -> None:
        """Write a small object. ``SourceError`` where that cannot be done."""
        with _translated(f"{self.name} could not be written"):
            try:
                self._files.pipe_file(f"{self.name}/{_PROBE}", b"")
            except FileNotFoundError:
                self._check_bucket()
                raise
            with suppress(Exception):  # who may write may not be one who may remove
                self._files.rm_file(f"{self.name}/{_PROBE}")

    def _check_bucket(self) -> None:
        """``SourceError`` where it is missing; a store may not let one look at a whole bucket."""
        scheme, _, bucket, *_ = self.name.split("/")
        try:
            self._files.ls(f"{scheme}//{bucket}")
        except FileNotFoundError:
            raise SourceError(f"there is no bucket {bucket}") from None
        except PermissionError:
            return

    def remove_parts_but(self, kept: str | None) -> None:
        """Remove what former imports left."""
        with _translated(f"{self.name} could not be written"):
            there = self._files.ls(self.name, detail=False) if self._files.exists(self.name) else []
            for path in there:
                name = _last(path)
                if name.startswith(PARTS) and name != kept:
                    self._files.rm(path, recursive=True)

    @contextmanager
    def working(self) -> Iterator[Path]:
        """A temporary folder of this machine. ``SourceError`` where nothing can be written."""
        self.check_writable()  # a folder that is uploaded would make a bucket that is not there
        with tempfile.TemporaryDirectory(prefix="import-") as room:
            yield Path(room)

    def let_read(self, conn: duckdb.DuckDBPyConnection) -> None:
        """DuckDB asks fsspec for the ranges of files that it needs."""
        conn.register_filesystem(self._files)


def is_remote(address: str | Path) -> bool:
    """Whether an address leads to an object store."""
    return REMOTE.fullmatch(str(address)) is not None


def remote_at(address: str | Path) -> Remote:
    """The folder at an address in an object store; a ``Path`` that lost a slash means it, too.

    ``SourceError`` where it is none, or has credentials in it.
    """
    found = REMOTE.fullmatch(str(address))
    if found is None:
        raise SourceError(f"{address} is no address in an object store")
    if "@" in found["rest"].partition("/")[0]:  # it would be shown, and kept beside results
        raise SourceError(
            f"an address is {found['scheme']}://BUCKET/FOLDER, without credentials: the store's "
            "client finds them in the environment, in a profile or by the machine's role"
        )
    return Remote(found["scheme"], found["rest"])


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


@contextmanager
def _translated(failed: str) -> Iterator[None]:
    """What a store's client raises, which has no common class, as one sentence."""
    try:
        yield
    except Exception as exc:
        said = _CREDENTIALS.sub("…@", str(exc))  # in the endpoint's address, say
        raise SourceError(f"{failed}: {said or type(exc).__name__}") from exc
