"""What is answered of several products, and of the release as a whole."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from toolkit.cache.records import Found
from toolkit.data.ids import numbers_meant
from toolkit.errors import CacheError
from toolkit.service.access import Access
from toolkit.service.customers import CustomerAnswers
from toolkit.service.forecasts import Forecasts, headers_of, release_headers, sentence
from toolkit.service.pages import Page
from toolkit.service.replies import JSON, NO_STORE, ProblemError, Reply, json_reply

MOST_IDS = 200
"""Products of a batch: some 4 MB."""

MOST_ROWS = 1_000


class Answers:
    """Over the records that the forecasts are answered from."""

    def __init__(self, forecasts: Forecasts, customers: CustomerAnswers, access: Access) -> None:
        self._records = forecasts.records
        self.customers = customers
        self._access = access

    async def batch(self, codes: Sequence[str], who: str) -> Reply:
        """The forecasts of some products, by what was asked for, all of one release."""
        asked = {code: numbers_meant(code) for code in dict.fromkeys(codes)}
        self._access.check_size(len(asked))
        self._access.count(who, len(asked) - 1)
        try:
            told = await self._records.many(i for numbers in asked.values() for i in numbers)
            pages = {code: _first(told, numbers) for code, numbers in asked.items()}
        except CacheError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error
        known = b",".join(
            b"%b:%b" % (json.dumps(code).encode(), page.forecast)
            for code, page in pages.items()
            if page is not None
        )
        unknown = [code for code, page in pages.items() if page is None]
        found = (one for one in told.values() if isinstance(one, Found))
        one = max(found, key=lambda one: one.stale_s or 0.0)
        release = json.dumps(one.release.pointer.release).encode()
        body = b'{"release":%b,"forecasts":{%b},"unknown":%b}' % (
            release,
            known,
            json.dumps(unknown).encode(),
        )
        return Reply(HTTPStatus.OK, [JSON, NO_STORE, *release_headers(one)], body)

    def current(self) -> Reply:
        """The release that is current, and for how long the cache has not confirmed it."""
        release = self._records.release
        if release is None:
            said = sentence(CacheError(self._records.failure or "there is no release"))
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, said)
        stale_s = self._records.stale_s
        pointer = release.pointer
        said_of_it = {
            "release": pointer.release,
            "as_of_date": pointer.as_of,
            "published_at": release.published_at,
            "expires_at": pointer.expires_at,
            "products": pointer.products,
            "age_s": round(release.age_s(), 1),
            "stale_s": None if stale_s is None else round(stale_s, 1),
            "computed_with": dict(release.computed_with),
            "details": dict(release.details),
        }
        return json_reply(said_of_it, [NO_STORE, *headers_of(release, stale_s)])


def _first(told: Mapping[int, Found[Page] | CacheError], numbers: Sequence[int]) -> Page | None:
    """The page of the first number that a code may stand for and that is served.

    ``CacheError`` where there is none, and of one of the numbers nobody can tell.
    """
    found = [told[i] for i in numbers]
    for one in found:
        if isinstance(one, Found) and one.value is not None:
            return one.value
    for one in found:
        if isinstance(one, CacheError):
            raise one
    return None
