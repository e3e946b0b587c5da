"""Stage 4: product names and last prices before the as-of date, one query per batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from toolkit.data.tables import MAX_AMOUNT
from toolkit.errors import PredictionError
from toolkit.sources.base import OrderSource, ProductInfo

DEFAULT_PRICE = 35.0


@dataclass(frozen=True, slots=True)
class NamedProduct:
    """A product's name and unit price, fallbacks filled in."""

    name: str
    unit_price: float


def product_metadata(
    source: OrderSource, as_of_date: date, product_ids: Sequence[int]
) -> Mapping[int, NamedProduct]:
    """Name and price of every product asked for."""
    known = source.products(as_of_date, product_ids)
    nothing = ProductInfo(None, None)
    return {i: with_fallbacks(i, known.get(i, nothing)) for i in product_ids}


def with_fallbacks(product_id: int, info: ProductInfo) -> NamedProduct:
    """``Product 123`` for a missing name, 35.0 for a missing price.

    Raises ``PredictionError`` for a price beyond all prices: revenues would not be finite.
    """
    price = DEFAULT_PRICE if info.unit_price is None else info.unit_price
    if price > MAX_AMOUNT:
        raise PredictionError(
            f"product {product_id} has a price of {price:g}, above {MAX_AMOUNT:g}: `toolkit check` "
            "lists such prices"
        )
    return NamedProduct(info.name or f"Product {product_id}", price)
