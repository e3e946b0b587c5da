"""Products of categories, found by name."""

from collections.abc import Iterable

from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource, categories_of
from toolkit.sources.search import find_categories

NO_CATEGORIES = (
    "no product of this data has a category: a column `category` of products tells them "
    "(`Category` of dbo.Product on a SQL Server)"
)


def products_in(
    source: OrderSource, category: str | Iterable[str], product_ids: Iterable[int] | None = None
) -> list[int]:
    """The products of one category, or of several, ascending, ordered or not.

    Names are found as products' are. Raises ``ArgumentError`` with all that are unknown or no text,
    where no product has a category, and where ``product_ids`` are given, too.
    """
    if product_ids is not None:
        raise ArgumentError("one of product_ids and category has to be given, got both")
    several = isinstance(category, Iterable) and not isinstance(category, str | bytes)
    given: list[object] = [*category] if several else [category]
    if not given:
        raise ArgumentError("category has to be one name or several, got none")
    names = [name for name in given if isinstance(name, str)]
    if wrong := [repr(name) for name in given if not isinstance(name, str)]:
        raise ArgumentError(f"category has to be text, got {', '.join(wrong)}")
    by_product = categories_of(source)
    if not by_product:
        raise ArgumentError(NO_CATEGORIES)
    wanted = {*find_categories(names, {*by_product.values()})}
    return sorted(i for i, name in by_product.items() if name in wanted)
