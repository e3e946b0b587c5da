"""What is told of order lines that keep all rules."""

from collections.abc import Iterator

import duckdb

from toolkit.errors import Finding
from toolkit.sources.embedded.database import LINE_ORDER
from toolkit.sources.embedded.returned import returned
from toolkit.sources.folder.rows import count

LINES = "checked_order_lines"
"""The table of lines that keep all rules, with the numbers of codes, in ``LINE_ORDER``."""

_FEW = 100_000
"""Among so many lines most of what is looked for once is found, if it is there."""

ONE_CUSTOMER = (
    "all are of one customer, so that models have nothing to pool over customers; is customer_id "
    "the right column?"
)
NO_REPEATS = (
    "no customer ordered a product on two days, so that there are no intervals to learn from and "
    "no customer will be listed; is customer_id the right column, or the time too short?"
)


def line_notices(conn: duckdb.DuckDBPyConnection, zone: str | None) -> list[Finding]:
    """What is imported as it is, and told."""
    same = " AND ".join(f"{c} = lag({c}) OVER ()" for c in LINE_ORDER.split(", "))
    converted, returned = conn.execute(
        f"SELECT count(*) FILTER (has_zone), count(*) FILTER (quantity < 0) FROM {LINES}"
    ).fetchall()[0]
    # Equal lines lie together, and those of an order are of one customer.
    repeated = count(conn, f"SELECT count(*) FROM (SELECT {same} AS same FROM {LINES}) WHERE same")
    told = {
        f"times with an offset from UTC, taken as days in {zone}": converted,
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
        "SELECT count(*) FROM (SELECT 1 FROM {lines} GROUP BY customer_id, product_id"
        " HAVING CAST(min(ordered_at) AS DATE) < CAST(max(ordered_at) AS DATE))"
    )
    looked_at = (f"(SELECT * FROM {LINES} LIMIT {_FEW})", LINES)
    if not any(count(conn, repeats.format(lines=some)) for some in looked_at):
        yield Finding("order_lines", NO_REPEATS, lines)


def _returns(conn: duckdb.DuckDBPyConnection) -> str:
    day = "CAST(ordered_at AS DATE) AS day"
    return str(returned(conn, f"SELECT product_id, customer_id, {day}, quantity FROM {LINES}"))
