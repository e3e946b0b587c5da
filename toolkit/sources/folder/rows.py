"""A table's rows as a relation with its columns by field, before their values are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from toolkit.errors import Finding
from toolkit.sources.folder.files import Row
from toolkit.sources.folder.id_texts import MISSING
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.numbers import ONE, Parts
from toolkit.sources.folder.questions import Question
from toolkit.sources.folder.spellings import LINE_FIELDS, Recognised, recognise

FIELDS = {
    "order_lines": LINE_FIELDS,
    "products": ("product_id", "name", "category"),
    "customers": ("customer_id", "name"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a table: the mapping, tables derived from lines, and room for copies."""

    mapping: OrderMapping
    room: Path
    derived: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table's files: ``types`` has those of the columns by field.

    ``header`` are all columns where they come from, ``found`` the ones that are meant. Texts of the
    columns in ``plain`` are written in the usual way for sure.
    """

    relation: str
    types: dict[str, str]
    row: Row
    header: tuple[str, ...]
    found: Recognised
    parts: Parts = ONE
    plain: frozenset[str] = frozenset()
    failures: tuple[Finding, ...] = ()
    notices: tuple[Finding, ...] = ()
    questions: tuple[Question, ...] = ()
    encoding: str | None = None


class UnreadableError(Exception):
    """Files that cannot be read, in words."""


def meant(table: str, header: Sequence[str], asked: Asked) -> Recognised:
    """The columns of a table that are meant by each field."""
    mapping = asked.mapping if table == "order_lines" else OrderMapping()
    fields = [
        name
        for name in FIELDS[table]
        if name not in ("product_name", "customer_name", "category")
        or table != "order_lines"
        or _derived_of(name) in asked.derived
    ]
    return recognise(header, [f for f in fields if f not in mapping.constants], mapping.columns)


def one_header(headers: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """The columns of several files by name, which have to be the same."""
    (_, first), *others = headers
    for name, header in others:
        if set(header) != set(first):
            odd = ", ".join(sorted(set(header) ^ set(first)))
            raise UnreadableError(f"{name} has other columns than the first file ({odd})")
    return tuple(first)


def one_of_each(header: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, which may not be there twice; those without a name get one."""
    named = [name.strip() or f"column {i}" for i, name in enumerate(header, start=1)]
    folded = [name.lower() for name in named]
    twice = sorted({name for name in named if folded.count(name.lower()) > 1})
    if len(twice) > len({name.lower() for name in twice}):
        raise UnreadableError(f"columns {', '.join(twice)} differ in their case only: rename one")
    if twice:
        raise UnreadableError(f"column {', '.join(twice)} appears twice")
    return tuple(named)


def present(field: str, name: str) -> str:
    """A column of text, NULL where an id is written as missing."""
    column = quoted(name)
    if field.endswith("_id"):
        missing = ", ".join(map(literal, MISSING))
        return f'CASE WHEN {column} IN ({missing}) THEN NULL ELSE {column} END AS "{field}"'
    return f'{column} AS "{field}"'


def typed(field: str, name: str, type_: str) -> str:
    """A column of a type; ids as bytes are text."""
    if type_ == "BLOB" and field.endswith("_id"):
        return f'TRY(decode({quoted(name)})) AS "{field}"'
    if type_ == "VARCHAR":
        return present(field, name)
    return f'{quoted(name)} AS "{field}"'


def any_given(names: Sequence[str]) -> str:
    """SQL for a row that is not empty."""
    return f"({' OR '.join(f'{quoted(name)} IS NOT NULL' for name in names) or 'true'})"


def types_of(conn: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The columns of a relation with their types."""
    described = conn.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {name: type_ for name, type_, *_ in described}


def count(conn: duckdb.DuckDBPyConnection, query: str) -> int:
    """The number that a query counts."""
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def quoted(name: str) -> str:
    """A name in SQL."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def path_literal(path: Path) -> str:
    """A path as SQL text in which ``*``, ``?`` and ``[`` are no wildcards."""
    wild = {ord(sign): f"[{sign}]" for sign in "*?["}
    return literal(str(path).translate(wild))


def literal(text: str) -> str:
    """Text in SQL."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _derived_of(field: str) -> str:
    return "customers" if field == "customer_name" else "products"
