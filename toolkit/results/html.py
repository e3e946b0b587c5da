"""Cards: what a result shows of itself in a notebook, as HTML in which every text is escaped.

Whoever has something to show says what, as a :class:`Card`; how it looks is one template's matter.
It stays readable where a viewer leaves out styles and drawings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@dataclass(frozen=True, slots=True)
class Figure:
    """One large number, what it is, and what to know of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval and a point in it, as shares [0, 1] of a column's width; drawn, not written."""

    low: float
    point: float
    high: float


@dataclass(frozen=True, slots=True)
class Strong:
    """A cell that stands out."""

    text: str


type Cell = str | Span | Strong


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: ``heads`` of its columns, of which ``numbers`` stand to the right."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown: a title, a line below it, large numbers, warnings, tables, sentences."""

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


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("toolkit", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["span"] = lambda cell: isinstance(cell, Span)
    environment.tests["strong"] = lambda cell: isinstance(cell, Strong)
    return environment.get_template("card.html.jinja")
