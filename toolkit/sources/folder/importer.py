"""Import of a folder of order lines into the embedded database.

Every broken rule is found before anything is written, and all are reported at once. The new
database is built beside the old one and takes its place in one step, or not at all.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from toolkit.errors import ArgumentError, DataError, Finding
from toolkit.sources.base import categories_of
from toolkit.sources.embedded.database import (
    LINE_ORDER,
    create_tables,
    fill_tables,
    has_category,
)
from toolkit.sources.embedded.place import (
    put_in_place,
    refuse_to_overwrite,
    workplace,
)
from toolkit.sources.embedded.session import hide_progress_bar, translated
from toolkit.sources.embedded.zone import keep_zone
from toolkit.sources.folder.csv_rows import UNREADABLE
from toolkit.sources.folder.derived import DERIVED, derive
from toolkit.sources.folder.files import (
    LAYOUT,
    File,
    Staged,
    code_columns,
    stage,
)
from toolkit.sources.folder.given import GIVEN, OrderTable
from toolkit.sources.folder.inputs import Inputs, find_inputs
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.notices import LINES, line_notices, thin
from toolkit.sources.folder.numbering import keep_codes, number_codes, numbered, numbered_lines
from toolkit.sources.folder.places import check_place
from toolkit.sources.folder.quarantine import (
    LIMIT,
    Quarantine,
    holds_lines_aside,
    set_aside,
    write_aside,
)
from toolkit.sources.folder.questions import UnsettledError
from toolkit.sources.folder.reading import TableRead, read_order_table, read_table
from toolkit.sources.folder.replaces import ReplacesFile, read_replaces
from toolkit.sources.folder.rows import Asked
from toolkit.sources.folder.rules import findings, folder_rules, several_categories
from toolkit.sources.folder.understood import Understood, understood
from toolkit.sources.replaced import keep_replaced
from toolkit.sources.sql import as_source

type ImportProgress = Callable[[str], None]

AS_FOUND = OrderMapping()
"""Everything about the files is found in them."""

QUARANTINE = (
    f"--quarantine FILE sets such lines aside and imports the others; above {LIMIT:g} % of the "
    "lines it takes --quarantine-limit, too."
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import brought in, and what it found worth telling (``notices``).

    ``understood`` is what it made of the files' columns, where there were files.
    """

    lines: int
    orders: int
    customers: int
    products: int
    categories: int
    pairs: int
    first_date: date
    last_date: date
    notices: tuple[Finding, ...]
    seconds: float
    understood: Understood | None = None

    def __str__(self) -> str:
        """A few lines for a person."""
        categories = f" in {self.categories:,} categories" if self.categories else ""
        counts = (
            f"{self.lines:,} order lines in {self.orders:,} orders, "
            f"{self.first_date} … {self.last_date}\n"
            f"{self.customers:,} customers, {self.products:,} products{categories}, "
            f"{self.pairs:,} (customer, product) pairs; {self.seconds:.1f} s"
        )
        return "\n".join([counts, *(f"  - {notice}" for notice in self.notices)])


def import_folder(
    folder: Path,
    database: Path,
    replace: bool = True,
    progress: ImportProgress = lambda stage: None,
) -> ImportReport:
    """Import ``order_lines``, ``products``, ``customers`` (``.parquet`` or ``.csv``) of a folder.

    As ``import_orders`` does, which see, with what it finds by itself.
    """
    if not folder.is_dir():
        raise DataError(str(folder), [Finding("folder", "there is no such folder", 0)])
    return import_orders([folder], database, replace=replace, progress=progress)


def import_orders(
    files: Path | str | Sequence[Path | str] | OrderTable,
    database: Path | None,
    mapping: OrderMapping = AS_FOUND,
    *,
    quarantine: Quarantine | None = None,
    replace: bool = True,
    progress: ImportProgress = lambda stage: None,
    told: Callable[[Understood], None] = lambda understood: None,
) -> ImportReport:
    """Import order lines as they come out of other systems; one file, or a table, is enough.

    ``files`` are files of order lines (Parquet, CSV, Excel), folders of their parts, or a folder
    with ``order_lines``, ``products`` and ``customers``; or the order lines themselves, as a
    DataFrame or whatever Arrow reads by its PyCapsule interface. Products and customers that have
    no file are those of the lines, with the names that the lines give them. ``mapping`` says how
    they are to be read where that is not plain; ``told`` is called with what was understood, before
    anything is checked.
    Broken lines go into ``quarantine``, if there is one. Ids are whole numbers or text; of text,
    each is a code, which has a number inside (``toolkit.sources.codes``) and is kept.

    ``database`` is the file to write; an order database that is there already is replaced, if
    ``replace``. None tries the import and writes nothing. ``progress`` is called with the name of
    each stage. Raises ``DataError`` with every rule that is broken (its subclass
    ``UnsettledError`` has questions, too, where two readings fit), ``SourceError`` if the database
    cannot be written. After any, or after Ctrl-C, all files are as they were.

    >>> import pandas as pd
    >>> lines = pd.DataFrame({"Customer": ["C-1", "C-2"], "SKU": ["CUP", "CUP"], "Qty": [2, 5],
    ...                       "Order Date": ["2024-01-31", "2024-02-07"], "Price": [4.5, 4.25]})
    >>> report = import_orders(lines, None)
    >>> report.lines, report.customers, report.first_date.isoformat()
    (2, 2, '2024-01-31')
    """
    started = time.perf_counter()
    table, inputs = _told_apart(files)
    replaces_file = None if mapping.replaces is None else Path(mapping.replaces)
    if quarantine is not None:
        read_files = (path for parts in inputs.parts.values() for path in parts)
        others = [*read_files, replaces_file, database]
        check_place(quarantine.file, "broken lines", others, holds_lines_aside)
    with _place(database, replace) as beside:
        new = beside / "orders.duckdb"
        with closing(_new_database(new)) as conn:
            read = _read(conn, table, inputs, mapping, beside / "texts", progress)
            questions = [question for one in read for question in one.questions]
            lines = next((one for one in read if one.file.table == "order_lines"), None)
            seen = None
            if lines is not None and lines.file.called and not questions:
                seen = understood(conn, lines, mapping)
                told(seen)
            progress("checking")
            failed = _unreadable(inputs, read)
            replaces = None if replaces_file is None else read_replaces(replaces_file, beside)
            try:
                notices, codes = stage_checked(
                    conn,
                    [one.file for one in read],
                    inputs.where,
                    failed,
                    quarantine,
                    True,
                    replaces,
                )
            except DataError as exc:
                if not questions:
                    raise
                raise UnsettledError(exc.where, exc.findings, exc.remedy, questions) from None
            notices += _excluded(lines) + [Finding(n, "is not read", 0) for n in inputs.unread]
            progress("writing the database")
            create_tables(conn)
            fill_tables(conn, LINES, numbered("products", codes), numbered("customers", codes))
            keep_codes(conn)
            keep_zone(conn, mapping.timezone)
            if replaces is not None:
                replaced = replaces.numbered("product_id" in codes)
                keep_replaced(conn, replaced)
                notices.append(Finding(replaces.name, "products were replaced", len(replaced)))
            report = report_of(conn, notices, started, seen)
            if quarantine is not None and database is not None:
                write_aside(conn, quarantine.file)
            conn.execute("CHECKPOINT")
        if database is not None:
            put_in_place(new, database)
    return report


def _told_apart(
    files: Path | str | Sequence[Path | str] | OrderTable,
) -> tuple[OrderTable | None, Inputs]:
    """The table that was given, or the files that were named."""
    if isinstance(files, OrderTable):
        return files, Inputs(GIVEN)
    paths = [files] if isinstance(files, Path | str) else files
    if not (isinstance(paths, Sequence) and all(isinstance(path, Path | str) for path in paths)):
        kind = type(files).__name__
        raise ArgumentError(f"files has to be paths or a table of order lines, got a {kind}")
    return None, find_inputs([Path(path) for path in paths])


@contextmanager
def _place(database: Path | None, replace: bool) -> Iterator[Path]:
    """A folder to build the database in: beside its place, or anywhere if nothing is written."""
    if database is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    refuse_to_overwrite(database, replace)
    with translated(database), workplace(database) as beside:
        yield beside


def _unreadable(inputs: Inputs, read: Sequence[TableRead]) -> list[Finding]:
    """What is wrong with the files as a whole, and what has to be asked about them."""
    asked = [
        Finding(one.file.table, str(question), 0) for one in read for question in one.questions
    ]
    return [*inputs.failures, *asked]


def _excluded(lines: TableRead | None) -> list[Finding]:
    if lines is None or not lines.excluded:
        return []
    return [Finding("order_lines", "lines of excluded products, left out", lines.excluded)]


def _new_database(path: Path) -> duckdb.DuckDBPyConnection:
    conn = duckdb.connect(str(path), config={"temp_directory": str(path.parent / "spilled")})
    conn.execute("SET TimeZone = 'UTC'")
    hide_progress_bar(conn)
    return conn


def _read(
    conn: duckdb.DuckDBPyConnection,
    table: OrderTable | None,
    inputs: Inputs,
    mapping: OrderMapping,
    room: Path,
    progress: ImportProgress,
) -> list[TableRead]:
    room.mkdir()
    broken = {finding.table for finding in inputs.failures}
    derived = frozenset(t for t in DERIVED if t not in inputs.parts and t not in broken)
    asked = Asked(mapping, room, derived)
    if table is not None:
        progress("reading the table")
        return [read_order_table(conn, table, asked)]
    tables = []
    for name in LAYOUT:
        if inputs.parts.get(name):
            progress(f"reading {name}")
            tables.append(read_table(conn, name, inputs.parts[name], asked))
    return tables


def stage_checked(
    conn: duckdb.DuckDBPyConnection,
    files: Sequence[File],
    where: str,
    failed: Sequence[Finding] = (),
    quarantine: Quarantine | None = None,
    may_set_aside: bool = False,
    replaces: ReplacesFile | None = None,
) -> tuple[list[Finding], tuple[str, ...]]:
    """Stage the tables and fill ``LINES``; return notices, and which columns of ids hold codes.

    Products and customers without a file are derived from the lines. Raises ``DataError`` with
    all that is wrong ``where`` they come from, and with what ``failed`` before.
    """
    codes = code_columns(files)
    tables = [stage(conn, file, codes) for file in files]
    aside = _set_aside(conn, where, tables, quarantine) if not failed and quarantine else []
    failures = [finding for staged in tables for finding in _failures(conn, staged, tables, aside)]
    failures += [] if replaces is None else replaces.of_files(conn, tables)
    failures = sorted([*failed, *failures], key=lambda f: _rank(f.table))
    derived: list[Finding] = []
    if not failures:
        lines = next(file for file in files if file.table == "order_lines")
        for table in DERIVED:
            if table not in {file.table for file in files}:
                derived += derive(conn, table, lines)
        failures = number_codes(conn, codes)
    if failures:
        of_rows = not failed and all(f.table == "order_lines" and f.examples for f in failures)
        raise DataError(where, failures, QUARANTINE if of_rows and may_set_aside else "")
    staged_lines = next(staged for staged in tables if staged.table == "order_lines")
    optional = (staged_lines.columns & {"category"}) - LAYOUT["order_lines"].keys()
    numbered = numbered_lines(codes, optional)
    conn.execute(f"CREATE TEMP TABLE {LINES} AS {numbered} ORDER BY {LINE_ORDER}")
    notices = [notice for staged in tables for notice in staged.notices]
    told = line_notices(conn, staged_lines.zone)
    return [*aside, *told, *thin(conn), *derived, *notices], tuple(codes)


def _rank(table: str) -> int:
    """Findings come in the order of the tables; what is about a file by another name, first."""
    return [*LAYOUT].index(table) if table in LAYOUT else -1


def _set_aside(
    conn: duckdb.DuckDBPyConnection,
    where: str,
    tables: Sequence[Staged],
    quarantine: Quarantine,
) -> list[Finding]:
    """Broken lines taken out, if the lines can be read at all."""
    lines = next(staged for staged in tables if staged.table == "order_lines")
    unreadable = [finding for finding in lines.failures if finding.rule == UNREADABLE]
    if len(unreadable) < len(lines.failures) or not lines.columns >= {*LAYOUT["order_lines"]}:
        return []
    return set_aside(conn, where, folder_rules(lines, _known(tables)), unreadable, quarantine)


def _known(tables: Iterable[Staged]) -> list[str]:
    """Tables whose ids can be looked up."""
    return [one.table for one in tables if one.columns >= {next(iter(LAYOUT[one.table]))}]


def _failures(
    conn: duckdb.DuckDBPyConnection,
    staged: Staged,
    tables: Sequence[Staged],
    aside: Sequence[Finding],
) -> list[Finding]:
    failures = list(staged.failures)
    if aside and staged.table == "order_lines":
        failures = [finding for finding in failures if finding.rule != UNREADABLE]
    if not staged.columns:
        return failures
    relation = f"staged_{staged.table}"
    broken = findings(conn, staged.table, relation, folder_rules(staged, _known(tables)))
    if staged.table == "order_lines" and staged.columns >= {"product_id", "category"}:
        broken += several_categories(conn)
    if not broken and not failures and not _number(conn, f"SELECT count(*) FROM {relation}"):
        broken = [Finding(staged.table, "there are no rows", 0)]
    return [*failures, *broken]


def report_of(
    conn: duckdb.DuckDBPyConnection,
    notices: list[Finding],
    started: float,
    seen: Understood | None = None,
) -> ImportReport:
    """What a database holds after an import, of files that were ``seen`` to be so."""
    first, last, pairs = conn.execute(
        "SELECT CAST(min(first) AS DATE), CAST(max(last) AS DATE), count(*) FROM"
        " (SELECT min(oi.Created) AS first, max(oi.Created) AS last"
        ' FROM dbo.OrderItem oi INNER JOIN dbo."Order" o ON o.ID = oi.OrderID'
        " GROUP BY oi.ProductID, o.ClientAgreementID)"
    ).fetchall()[0]
    rows = {
        table: int(_number(conn, f'SELECT count(*) FROM dbo."{table}"'))
        for table in ("OrderItem", "Order", "Client", "Product")
    }
    return ImportReport(
        lines=rows["OrderItem"],
        orders=rows["Order"],
        customers=rows["Client"],
        products=rows["Product"],
        categories=len({*categories_of(as_source(conn)).values()}) if has_category(conn) else 0,
        pairs=pairs,
        first_date=first,
        last_date=last,
        notices=tuple(notices),
        seconds=time.perf_counter() - started,
        understood=seen,
    )


def _number(conn: duckdb.DuckDBPyConnection, query: str) -> float:
    row = conn.execute(query).fetchone()
    return row[0] if row else 0
