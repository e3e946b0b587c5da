"""How files of order lines are to be read: a mapping, settled once and given again as TOML."""

import codecs
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from toolkit.data.zones import known_zone
from toolkit.disk import whole_file
from toolkit.errors import ArgumentError
from toolkit.sources.embedded.tables import OPTIONAL, TABLES
from toolkit.sources.folder.spellings import LINE_FIELDS
from toolkit.sources.names import DEFAULT_SCHEMA, Names, TableNames
from toolkit.validation import CLOSED, has_to_be, parse, read_toml, unknown

PER_FILE = "per-file"
"""Decimal signs are those that each file has."""

UNKNOWN = "unknown"
"""The price that a constant says nobody knows."""

type Decimal = Literal[".", ",", "per-file"]
type Thousands = Literal[".", ",", " ", "'"]
type Text = Annotated[str, Field(min_length=1)]
type SqlName = Annotated[str, Field(pattern="^[^%]+$"), has_to_be("a name without %")]

DATE_ORDERS = ("day-first", "month-first", "year-first", "excel-days", "named-months")

_DIRECTIVE = re.compile("%-?[aAbBdfgHIjmMpSyYz%]")


def _date_format(text: str) -> str:
    directives = re.findall("%-?.?", text)
    known = all(_DIRECTIVE.fullmatch(one) for one in directives)
    if text not in DATE_ORDERS and not (directives and known):
        listed = ", ".join(DATE_ORDERS)
        raise ValueError(f"has to be one of {listed} or a format like %d.%m.%Y, got {text!r}")
    return text


def _encoding(text: str) -> str:
    try:
        codecs.lookup(text)
    except LookupError:
        raise ValueError(f"has to be an encoding like utf-8 or cp1252, got {text!r}") from None
    return text


@dataclass(frozen=True, slots=True, config=CLOSED)
class ServerTable:
    """Where a table lies on a SQL Server, and what its columns are called there."""

    schema: SqlName = DEFAULT_SCHEMA
    name: SqlName | None = None
    columns: Mapping[str, SqlName] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=CLOSED)
class OrderMapping:
    """How orders are to be read; of files, what is left out is found in them.

    ``columns`` has the column of a field (``customer_id``), ``date_format`` is ``day-first``,
    ``month-first``, ``year-first``, ``excel-days``, ``named-months`` or a format like ``%d.%m.%Y``.
    ``decimal`` may be ``per-file``, where files differ; ``sheet`` is that of a workbook.
    ``constants`` have the value, for all lines, of a field that no column has; ``unit_price`` may
    be ``unknown``. ``timezone`` (``Europe/Berlin``) is that of the business: instants are of its
    days. Lines of ``exclude_products`` (postage, fees) are left out. ``replaces`` is a CSV file of
    replaced products: ``old_product``, ``new_product`` and ``date``. ``tables`` (``OrderItem``) are
    those of a SQL Server that are called otherwise there.

    >>> OrderMapping(columns={"customer_id": "CustomerID"}, decimal=",").decimal
    ','
    """

    columns: Mapping[str, Text] = Field(default_factory=dict)
    date_format: Annotated[str, AfterValidator(_date_format)] | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    timezone: Annotated[str, AfterValidator(known_zone)] | None = None
    exclude_products: tuple[Text, ...] = ()
    sheet: Text | None = None
    constants: Mapping[str, Text] = Field(default_factory=dict)
    replaces: Text | None = None
    tables: Mapping[str, ServerTable] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A mapping that was saved. ``ArgumentError`` with everything that is wrong in it."""
        return cls.of(read_toml(path), f"the mapping {path}")

    @classmethod
    def of(cls, content: Mapping[str, object], name: str) -> Self:
        """The mapping that ``content`` describes. ``ArgumentError`` with all that is wrong.

        What is said of the SQL Server itself (``[mssql]``) is no part of it.
        """
        content = {key: value for key, value in content.items() if key != "mssql"}
        return parse(cls, content, name, more=cls.mistakes(content))

    @staticmethod
    def mistakes(content: Mapping[str, object]) -> list[str]:
        """What is wrong beyond the kinds of values: unknown names, signs that are the same."""
        more = unknown("columns", content.get("columns"), LINE_FIELDS)
        more += unknown("constants", content.get("constants"), LINE_FIELDS[:6])
        more += _twice(content.get("columns"), content.get("constants"))
        if content.get("decimal") == PER_FILE and content.get("thousands"):
            more.append(f"thousands: not with decimal {PER_FILE}")
        more += _unknown_tables(content.get("tables"))
        if content.get("decimal") is not None and content["decimal"] == content.get("thousands"):
            more.append(f"decimal and thousands are both {content['decimal']!r}")
        return more

    @property
    def names(self) -> Names:
        """What the tables of a SQL Server are called there, and whose days count."""
        tables = {
            ours: TableNames(table.schema, table.name or ours, table.columns)
            for ours, table in self.tables.items()
        }
        return Names(tables, self.timezone)

    def with_options(self, options: Mapping[str, object]) -> Self:
        """The same with what was given beside it, which prevails; None and nothing are not."""
        given = {name: value for name, value in options.items() if value}
        columns = {**self.columns, **given.pop("columns", {})}  # type: ignore[dict-item]
        constants = {**self.constants, **given.pop("constants", {})}  # type: ignore[dict-item]
        content = {**self.as_toml(), **given, "columns": columns, "constants": constants}
        return self.of(content, "the mapping")

    def as_toml(self) -> dict[str, object]:
        """Its content without what is left out."""
        settled: dict[str, object] = {
            "date_format": self.date_format,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "encoding": self.encoding,
            "sheet": self.sheet,
            "timezone": self.timezone,
            "exclude_products": list(self.exclude_products),
            "replaces": self.replaces,
            "columns": dict(self.columns),
            "constants": dict(self.constants),
            "tables": {ours: _table_toml(table) for ours, table in self.tables.items()},
        }
        return {name: value for name, value in settled.items() if value}

    def save(self, path: Path) -> None:
        """Write it as TOML, for ``read``."""
        lines = _toml_lines(self.as_toml())
        with whole_file(path) as part:
            part.write_text("\n".join(lines).lstrip() + "\n", encoding="utf-8")


def holds_mapping(file: Path) -> bool:
    """Whether a file is a mapping that ``read`` takes."""
    try:
        OrderMapping.read(file)
    except ArgumentError:
        return False
    return True


def fields_given(texts: list[str], option: str, example: str) -> dict[str, str]:
    """``["customer_id=CustomerID"]`` by field. ``ArgumentError`` for what is no such text."""
    wrong = [text for text in texts if not all(text.partition("=")[::2])]
    if wrong:
        raise ArgumentError(f"{option} has to be {example}, got {', '.join(wrong)}")
    return {field.strip(): name.strip() for field, _, name in (t.partition("=") for t in texts)}


def _twice(columns: object, constants: object) -> list[str]:
    """Fields that are said to have both a column and a constant."""
    if not isinstance(columns, Mapping) or not isinstance(constants, Mapping):
        return []
    both = [field for field in columns if field in constants]
    return [f"{field}: is both a column ({columns[field]}) and a constant" for field in both]


def _unknown_tables(tables: object) -> list[str]:
    """Tables and columns that are none of ours."""
    wrong = unknown("tables", tables, list(TABLES))
    for ours, table in tables.items() if isinstance(tables, dict) else ():
        if ours in TABLES and isinstance(table, dict):
            columns = [*TABLES[ours], *OPTIONAL.get(ours, ())]
            wrong += unknown(f"tables.{ours}.columns", table.get("columns"), columns)
    return wrong


def _table_toml(table: ServerTable) -> dict[str, object]:
    said = {"schema": table.schema, "name": table.name, "columns": dict(table.columns)}
    return {name: value for name, value in said.items() if value}


def _toml_lines(content: Mapping[str, object], place: str = "") -> list[str]:
    """Texts and lists of texts as TOML writes them, which is as JSON does; tables come last."""
    tables = {name: value for name, value in content.items() if isinstance(value, dict)}
    plain = {name: value for name, value in content.items() if name not in tables}
    lines = ["", f"[{place}]"] if place and plain else []
    lines += [f"{name} = {json.dumps(v, ensure_ascii=False)}" for name, v in plain.items()]
    for name, table in tables.items():
        lines += _toml_lines(table, f"{place}.{name}".removeprefix("."))
    return lines
