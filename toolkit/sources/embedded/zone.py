"""The time zone of an order database: whose days its orders are of, and whose today is today."""

import duckdb


def keep_zone(conn: duckdb.DuckDBPyConnection, zone: str | None) -> None:
    """Write the zone into ``dbo.TimeZone``, if there is one."""
    if zone is not None:
        conn.execute("CREATE OR REPLACE TABLE dbo.TimeZone AS SELECT $1 AS Name", [zone])


def zone_of(conn: duckdb.DuckDBPyConnection) -> str | None:
    """The zone that was named when the orders were imported; None where none was."""
    with conn.cursor() as cursor:
        found = cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'dbo'"
            " AND table_name = 'TimeZone' AND table_catalog = current_catalog()"
        ).fetchall()
        named = cursor.execute("SELECT Name FROM dbo.TimeZone").fetchall() if found else []
    return str(named[0][0]) if named else None
