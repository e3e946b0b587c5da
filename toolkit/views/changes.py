"""What the changes of scenarios mean beside the orders, and all that is wrong with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from itertools import combinations, product

from toolkit.data.calendar import Event
from toolkit.data.ids import Kind
from toolkit.data.scenario import Change, Named, NumberedScenario
from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.errors import ArgumentError
from toolkit.model import CalendarModel, FittedModel, RedrawingModel
from toolkit.sources.base import OrderSource, replacements_of
from toolkit.sources.codes import NEAREST, Codes
from toolkit.sources.received import ReceivedOrder
from toolkit.sources.search import find
from toolkit.sources.sql import SqlSource, all_names

type Prices = Callable[[Sequence[int]], Mapping[int, float | None]]
"""Unit prices of products before the as-of date."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A change whose names are ids, and whose days count from the as-of date.

    ``days``: from the first to before the last.
    """

    change: Change
    products: tuple[int, ...]
    customers: tuple[int, ...]
    like: int | None
    replaced_by: int | None
    days: tuple[int, int]

    @property
    def received(self) -> tuple[ReceivedOrder, ...]:
        """The orders that it says were received."""
        if self.change.kind != "order_received" or self.change.quantity is None:
            return ()
        units = float(self.change.quantity)
        pairs = product(self.customers, self.products)
        return tuple(ReceivedOrder(customer, item, units) for customer, item in pairs)

    def event(self, start: date) -> Event | None:
        """The event that it puts into the calendar of a horizon from ``start`` on."""
        kind, (first, end) = self.change.event, self.days
        if kind is None:
            return None
        return Event(start + timedelta(first), start + timedelta(end - 1), kind, kind)

    def meets(self, other: "Meant") -> bool:
        """Whether both are in force on some day."""
        return max(self.days[0], other.days[0]) < min(self.days[1], other.days[1])


@dataclass(frozen=True, slots=True)
class Orders:
    """What changes are held against: orders before a date, and the horizon from ``start`` on."""

    source: OrderSource
    codes: Codes
    as_of: date
    start: date
    weeks: int
    prices: Prices
    model: FittedModel

    def shown(self, kind: Kind, *numbers: int) -> str:
        """Ids as people know them: codes where they have any."""
        return ", ".join(self.codes.code(kind, i) or str(i) for i in sorted(numbers))


def meant_by(
    scenarios: Sequence[NumberedScenario], orders: Orders
) -> tuple[list[list[Meant]], list[str]]:
    """The changes of each scenario in their order, and every mistake in them, a sentence each."""
    finder = _Finder(orders)
    meant: list[list[Meant]] = []
    wrong: list[str] = []
    for scenario in scenarios:
        changes: dict[int, Meant] = {}
        for number in sorted({*scenario.changes, *scenario.named}):
            if number in scenario.changes:
                changes[number], mistakes = _meant(scenario.changes[number], finder, orders)
            else:
                mistakes = finder.unknown(scenario.named[number])
            wrong += [f"{scenario.name!r}, change {number}: {one}" for one in mistakes]
        wrong += [f"{scenario.name!r}: {one}" for one in _contradictions(changes, orders)]
        meant.append(list(changes.values()))
    return meant, wrong


class _Finder:
    """Ids of what people name; each name is looked up once."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._names = cache(self._read_names)
        self.one = cache(self._one)

    def all(self, kind: Kind, names: Sequence[Named]) -> tuple[tuple[int, ...], list[str]]:
        """The ids of those that are known, each once, and a sentence for each of the others."""
        ids: dict[int, None] = {}
        wrong = []
        for name in names:
            number, mistake = self.one(kind, name)
            if number is not None:
                ids[number] = None
            else:
                wrong.append(mistake)
        return tuple(ids), wrong

    def unknown(self, names: Mapping[Kind, Sequence[Named]]) -> list[str]:
        """A sentence for each name that is not known."""
        return [one for kind, given in names.items() for one in self.all(kind, given)[1]]

    def maybe(self, kind: Kind, name: Named | None) -> tuple[int | None, list[str]]:
        """The id of one that may be named, and what is wrong with the name."""
        ids, wrong = self.all(kind, () if name is None else (name,))
        return (ids[0] if ids else None), wrong

    def _read_names(self, kind: Kind) -> Mapping[int, str]:
        source = self._orders.source
        return all_names(source, kind) if isinstance(source, SqlSource) else {}

    def _one(self, kind: Kind, name: Named) -> tuple[int | None, str]:
        orders = self._orders
        number = name
        if isinstance(name, str):
            try:
                number = find(kind, name, orders.codes, lambda: self._names(kind))
            except ArgumentError as exc:
                return None, str(exc)
        assert isinstance(number, int)
        if kind == "product" and number not in orders.source.products(orders.as_of, [number]):
            return None, f"there is no product {name!r}"
        replaced = replacements_of(orders.source).before(orders.as_of) if kind == "product" else {}
        if number in replaced:
            heir = orders.shown("product", replaced[number].replaced_by)
            return None, f"product {name!r} was replaced before {orders.as_of}: name {heir}"
        if kind == "customer" and not orders.source.ordered_products(orders.as_of, [number]):
            return None, f"customer {name!r} ordered nothing before {orders.as_of}"
        return number, ""


def _meant(change: Change, finder: _Finder, orders: Orders) -> tuple[Meant, list[str]]:
    products, wrong = finder.all("product", change.products)
    customers, unknown = finder.all("customer", change.customers)
    wrong += unknown
    target, unknown = finder.maybe("product", change.replaced_by)
    wrong += unknown
    like, unknown = finder.maybe("customer", change.like)
    wrong += unknown
    if change.kind == "customer_won":
        wrong += _unlike(like, products, orders)
    if target in products:
        wrong.append(f"product {orders.shown('product', target or 0)} cannot replace itself")
    if change.kind == "price":
        prices = orders.prices(products)
        wrong += [
            f"no order line before {orders.as_of} tells the price of product "
            f"{orders.shown('product', i)}, which the elasticity starts from: a default price may "
            "be given"
            for i in products
            if prices[i] is None
        ]
    days, late = _days(change, orders)
    meant = Meant(change, products, customers, like, target, days)
    if change.event is not None:
        late = late or [*_unlearnt(change.event, meant.event(orders.start), orders)]
    return meant, wrong + late


def _unlearnt(kind: str, event: Event | None, orders: Orders) -> Iterator[str]:
    """Why a model cannot tell what an event does."""
    model = orders.model
    known = model.event_days if isinstance(model, CalendarModel) else {}
    called = f"{model.name}@{model.version}"
    if not isinstance(model, CalendarModel):
        yield (
            f"{model.name} looks at no dates, and no event changes what it says: take a version "
            "that does, such as rhythm, fitted with --country or --events"
        )
    elif not known:
        yield (
            f"{called} has learnt nothing of any event: fit it anew with --country or --events, "
            "which name some before its date"
        )
    elif kind not in known:
        nearest = get_close_matches(kind, known, n=NEAREST, cutoff=0.0)
        names = ", ".join(map(repr, nearest))
        yield f"{called} has learnt of no event {kind!r}; the nearest are {names}"
    elif event is not None:
        there = [day for day in known[kind] if event.first <= day <= event.last]
        if there:
            yield f"{kind!r} is in the calendar of {called} on {there[0]} already"


def _unlike(like: int | None, products: Sequence[int], orders: Orders) -> Iterator[str]:
    """Why nobody can be won who orders like a customer."""
    if not isinstance(orders.model, RedrawingModel):
        yield (
            f"{orders.model.name} draws no customer once more, as a customer won is drawn: "
            "take pair_conjugate, say, or rhythm"
        )
    if like is not None and products:
        theirs = orders.source.ordered_products(orders.as_of, [like])
        if others := {*products} - {*theirs}:
            yield (
                f"customer {orders.shown('customer', like)} ordered no product "
                f"{orders.shown('product', *others)} before {orders.as_of}, of which one like them "
                "could order any"
            )


def _days(change: Change, orders: Orders) -> tuple[tuple[int, int], list[str]]:
    """The days on which a change is in force, and what is wrong with its dates."""
    if change.kind == "order_received":
        return (0, 0), []  # before them all
    horizon = DAYS_PER_WEEK * orders.weeks
    last = orders.start + timedelta(horizon - 1)
    wrong = [
        f"{name} has to be a date from {orders.start} to {last}, the end of the forecast, got {day}"
        for name, day in (("start_date", change.start_date), ("end_date", change.end_date))
        if day is not None and not orders.start <= day <= last
    ]
    first = 0 if change.start_date is None else (change.start_date - orders.start).days
    end = horizon if change.event is None else first + 1
    if change.end_date is not None:
        end = (change.end_date - orders.start).days + 1
    return (first, end), wrong


def _contradictions(changes: Mapping[int, Meant], orders: Orders) -> Iterator[str]:
    """What two changes cannot both mean on the same days."""
    for (i, one), (j, other) in combinations(changes.items(), 2):
        if not one.meets(other):
            continue
        both, kinds = f"changes {i} and {j}", [one.change.kind, other.change.kind]
        products = _touched(one) & _touched(other)
        if ended := _ended(one, other):
            shown = orders.shown("product", *ended)
            yield f"{both} contradict each other: one ends product {shown}, which the other changes"
        elif kinds == ["price", "price"] and products:
            yield f"{both} set two prices for product {orders.shown('product', *products)}"
        elif kinds == ["event", "event"] and one.change.event == other.change.event:
            yield f"{both} put {one.change.event!r} on the same days"
        customers = {*one.customers} & {*other.customers}
        if "customer_lost" in kinds and customers:
            shown = f"customer {orders.shown('customer', *customers)}"
            twice = kinds[0] == kinds[1]
            lost = f"{shown} is lost twice" if twice else f"one loses {shown}, the other changes it"
            yield f"{both} contradict each other: {lost}"


def _touched(meant: Meant) -> set[int]:
    return {*meant.products, *(() if meant.replaced_by is None else (meant.replaced_by,))}


def _ended(one: Meant, other: Meant) -> set[int]:
    """Products that one of both ends, and the other names."""
    ended: set[int] = set()
    for ends, names in ((one, other), (other, one)):
        if ends.change.ends_products:
            ended |= {*ends.products} & _touched(names)
    return ended
