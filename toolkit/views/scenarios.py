"""Scenarios beside the baseline: the same draws, each week of a product times what changes it.

A scenario is compiled to factors by day, [days]: of a product's demand, and of what single
customers take of it. Draws hold products' sums alone, so that a customer's part of each draw is
taken at their expected share of the week: expectations are exact, and the interval of what one
customer does is narrower than it is. Customers who are won have draws of their own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from toolkit.data.scenario import Gathered
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints
from toolkit.errors import PredictionError
from toolkit.results.pair import FailedPair
from toolkit.results.scenario import ScenarioComparison
from toolkit.results.scenario_fields import (
    ORDERS,
    QUANTITY,
    REVENUE,
    ComparedProducts,
    Outcome,
)
from toolkit.sources.codes import Codes
from toolkit.sources.received import ReceivedOrder, WithReceived
from toolkit.stages.listing import warn_of
from toolkit.stages.metadata import product_metadata
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.validation import refuse
from toolkit.views.bases import Base, Bases, Events, Won, with_new
from toolkit.views.changes import Meant, Orders, meant_by
from toolkit.views.making import DEFAULTS, Making
from toolkit.views.products import Named, named, never_ordered

MEASURES = (ORDERS, QUANTITY, REVENUE)
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
        ones = np.ones_like(ratio)
        prices = ones, ones * self.size, ratio * self.size
        factors = np.stack([_by_week(self.others * price) for price in prices])
        for row in np.flatnonzero(np.isin(base.customers, [*self.own])):
            change = self.own[int(base.customers[row])] - self.others
            theirs = np.stack([_by_week(change * price) for price in prices])
            factors += base.shares[DRAWN, row] * theirs
        return np.maximum(factors, 0.0)  # a rounding error below it


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


class _Tally:
    """A scenario's products, one after the other, and their sums; nothing of the size of draws."""

    def __init__(self, weeks: int, draws: int) -> None:
        self.expected: list[Floats] = []  # of [measures, weeks]
        self.totals: list[Floats] = []  # of [measures, draws]
        self.draws: NDArray[np.float64] = np.zeros((len(MEASURES), weeks, draws))

    def add(self, expected: Floats, draws: Floats) -> None:
        self.expected.append(expected)
        self.totals.append(draws.sum(axis=1))
        self.draws[:REVENUE] += draws[:REVENUE]
        if np.isfinite(expected[REVENUE]).all():  # of products with a price
            self.draws[REVENUE] += draws[REVENUE]

    def outcome(self, order: Ints) -> Outcome:
        return Outcome(np.stack(self.expected)[order], np.stack(self.totals)[order], self.draws)


def compared(
    analyzer: PatternAnalyzer,
    making: Making,
    given: Gathered,
    product_ids: Sequence[int] | None,
    as_of: date,
    codes: Codes,
) -> ScenarioComparison | None:
    """The products under the scenarios, None for all; None if nobody ordered any of them.

    Raises ``ArgumentError`` that lists everything wrong with the scenarios.
    """
    source, predictor, default_price = analyzer.source, making.predictor, making.default_price

    def price_of(ids: Sequence[int]) -> dict[int, float | None]:
        known = product_metadata(source, as_of, ids, default_price)
        return {i: known[i].unit_price for i in ids}

    has_news = any(c.kind == "order_received" for s in given.scenarios for c in s.changes.values())
    start = as_of + timedelta(1) if has_news else as_of
    orders = Orders(source, codes, as_of, start, predictor.weeks, price_of, predictor.model)
    meant, wrong = meant_by(given.scenarios, orders)
    refuse(given.where, [*given.mistakes, *wrong])
    outcomes: dict[int, Outcome] = {}  # by place in ``listed``, the baseline's is the first
    listed: list[Sequence[Meant]] = [(), *meant]
    failed: dict[FailedPair, None] = {}
    predicted: list[set[int]] = []
    table = None
    for received, places in _by_received(listed).items():
        known = WithReceived(source, as_of, received) if has_news else source
        won = dict.fromkeys(one for i in places for one, _ in won_by(listed[i]))
        events = dict.fromkeys(of for i in places if (of := events_of(listed[i], start)))
        bases = Bases(replace(analyzer, source=known), predictor, start, [*won], [*events])
        made = _tallied(bases, listed, places, product_ids, default_price)
        if made is None:
            return None
        table = made[0]
        outcomes |= zip(places, made[1], strict=True)
        predicted.append(bases.predicted_products)
        failed |= dict.fromkeys(bases.failed)
    assert table is not None
    _refuse_what_failed_once(predicted, [*failed])
    warn_of([*failed])
    return ScenarioComparison.of(
        table,
        outcomes[0],
        [(scenario, outcomes[i]) for i, scenario in enumerate(given.scenarios, 1)],
        never_ordered(product_ids, table.product_id, [*failed]),
        start,
        making.metadata(start, len(failed), DEFAULTS),
    )


def _by_received(listed: Sequence[Sequence[Meant]]) -> dict[tuple[ReceivedOrder, ...], list[int]]:
    """Where scenarios stand in the list, by the orders that each of them says were received."""
    places: dict[tuple[ReceivedOrder, ...], list[int]] = {}
    for place, changes in enumerate(listed):
        received = tuple(order for change in changes for order in change.received)
        places.setdefault(received, []).append(place)
    return places


def _refuse_what_failed_once(predicted: Sequence[set[int]], failed: Sequence[FailedPair]) -> None:
    """Of a product that fails without an order received there is nothing to compare."""
    some, every = set.union(*predicted), set.intersection(*predicted)
    if lost := {pair.product_id for pair in failed} & some - every:
        named = ", ".join(map(str, sorted(lost)))
        raise PredictionError(
            f"no pair of product {named} could be predicted with and without the order received"
        )


def _tallied(
    bases: Bases,
    listed: Sequence[Sequence[Meant]],
    places: Sequence[int],
    product_ids: Sequence[int] | None,
    default_price: float | None,
) -> tuple[ComparedProducts, list[Outcome]] | None:
    """The products of all scenarios, and what comes of them in those at some places."""
    moving = _Moving.of(listed)
    asked = bases.patterns(product_ids)
    known = {*asked.product_offsets()[0].tolist()}
    new = {i for i in moving.targets if product_ids is None or i in product_ids} - known
    if not known | new and not bases.failed:
        return None
    moved = {base.product_id: base for base in bases.of(moving.sources)}
    named_ids = np.array(sorted(known | new | moving.named), dtype=np.int64)
    products = named(bases.source, bases.as_of, named_ids, default_price)
    days = DAYS_PER_WEEK * bases.predictor.weeks
    scenarios = [
        Compiled(changes, days, products, events_of(changes, bases.as_of))
        for changes in (listed[i] for i in places)
    ]
    tallies = [_Tally(bases.predictor.weeks, bases.predictor.draws) for _ in scenarios]
    ids: list[int] = []
    for base in with_new(bases.predicted(asked), sorted(new), bases.predictor):
        ids.append(base.product_id)
        (price,) = products.price[products.rows(np.array([base.product_id]))]
        for scenario, tally in zip(scenarios, tallies, strict=True):
            tally.add(*_under(scenario, base, moved, float(price)))
    if not ids:
        raise PredictionError(f"no pair could be predicted: {bases.failed[0].reason}")
    order = np.argsort(ids)
    own = products.select(np.array(ids)[order])
    table = ComparedProducts(own.product_id, own.names, own.prices)
    return table, [tally.outcome(order) for tally in tallies]


@dataclass(frozen=True, slots=True)
class _Moving:
    """Products whose demand goes to others, those that get demand, and all that are named."""

    sources: list[int]
    targets: set[int]
    named: set[int]

    @classmethod
    def of(cls, meant: Sequence[Sequence[Meant]]) -> "_Moving":
        changes = [change for listed in meant for change in listed]
        replaced = [(change, change.replaced_by) for change in changes]
        pairs = [(change, to) for change, to in replaced if to is not None]
        targets = {to for _, to in pairs}
        targets |= {order.product_id for change in changes for order in change.received}
        sources = {product for change, _ in pairs for product in change.products}
        named = {product for change in changes for product in change.products}
        return cls(sorted(sources), targets, named | targets)


def _under(
    scenario: Compiled, base: Base, moved: Mapping[int, Base], price: float
) -> tuple[Floats, Floats]:
    """Expectations [measures, weeks] and draws [measures, weeks, draws] of a product."""
    expected = draws = None
    for (product_id, won), part in scenario.parts(base.product_id).items():
        whole = base if product_id == base.product_id else moved.get(product_id)
        of = whole if whole is None or won is None else whole.won.get(won)
        if whole is None or of is None:  # nobody ordered it before, or not who is won
            continue
        factor = part.weekly(of, scenario.ratio(base.product_id))
        more, drawn = of.expected[DRAWN] * factor, of.draws[DRAWN] * factor[:, :, None]
        if scenario.events in whole.moved:
            times_drawn, times = whole.moved[scenario.events]
            more, drawn = more * times[DRAWN], drawn * times_drawn[DRAWN]
        expected = more if expected is None else expected + more
        draws = drawn if draws is None else draws + drawn
    assert expected is not None
    assert draws is not None
    expected[REVENUE] *= price
    draws[REVENUE] *= price
    return expected, draws
