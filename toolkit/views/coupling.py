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
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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


def coupled_draws(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    as_of: date,
    before: OrderSource,
    received: Sequence[ReceivedOrder],
    product_ids: Sequence[int] | None,
) -> Mapping[int, Floats]:
    """S' of the products that orders tell of, [2, weeks, draws]; of those asked for, None for all.

    ``analyzer`` reads the orders received, too, ``before`` has none of them. None of products that
    nobody had ordered before, and none at all where the model draws no pair again: there the
    forecast with the order stands for itself.
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
        {base.product_id: base for base in Bases(of, predictor, as_of, again).of(ids)}
        for of in (analyzer, replace(analyzer, source=before))
    )
    return {i: _moved(with_order[i], without[i]) for i in ids if i in with_order and i in without}


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
