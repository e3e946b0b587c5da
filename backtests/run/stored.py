"""Finished runs in an object store, ``s3://BUCKET/RUNS/NAME-KEY/``: copies of their folders."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from toolkit.disk import whole_folder
from toolkit.errors import ArgumentError, SourceError
from toolkit.sources.parquet.remote import Remote, is_remote, remote_at
from toolkit.stored_folders import cached, upload_as_parts

CACHED = "runs"


def check_runs(runs: Path) -> None:
    """``SourceError`` where no run could be uploaded, before hours are spent on one."""
    remote_at(runs).check_writable()


def upload_run(folder: Path, runs: Path) -> str:
    """Upload a copy of a run's folder to ``runs``, and say where it is.

    Readers find the one before until the new one is whole. Raises ``SourceError`` where the store
    does not take it.
    """
    place = remote_at(runs / folder.name)
    try:
        upload_as_parts(folder, place, datetime.now(UTC), again=False)
    except SourceError as exc:
        raise SourceError(
            f"{exc}; the run stays in {folder}, and the same command uploads it"
        ) from exc
    return place.name


def restore_run(path: Path, runs: Path) -> None:
    """Begin with the run that was uploaded to ``runs``, if there is one, and none at ``path``."""
    if path.exists():
        return
    found = _cached(remote_at(runs / path.name))
    if found is not None:
        with whole_folder(path) as part:
            shutil.copytree(found, part, dirs_exist_ok=True)


def run_at(folder: Path) -> Path:
    """The folder of a run; of one in an object store, a copy in the user's cache.

    Raises ``ArgumentError`` where no run was uploaded whole, ``SourceError`` where the store cannot
    be read, or what lies there is damaged.
    """
    if not is_remote(folder):
        return folder
    place = remote_at(folder)
    found = _cached(place)
    if found is None:
        raise ArgumentError(f"{place.name} holds no run that was uploaded whole")
    return found


def _cached(place: Remote) -> Path | None:
    return cached(place, CACHED, place.name.rpartition("/")[2])
