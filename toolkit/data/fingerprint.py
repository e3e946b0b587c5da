"""Which data: what tells one set of order events from another."""

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import OrderEvents
from toolkit.errors import ArgumentError

SPOOLED_BYTES = 2**24
"""So much of a column stays in memory."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Order events, their span, and a digest of their content."""

    rows: int
    customers: int
    products: int
    first_date: date
    last_date: date
    sha256: str

    @classmethod
    def of(cls, events: OrderEvents) -> "Fingerprint":
        """The fingerprint of sorted ``events``; the as-of date they are told from is no part of it.

        Raises ``ArgumentError`` where there are none.
        """
        with _Noted() as noted:
            noted.add(events)
            return noted.fingerprint()

    @classmethod
    def of_parts(cls, parts: Iterable[OrderEvents]) -> "Fingerprint":
        """That of all events in tables of whole products that follow each other, one at a time.

        Columns wait for their turn to be hashed in temporary files. Raises as ``of`` does.
        """
        with _Noted() as noted:
            for events in parts:
                noted.add(events)
            return noted.fingerprint()


def digests_of(events: OrderEvents) -> dict[int, bytes]:
    """By product, ascending, a digest of its sorted ``events``."""
    ids, starts = np.unique(events.product_id, return_index=True)
    bounds, columns = [*starts.tolist(), len(events)], _later(events)
    return {
        product_id: hashlib.sha256(b"".join(_bytes(c[start:end]) for c in columns)).digest()
        for product_id, (start, end) in zip(ids.tolist(), pairwise(bounds), strict=True)
    }


class _Noted(ExitStack):
    """What was seen of order events, table by table. The digest is of one column, then the next."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = self._products = 0
        self._customers = np.zeros(0, np.int64)
        self._first, self._last = date.max, date.min
        self._whole = hashlib.sha256()
        files = (SpooledTemporaryFile(SPOOLED_BYTES) for _ in range(3))  # noqa: SIM115  # below
        self._files = [self.enter_context(file) for file in files]
        self._latest: OrderEvents | None = None

    def add(self, events: OrderEvents) -> None:
        if self._latest is not None:
            for file, column in zip(self._files, _later(self._latest), strict=True):
                file.write(_bytes(column))
        self._latest = events
        if not len(events):
            return
        self._rows += len(events)
        self._products += len(np.unique(events.product_id))
        self._customers = np.union1d(self._customers, events.customer_id)
        first, last = (timedelta(int(day)) for day in (events.day.min(), events.day.max()))
        self._first = min(self._first, events.as_of_date + first)
        self._last = max(self._last, events.as_of_date + last)
        self._whole.update(_bytes(events.product_id))

    def fingerprint(self) -> Fingerprint:
        if self._latest is None or not self._rows:
            before = "" if self._latest is None else f" before {self._latest.as_of_date}"
            raise ArgumentError(f"there are no orders{before}")
        for file, column in zip(self._files, _later(self._latest), strict=True):
            file.seek(0)
            while content := file.read(SPOOLED_BYTES):
                self._whole.update(content)
            self._whole.update(_bytes(column))
        return Fingerprint(
            rows=self._rows,
            customers=len(self._customers),
            products=self._products,
            first_date=self._first,
            last_date=self._last,
            sha256=self._whole.hexdigest(),
        )


def _later(events: OrderEvents) -> tuple[NDArray[Any], ...]:
    """The columns that are hashed when the first one is, of all tables."""
    return events.customer_id, events.day + events.as_of_date.toordinal(), events.quantity


def _bytes(column: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes()
