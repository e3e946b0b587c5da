"""Results as tidy tables: pandas frames whose columns and types do not depend on their rows.

A kind of column is one of ``int64``, ``float64`` (NaN where nothing is known), ``date``
(``datetime64[s]`` at midnight, NaT where beyond reach) and ``string`` (pandas' own, ``<NA>`` where
nothing is known). Records of quantiles become a column each: ``quantity_q05`` … ``quantity_q95``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from toolkit.data.tables import QUANTILE_NAMES
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

type ColumnKind = Literal["int64", "float64", "date", "string"]
type Schema = Mapping[str, ColumnKind]
"""Columns of a table, in their order."""


def quantile_columns(prefix: str, kind: ColumnKind = "float64") -> dict[str, ColumnKind]:
    """A column for each of ``QUANTILES``.

    >>> list(quantile_columns("quantity"))[:2]
    ['quantity_q05', 'quantity_q10']
    """
    return {f"{prefix}_{name}": kind for name in QUANTILE_NAMES}


def flat(record: Mapping[str, object]) -> dict[str, object]:
    """A record with what its inner records hold: ``quantity_quantiles`` as ``quantity_q05``, ….

    >>> flat({"week": 1, "quantity_quantiles": {"q05": 2.0}, "demand": {"orders": 3.0}})
    {'week': 1, 'quantity_q05': 2.0, 'orders': 3.0}
    """
    values: dict[str, object] = {}
    for name, value in record.items():
        if not isinstance(value, Mapping):
            values[name] = value
        elif name.endswith("_quantiles"):
            stem = name.removesuffix("quantiles")
            values |= {f"{stem}{quantile}": of for quantile, of in value.items()}
        else:
            values |= flat(value)
    return values


def frame_of(
    records: Sequence[Mapping[str, object]],
    schema: Schema,
    first: Mapping[str, object] | None = None,
) -> "pd.DataFrame":
    """A row for each record, of the columns in ``schema``; ``first``: what is equal in all rows."""
    import pandas as pd

    rows = [{**(first or {}), **flat(record)} for record in records]
    return pd.DataFrame(
        {
            name: _column([row.get(name) for row in rows], kind)
            for name, kind in schema.items()
        }
    )  # fmt: skip


def table_named[Table](tables: Mapping[str, Table], name: str | None) -> Table:
    """The table of a name, by default the first; ``ArgumentError`` for an unknown one."""
    asked = next(iter(tables)) if name is None else name
    if asked not in tables:
        known = ", ".join(map(repr, tables))
        raise ArgumentError(f"table has to be one of {known}, got {name!r}")
    return tables[asked]


def _column(values: Sequence[object], kind: ColumnKind) -> "pd.Series":
    import pandas as pd

    if kind == "date":
        texts = cast("Sequence[str | None]", values)
        days = [np.datetime64("NaT") if text is None else np.datetime64(text) for text in texts]
        return pd.Series(np.array(days, dtype="datetime64[s]"))
    if kind == "string":
        return pd.Series(values, dtype="string")
    if kind == "int64":
        return pd.Series(values, dtype="int64")
    numbers = [np.nan if value is None else value for value in values]
    return pd.Series(numbers, dtype="float64")
