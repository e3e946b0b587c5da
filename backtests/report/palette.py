"""Colours that colour-blind readers tell apart, the same for a version in every figure."""

from dataclasses import dataclass

from toolkit.web import COLOURS

DASHES = ("solid", "dash", "dot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x")


@dataclass(frozen=True, slots=True)
class Style:
    """How a version looks; dash and symbol tell apart what shares a colour, and print in grey."""

    colour: str
    dash: str
    symbol: str


def style(place: int) -> Style:
    """Of the version at ``place`` of its run: 21 look different.

    >>> style(0) == style(7)
    False
    """
    turn, colour = divmod(place, len(COLOURS))
    symbol = SYMBOLS[colour] + ("-open" if turn % 2 else "")
    return Style(COLOURS[colour], DASHES[turn % len(DASHES)], symbol)
