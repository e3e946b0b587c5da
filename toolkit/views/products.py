"""Names and prices of products, as views show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from toolkit.data.tables import Floats, Ints
from toolkit.sources.base import OrderSource, ProductInfo

NOTHING = ProductInfo(None, None)


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


def named(source: OrderSource, as_of: date, product_ids: Ints) -> Named:
    """Of products in ascending order, from what was known before the date."""
    ids = product_ids.tolist()
    known = source.products(as_of, ids)
    infos = [known.get(product_id, NOTHING) for product_id in ids]
    return Named(
        product_ids,
        [info.name or f"Product {i}" for i, info in zip(ids, infos, strict=True)],
        [info.unit_price for info in infos],
    )
