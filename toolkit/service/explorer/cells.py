"""What pages are made of: tables with links, calendars, and where the links lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from urllib.parse import quote, urlencode

from toolkit.card import CardCell, Grid, in_a_line
from toolkit.data.tables import DAYS_PER_WEEK

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads somewhere."""

    text: str
    href: str


type PageCell = CardCell | Link


@dataclass(frozen=True, slots=True)
class Table:
    """A table as ``Grid`` has it, whose cells may be links."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[PageCell]]
    numbers: frozenset[str] = frozenset()
    note: str = ""


type AnyTable = Table | Grid


@dataclass(frozen=True, slots=True)
class Labels:
    """How products and customers are called in addresses and tables: by id, or by code.

    ``explained``: an engine tells why a customer orders what.
    """

    products: Mapping[int, str] = field(default_factory=dict)
    customers: Mapping[int, str] = field(default_factory=dict)
    explained: bool = False

    @property
    def product_head(self) -> str:
        """What stands above the products' codes."""
        return "code" if any(self.products.values()) else "id"

    def product(self, product_id: int, name: str) -> Link:
        """A product by its name, and the way to it."""
        return Link(in_a_line(name), product_path(self.product_code(product_id)))

    def customer(self, customer_id: int, name: str) -> Link:
        """The same of a customer."""
        return Link(in_a_line(name), customer_path(self.customer_code(customer_id)))

    def product_code(self, product_id: int) -> str:
        """The code, or the id where there is none."""
        return self.products.get(product_id) or str(product_id)

    def customer_code(self, customer_id: int) -> str:
        """The code of a customer, or the id."""
        return self.customers.get(customer_id) or str(customer_id)


def product_path(code: str, page: str = "", **query: object) -> str:
    """Where a product's page is.

    >>> product_path("A/1 Ä", "why", customer=7)
    '/products/A%2F1%20%C3%84/why?customer=7'
    """
    return _path("products", code, page, query)


def customer_path(code: str) -> str:
    """Where a customer's page is."""
    return _path("customers", code, "", {})


def _path(kind: str, code: str, page: str, query: Mapping[str, object]) -> str:
    path = f"/{kind}/{quote(code, safe='')}" + (f"/{page}" if page else "")
    return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True)
class Expected:
    """Who, or what, is to be expected on a day, and what to know of it."""

    day: date
    what: PageCell
    note: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a calendar."""

    date: date
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Weeks that begin on the as-of date's weekday; ``later`` lies beyond the last."""

    title: str
    weekdays: tuple[str, ...]
    weeks: tuple[tuple[Day, ...], ...]
    later: tuple[Expected, ...]

    @classmethod
    def of(cls, title: str, start: date, weeks: int, expected: Sequence[Expected]) -> "Calendar":
        """The weeks from ``start`` on, up to the last with anybody in it."""
        end = start + timedelta(DAYS_PER_WEEK * weeks)
        inside = [one for one in expected if start <= one.day < end]
        last = max((one.day for one in inside), default=start)
        shown = (last - start).days // DAYS_PER_WEEK + 1 if inside else 0
        return cls(
            title,
            tuple(WEEKDAYS[(start + timedelta(i)).weekday()] for i in range(DAYS_PER_WEEK)),
            tuple(_week(start + timedelta(DAYS_PER_WEEK * week), inside) for week in range(shown)),
            tuple(sorted((one for one in expected if one.day >= end), key=lambda one: one.day)),
        )


def _week(start: date, expected: Sequence[Expected]) -> tuple[Day, ...]:
    days = [start + timedelta(i) for i in range(DAYS_PER_WEEK)]
    return tuple(Day(day, tuple(one for one in expected if one.day == day)) for day in days)


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a list goes on: rows ``first`` to ``last`` of ``total``, from 1."""

    first: int
    last: int
    total: int
    before: str | None
    after: str | None

    @classmethod
    def of(cls, path: str, offset: int, shown: int, size: int, total: int) -> "Pager":
        """A page of ``size`` rows that begins at ``offset``."""
        earlier = max(0, offset - size)
        return cls(
            offset + 1,
            offset + shown,
            total,
            f"{path}?offset={earlier}" if offset else None,
            f"{path}?offset={offset + size}" if offset + size < total else None,
        )
