"""Order-up-to levels and what comes of them, by simulation on the draws: no distribution is fitted.

Demand until a delivery and until the one after it are sums within each draw (``demand.py``); with
several possible lead times a draw counts once for each, with its probability. With backorders and
an inventory position y after an order, the net stock just before the next delivery is
y − D(L + R): Silver, Pyke & Thomas (2017), doi:10.1201/9781315374406, chapter 6; Zipkin (2000),
*Foundations of Inventory Management*, chapter 6. Deliveries are taken to arrive in the order in
which they were ordered.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats
from toolkit.replenishment.policy import Target

ROUNDING = 1e-9
"""Sums of probabilities that differ by no more are equal."""


@dataclass(frozen=True, slots=True)
class ProtectedDemand:
    """Draws of demand from now until this order's delivery, and until the delivery after it.

    ``probability`` is that of each lead time.
    """

    until_delivery: Floats  # [products, lead times, draws], D(L)
    until_next: Floats  # [products, lead times, draws], D(L + R)
    probability: Floats  # [products, lead times]

    @property
    def expected(self) -> Floats:
        """Expected demand of the protection interval, [products]."""
        return self._mean(self.until_next)

    @property
    def expected_in_cycle(self) -> Floats:
        """Expected demand between the two deliveries, [products]."""
        return self._mean(self.until_next - self.until_delivery)

    def p_shortage(self, position: Floats) -> Floats:
        """P(anything is short just before the next delivery) for a position y, [products]."""
        return self._mean(self.until_next > position[:, None, None])

    def p_shortage_before_delivery(self, position: Floats) -> Floats:
        """P(anything is short before this order arrives): no order can help, [products]."""
        return self._mean(self.until_delivery > position[:, None, None])

    def expected_shortage(self, position: Floats) -> Floats:
        """E[(D(L+R) − y)⁺ − (D(L) − y)⁺]: units of a cycle not served at once, [products].

        What was short before the delivery already is not counted again: Hadley & Whitin (1963),
        *Analysis of Inventory Systems*, chapter 5; Johnson, Lee, Davis & Hall (1995), *Naval
        Research Logistics* 42, 57-80.
        """
        y = position[:, None, None]
        later = np.maximum(self.until_next - y, 0.0)
        return self._mean(later - np.maximum(self.until_delivery - y, 0.0))

    def expected_stock(self, position: Floats) -> Floats:
        """Units in stock, mean of just after this delivery and just before the next, [products]."""
        y = position[:, None, None]
        after = np.maximum(y - self.until_delivery, 0.0)
        return self._mean((after + np.maximum(y - self.until_next, 0.0)) / 2)

    def _mean(self, values: NDArray[np.generic]) -> Floats:
        """Over draws and lead times, [products]."""
        mean: Floats = (values.mean(axis=2) * self.probability).sum(axis=1)
        return mean


def position_for(demand: ProtectedDemand, kind: Target, target: Floats) -> Floats:
    """The least position that reaches the ``target`` of its ``kind``, [products]."""
    reach = fill_rate_position if kind == "fill_rate" else service_level_position
    return reach(demand, target)


def service_level_position(demand: ProtectedDemand, target: Floats) -> Floats:
    """The least position y whose cycle service level P(D(L + R) ≤ y) is ``target``, [products].

    The newsvendor's quantile (Arrow, Harris & Marschak 1951, doi:10.2307/1906813), of the draws. Of
    n draws it is the one that is the ⌈(n + 1) p⌉-th in order, so that demand itself, one more
    draw, is at most y with a probability of p or more (definition 6 of Hyndman & Fan 1996,
    doi:10.2307/2684934); so are p or more of the draws.
    """
    products, _, draws = demand.until_next.shape
    amount = demand.until_next.reshape(products, -1)
    order = np.argsort(amount, axis=1, kind="stable")
    mass = np.repeat(demand.probability / draws, draws, axis=1)
    up_to = np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1)
    up_to[:, -1] = np.inf
    enough = target[:, None] * (draws + 1) / draws - ROUNDING
    place = np.argmax(up_to >= enough, axis=1)[:, None]
    level: Floats = np.take_along_axis(amount, np.take_along_axis(order, place, axis=1), axis=1)
    return level[:, 0]


def fill_rate_position(demand: ProtectedDemand, target: Floats) -> Floats:
    """The least position y ≥ 0 whose fill rate is ``target`` in the draws, [products].

    The fill rate is 1 − E[shortage in a cycle] / E[demand in a cycle] (Teunter 2009,
    *Operations Research Letters* 37, 67-68). The expected shortage is piecewise linear in y, with a
    bend at each draw: sums over sorted draws give it at all of them, interpolation between them.
    """
    products, _, draws = demand.until_next.shape
    mass = np.repeat(demand.probability / draws, draws, axis=1)
    bend = np.concatenate(
        [
            np.zeros((products, 1)),
            demand.until_next.reshape(products, -1),
            demand.until_delivery.reshape(products, -1),
        ],
        axis=1,
    )  # [products, bends]
    sign = np.concatenate([np.zeros((products, 1)), mass, -mass], axis=1)
    order = np.argsort(bend, axis=1, kind="stable")
    bend, sign = (np.take_along_axis(table, order, axis=1) for table in (bend, sign))
    beyond = _from_the_end(sign * bend) - bend * _from_the_end(sign)  # shortage at each bend
    allowed = (1 - target) * demand.expected_in_cycle
    enough = beyond <= allowed[:, None] + ROUNDING
    enough[:, -1] = True
    place = np.argmax(enough, axis=1)
    return _between(bend, beyond, place, allowed)


def _between(bend: Floats, height: Floats, place: NDArray[np.int64], wanted: Floats) -> Floats:
    """Where a falling line through bends has the height ``wanted``: before ``place``, at it."""
    rows, left = np.arange(len(bend)), np.maximum(place - 1, 0)
    fall = height[rows, left] - height[rows, place]
    share = np.divide(height[rows, left] - wanted, fall, out=np.ones(len(bend)), where=fall > 0)
    share = np.where(place > 0, np.clip(share, 0.0, 1.0), 1.0)
    level: Floats = bend[rows, left] + share * (bend[rows, place] - bend[rows, left])
    return level


def _from_the_end(values: Floats) -> Floats:
    sums: Floats = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
    return sums


def quantity_to_order(
    level: Floats, position: Floats, pack_size: Floats, minimum_order: Floats
) -> Floats:
    """What raises the position to the level or beyond, in whole packs, [products].

    Nothing where the position is there already; else the minimum at least.

    >>> args = np.array([95.0, 90.0]), np.array([80.0, 95.0]), np.array([6.0, 6.0])
    >>> quantity_to_order(*args, np.array([20.0, 20.0])).tolist()
    [24.0, 0.0]
    """
    need = level - position
    packs = np.ceil(np.maximum(need, minimum_order) / pack_size - ROUNDING)
    return np.where(need > ROUNDING, packs * pack_size, 0.0)
