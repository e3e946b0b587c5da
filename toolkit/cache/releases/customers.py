"""What a release says of customers: their pairs beside each product's value, and who they are.

``…:pairs:{product}``  a hash: customer id to a row of ``COLUMNS`` (float64, little-endian, base64),
                       and under the empty name what all rows share, as JSON
``…:customers``        a hash: customer id to name and products, as JSON
``…:at-risk``          a list: ``product:customer`` of every pair at risk, the gravest first

A product's pairs come and go with its value. The other two are made of all of them when the release
is published.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

import numpy as np
from numpy.typing import NDArray

from toolkit.cache.database import Database, pairs, parsed
from toolkit.cache.names import (
    AT_RISK_COUNT,
    CUSTOMER_COUNT,
    at_risk_key,
    customers_key,
    meta_key,
    pairs_key,
)
from toolkit.cache.releases.steps import KEEP_MS, PORTION, SCANNED
from toolkit.cache.releases.values import Value
from toolkit.data.tables import Floats, Ints
from toolkit.results.pair_rows import COLUMNS, PairRows

ROW = np.dtype("<f8")
TAKEN = 11 * len(COLUMNS) + 80
"""Bytes that a row takes of the server's memory, about."""

FACTS = ""

type Names = Callable[[Sequence[int]], Mapping[int, str]]
"""The names of those of the customers that have one."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """Of a product's pairs, what the release's own lists are made of."""

    customer_id: Ints  # [pairs]
    at_risk: Ints  # [at risk], rows
    p_alive: Floats  # [at risk]
    confidence: Floats  # [at risk]

    @classmethod
    def of(cls, rows: PairRows) -> "_Noted":
        at_risk = np.flatnonzero(rows.at_risk())
        p_alive, confidence = rows.column("p_alive"), rows.column("confidence")
        return cls(rows.customer_id, at_risk, p_alive[at_risk], confidence[at_risk])


class CustomerLists:
    """The customers of a release in the making."""

    def __init__(self, database: Database, release_id: str, ttl_s: int) -> None:
        self._database, self._release_id = database, release_id
        self.keep_ms = max(KEEP_MS, 1000 * ttl_s)
        self._noted: dict[int, _Noted] = {}

    def put(self, values: Mapping[int, Value]) -> None:
        """Write the pairs of products beside their values, which are some of a portion."""
        pipeline = self._database.client.pipeline(transaction=False)
        for product_id, value in values.items():
            key = pairs_key(self._release_id, product_id)
            self._noted[product_id] = _Noted.of(value.pairs)
            pipeline.unlink(key)
            for fields in batched(_hash_of(value).items(), SCANNED):
                pipeline.hset(key, mapping=dict(fields))
            pipeline.pexpire(key, self.keep_ms)
        with self._database.translated():
            pipeline.execute()

    def sizes(self, release_id: str, product_ids: Iterable[int]) -> list[int]:
        """How many bytes the pairs of products of another release take."""
        pipeline = self._database.client.pipeline(transaction=False)
        for product_id in product_ids:
            pipeline.hlen(pairs_key(release_id, product_id))
        with self._database.translated():
            return [TAKEN * count for count in pipeline.execute()]

    def write(self, staged: Iterable[int], token: str, names: Names) -> None:
        """Write what is said of all products that are staged; it stays as long as they may.

        Those that nobody noted, as they were carried over or staged before, are read back.
        """
        ids = list(staged)
        self._read_back([i for i in ids if i not in self._noted])
        noted = {i: self._noted[i] for i in ids}
        products = np.repeat(ids, [len(one.customer_id) for one in noted.values()])
        customers = _joined([one.customer_id for one in noted.values()])
        told = self._write_customers(customers, products, token, names)
        listed = self._write_at_risk(noted, token)
        client, meta = self._database.client, meta_key(self._release_id)
        with self._database.translated():
            client.hset(meta, mapping={CUSTOMER_COUNT: told, AT_RISK_COUNT: listed})

    def _write_customers(self, customers: Ints, products: Ints, token: str, names: Names) -> int:
        order = np.lexsort((products, customers))
        ids, start = np.unique(customers[order], return_index=True)
        theirs = (part.tolist() for part in np.split(products[order], start[1:]))
        made = self._new(customers_key(self._release_id), token)
        for portion in batched(zip(ids.tolist(), theirs, strict=False), SCANNED):
            named = names([customer for customer, _ in portion])
            fields = [
                (str(customer), _said(named.get(customer, f"Customer {customer}"), ordered))
                for customer, ordered in portion
            ]
            with self._database.translated():
                self._database.client.hset(made, mapping=dict(fields))
                self._database.client.pexpire(made, self.keep_ms)
        self._finish(made, customers_key(self._release_id), len(ids))
        return len(ids)

    def _write_at_risk(self, noted: Mapping[int, _Noted], token: str) -> int:
        customer = _joined([one.customer_id[one.at_risk] for one in noted.values()])
        product = np.repeat(list(noted), [len(one.at_risk) for one in noted.values()])
        p_alive = _joined([one.p_alive for one in noted.values()])
        confidence = _joined([one.confidence for one in noted.values()])
        order = np.lexsort((customer, product, confidence, p_alive)).tolist()
        made = self._new(at_risk_key(self._release_id), token)
        for portion in batched(order, SCANNED):
            with self._database.translated():
                self._database.client.rpush(made, *(f"{product[i]}:{customer[i]}" for i in portion))
                self._database.client.pexpire(made, self.keep_ms)
        self._finish(made, at_risk_key(self._release_id), len(order))
        return len(order)

    def _new(self, final: str, token: str) -> str:
        """The name under which a key is made; nothing is there, nor under its final name."""
        made = f"{final}:{token}"
        with self._database.translated():
            self._database.client.unlink(made, final)
        return made

    def _finish(self, made: str, final: str, entries: int) -> None:
        if entries:
            with self._database.translated():
                self._database.client.rename(made, final)

    def _read_back(self, ids: Sequence[int]) -> None:
        for portion in batched(ids, PORTION):
            pipeline = self._database.client.pipeline(transaction=False)
            for product_id in portion:
                pipeline.hgetall(pairs_key(self._release_id, product_id))
            with self._database.translated():
                found = pipeline.execute()
            for product_id, fields in zip(portion, found, strict=True):
                self._noted[product_id] = _Noted.of(_rows_of(pairs(fields)))


def ordered_by(database: Database, release_id: str, customers: Sequence[int]) -> list[int]:
    """The products of which a release says that one of the customers ordered them, ascending."""
    found: set[int] = set()
    for portion in batched(customers, SCANNED):
        with database.translated():
            said = database.client.hmget(customers_key(release_id), list(map(str, portion)))
        found |= {int(i) for one in filter(None, said) for i in parsed(one, dict)["products"]}
    return sorted(found)


def row_of(packed: str | bytes) -> Floats:
    """A row [COLUMNS] as it was packed; ``ValueError`` if it is none."""
    row = np.frombuffer(base64.b64decode(packed, validate=True), ROW)
    if row.shape != (len(COLUMNS),):
        raise ValueError("what is said of a pair is not whole")
    return row.astype(float)


def _hash_of(value: Value) -> dict[str, str | bytes]:
    said: dict[str, str | bytes] = {FACTS: value.facts}
    packed = value.pairs.values.astype(ROW)
    for customer, row in zip(value.pairs.customer_id.tolist(), packed, strict=True):
        said[str(customer)] = base64.b64encode(row.tobytes())
    return said


def _rows_of(fields: Mapping[str, str]) -> PairRows:
    """What is not a row there is nobody's."""
    rows: dict[int, Floats] = {}
    for name, packed in fields.items():
        with suppress(ValueError):
            rows[int(name)] = row_of(packed)
    values = np.array([*rows.values()]).reshape(-1, len(COLUMNS))
    return PairRows(np.fromiter(rows, np.int64, len(rows)), values)


def _said(name: str, products: Sequence[int]) -> str:
    return json.dumps({"name": name, "products": products}, separators=(",", ":"))


def _joined[T: np.generic](parts: Sequence[NDArray[T]]) -> NDArray[T]:
    return np.concatenate(parts)
