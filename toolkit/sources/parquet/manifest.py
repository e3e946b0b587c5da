"""What a folder of orders holds: ``manifest.json``, and the files that it names.

    manifest.json                          written last, in one step
    parts-1f0c…/lines/bucket=0000/…        order lines of a run of products
    parts-1f0c…/customers/bucket=0000/…    the second copy: lines of a run of customers
    parts-1f0c…/tables/Product.parquet     every other table, whole

A bucket is a run of whole products (customers) by their ids, about equal in lines. What the
manifest does not name is not there: parts of an import that was cut short, or of the one before.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import AwareDatetime
from pydantic.dataclasses import dataclass

from toolkit.data.tables import Ints
from toolkit.errors import SourceError
from toolkit.validation import examine

MANIFEST = "manifest.json"
FORMAT = 1
PARTS = "parts-"
"""How the names of folders of parts begin."""

LINES_PER_BUCKET = 500_000


@dataclass(frozen=True, slots=True)
class Part:
    """A file by its path in the folder; ``first_id``: the least id in it, of a bucket."""

    path: str
    rows: int
    bytes: int
    sha256: str
    first_id: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a folder: both copies of the order lines by bucket, and tables by name."""

    format: int
    made_at: AwareDatetime
    toolkit_version: str
    parts: str
    order_lines: int
    lines: tuple[Part, ...]
    customers: tuple[Part, ...]
    tables: dict[str, Part]

    @property
    def files(self) -> tuple[Part, ...]:
        """Every file that it names."""
        return (*self.lines, *self.customers, *self.tables.values())


def parse_manifest(text: bytes, where: str) -> Manifest:
    """The manifest of the folder ``where``. ``SourceError`` where it is none that can be read."""
    try:
        content = json.loads(text)
    except ValueError as exc:
        raise SourceError(f"{where}/{MANIFEST} is no JSON: {exc}") from exc
    if not isinstance(content, Mapping) or "format" not in content:
        raise SourceError(f"{where}/{MANIFEST} is no manifest of orders in Parquet")
    if content["format"] != FORMAT:
        raise SourceError(
            f"{where} is written in format {content['format']!r}, and this version of the toolkit "
            f"reads format {FORMAT}: import the orders again, or use the version that wrote it"
        )
    manifest, mistakes = examine(Manifest, content)
    if manifest is None:
        raise SourceError(f"{where}/{MANIFEST} cannot be used: {mistakes[0]}")
    return manifest


def first_ids(ids: Ints, lines: Ints, per_bucket: int) -> list[int]:
    """The least id of each bucket: runs of whole ``ids`` (ascending) about equal in ``lines``.

    >>> first_ids(np.array([3, 5, 8, 9]), np.array([4, 1, 2, 3]), per_bucket=5)
    [3, 8]
    """
    if not len(ids):
        return [0]
    before = np.cumsum(lines) - lines
    buckets = -(-int(lines.sum()) // per_bucket)
    _, start = np.unique(before * buckets // int(lines.sum()), return_index=True)
    return [int(first) for first in ids[start]]


def bucket_path(parts: str, copy: str, number: int) -> str:
    """Where a bucket lies: Hive's way of naming partitions, which other readers know."""
    return f"{parts}/{copy}/bucket={number:04}/{copy}.parquet"


def bounds(firsts: Sequence[int], number: int, column: str) -> str:
    """SQL for the rows of a bucket: from its first id to below the next one's."""
    above = f"{column} >= {firsts[number]}" if number else "true"
    last = number + 1 == len(firsts)
    return above if last else f"{above} AND {column} < {firsts[number + 1]}"
