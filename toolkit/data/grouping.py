"""Products by category: who is in which, whatever order or part of them is looked at."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.data.tables import Ints

NO_CATEGORY = "no category"


def no_category(names: Collection[str | None]) -> str:
    """How products without a category are shown, unlike any of the ``names`` that there are.

    >>> no_category(["Food", None]), no_category(["no category"])
    ('no category', '(no category)')
    """
    shown = NO_CATEGORY
    while shown in names:
        shown = f"({shown})"
    return shown


@dataclass(frozen=True, slots=True)
class Grouping:
    """Products parted by category.

    ``names`` are those of the categories, ascending; None, of products without one, comes last. It
    is empty, and ``code`` is 0 throughout, where no product has a category.
    """

    names: tuple[str | None, ...]  # [categories]
    code: Ints  # [products]

    @classmethod
    def of(cls, product_ids: Ints, category: Mapping[int, str]) -> "Grouping":
        """The products by the category that they have.

        >>> Grouping.of(np.array([5, 6, 7]), {5: "Tools", 7: "Food", 9: "Toys"})
        Grouping(names=('Food', 'Tools', None), code=array([1, 2, 0]))
        """
        found = [category.get(i) for i in product_ids.tolist()]
        known = sorted({name for name in found if name is not None})
        if not known:
            return cls((), np.zeros(len(found), dtype=np.int64))
        names = (*known, None) if None in found else tuple(known)
        place = {name: i for i, name in enumerate(names)}
        return cls(names, np.array([place[name] for name in found], dtype=np.int64))
