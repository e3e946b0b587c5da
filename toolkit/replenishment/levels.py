"""Order-up-to levels and what comes of them, by simulation on the draws: no distribution is fitted.

Demand until a delivery and until the one after it are sums within each draw (``demand.py``); with
several possible lead times a draw counts once for each, with its probability. With backorders and
an inventory position y after an order, the net stock just before the next delivery is
y − D(L + R): Silver, Pyke & Thomas (2017), doi:10.1201/9781315374406, chapter 6; Zipkin (2000),
*Foundations of Inventory Management*, chapter 6. Deliveries are taken to arrive in the order in
which they were ordered.
"""

from collections.abc import Callable
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


type Reach = Callable[[Floats], Floats]
"""From targets [products] to the least positions that reach them [products]."""


def reaching(demand: ProtectedDemand, kind: Target) -> Reach:
    """The least positions for targets of a ``kind``; draws are sorted once, for all targets."""
    return fill_rate_position(demand) if kind == "fill_rate" else service_level_position(demand)


def service_level_position(demand: ProtectedDemand) -> Reach:
    """The least position y whose cycle service level P(D(L + R) ≤ y) is a target.

    The newsvendor's quantile (Arrow, Harris & Marschak 1951, doi:10.2307/1906813), of the draws. Of
    n draws it is the one that is the ⌈(n + 1) p⌉-th in order, so that demand itself, one more
    draw, is at most y with a probability of p or more (definition 6 of Hyndman & Fan 1996,
    doi:10.2307/2684934); so are p or more of the draws.
    """
    products, leads, draws = demand.until_next.shape
    amount, up_to = _sorted(
        demand.until_next.reshape(products, leads * draws),
        np.repeat(demand.probability / draws, draws, axis=1),
    )
    up_to = np.cumsum(up_to, axis=1)
    up_to[:, -1] = np.inf

    def reach(target: Floats) -> Floats:
        enough = target[:, None] * (draws + 1) / draws - ROUNDING
        place = np.argmax(up_to >= enough, axis=1)
        level: Floats = amount[np.arange(products), place]
        return level

    return reach


def fill_rate_position(demand: ProtectedDemand) -> Reach:
    """The least position y ≥ 0 whose fill rate in the draws is a target.

    The fill rate is 1 − E[shortage in a cycle] / E[demand in a cycle] (Teunter 2009,
    *Operations Research Letters* 37, 67-68). The expected shortage is piecewise linear in y, with a
    bend at each draw: sums over sorted draws give it at all of them, interpolation between them.
    """
    products, leads, draws = demand.until_next.shape
    flat, start = (products, leads * draws), np.zeros((products, 1))
    mass = np.repeat(demand.probability / draws, draws, axis=1)
    ends = [demand.until_next.reshape(flat), demand.until_delivery.reshape(flat)]
    bend, weight = _sorted(
        np.concatenate([start, *ends], axis=1), np.concatenate([start, mass, -mass], axis=1)
    )  # [products, bends]
    short = _from_the_end(weight * bend) - bend * _from_the_end(weight)  # at each bend
    cycle = demand.expected_in_cycle

    def reach(target: Floats) -> Floats:
        allowed = (1 - target) * cycle
        enough = short <= allowed[:, None] + ROUNDING
        enough[:, -1:] = True
        return _between(bend, short, np.argmax(enough, axis=1), allowed)

    return reach


def _sorted(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Values in order, row by row, and their weights."""
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(weights, order, axis=1)


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
