"""Rows of a result: batches of Arrow encoded as ROW tokens."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tests.tds.columns import ColumnType

ROW = 0xD1

_DAYS_1900_TO_1970 = 25_567
_DAY_IN_MICROSECONDS = 86_400_000_000


def encode_rows(batch: pa.RecordBatch, types: Sequence[ColumnType], datetime2: bool) -> bytes:
    """All rows of a batch; numbers and datetimes without NULL are laid out by NumPy."""
    fast = [_fixed_width(column, datetime2) for column in batch.columns]
    columns = [column for column in fast if column is not None]
    if len(columns) == len(fast):
        return _interleaved(columns, batch.num_rows)
    encoded = [
        [kind.encode(value) for value in column.to_pylist()]
        for kind, column in zip(types, batch.columns, strict=True)
    ]
    token = bytes([ROW])
    return b"".join(token + b"".join(row) for row in zip(*encoded, strict=True))


def _interleaved(columns: Sequence[NDArray[np.generic]], rows: int) -> bytes:
    """Token, then length and value of each column, row after row."""
    fields = [("token", "u1")]
    for i, column in enumerate(columns):
        fields += [(f"length_{i}", "u1"), (f"value_{i}", column.dtype.str)]
    table = np.empty(rows, dtype=np.dtype(fields))
    table["token"] = ROW
    for i, column in enumerate(columns):
        table[f"length_{i}"] = column.dtype.itemsize
        table[f"value_{i}"] = column
    return table.tobytes()


def _fixed_width(column: pa.Array, datetime2: bool) -> NDArray[np.generic] | None:
    """The column as it lies on the wire; None where that takes more than an array."""
    if column.null_count:
        return None
    kind = column.type
    if pa.types.is_int64(kind) or pa.types.is_int32(kind) or pa.types.is_float64(kind):
        plain: NDArray[np.generic] = column.to_numpy(zero_copy_only=False)
        return plain
    if pa.types.is_timestamp(kind) and not datetime2:
        moments = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
        return _datetimes(moments.astype("datetime64[us]").astype(np.int64))
    return None


def _datetimes(microseconds: NDArray[np.int64]) -> NDArray[np.generic]:
    """Days since 1900 in the lower four bytes, three-hundredths of a second in the upper."""
    days, rest = np.divmod(microseconds, _DAY_IN_MICROSECONDS)
    ticks = (rest * 3 + 5000) // 10_000
    laid_out: NDArray[np.generic] = (days + _DAYS_1900_TO_1970) | (ticks << 32)
    return laid_out
