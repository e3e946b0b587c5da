"""A file of products that others replaced: read, checked against the orders' products, numbered."""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from toolkit.data.ids import number_of, plain_code
from toolkit.errors import Finding
from toolkit.sources.folder.files import Staged, shown
from toolkit.sources.folder.rows import UnreadableError
from toolkit.sources.folder.text import open_csv
from toolkit.sources.replaced import Replaced, circles

FIELDS: Mapping[str, Collection[str]] = {
    "old_product": ("oldproduct", "oldproductid", "old"),
    "new_product": ("newproduct", "newproductid", "new", "replacedby"),
    "date": ("date", "replacedon", "since", "sincedate", "startdate"),
}
"""The columns, and what they may be called, too, without signs that are no letters."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file, its products as whole numbers or codes; no date where it is none."""

    place: str
    old: str
    new: str
    day: date | None
    date_text: str


@dataclass(frozen=True, slots=True)
class ReplacesFile:
    """What a file says of replaced products, and what is wrong with it by itself."""

    name: str
    lines: tuple[_Line, ...] = ()
    failures: tuple[Finding, ...] = ()

    def of_files(self, conn: duckdb.DuckDBPyConnection, tables: Iterable[Staged]) -> list[Finding]:
        """All that is wrong with it; with products that are none of the staged ``tables``, too."""
        holding = [t.table for t in tables if "product_id" in t.columns]
        if not holding:
            return [*self.failures]
        named = "products" if "products" in holding else holding[0]
        return self.broken(conn, f"SELECT DISTINCT product_id FROM staged_{named}")

    def broken(self, conn: duckdb.DuckDBPyConnection, products: str) -> list[Finding]:
        """The same with products that are not among ``products``, SQL for their ids."""
        found = conn.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({products})").fetchall()
        known = {product for (product,) in found}
        unknown = [
            f"{line.place}: {product}"
            for line in self.lines
            for product in (line.old, line.new)
            if product and product not in known
        ]
        return [*self.failures, *_finding(self.name, "product is unknown", unknown)]

    def numbered(self, are_codes: bool) -> tuple[Replaced, ...]:
        """The replacements by the numbers of the products; nothing may be wrong with them."""
        number = number_of if are_codes else int
        return tuple(
            Replaced(number(line.old), number(line.new), line.day)
            for line in self.lines
            if line.day is not None
        )


def read_replaces(file: Path, room: Path) -> ReplacesFile:
    """Read old product, new product and date of each line; all that is wrong comes back with it.

    A product may replace many, and be replaced in turn, but by one other only and in no circle.
    """
    try:
        rows = _rows(file, room)
    except UnicodeDecodeError as exc:
        return _unread(file, f"it is not written in {exc.encoding}")
    except (OSError, csv.Error, UnreadableError) as exc:
        return _unread(file, (isinstance(exc, OSError) and exc.strerror) or str(exc))
    lines = [
        _Line(f"line {number}", plain_code(old), plain_code(new), _day(text), text)
        for number, (old, new, text) in rows
    ]
    return ReplacesFile(file.name, tuple(lines), tuple(_broken(file.name, lines)))


def _rows(file: Path, room: Path) -> list[tuple[int, tuple[str, str, str]]]:
    """The number of each line that is not blank, and its three texts."""
    text = open_csv(file, FIELDS, None, room)
    called = {re.sub("[^a-z]", "", name.lower()): i for i, name in enumerate(text.header)}
    places = [
        next((called[name] for name in names if name in called), None) for names in FIELDS.values()
    ]
    missing = [name for name, place in zip(FIELDS, places, strict=True) if place is None]
    if missing:
        raise csv.Error(
            f"column {', '.join(missing)} is missing; the columns are {', '.join(text.header)}"
        )
    found = []
    with text.path.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.reader(opened, delimiter=text.delimiter)
        for row in reader:
            if reader.line_num <= text.skip + 1 or not any(cell.strip() for cell in row):
                continue
            old, new, day = (
                row[place].strip() if place is not None and place < len(row) else ""
                for place in places
            )
            found.append((reader.line_num, (old, new, day)))
    return found


def _broken(name: str, lines: Sequence[_Line]) -> Iterable[Finding]:
    for field, texts in (("old_product", "old"), ("new_product", "new")):
        empty = [line.place for line in lines if not getattr(line, texts)]
        yield from _finding(name, f"{field} is empty", empty)
    strange = [f"{line.place}: {line.date_text}" for line in lines if line.day is None]
    yield from _finding(name, "date is no date like 2024-01-31", strange)
    themselves = [f"{x.place}: {x.old}" for x in lines if x.old and x.old == x.new]
    yield from _finding(name, "product replaces itself", themselves)
    successors: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.old:
            successors[line.old].append(line.new)
    several = [f"{old}: {', '.join(new)}" for old, new in successors.items() if len(new) > 1]
    yield from _finding(name, "old_product appears more than once", several)
    number = {code: i for i, code in enumerate({x for line in lines for x in (line.old, line.new)})}
    codes = [*number]
    direct = {number[x.old]: number[x.new] for x in lines if x.old and x.old != x.new}
    round_ = [
        " → ".join(codes[i] for i in [*one, one[0]]) for one in circles(direct) if len(one) > 1
    ]
    yield from _finding(name, "products replace each other in a circle", round_)


def _finding(table: str, rule: str, broken: Sequence[str]) -> list[Finding]:
    return [Finding(table, rule, len(broken), shown(broken))] if broken else []


def _unread(file: Path, reason: str) -> ReplacesFile:
    return ReplacesFile(file.name, failures=(Finding(file.name, f"cannot be read: {reason}", 0),))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
