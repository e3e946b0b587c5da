"""What the current release says of customers, for a service: read when it is asked for.

A customer's pairs lie beside the products that they are of (``releases/customers.py``), so that a
question takes two round trips: which pairs, then the pairs. Both are of one release.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from itertools import batched

from redis.asyncio.client import Pipeline

from toolkit.cache.current import CurrentRelease
from toolkit.cache.database import parsed, text
from toolkit.cache.names import at_risk_key, customers_key, index_key, pairs_key
from toolkit.cache.records import ATTEMPTS, Records
from toolkit.cache.releases.customers import FACTS, row_of
from toolkit.cache.spec import INVALIDATED
from toolkit.data.tables import Floats
from toolkit.errors import CacheError

AT_ONCE = 500
"""So many pairs are asked for at a time."""

type Ids = tuple[int, int]
"""Product, customer."""


@dataclass(frozen=True, slots=True)
class PairRecord:
    """A pair of a release: a row of ``pair_rows.COLUMNS``, and what all of its product share."""

    product_id: int
    customer_id: int
    customer_name: str
    product_name: str
    unit_price: float | None
    as_of_date: date
    weeks: int
    values: Floats


class _ReplacedError(Exception):
    """Another release became current between two round trips."""


class Customers[V]:
    """Questions about customers, over the records of a service.

    ``CacheError`` from each if the server does not answer, or the release does not tell: it was
    made by an earlier version of the toolkit, or the server has dropped what it said.
    """

    def __init__(self, records: Records[V]) -> None:
        self._records = records

    async def of(self, customer_id: int) -> tuple[CurrentRelease, list[PairRecord] | None]:
        """All pairs of a customer, by product; None where the release knows of no such customer.

        Those of products that were invalidated are left out.
        """

        def ask(pipeline: Pipeline, release: str) -> None:
            pipeline.hget(customers_key(release), str(customer_id))
            pipeline.hlen(customers_key(release))

        for _ in range(ATTEMPTS):
            release, (said, known) = await self._records.of_current(ask)
            _demand(known == release.customers, release)
            if said is None:
                return release, None
            with _whole(release):
                found = parsed(said, dict)
                names = {customer_id: str(found["name"])}
                ids = [(int(product), customer_id) for product in found["products"]]
            with suppress(_ReplacedError):
                return release, await self._pairs(release, ids, names)
        raise CacheError("releases follow each other faster than they can be read")

    async def at_risk(self, offset: int, limit: int) -> tuple[CurrentRelease, list[PairRecord]]:
        """Pairs at risk over all products, the lowest chance of another order first.

        Those of products that were invalidated are left out.
        """

        def ask(pipeline: Pipeline, release: str) -> None:
            pipeline.llen(at_risk_key(release))
            pipeline.lrange(at_risk_key(release), offset, offset + limit - 1)

        for _ in range(ATTEMPTS):
            release, (length, listed) = await self._records.of_current(ask)
            _demand(release.customers is not None and length == release.at_risk, release)
            with _whole(release):
                ids = [_ids(text(one)) for one in listed]
            with suppress(_ReplacedError):
                names = await self._names(release, [customer for _, customer in ids])
                return release, await self._pairs(release, ids, names)
        raise CacheError("releases follow each other faster than they can be read")

    async def _names(self, release: CurrentRelease, customers: Sequence[int]) -> dict[int, str]:
        names: dict[int, str] = {}
        for portion in batched(customers, AT_ONCE):

            def ask(pipeline: Pipeline, release: str, portion: Sequence[int] = portion) -> None:
                pipeline.hmget(customers_key(release), list(map(str, portion)))

            now, (said,) = await self._records.of_current(ask)
            _refuse_another(now, release)
            with _whole(release):
                for customer, one in zip(portion, said, strict=True):
                    names[customer] = str(parsed(one, dict)["name"])
        return names

    async def _pairs(
        self, release: CurrentRelease, ids: Sequence[Ids], names: Mapping[int, str]
    ) -> list[PairRecord]:
        found: list[PairRecord] = []
        for portion in batched(ids, AT_ONCE):

            def ask(pipeline: Pipeline, release: str, portion: Sequence[Ids] = portion) -> None:
                pipeline.hmget(index_key(release), [str(product) for product, _ in portion])
                for product, customer in portion:
                    pipeline.hmget(pairs_key(release, product), [FACTS, str(customer)])

            now, (entries, *rows) = await self._records.of_current(ask)
            _refuse_another(now, release)
            for (product, customer), entry, (facts, row) in zip(
                portion, entries, rows, strict=True
            ):
                if text(entry or "") == INVALIDATED:
                    continue
                with _whole(release):
                    found.append(_record((product, customer), names[customer], facts, row))
        return found


def _record(ids: Ids, name: str, facts: object, row: str | bytes) -> PairRecord:
    said, (product_id, customer_id) = parsed(facts, dict), ids
    price = said["unit_price"]
    return PairRecord(
        product_id=product_id,
        customer_id=customer_id,
        customer_name=name,
        product_name=str(said["product_name"]),
        unit_price=None if price is None else float(price),
        as_of_date=date.fromisoformat(said["as_of_date"]),
        weeks=int(said["weeks"]),
        values=row_of(row),
    )


def _ids(entry: str) -> Ids:
    product, _, customer = entry.rpartition(":")
    return int(product), int(customer)


def _refuse_another(now: CurrentRelease, release: CurrentRelease) -> None:
    if now.pointer.release != release.pointer.release:
        raise _ReplacedError


@contextmanager
def _whole(release: CurrentRelease) -> Iterator[None]:
    """What is missing or damaged within becomes a ``CacheError``."""
    try:
        yield
    except (ValueError, TypeError, KeyError):
        _demand(False, release)


def _demand(whole: bool, release: CurrentRelease) -> None:
    if not whole:
        raise CacheError(
            f"release {release.pointer.release} does not tell what it should of its customers: it"
            " was made by an earlier version of the toolkit, or the server has dropped it; `toolkit"
            " export` makes one that does"
        )
