"""Columns of a SQL Server that are not of our types, and SQL that makes ours of them.

A key that is text or a ``uniqueidentifier`` is a code, and has the number that files' codes have
(``toolkit.data.ids``). Which keys are equal, whatever their case and trailing blanks, is the
server's to say, by their collation: each counts as it is written where it belongs.

An instant (``datetimeoffset``) becomes the local time in the zone of the business. SQL Server knows
zones by Windows' names only, and their rules of its own: so the offsets are spelled out, as Python
has them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from toolkit.data.ids import Kind
from toolkit.data.zones import offsets
from toolkit.errors import DataError, Finding
from toolkit.sources.codes import Coded
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.names import Names, quoted
from toolkit.sources.sqlserver.catalog import COLUMNS
from toolkit.sources.sqlserver.copy import Server

INSTANT = "datetimeoffset"
GUID = "uniqueidentifier"
TEXTS = ("char", "nchar", "varchar", "nvarchar")
KEYS = (GUID, *TEXTS)
OWNERS = {
    ("ClientAgreement", "ClientID"): "Client",
    ("Order", "ClientAgreementID"): "ClientAgreement",
    ("OrderItem", "OrderID"): "Order",
    ("OrderItem", "ProductID"): "Product",
}
"""The table whose keys a column holds."""

MERGED = """
SELECT COUNT_BIG(*) AS Lines, MIN(CONCAT(t.{column}, ' for ', o.{id})) AS Example
FROM {here} t
INNER JOIN {there} o ON o.{id} = t.{column}
WHERE HASHBYTES('SHA2_256', CAST(t.{column} AS NVARCHAR(4000)))
   <> HASHBYTES('SHA2_256', CAST(o.{id} AS NVARCHAR(4000)))"""
"""Rows whose key the owner writes otherwise: by their collations these are equal."""

KINDS_OF: Mapping[str, Kind] = {"Product": "product", "Client": "customer"}
_UTF8 = "Latin1_General_100_BIN2_UTF8"
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
    tables = dict(names.tables)
    for table in TABLES:
        made, joined = _keys(names, table, found)
        for column in (c for t, c in _instants(names, found) if t == table):
            if names.timezone is not None:
                there = f"t.{quoted(names[table].column(column))}"
                made[column] = local_time(there, names.timezone)
        if made:
            tables[table] = replace(names[table], made=made, joined=joined)
    return Names(tables, names.timezone)


def key_problem(names: Names, table: str, column: str, found: Columns) -> str | None:
    """Why a key that is text cannot be one; None if it can."""
    owner = OWNERS.get((table, column), table)
    theirs = find_column(names, owner, "ID", found)
    if theirs is None or theirs[0].lower() in KEYS or TABLES[table][column] != "BIGINT":
        return None
    return f"is text, where {names[owner].shown}.{names[owner].column('ID')} is {theirs[0]}"


def _keys(names: Names, table: str, found: Columns) -> tuple[dict[str, str], str]:
    """SQL for the keys of a table that are codes, and for what is joined to it for them."""
    made: dict[str, str] = {}
    joined = ""
    for column, expected in TABLES[table].items():
        known = find_column(names, table, column, found)
        if expected != "BIGINT" or known is None or known[0].lower() not in KEYS:
            continue
        here, owner = f"t.{quoted(names[table].column(column))}", OWNERS.get((table, column))
        code = _code(here, known[0])
        theirs = owner and find_column(names, owner, "ID", found)
        if owner and theirs and theirs[0].lower() in KEYS:
            there = f"{owner}_.{quoted(names[owner].column('ID'))}"
            joined += f" LEFT JOIN {names[owner].quoted} {owner}_ ON {there} = {here}"
            code = f"COALESCE({_code(there, theirs[0])}, {code})"
        made[column] = _number(code, (owner or table) in KINDS_OF)
        if column == "ID" and table in KINDS_OF:
            made["Code"] = code
    return made, joined


def _code(column: str, type_: str) -> str:
    """A code as text, in UTF-8, of which its number is made."""
    if type_.lower() == GUID:
        return f"UPPER(CAST({column} AS VARCHAR(36)))"
    return f"CAST(LTRIM(RTRIM({column})) COLLATE {_UTF8} AS VARCHAR(8000))"


def _number(code: str, shown: bool) -> str:
    """The first bits of the SHA-256: 53 as ``number_of`` has, or 63 of what is shown nowhere."""
    hashed = f"HASHBYTES('SHA2_256', {code})"
    if shown:
        return f"CAST(SUBSTRING({hashed}, 1, 7) AS BIGINT) / 8"
    return f"CAST(SUBSTRING({hashed}, 1, 8) AS BIGINT) & {2**63 - 1}"


def codes_there(server: Server, names: Names) -> dict[Kind, Coded]:
    """The codes of products and customers; the server is asked by the ``names`` that were made.

    Raises ``DataError`` for codes that would have to share a number.
    """
    return {
        kind: _coded(server, names, table)
        for table, kind in KINDS_OF.items()
        if "Code" in names[table].made
    }


def _coded(server: Server, names: Names, table: str) -> Coded:
    rows = server.named(names).ask(f"codes of {table}", f"SELECT c.ID, c.Code FROM dbo.{table} c")
    codes = {int(str(number)): str(code) for number, code in rows if number is not None}
    if len(codes) < len({str(code) for number, code in rows if number is not None}):
        rule = "keys that share a number inside, or differ by leading blanks only"
        raise DataError("the SQL Server", [Finding(names[table].shown, rule, 0)])
    numbers = sorted(codes)
    listed = pa.array([codes[number] for number in numbers], pa.string())
    return Coded(np.array(numbers, dtype=np.int64), listed)


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
