"""What is said of the current release beside its values, and whether it can be read here."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toolkit.cache.database import Database, parsed, text
from toolkit.cache.envelope import UnusableError, check_newer, parse
from toolkit.cache.names import AT_RISK_COUNT, CUSTOMER_COUNT, POINTER, index_key
from toolkit.cache.pointer import Pointer, pointer_of, value_names
from toolkit.cache.urls import client_of
from toolkit.errors import CacheError

META = ("published_at", "details", "computed_with", AT_RISK_COUNT, CUSTOMER_COUNT)


@dataclass(frozen=True, slots=True)
class CurrentRelease:
    """The release that readers get, and what is said of it.

    ``at_risk``: how many pairs at risk it lists; ``customers``: of how many it tells. None if it
    was made without.
    """

    pointer: Pointer
    published_at: str
    published: float
    details: Mapping[str, Any]
    computed_with: Mapping[str, Any]
    at_risk: int | None
    customers: int | None

    def age_s(self) -> float:
        """Seconds since it was published, never negative."""
        return max(0.0, time.time() - self.published)


def _refuse_newer(fields: dict[str, object], pointer: Pointer) -> None:
    try:
        check_newer(fields)
    except UnusableError as flaw:
        raise CacheError(f"release {pointer.release} {flaw}") from flaw


def release_of(pointer: Pointer, meta: Mapping[str, Any]) -> CurrentRelease:
    """What is said of the release; what is not there or damaged is left out."""
    at, details, computed_with = (
        text(meta[name] or "") for name in ("published_at", "details", "computed_with")
    )
    published = datetime.now(UTC)
    with suppress(ValueError):
        published = datetime.fromisoformat(at)
    at_risk, customers = (text(meta[name] or "") for name in (AT_RISK_COUNT, CUSTOMER_COUNT))
    return CurrentRelease(
        pointer=pointer,
        published_at=at,
        published=published.timestamp(),
        details=_object(details),
        computed_with=_object(computed_with),
        at_risk=int(at_risk) if at_risk.isdecimal() else None,
        customers=int(customers) if customers.isdecimal() else None,
    )


def _object(said: str) -> Mapping[str, Any]:
    try:
        return parsed(said, dict)
    except ValueError:
        return {}


def check_readable(url: str) -> None:
    """``CacheError`` in a sentence unless a server answers at ``url``, and, if it has a release,
    that can be read; ``ValueError`` if it is no URL.
    """
    with client_of(url) as client:
        database = Database(client, to_write=False)
        with database.translated():
            found = client.get(POINTER)
        if found is None:
            return
        pointer = pointer_of(found)
        with database.translated():
            some = client.hrandfield(index_key(pointer.release))
            values = client.mget(value_names([text(some)], pointer)) if some else []
        assert isinstance(values, list)
        for value in values:
            refuse_unreadable(value, pointer)


def refuse_unreadable(value: object, pointer: Pointer) -> None:
    """``CacheError`` if a value of the release has a format that is not known here."""
    with suppress(UnusableError):
        fields = {} if value is None else parse(value)
        if fields.get("release") == pointer.release:
            _refuse_newer(fields, pointer)
