"""Who asks, and whether they may: an API key or a token, and so many requests a minute."""

import base64
import binascii
import time
from collections.abc import Iterable
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from toolkit.service.keys import ApiKeys
from toolkit.service.replies import Header, ProblemError
from toolkit.service.settings import ServiceSettings
from toolkit.service.tokens import Tokens

ANYBODY = "-"
CHALLENGE: Header = (b"www-authenticate", b"Bearer")
BROWSER_CHALLENGE: Header = (b"www-authenticate", b'Basic realm="Forecasts", charset="UTF-8"')
"""A browser asks its user then: any name, and the key as the password."""

WANTED = "A key is wanted, as `Authorization: Bearer KEY`."


class Access:
    """The keys and tokens of a service, and how often each of them has asked."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._open = settings.is_open
        self._keys = None if settings.keys is None else ApiKeys(settings.keys)
        self._tokens = None if settings.oidc is None else Tokens(settings.oidc)
        self._rate = None if settings.rate is None else RateLimitItemPerMinute(settings.rate)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def who(self, headers: Iterable[Header]) -> str:
        """The name of the key or token that a request brings; 401 without a good one."""
        if self._open:
            return ANYBODY
        credential = _credential(headers)
        if credential is None:
            raise ProblemError(HTTPStatus.UNAUTHORIZED, WANTED, [CHALLENGE])
        if self._tokens is not None and credential.count(".") == 2:
            return await self._tokens.name_of(credential)
        name = None if self._keys is None else self._keys.name_of(credential)
        if name is None:
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "The key is not known.", [CHALLENGE])
        return name

    def check_size(self, forecasts: int) -> None:
        """422 for more forecasts at once than a minute may have: waiting would not help."""
        if self._rate is not None and forecasts > self._rate.amount:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"A batch of {forecasts:,} is more than the {self._rate.amount:,} forecasts a"
                " minute that a key may ask for here: ask for fewer at a time.",
            )

    def count(self, who: str, cost: int = 1) -> None:
        """Note that somebody asks for so many forecasts; 429 if that is too many this minute."""
        if self._rate is None or self._limiter.hit(self._rate, who, cost=cost):
            return
        until = self._limiter.get_window_stats(self._rate, who).reset_time
        wait = max(1, round(until - time.time()))
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {self._rate.amount:,} forecasts a minute; the next ones in {wait} s.",
            [(b"retry-after", b"%d" % wait)],
        )


def _credential(headers: Iterable[Header]) -> str | None:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, credential = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return credential.strip().decode("latin-1")
            if scheme.lower() == b"basic":
                return _password(credential)
        elif name == b"x-api-key":
            return value.strip().decode("latin-1")
    return None


def _password(encoded: bytes) -> str | None:
    """What a browser's user typed; whatever name stands before it.

    >>> _password(base64.b64encode(b"me:a:b")), _password(b"no base64")
    ('a:b', None)
    """
    try:
        said = base64.b64decode(encoded.strip(), validate=True).decode(errors="replace")
    except binascii.Error:
        return None
    return said.partition(":")[2]
