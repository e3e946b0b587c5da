"""Order lines in a DataFrame: into an embedded database in memory, by the rules of an import."""

from collections.abc import Mapping
from dataclasses import replace

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.errors import ArgumentError, Finding
from toolkit.sources.embedded.database import create_tables, fill_tables
from toolkit.sources.embedded.session import hide_progress_bar
from toolkit.sources.embedded.zone import keep_zone
from toolkit.sources.folder.files import CATEGORY, ID, LAYOUT, OPTIONAL, File, Row
from toolkit.sources.folder.given import array_of
from toolkit.sources.folder.id_texts import read_id_texts
from toolkit.sources.folder.importer import stage_checked
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.moments import COLUMN as MOMENT
from toolkit.sources.folder.moments import in_zone
from toolkit.sources.folder.notices import LINES
from toolkit.sources.folder.numbering import keep_codes, numbered
from toolkit.sources.folder.values import DateReading

WHERE = "what was given as DataFrames"
GIVEN_TWICE = "products have a column category, too: leave out one of them"
_ROW = "row_of_frame"

type _Columns = dict[str, pa.Array]


def frame_database(
    order_lines: pd.DataFrame,
    products: pd.DataFrame | None = None,
    customers: pd.DataFrame | None = None,
    timezone: str | None = None,
) -> duckdb.DuckDBPyConnection:
    """A database in memory with the orders; its owner closes it.

    Columns and rules are those of a folder's tables (``docs/your_orders.md``), but ``order_id`` may
    be left out, and so may products and customers: then all ids in the lines count, without names.
    A product's ``category`` may stand in its lines as well as in ``products``. Instants are of the
    days of ``timezone``, which has to be given then. Raises ``DataError`` with every rule that is
    broken; ``row 3`` in it is ``order_lines.iloc[3]``. Raises ``ArgumentError`` for no DataFrame.
    """
    given: dict[str, object] = {
        "order_lines": order_lines, "products": products, "customers": customers,
    }  # fmt: skip
    for name, frame in given.items():
        if name != "order_lines" and frame is None:
            continue
        if not isinstance(frame, pd.DataFrame):
            kind = type(frame).__name__
            raise ArgumentError(f"{name} has to be a pandas DataFrame, got a {kind}")
    OrderMapping.of({} if timezone is None else {"timezone": timezone}, "the arguments")
    conn = duckdb.connect()
    try:
        conn.execute("SET TimeZone = 'UTC'")
        hide_progress_bar(conn)
        _fill(conn, {name: f for name, f in given.items() if isinstance(f, pd.DataFrame)}, timezone)
        keep_zone(conn, timezone)
    except BaseException:
        conn.close()
        raise
    return conn


def _fill(
    conn: duckdb.DuckDBPyConnection, given: Mapping[str, pd.DataFrame], zone: str | None
) -> None:
    columns = {name: _columns(frame) for name, frame in given.items()}
    lines = columns["order_lines"]
    made_up = frozenset() if "order_id" in lines else frozenset({"order_id"})
    if made_up:
        lines["order_id"] = pa.array(range(len(given["order_lines"])), pa.int64())
    for table, column in (("products", "product_id"), ("customers", "customer_id")):
        if table not in columns:
            columns[table] = _ids_alone(column, lines.get(column))
    files = [
        _file(conn, table, columns[table], made_up if table == "order_lines" else frozenset())
        for table in LAYOUT
    ]
    files = [_in_zone(conn, file, zone) if file.table == "order_lines" else file for file in files]
    in_lines = "category" in lines
    if in_lines and "category" in columns["products"]:
        twice = Finding("order_lines", GIVEN_TWICE, len(given["order_lines"]))
        files = [replace(f, failures=(twice,)) if f.table == twice.table else f for f in files]
    _, codes = stage_checked(conn, files, WHERE)
    products = numbered("products", codes)
    create_tables(conn)
    fill_tables(
        conn, LINES, _of_lines(products) if in_lines else products, numbered("customers", codes)
    )
    keep_codes(conn)
    for table in LAYOUT:
        conn.execute(f"DROP VIEW staged_{table}")
        conn.unregister(_relation(table))
    conn.execute(f"DROP TABLE {LINES}")


def _of_lines(products: str) -> str:
    """Products with the category that their lines tell."""
    told = f"(SELECT product_id, min(category) AS category FROM {LINES} GROUP BY product_id)"
    return (
        f"(SELECT p.product_id, p.name, told.category FROM {products} p"
        f" LEFT JOIN {told} told ON told.product_id = p.product_id)"
    )


def _columns(frame: pd.DataFrame) -> _Columns:
    """Its columns by name; of one that is there twice the last counts, as in a dictionary."""
    return {str(name): array_of(frame.iloc[:, i]) for i, name in enumerate(frame.columns)}


def _ids_alone(column: str, ids: pa.Array | None) -> _Columns:
    """The ids in the lines, without names; nothing where there are none."""
    known = pa.array([]) if ids is None else pc.drop_null(pc.unique(ids))
    return {column: known, "name": pa.nulls(len(known), pa.string())} if len(known) else {}


def _file(
    conn: duckdb.DuckDBPyConnection, table: str, columns: _Columns, made_up: frozenset[str]
) -> File:
    """The columns as a relation that is read like a file; some were not given."""
    rows = len(next(iter(columns.values()), []))
    relation = _relation(table)
    conn.register(relation, pa.table({**columns, _ROW: pa.array(range(rows), pa.int64())}))
    described = conn.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {name: type_ for name, type_, *_ in described if name != _ROW}
    file = File(table, relation, types, Row(f"'row ' || {_ROW}", position=_ROW))
    ids = [column for column, kind in LAYOUT[table].items() if kind is ID]
    texts = read_id_texts(conn, relation, types, ids)
    optional = CATEGORY if table == "order_lines" else OPTIONAL.get(table, {})
    return replace(file, id_texts=texts, made_up=made_up, optional=optional)


def _in_zone(conn: duckdb.DuckDBPyConnection, file: File, zone: str | None) -> File:
    """The order lines, their instants as times of the zone."""
    if MOMENT not in file.types:
        return file
    how = "timezone='Europe/Berlin'"
    found = in_zone(conn, file.relation, file.types[MOMENT], DateReading(), zone, how)
    asked = tuple(Finding(file.table, str(question), 0) for question in found.questions)
    return replace(file, casts=found.casts, failures=asked, zone=zone)


def _relation(table: str) -> str:
    return f"frame_{table}"
