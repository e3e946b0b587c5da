"""What a unit of a product costs: the middle of what was paid for it of late, never one receipt."""

import numpy as np

from toolkit.data.tables import MAX_AMOUNT, Floats, Ints

RECENT_LINES, RECENT_DAYS = 25, 90
"""A price is that of a product's last lines before the date: so many at most, and none that is so
many days older than the last of them, or more."""


def recent_price(day: Ints, price: Floats, quantity: Floats) -> float | None:
    """The median price of a product's lines [lines], each counted as often as its quantity.

    It was really paid: the lowest price at or below which at least half of the units were sold.
    ``day`` is a whole number, from any day on; of lines that are ``RECENT_DAYS`` older than the
    last, none counts. Nor does one whose price is no number, or whose quantity is none up to
    ``MAX_AMOUNT``. None where no line is left. The order of lines changes nothing.

    >>> recent_price(np.array([0, 7, 14]), np.array([5.0, 4.0, 9.0]), np.array([10.0, 2.0, 1.0]))
    5.0
    """
    known = ~np.isnan(price) & (quantity <= MAX_AMOUNT)  # NaN is no quantity, too
    if not known.any():
        return None
    known &= day > day[known].max() - RECENT_DAYS
    price, quantity = price[known], quantity[known]
    cheapest_first = np.lexsort((quantity, price))
    sold = np.cumsum(quantity[cheapest_first])
    return float(price[cheapest_first][np.searchsorted(sold, sold[-1] / 2)])
