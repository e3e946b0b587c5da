"""Customers at risk over all products of a release: a list beside its values, the gravest first.

A forecast names those of its product; whoever wants all of them would have to read all forecasts.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import batched

from toolkit.cache.database import Database, text
from toolkit.cache.envelope import Fields
from toolkit.cache.names import AT_RISK_COUNT, at_risk_key, meta_key, value_prefix
from toolkit.cache.releases.steps import KEEP_MS, PORTION, SCANNED

type Row = tuple[float, float, int, int, bytes]
"""P(alive), confidence, product, customer, and the row as JSON: in this order they are sorted."""


class AtRiskList:
    """The list of a release in the making."""

    def __init__(self, database: Database, release_id: str) -> None:
        self._database, self._release_id = database, release_id
        self._rows: dict[int, list[Row]] = {}

    def note(self, product_id: int, forecast: Mapping[str, object] | None) -> int:
        """Note whom a forecast names; returns how many bytes that are."""
        rows = [] if forecast is None else list(_rows(product_id, forecast))
        self._rows[product_id] = rows
        return sum(len(row[-1]) for row in rows)

    def write(self, staged: Iterable[int], ttl_s: int, token: str) -> None:
        """Write the list of the products that are staged; it stays as long as their values may.

        Products that nobody noted, as they were carried over or staged before, are read back.
        """
        ids = list(staged)
        self._read_back([i for i in ids if i not in self._rows])
        rows = sorted(row for i in ids for row in self._rows.get(i, ()))
        final = at_risk_key(self._release_id)
        made, client = f"{final}:{token}", self._database.client
        with self._database.translated():
            client.unlink(made, final)
            for portion in batched(rows, SCANNED):
                client.rpush(made, *(row[-1] for row in portion))
            if rows:
                client.pexpire(made, max(KEEP_MS, 1000 * ttl_s))
                client.rename(made, final)
            client.hset(meta_key(self._release_id), AT_RISK_COUNT, str(len(rows)))

    def _read_back(self, ids: list[int]) -> None:
        prefix = value_prefix(self._release_id)
        for portion in batched(ids, PORTION):
            with self._database.translated():
                values = self._database.client.mget([f"{prefix}{i}" for i in portion])
            assert isinstance(values, list)
            for product_id, value in zip(portion, values, strict=True):
                self.note(product_id, None if value is None else json.loads(text(value)))


def _rows(product_id: int, forecast: Mapping[str, object]) -> Iterable[Row]:
    summary, listed = forecast.get("summary"), forecast.get("at_risk_customers")
    name = summary.get("product_name", "") if isinstance(summary, dict) else ""
    for customer in listed if isinstance(listed, list) else ():
        row: Fields = {"product_id": product_id, "product_name": name, **customer}
        yield (
            float(customer.get("p_alive", 1.0)),
            float(customer.get("avg_confidence", 1.0)),
            product_id,
            int(customer.get("customer_id", 0)),
            json.dumps(row, separators=(",", ":")).encode(),
        )
