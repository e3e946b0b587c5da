"""A folder of orders as a database in memory: schema ``dbo`` is views of its files."""

import hashlib
import tempfile
from pathlib import Path
from secrets import token_hex

import duckdb
import pyarrow as pa

from toolkit.errors import Finding, SourceError
from toolkit.sources.embedded.session import hide_progress_bar, memory_limit
from toolkit.sources.parquet.dialect import FILES, SCHEMA, ParquetDialect, buckets_of, files_sql
from toolkit.sources.parquet.manifest import Manifest
from toolkit.sources.parquet.place import Place, place_at, read_manifest, what_is_wrong

_ORDERS = (
    "SELECT OrderID AS ID, any_value(ClientID) AS ClientAgreementID, min(OrderCreated) AS Created"
    " FROM dbo.OrderItem GROUP BY OrderID"
)
"""Orders are what their lines tell of them."""


def open_folder(place: Place) -> duckdb.DuckDBPyConnection:
    """Open a folder of orders; the caller closes it. Files are read when they are asked for.

    Raises ``SourceError`` if there is none, or it cannot be read.
    """
    manifest = read_manifest(place)
    spilled = Path(tempfile.gettempdir()) / f"orders-{token_hex(8)}"  # made if needed, and removed
    conn = duckdb.connect(
        config={"memory_limit": memory_limit(0.25, 1), "temp_directory": str(spilled)}
    )
    try:
        hide_progress_bar(conn)
        place.let_read(conn)
        create_views(conn, place, manifest)
    except duckdb.Error as exc:
        conn.close()
        wrong = what_is_wrong(place, {t.path: t.bytes for t in manifest.tables.values()})
        raise SourceError(f"{place.name} could not be opened: {wrong or exc}") from exc
    return conn


def damaged_files(conn: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Files of the folder behind a connection that are not as they were written; none elsewhere.

    All of them are read. Raises ``SourceError`` where the folder cannot be read.
    """
    if not buckets_of(conn):
        return []
    with conn.cursor() as cursor:
        ((folder,),) = cursor.execute(f"SELECT DISTINCT Folder FROM {FILES}").fetchall()
    place, found = place_at(folder), []
    for part in read_manifest(place).files:
        content = place.read(part.path)
        if content is None:
            found.append(Finding(part.path, "is missing", 0))
        elif hashlib.sha256(content).hexdigest() != part.sha256:
            found.append(Finding(part.path, "is not as it was written", 0))
    return found


def lines_as_tables(conn: duckdb.DuckDBPyConnection) -> None:
    """Let a connection ask ``dbo.OrderItem`` and ``dbo.Order`` themselves, as in any database.

    DuckDB looks at each file of a view when it is made: a task that needs a few of them does
    without. Raises ``duckdb.Error`` where a file is missing.
    """
    buckets = buckets_of(conn)
    if buckets:
        lines = files_sql(buckets["lines"].files)
        conn.execute(f"CREATE VIEW IF NOT EXISTS dbo.OrderItem AS SELECT * FROM {lines}")
        conn.execute(f'CREATE VIEW IF NOT EXISTS dbo."Order" AS {_ORDERS}')


def dialect_of(conn: duckdb.DuckDBPyConnection) -> ParquetDialect | None:
    """How orders behind a connection are read, where it is ``open_folder``'s; else None."""
    buckets = buckets_of(conn)
    return ParquetDialect(buckets, lambda: _wrong_lines(conn)) if buckets else None


def _wrong_lines(conn: duckdb.DuckDBPyConnection) -> str | None:
    """What is wrong with the files of the order lines behind a connection."""
    try:
        with conn.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT Folder, Path, Bytes FROM {FILES} ORDER BY Copy DESC, Bucket"
            ).fetchall()
    except duckdb.Error:  # the connection is closed, say
        return None
    return what_is_wrong(place_at(rows[0][0]), {path: size for _, path, size in rows})


def create_views(conn: duckdb.DuckDBPyConnection, place: Place, manifest: Manifest) -> None:
    """Create schema ``dbo`` over the files of tables, and what says where order lines lie."""
    conn.execute("CREATE SCHEMA dbo")
    for table, part in manifest.tables.items():
        file = files_sql([f"{place.name}/{part.path}"])
        conn.execute(f'CREATE VIEW dbo."{table}" AS SELECT * FROM {file}')
    conn.execute(f"CREATE SCHEMA {SCHEMA}")
    copies = {"lines": manifest.lines, "customers": manifest.customers}
    rows = [
        {
            "Copy": copy,
            "Bucket": number,
            "FirstID": part.first_id,
            "File": f"{place.name}/{part.path}",
            "Folder": place.name,
            "Path": part.path,
            "Bytes": part.bytes,
        }
        for copy, parts in copies.items()
        for number, part in enumerate(parts)
    ]
    conn.register("rows_of_files", pa.Table.from_pylist(rows))
    conn.execute(f"CREATE TABLE {FILES} AS SELECT * FROM rows_of_files")
    conn.unregister("rows_of_files")
