"""Products and customers that no file tells: those of the order lines, with the names they have."""

import duckdb

from toolkit.errors import Finding
from toolkit.sources.folder.files import LAYOUT, File

DERIVED = ("products", "customers")
"""Tables that may be made of the order lines."""


def derive(conn: duckdb.DuckDBPyConnection, table: str, lines: File) -> list[Finding]:
    """Make ``staged_<table>`` of the staged order lines, and tell of it.

    A name is the most frequent one in the lines, of several the one that came last; so is a
    product's category.
    """
    column = next(iter(LAYOUT[table]))
    told = f"{table.removesuffix('s')}_name"
    wanted = {"name": told, "category": "category"} if table == "products" else {"name": told}
    there = {name: source for name, source in wanted.items() if source in lines.types}
    conn.execute(
        f"CREATE TEMP TABLE staged_{table} AS SELECT DISTINCT '' AS place, {column}"
        f"{'' if 'name' in there else ', NULL::VARCHAR AS name'} FROM staged_order_lines"
    )
    for name, source in there.items():
        conn.execute(
            f"CREATE OR REPLACE TEMP TABLE staged_{table} AS"
            f" SELECT t.*, told.value AS {name} FROM staged_{table} t LEFT JOIN"
            f" ({_most_frequent(column, source)}) told USING ({column})"
        )
    called = f", names from {lines.called[told]}" if told in lines.called else ", without names"
    return [Finding(table, f"taken from the order lines{called}", 0)]


def _most_frequent(column: str, source: str) -> str:
    counted = (
        f"SELECT {column}, {source} AS value, count(*) AS n, max(position) AS latest"
        f" FROM staged_order_lines WHERE trim({source}) <> '' GROUP BY ALL"
    )
    return f"SELECT {column}, arg_max(value, (n, latest)) AS value FROM ({counted}) GROUP BY ALL"
