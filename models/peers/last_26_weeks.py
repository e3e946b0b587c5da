"""``last_26_weeks``: every future week is like one of the product's own last 26.

What it assumes
    Each week to come is drawn from the 26 weeks before the as-of date, those without an order
    included, whichever week it is, independently of the others. Weeks before a product's first
    order count as such: leaving them out did worse, for a product's first weeks are its best.

When it is right
    Steady demand; half a year is long enough for its spread and short enough to follow drift. It
    needs no fit, and hardly any forecast of single products is clearly better.

When it is wrong
    Seasons, trends, launches and delistings; it says nothing of customers. The sum of several
    weeks is too narrow where good and bad weeks come in a row.

Parameters
    WEEKS = 26, fixed.

Sources
    Efron (1979), doi:10.1214/aos/1176344552, for drawing from what was seen; Willemain, Smart &
    Schwarz (2004), doi:10.1016/S0169-2070(03)00013-X, for doing so with demand.
"""

import numpy as np

from models.parts.weekly_demand import WeeklyDemand
from models.peers.parts.rule import FixedRule
from models.peers.parts.tables import no_pairs, spread
from toolkit.data.tables import Patterns, Predictions, ProductDraws
from toolkit.model import Streams

WEEKS = 26


def forecast(patterns: Patterns, *, weeks: int, draws: int, streams: Streams) -> Predictions:
    """Weeks of the past, those with large and small quantities in their due shares."""
    past = WeeklyDemand.of(patterns, WEEKS)
    mean_orders, mean_quantity = (
        np.repeat(table.mean(axis=1)[:, None], weeks, axis=1)
        for table in (past.orders, past.quantity)
    )
    order = np.argsort(past.quantity, axis=1, kind="stable")
    levels = spread(past.product_id, weeks, draws, streams)
    place = np.floor(levels * WEEKS).astype(np.int64)
    week = np.take_along_axis(order[:, None, :], place, axis=2)
    orders, quantity = (
        np.take_along_axis(table[:, None, :], week, axis=2).astype(np.float32)
        for table in (past.orders, past.quantity)
    )
    products = ProductDraws(
        product_id=past.product_id,
        orders=orders,
        quantity=quantity,
        expected_orders=mean_orders,
        expected_quantity=mean_quantity,
        known_expected_quantity=np.full(mean_quantity.shape, np.nan),
    )
    return Predictions(patterns, weeks, no_pairs(len(patterns), weeks), products)


MODEL = FixedRule("last_26_weeks", "1", ("products",), forecast, {"weeks": WEEKS})
