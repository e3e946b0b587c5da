"""What an expectation is made of: parts that add up to it, under each draw of a model's posterior.

Of a pair they are orders over the horizon, and what the pair differs in from a typical one; of a
product they are units, and what its demand consists of.
"""

from dataclasses import dataclass
from typing import Literal

from toolkit.data.tables import Floats

type Against = Literal["product", "all"]
"""Whose typical pair a pair is held against: the product's, or that of all products."""

AGAINST: tuple[Against, ...] = ("product", "all")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that says in a part's stead what the pair, and a typical one, are like."""

    unit: str
    value: float
    typical: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one part adds; ``log_rate``: to the log of the pair's rate, None of a product's part."""

    name: str
    amount: Floats  # [draws]
    log_rate: Floats | None = None  # [draws]
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """``base``, and the parts that make ``expected`` of it, draw by draw."""

    base: Floats  # [draws]
    expected: Floats  # [draws]
    parts: tuple[Part, ...]
