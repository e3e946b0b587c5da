"""What a worker has to agree on with whoever gives it work: versions, code, and files.

Workers import this before anything else of ours, and without NumPy: threads are set before it
starts.
"""

import hashlib
import os
import pickle
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path

from toolkit.errors import ClusterError, SourceError
from toolkit.installed import COMMANDS_GROUP, DISTRIBUTION, ENTRY_POINT_GROUP

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Processes share the cores; and sums do not depend on how many there are."""

NUMBERS = ("numpy", "numba", "scipy", "pandas", "pyarrow", "duckdb", "lightgbm")
"""Libraries whose release decides digits and bytes of results."""

PASSED_ON = ("TOOLKIT_MODELS",)
"""Variables that workers need: where models are that no package brings."""

_ADDRESS = re.compile("([a-z][a-z0-9]+):/+")
"""In an object store."""

BLOCKS, BLOCK_BYTES = 64, 65_536
"""So much of a file is compared."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What client and workers have to have in common.

    ``versions``: of Python and packages. ``code``: a digest of the packages that make results.
    ``files``: a digest of some of each file that workers read. ``folder``: they write there, and
    ``secret`` is a file in it, with its digest. ``variables`` say where models are.
    """

    versions: tuple[tuple[str, str], ...]
    code: str
    files: tuple[tuple[str, str], ...]
    folder: str
    secret: tuple[str, str]
    variables: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, reads: Iterable[Path], secret: Path) -> "Terms":
        """Those of this process; ``secret`` is a file in the folder that is written to."""
        return cls(
            versions=_versions(),
            code=code_digest(),
            files=tuple((_named(path), str(file_digest(path))) for path in reads),
            folder=str(secret.parent),
            secret=(str(secret), str(file_digest(secret))),
            variables=tuple((n, os.environ[n]) for n in PASSED_ON if n in os.environ),
        )


def differences(terms: Terms) -> list[str]:
    """What this process does not have in common with the terms, a clause each; runs on workers."""
    threads = [*_threads()]  # first of all: to look at files of a store may load NumPy
    return [*_other_versions(terms), *_other_code(terms), *_other_files(terms), *threads]


def do_task(terms: Terms, payload: bytes) -> object:
    """Do a pickled function on a pickled task, where the terms are met; runs on workers.

    Nothing of ours is imported before that. Raises ``ClusterError`` where they are not: a worker
    may have joined later than the others were asked.
    """
    if terms not in _MET:
        found = differences(terms)
        if found:
            raise ClusterError(f"a worker on {platform.node()} {'; '.join(found)}")
        _MET.add(terms)
    _set_variables(dict(terms.variables))
    do, task = pickle.loads(payload)
    return do(task)


def _set_variables(wanted: Mapping[str, str]) -> None:
    """As the client has them; a model that was found by others may now be another."""
    before = {name: os.environ.get(name) for name in PASSED_ON}
    for name, value in before.items():
        if name in wanted:
            os.environ[name] = wanted[name]
        elif value is not None:
            del os.environ[name]
    if before != {name: wanted.get(name) for name in PASSED_ON} and "toolkit.model" in sys.modules:
        sys.modules["toolkit.model"].find_model.cache_clear()


_MET: set[Terms] = set()
_LOADED: dict[str, str] = {}
"""Python files that tasks were given, and what they held when they were first seen."""


@cache
def code_digest() -> str:
    """A digest of the Python files of every package that makes results, as this process knows them.

    They are read once: what is changed afterwards is not imported either, for the most part.
    """
    points = [p for g in (ENTRY_POINT_GROUP, COMMANDS_GROUP) for p in entry_points(group=g)]
    whole = hashlib.sha256()
    for package in sorted({"toolkit", *(point.module.partition(".")[0] for point in points)}):
        for name, file in _python_files(package):
            whole.update(f"{name}\0".encode())
            whole.update(file.read_bytes())
    return whole.hexdigest()


def _named(path: Path) -> str:
    """``Path`` loses one of the slashes of an address."""
    return _ADDRESS.sub(r"\1://", str(path), count=1) if _ADDRESS.match(str(path)) else str(path)


def file_digest(path: Path) -> str | None:
    """A digest of a file's size and of blocks spread evenly over it; None where there is no file.

    Of a folder, of the names and sizes of its files; of orders in an object store, of their
    manifest, which has the digests of all files.
    """
    if _ADDRESS.match(str(path)):
        return _stored_digest(path)
    try:
        if path.is_dir():
            return _folder_digest(path)
        size = path.stat().st_size
        whole = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            for start in sorted({(size - BLOCK_BYTES) * i // (BLOCKS - 1) for i in range(BLOCKS)}):
                file.seek(max(0, start))
                whole.update(file.read(BLOCK_BYTES))
    except OSError:
        return None
    return whole.hexdigest()


def _stored_digest(path: Path) -> str | None:
    place = import_module("toolkit.sources.parquet.place")  # which may load NumPy
    try:
        content = place.place_at(path).read(place.MANIFEST)
    except SourceError:
        return None
    return None if content is None else hashlib.sha256(content).hexdigest()


def _folder_digest(path: Path) -> str:
    files = sorted((p for p in path.rglob("*") if p.is_file()), key=str)
    listed = [f"{p.relative_to(path).as_posix()}\0{p.stat().st_size}" for p in files]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _python_files(package: str) -> Iterator[tuple[str, Path]]:
    """Name and place of each of a package's files; of a single module its one."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        yield package, origin
        return
    for file in sorted(origin.parent.rglob("*.py")):
        yield f"{package}/{file.relative_to(origin.parent).as_posix()}", file


def _versions() -> tuple[tuple[str, str], ...]:
    python = ".".join(platform.python_version_tuple()[:2])
    found = ((name, _version(name)) for name in (DISTRIBUTION, *NUMBERS))
    return (("Python", python), *found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _other_versions(terms: Terms) -> Iterator[str]:
    own = dict(_versions())
    other = [
        f"{name} {own.get(name, 'none')}, not {wanted}"
        for name, wanted in terms.versions
        if own.get(name) != wanted
    ]
    if other:
        yield f"has {' and '.join(other)}: start it in an environment like this one"


def _other_code(terms: Terms) -> Iterator[str]:
    changed = [path for path, digest in terms.files if _LOADED.get(path, digest) != digest]
    for path, digest in terms.files:
        if path.endswith(".py"):
            _LOADED.setdefault(path, digest)
    if terms.code != code_digest() or changed:
        of = f" of {', '.join(changed)}" if changed else ""
        yield f"runs other code{of} than this process: install the same and start it again"


def _other_files(terms: Terms) -> Iterator[str]:
    for path, wanted in (*terms.files, terms.secret):
        found = file_digest(Path(path))
        if found != wanted:
            what = "does not see" if found is None else "sees another file at"
            where = terms.folder if path == terms.secret[0] else path
            yield f"{what} {where}: what tasks read and write has one path on all machines"
            return
    if not os.access(terms.folder, os.W_OK | os.X_OK):
        yield f"may not write to {terms.folder}"


def _threads() -> Iterator[str]:
    """Set the variables that are not set; too late once NumPy has read them."""
    unset = [name for name in ONE_THREAD if os.environ.get(name) != "1"]
    blas = [name for name in unset if name != "NUMBA_NUM_THREADS"]  # nothing of ours is parallel
    if blas and "numpy" in sys.modules:
        yield f"was started without {' and '.join(f'{name}=1' for name in blas)}"
        return
    os.environ.update(dict.fromkeys(unset, "1"))
