"""The few system views that a check of a server asks, made for a DuckDB database."""

from collections.abc import Iterable

import duckdb

_TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "int",
    "DOUBLE": "float",
    "FLOAT": "real",
    "VARCHAR": "nvarchar",
    "DATE": "date",
    "TIMESTAMP": "datetime2",
    "TIMESTAMP WITH TIME ZONE": "datetimeoffset",
}


def add_catalog(
    conn: duckdb.DuckDBPyConnection,
    indexed: Iterable[tuple[str, str]] = (),
    snapshot: bool = True,
    snapshot_isolation: bool = False,
    database: str = "Sales",
) -> None:
    """Create schema ``sys``. ``indexed`` are pairs of a table and the column its index begins with.

    Tables that are made later are not in it; call it again.
    """
    cases = " ".join(f"WHEN '{duck}' THEN '{sql}'" for duck, sql in _TYPES.items())
    conn.execute(f"""
        CREATE SCHEMA IF NOT EXISTS sys;
        CREATE OR REPLACE VIEW sys.information_schema_columns AS
            SELECT table_schema, table_name, column_name, numeric_scale,
                   CASE data_type {cases} ELSE lower(split_part(data_type, '(', 1)) END AS data_type
            FROM information_schema.columns;
        CREATE OR REPLACE TABLE sys.schemas AS
            SELECT oid AS schema_id, schema_name AS name FROM duckdb_schemas();
        CREATE OR REPLACE TABLE sys.objects AS
            SELECT table_oid AS object_id, schema_oid AS schema_id, table_name AS name
            FROM duckdb_tables();
        CREATE OR REPLACE TABLE sys.columns AS
            SELECT table_oid AS object_id, column_index AS column_id, column_name AS name
            FROM duckdb_columns();
        CREATE OR REPLACE TABLE sys.indexed (table_name VARCHAR, column_name VARCHAR);
        CREATE OR REPLACE TABLE sys.index_columns AS
            SELECT object_id, 0 AS index_id, 0 AS column_id, 1 AS key_ordinal FROM sys.objects
            WHERE false;
        CREATE OR REPLACE TABLE sys.databases AS
            SELECT '{database}' AS name, {snapshot} AS is_read_committed_snapshot_on,
                   {int(snapshot_isolation)} AS snapshot_isolation_state;
    """)
    for pair in indexed:
        conn.execute("INSERT INTO sys.indexed VALUES ($1, $2)", list(pair))
    conn.execute("""
        INSERT INTO sys.index_columns
            SELECT o.object_id, row_number() OVER (), c.column_id, 1
            FROM sys.indexed i JOIN sys.objects o ON o.name = i.table_name
            JOIN sys.columns c ON c.object_id = o.object_id AND c.name = i.column_name;
        CREATE OR REPLACE TABLE sys.indexes AS
            SELECT object_id, index_id, 0 AS is_disabled, 0 AS has_filter FROM sys.index_columns;
    """)
