"""Returns: a credit note takes back what it reverses, of the latest orders first.

A source reads the net quantity of each customer, product and day. Where that is below zero, more
was returned than ordered on the day, and the rest offsets the same customer's orders of the
product on the days before: the latest first, none older than ``RETURN_DAYS``. Only rows before
the as-of date take part, so that a return at or after it touches no order before it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats, Ints, OrderEvents, starts_of
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
        first = start[np.searchsorted(start, returned, side="right") - 1]
        _offset(returned, first, net.day, quantity)
    events = replace(net, quantity=quantity)
    nothing: NDArray[np.bool_] = quantity <= 0
    if not nothing.any():
        return events, events.where(nothing)
    unmatched = events.where(quantity < 0)
    return events.where(~nothing), replace(unmatched, quantity=-unmatched.quantity)


def _offset(returned: Ints, first: Ints, day: Ints, quantity: Floats) -> None:
    """Take the rows ``returned`` [returns], in order, out of those above them in ``quantity``.

    ``first`` [returns]: where the pair of each begins. A pair has a row a day, so that no return
    looks at more than ``RETURN_DAYS`` rows.
    """
    for row, top in zip(returned.tolist(), first.tolist(), strict=True):
        owed, above = -float(quantity[row]), row - 1
        while owed > 0 and above >= top and day[row] - day[above] <= RETURN_DAYS:
            ordered = float(quantity[above])
            if ordered > 0:
                taken = min(owed, ordered)
                quantity[above] = round(ordered - taken, FRACTION_DIGITS)
                owed = round(owed - taken, FRACTION_DIGITS)
            above -= 1
        quantity[row] = -owed


def settled(quantity: Floats) -> Floats:
    """Fractions rounded, so that 0.1 + 0.2 - 0.3 is zero in whatever order it was added."""
    finite = np.where(np.isfinite(quantity), quantity, np.nan)
    whole: NDArray[np.bool_] = finite == np.rint(finite)  # as all are that are too large to round
    return np.where(whole, finite, np.round(np.where(whole, 0.0, finite), FRACTION_DIGITS))
