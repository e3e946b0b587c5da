"""Tables that a task hands over in a file: as Arrow has them in memory, to the last bit."""

from pathlib import Path

import pyarrow as pa


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
