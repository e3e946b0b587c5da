"""Names and prices of products, as views show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from toolkit.data.tables import Floats, Ints
from toolkit.results.pair import FailedPair
from toolkit.sources.base import OrderSource
from toolkit.stages.metadata import product_metadata


@dataclass(frozen=True, slots=True)
class Named:
    """Products by id [products], ascending, with names and prices.

    Names are ``Product 123`` where there is none, prices None where none is known.
    """

    product_id: Ints
    names: Sequence[str]
    prices: Sequence[float | None]

    @property
    def price(self) -> Floats:
        """The prices, NaN where none is known, [products]."""
        return np.array([np.nan if price is None else price for price in self.prices], dtype=float)

    def rows(self, product_ids: Ints) -> Ints:
        """Where products stand, all of which are among them."""
        rows: Ints = np.searchsorted(self.product_id, product_ids)
        return rows

    def select(self, product_ids: Ints) -> "Named":
        """Some of the products."""
        rows = self.rows(product_ids).tolist()
        return Named(product_ids, [self.names[i] for i in rows], [self.prices[i] for i in rows])


def named(
    source: OrderSource, as_of: date, product_ids: Ints, default_price: float | None
) -> Named:
    """Of products in ascending order; ``default_price`` where no line before the date tells one."""
    ids = product_ids.tolist()
    known = product_metadata(source, as_of, ids, default_price)
    return Named(product_ids, [known[i].name for i in ids], [known[i].unit_price for i in ids])


def never_ordered(
    asked: Sequence[int] | None, predicted: Ints, failed: Sequence[FailedPair]
) -> list[int]:
    """Those of the products that were asked for which nobody ordered, as nothing of them failed."""
    known = {*predicted.tolist(), *(pair.product_id for pair in failed)}
    return [i for i in asked or () if i not in known]
