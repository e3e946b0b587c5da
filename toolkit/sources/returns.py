"""Returns: a credit note takes back what it reverses, of the latest orders first.

A source reads the net quantity of each customer, product and day. Where that is below zero, more
was returned than ordered on the day, and the rest offsets the same customer's orders of the
product on the days before: the latest first, none older than ``RETURN_DAYS``. Only rows before
the as-of date take part, so that a return at or after it touches no order before it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats, OrderEvents, starts_of
from toolkit.sources.queries import FRACTION_DIGITS

RETURN_DAYS = 90
"""An order that is older is not what a return reverses. Suppliers rarely take goods back for longer
than a quarter; a clearance of old stock later than that undoes no order of last year."""


def offset_returns(net: OrderEvents) -> tuple[OrderEvents, OrderEvents]:
    """The order events that stand, and the returns that reverse none.

    ``net`` is sorted as order events are, and negative where more was returned than ordered. What
    is wholly taken back is no event; of what is taken back in part the rest stands. Returns that
    find no order, or too little, are in the second table: their units, above zero. Quantities
    that are no number stand as they are.

    Units are conserved: the sum of ``net`` is that of the first table less that of the second.
    """
    quantity = settled(net.quantity)
    returned = np.flatnonzero(quantity < 0)
    if len(returned):
        start = starts_of(net.product_id, net.customer_id)
        size = np.diff(np.append(start, len(quantity)))
        pair = np.repeat(np.arange(len(start)), size)  # [rows]
        has_returns = np.zeros(len(start), np.bool_)
        has_returns[pair[returned]] = True
        rows = np.flatnonzero(has_returns[pair])
        columns = (pair[rows], net.day[rows], quantity[rows])
        quantity[rows] = _offset(*(column.tolist() for column in columns))
    events = replace(net, quantity=quantity)
    nothing: NDArray[np.bool_] = quantity <= 0
    if not nothing.any():
        return events, events.where(nothing)
    unmatched = events.where(quantity < 0)
    return events.where(~nothing), replace(unmatched, quantity=-unmatched.quantity)


def _offset(pair: list[int], days: list[int], quantity: list[float]) -> list[float]:
    """What is left of pairs' days [rows], in order: below zero where a return finds too little.

    ``standing`` are the pair's rows with something left, the latest on top. A row goes in once and
    out once, so that time grows with the rows alone.
    """
    standing: list[int] = []
    for row, units in enumerate(quantity):
        if standing and pair[row] != pair[standing[-1]]:
            standing.clear()
        if units > 0:
            standing.append(row)
        while quantity[row] < 0 and standing:
            above = standing[-1]
            if days[row] - days[above] > RETURN_DAYS:
                standing.clear()  # what lies below is older still, to later returns, too
                break
            left = round(quantity[above] + quantity[row], FRACTION_DIGITS)
            quantity[above], quantity[row] = max(left, 0.0), min(left, 0.0)
            if left <= 0:
                standing.pop()
    return quantity


def settled(quantity: Floats) -> Floats:
    """Fractions rounded, so that 0.1 + 0.2 - 0.3 is zero in whatever order it was added."""
    finite = np.where(np.isfinite(quantity), quantity, np.nan)
    whole: NDArray[np.bool_] = finite == np.rint(finite)  # as all are that are too large to round
    return np.where(whole, finite, np.round(np.where(whole, 0.0, finite), FRACTION_DIGITS))
