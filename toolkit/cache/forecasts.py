"""Forecasts in Redis, each under one key per product and as-of date, for a limited time.

A value is the forecast's fields as JSON, so that any consumer of the key reads them where it
expects them, and two more: ``format``, and ``computed_with``, everything but the data that
decided the forecast. A value computed with anything else is a miss; so two callers with other
thresholds, horizons or models never get each other's forecast. "Nothing to forecast" is a value
too: ``{"format": 1, "computed_with": {...}, "product_id": 7, "no_forecast": true}``.

A cache that is down, slow or full of rubbish costs one warning per call and at most 50 ms for
reading and writing together, never the forecast. See ``toolkit.cache.lane`` for how.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import CoroutineType
from typing import NoReturn, Protocol

from toolkit.cache.lane import Failure, lane_of

logger = logging.getLogger(__name__)

FORMAT = 1

PATIENCE_S = 0.04
"""How long reading and writing a forecast may wait for the server, together."""

MAX_TTL_S = 2**31 - 1

FIELD_TYPES: Mapping[str, type] = {
    "product_id": int,
    "forecast_period_weeks": int,
    "summary": dict,
    "weekly_forecasts": list,
    "top_customers_by_volume": list,
    "at_risk_customers": list,
    "model_metadata": dict,
}
"""What a forecast has at least; a value without it is no forecast."""

_ENVELOPE = frozenset({"format", "computed_with", "no_forecast"})

type Fingerprint = Mapping[str, str | int | float | None]
type Fields = dict[str, object]


class RedisLike(Protocol):
    """What the clients of redis-py and valkey-py offer, of any kind but the asynchronous."""

    def get(self, name: str, /) -> object:
        """The value at ``name``, as bytes or text; None if there is none."""
        ...

    def set(self, name: str, value: bytes, /, *, ex: int) -> object:
        """Store ``value`` for ``ex`` seconds."""
        ...


class SetexOnly(Protocol):
    """A wrapper with ``setex`` and no ``set``."""

    def get(self, name: str, /) -> object:
        """The value at ``name``, as bytes or text; None if there is none."""
        ...

    def setex(self, name: str, seconds: int, value: bytes, /) -> object:
        """Store ``value`` for so many seconds."""
        ...


type CacheClient = RedisLike | SetexOnly


@dataclass(frozen=True, slots=True)
class ForecastKey:
    """Which forecast: of what, as of when, and computed with what (text and finite numbers)."""

    product_id: int
    as_of_date: date
    computed_with: Fingerprint

    @property
    def name(self) -> str:
        """The key in Redis.

        >>> ForecastKey(123, date(2025, 11, 11), {}).name
        'forecast:product:123:2025-11-11'
        """
        return f"forecast:product:{self.product_id}:{self.as_of_date:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Hit:
    """The cache had it: the forecast's fields, or None for "nothing to forecast"."""

    forecast: Fields | None


@dataclass(frozen=True, slots=True)
class Miss:
    """The cache did not have it, and why; what is left of the call's patience and warnings."""

    reason: str
    patience_s: float
    warned: bool = False


class ForecastCache:
    """Reads and writes forecasts through the caller's client.

    The client stays the caller's and keeps its settings; nothing here closes it. Calls may come
    from many threads. What was given up waiting for may still be stored a little later.
    ``ttl_s`` is how long a written forecast stays, in seconds, 1 to 2**31 - 1; ``patience_s`` is
    how long a read and the write after it wait for the server, together.
    """

    def __init__(
        self, client: CacheClient, ttl_s: int = 3600, patience_s: float = PATIENCE_S
    ) -> None:
        if type(ttl_s) is not int or not 1 <= ttl_s <= MAX_TTL_S:
            raise ValueError(
                f"cache_ttl must be a whole number of seconds from 1 to {MAX_TTL_S}, got {ttl_s!r}"
            )
        self._client = client
        self._ttl_s = ttl_s
        self._patience_s = patience_s
        self._lane = lane_of(client)

    def read(self, key: ForecastKey) -> Hit | Miss:
        """The forecast that was computed with just this, if it is there. Never raises."""
        client = self._client
        found = self._read(client, key)
        if isinstance(found, Hit):
            logger.info("Forecast cache HIT for product %s", key.product_id)
            return found
        if found.warned:
            logger.warning("Cache read error: %s", found.reason)
        logger.info("Forecast cache MISS for product %s", key.product_id)
        return found

    def _read(self, client: CacheClient, key: ForecastKey) -> Hit | Miss:
        outcome = self._lane.run(lambda: _reply(client.get(key.name)), self._patience_s)
        if isinstance(outcome, Failure):
            return Miss(outcome.reason, outcome.patience_s, warned=True)
        if outcome.value is None:
            return Miss("not cached", outcome.patience_s)
        try:
            fields = _decoded(outcome.value)
            difference = _difference(fields, key)
            if difference is not None:
                return Miss(difference, outcome.patience_s)
            return Hit(None if fields.get("no_forecast") is True else _forecast(fields))
        except _UnusableError as flaw:
            return Miss(f"the value at {key.name} {flaw}", outcome.patience_s, warned=True)

    def write(self, key: ForecastKey, forecast: Fields | None, after: Miss | None = None) -> bool:
        """Store ``forecast``, or that there is none; whether the server took it. Never raises.

        ``forecast`` is plain data: keys are text, sequences lists, numbers finite. ``after`` is
        what the read gave: where it found the server down, nothing is tried.
        """
        after = after or Miss("not read", self._patience_s)
        if not after.patience_s:
            return False
        reason = self._write(self._client, key, forecast, after.patience_s)
        if reason is None:
            logger.info("Forecast cached for product %s (TTL: %ds)", key.product_id, self._ttl_s)
        else:  # a call warns once
            level = logging.DEBUG if after.warned else logging.WARNING
            logger.log(level, "Cache write error: %s", reason)
        return reason is None

    def _write(
        self, client: CacheClient, key: ForecastKey, forecast: Fields | None, patience_s: float
    ) -> str | None:
        try:
            value = _encoded(key, forecast)
        except _UnusableError as flaw:
            return f"the forecast of product {key.product_id} {flaw}"
        ttl_s = self._ttl_s
        outcome = self._lane.run(lambda: _store(client, key.name, value, ttl_s), patience_s)
        return outcome.reason if isinstance(outcome, Failure) else None


class _UnusableError(ValueError):
    """What is stored is not what this module writes."""


def _store(client: CacheClient, name: str, value: bytes, ttl_s: int) -> object:
    if hasattr(client, "set"):  # redis-py has both and deprecates setex
        return _reply(client.set(name, value, ex=ttl_s))
    return _reply(client.setex(name, ttl_s, value))


def _reply(reply: object) -> object:
    if isinstance(reply, CoroutineType):
        reply.close()
        raise TypeError("an asynchronous client cannot be used here")
    return reply


def _encoded(key: ForecastKey, forecast: Fields | None) -> bytes:
    """ASCII, so that a client that decodes replies gives the same text in any encoding."""
    nothing: Fields = {"product_id": key.product_id, "no_forecast": True}
    fields = nothing if forecast is None else _forecast(forecast)
    if fields["product_id"] != key.product_id:
        raise _UnusableError(f"is of product {fields['product_id']!r}")
    envelope = fields | {"format": FORMAT, "computed_with": dict(key.computed_with)}
    try:
        return json.dumps(envelope, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise _UnusableError(f"is not plain data: {error}") from None


def _decoded(value: object) -> Fields:
    if not isinstance(value, bytes | bytearray | str):
        raise _UnusableError(f"is a {type(value).__name__}, not bytes or text")
    try:
        fields = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _UnusableError(f"is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise _UnusableError(f"is a JSON {type(fields).__name__}, not an object")
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _difference(fields: Fields, key: ForecastKey) -> str | None:
    """In what the value differs from what was asked for; None if it is just that."""
    if fields.get("format") != FORMAT:
        return f"its format is {fields.get('format')!r}, not {FORMAT}"
    computed_with = fields.get("computed_with")
    if not isinstance(computed_with, dict):
        raise _UnusableError("has no usable computed_with")
    if computed_with != dict(key.computed_with):
        return f"it was computed with {computed_with!r}"
    if fields.get("product_id") != key.product_id:
        raise _UnusableError(f"is of product {fields.get('product_id')!r}")
    return None


def _forecast(fields: Fields) -> Fields:
    for name, kind in FIELD_TYPES.items():
        if not isinstance(fields.get(name), kind):
            raise _UnusableError(f"has no usable {name}")
    return {name: value for name, value in fields.items() if name not in _ENVELOPE}
