"""Files and folders that appear whole or not at all, and disks that are full."""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from toolkit.errors import ArgumentError

FULL = frozenset({errno.EDQUOT, errno.EFBIG, errno.ENOSPC})
"""The disk, a quota or a limit of a file's size: no more can be written."""

LEFT_S = 3600.0
"""No part is at work for so long without a change."""

_TOKEN = "[0-9a-f]" * 8

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE)
"""``s3://bucket/folder``, of which ``Path`` keeps one of the slashes."""

_SAID = (*map(os.strerror, FULL), "database or disk is full")


def is_full(exc: BaseException) -> bool:
    """Whether no more can be written; libraries quote the system's words in errors of their own.

    >>> is_full(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), is_full(ValueError("full"))
    (True, False)
    """
    return getattr(exc, "errno", None) in FULL or any(said in str(exc) for said in _SAID)


def no_room(path: Path) -> OSError:
    """The error for a disk without room for ``path``.

    >>> str(no_room(Path("fits")))
    "[Errno 28] No space left on device: 'fits'"
    """
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def check_room(folder: Path, size: int) -> None:
    """Raise ``OSError`` unless ``size`` bytes can be written into an existing ``folder`` now."""
    with telling_no_room(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(size))  # no file system can compress it


def check_on_disk(path: Path) -> None:
    """Raise ``ArgumentError`` for an address of an object store: no folder ``s3:`` is made."""
    if found := _ADDRESS.fullmatch(str(path)):
        raise ArgumentError(
            f"results lie on a disk that this machine sees, got {found[1]}://{found[2]}: "
            "only orders, fits, predictions and copies of runs can be in an object store, at s3://…"
        )


@contextmanager
def telling_no_room(path: Path) -> Iterator[None]:
    """A full disk is an ``OSError`` that names ``path``, whichever library met it."""
    try:
        yield
    except Exception as exc:
        if is_full(exc):
            raise no_room(path) from exc
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write, which takes its place in the end, or is removed.

    A link goes on leading to the file; what is no file, a device or a pipe, is written itself.
    Raises ``OSError`` that names ``path`` where there is no room, or no access, ``ArgumentError``
    as ``check_on_disk`` does.
    """
    check_on_disk(path)
    real = Path(os.path.realpath(path))
    part = path
    if real.is_file() or not real.exists():
        part = part_beside(real)
    try:
        with telling_no_room(path):
            if part != path:
                part.touch()  # here, since libraries say less of a folder that is missing
                part.unlink()
            yield part
            if part != path:
                part.replace(real)
    except OSError as exc:
        if exc.filename == str(part):
            exc.filename, exc.filename2 = str(path), None
        raise
    finally:
        if part != path:
            with suppress(OSError):  # there is none, or it could not be made
                part.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to fill, which takes its place in the end, or is removed.

    Raises ``OSError`` that names ``path`` where there is no room, ``ArgumentError`` as
    ``check_on_disk`` does.
    """
    check_on_disk(path)
    with telling_no_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part_beside(path)
        part.mkdir(mode=0o700)
    try:
        with telling_no_room(path):
            yield part
            part.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            _take_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _take_place(part: Path, path: Path) -> None:
    """Rename; what another writer put there in the same moment goes."""
    try:
        part.rename(path)
    except OSError as exc:
        if exc.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        shutil.rmtree(path)
        part.rename(path)


def part_beside(path: Path) -> Path:
    """A name beside ``path`` that no other writer has; removes old parts of killed writers."""
    with suppress(OSError):  # no folder yet, or somebody else's
        for left in path.parent.glob(f".part-{_TOKEN}-*"):
            if time.time() - left.lstat().st_mtime > LEFT_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f".part-{token_hex(4)}-{path.name}")
