"""Stage 4: product names and prices before the as-of date, one query per batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from toolkit.data.tables import MAX_AMOUNT
from toolkit.errors import PredictionError
from toolkit.sources.base import OrderSource, ProductInfo


@dataclass(frozen=True, slots=True)
class NamedProduct:
    """A product's name, and the price of a unit; None where no line before the date tells one.

    ``is_default``: no line does, and it is the price that the caller gave for such products.
    """

    name: str
    unit_price: float | None
    is_default: bool = False


def product_metadata(
    source: OrderSource,
    as_of_date: date,
    product_ids: Sequence[int],
    default_price: float | None = None,
) -> Mapping[int, NamedProduct]:
    """Name and price of every product asked for; ``default_price`` where no line tells one."""
    known = source.products(as_of_date, product_ids)
    nothing = ProductInfo(None, None)
    return {i: with_fallbacks(i, known.get(i, nothing), default_price) for i in product_ids}


def with_fallbacks(
    product_id: int, info: ProductInfo, default_price: float | None = None
) -> NamedProduct:
    """``Product 123`` for a missing name, ``default_price`` for a missing price.

    Raises ``PredictionError`` for a price beyond all prices: revenues would not be finite.
    """
    name = info.name or f"Product {product_id}"
    if info.unit_price is None:
        return NamedProduct(name, default_price, is_default=default_price is not None)
    if info.unit_price > MAX_AMOUNT:
        raise PredictionError(
            f"product {product_id} has a price of {info.unit_price:g}, above {MAX_AMOUNT:g}: "
            "`toolkit check` lists such prices"
        )
    return NamedProduct(name, info.unit_price)
