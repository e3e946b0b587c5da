"""Tables that a task hands over in a file: as Arrow has them in memory, to the last bit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

type Column = NDArray[Any] | Sequence[str | None]
"""Numbers [rows] or [rows, several], or text."""


def write_table(path: Path, table: pa.Table) -> None:
    """Parquet would keep seconds as milliseconds."""
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, table.schema, options=options) as writer,
    ):
        writer.write_table(table)


def read_table(path: Path) -> pa.Table:
    """What ``write_table`` wrote."""
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def write_columns(path: Path, columns: Mapping[str, Column]) -> None:
    """Columns that may differ in length; ``read_columns`` reads them."""
    values = {name: _arrow(column) for name, column in columns.items()}
    whole = {
        name: pa.ListArray.from_arrays([0, len(value)], value) for name, value in values.items()
    }
    write_table(path, pa.table(whole))


def read_columns(path: Path) -> dict[str, Any]:
    """What ``write_columns`` wrote: arrays of the same shapes, and lists of text."""
    table = read_table(path)
    return {name: _plain(table[name].chunk(0).values) for name in table.column_names}


def _arrow(column: Column) -> pa.Array:
    if not isinstance(column, np.ndarray):
        return pa.array(column, pa.string())
    flat = pa.array(np.ascontiguousarray(column).ravel())
    return flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])


def _plain(column: pa.Array) -> Column:
    if pa.types.is_string(column.type):
        texts: list[str | None] = column.to_pylist()
        return texts
    if pa.types.is_fixed_size_list(column.type):
        flat: NDArray[Any] = column.flatten().to_numpy()
        return flat.reshape(-1, column.type.list_size)
    numbers: NDArray[Any] = column.to_numpy()
    return numbers
