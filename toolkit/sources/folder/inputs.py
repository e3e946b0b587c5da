"""Which files hold which table: of a folder, or of files and folders of parts that were named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import Finding

TABLES = ("order_lines", "products", "customers")
LINES = TABLES[0]
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
WORKBOOK = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
KINDS = (PARQUET, CSV, WORKBOOK)
_ENDINGS = tuple(ending for kind in KINDS for ending in kind)
_PARTS = (*PARQUET, ".csv", ".csv.gz", ".tsv", ".tsv.gz", *WORKBOOK)
"""What parts end in: a text that lies beside them is a note."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of each table; tables that have none are left to be derived from the lines.

    ``as_folder``: the folder names its tables, as the toolkit itself writes them.
    """

    where: str
    parts: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    failures: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()
    as_folder: bool = False


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """The tables in a folder, or in the files and folders of parts that were named."""
    where = ", ".join(map(str, paths))
    if len(paths) == 1 and paths[0].is_dir() and _ending(paths[0]) is None:
        return _of_folder(paths[0])
    files: dict[str, list[Path]] = {}
    failures: list[Finding] = []
    for path in _globbed(paths):
        table = path.name.partition(".")[0].lower()
        parts, failure = _parts(path)
        files.setdefault(table if table in TABLES else LINES, []).extend(parts)
        failures += [] if failure is None else [Finding(path.name, failure, 0)]
    if not failures and LINES not in files:
        failures.append(Finding(LINES, "no file of order lines was named", 0))
    return Inputs(where, {t: tuple(f) for t, f in files.items()}, tuple(failures))


def kind_of(path: Path) -> tuple[str, ...]:
    """The endings of files of its kind."""
    return next((kind for kind in KINDS if path.name.lower().endswith(kind)), CSV)


def _of_folder(folder: Path) -> Inputs:
    """The tables that a folder names; where it names no lines, its other files are their parts."""
    names = _shown_names(folder)
    found = {table: [name for name in names if _is_of(name, table)] for table in TABLES}
    as_folder = bool(found[LINES])
    if not as_folder:
        others = {name for files in found.values() for name in files}
        found[LINES] = [n for n in names if n not in others and n.lower().endswith(_PARTS)]
    failures: list[Finding] = []
    parts: dict[str, tuple[Path, ...]] = {}
    for table, files in found.items():
        if len(files) > 1 and (as_folder or table != LINES):
            one, other = sorted(files, key=_preference)[:2]
            failures.append(Finding(table, f"there are both {one} and {other}: keep one", 0))
        elif files:
            read = [_parts(folder / name) for name in files]
            parts[table] = tuple(path for paths, _ in read for path in paths)
            failures += [Finding(table, failure, 0) for _, failure in read if failure]
        elif table == LINES:
            missing = f"the file is missing: neither {table}.parquet nor {table}.csv"
            failures.append(Finding(table, missing, 0))
    taken = {name for files in found.values() for name in files}
    unread = tuple(name for name in names if name not in taken)
    return Inputs(str(folder), parts, tuple(failures), unread, as_folder)


def _globbed(paths: Iterable[Path]) -> list[Path]:
    """Paths with those that a pattern of names, in quotes, means."""
    found: list[Path] = []
    for path in paths:
        matched = [] if path.exists() else sorted(path.parent.glob(path.name))
        found += matched or [path]
    return found


def _parts(path: Path) -> tuple[tuple[Path, ...], str | None]:
    """A file, or the files in a folder of parts; and what is wrong with it."""
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.name.lower().endswith(_PARTS))
        inside = [p for p in inside if not p.name.startswith((".", "_", "~$"))]
        nothing = "the folder holds no Parquet, CSV or Excel files"
        return tuple(inside), None if inside else nothing
    if not path.exists():
        return (), f"there is no such {'file' if path.suffix else 'folder'}"
    if _ending(path) is None:
        return (), (
            "is no Parquet, CSV or Excel file (.parquet, .csv, .tsv, .txt, .csv.gz, .xlsx, .xls, "
            ".ods): save it as one"
        )
    return (path,), None


def _ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((end for end in _ENDINGS if name.endswith(end)), None)


def _preference(name: str) -> int:
    """Parquet before CSV, as the two are called in messages."""
    return next((i for i, end in enumerate(_ENDINGS) if name.lower().endswith(end)), 99)


def _is_of(name: str, table: str) -> bool:
    return any(name.lower() == f"{table}{end}" for end in _ENDINGS)


def _shown_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "~$")))
