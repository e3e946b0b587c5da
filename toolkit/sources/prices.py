"""What a unit of a product brings: what was paid for it of late, never one receipt."""

import numpy as np

from toolkit.data.tables import MAX_AMOUNT, Floats, Ints

RECENT_LINES, RECENT_DAYS = 25, 90
"""A price is that of a product's last lines before the date: so many at most, and none that is so
many days older than the last of them, or more."""
SLIP = 10.0
"""More than so many times the median price, or less than one part of so many, is a slip."""


def recent_price(day: Ints, price: Floats, quantity: Floats) -> float | None:
    """What a unit of the product's lines [lines] brought: the mean price, weighted by quantity.

    Units times it are revenue without bias, which a median's is not where prices vary. ``day`` is
    a whole number, from any day on; of lines that are ``RECENT_DAYS`` older than the last, none
    counts. Nor does one whose price is no number or a slip against the weighted median, or whose
    quantity is none up to ``MAX_AMOUNT``. None where no line is left. The order of lines changes
    nothing.

    >>> recent_price(np.array([0, 7, 14]), np.array([5.0, 4.0, 9.0]), np.array([10.0, 2.0, 1.0]))
    5.153846153846154
    """
    known = ~np.isnan(price) & (quantity <= MAX_AMOUNT)  # NaN is no quantity, too
    if not known.any():
        return None
    known &= day > day[known].max() - RECENT_DAYS
    price, quantity = price[known], quantity[known]
    cheapest_first = np.lexsort((quantity, price))
    price, quantity = price[cheapest_first], quantity[cheapest_first]
    sold = np.cumsum(quantity)
    median = price[np.searchsorted(sold, sold[-1] / 2)]
    if median > MAX_AMOUNT:
        return float(median)  # beyond all prices, and refused as such
    usual = (price <= SLIP * median) & (price >= median / SLIP)
    return float(np.average(price[usual], weights=quantity[usual]))
