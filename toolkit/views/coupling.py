"""What an order received changes, draw by draw: both sides of it under the same random numbers.

A forecast draws the pairs of a product one after the other from one stream: once a pair orders
otherwise, whoever comes after it gets other numbers, and draws with the order less those without it
hold the chance of both. The variance of a difference,

    Var(S − B) = Var(S) + Var(B) − 2 Cov(S, B),

wants both sides to be functions of the same numbers (common random numbers: Glasserman & Yao 1992,
doi:10.1287/mnsc.38.6.884). So the pairs of customers who ordered are drawn again on both sides,
each from a stream of the pair's own, under the season, shocks and population that the draw has
anyway. With s and b for what such a pair orders then, and Σ over these pairs,

    S' = B + Σ (s − b) + (E S − E B) − Σ (E s − E b)

stands for the scenario in differences. Other customers' draws cancel exactly; what the order tells
of them, through their product's trend or sizes, is the rest of the expectation. So the mean of
S' − B is that of S − B; its spread is the chance of what the told pairs do otherwise.

A customer to whom something happens in the same scenario has a part in S': what they order in B,
and s − b if they ordered, else E s − E b. What they order in S is no part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from toolkit.data.tables import Floats
from toolkit.model import RedrawingModel
from toolkit.sources.base import OrderSource
from toolkit.sources.received import ReceivedOrder
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views.bases import Base, Bases

AGAIN = 1_000_000
"""The time for which pairs are drawn again; customers who are won take the first ones."""


@dataclass(frozen=True, slots=True)
class Coupled:
    """S' of a product, and the parts in it of customers by themselves, each [2, weeks, draws].

    ``apart``: None where the model does not tell them.
    """

    draws: Floats
    apart: Mapping[int, Floats] | None

    def instead_of(self, base: Base) -> Base:
        """The product with these draws."""
        return replace(base, draws=self.draws, apart=self.apart, in_differences=True)


def coupled_draws(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    as_of: date,
    before: OrderSource,
    received: Sequence[ReceivedOrder],
    single: Sequence[int],
    product_ids: Sequence[int] | None,
) -> Mapping[int, Coupled]:
    """S' of the products that orders tell of; of those asked for, None for all.

    ``analyzer`` reads the orders received, too, ``before`` has none of them; ``single`` customers'
    parts are told. None of products that nobody had ordered before, and none at all where the model
    draws no pair again: there the forecast with the order stands for itself.
    """
    if not received or not isinstance(predictor.model, RedrawingModel):
        return {}
    who = sorted({order.customer_id for order in received})
    told = {order.product_id for order in received}
    if analyzer.customer_days:  # that they ordered tells of all that they order
        told |= {*analyzer.source.ordered_products(as_of, who)}
    ids = sorted(told if product_ids is None else told & {*product_ids})
    again = [(customer, AGAIN) for customer in who]
    with_order, without = (
        {base.product_id: base for base in Bases(of, predictor, as_of, again, (), apart).of(ids)}
        for of, apart in ((analyzer, ()), (replace(analyzer, source=before), single))
    )
    both = {i: (with_order[i], without[i]) for i in ids if i in with_order and i in without}
    return {i: Coupled(_moved(*sides), _parts(*sides, single)) for i, sides in both.items()}


def _moved(after: Base, before: Base) -> Floats:
    (drawn_after, expected_after), (drawn_before, expected_before) = _told(after), _told(before)
    rest = (after.expected - before.expected) - (expected_after - expected_before)
    moved: Floats = before.draws + (drawn_after - drawn_before) + rest[:, :, None]
    return moved


def _told(base: Base) -> tuple[Floats, Floats]:
    """What the pairs drawn again order of a product, and are expected to."""
    drawn, expected = np.zeros_like(base.draws), np.zeros_like(base.expected)
    for pair in base.won.values():
        drawn, expected = drawn + pair.draws, expected + pair.expected
    return drawn, expected


def _parts(after: Base, before: Base, single: Sequence[int]) -> Mapping[int, Floats] | None:
    """What customers by themselves have in S'."""
    if before.apart is None:
        return None
    ordered, ordered_before = _by_customer(after), _by_customer(before)
    nobody = np.zeros_like(before.draws)
    parts: dict[int, Floats] = {}
    for who in sorted({*single} & {*after.customers.tolist()}):
        own = before.apart.get(who, nobody)
        if who in ordered:
            parts[who] = own + (ordered[who] - ordered_before.get(who, nobody))
        else:
            parts[who] = own + (after.expected_of(who) - before.expected_of(who))[:, :, None]
    return parts


def _by_customer(base: Base) -> Mapping[int, Floats]:
    return {customer: pair.draws for (customer, _), pair in base.won.items()}
