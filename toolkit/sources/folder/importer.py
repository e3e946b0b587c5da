"""Import of a folder of order lines into the embedded database.

Every broken rule is found before anything is written, and all are reported at once. The new
database is built beside the old one and takes its place in one step, or not at all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from toolkit.errors import DataError, Finding
from toolkit.sources.base import categories_of
from toolkit.sources.embedded.database import create_tables, fill_tables, hide_progress_bar
from toolkit.sources.embedded.place import (
    put_in_place,
    refuse_to_overwrite,
    translated,
    workplace,
)
from toolkit.sources.folder.files import (
    LAYOUT,
    File,
    Staged,
    code_columns,
    read_file,
    stage,
    unread_files,
)
from toolkit.sources.folder.numbering import keep_codes, number_codes, numbered, numbered_lines
from toolkit.sources.folder.rules import findings, folder_rules, several_categories
from toolkit.sources.queries import FRACTION_DIGITS
from toolkit.sources.sql import as_source

type ImportProgress = Callable[[str], None]

LINES = "checked_order_lines"
"""The table of lines that keep all rules, with the numbers of codes."""

ONE_CUSTOMER = (
    "all are of one customer, so that models have nothing to pool over customers; is customer_id "
    "the right column?"
)
NO_REPEATS = (
    "no customer ordered a product on two days, so that there are no intervals to learn from and "
    "no customer will be listed; is customer_id the right column, or the time too short?"
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import brought in, and what it found worth telling (``notices``)."""

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

    Ids are whole numbers or text; of text, each is a code, which has a number inside
    (``toolkit.sources.codes``) and is kept.

    ``database`` is the file to write; an order database that is there already is replaced, if
    ``replace``. ``progress`` is called with the name of each stage. Raises ``DataError`` with
    every rule that the folder breaks, ``SourceError`` if the database cannot be written. After
    either, or after Ctrl-C, the file is as it was.
    """
    started = time.perf_counter()
    if not folder.is_dir():
        raise DataError(str(folder), [Finding("folder", "there is no such folder", 0)])
    refuse_to_overwrite(database, replace)
    with translated(database), workplace(database) as beside:
        new = beside / "orders.duckdb"
        with closing(_new_database(new)) as conn:
            files = _read_folder(conn, folder, progress)
            progress("checking")
            notices, codes = stage_checked(conn, files, str(folder))
            notices += [Finding(name, "is not read", 0) for name in unread_files(folder)]
            progress("writing the database")
            create_tables(conn)
            fill_tables(conn, LINES, numbered("products", codes), numbered("customers", codes))
            keep_codes(conn)
            report = report_of(conn, notices, started)
            conn.execute("CHECKPOINT")
        put_in_place(new, database)
    return report


def _new_database(path: Path) -> duckdb.DuckDBPyConnection:
    conn = duckdb.connect(str(path), config={"temp_directory": str(path.parent / "spilled")})
    conn.execute("SET TimeZone = 'UTC'")
    hide_progress_bar(conn)
    return conn


def _read_folder(
    conn: duckdb.DuckDBPyConnection, folder: Path, progress: ImportProgress
) -> list[File]:
    files: list[File] = []
    for table in LAYOUT:
        progress(f"reading {table}")
        files.append(read_file(conn, folder, table))
    return files


def stage_checked(
    conn: duckdb.DuckDBPyConnection, files: Sequence[File], where: str
) -> tuple[list[Finding], tuple[str, ...]]:
    """Stage the tables and fill ``LINES``; return notices, and which columns of ids hold codes.

    Raises ``DataError`` with all that is wrong ``where`` they come from.
    """
    codes = code_columns(files)
    tables = [stage(conn, file, codes) for file in files]
    failures = [finding for staged in tables for finding in _failures(conn, staged, tables)]
    failures = failures or number_codes(conn, codes)
    if failures:
        raise DataError(where, failures)
    lines = next(staged for staged in tables if staged.table == "order_lines")
    optional = lines.columns - LAYOUT["order_lines"].keys()
    conn.execute(f"CREATE TEMP TABLE {LINES} AS {numbered_lines(codes, optional)}")
    notices = [notice for staged in tables for notice in staged.notices]
    return [*_line_notices(conn), *_thin(conn), *notices], tuple(codes)


def _failures(
    conn: duckdb.DuckDBPyConnection, staged: Staged, tables: list[Staged]
) -> list[Finding]:
    if not staged.columns:
        return list(staged.failures)
    known = [other.table for other in tables if other.columns >= {next(iter(LAYOUT[other.table]))}]
    relation = f"staged_{staged.table}"
    broken = findings(conn, staged.table, relation, folder_rules(staged, known))
    if staged.table == "order_lines" and staged.columns >= {"product_id", "category"}:
        broken += several_categories(conn)
    if not broken and not staged.failures and not _number(conn, f"SELECT count(*) FROM {relation}"):
        broken = [Finding(staged.table, "there are no rows", 0)]
    return [*staged.failures, *broken]


def _line_notices(conn: duckdb.DuckDBPyConnection) -> list[Finding]:
    """What is imported as it is, and told."""
    columns = ", ".join(LAYOUT["order_lines"])
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {LINES})"
    converted = _number(conn, f"SELECT count(*) FROM {LINES} WHERE has_zone")
    repeated = _number(conn, f"SELECT count(*) - ({distinct}) FROM {LINES}")
    returned = _number(conn, f"SELECT count(*) FROM {LINES} WHERE quantity < 0")
    told = {
        "times with a time zone, converted to UTC": converted,
        "exact repetitions of another line, kept": repeated,
        _returns(conn) if returned else "": returned,
    }
    return [Finding("order_lines", rule, int(rows)) for rule, rows in told.items() if rows]


def _thin(conn: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """What models will miss in these orders."""
    lines = int(_number(conn, f"SELECT count(*) FROM {LINES}"))
    if _number(conn, f"SELECT count(DISTINCT customer_id) FROM {LINES}") == 1:
        yield Finding("order_lines", ONE_CUSTOMER, lines)
    repeats = (
        f"SELECT count(*) FROM (SELECT 1 FROM {LINES} GROUP BY customer_id, product_id"
        " HAVING CAST(min(ordered_at) AS DATE) < CAST(max(ordered_at) AS DATE))"
    )
    if not _number(conn, repeats):
        yield Finding("order_lines", NO_REPEATS, lines)


def _returns(conn: duckdb.DuckDBPyConnection) -> str:
    units = _number(conn, f"SELECT -sum(quantity) FROM {LINES} WHERE quantity < 0")
    cancelled = _number(
        conn,
        f"SELECT count(*) FROM (SELECT 1 FROM {LINES} GROUP BY product_id, customer_id,"
        f" CAST(ordered_at AS DATE) HAVING round(sum(quantity), {FRACTION_DIGITS}) <= 0)",
    )
    return (
        f"returns, netted per customer, product and day: {units:,g} units; "
        f"{cancelled:,g} such days net to nothing and are no order events"
    )


def report_of(
    conn: duckdb.DuckDBPyConnection, notices: list[Finding], started: float
) -> ImportReport:
    """What a database holds after an import."""
    first, last, pairs = conn.execute(
        "SELECT CAST(min(oi.Created) AS DATE), CAST(max(oi.Created) AS DATE),"
        " count(DISTINCT (oi.ProductID, o.ClientAgreementID))"
        ' FROM dbo.OrderItem oi INNER JOIN dbo."Order" o ON o.ID = oi.OrderID'
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
        categories=len({*categories_of(as_source(conn)).values()}),
        pairs=pairs,
        first_date=first,
        last_date=last,
        notices=tuple(notices),
        seconds=time.perf_counter() - started,
    )


def _number(conn: duckdb.DuckDBPyConnection, query: str) -> float:
    row = conn.execute(query).fetchone()
    return row[0] if row else 0
