"""The place of a database file: what may be replaced, and how a new one takes it.

The new one is built in a workplace beside it. A kill leaves that behind, for the next import to
remove.
"""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import SourceError
from toolkit.sources.embedded.database import open_database

_LOCK = ".lock"
NEW_S = 60.0
"""A workplace gets its lock within seconds."""


def refuse_to_overwrite(database: Path, replace: bool) -> None:
    """Raise ``SourceError`` where no order database can be written, or none be replaced."""
    if "?" in str(database.absolute()):  # DuckDB would put its log beside another name
        raise SourceError(f"the path of a database must hold no question mark: {database}")
    if not database.parent.is_dir():
        raise SourceError(f"there is no folder {database.parent} to write {database.name} to")
    if database.is_dir():
        raise SourceError(f"refused to replace what is there: {database} is a folder")
    if not database.exists():
        return
    if not replace:
        raise SourceError(f"{database} exists already")
    try:
        open_database(database).close()
    except SourceError as exc:
        raise SourceError(f"refused to replace what is there: {exc}") from exc


@contextmanager
def workplace(database: Path, alone: bool = False) -> Iterator[Path]:
    """A folder beside the database, on the same file system, for it and what DuckDB spills.

    Those that killed imports left are removed first. Where one has to be ``alone``, ``SourceError``
    while another is at work: of two that begin at once, neither may go on.
    """
    database = database.resolve()
    prefix = f".{database.name}.import-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=database.parent))
    try:
        with FileLock(folder / _LOCK):
            for left in database.parent.iterdir():
                if left.name.startswith(prefix) and left != folder:
                    _remove_unless_in_use(left)
                    if alone and left.exists():
                        raise SourceError(
                            f"another import into {database} is at work", transient=True
                        )
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_unless_in_use(folder: Path) -> None:
    """An import holds the lock in its workplace for as long as it lives.

    One without a lock is just being made, unless it is old.
    """
    with suppress(Timeout, OSError):
        if not (folder / _LOCK).exists() and time.time() - folder.stat().st_mtime < NEW_S:
            return
        with FileLock(folder / _LOCK, blocking=False):
            shutil.rmtree(folder)


def put_in_place(new: Path, database: Path) -> None:
    """Let a new database take the place of an old one, in one step.

    A link goes on leading to it; its mode stays, and its owner as far as the system lets us.
    """
    real = database.resolve()
    # Lines that an unclean end left in the old database's log must not reach the new one.
    for name in {database, real}:
        name.with_name(f"{name.name}.wal").unlink(missing_ok=True)
    if real.exists():
        old = real.stat()
        with suppress(PermissionError):  # of somebody else's file
            os.chown(new, old.st_uid, old.st_gid)
        new.chmod(stat.S_IMODE(old.st_mode))
    new.replace(real)
