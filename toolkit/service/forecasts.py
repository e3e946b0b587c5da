"""``GET /v1/forecasts/{product}``: the path that most requests take, and that decodes nothing."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from toolkit.cache.current import CurrentRelease
from toolkit.cache.records import Found, Records
from toolkit.data.ids import Kind, numbers_meant
from toolkit.errors import CacheError
from toolkit.service.metrics import STALE
from toolkit.service.pages import Page
from toolkit.service.replies import JSON, Header, ProblemError, Reply
from toolkit.service.settings import ServiceSettings

LONGEST_CODE = 200
GZIPPED: Header = (b"content-encoding", b"gzip")
VARY: Header = (b"vary", b"accept-encoding")
_REFUSED = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class Forecasts:
    """Answers from the records, with the headers that let a client ask again for little."""

    def __init__(self, records: Records[Page], settings: ServiceSettings) -> None:
        self.records = records
        self._cacheable = cacheable(settings)

    async def reply(self, segment: bytes, headers: Iterable[Header]) -> Reply:
        """The forecast of the product that a segment of a path names, by id or code."""
        found = await self.find(named_in(segment, "product"))
        assert found.value is not None
        return reply_of(found.value, headers, [self._cacheable, *release_headers(found)])

    async def find(self, code: str) -> Found[Page]:
        """The record of a product, by id or code; 404 or 503 where there is none."""
        failure: CacheError | None = None
        for number in numbers_meant(code):
            try:
                found = await self.records.one(number)
            except CacheError as error:  # memory may have what else the code stands for
                failure = failure or error
                continue
            if found.value is not None:
                return found
        if failure is not None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(failure)) from failure
        release = found.release.pointer.release
        said = f"Release {release} does not serve product {code[:LONGEST_CODE]!r}."
        raise ProblemError(HTTPStatus.NOT_FOUND, said, release_headers(found))


def cacheable(settings: ServiceSettings) -> Header:
    """For how long a client may use an answer again."""
    said = f"private, max-age={settings.max_age_s}, stale-if-error={settings.stale_s:.0f}"
    return b"cache-control", said.encode()


def reply_of(page: Page, headers: Iterable[Header], sent: Sequence[Header]) -> Reply:
    """A page as a request with ``headers`` wants it: compressed, or only that it is the same."""
    known, accepted = asked(headers)
    packed = page.compressed if takes_gzip(accepted) else b""
    tag = b'"%b%b"' % (page.tag, b"-gzip" if packed else b"")
    sent = [(b"etag", tag), VARY, *sent]
    if known and _matches(known, tag):
        return Reply(HTTPStatus.NOT_MODIFIED, sent)
    if packed:
        return Reply(HTTPStatus.OK, [JSON, GZIPPED, *sent], packed)
    return Reply(HTTPStatus.OK, [JSON, *sent], page.body)


def named_in(segment: bytes, kind: Kind) -> str:
    """The id or code in a segment of a path; a slash of a code comes as ``%2F``."""
    code = unquote_to_bytes(segment).decode(errors="replace")
    if not code.strip() or len(code) > LONGEST_CODE:
        said = f"A {kind} is an id or a code of 1 to {LONGEST_CODE} characters."
        raise ProblemError(HTTPStatus.NOT_FOUND, said)
    return code


def release_headers(found: Found[Page]) -> list[Header]:
    """Which release an answer is of, how old that is, and for how long nobody confirmed it."""
    return headers_of(found.release, found.stale_s)


def headers_of(release: CurrentRelease, stale_s: float | None = None) -> list[Header]:
    """The same for any answer of a release."""
    headers: list[Header] = [
        (b"forecast-release", release.pointer.release.encode()),
        (b"forecast-age", b"%d" % release.age_s()),
    ]
    if stale_s is not None:
        STALE.inc()
        headers.append((b"forecast-stale", b"%d" % stale_s))
    return headers


def sentence(error: Exception) -> str:
    """What an error says, as a sentence of its own."""
    said = str(error).rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."


def asked(headers: Iterable[Header]) -> tuple[bytes, bytes]:
    """The tags that a client knows, and the encodings that it takes."""
    known = accepted = b""
    for name, value in headers:
        if name == b"if-none-match":
            known = value
        elif name == b"accept-encoding":
            accepted = value
    return known, accepted


def takes_gzip(accepted: bytes) -> bool:
    """Whether it is among the encodings, and not there to be refused."""
    return b"gzip" in accepted and _REFUSED.search(accepted) is None


def _matches(known: bytes, tag: bytes) -> bool:
    return (
        known == tag
        or known.strip() == b"*"
        or any(one.strip().removeprefix(b"W/") == tag for one in known.split(b","))
    )
