"""What is in stock and on order, and what suppliers ask for: read, and checked as a whole."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.data.tables import MAX_AMOUNT, Floats, Ints
from toolkit.errors import ArgumentError, DataError, Finding
from toolkit.replenishment.policy import MAX_DAYS, LeadTime, parse_lead_time
from toolkit.sources.base import OrderSource, today_of
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.validation import EXAMPLES, read_csv, wrong_columns


@dataclass(frozen=True, slots=True)
class Rule:
    """What the numbers of a column have to be, and what stands for one that is not given."""

    allowed: str
    holds: Callable[[Floats], NDArray[np.bool_]]
    default: float | None = None  # None: it has to be given


_NOT_NEGATIVE = Rule(f"a number from 0 to {MAX_AMOUNT:g}", lambda x: (x >= 0) & (x <= MAX_AMOUNT))
_POSITIVE = Rule(f"a number above 0, at most {MAX_AMOUNT:g}", lambda x: (x > 0) & (x <= MAX_AMOUNT))
_OPTIONAL_COST = Rule(_POSITIVE.allowed, _POSITIVE.holds, math.nan)

NUMBERS: dict[str, Rule] = {
    "on_hand": Rule(
        f"a number, at most {MAX_AMOUNT:g} (negative: owed to customers)",
        lambda x: np.abs(x) <= MAX_AMOUNT,
    ),
    "on_order": _NOT_NEGATIVE,
    "review_days": Rule(
        f"a whole number from 1 to {MAX_DAYS}",
        lambda x: (x >= 1) & (x <= MAX_DAYS) & (x % 1 == 0),
        math.nan,
    ),
    "pack_size": Rule(_POSITIVE.allowed, _POSITIVE.holds, 1.0),
    "minimum_order": Rule(_NOT_NEGATIVE.allowed, _NOT_NEGATIVE.holds, 0.0),
    "unit_cost": _OPTIONAL_COST,
    "shortage_cost": _OPTIONAL_COST,
    "holding_cost": _OPTIONAL_COST,
    "service_level": Rule("a number between 0 and 1", lambda x: (x > 0) & (x < 1), math.nan),
}
"""The columns of numbers, in order."""

PRODUCT, LEAD_TIME = "product", "lead_time_days"
COLUMNS = (PRODUCT, "on_hand", "on_order", LEAD_TIME, *list(NUMBERS)[2:])
REQUIRED = (PRODUCT, "on_hand", "on_order")


@dataclass(frozen=True, slots=True)
class Stock:
    """The stock of products, a row each; what is NaN or None is the policy's.

    ``on_hand`` is net: negative where units are owed to customers. ``on_order`` is what suppliers
    have yet to deliver, by this order's delivery at the latest. ``service_level`` takes the place
    of the policy's service level or fill rate, the costs that of its costs.
    """

    product_id: Ints  # [rows], each once
    on_hand: Floats  # [rows], units
    on_order: Floats  # [rows], units
    lead_time_days: tuple[LeadTime | None, ...]  # [rows]
    review_days: Floats  # [rows], whole days
    pack_size: Floats  # [rows], units
    minimum_order: Floats  # [rows], units
    unit_cost: Floats  # [rows], what a unit costs to buy
    shortage_cost: Floats  # [rows], of a unit that is short
    holding_cost: Floats  # [rows], of a unit that is left
    service_level: Floats  # [rows]

    def __len__(self) -> int:
        """Number of products."""
        return len(self.product_id)

    @property
    def position(self) -> Floats:
        """The inventory position: on hand less what is owed, and on order, [rows]."""
        return self.on_hand + self.on_order

    def select(self, rows: Ints) -> "Stock":
        """The products in ``rows``, in their order."""
        lead = tuple(self.lead_time_days[row] for row in rows.tolist())
        return Stock(
            self.product_id[rows],
            self.on_hand[rows],
            self.on_order[rows],
            lead,
            *(getattr(self, name)[rows] for name in list(NUMBERS)[2:]),
        )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        codes: Codes = NO_CODES,
        source: OrderSource | None = None,
    ) -> "Stock":
        """The stock in a frame with the columns of the file that ``read_stock`` takes.

        Raises ``DataError`` as that does; rows are counted from 1.
        """
        return _stock(frame, _Place("stock", "row", range(1, len(frame) + 1)), codes, source)


def read_stock(path: Path, codes: Codes = NO_CODES, source: OrderSource | None = None) -> Stock:
    """The stock in a CSV file (comma, semicolon, tab or ``|``), a product a line.

    Columns: ``product`` (id or code), ``on_hand``, ``on_order``; and, where they are known,
    ``lead_time_days`` (``14``, or ``10:0.2,14:0.8`` in quotes), ``review_days``, ``pack_size`` (1),
    ``minimum_order`` (0), ``unit_cost``, ``shortage_cost``, ``holding_cost``, ``service_level``;
    an empty field is none. Raises ``DataError`` with all that is wrong: columns that are unknown or
    missing, products that come twice, have no code or are not in the ``source``, what is no number
    or out of range. ``ArgumentError`` where it cannot be read.
    """
    head, lines = read_csv(path)
    place = _Place(path.name, "line", [*lines])
    frame = pd.DataFrame([*lines.values()], columns=head, dtype=str)
    return _stock(frame, place, codes, source)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a table came from, and how its rows are called and counted."""

    where: str
    row: str
    number: Sequence[int]  # [rows]

    def broken(self, rule: str, said: Mapping[int, str]) -> list[Finding]:
        """A finding, if any row breaks the rule; ``said`` is what the row holds."""
        shown = [f"{self.row} {self.number[i]}: {text}" for i, text in said.items()]
        return [Finding(self.where, rule, len(shown), tuple(shown[:EXAMPLES]))] if shown else []


def _stock(frame: pd.DataFrame, place: _Place, codes: Codes, source: OrderSource | None) -> Stock:
    """What a frame holds, or all that is wrong with it."""
    heads = [str(name) for name in frame.columns]
    found = wrong_columns(heads, COLUMNS, REQUIRED, place.where)
    nothing = [""] * len(frame)
    table = {
        name: [_text(value) for value in frame.iloc[:, heads.index(name)].tolist()]
        for name in COLUMNS
        if name in heads
    }
    ids, wrong = _products(table.get(PRODUCT, []), place, codes, source)
    lead, late = _lead_times(table.get(LEAD_TIME, nothing), place)
    found += [*wrong, *late]
    columns: dict[str, Floats] = {}
    for name, rule in NUMBERS.items():
        columns[name], odd = _numbers(table.get(name, nothing), rule)
        if name in table:
            found += place.broken(f"{name} has to be {rule.allowed}", odd)
    if found:
        raise DataError(place.where, found)
    on_hand, on_order, *others = columns.values()
    return Stock(np.array(ids, dtype=np.int64), on_hand, on_order, lead, *others)


def _products(
    texts: Sequence[str], place: _Place, codes: Codes, source: OrderSource | None
) -> tuple[list[int], list[Finding]]:
    """The numbers of the products, and what is wrong with them."""
    ids: dict[int, int] = {}  # by row
    unknown: dict[int, str] = {}
    for row, text in enumerate(texts):
        try:
            ids[row] = codes.number("product", text)
        except ArgumentError as exc:
            unknown[row] = str(exc) if text else "it is empty"
    if source is not None and ids:
        there = source.products(today_of(source), [*ids.values()])
        unknown |= {
            row: f"{texts[row]!r} is not in the database"
            for row, number in ids.items()
            if number not in there
        }
    first = {number: row for row, number in reversed(ids.items())}
    again = {row: repr(texts[row]) for row, number in ids.items() if first[number] != row}
    return [*ids.values()], [
        *place.broken("product is unknown", dict(sorted(unknown.items()))),
        *place.broken("product appears more than once", again),
    ]


def _lead_times(
    texts: Sequence[str], place: _Place
) -> tuple[tuple[LeadTime | None, ...], list[Finding]]:
    lead: list[LeadTime | None] = []
    wrong: dict[int, str] = {}
    for row, text in enumerate(texts):
        try:
            lead.append(parse_lead_time(text) if text else None)
        except ArgumentError as exc:
            wrong[row] = str(exc)
    return tuple(lead), place.broken(f"{LEAD_TIME} cannot be used", wrong)


def _numbers(texts: Sequence[str], rule: Rule) -> tuple[Floats, dict[int, str]]:
    """The numbers of a column, and those rows that break its rule."""
    values = np.array([_number(text, rule.default) for text in texts], dtype=float)
    given = np.array([bool(text) for text in texts], dtype=bool)
    with np.errstate(invalid="ignore"):
        wrong = (given | (rule.default is None)) & ~(rule.holds(values) & np.isfinite(values))
    return values, {row: repr(texts[row]) for row in np.flatnonzero(wrong).tolist()}


def _number(text: str, default: float | None) -> float:
    if not text:
        return math.nan if default is None else default
    try:
        return float(text)
    except ValueError:
        return math.nan


def _text(value: object) -> str:
    """A cell as text; empty where it holds nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_AMOUNT:
        return str(int(value))  # ids of a frame that held a gap once: 770.0
    return str(value).strip()
