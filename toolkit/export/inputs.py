"""What goes into the values of a release beside the order events of its products.

An export that was cut short is resumed where this is the same: else some products would have the
old names and prices, and others the new ones.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from itertools import batched

from toolkit.cluster.probe import code_digest
from toolkit.engine import ForecastEngine

PORTION = 10_000
"""Products whose last lines are read at once."""


def inputs_digest(
    engine: ForecastEngine,
    as_of: date,
    product_ids: Sequence[int],
    customer_ids: Sequence[int],
    *,
    all_events: bool,
) -> str:
    """A digest of names and prices of products, of names of customers, and of the code.

    The digest of the order events stands beside it. Where that is not of ``all_events``, the days
    on which the customers ordered anything count, too, if the model reads them. Raises
    ``SourceError`` if the database fails.
    """
    whole, source = hashlib.sha256(code_digest().encode()), engine.source
    for portion in batched(product_ids, PORTION):
        whole.update(repr(sorted(source.products(as_of, portion).items())).encode())
    whole.update(repr(sorted(source.customer_names(customer_ids).items())).encode())
    if engine.predictor.model.reads_customer_days and not all_events:
        days = source.customer_days(as_of, customer_ids)
        for column in (days.customer_id, days.day, days.products):
            whole.update(column.tobytes())
    return whole.hexdigest()
