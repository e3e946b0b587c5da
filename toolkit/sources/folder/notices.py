"""What is told of order lines that keep all rules."""

from collections.abc import Iterator

import duckdb

from toolkit.errors import Finding
from toolkit.sources.embedded.returned import returned
from toolkit.sources.folder.files import LAYOUT
from toolkit.sources.folder.rows import count

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


def line_notices(conn: duckdb.DuckDBPyConnection) -> list[Finding]:
    """What is imported as it is, and told."""
    columns = ", ".join(LAYOUT["order_lines"])
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {LINES})"
    converted = count(conn, f"SELECT count(*) FROM {LINES} WHERE has_zone")
    repeated = count(conn, f"SELECT count(*) - ({distinct}) FROM {LINES}")
    returned = count(conn, f"SELECT count(*) FROM {LINES} WHERE quantity < 0")
    told = {
        "times with a time zone, converted to UTC": converted,
        "exact repetitions of another line, kept": repeated,
        _returns(conn) if returned else "": returned,
    }
    return [Finding("order_lines", rule, int(rows)) for rule, rows in told.items() if rows]


def thin(conn: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """What models will miss in these orders."""
    lines = int(count(conn, f"SELECT count(*) FROM {LINES}"))
    if count(conn, f"SELECT count(DISTINCT customer_id) FROM {LINES}") == 1:
        yield Finding("order_lines", ONE_CUSTOMER, lines)
    repeats = (
        f"SELECT count(*) FROM (SELECT 1 FROM {LINES} GROUP BY customer_id, product_id"
        " HAVING CAST(min(ordered_at) AS DATE) < CAST(max(ordered_at) AS DATE))"
    )
    if not count(conn, repeats):
        yield Finding("order_lines", NO_REPEATS, lines)


def _returns(conn: duckdb.DuckDBPyConnection) -> str:
    day = "CAST(ordered_at AS DATE) AS day"
    return str(returned(conn, f"SELECT product_id, customer_id, {day}, quantity FROM {LINES}"))
