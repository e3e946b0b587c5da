"""What the engine asks of order data, wherever it lives: five questions, one query each.

A sixth, of categories, may be asked of those that have them, a seventh of replaced products, and an
eighth, whether anything has changed, of those that can tell.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

from toolkit.data.tables import CustomerDays, OrderEvents
from toolkit.data.zones import today_in
from toolkit.sources.replaced import NO_REPLACEMENTS, Replacements


@dataclass(frozen=True, slots=True)
class ProductInfo:
    """A product's name, and what a unit of it cost before the as-of date; None where unknown.

    The price is what a unit of its recent lines brought: ``prices.recent_price``.
    """

    name: str | None
    unit_price: float | None


@runtime_checkable
class OrderSource(Protocol):
    """Order data as the engine reads it.

    Each method is one query for one id or for a thousand. Nothing dated at or after
    ``as_of_date`` may reach the result. Raises ``SourceError`` if the database fails.
    """

    def order_events(
        self, as_of_date: date, product_ids: Sequence[int] | None = None
    ) -> OrderEvents:
        """Order events before the date, sorted by product, customer, day; None: all products."""

    def customer_days(self, as_of_date: date, customer_ids: Sequence[int]) -> CustomerDays:
        """Days before the date on which the customers ordered any product."""

    def ordered_products(self, as_of_date: date, customer_ids: Sequence[int]) -> list[int]:
        """Products of which the customers ordered anything before the date, ascending."""

    def products(self, as_of_date: date, product_ids: Sequence[int]) -> Mapping[int, ProductInfo]:
        """Name and price before the date, for those of the products that exist."""

    def customer_names(self, customer_ids: Sequence[int]) -> Mapping[int, str]:
        """Names of those of the customers that have one."""


@runtime_checkable
class CategorySource(Protocol):
    """Order data that may have categories of products."""

    def categories(self, product_ids: Sequence[int] | None = None) -> Mapping[int, str]:
        """The category of those of the products that have one; None: of all products.

        It has no date: products are grouped as they are today.
        """


@runtime_checkable
class ReplacingSource(Protocol):
    """Order data that may tell which products others replaced."""

    def replacements(self) -> Replacements:
        """All that it knows, whenever they are dated."""

    def order_events(
        self,
        as_of_date: date,
        product_ids: Sequence[int] | None = None,
        *,
        replaced_before: date | None = None,
    ) -> OrderEvents:
        """As ``OrderSource`` has it, with the products as they were before an earlier date."""


def replacements_of(source: OrderSource) -> Replacements:
    """Which products others replaced; none where the source knows of none."""
    return source.replacements() if isinstance(source, ReplacingSource) else NO_REPLACEMENTS


def events_until(
    source: OrderSource,
    end_date: date,
    as_of_date: date,
    product_ids: Sequence[int] | None = None,
) -> OrderEvents:
    """Order events before ``end_date``, of the products as they were known at ``as_of_date``."""
    if isinstance(source, ReplacingSource):
        return source.order_events(end_date, product_ids, replaced_before=as_of_date)
    return source.order_events(end_date, product_ids)


def in_product_parts(source: OrderSource, as_of_date: date) -> Sequence[Sequence[int] | None]:
    """As ``PartedSource`` has it; ``[None]`` where order data do not lie in parts."""
    return source.product_parts(as_of_date) if isinstance(source, PartedSource) else [None]


@runtime_checkable
class StatedSource(Protocol):
    """Order data that may tell whether they are still what they were."""

    def state(self) -> Hashable | None:
        """Another one where any order, price or name is another; None where that is not known."""


def state_of(source: OrderSource) -> Hashable | None:
    """What the source says of its state; None where it cannot tell one from another."""
    return source.state() if isinstance(source, StatedSource) else None


@runtime_checkable
class ZonedSource(Protocol):
    """Order data of which it is known where the business is."""

    def today(self) -> date:
        """The date there."""


def today_of(source: OrderSource) -> date:
    """The date where the business is; this machine's, where the source does not know of a zone."""
    return source.today() if isinstance(source, ZonedSource) else today_in(None)


@runtime_checkable
class PartedSource(OrderSource, Protocol):
    """Order data that may lie in parts: in files of runs of whole products, and of customers."""

    def product_parts(self, as_of_date: date) -> Sequence[Sequence[int] | None]:
        """Products ordered before the date, ascending, a list for each part; ``[None]`` for all.

        Each list is read without the files of the others.
        """

    def customer_parts(self, as_of_date: date) -> Sequence[Sequence[int]]:
        """Customers who ordered before the date, ascending, in such lists."""


def categories_of(
    source: OrderSource, product_ids: Sequence[int] | None = None
) -> Mapping[int, str]:
    """The category of those of the products that have one; none where the source knows of none."""
    return source.categories(product_ids) if isinstance(source, CategorySource) else {}
