"""Import of a SQL Server's orders into the embedded database, again and again.

The copy is made beside the database and takes its place once it is whole: readers see the old
one or the new one. What an import that was broken off has read stays beside it, for the next.

Whole days only: lines of the day that has not ended are left for the next import. No forecast as
of today or earlier can know them.
"""

import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from toolkit.data.zones import today_in
from toolkit.errors import ArgumentError, DataError, Finding, SourceError
from toolkit.sources.codes import Codes, keep_coded
from toolkit.sources.dialects import Connection
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import add_category, create_tables, open_database
from toolkit.sources.embedded.place import (
    put_in_place,
    refuse_to_overwrite,
    workplace,
)
from toolkit.sources.embedded.session import translated
from toolkit.sources.embedded.zone import keep_zone, zone_of
from toolkit.sources.folder.importer import ImportProgress, ImportReport, report_of
from toolkit.sources.folder.replaces import read_replaces
from toolkit.sources.names import PLAIN_NAMES, Names
from toolkit.sources.replaced import TABLE as REPLACED
from toolkit.sources.replaced import keep_replaced
from toolkit.sources.sqlserver.check import check_and_settle
from toolkit.sources.sqlserver.columns import codes_there
from toolkit.sources.sqlserver.copy import Copy, Copying, Server, Tally
from toolkit.sources.sqlserver.faults import PATIENCE, Patience
from toolkit.sources.sqlserver.months import AHEAD, DATED, compared_from

SUFFIX = ".importing"
_SORTED_SHARE = 0.9
"""Lines of a product should lie together; if fewer than this share do, they are sorted again."""


@dataclass(frozen=True, slots=True)
class ServerImportReport:
    """What the database holds, up to which day, and what had to be read for it."""

    imported: ImportReport
    until_date: date
    rows_read: dict[str, int]
    months_compared: dict[str, int]

    def __str__(self) -> str:
        """A few lines for a person."""
        read = ", ".join(f"{table} {rows:,}" for table, rows in self.rows_read.items())
        compared = ", ".join(
            f"{months} of {table}" for table, months in self.months_compared.items()
        )
        return (
            f"{self.imported}\nas of the end of the day before {self.until_date}; "
            f"rows read: {read}; months whose counts and sums are the server's: {compared}"
        )


def import_server(
    connection: Connection,
    database: Path,
    server: str,
    names: Names = PLAIN_NAMES,
    *,
    until: date | None = None,
    months: int | None = None,
    replaces: Path | None = None,
    progress: ImportProgress = lambda stage: None,
    patience: Patience = PATIENCE,
) -> ServerImportReport:
    """Copy the orders of a server into ``database``, or bring that up to date.

    ``server`` says where the orders come from, and is kept with them: those of another are
    refused, and so are days of another zone than ``names`` tell. ``until``: the day before which
    lines are copied, by default today, by this clock or the server's, whichever is earlier.
    ``months``: so many of the latest are compared, and those since the last import; what changed
    before waits for an import without it. By default, and the first time, all are. ``replaces`` is
    a CSV file of replaced products (``old_product``, ``new_product``, ``date``); without it none
    was. What ``check_database`` calls fatal in the copy, such as odd prices, is copied as it is,
    and among the notices. Raises ``DataError`` with everything fatal that ``check_server`` finds or
    that is wrong with ``replaces``, ``ArgumentError`` for fewer months than 1, and ``SourceError``
    if the server cannot be read or the database cannot be written; the database is then as it was.
    """
    if months is not None and months < 1:
        raise ArgumentError(f"months has to be a whole number of at least 1, got {months}")
    started = time.perf_counter()
    _refuse_foreign(database, server, names.timezone)
    progress("checking")
    checked, names = check_and_settle(connection, names, patience, counted=False)
    if not checked.ok:
        raise DataError(server, checked.fatal)
    reading = Server(connection, names, patience)
    until = until or _today(reading, names.timezone)
    real = database.resolve()  # beside the file itself, where a link leads to it
    partial = real.with_name(f"{real.name}{SUFFIX}")
    with translated(database), workplace(database, alone=True) as beside:
        _prepare(partial, database, server, names.timezone, beside)
        with closing(_opened(partial)) as conn:
            if checked.has_categories:
                add_category(conn)
            tally = _copy(reading, Copy(conn), until, months, checked.has_categories, progress)
            keep_coded(conn, codes_there(reading, names))
            progress("sorting")
            _finish(conn, until)
            _replace_products(conn, replaces, beside)
            report = report_of(conn, [*_notices(tally), *check_database(conn).fatal], started)
            conn.execute("CHECKPOINT")
        put_in_place(partial, database)
    return ServerImportReport(report, until, tally.rows_read, tally.months_compared)


def _copy(
    server: Server,
    copy: Copy,
    until: date,
    months: int | None,
    optional: bool,
    progress: ImportProgress,
) -> Tally:
    """Lines before orders before customers, so that what a line refers to is never missing."""
    ((known_until,),) = copy.conn.execute("SELECT until_date FROM import_state").fetchall()
    if known_until is not None and known_until > until:
        raise SourceError(
            f"the database holds orders before {known_until} already; {until} is earlier"
        )
    since = None
    if known_until is not None:
        copy.delete("Order", AHEAD, {"end_date": known_until})
        since = None if months is None else compared_from(until, months, known_until)
    copying = Copying(server, copy, until, known_until, since, optional)
    for table in DATED:
        progress(f"reading {table}")
        copying.dated(table)
    copying.orders_ahead()
    for table in ("ClientAgreement", "Client", "Product"):
        progress(f"reading {table}")
        copying.whole(table)
    return copying.tally


def _notices(tally: Tally) -> list[Finding]:
    rule = "Created is null: left out"
    return [
        Finding(f"dbo.{table}", rule, rows)
        for table, rows in tally.rows_without_date.items()
        if rows
    ]


def _today(server: Server, zone: str | None) -> date:
    """The earlier of two clocks: this one and the server's."""
    if zone is None:
        return min(server.today(), datetime.now(UTC).date())
    return today_in(zone, min(server.now(), datetime.now(UTC)))


def _refuse_foreign(database: Path, server: str, zone: str | None) -> None:
    """Refuse to write over what was not imported from this server, as days of this zone."""
    refuse_to_overwrite(database, replace=True)
    if not database.exists():
        return
    with closing(open_database(database)) as conn:
        origin, days_of = _origin(conn), zone_of(conn)
    if origin != server:
        holds = f"orders of {origin}" if origin else "orders that came from no server"
        raise SourceError(f"{database} holds {holds}, not of {server}: choose another file")
    if days_of != zone:
        raise SourceError(
            f"{database} holds days of {days_of or 'no named time zone'}, not of "
            f"{zone or 'no named one'}: choose another file"
        )


def _prepare(partial: Path, database: Path, server: str, zone: str | None, beside: Path) -> None:
    """A copy to go on with: one that was broken off, or of the database, or an empty one."""
    if partial.exists() and _is_of(partial, server, zone):
        return
    partial.unlink(missing_ok=True)
    fresh = beside / "orders.duckdb"
    if database.exists():
        shutil.copyfile(database, fresh)
    else:
        with closing(duckdb.connect(str(fresh))) as conn:
            create_tables(conn)
            conn.execute(
                "CREATE TABLE import_state (server VARCHAR, until_date DATE, sorted_lines BIGINT)"
            )
            conn.execute("INSERT INTO import_state VALUES ($1, NULL, 0)", [server])
            keep_zone(conn, zone)
    fresh.replace(partial)


def _is_of(partial: Path, server: str, zone: str | None) -> bool:
    with closing(open_database(partial, read_only=False)) as conn:
        return _origin(conn) == server and zone_of(conn) == zone


def _opened(partial: Path) -> duckdb.DuckDBPyConnection:
    conn = open_database(partial, read_only=False)
    conn.execute("SET TimeZone = 'UTC'")
    return conn


def _origin(conn: duckdb.DuckDBPyConnection) -> str | None:
    """Which server a database was imported from; None: from none."""
    found = conn.execute(
        "SELECT 1 FROM information_schema.tables"
        " WHERE table_name = 'import_state' AND table_catalog = current_catalog()"
    ).fetchall()
    if not found:
        return None
    ((server,),) = conn.execute("SELECT server FROM import_state").fetchall()
    return str(server)


def _finish(conn: duckdb.DuckDBPyConnection, until: date) -> None:
    """Note up to which day the copy is whole; sort the lines where too many were added."""
    ((lines, in_order),) = conn.execute(
        "SELECT (SELECT count(*) FROM dbo.OrderItem), sorted_lines FROM import_state"
    ).fetchall()
    if in_order < _SORTED_SHARE * lines:
        _sort(conn, "OrderItem", "ProductID, Created, OrderID, ID")
        _sort(conn, "Order", "ID")
        in_order = lines
    conn.execute("UPDATE import_state SET until_date = $1, sorted_lines = $2", [until, in_order])


def _replace_products(conn: duckdb.DuckDBPyConnection, replaces: Path | None, room: Path) -> None:
    """Replaced products are those of the file, and no others."""
    conn.execute(f"DROP TABLE IF EXISTS dbo.{REPLACED}")
    if replaces is not None:
        found = read_replaces(replaces, room)
        are_codes = Codes.of(conn).has("product")
        codes = "SELECT Code FROM dbo.Code WHERE Kind = 'product'"
        broken = found.broken(conn, codes if are_codes else "SELECT ID FROM dbo.Product")
        if broken:
            raise DataError(str(replaces), broken)
        keep_replaced(conn, found.numbered(are_codes))


def _sort(conn: duckdb.DuckDBPyConnection, table: str, order: str) -> None:
    conn.execute(
        f'CREATE OR REPLACE TABLE dbo."{table}" AS SELECT * FROM dbo."{table}" ORDER BY {order}'
    )
