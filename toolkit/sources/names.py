"""Tables of other names: which table and column of a database stands for which of ours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.sources.embedded.tables import OPTIONAL, TABLES

DEFAULT_SCHEMA = "dbo"

_TABLE = re.compile(rf'\b{DEFAULT_SCHEMA}\.(?:"(\w+)"|(\w+))')


@dataclass(frozen=True, slots=True)
class TableNames:
    """Where a table of ours lies and what its columns are called there, by our names.

    ``made`` is SQL for columns of ours that have to be made of the table's, which is called ``t``,
    and of what is ``joined`` to it.
    """

    schema: str
    table: str
    columns: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    joined: str = ""

    def column(self, ours: str) -> str:
        """The name that a column of ours has there."""
        return self.columns.get(ours, ours)

    def relation(self, columns: Sequence[str]) -> str:
        """A relation with columns of ours, as SQL writes it.

        A subquery that renames columns costs nothing: the server sees through it.
        """
        if all(self.column(ours) == ours and ours not in self.made for ours in columns):
            return self.quoted
        of_table = "t." if self.made else ""
        named = {ours: f"{of_table}{quoted(self.column(ours))}" for ours in columns}
        listed = ", ".join(f"{self.made.get(c, there)} AS {c}" for c, there in named.items())
        return f"(SELECT {listed} FROM {self.quoted}{f' t{self.joined}' if self.made else ''})"

    @property
    def quoted(self) -> str:
        """The table as SQL writes it."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def shown(self) -> str:
        """The table as a person writes it."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the five tables in a database; those that are not given are ours.

    ``timezone`` is that of the business, whose days its orders are of.
    """

    tables: Mapping[str, TableNames] = field(default_factory=dict)
    timezone: str | None = None

    def __getitem__(self, table: str) -> TableNames:
        """Where a table of ours lies."""
        return self.tables.get(table) or TableNames(DEFAULT_SCHEMA, table)

    def applied_to(self, sql: str) -> str:
        """A query of ours on the tables as they are called there.

        >>> names = Names({"Client": TableNames("crm", "Shops", {"ID": "ShopID"})})
        >>> names.applied_to("SELECT c.ID, c.Name FROM dbo.Client c")
        'SELECT c.ID, c.Name FROM (SELECT "ShopID" AS ID, "Name" AS Name FROM "crm"."Shops") c'
        """
        return _TABLE.sub(lambda found: self._relation(found[1] or found[2], found[0], sql), sql)

    def _relation(self, table: str, plain: str, sql: str) -> str:
        """The optional columns are those that the query names: others need not be there."""
        if table not in TABLES or table not in self.tables:
            return plain
        names = self.tables[table]
        more = [*OPTIONAL.get(table, {}), *(c for c in names.made if c not in TABLES[table])]
        asked = [c for c in more if re.search(rf"\b{c}\b", sql)]
        return names.relation([*TABLES[table], *asked])


PLAIN_NAMES = Names()


def quoted(name: str) -> str:
    """An identifier in double quotes, which both databases take.

    >>> quoted("order lines")
    '"order lines"'
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
