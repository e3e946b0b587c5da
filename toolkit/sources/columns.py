"""Columns that queries read, as the tables and facts that a source hands out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from itertools import pairwise

import numpy as np

from toolkit.data.tables import CustomerDays, Ints, OrderEvents
from toolkit.errors import SourceError
from toolkit.sources.base import ProductInfo
from toolkit.sources.dialects import ResultColumn
from toolkit.sources.prices import recent_price
from toolkit.sources.replaced import inherited
from toolkit.sources.returns import offset_returns

logger = logging.getLogger(__name__)


def to_events(
    as_of_date: date, columns: Sequence[ResultColumn], heirs: Mapping[int, int]
) -> OrderEvents:
    """Rows of ``ORDER_EVENTS`` as order events: of heirs, and less what came back."""
    net = inherited(_net(as_of_date, columns), heirs)
    events, unmatched = offset_returns(net)
    if len(events) < len(net):
        logger.debug(
            "%d customer days left out: returns cancel their orders; %g units reverse none",
            len(net) - len(events),
            unmatched.quantity.sum(),
        )
    return events


def joined(parts: Sequence[OrderEvents]) -> OrderEvents:
    """Tables of order events before one date, one after the other; at least one."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(OrderEvents)[1:])
    return OrderEvents(parts[0].as_of_date, *map(np.concatenate, columns))


def _net(as_of_date: date, columns: Sequence[ResultColumn]) -> OrderEvents:
    """Rows of products, customers and days as a table; not yet order events."""
    product_id, customer_id, order_date, quantity = columns
    return OrderEvents(
        as_of_date,
        product_id.astype(np.int64, copy=False),
        customer_id.astype(np.int64, copy=False),
        _days_from(as_of_date, order_date),
        quantity.astype(np.float64, copy=False),
    )


def to_customer_days(
    as_of_date: date, columns: Sequence[ResultColumn], heirs: Mapping[int, int]
) -> CustomerDays:
    """Rows of ``CUSTOMER_DAYS``: those of products with returns are looked at one by one."""
    customer_id, order_date, has_returns, product_id, products, quantity = columns
    days = CustomerDays(
        customer_id.astype(np.int64, copy=False),
        _days_from(as_of_date, order_date),
        products.astype(np.int64, copy=False),
    )
    returned = np.flatnonzero(has_returns)
    if not len(returned):
        return days
    rows = returned[np.lexsort((order_date[returned], customer_id[returned], product_id[returned]))]
    net = _net(as_of_date, [c[rows] for c in (product_id, customer_id, order_date, quantity)])
    events, _ = offset_returns(inherited(net, heirs))
    return days.where(has_returns == 0).together(CustomerDays.of(events))


def to_products(columns: Sequence[ResultColumn]) -> dict[int, ProductInfo]:
    """Each product's name, and the price that its lines tell; rows in any order."""
    by_product = np.argsort(columns[0], kind="stable")
    ids, names, days, prices, quantities = (column[by_product] for column in columns)
    day, price = days.astype(np.int64), prices.astype(np.float64)
    quantity = quantities.astype(np.float64)
    found, start = np.unique(ids, return_index=True)
    spans = pairwise([*start.tolist(), len(ids)])
    return {
        i: ProductInfo(names[a], recent_price(day[a:b], price[a:b], quantity[a:b]))
        for i, (a, b) in zip(found.tolist(), spans, strict=True)
    }


def _days_from(as_of_date: date, dates: ResultColumn) -> Ints:
    """Days from the as-of date on, negative before it; ``dates`` [rows] as ``datetime64[D]``.

    Raises ``SourceError`` where one lies before the year 1, where those of Python begin.
    """
    days: Ints = dates.astype(np.int64) - np.datetime64(as_of_date, "D").astype(np.int64)
    if len(days) and as_of_date.toordinal() + days.min() < date.min.toordinal():
        first = dates.min()
        year = 1 - int(first.astype("datetime64[Y]").astype(np.int64)) - 1970
        raise before_all_dates(f"{year:04}-{str(first)[-5:]} (BC)")
    return days


def before_all_dates(found: str) -> SourceError:
    """That a line is dated before the year 1."""
    return SourceError(
        f"dbo.OrderItem.Created holds {found}, a date before the year 1: `toolkit check` lists such"
        " lines"
    )


def cut(ids: Ints, first_ids: Sequence[int] | Ints) -> list[list[int]]:
    """Ascending ids by the part that they lie in; at most all of them in one."""
    part = np.searchsorted(np.asarray(first_ids[1:], np.int64), ids, side="right")
    start = np.flatnonzero(np.diff(part)) + 1
    return [one.tolist() for one in np.split(ids, start) if len(one)]
