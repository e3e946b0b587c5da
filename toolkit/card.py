"""Cards: what a result shows of itself, in a notebook, in a terminal and as plain text.

A result says what there is to show, as a :class:`Card`; how it looks is written once, here and in
one template. Text is shown as it is, whatever it holds, and a card stays readable where a viewer
leaves out styles and drawings.
"""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what renders is imported when it is asked for: a reader starts without it
    from jinja2 import Template
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

SHOWN_ROWS = 10
"""A long table shows so many rows, and says how many more there are."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tabs and new lines; and what turns the direction of text."""

NAME_WIDTH = 34
"""What is not longer is not broken: any cell in a notebook, the first column in a terminal."""

LONGEST_NAME = 120
"""Characters of a name that are shown."""

TEXT_WIDTH = 100
"""Columns of a card as plain text."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, what it is, and what to know of it."""

    label: str
    value: str
    note: str = ""

    def __str__(self) -> str:
        """The number in one line, as terminals show it."""
        return f"{self.label} {self.value}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class Span:
    """An interval and a point in it, as shares [0, 1] of a column's width.

    Drawn in a notebook, left out of text.
    """

    low: float
    point: float
    high: float


@dataclass(frozen=True, slots=True)
class Strong:
    """A cell that stands out."""

    text: str


type CardCell = str | Span | Strong


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: ``heads`` of its columns, of which ``numbers`` stand to the right."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[CardCell]]
    numbers: frozenset[str] = frozenset()
    note: str = ""

    def __post_init__(self) -> None:
        """``ValueError`` where a row is not as long as the heads."""
        for row in self.rows:
            if len(row) != len(self.heads):
                raise ValueError(f"{len(self.heads)} heads, and a row of {len(row)} cells")

    def first(self, rows: int | None = SHOWN_ROWS, more: str = "more") -> "Grid":
        """Its first rows, and a note how many ``more`` there are; None for all of them."""
        rest = 0 if rows is None else len(self.rows) - rows
        if rest <= 0:
            return self
        note = f"and {rest:,} {more}"
        return Grid(self.title, self.heads, self.rows[:rows], self.numbers, note)


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown: a title, a line below it, numbers, warnings, tables, sentences."""

    title: str
    subtitle: str = ""
    figures: Sequence[Figure] = ()
    warnings: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    sentences: Sequence[str] = ()

    def html(self) -> str:
        """The card as HTML; names in it are escaped, whatever they hold.

        >>> "<script>" in Card("<script>").html()
        False
        """
        return _template().render(card=self)

    def page(self, figures: Iterable[tuple[str, bytes]] = ()) -> str:
        """One HTML page that opens offline: the card, and ``figures``: titles and PNGs.

        >>> Card("One & all").page().startswith("<!doctype html>")
        True
        """
        drawn = "".join(
            f'<h5>{escape(title)}</h5><img alt="{escape(title)}" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
            for title, png in figures
        )
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(self.title)}"
            f"</title><style>body{{margin:2em auto;max-width:60em}}img{{max-width:100%}}"
            f"h5{{font:600 14px system-ui}}</style><body>{self.html()}{drawn}"
        )

    def text(self, width: int = TEXT_WIDTH) -> str:
        """The card as plain text, its tables at most ``width`` columns wide.

        >>> Card("Two figures", figures=[Figure("orders", "7"), Figure("units", "40")]).text()
        'Two figures\\norders 7 · units 40'
        """
        from rich.console import Console

        console = Console(file=io.StringIO(), width=width, record=True, color_system=None)
        console.print(self, soft_wrap=True)
        return console.export_text().rstrip("\n")

    def __rich__(self) -> "Group":
        """The card for a terminal: ``rich.print(card)``."""
        from rich.console import Group
        from rich.text import Text

        head = ": ".join(filter(None, [self.title, self.subtitle]))
        figures = " · ".join(map(str, self.figures))
        lines = [*filter(None, [head, figures]), *self.warnings]
        return Group(
            *(Text(printable(line)) for line in lines),
            *(part for grid in self.grids for part in _in_terminal(grid)),
            *(Text(printable(sentence)) for sentence in self.sentences),
        )


class Shown:
    """Base of results that have a card: notebooks and ``rich.print`` show it."""

    __slots__ = ()

    def to_card(self) -> Card:
        """What the result shows of itself."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.to_card().html()

    def __rich__(self) -> Card:
        """The card, for a console of Rich's own."""
        return self.to_card()


def spans(lows: Sequence[float], points: Sequence[float], highs: Sequence[float]) -> list[Span]:
    """Drawings of intervals on one scale, from 0 (or the least, if that is less) to the largest.

    >>> spans([1.0], [2.0], [4.0])
    [Span(low=0.25, point=0.5, high=1.0)]
    """
    least = min([0.0, *lows])
    width = max([0.0, *highs]) - least or 1.0
    return [
        Span(*((value - least) / width for value in values))
        for values in zip(lows, points, highs, strict=True)
    ]


def printable(text: str) -> str:
    """Text with control characters, which a terminal would obey, written as escapes.

    >>> printable("Eve\\x1b[2J")
    'Eve\\\\x1b[2J'
    """
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def in_a_line(name: str) -> str:
    """A name, a code or a reason as displays show it: in one line, and cut where it is too long.

    >>> in_a_line("Eve\\nand Son"), in_a_line("x" * 1000)[-3:]
    ('Eve\\\\nand Son', 'xx…')
    """
    cut = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return printable(cut.replace("\n", "\\n").replace("\t", "\\t"))


def counted(number: int, what: str) -> str:
    """A number and what it counts, in the plural where it has to be.

    >>> counted(1, "order"), counted(1200, "order")
    ('1 order', '1,200 orders')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _in_terminal(grid: Grid) -> "list[Table | Text]":
    """The table without its drawings, and the note below it."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = {i for row in grid.rows for i, cell in enumerate(row) if isinstance(cell, Span)}
    texts = [
        [_text(cell) for i, cell in enumerate(row) if i not in drawn] for row in grid.rows
    ]  # [rows][columns]
    table = Table(
        title=Text(printable(grid.title)) if grid.title else None, title_justify="left",
        title_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False,
        show_header=any(grid.heads),
        show_lines=any("\n" in text.plain for row in texts for text in row),
    )  # fmt: skip
    heads = [head for i, head in enumerate(grid.heads) if i not in drawn]
    for place, head in enumerate(heads):
        widest = max((len(row[place].plain) for row in texts), default=0)
        table.add_column(
            Text(printable(head)),
            justify="right" if head in grid.numbers else "left",
            overflow="fold",
            no_wrap=place == 0 and widest <= NAME_WIDTH,
        )
    for row in texts:
        table.add_row(*row)
    return [table, *([Text(printable(grid.note))] if grid.note else [])]


def _text(cell: CardCell) -> "Text":
    from rich.text import Text

    if isinstance(cell, Strong):
        return Text(printable(cell.text), style="bold")
    return Text("" if isinstance(cell, Span) else printable(cell))


@cache
def _template() -> "Template":
    from toolkit.web import environment

    made = environment()
    made.globals["name_width"] = NAME_WIDTH
    made.tests["span"] = lambda cell: isinstance(cell, Span)
    made.tests["strong"] = lambda cell: isinstance(cell, Strong)
    return made.get_template("card.html.jinja")
