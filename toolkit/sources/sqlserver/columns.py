"""Columns of a SQL Server that are not of our types, and SQL that makes ours of them.

An instant (``datetimeoffset``) becomes the local time in the zone of the business. SQL Server knows
zones by Windows' names only, and their rules of its own: so the offsets are spelled out, as Python
has them.
"""

from collections.abc import Mapping
from dataclasses import replace

from toolkit.data.zones import offsets
from toolkit.errors import DataError, Finding
from toolkit.sources.embedded.database import TABLES
from toolkit.sources.names import Names, quoted
from toolkit.sources.sqlserver.catalog import COLUMNS
from toolkit.sources.sqlserver.copy import Server

INSTANT = "datetimeoffset"
NO_ZONE = (
    "is datetimeoffset, so that its day depends on the place: give the time zone of the business, "
    "as --timezone Europe/Berlin or timezone in the file of --config"
)

type Columns = Mapping[tuple[str, str, str], tuple[str, int | None]]
"""Type and scale by schema, table and column in lower case."""


def columns_there(server: Server, names: Names) -> Columns:
    """Every column of tables that are called as ours are there."""
    tables = [names[table].table for table in TABLES]
    rows = server.ask("the columns", COLUMNS, {"tables": tables})
    return {
        (str(schema).lower(), str(table).lower(), str(column).lower()): (
            str(type_),
            None if scale is None else int(str(scale)),
        )
        for schema, table, column, type_, scale in rows
    }


def find_column(
    names: Names, table: str, column: str, found: Columns
) -> tuple[str, int | None] | None:
    """Type and scale of a column of ours; None where it is not there."""
    there = names[table]
    return found.get((there.schema.lower(), there.table.lower(), there.column(column).lower()))


def is_instant(column: str, type_: str) -> bool:
    """Whether a column of ours of that type there holds instants."""
    return type_.lower() == INSTANT and column == "Created"


def refuse_without_zone(names: Names, found: Columns) -> None:
    """Raise ``DataError`` for instants where no zone is named."""
    wrong = [
        Finding(f"{names[table].shown}.{names[table].column(column)}", NO_ZONE, 0)
        for table, column in _instants(names, found)
        if names.timezone is None
    ]
    if wrong:
        raise DataError("the SQL Server", wrong)


def made_of(names: Names, found: Columns) -> Names:
    """The names with SQL for what has to be made of the columns that were found."""
    if names.timezone is None:
        return names
    tables = dict(names.tables)
    for table, column in _instants(names, found):
        there = names[table]
        local = local_time(f"t.{quoted(there.column(column))}", names.timezone)
        tables[table] = replace(there, made={**there.made, column: local})
    return Names(tables, names.timezone)


def _instants(names: Names, found: Columns) -> list[tuple[str, str]]:
    """Tables and columns of ours that hold instants."""
    return [
        (table, column)
        for table, columns in TABLES.items()
        for column in columns
        if (known := find_column(names, table, column, found)) and is_instant(column, known[0])
    ]


def local_time(instant: str, zone: str) -> str:
    """T-SQL for what clocks in a zone show at an instant."""
    (*changes, (_, first)) = offsets(zone)
    whens = [
        f"WHEN {instant} >= CAST('{since:%Y-%m-%dT%H:%M:%S}+00:00' AS DATETIMEOFFSET) THEN {ahead}"
        for since, ahead in changes
    ]
    minutes = f"CASE {' '.join(whens)} ELSE {first} END" if whens else str(first)
    utc = f"CAST(SWITCHOFFSET({instant}, '+00:00') AS DATETIME2)"
    return f"DATEADD(MINUTE, {minutes}, {utc})"
