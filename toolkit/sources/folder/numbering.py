"""Numbers for the codes of a staged folder: from here on ids are whole numbers."""

from collections.abc import Collection

import duckdb

from toolkit.data.ids import BITS, KINDS
from toolkit.errors import Finding
from toolkit.sources.codes import number_sql
from toolkit.sources.folder.files import LAYOUT, shown

_CODES = "staged_codes"

_OWNERS = {
    "order_id": ("order", "order_lines"),
    "product_id": ("product", "products"),
    "customer_id": ("customer", "customers"),
}
"""Column of ids: their kind, and the table whose rows name all that there are."""

_ORDER_BITS = 63
"""An order's number leaves the database in no JSON, and there are many orders."""


def number_codes(
    conn: duckdb.DuckDBPyConnection, columns: Collection[str], bits: int = BITS
) -> list[Finding]:
    """Number the codes of those columns, of staged tables that have been checked.

    Codes that would have to share a number come back as findings.
    """
    conn.execute(f"CREATE TEMP TABLE {_CODES} (Kind VARCHAR, ID BIGINT, Code VARCHAR)")
    for column in columns:
        kind, table = _OWNERS[column]
        number = number_sql(column, _ORDER_BITS if kind == "order" else bits)
        conn.execute(
            f"INSERT INTO {_CODES} SELECT '{kind}', {number}, {column}"
            f" FROM (SELECT DISTINCT {column} FROM staged_{table})"
        )
    return [finding for column in columns for finding in _collisions(conn, column)]


def _collisions(conn: duckdb.DuckDBPyConnection, column: str) -> list[Finding]:
    kind, table = _OWNERS[column]
    found = conn.execute(
        f"SELECT string_agg(Code, ' and ' ORDER BY Code), count(*) FROM {_CODES}"
        f" WHERE Kind = '{kind}' GROUP BY ID HAVING count(*) > 1 ORDER BY 1"
    ).fetchall()
    if not found:
        return []
    rule = f"{column}: codes that share a number inside; one of them has to be written otherwise"
    return [Finding(table, rule, sum(n for _, n in found), shown(codes for codes, _ in found))]


def numbered_lines(columns: Collection[str], optional: Collection[str] = ()) -> str:
    """A query for the staged order lines with the numbers of codes; ``columns`` hold codes.

    ``optional`` are the columns that the lines have beside those of ``LAYOUT``.
    """
    selected, joined = [], []
    for column in (*LAYOUT["order_lines"], *optional):
        if column in columns:
            kind, _ = _OWNERS[column]
            selected.append(f'"{kind}".ID AS {column}')
            joined.append(
                f'INNER JOIN {_CODES} "{kind}" ON "{kind}".Kind = \'{kind}\''
                f' AND "{kind}".Code = l.{column}'
            )
        else:
            selected.append(f"l.{column}")
    return f"SELECT {', '.join(selected)}, has_zone FROM staged_order_lines l {' '.join(joined)}"


def numbered(table: str, columns: Collection[str]) -> str:
    """A relation like ``staged_products`` or ``staged_customers`` with the numbers of codes.

    What has no name is called by its code, as it is by its id elsewhere.
    """
    column = next(iter(LAYOUT[table]))
    if column not in columns:
        return f"staged_{table}"
    kind, _ = _OWNERS[column]
    return (
        f"(SELECT staged_{table}.* REPLACE (ID AS {column},"
        f" coalesce(name, '{kind.capitalize()} ' || Code) AS name)"
        f" FROM staged_{table} INNER JOIN {_CODES} ON Kind = '{kind}' AND Code = {column})"
    )


def keep_codes(conn: duckdb.DuckDBPyConnection) -> None:
    """Write the codes of products and customers, if there are any, into ``dbo.Code``."""
    kept = ", ".join(f"'{kind}'" for kind in KINDS)
    query = f"SELECT Kind, ID, Code FROM {_CODES} WHERE Kind IN ({kept}) ORDER BY Kind, ID"
    if conn.execute(f"{query} LIMIT 1").fetchall():
        conn.execute(f"CREATE TABLE dbo.Code AS {query}")
