"""Demand over a number of days, from draws of it by week.

Draws are paths: week by week, a draw is one possible future, so that demand over several weeks is
the sum within each draw. Of a week that the days do not fill, each draw gives a share: what of a
week's orders came on these days of the week before the as-of date, all products together. This
keeps the mean and what lies between weeks. It ignores two things: that a product's orders come on
one day or another, so that demand of a part of a week is lumpier than a share of it; and products
that sell on other days than most. Whole weeks are not touched by either.
"""

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, OrderEvents

PROFILE_DAYS = 52 * DAYS_PER_WEEK
"""Days of the week are counted over the last year."""

EVEN_DAYS = np.linspace(0.0, 1.0, DAYS_PER_WEEK + 1)
"""A week whose days are alike: its share by the end of each day, [8]."""


def share_by_day(events: OrderEvents) -> Floats:
    """Share of a week's orders by the end of each of its days, from 0 to 1, [8].

    Weeks begin on the as-of date's day of the week. Order events count, not units: one large order
    would decide. Of no events, days are alike.
    """
    day = events.day[events.day >= -PROFILE_DAYS]
    if not len(day):
        return EVEN_DAYS
    count = np.bincount(day % DAYS_PER_WEEK, minlength=DAYS_PER_WEEK)
    return np.append(0.0, np.cumsum(count) / len(day))


def demand_within(quantity: NDArray[np.floating], days: Ints, share: Floats) -> Floats:
    """Demand of the first so many days in each draw, [products, lead times, draws].

    ``quantity`` is that of the weeks [products, weeks, draws]; ``days`` [products, lead times] are
    whole, from 0 to those of all weeks; ``share`` [8] is that of a week by the end of each day.

    >>> weeks = np.array([[[7.0], [14.0]]])
    >>> demand_within(weeks, np.array([[3, 7, 9]]), EVEN_DAYS).ravel().tolist()
    [3.0, 7.0, 11.0]
    """
    products, weeks, draws = quantity.shape
    amount = quantity.astype(float)
    before = np.zeros((products, weeks + 1, draws))
    np.cumsum(amount, axis=1, out=before[:, 1:])
    week, day = days // DAYS_PER_WEEK, days % DAYS_PER_WEEK
    whole = np.take_along_axis(before, week[:, :, None], axis=1)
    begun = np.minimum(week, weeks - 1)[:, :, None]
    part: Floats = np.take_along_axis(amount, begun, axis=1) * share[day][:, :, None]
    return whole + part


def days_until_more(quantity: NDArray[np.floating], amount: Floats, share: Floats) -> Floats:
    """Day, from 0, on which demand exceeds ``amount`` [products] in each draw, [products, draws].

    Infinite where it does not within the weeks.
    """
    products, weeks, draws = quantity.shape
    before = np.zeros((products, weeks + 1, draws))
    np.cumsum(quantity.astype(float), axis=1, out=before[:, 1:])
    held = before <= amount[:, None, None]  # [products, weeks + 1, draws]
    week = held.sum(axis=1) - 1  # the last of whose begin it lasts, [products, draws]
    inside = np.clip(week, 0, weeks - 1)[:, None]
    start = np.take_along_axis(before, inside, axis=1)[:, 0]
    sold = np.take_along_axis(before, inside + 1, axis=1)[:, 0] - start
    rest = amount[:, None] - start
    ends = start[..., None] + sold[..., None] * share[1:]  # [products, draws, 7]
    day = (ends <= amount[:, None, None]).sum(axis=2).astype(float)
    day = DAYS_PER_WEEK * inside[:, 0] + np.where(rest < 0, 0.0, day)
    return np.where(week == weeks, np.inf, day)
