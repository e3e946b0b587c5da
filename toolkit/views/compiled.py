"""A scenario compiled to factors by day, [days]: of a product's demand, and of single customers'.

Expectations of a customer are their share of the product's; draws are their own part of each, where
the model tells it apart. Customers who are won have draws of their own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK, Floats
from toolkit.results.scenario_fields import ORDERS, QUANTITY
from toolkit.views.bases import Base, Events, Won
from toolkit.views.changes import Meant
from toolkit.views.products import Named

DRAWN = [ORDERS, QUANTITY, QUANTITY]
"""What each measure is made of: revenue, of units."""

type Source = tuple[int, Won | None]
"""Whose demand it is that the model predicts: of a product, of its customers or of one won."""


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes of a product's demand, by day: of most customers, and of those in ``own``."""

    others: Floats  # [days]
    own: Mapping[int, Floats] = field(default_factory=dict)  # by customer
    size: float = 1.0  # of orders, in those of the demand that it is a part of

    def times(self, factor: Floats, customers: Sequence[int] = ()) -> "Part":
        """All of it times a factor [days], or that of some customers alone."""
        if customers:
            theirs = {c: self.own.get(c, self.others) * factor for c in customers}
            return replace(self, own={**self.own, **theirs})
        own = {c: of * factor for c, of in self.own.items()}
        return replace(self, others=self.others * factor, own=own)

    def weekly(self, base: Base, ratio: Floats) -> Floats:
        """Factors of the weeks of orders, quantity and revenue, [measures, weeks].

        ``ratio`` [days] is that of the new price to the old one. Days of a week count alike.
        """
        factors = self._weekly(self.others, ratio)
        for row in np.flatnonzero(np.isin(base.customers, [*self.own])):
            change = self.own[int(base.customers[row])] - self.others
            factors += base.shares[DRAWN, row] * self._weekly(change, ratio)
        return np.maximum(factors, 0.0)  # a rounding error below it

    def drawn(self, base: Base, ratio: Floats) -> Floats:
        """What becomes of draws, [measures, weeks, draws]; single customers' are their own.

        Where the model does not tell these apart, they are taken at their expected share.
        """
        if base.apart is None and self.own:
            return base.draws[DRAWN] * self.weekly(base, ratio)[:, :, None]
        draws = rest = base.draws[DRAWN] * self._weekly(self.others, ratio)[:, :, None]
        for customer, theirs in (base.apart or {}).items():
            if customer in self.own:
                change = self._weekly(self.own[customer] - self.others, ratio)
                draws = draws + theirs[DRAWN] * change[:, :, None]
        if base.in_differences:
            return draws
        at_least: Floats = np.maximum(draws, np.minimum(rest, 0.0))  # a rounding error below 0
        return at_least

    def _weekly(self, by_day: Floats, ratio: Floats) -> Floats:
        """What measures are multiplied by, means over the days of weeks, [measures, weeks]."""
        ones = np.ones_like(ratio)
        prices = ones, ones * self.size, ratio * self.size
        return np.stack([_by_week(by_day * price) for price in prices])


def _by_week(values: Floats) -> Floats:
    """Means over the days of each week, [weeks]."""
    means: Floats = values.reshape(-1, DAYS_PER_WEEK).mean(axis=1)
    return means


class Compiled:
    """A scenario's factors, after all its changes in their order."""

    def __init__(self, changes: Sequence[Meant], days: int, prices: Named, events: Events) -> None:
        self.events = events
        self._none = np.ones(days)
        self._rest: dict[Won | None, Part] = {None: Part(self._none)}  # of those not in _parts
        self._parts: dict[int, dict[Source, Part]] = {}
        self._ratio: dict[int, Floats] = {}
        for won, change in won_by(changes):
            self._win(won, change)
        for change in changes:
            self._apply(change, prices)

    def parts(self, product_id: int) -> Mapping[Source, Part]:
        """What the demand of a product is made of."""
        rest = {(product_id, won): part for won, part in self._rest.items()}
        return self._parts.get(product_id, rest)

    def ratio(self, product_id: int) -> Floats:
        """New price to old price, [days]."""
        return self._ratio.get(product_id, self._none)

    def _apply(self, meant: Meant, prices: Named) -> None:
        change = meant.change
        match change.kind:
            case "demand":
                assert change.percent is not None
                self._multiply(meant, 1.0 + change.percent / 100.0)
            case "customer_lost":
                self._multiply(meant, 0.0)
            case "price":
                assert change.price is not None
                assert change.elasticity is not None
                for product in meant.products:
                    (old,) = prices.price[prices.rows(np.array([product]))]
                    ratio = change.price / float(old)
                    self._ratio[product] = self.ratio(product) * self._factor(meant, ratio)
                    self._multiply(meant, ratio**change.elasticity, (product,))
            case "order_received" | "customer_won" | "event":
                pass  # among the orders; there before all other changes; in every week's demand
            case "product_delisted" | "product_replaced":
                for product in meant.products:
                    self._move(meant, product)

    def _factor(self, meant: Meant, factor: float) -> Floats:
        """The factor on the days on which the change is in force, [days]."""
        by_day = self._none.copy()
        by_day[slice(*meant.days)] = factor
        return by_day

    def _multiply(self, meant: Meant, factor: float, products: Sequence[int] | None = None) -> None:
        by_day = self._factor(meant, factor)
        asked = meant.products if products is None else products
        for product in asked or [*self._parts]:
            parts = self.parts(product)
            self._parts[product] = {
                source: part.times(by_day, meant.customers) for source, part in parts.items()
            }
        if not asked:
            rest = self._rest.items()
            self._rest = {won: part.times(by_day, meant.customers) for won, part in rest}

    def _win(self, won: Won, meant: Meant) -> None:
        percent = meant.change.percent
        size = 1.0 if percent is None else percent / 100.0
        part = Part(1.0 - self._factor(meant, 0.0), size=size)
        for product in meant.products or [*self._parts]:
            self._parts[product] = {**self.parts(product), (product, won): part}
        if not meant.products:
            self._rest = {**self._rest, won: part}

    def _move(self, meant: Meant, product: int) -> None:
        """End a product; its demand, or a share of it, goes to another if that replaces it.

        A product ends once in a scenario, so that nothing of it is there already.
        """
        if meant.replaced_by is not None:
            percent = meant.change.percent
            share = (1.0 if percent is None else percent / 100.0) * (1.0 - self._factor(meant, 0.0))
            moved = {i: part.times(share) for i, part in self.parts(product).items()}
            self._parts[meant.replaced_by] = {**self.parts(meant.replaced_by), **moved}
        self._multiply(meant, 0.0, (product,))


def events_of(changes: Sequence[Meant], start: date) -> Events:
    """What the changes put into the calendar of a horizon from ``start`` on, sorted."""
    events = [event for change in changes if (event := change.event(start)) is not None]
    return tuple(sorted(events, key=lambda event: (event.first, event.kind)))


def won_by(changes: Sequence[Meant]) -> Iterator[tuple[Won, Meant]]:
    """The changes by which customers are won, and who that is: each one another customer."""
    numbers: Counter[int] = Counter()
    for change in changes:
        if change.like is not None:
            yield (change.like, numbers[change.like]), change
            numbers[change.like] += 1
