"""Scenarios beside the baseline: the same draws, each week of a product times what changes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

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
    Drawn,
    Outcome,
)
from toolkit.sources.codes import Codes
from toolkit.sources.received import ReceivedOrder, WithReceived
from toolkit.stages.listing import warn_of
from toolkit.stages.metadata import product_metadata
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.validation import refuse
from toolkit.views.bases import Base, Bases, with_new
from toolkit.views.changes import Meant, Orders, meant_by
from toolkit.views.compiled import DRAWN, Compiled, events_of, won_by
from toolkit.views.coupling import Coupled, coupled_draws
from toolkit.views.making import DEFAULTS, Making
from toolkit.views.products import named, never_ordered

MEASURES = (ORDERS, QUANTITY, REVENUE)


class _Tally:
    """A scenario's products, one after the other, and their sums; nothing of the size of draws."""

    def __init__(self, weeks: int, draws: int) -> None:
        self.expected: list[Floats] = []  # of [measures, weeks]
        self.own, self.coupled = (_Sums(weeks, draws) for _ in range(2))

    def add(self, expected: Floats, draws: Floats, coupled: Floats) -> None:
        """``coupled``: draws that stand for these in differences."""
        self.expected.append(expected)
        priced = bool(np.isfinite(expected[REVENUE]).all())
        self.own.add(draws, priced)
        self.coupled.add(coupled, priced)

    def outcome(self, order: Ints) -> Outcome:
        expected = np.stack(self.expected)[order]
        return Outcome(expected, self.own.drawn(order), self.coupled.drawn(order))


class _Sums:
    """Draws of products, summed over weeks, and those of weeks over products with a price."""

    def __init__(self, weeks: int, draws: int) -> None:
        self._totals: list[Floats] = []  # of [measures, draws]
        self._draws: NDArray[np.float64] = np.zeros((len(MEASURES), weeks, draws))

    def add(self, draws: Floats, priced: bool) -> None:
        self._totals.append(draws.sum(axis=1))
        self._draws[:REVENUE] += draws[:REVENUE]
        if priced:
            self._draws[REVENUE] += draws[REVENUE]

    def drawn(self, order: Ints) -> Drawn:
        return Drawn(np.stack(self._totals)[order], self._draws)


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
        told = replace(analyzer, source=known)
        single = _single(listed, places)
        bases = Bases(told, predictor, start, [*won], [*events], single)
        before = WithReceived(source, as_of) if has_news else source
        coupled = partial(coupled_draws, told, predictor, start, before, received, single)
        made = _tallied(bases, listed, places, product_ids, default_price, coupled)
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


def _single(listed: Sequence[Sequence[Meant]], places: Sequence[int]) -> list[int]:
    """Customers to whom single changes are made in the scenarios at some places."""
    changes = [change for i in places for change in listed[i] if not change.received]
    return sorted({customer for change in changes for customer in change.customers})


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
    coupled: Callable[[Sequence[int] | None], Mapping[int, Coupled]],
) -> tuple[ComparedProducts, list[Outcome]] | None:
    """The products of all scenarios, and what comes of them in those at some places.

    ``coupled``: draws of products that stand for their own in differences.
    """
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
    instead = coupled(None if product_ids is None else [*product_ids, *moving.sources])
    moved_coupled = {i: _coupled(base, instead) for i, base in moved.items()}
    ids: list[int] = []
    for base in with_new(bases.predicted(asked), sorted(new), bases.predictor):
        ids.append(base.product_id)
        (price,) = products.price[products.rows(np.array([base.product_id]))]
        for scenario, tally in zip(scenarios, tallies, strict=True):
            expected, draws = _under(scenario, base, moved, float(price))
            drawn = draws
            if instead:
                other = _coupled(base, instead)
                _, drawn = _under(scenario, other, moved_coupled, float(price))
            tally.add(expected, draws, drawn)
    if not ids:
        raise PredictionError(f"no pair could be predicted: {bases.failed[0].reason}")
    order = np.argsort(ids)
    own = products.select(np.array(ids)[order])
    table = ComparedProducts(own.product_id, own.names, own.prices)
    return table, [tally.outcome(order) for tally in tallies]


def _coupled(base: Base, instead: Mapping[int, Coupled]) -> Base:
    own = instead.get(base.product_id)
    return base if own is None else own.instead_of(base)


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
        ratio = scenario.ratio(base.product_id)
        more, drawn = of.expected[DRAWN] * part.weekly(of, ratio), part.drawn(of, ratio)
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
