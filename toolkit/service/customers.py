"""``GET /v1/customers/{customer}`` and ``/v1/at-risk``: what the release says of customers."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus

import numpy as np

from toolkit.cache.current import CurrentRelease
from toolkit.cache.customers import Customers, PairRecord
from toolkit.cache.records import Records
from toolkit.data.ids import numbers_meant
from toolkit.errors import CacheError
from toolkit.results.customer_fields import CustomerPairs, product_of, soonest, summary_of
from toolkit.results.pair_rows import pairs_of
from toolkit.results.risk import reason_of
from toolkit.service.forecasts import (
    LONGEST_CODE,
    cacheable,
    headers_of,
    named_in,
    reply_of,
    sentence,
)
from toolkit.service.pages import Page
from toolkit.service.replies import JSON, NO_STORE, Header, ProblemError, Reply
from toolkit.service.schemas import AtRiskCustomerOf, CustomerView, ReleasedProduct
from toolkit.service.settings import ServiceSettings


class CustomerAnswers:
    """Answers of pairs, out of the records of a service."""

    def __init__(self, records: Records[Page], settings: ServiceSettings) -> None:
        self._customers = Customers(records)
        self._cacheable = cacheable(settings)

    async def reply(self, segment: bytes, headers: Iterable[Header]) -> Reply:
        """The view of the customer whom a segment of a path names, by id or code."""
        number, release, pairs = await find_customer(self._customers, named_in(segment, "customer"))
        page = _page(number, release, pairs)
        return reply_of(page, headers, [self._cacheable, *headers_of(release)])

    async def at_risk(self, offset: int, limit: int) -> Reply:
        """Pairs at risk over all products, the gravest first."""
        try:
            release, pairs = await self._customers.at_risk(offset, limit)
        except CacheError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
        said = {
            "release": release.pointer.release,
            "total": release.at_risk,
            "customers": at_risk_rows(pairs),
        }
        return Reply(HTTPStatus.OK, [JSON, NO_STORE, *headers_of(release)], _encoded(said))


async def find_customer[V](
    customers: Customers[V], code: str
) -> tuple[int, CurrentRelease, Sequence[PairRecord]]:
    """The number of an id or code, and the customer's pairs in the current release.

    404 where the release knows no such customer, 503 where the cache does not tell.
    """
    for number in numbers_meant(code):
        try:
            release, pairs = await customers.of(number)
        except CacheError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
        if pairs is not None:
            return number, release, pairs
    said = f"Release {release.pointer.release} knows no customer {code[:LONGEST_CODE]!r}."
    raise ProblemError(HTTPStatus.NOT_FOUND, said, headers_of(release))


def _page(customer_id: int, release: CurrentRelease, pairs: Sequence[PairRecord]) -> Page:
    name = release.pointer.release
    head = b'{"customer_id":%d,"release":%b,"forecast":' % (customer_id, json.dumps(name).encode())
    view = _encoded(view_of(customer_id, pairs) if pairs else None)
    tag = f"{name}-c{customer_id}-{hashlib.sha1(view).hexdigest()[:16]}"
    return Page(tag.encode(), b"%b%b}" % (head, view), len(head))


def view_of(customer_id: int, pairs: Sequence[PairRecord]) -> CustomerView:
    """Their products, at least one, the soonest first; each as of its own forecast's date."""
    table, latest = _table(pairs), max(pairs, key=lambda pair: pair.as_of_date)
    products = [
        ReleasedProduct(**product_of(table, row, pair.as_of_date), as_of_date=str(pair.as_of_date))
        for row, pair in enumerate(pairs)
    ]
    return CustomerView(
        customer_id=customer_id,
        forecast_period_weeks=latest.weeks,
        summary=summary_of(pairs[0].customer_name, products, latest.as_of_date, latest.weeks),
        products=sorted(products, key=soonest),
    )


def at_risk_rows(pairs: Sequence[PairRecord]) -> list[AtRiskCustomerOf]:
    """The pairs as rows, in their order."""
    if not pairs:
        return []
    table = _table(pairs)
    predicted = table.predicted
    return [
        AtRiskCustomerOf(
            product_id=pair.product_id,
            product_name=pair.product_name,
            customer_id=pair.customer_id,
            customer_name=pair.customer_name,
            avg_confidence=float(predicted.confidence[row]),
            p_alive=float(predicted.p_alive[row]),
            open_interval_days=float(table.open_interval[row]),
            expected_interval_days=float(predicted.expected_interval[row]),
            risk_reason=reason_of(int(table.severity[row]), predicted, table.open_interval, row)
            or "",
        )
        for row, pair in enumerate(pairs)
    ]


def _table(pairs: Sequence[PairRecord]) -> CustomerPairs:
    return pairs_of(
        np.stack([pair.values for pair in pairs]),
        [pair.product_id for pair in pairs],
        [pair.product_name for pair in pairs],
        [pair.unit_price for pair in pairs],
    )


def _encoded(said: object) -> bytes:
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()
