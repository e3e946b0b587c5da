"""Orders of a database as a folder of Parquet files: written beside what is there, then named.

The manifest is replaced last, in one step. A reader that began before goes on with the files that
it knows; the next import removes them. An import that is killed leaves the old orders whole.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import duckdb
import numpy as np

from toolkit.installed import own_version
from toolkit.sources.embedded.database import open_database
from toolkit.sources.embedded.session import IMPORT_GB, memory_limit
from toolkit.sources.parquet.manifest import (
    FORMAT,
    LINES_PER_BUCKET,
    MANIFEST,
    PARTS,
    Manifest,
    Part,
    bounds,
    bucket_path,
    first_ids,
    parse_manifest,
)
from toolkit.sources.parquet.place import Place, place_at
from toolkit.sources.parquet.reading import lines_as_tables
from toolkit.validation import written

type Progress = Callable[[str], None]

_LINES = """
SELECT oi.ID, oi.OrderID, oi.ProductID, oi.Qty, oi.PricePerItem, oi.Created,
       ca.ClientID, o.Created AS OrderCreated
FROM dbo.OrderItem oi
INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
LEFT JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE oi.ProductID IS NOT NULL
ORDER BY oi.ProductID, oi.ID"""

_LINES_OF_CUSTOMERS = """
SELECT ClientID, ProductID, Qty, Created, OrderCreated
FROM lines
WHERE ClientID IS NOT NULL
ORDER BY ClientID, ProductID, ID"""

_COPIES = {"lines": (_LINES, "ProductID"), "customers": (_LINES_OF_CUSTOMERS, "ClientID")}
"""Each copy of the order lines: its rows, sorted by what it is cut by."""

_AGREEMENTS = """
SELECT DISTINCT ClientID AS ID, ClientID
FROM dbo.ClientAgreement
WHERE ClientID IS NOT NULL
ORDER BY 1"""
"""Lines name the customer, and no agreement; of orders there is no table, since lines tell."""


@dataclass(frozen=True, slots=True)
class Writing:
    """An import into a folder of orders; ``room`` is a local folder for what it needs meanwhile."""

    room: Path
    place: Place
    lines_per_bucket: int

    def write(self, database: Path, progress: Progress = lambda stage: None) -> Manifest:
        """Let the orders of a database file take the place of those in the folder."""
        progress("writing Parquet")
        with open_database(database) as conn:
            conn.execute(f"SET temp_directory = {_text(self.room / 'spilled')}")
            conn.execute(f"SET memory_limit = '{memory_limit(*IMPORT_GB)}'")
            return self.write_from(conn)

    def write_from(self, conn: duckdb.DuckDBPyConnection) -> Manifest:
        """The same from schema ``dbo`` of a connection."""
        lines_as_tables(conn)
        parts = self.room / f"{PARTS}{token_hex(8)}"
        manifest = _write_parts(conn, parts, self.lines_per_bucket)
        self.place.bring(parts)
        self.place.replace_manifest(written(manifest))
        return manifest


@contextmanager
def writing_to(address: str | Path, lines_per_bucket: int = LINES_PER_BUCKET) -> Iterator[Writing]:
    """One import into the folder of orders at an address, which may be there already, or not yet.

    What former imports left is removed first. Raises ``SourceError`` where it may not be written,
    or another import is at work.
    """
    place = place_at(address)
    with place.working() as room:
        content = place.read(MANIFEST)
        kept = None if content is None else parse_manifest(content, place.name).parts
        place.remove_parts_but(kept)
        yield Writing(room, place, lines_per_bucket)


def write_parquet(
    database: Path, address: str | Path, progress: Progress = lambda stage: None
) -> Manifest:
    """Write the orders of a database file as a folder of Parquet at an address, as an import does.

    Raises ``SourceError`` where the database cannot be read, or the folder not be written.
    """
    with writing_to(address) as writing:
        return writing.write(database, progress)


def _write_parts(conn: duckdb.DuckDBPyConnection, parts: Path, lines_per_bucket: int) -> Manifest:
    """Write all files of a folder below ``parts``; what is to be said of them."""
    copies = {}
    for copy, (rows, key) in _COPIES.items():
        conn.execute(f"CREATE TEMP TABLE {copy} AS {rows}")
        copies[copy] = tuple(_write_buckets(conn, parts, copy, key, lines_per_bucket))
    tables = {
        name: _write(conn, rows, parts, f"{parts.name}/tables/{name}.parquet")
        for name, rows in _tables(conn).items()
    }
    for copy in _COPIES:
        conn.execute(f"DROP TABLE {copy}")
    return Manifest(
        format=FORMAT,
        made_at=datetime.now(UTC),
        toolkit_version=own_version(),
        parts=parts.name,
        order_lines=sum(part.rows for part in copies["lines"]),
        lines=copies["lines"],
        customers=copies["customers"],
        tables=tables,
    )


def _write_buckets(
    conn: duckdb.DuckDBPyConnection, parts: Path, copy: str, key: str, lines_per_bucket: int
) -> Iterator[Part]:
    counted = conn.execute(
        f"SELECT {key} AS id, count(*) AS lines FROM {copy} GROUP BY 1 ORDER BY 1"
    ).fetchnumpy()
    ids, lines = (np.asarray(counted[name], np.int64) for name in ("id", "lines"))
    firsts = first_ids(ids, lines, lines_per_bucket)
    for number, first in enumerate(firsts):
        rows = f"SELECT * FROM {copy} WHERE {bounds(firsts, number, key)}"
        yield _write(conn, rows, parts, bucket_path(parts.name, copy, number), first)


def _tables(conn: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The rows of each table but those of orders and their lines."""
    found = conn.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'dbo'"
        " AND table_catalog = current_catalog() AND table_name NOT IN ('Order', 'OrderItem')"
        " ORDER BY 1"
    ).fetchall()
    rows = {name: f'SELECT * FROM dbo."{name}"' for (name,) in found}
    return rows | {"ClientAgreement": _AGREEMENTS}


def _write(
    conn: duckdb.DuckDBPyConnection, rows: str, parts: Path, path: str, first_id: int | None = None
) -> Part:
    file = parts.parent / path
    file.parent.mkdir(parents=True, exist_ok=True)
    ((count,),) = conn.execute(f"COPY ({rows}) TO {_text(file)} (FORMAT parquet)").fetchall()
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Part(path, int(count), file.stat().st_size, digest, first_id)


def _text(path: Path) -> str:
    """A path as a text of SQL."""
    return "'{}'".format(str(path).replace("'", "''"))
