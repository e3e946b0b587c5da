"""Stage 1: who has ordered the products, and every order event of theirs, in one query."""

import logging
from collections.abc import Sequence
from datetime import date

import numpy as np

from toolkit.data.tables import OrderEvents, starts_of
from toolkit.sources.base import OrderSource

logger = logging.getLogger(__name__)


def discover(
    source: OrderSource, as_of_date: date, product_ids: Sequence[int] | None
) -> OrderEvents:
    """Order events of the products' pairs before the date; None stands for all products."""
    events = source.order_events(as_of_date, product_ids)
    if product_ids is not None:
        _log_customers(events, product_ids)
    return events


def _log_customers(events: OrderEvents, product_ids: Sequence[int]) -> None:
    """One line per product: how many customers it has."""
    pair = starts_of(events.product_id, events.customer_id)
    ids, counts = np.unique(events.product_id[pair], return_counts=True)
    customers = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    for product_id in product_ids:
        if product_id in customers:
            logger.info("Found %d customers for product %d", customers[product_id], product_id)
        else:
            logger.warning("No customers found for product %d", product_id)
