"""The few system views that a check of a server asks, made for a DuckDB database."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

_TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "int",
    "DOUBLE": "float",
    "FLOAT": "real",
    "VARCHAR": "nvarchar",
    "UUID": "uniqueidentifier",
    "DATE": "date",
    "TIMESTAMP": "datetime2",
    "TIMESTAMP WITH TIME ZONE": "datetimeoffset",
}


@dataclass(frozen=True, slots=True)
class Indexed:
    """An index that a table has; ``clustered``: the table itself lies in its order."""

    table: str
    keys: tuple[str, ...]
    included: tuple[str, ...] = ()
    clustered: bool = False


def add_catalog(
    conn: duckdb.DuckDBPyConnection,
    indexed: Iterable[Indexed] = (),
    snapshot: bool = True,
    snapshot_isolation: bool = False,
    database: str = "Sales",
) -> None:
    """Create schema ``sys``. Tables that are made later are not in it; call it again."""
    cases = " ".join(f"WHEN '{duck}' THEN '{sql}'" for duck, sql in _TYPES.items())
    conn.execute(f"""
        CREATE SCHEMA IF NOT EXISTS sys;
        CREATE OR REPLACE MACRO first_bytes(told, n) AS
            CAST(CAST(unhex(sha256(told)[:2 * n]) AS BIT) AS BIGINT);
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
        CREATE OR REPLACE TABLE sys.indexed (
            index_id INTEGER, type INTEGER, table_name VARCHAR, column_name VARCHAR,
            key_ordinal INTEGER
        );
        CREATE OR REPLACE TABLE sys.databases AS
            SELECT '{database}' AS name, {snapshot} AS is_read_committed_snapshot_on,
                   {int(snapshot_isolation)} AS snapshot_isolation_state;
    """)
    for number, index in enumerate(indexed, start=1):
        kind = 1 if index.clustered else 2
        ordinals = {
            **dict.fromkeys(index.included, 0),
            **{k: i for i, k in enumerate(index.keys, 1)},
        }
        for column, ordinal in ordinals.items():
            row = [number, kind, index.table, column, ordinal]
            conn.execute("INSERT INTO sys.indexed VALUES ($1, $2, $3, $4, $5)", row)
    conn.execute("""
        CREATE OR REPLACE TABLE sys.index_columns AS
            SELECT o.object_id, i.index_id, c.column_id, i.key_ordinal, i.type
            FROM sys.indexed i JOIN sys.objects o ON o.name = i.table_name
            JOIN sys.columns c ON c.object_id = o.object_id AND c.name = i.column_name;
        CREATE OR REPLACE TABLE sys.indexes AS
            SELECT DISTINCT object_id, index_id, type, 0 AS is_disabled, 0 AS has_filter
            FROM sys.index_columns;
    """)
