"""What-if scenarios as data: changes of demand, in the order in which they are made.

They come from TOML, JSON or Python. Products and customers are named by id, code or name; what
these mean, and whether changes contradict each other, is found out beside the orders.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from toolkit.data.ids import Kind
from toolkit.data.tables import MAX_AMOUNT
from toolkit.errors import ArgumentError
from toolkit.validation import CLOSED, Json, examine, parse, read_toml

type ChangeKind = Literal[
    "demand",
    "price",
    "customer_lost",
    "customer_won",
    "product_delisted",
    "product_replaced",
    "order_received",
    "event",
]
type Named = int | str
"""A product or customer: its id as a number; its id, code or name as text."""

MAX_PERCENT, MAX_ELASTICITY = 10_000.0, 20.0
"""Larger ones are slips, and their sums would not stay finite."""

TAKES: Mapping[ChangeKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "demand": (("percent",), ("products", "customers", "start_date", "end_date")),
    "price": (("products", "price", "elasticity"), ("start_date", "end_date")),
    "customer_lost": (("customers",), ("start_date",)),
    "customer_won": (("like",), ("products", "percent", "start_date")),
    "product_delisted": (("products",), ("start_date",)),
    "product_replaced": (("products", "replaced_by"), ("percent", "start_date")),
    "order_received": (("customers", "products", "quantity"), ()),
    "event": (("event", "start_date"), ("end_date",)),
}
"""What each kind of change has to say, and what it may."""

NAMING: Mapping[Kind, tuple[str, ...]] = {
    "product": ("products", "replaced_by"),
    "customer": ("customers", "like"),
}
"""What names products, and what customers."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, from ``start_date`` (the as-of date) to ``end_date`` (the end), both included.

    ``demand``: demand × (1 + ``percent`` / 100) of ``products`` (all) and ``customers`` (all).
    ``price``: the unit price becomes ``price``, demand × (new / old) ^ ``elasticity``.
    ``customer_lost``: ``customers`` order nothing more. ``customer_won``: one more customer orders
    as ``like`` does, of ``products`` (all of theirs), each order ``percent`` (100) of the size.
    ``product_delisted``: nobody orders ``products`` any more. ``product_replaced``: the same, and
    ``percent`` (100) of their demand goes to ``replaced_by``. ``order_received``: each of
    ``customers`` ordered ``quantity`` of each of ``products`` on the as-of date; what comes after
    is forecast from the next day on. ``event``: one of this kind is in the calendar of the model,
    on ``start_date`` or until ``end_date``.
    Raises ``ArgumentError`` with all that is wrong.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    kind: ChangeKind
    products: tuple[Named, ...] = ()
    customers: tuple[Named, ...] = ()
    percent: float | None = None
    price: float | None = None
    elasticity: float | None = None
    like: Named | None = None
    replaced_by: Named | None = None
    quantity: float | None = None
    event: str | None = None
    start_date: date | None = None
    end_date: date | None = None

    def __post_init__(self) -> None:
        """Check that it says what its kind takes."""
        if found := [*_mistakes(self)]:
            raise ArgumentError("; ".join(found))

    @property
    def ends_products(self) -> bool:
        """Whether nobody orders its products any more."""
        return self.kind in ("product_delisted", "product_replaced")

    def to_dict(self) -> dict[str, object]:
        """What is given, as plain data for TOML and JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: _plain(value)
            for name, value in values.items()
            if value is not None and value != ()
        }

    def __str__(self) -> str:
        """The change in words."""
        whose = f" of {_listed('product', self.products)}" if self.products else ""
        who = f" of {_listed('customer', self.customers)}" if self.customers else ""
        match self.kind:
            case "demand":
                said = f"demand{whose}{who} {self.percent:+g} %"
            case "price":
                said = f"price{whose} {self.price:g}, elasticity {self.elasticity:g}"
            case "customer_lost":
                said = f"{_listed('customer', self.customers)} lost"
            case "customer_won":
                said = f"a customer like {self.like} won{whose}"
                said += "" if self.percent is None else f", with orders of {self.percent:g} %"
            case "product_delisted":
                said = f"{_listed('product', self.products)} delisted"
            case "product_replaced":
                share = 100.0 if self.percent is None else self.percent
                said = f"{_listed('product', self.products)} replaced by {self.replaced_by}"
                said += f", to which {share:g} % of the demand goes"
            case "order_received":
                said = f"{_listed('customer', self.customers)} ordered {self.quantity:g}{whose}"
            case "event":
                said = f"{self.event!r} in the calendar"
        if self.start_date and self.kind == "event" and not self.end_date:
            return f"{said} on {self.start_date}"
        since = f" from {self.start_date}" if self.start_date else ""
        return said + since + (f" to {self.end_date}" if self.end_date else "")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What if: changes that are made one after the other. Without any, all stays as it is.

    >>> twenty = Scenario("more", (Change("demand", percent=20.0),))
    >>> str(twenty.changes[0]), Scenario.from_dict(twenty.to_dict()) == twenty
    ('demand +20 %', True)
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    name: str
    changes: tuple[Change, ...] = field(default=())

    @classmethod
    def from_dict(cls, content: Mapping[str, object]) -> "Scenario":
        """``{"name": …, "changes": [{"kind": …, …}]}``, fields as those of ``Change``.

        Raises ``ArgumentError`` that lists all that is wrong.
        """
        return parse(cls, content, "the scenario")

    def to_dict(self) -> dict[str, object]:
        """Plain data, which ``from_dict`` takes."""
        return {"name": self.name, "changes": [change.to_dict() for change in self.changes]}

    @property
    def numbered(self) -> "NumberedScenario":
        """The scenario with the numbers of its changes."""
        return NumberedScenario(self.name, dict(enumerate(self.changes, 1)))


@dataclass(frozen=True, slots=True)
class NumberedScenario:
    """A scenario's changes by their numbers from 1; of those with mistakes whom they name."""

    name: str
    changes: Mapping[int, Change]
    named: Mapping[int, Mapping[Kind, Sequence[Named]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File:
    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    scenarios: tuple[Scenario, ...]


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios in a TOML file, or in JSON where its name ends so: ``[[scenarios]]``.

    Raises ``ArgumentError`` that lists all that is wrong with their form.
    """
    content = read_content(path)
    return list(parse(_File, content, str(path), more=same_names(_names(content))).scenarios)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Scenarios, as far as they can be read, and every mistake in the rest, ``where`` they are."""

    scenarios: Sequence[NumberedScenario]
    mistakes: Sequence[str] = ()
    where: str = "the list of scenarios"


def gathered(scenarios: Iterable[Scenario] | Path) -> Gathered:
    """Scenarios at hand or in a file; mistakes of form are told later, together with all others.

    Raises ``ArgumentError`` where a file cannot be read at all.
    """
    if not isinstance(scenarios, Path):
        listed = list(scenarios)
        mistakes = same_names([one.name for one in listed])
        return Gathered([one.numbered for one in listed], mistakes)
    content = read_content(scenarios)
    document, found = examine(_File, content)
    found = [*same_names(_names(content)), *found]
    readable = document.scenarios if document is not None else ()
    numbered = [one.numbered for one in readable] or [*_readable(content)]
    return Gathered(numbered, found, str(scenarios))


def same_names(names: Sequence[str]) -> list[str]:
    """A sentence for each name that several scenarios have, and one if there is none."""
    if not names:
        return ["there is no scenario"]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [f"two scenarios are called {name!r}" for name in twice]


def read_content(path: Path) -> Json:
    """What a TOML or JSON file holds. ``ArgumentError`` where it cannot be read."""
    if path.suffix.lower() != ".json":
        return read_toml(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as exc:
        raise ArgumentError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ArgumentError(f"{path} is no JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise ArgumentError(f'{path} has to hold a table with "scenarios", got {content!r:.40}')
    return content


def _names(content: Json) -> list[str]:
    return [str(one["name"]) for one in _tables(content.get("scenarios")) if "name" in one]


def _readable(content: Json) -> Iterator[NumberedScenario]:
    """The scenarios of a file with mistakes, with those changes that have none."""
    for number, one in enumerate(_tables(content.get("scenarios")), 1):
        changes: dict[int, Change] = {}
        names: dict[int, Mapping[Kind, Sequence[Named]]] = {}
        for i, raw in enumerate(_tables(one.get("changes")), 1):
            change, _ = examine(Change, raw)
            if change is None:
                names[i] = {kind: _named(raw, keys) for kind, keys in NAMING.items()}
            else:
                changes[i] = change
        yield NumberedScenario(str(one.get("name", f"scenario {number}")), changes, names)


def _named(change: Json, keys: Sequence[str]) -> list[Named]:
    """Whom a change with mistakes names under some keys, as far as that can be a name."""
    values = [change[key] for key in keys if key in change]
    listed = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return [one for one in listed if isinstance(one, int | str) and not isinstance(one, bool)]


def _tables(value: object) -> list[Json]:
    """The tables of a list; an empty one for each that is none, so that numbers stay right."""
    listed = value if isinstance(value, list) else []
    return [one if isinstance(one, dict) else {} for one in listed]


def _mistakes(change: Change) -> Iterator[str]:
    if change.kind not in TAKES:
        yield f"kind has to be one of {', '.join(map(repr, TAKES))}, got {change.kind!r}"
        return
    needed, possible = TAKES[change.kind]
    for item in fields(change)[1:]:
        given = getattr(change, item.name) not in (None, ())
        if item.name in needed and not given:
            yield f"a change of kind {change.kind!r} needs {item.name}"
        if given and item.name not in needed + possible:
            yield f"a change of kind {change.kind!r} takes no {item.name}"
    yield from _out_of_range(change)
    if no_dates := [*_no_dates(change)]:
        yield from no_dates
    elif change.start_date and change.end_date and change.end_date < change.start_date:
        yield f"end_date {change.end_date} is before start_date {change.start_date}"
    if change.replaced_by is not None and change.replaced_by in change.products:
        yield f"product {change.replaced_by!r} cannot replace itself"


def _no_dates(change: Change) -> Iterator[str]:
    for name in ("start_date", "end_date"):
        value = getattr(change, name)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            yield f"{name} has to be a date, such as date(2017, 10, 9), got {value!r}"


def _out_of_range(change: Change) -> Iterator[str]:
    percent, price, elasticity = change.percent, change.price, change.elasticity
    if change.kind == "product_replaced" and percent is not None and not 0 <= percent <= 100:
        yield f"percent has to be the share that goes over, from 0 to 100, got {percent:g}"
    elif change.kind == "customer_won" and percent is not None and not 0 < percent <= MAX_PERCENT:
        yield (
            "percent has to be the size of orders in per cent, "
            f"above 0, up to {MAX_PERCENT:,g}, got {percent:g}"
        )
    elif percent is not None and not -100 <= percent <= MAX_PERCENT:
        yield f"percent has to be a number from -100 to {MAX_PERCENT:,g}, got {percent:g}"
    if price is not None and not 0 < price <= MAX_AMOUNT:
        yield f"price has to be a number above 0, up to {MAX_AMOUNT:g}, got {price:g}"
    if change.quantity is not None and not 0 < change.quantity <= MAX_AMOUNT:
        yield f"quantity has to be a number above 0, up to {MAX_AMOUNT:g}, got {change.quantity:g}"
    if elasticity is not None and not (
        math.isfinite(elasticity) and abs(elasticity) <= MAX_ELASTICITY
    ):
        limits = f"from -{MAX_ELASTICITY:g} to {MAX_ELASTICITY:g}"
        yield f"elasticity has to be a number {limits}, got {elasticity:g}"


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _listed(kind: str, names: Sequence[Named]) -> str:
    shown = ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")
    return f"{kind}{'s' if len(names) > 1 else ''} {shown}"
