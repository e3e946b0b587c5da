"""What SQL Server says of its tables, and what the queries would like it to have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolkit.sources.names import Names, quoted

VERSION = """
SELECT CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)) AS Version,
       CAST(SERVERPROPERTY('EngineEdition') AS INT) AS Edition"""

SNAPSHOT = """
SELECT d.is_read_committed_snapshot_on, d.snapshot_isolation_state
FROM sys.databases d
WHERE d.name = DB_NAME()"""

COLUMNS = """
SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.NUMERIC_SCALE
FROM INFORMATION_SCHEMA.COLUMNS c
WHERE c.TABLE_NAME IN (:tables)"""

INDEXES = """
SELECT s.name AS SchemaName, o.name AS TableName, i.index_id AS Number, i.type AS Kind,
       c.name AS ColumnName, ic.key_ordinal AS Place
FROM sys.indexes i
INNER JOIN sys.objects o ON o.object_id = i.object_id
INNER JOIN sys.schemas s ON s.schema_id = o.schema_id
INNER JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
INNER JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE o.name IN (:tables)
  AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.has_filter = 0"""
"""The columns of every index of rows, with their place among its keys; 0: only held."""

_CLUSTERED = 1

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_EXACT = ("decimal", "numeric")
_FAMILIES = {
    "BIGINT": ("a whole number", _WHOLE),
    "DOUBLE": ("a number", (*_WHOLE, *_EXACT, "money", "smallmoney", "float", "real")),
    "TIMESTAMP": (
        "a date or time without a zone",
        ("date", "datetime", "datetime2", "smalldatetime"),
    ),
    "VARCHAR": ("text", ("char", "nchar", "varchar", "nvarchar", "text", "ntext")),
}


def type_problem(expected: str, found: str, scale: int | None) -> str | None:
    """Why a column of SQL Server's type cannot stand for one of ours; None if it can.

    >>> type_problem("BIGINT", "nvarchar", None)
    'is nvarchar, not a whole number'
    """
    name, family = _FAMILIES[expected]
    whole = expected == "BIGINT" and found.lower() in _EXACT and not scale
    return None if whole or found.lower() in family else f"is {found}, not {name}"


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a query would use: rows are found by its first key, and the rest is read."""

    table: str
    keys: tuple[str, ...]
    included: tuple[str, ...]
    purpose: str

    def create(self, names: Names, online: bool) -> str:
        """The statement that makes it; ``online``: without a lock, which not every edition can."""
        there = names[self.table]
        keys = ", ".join(quoted(there.column(key)) for key in self.keys)
        included = ", ".join(quoted(there.column(column)) for column in self.included)
        name = quoted("_".join(["IX", there.table, *map(there.column, self.keys)]))
        more = f" INCLUDE ({included})" if included else ""
        how = " WITH (ONLINE = ON)" if online else ""
        return f"CREATE INDEX {name} ON {there.quoted} ({keys}){more}{how}"

    def lacking(self, names: Names, held: Sequence["Held"]) -> list[str] | None:
        """What the best index lacks that begins with the first key; None: none begins with it.

        The clustered index is the table, and its keys are in every other index.
        """
        there = names[self.table]
        first, *rest = [there.column(c) for c in (*self.keys, *self.included)]
        everywhere = {column for index in held if index.clustered for column in index.places}
        lacking = [
            []
            if index.clustered
            else [c for c in rest if c.lower() not in index.places.keys() | everywhere]
            for index in held
            if index.places.get(first.lower()) == 1
        ]
        return min(lacking, key=len, default=None)


@dataclass(frozen=True, slots=True)
class Held:
    """An index that a table has: its columns, in lower case, and their places among the keys."""

    clustered: bool
    places: dict[str, int]


def held_indexes(rows: Iterable[Sequence[object]]) -> dict[tuple[str, str], list[Held]]:
    """The rows of ``INDEXES`` by schema and table, in lower case."""
    found: dict[tuple[str, str], dict[str, Held]] = {}
    for schema, table, number, kind, column, place in rows:
        indexes = found.setdefault((str(schema).lower(), str(table).lower()), {})
        index = indexes.setdefault(str(number), Held(kind == _CLUSTERED, {}))
        index.places[str(column).lower()] = int(str(place))
    return {where: list(indexes.values()) for where, indexes in found.items()}


WANTED = (
    Index(
        "OrderItem",
        ("ProductID", "Created"),
        ("OrderID", "Qty", "PricePerItem"),
        "by which every forecast looks its lines up",
    ),
    Index(
        "OrderItem",
        ("OrderID",),
        ("ProductID", "Qty", "Created"),
        "by which the lines of customers' orders are looked up",
    ),
    Index(
        "OrderItem",
        ("Created", "ID"),
        ("OrderID", "ProductID", "Qty", "PricePerItem"),
        "by which an import reads a month",
    ),
    Index("Order", ("ID",), ("ClientAgreementID", "Created"), "by which lines find their order"),
    Index(
        "Order", ("ClientAgreementID",), ("Created",), "by which customers' orders are looked up"
    ),
    Index("Order", ("Created", "ID"), ("ClientAgreementID",), "by which an import reads a month"),
    Index("ClientAgreement", ("ID",), ("ClientID",), "by which orders find their customer"),
    Index("ClientAgreement", ("ClientID",), ("ID",), "by which customers find their orders"),
    Index("Client", ("ID",), ("Name",), "by which names are looked up"),
    Index("Product", ("ID",), ("Name",), "by which names are looked up"),
)
