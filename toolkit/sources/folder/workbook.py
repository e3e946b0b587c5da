"""Rows of workbooks (Excel, LibreOffice): the cells of a sheet, of the kinds they have there.

A number is a number and a date a date, whatever either looks like in the sheet; texts are read as
those of CSV files are.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeGuard

import duckdb
import pyarrow as pa

from toolkit.errors import Finding
from toolkit.installed import need
from toolkit.sources.folder.files import ID, LAYOUT, MOMENT, NUMBER, Row, shown
from toolkit.sources.folder.numbers import Parts
from toolkit.sources.folder.questions import Question, choice_of_sheet
from toolkit.sources.folder.rows import (
    Asked,
    Rows,
    UnreadableError,
    literal,
    meant,
    one_header,
    one_of_each,
    typed,
)
from toolkit.sources.folder.spellings import Recognised
from toolkit.sources.folder.values import EXCEL_EPOCH

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

type Cell = str | float | date | None

HEADER_WITHIN = 20
"""Rows in which the header is looked for; of several that may be it, the first."""

MAX_DIGITS = 15
"""Digits of a number that a spreadsheet keeps."""

_PLAIN = re.compile(r"[+-]?[0-9]+([.][0-9]+)?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}([.][0-9]{3})+")
_NUMBER_LIKE = re.compile(r"[+-]?[0-9][0-9.,' \xa0\u202f]*-?")
_DATE_LIKE = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}\b.*")
_DAYS = range(20_000, 80_000)
"""Numbers beside dates that are dates without their format: years 1954 to 2118."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The rows of a sheet below its header, each with its number there."""

    name: str
    header: tuple[str, ...]
    at: int
    below_others: bool
    numbers: list[int]
    rows: list[list[Cell]]

    def cells(self, column: str) -> list[Cell]:
        """Those of a column."""
        at = self.header.index(column)
        return [row[at] for row in self.rows]


@dataclass(frozen=True, slots=True)
class _Column:
    """The values of a field, and what is wrong with them; ``plain``: texts are usual numbers."""

    values: pa.Array
    plain: bool = False
    wrong: str = ""
    cells: tuple[int, ...] = ()


class _OpenQuestionError(Exception):
    def __init__(self, question: Question) -> None:
        super().__init__(str(question))
        self.question = question


def read_workbooks(
    conn: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Path], asked: Asked
) -> Rows:
    """The rows of a table's workbooks. Raises what makes one unreadable."""
    calamine = need("python_calamine", "reading Excel files")
    try:
        sheets = [_sheet(calamine, table, path, asked) for path in parts]
    except _OpenQuestionError as exc:
        nothing, none = "(SELECT 1 WHERE false)", Recognised({})
        return Rows(nothing, {}, Row("''"), (), none, questions=(exc.question,))
    names = tuple(path.name for path in parts)
    header = one_header([(n, sheet.header) for n, sheet in zip(names, sheets, strict=True)])
    found = meant(table, header, asked)
    columns = {
        field: _column(table, field, [c for sheet in sheets for c in sheet.cells(name)])
        for field, name in found.columns.items()
    }
    relation = _registered(conn, table, sheets, columns)
    types = {field: _type_of(column.values) for field, column in columns.items()}
    selected = ["sheet_part", "sheet_row", *(typed(f, f, type_) for f, type_ in types.items())]
    origin = f"([{', '.join(map(literal, names))}])[sheet_part + 1]"
    place = "'row ' || sheet_row"
    return Rows(
        f"(SELECT {', '.join(selected)} FROM {relation})",
        types,
        Row(
            place if len(parts) == 1 else f"{origin} || ' ' || {place}",
            "(sheet_part, sheet_row)",
            origin,
            "sheet_row",
        ),
        header,
        found,
        Parts("sheet_part", names),
        frozenset(field for field, column in columns.items() if column.plain),
        tuple(_wrong(table, columns, _places(names, sheets))),
        tuple(_above(table, names, sheets)),
    )


def _registered(
    conn: duckdb.DuckDBPyConnection,
    table: str,
    sheets: Sequence[_Sheet],
    columns: Mapping[str, _Column],
) -> str:
    """The relation of the columns, with the sheet and the row of each."""
    relation = f"sheet_{table}"
    places = {
        "sheet_part": pa.array([i for i, s in enumerate(sheets) for _ in s.numbers], pa.int64()),
        "sheet_row": pa.array([n for s in sheets for n in s.numbers], pa.int64()),
    }
    values = {field: column.values for field, column in columns.items()}
    conn.register(relation, pa.table({**places, **values}))
    return relation


def _places(names: Sequence[str], sheets: Sequence[_Sheet]) -> list[str]:
    return [
        f"{name} row {number}" if len(names) > 1 else f"row {number}"
        for name, sheet in zip(names, sheets, strict=True)
        for number in sheet.numbers
    ]


def _wrong(table: str, columns: Mapping[str, _Column], places: Sequence[str]) -> Iterable[Finding]:
    for field, column in columns.items():
        if column.wrong:
            first = column.cells[0]
            (example,) = shown([f"{places[first]}: {column.values[first].as_py()}"])
            yield Finding(table, f"{field} {column.wrong} ({example})", len(column.cells))


def _above(table: str, names: Sequence[str], sheets: Sequence[_Sheet]) -> Iterable[Finding]:
    for name, sheet in zip(names, sheets, strict=True):
        if sheet.below_others:
            told = f"row {sheet.at} of {name} is taken for the header; rows above it are not read"
            yield Finding(table, told, 0)


def _sheet(calamine: ModuleType, table: str, path: Path, asked: Asked) -> _Sheet:
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        sheet = _chosen(calamine, book, table, path, asked.mapping.sheet)
        cells = sheet.to_python(skip_empty_area=False)
    except calamine.PasswordError:
        raise UnreadableError(f"{path.name} is protected by a password: save it without") from None
    except calamine.CalamineError as exc:
        raise UnreadableError(f"it is no workbook, or a damaged one ({exc})") from exc
    rows = [
        (number, [_plain_cell(cell) for cell in row])
        for number, row in enumerate(cells, start=1)
        if any(cell != "" for cell in row)
    ]
    if not rows:
        raise UnreadableError(f"sheet {sheet.name} is empty")
    at = _header_at(table, [row for _, row in rows[:HEADER_WITHIN]], asked)
    number, head = rows[at]
    below = rows[at + 1 :]
    used = [i for i, c in enumerate(head) if c is not None or any(row[i] for _, row in below)]
    header = one_of_each([_text(head[i]) or "" for i in used])
    return _Sheet(
        sheet.name,
        header,
        number,
        at > 0,
        [n for n, _ in below],
        [[row[i] for i in used] for _, row in below],
    )


def _chosen(
    calamine: ModuleType,
    book: "CalamineWorkbook",
    table: str,
    path: Path,
    wanted: str | None,
) -> "CalamineSheet":
    """The sheet that is asked for, or the only one that is filled."""
    kinds, shown_ = calamine.SheetTypeEnum, calamine.SheetVisibleEnum
    sheets = [meta for meta in book.sheets_metadata if meta.typ == kinds.WorkSheet]
    names = [meta.name for meta in sheets]
    if wanted is not None and table == "order_lines":
        if wanted not in names:
            listed = ", ".join(names)
            raise UnreadableError(f"{path.name} has no sheet {wanted}; its sheets are {listed}")
        return book.get_sheet_by_name(wanted)
    visible = [meta.name for meta in sheets if meta.visible == shown_.Visible] or names
    read = [book.get_sheet_by_name(name) for name in visible]
    filled = [sheet for sheet in read if sheet.height]
    if not filled:
        raise UnreadableError(f"{path.name} is empty")
    if len(filled) > 1:
        several = [sheet.name for sheet in filled]
        if table != "order_lines":
            raise UnreadableError(f"it has several filled sheets ({', '.join(several)}): keep one")
        raise _OpenQuestionError(choice_of_sheet(path.name, several))
    return filled[0]


def _header_at(table: str, rows: Sequence[Sequence[Cell]], asked: Asked) -> int:
    """The row in which most columns are known by name."""

    def known(row: Sequence[Cell]) -> int:
        found = meant(table, [c for c in row if isinstance(c, str)], asked)
        return len(found.columns) + len(found.questions)

    counts = [known(row) for row in rows]
    return counts.index(max(counts))


def _plain_cell(cell: object) -> Cell:
    if cell == "":
        return None
    if isinstance(cell, str | date) or (
        isinstance(cell, float | int) and not isinstance(cell, bool)
    ):
        return cell
    return str(cell)


def _column(table: str, field: str, cells: list[Cell]) -> _Column:
    kind = {**LAYOUT[table]}.get(field)
    if kind is ID:
        return _ids(cells)
    if kind is NUMBER:
        return _numbers(cells)
    if kind is MOMENT:
        return _moments(cells)
    return _Column(pa.array(map(_text, cells), pa.string()))


def _ids(cells: list[Cell]) -> _Column:
    """Whole numbers, floats that are no ids, or texts with whole numbers as such among them."""
    long = tuple(i for i, c in enumerate(cells) if _is_number(c) and abs(c) >= 10**MAX_DIGITS)
    wrong = (
        f"holds numbers of more than {MAX_DIGITS} digits, of which a spreadsheet keeps no more: "
        "enter them as text"
    )
    numbers = [c for c in cells if _is_number(c)]
    texts = len(numbers) < len(cells) - cells.count(None)
    whole = all(float(c).is_integer() for c in numbers)
    if texts or not numbers or (long and whole):
        values = pa.array(map(_text, cells), pa.string())
    elif whole:
        values = pa.array([int(c) if _is_number(c) else None for c in cells], pa.int64())
    else:
        values = pa.array(cells, pa.float64())
    return _Column(values, wrong=wrong if long else "", cells=long)


def _numbers(cells: list[Cell]) -> _Column:
    """Numbers; or texts, in which numbers among them are written in the usual way.

    Texts that are numbers in some other way make the numbers beside them doubtful: whoever filled
    the sheet has read some as numbers, and not these.
    """
    texts = [i for i, c in enumerate(cells) if c is not None and not _is_number(c)]
    if not texts:
        return _Column(pa.array(cells, pa.float64()))
    values = pa.array(map(_text, cells), pa.string())
    if len(texts) == len(cells) - cells.count(None):
        return _Column(values)
    odd = tuple(i for i in texts if _is_odd_number(_text(cells[i]) or ""))
    wrong = (
        "holds numbers, and texts that are numbers written otherwise, so that the former may have "
        "been misread: make all of the column numbers, or all of it text"
    )
    return _Column(values, True, wrong if odd else "", odd)


def _moments(cells: list[Cell]) -> _Column:
    """Dates; or texts, in which dates and times among them are written as ISO does."""
    dated = any(isinstance(c, date) for c in cells)
    if dated:
        cells = [_from_days(c) if _is_number(c) and int(c) in _DAYS else c for c in cells]
    texts = [i for i, c in enumerate(cells) if c is not None and not isinstance(c, date)]
    if dated and not texts:
        return _Column(pa.array(map(_moment, cells), pa.timestamp("us")))
    odd = tuple(i for i in texts if dated and _DATE_LIKE.fullmatch(str(cells[i]).strip()))
    wrong = (
        "holds dates, and texts that are dates written otherwise, so that days and months of the "
        "former may have been exchanged: make all of the column dates, or all of it text"
    )
    values = pa.array(map(_text, cells), pa.string())
    return _Column(values, wrong=wrong if odd else "", cells=odd)


def _is_number(cell: Cell) -> TypeGuard[float]:
    return isinstance(cell, float | int)


def _is_odd_number(text: str) -> bool:
    text = text.strip()
    plain = _PLAIN.fullmatch(text) and not _GROUPED.fullmatch(text)
    return not plain and _NUMBER_LIKE.fullmatch(text) is not None


def _from_days(days: float) -> datetime:
    return datetime.fromisoformat(EXCEL_EPOCH) + timedelta(seconds=round(days * 86_400))


def _moment(cell: Cell) -> datetime | None:
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return datetime(cell.year, cell.month, cell.day)
    return cell if isinstance(cell, datetime) else None


def _text(cell: Cell) -> str | None:
    """A cell as text: 12345.0 is 12345.

    >>> [_text(cell) for cell in (12345.0, 0.5, "00042", date(2024, 1, 31), None)]
    ['12345', '0.5', '00042', '2024-01-31', None]
    """
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None if cell is None else str(cell)


def _type_of(values: pa.Array) -> str:
    names = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE"}
    return names.get(str(values.type), "TIMESTAMP")
