"""What was understood of files of order lines: which column is what, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from toolkit.sources.folder.files import LAYOUT
from toolkit.sources.folder.id_texts import escaped
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.reading import TableRead

SAMPLES = 3
_LOOKED_AT = 10_000
_LONGEST = 24
_NEEDLESS = {"DOUBLE": ".0", "TIMESTAMP": " 00:00:00"}
"""What need not be shown of values of a type."""


@dataclass(frozen=True, slots=True)
class UnderstoodColumn:
    """A field of an order line: its column, three of its values, and how those are read."""

    field: str
    column: str
    samples: tuple[str, ...]
    read_as: str


@dataclass(frozen=True, slots=True)
class Understood:
    """What was understood of the order lines, and the mapping that would say so again.

    ``usual``: each column is called and written as ``docs/your_orders.md`` has it.
    """

    columns: tuple[UnderstoodColumn, ...]
    mapping: OrderMapping
    usual: bool

    def __str__(self) -> str:
        """A table for a person."""
        head = ("field", "column", "values", "read as")
        rows = [head] + [
            (c.field, c.column, " · ".join(c.samples), c.read_as) for c in self.columns
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if self.mapping.encoding:
            lines.append(f"The text is read as {self.mapping.encoding}.")
        return "\n".join(lines)


def understood(conn: duckdb.DuckDBPyConnection, read: TableRead, asked: OrderMapping) -> Understood:
    """What was understood of the staged order lines."""
    file = read.file
    called = {field: file.called[field] for field in file.kinds if field in file.called}
    columns = tuple(_column(conn, read, field, column) for field, column in called.items())
    columns += tuple(
        UnderstoodColumn(field, "", (), f"{value} in all lines")
        for field, value in file.constants.items()
    )
    found = {
        "date_format": read.date_format,
        "decimal": read.decimal,
        "thousands": read.thousands,
        "encoding": read.encoding,
    }
    mapping = asked.with_options({**found, "columns": called}).with_options(asked.as_toml())
    odd = file.said or file.constants or read.encoding
    usual = not odd and set(called) >= set(LAYOUT["order_lines"])
    return Understood(columns, mapping, usual and all(f == c for f, c in called.items()))


def _column(
    conn: duckdb.DuckDBPyConnection, read: TableRead, field: str, column: str
) -> UnderstoodColumn:
    values = conn.execute(
        f'SELECT CAST("{field}" AS VARCHAR) FROM {read.file.relation}'
        f' WHERE "{field}" IS NOT NULL LIMIT {_LOOKED_AT}'
    ).fetchall()
    end = _NEEDLESS.get(read.file.types[field], "")
    samples = list(dict.fromkeys(str(value).removesuffix(end) for (value,) in values))[:SAMPLES]
    said = read.file.said.get(field, "")
    if said and field in read.file.casts and samples:
        cast = read.file.casts[field]
        found = conn.execute(  # of a row, since files may be written in several ways
            f"SELECT CAST({cast} AS VARCHAR) FROM {read.file.relation}"
            f' WHERE CAST("{field}" AS VARCHAR) = ? LIMIT 1',
            [samples[0]],
        ).fetchone()
        said = f"{said}: {found[0]}" if found and found[0] is not None else said
    return UnderstoodColumn(field, column, tuple(_short(samples)), said)


def _short(samples: Sequence[str]) -> list[str]:
    return [
        text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        for text in map(escaped, samples)
    ]
