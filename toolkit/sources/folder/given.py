"""Rows of a table that was given in Python: a DataFrame, or what Arrow can read."""

import sys
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import duckdb
import pyarrow as pa

from toolkit.errors import ArgumentError
from toolkit.installed import need
from toolkit.sources.folder.files import Row
from toolkit.sources.folder.rows import Asked, Rows, any_given, meant, one_of_each, typed, types_of

if TYPE_CHECKING:
    import pandas as pd

GIVEN = "the table of order lines"
_ROW = "row_of_table"
_RELATION = "given_order_lines"

type Columns = dict[str, pa.Array]


@runtime_checkable
class OrderTable(Protocol):
    """What can be read by Arrow's PyCapsule interface: a DataFrame of pandas or polars, a table."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Its columns, for others."""


def read_given(conn: duckdb.DuckDBPyConnection, given: OrderTable, asked: Asked) -> Rows:
    """The rows of a table of order lines; ``row 3`` of it is ``given.iloc[3]``."""
    columns = columns_of(given)
    header = tuple(columns)
    found = meant("order_lines", header, asked)
    rows = len(next(iter(columns.values()), []))
    conn.register(_RELATION, pa.table({**columns, _ROW: pa.array(range(rows), pa.int64())}))
    types = types_of(conn, _RELATION)
    selected = [typed(f, name, types[name]) for f, name in found.columns.items()]
    relation = f"(SELECT {', '.join([_ROW, *selected])} FROM {_RELATION} WHERE {any_given(header)})"
    by_field = {f: t for f, t in types_of(conn, relation).items() if f != _ROW}
    return Rows(relation, by_field, Row(f"'row ' || {_ROW}", _ROW, "''", _ROW), header, found)


def columns_of(given: OrderTable) -> Columns:
    """The columns of a table by name, as Arrow has them; of a DataFrame, each by itself."""
    pandas = sys.modules.get("pandas")  # without which there is no DataFrame
    if pandas is not None and isinstance(given, pandas.DataFrame):
        names = one_of_each([str(name) for name in given.columns])
        return {name: array_of(given.iloc[:, i]) for i, name in enumerate(names)}
    try:
        table = pa.table(given)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as exc:
        raise ArgumentError(f"{GIVEN} cannot be read by Arrow: {exc}") from exc
    names = one_of_each(table.column_names)
    return {name: _plain(column) for name, column in zip(names, table.columns, strict=True)}


def array_of(values: "pd.Series") -> pa.Array:
    """A column as Arrow has it; what is of several kinds as text, for rules to find fault with."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _as_texts(values)
    if values.dtype == object and pa.types.is_temporal(array.type):
        zones = {getattr(v, "tzinfo", None) is None for v in values.dropna()}
        if len(zones) > 1:  # of which Arrow takes some to UTC without a word
            return _as_texts(values)
    return _plain(array)


def _as_texts(values: "pd.Series") -> pa.Array:
    pd = need("pandas", "reading a DataFrame")
    texts = [None if pd.api.types.is_scalar(v) and pd.isna(v) else str(v) for v in values]
    return pa.array(texts, pa.string())


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of plain values: no dictionary, no nothing."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    return array
