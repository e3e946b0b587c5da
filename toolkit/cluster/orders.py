"""Orders that workers open anew for each task: those that the work began with, or none.

An import replaces orders in one step, and whoever has opened them goes on with the old ones. A
task that opens them afterwards would see others than the tasks before it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from toolkit.cluster.probe import file_digest
from toolkit.errors import OrdersReplacedError
from toolkit.sources.embedded.database import open_database
from toolkit.sources.parquet.manifest import MANIFEST
from toolkit.sources.parquet.place import absolute, place_at
from toolkit.sources.parquet.remote import is_remote


@dataclass(frozen=True, slots=True)
class OrdersAt:
    """What an import left at ``place``, which ``digest`` tells from what another leaves there.

    None where there was nothing.
    """

    place: Path
    digest: str | None

    @classmethod
    def now(cls, database: Path) -> "OrdersAt":
        """Those that are there: a file of DuckDB's, or a folder of orders in Parquet.

        ``SourceError`` where an object store cannot be read.
        """
        return cls(absolute(database), _digest_of(database))

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Read them; they stay what they are until the end of the block.

        Raises ``OrdersReplacedError`` where an import has taken their place, and ``SourceError``
        as ``open_database`` does.
        """
        with open_database(self.place) as conn:
            if _digest_of(self.place) != self.digest:  # opened first: what is open stays
                raise OrdersReplacedError(
                    f"{self.place} holds other orders than when this began: an import took their "
                    "place; run it again"
                )
            yield conn


def _digest_of(database: Path) -> str | None:
    if not is_remote(database) and not database.is_dir():
        return file_digest(database)
    manifest = place_at(database).read(MANIFEST)  # names all parts, and is replaced in one step
    return None if manifest is None else hashlib.sha256(manifest).hexdigest()
