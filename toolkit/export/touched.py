"""Of which products the order events changed between two as-of dates."""

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Ints, OrderEvents


def touched_products(then: OrderEvents, now: OrderEvents) -> Ints:
    """Ascending ids of the products with an order event that is in one of the tables alone.

    That is what was ordered since, and what a return since then took back, in whole or in part.
    An order that was wholly returned by ``now``, or a return that reverses none, is no change.
    """
    ids = np.union1d(then.product_id, now.product_id)
    at_then, at_now = np.searchsorted(ids, then.product_id), np.searchsorted(ids, now.product_id)
    touched = np.bincount(at_then, minlength=len(ids)) != np.bincount(at_now, minlength=len(ids))
    same_then, same_now = ~touched[at_then], ~touched[at_now]
    differs = _differ(then.where(same_then), now.where(same_now))  # row by row: so many of each
    touched[at_then[same_then][differs]] = True
    changed: Ints = ids[touched]
    return changed


def _differ(one: OrderEvents, other: OrderEvents) -> NDArray[np.bool_]:
    shift = (other.as_of_date - one.as_of_date).days
    differ: NDArray[np.bool_] = (
        (one.customer_id != other.customer_id)
        | (one.day != other.day + shift)
        | (one.quantity.view(np.int64) != other.quantity.view(np.int64))  # NaN is itself here
    )
    return differ
