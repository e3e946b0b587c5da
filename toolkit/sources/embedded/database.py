"""The embedded database: one DuckDB file with the tables that production has in SQL Server."""

from datetime import date
from pathlib import Path

import duckdb

from toolkit.errors import SourceError
from toolkit.sources.dialects import run_once
from toolkit.sources.embedded.session import hide_progress_bar
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.parquet.place import place_at
from toolkit.sources.parquet.reading import lines_as_tables, open_folder
from toolkit.sources.parquet.remote import is_remote

LINE_ORDER = "product_id, ordered_at, order_id, quantity, unit_price"
"""The order of order lines: a product's lie together, and whichever came first leaves no trace."""

_MAGIC = b"DUCK"  # bytes 8 to 11 of a database file


def create_tables(conn: duckdb.DuckDBPyConnection) -> None:
    """Create schema ``dbo`` and its empty tables.

    They carry no keys: DuckDB would build an index for each, and ``check_database`` tests more.
    """
    conn.execute("CREATE SCHEMA IF NOT EXISTS dbo")
    for table, columns in TABLES.items():
        declared = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        conn.execute(f'CREATE TABLE dbo."{table}" ({declared})')


def fill_tables(
    conn: duckdb.DuckDBPyConnection, order_lines: str, products: str, customers: str
) -> None:
    """Fill the empty tables from three relations (names of tables or views) of a folder's layout.

    Each table is sorted by what it is looked up by. Line ids follow the lines' contents, so that
    the order of the rows that came in leaves no trace; lines of a product lie together, so that
    a query for it reads a few blocks. Each customer has one agreement, with the customer's id.
    Where ``products`` has a column ``category``, ``dbo.Product`` gets one.
    """
    category = ""
    if "category" in _columns_of(conn, products):
        add_category(conn)
        category = ", category"
    conn.execute(
        f"INSERT INTO dbo.Product SELECT product_id, name{category} FROM {products} ORDER BY 1"
    )
    conn.execute(f"INSERT INTO dbo.Client SELECT customer_id, name FROM {customers} ORDER BY 1")
    conn.execute("INSERT INTO dbo.ClientAgreement SELECT ID, ID FROM dbo.Client ORDER BY 1")
    conn.execute(
        'INSERT INTO dbo."Order" SELECT order_id, any_value(customer_id), min(ordered_at)'
        f" FROM {order_lines} GROUP BY order_id ORDER BY order_id"
    )
    conn.execute(  # a window with an order of its own would sort once more
        "INSERT INTO dbo.OrderItem SELECT row_number() OVER (), * FROM"
        " (SELECT order_id, product_id, quantity, unit_price, ordered_at"
        f" FROM {order_lines} ORDER BY {LINE_ORDER})"
    )


def add_category(conn: duckdb.DuckDBPyConnection) -> None:
    """Give products a category, if they have none; an older database has no such column."""
    conn.execute("ALTER TABLE dbo.Product ADD COLUMN IF NOT EXISTS Category VARCHAR")


def has_category(conn: duckdb.DuckDBPyConnection) -> bool:
    """Whether products may have a category."""
    return "Category" in _columns_of(conn, "dbo.Product")


def open_database(path: Path | str, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """Open an existing database; the caller closes it.

    ``path`` is a file of DuckDB's, or a folder of orders in Parquet, on a disk or at
    ``s3://BUCKET/FOLDER``, which is only read. Raises ``SourceError`` if it is missing, is no
    order database, is being written by another process, or lacks the tables.
    """
    try:
        if is_remote(path) or Path(path).is_dir():
            return _open_folder(path, read_only)
        path = Path(path)
        _refuse_what_is_no_database(path)
    except OSError as exc:  # a name that is too long, say
        raise SourceError(f"{path} could not be opened: {exc.strerror}") from exc
    try:
        conn = duckdb.connect(str(path), read_only=read_only)
    except duckdb.Error as exc:
        if "set lock on file" in str(exc):  # "a corrupt block" is something else
            raise SourceError(
                f"{path} is in use by another process that may write to it, a second notebook's "
                "kernel perhaps: close the connection or shut the kernel down there; many may "
                f"read a file at a time, with open_database(path). {exc}"
            ) from exc
        if "different configuration" in str(exc):
            raise SourceError(
                f"{path} could not be opened: this process has it open in another way, to write "
                "or with other settings; close that connection first, or use it"
            ) from exc
        raise SourceError(f"{path} could not be opened: {exc}") from exc
    hide_progress_bar(conn)
    missing = missing_columns(conn)
    if missing:
        conn.close()
        raise SourceError(f"{path} is no order database: it lacks {', '.join(missing)}")
    return conn


def _open_folder(path: Path | str, read_only: bool) -> duckdb.DuckDBPyConnection:
    if not read_only:
        raise SourceError(f"{path} is a folder of orders in Parquet, which is only read")
    return open_folder(place_at(path))


def order_span(conn: duckdb.DuckDBPyConnection, product_id: int) -> tuple[date, date] | None:
    """First and last day on which anybody ordered a product; None if nobody ever did.

    Raises ``SourceError`` if the database cannot be read.
    """
    query = (
        "SELECT CAST(min(Created) AS DATE), CAST(max(Created) AS DATE)"
        " FROM dbo.OrderItem WHERE ProductID = ?"
    )

    def read() -> list[tuple[date, date]]:
        lines_as_tables(conn)
        return conn.execute(query, [product_id]).fetchall()

    ((first, last),) = run_once("orders of the product", read)
    return None if first is None else (first, last)


def missing_columns(conn: duckdb.DuckDBPyConnection) -> list[str]:
    """What a database lacks of the tables: ``dbo.Order``, or ``dbo.Order.Created``."""
    if _has_all(conn):
        return []
    found = conn.execute(
        "SELECT lower(table_name), lower(column_name) FROM information_schema.columns"
        " WHERE table_schema = 'dbo' AND table_catalog = current_catalog()"
    ).fetchall()
    tables = {table for table, _ in found}
    missing = [f"dbo.{table}" for table in TABLES if table.lower() not in tables]
    for table, columns in TABLES.items():
        if table.lower() in tables:
            absent = [c for c in columns if (table.lower(), c.lower()) not in found]
            missing += [f"dbo.{table}.{column}" for column in absent]
    return missing


def _has_all(conn: duckdb.DuckDBPyConnection) -> bool:
    """Whether all columns can be asked for: DuckDB takes ten times as long to list what it has."""
    try:
        for table, columns in TABLES.items():
            conn.execute(f'SELECT {", ".join(columns)} FROM dbo."{table}" LIMIT 0')
    except duckdb.Error:
        return False
    return True


def _columns_of(conn: duckdb.DuckDBPyConnection, relation: str) -> set[str]:
    described = conn.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {name for name, *_ in described}


def _refuse_what_is_no_database(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"there is no database {path}")
    if not path.is_file():
        raise SourceError(f"{path} is neither a file of DuckDB's nor a folder of Parquet")
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError as exc:
        raise SourceError(f"{path} could not be read: {exc.strerror}") from exc
    if start[8:] != _MAGIC:
        raise SourceError(f"{path} is not a DuckDB database")
