"""Tokens of an OpenID provider (JWT): whether one is genuine, for us, and still holds.

The provider's keys are fetched when a token names one that is not known, and kept. A token that was
found good is good until it expires: no signature is computed twice.
"""

import asyncio
import hashlib
import json
import re
import time
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus

import jwt
from cachetools import LRUCache

from toolkit.errors import ArgumentError
from toolkit.service.replies import ProblemError
from toolkit.service.settings import Oidc

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Asymmetric ones only: nobody who can check a token can make one."""

PATIENCE_S = 5
KEYS_STAY_S = 3600
REMEMBERED = 10_000
MOST_BYTES = 1_000_000
LONGEST_TOKEN = 8_192
LEEWAY_S = 10.0
"""Clocks of the provider and of this machine may be so far apart."""

RETRY_S = 10.0
"""After a token that named an unknown key, the provider is asked again this much later."""

_PLAIN = re.compile(r"[^A-Za-z0-9._@-]")


@dataclass(frozen=True, slots=True)
class _Good:
    name: str
    until: float


class Tokens:
    """The tokens that ``oidc`` issues. It is asked when the first one comes."""

    def __init__(self, oidc: Oidc) -> None:
        self._oidc = oidc
        self._good: LRUCache[bytes, _Good] = LRUCache(REMEMBERED)
        self._missed_at = -RETRY_S
        self._keys: jwt.PyJWKClient | None = None

    async def name_of(self, token: str) -> str:
        """Whose token it is; ``ProblemError`` if nobody's, or if the provider does not answer."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        good: _Good | None = self._good.get(digest)
        if good is None or good.until <= time.time():
            if len(token) > LONGEST_TOKEN:
                raise ProblemError(HTTPStatus.UNAUTHORIZED, "The token is too long.")
            good = await asyncio.to_thread(self._checked, token)
            self._good[digest] = good
        return good.name

    def _checked(self, token: str) -> _Good:
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                algorithms=ALGORITHMS,
                audience=self._oidc.audience,
                issuer=self._oidc.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            said = f"The token is not accepted: {str(error).rstrip('.')[:200]}."
            raise ProblemError(HTTPStatus.UNAUTHORIZED, said) from error
        name = claims.get("azp") or claims.get("client_id") or claims.get("sub") or "token"
        until = float(claims["exp"]) + LEEWAY_S
        return _Good(f"oidc:{_PLAIN.sub('_', str(name))}"[:64], until)

    def _key_of(self, token: str) -> jwt.PyJWK:
        """The provider's key that the token names; unknown ones do not ask it again and again."""
        name = jwt.get_unverified_header(token).get("kid")
        known = self._issued()
        if name not in known and time.monotonic() - self._missed_at >= RETRY_S:
            self._missed_at = time.monotonic()
            known = self._issued(anew=True)
        if name not in known:
            raise jwt.InvalidKeyError("its key is none of the issuer's")
        return known[name]

    def _issued(self, anew: bool = False) -> dict[str | None, jwt.PyJWK]:
        """The provider's keys by their names; 503 if it does not tell them."""
        try:
            if self._keys is None:
                self._keys = jwt.PyJWKClient(
                    keys_url(self._oidc.issuer),
                    cache_keys=False,
                    lifespan=KEYS_STAY_S,
                    timeout=PATIENCE_S,
                )
            return {key.key_id: key for key in self._keys.get_signing_keys(anew)}
        except (jwt.PyJWKClientError, jwt.PyJWKSetError, OSError, ValueError) as error:
            said = "The issuer of tokens does not answer, so that no token can be checked."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, said) from error


def keys_url(issuer: str) -> str:
    """Where the issuer's keys are, by what it says of itself; ``ArgumentError`` in a sentence."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    if not url.startswith(("https://", "http://")):
        raise ArgumentError(f"an OIDC issuer is a URL that starts with https://, got {issuer!r}")
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            said = json.loads(answer.read(MOST_BYTES))
        if said["issuer"] != issuer:
            raise ValueError(f"it calls itself {said['issuer']!r}")
        if not str(said["jwks_uri"]).startswith(("https://", "http://")):
            raise ValueError(f"its keys are at {said['jwks_uri']!r}")
        return str(said["jwks_uri"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(getattr(error, "reason", error)) or type(error).__name__
        raise ArgumentError(f"the OIDC issuer {issuer} does not answer as one: {why}") from error
