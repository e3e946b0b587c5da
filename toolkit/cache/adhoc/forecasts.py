"""Forecasts in Redis, each under one key per product and as-of date, for a limited time.

What a value is, ``toolkit.cache.envelope`` says. A value computed with anything else than what
was asked for is a miss; so two callers with other thresholds, horizons or models never get each
other's forecast. "Nothing to forecast" is a value, too.

While a release is current, the plain keys of its as-of date are the release's alone: what callers
compute themselves then goes to a key of its own, decided in the server at the moment of writing,
whatever was current when the computation began. That takes a client with ``register_script``
whose user may run scripts on the keys of ``toolkit.cache.names``; for one without, a value is
simply set. A product that was invalidated since its forecast was read or made is a miss.

A cache that is down, slow or full of rubbish costs at most 50 ms a call for reading and writing
together and one warning a second, never the forecast. See ``toolkit.cache.lane`` for how.
"""

import logging
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import CoroutineType
from typing import Protocol, cast, runtime_checkable

from toolkit.cache.envelope import (
    FORMAT,
    Envelope,
    Fields,
    UnusableError,
    check_newer,
    check_whole,
    dated,
    encode,
    parse,
    unpack,
)
from toolkit.cache.lane import Failure, lane_of
from toolkit.cache.limited_log import LIMITED
from toolkit.cache.memory import Kept, Memory, kept_now
from toolkit.cache.names import POINTER, ComputedWith, invalidated_key, own_key, plain_key
from toolkit.cache.scripts import STORE
from toolkit.cache.spec import MAX_TTL_S
from toolkit.cache.ttl import AD_HOC_TTL_S, jittered_ms

logger = logging.getLogger(__name__)
logger.addFilter(LIMITED)

PATIENCE_S = 0.04
"""How long reading and writing a forecast may wait for the server, together."""

REMEMBERED = 10_000
REMEMBERED_BYTES = 32 * 2**20
"""So many forecasts, and bytes of them, a process remembers in case the database goes away."""


class RedisLike(Protocol):
    """What the clients of redis-py and valkey-py offer, of any kind but the asynchronous."""

    def get(self, name: str, /) -> object:
        """The value at ``name``, as bytes or text; None if there is none."""

    def set(self, name: str, value: bytes, /, *, ex: int) -> object:
        """Store ``value`` for ``ex`` seconds."""


class SetexOnly(Protocol):
    """A wrapper with ``setex`` and no ``set``."""

    def get(self, name: str, /) -> object:
        """The value at ``name``, as bytes or text; None if there is none."""

    def setex(self, name: str, seconds: int, value: bytes, /) -> object:
        """Store ``value`` for so many seconds."""


@runtime_checkable
class ManyGetter(Protocol):
    """A client that reads many keys at once."""

    def mget(self, names: list[str], /) -> object:
        """The values, in order; None for keys that are not there."""


@runtime_checkable
class Scripted(Protocol):
    """A client that can run Lua in the server."""

    def register_script(self, script: str, /) -> Callable[..., object]:
        """What runs ``script``, given its keys and arguments, and returns its answer."""


type CacheClient = RedisLike | SetexOnly


@dataclass(frozen=True, slots=True)
class ForecastKey:
    """Which forecast: of what, as of when, and computed with what (text and finite numbers)."""

    product_id: int
    as_of_date: date
    computed_with: ComputedWith

    @property
    def name(self) -> str:
        """The plain key in Redis.

        >>> ForecastKey(123, date(2025, 11, 11), {}).name
        'forecast:product:123:2025-11-11'
        """
        return plain_key(self.product_id, self.as_of_date)

    @property
    def own_name(self) -> str:
        """The key of what was computed with just this, where a release has the plain one."""
        return own_key(self.product_id, self.as_of_date, self.computed_with)

    @property
    def memory_name(self) -> Hashable:
        """The same for any date."""
        return self.product_id, frozenset(self.computed_with.items())


@dataclass(frozen=True, slots=True)
class Hit:
    """The cache had it: the forecast's fields, or None for "nothing to forecast"."""

    forecast: Fields | None


@dataclass(frozen=True, slots=True)
class Miss:
    """The cache did not have it, and why; what is left of the call's patience and warnings.

    ``invalidated``: how often the product was invalidated by then; None if that is not known.
    """

    reason: str
    patience_s: float
    warned: bool = False
    invalidated: int | None = None


class ForecastCache:
    """Reads and writes forecasts through the caller's client.

    The client stays the caller's and keeps its settings; nothing here closes it. Calls may come
    from many threads. What was given up waiting for may still be stored a little later.
    ``ttl_s`` is how long a written forecast stays, in seconds, 1 to 2**31 - 1; ``patience_s`` is
    how long a read and the write after it wait for the server, together.
    """

    def __init__(
        self, client: CacheClient, ttl_s: int = AD_HOC_TTL_S, patience_s: float = PATIENCE_S
    ) -> None:
        if type(ttl_s) is not int or not 1 <= ttl_s <= MAX_TTL_S:
            raise ValueError(
                f"cache_ttl must be a whole number of seconds from 1 to {MAX_TTL_S}, got {ttl_s!r}"
            )
        self.client = client
        self.patience_s = patience_s
        self.lane = lane_of(client)
        self._ttl_s = ttl_s

    def read(self, key: ForecastKey) -> Hit | Miss:
        """The forecast that was computed with just this, if it is there. Never raises."""
        found = self.look(key)
        if isinstance(found, Hit):
            logger.info("Forecast cache HIT for product %s", key.product_id)
            return found
        if found.warned:
            logger.warning("Cache read error: %s", found.reason)
        logger.info("Forecast cache MISS for product %s", key.product_id)
        return found

    def look(self, key: ForecastKey, patience_s: float | None = None) -> Hit | Miss:
        """The same without a word in the log; waits for ``patience_s``, by default the cache's."""
        client = self.client
        waits_s = self.patience_s if patience_s is None else patience_s
        outcome = self.lane.run(lambda: _fetch(client, key), waits_s)
        if isinstance(outcome, Failure):
            return Miss(outcome.reason, outcome.patience_s, warned=True)
        fetched = cast("_Fetched", outcome.value)
        judged = [_judged(value, name, key, fetched.invalidated) for name, value in fetched.values]
        for found, (_, value) in zip(judged, fetched.values, strict=True):
            if isinstance(found, Envelope):
                self._remember(key, value, found.generated_at)
                return Hit(found.forecast)
        unfit = [found for found in judged if isinstance(found, _Unfit)]
        told = max(unfit, key=lambda found: found.told)  # the first of those to be told, if any
        return Miss(told.reason, outcome.patience_s, told.told, fetched.invalidated)

    def write(self, key: ForecastKey, forecast: Fields | None, after: Miss | None = None) -> bool:
        """Store ``forecast``, or that there is none; whether the server took it. Never raises.

        ``forecast`` is plain data: keys are text, sequences lists, numbers finite. ``after`` is
        what the read gave: where it found the server down, nothing is tried.
        """
        after = after or Miss("not read", self.patience_s)
        reason = self._write(key, forecast, after)
        if reason is None:
            logger.info("Forecast cached for product %s (TTL: %ds)", key.product_id, self._ttl_s)
        elif after.patience_s:  # a call warns once
            level = logging.DEBUG if after.warned else logging.WARNING
            logger.log(level, "Cache write error: %s", reason)
        return reason is None

    def _write(self, key: ForecastKey, forecast: Fields | None, after: Miss) -> str | None:
        extra: dict[str, str | int] = (
            {"invalidated": after.invalidated} if after.invalidated else {}
        )
        if forecast is None:
            extra |= dated(key.as_of_date, datetime.now(UTC))
        try:
            value = encode(key.product_id, forecast, key.computed_with, extra)
        except UnusableError as flaw:
            return f"the forecast of product {key.product_id} {flaw}"
        self._remember(key, value, None)
        if not after.patience_s:
            return after.reason
        client, ttl_s = self.client, self._ttl_s
        count = "" if after.invalidated is None else str(after.invalidated)
        outcome = self.lane.run(lambda: _store(client, key, value, ttl_s, count), after.patience_s)
        return outcome.reason if isinstance(outcome, Failure) else None

    def _remember(self, key: ForecastKey, value: object, generated_at: datetime | None) -> None:
        if isinstance(value, bytes | str):
            _last_good.put((self.lane, key.memory_name), kept_now(value, generated_at), len(value))

    def remembered(self, key: ForecastKey) -> Kept[Fields | None] | None:
        """What this process last read or wrote of the product, computed with just this, as of the
        date or an earlier one; None if there is nothing.
        """
        kept = _last_good.get((self.lane, key.memory_name))
        if kept is None:
            return None
        found = unpack(parse(kept.value))
        if found.as_of_date is not None and found.as_of_date > key.as_of_date.isoformat():
            return None
        return Kept(found.forecast, kept.known_at, kept.age_s)


_last_good: Memory[bytes | str] = Memory(REMEMBERED, REMEMBERED_BYTES)
os.register_at_fork(after_in_child=_last_good.reset)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Values by the names of their keys, and how often the product was invalidated (None where
    the client cannot say).
    """

    values: Sequence[tuple[str, object]]
    invalidated: int | None


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Why a value is not what was asked for; ``told``: it is wrong, and somebody should know."""

    reason: str
    told: bool = False


def _fetch(client: CacheClient, key: ForecastKey) -> _Fetched:
    """All there is to know, in one request where the client has ``mget``."""
    if isinstance(client, ManyGetter):
        names = [key.name, key.own_name, invalidated_key(key.product_id)]
        try:
            plain, own, count = cast("Sequence[object]", _reply(client.mget(names)))
        except Exception as error:
            if not _not_allowed(error):
                raise
        else:
            return _Fetched([(key.name, plain), (key.own_name, own)], _count(count))
    return _Fetched([(key.name, _reply(client.get(key.name)))], None)


def _count(value: object) -> int:
    text = value.decode() if isinstance(value, bytes) else str(value or 0)
    return int(text) if text.isdecimal() else 0


def _judged(
    value: object, name: str, key: ForecastKey, invalidated: int | None
) -> Envelope | _Unfit:
    """A value of a release is deleted where its product is invalidated; others say when."""
    if value is None:
        return _Unfit("not cached")
    try:
        fields = parse(value)
        if (difference := _difference(fields, key)) is not None:
            return _Unfit(difference)
        check_whole(fields, value)
        found = unpack(fields)
    except UnusableError as flaw:
        return _Unfit(f"the value at {name} {flaw}", told=True)
    if found.as_of_date not in {key.as_of_date.isoformat(), None}:
        return _Unfit(f"it is as of {found.as_of_date}, carried over")
    if found.release is None and invalidated not in {found.invalidated, None}:
        return _Unfit("the product was invalidated")
    return found


def _difference(fields: Fields, key: ForecastKey) -> str | None:
    """In what the value differs from what was asked for; None if it is just that."""
    if fields.get("format") != FORMAT:
        check_newer(fields)
        return f"its format is {fields.get('format')!r}, not {FORMAT}"
    computed_with = fields.get("computed_with")
    if not isinstance(computed_with, dict):
        raise UnusableError("has no usable computed_with")
    if computed_with != dict(key.computed_with):
        return f"it was computed with {computed_with!r}"
    if fields.get("product_id") != key.product_id:
        raise UnusableError(f"is of product {fields.get('product_id')!r}")
    return None


def _store(client: CacheClient, key: ForecastKey, value: bytes, ttl_s: int, count: str) -> object:
    if isinstance(client, Scripted):
        names = (POINTER, key.name, key.own_name, invalidated_key(key.product_id))
        as_of = key.as_of_date.isoformat()
        try:
            times = (1000 * ttl_s, jittered_ms(ttl_s))
            return _reply(client.register_script(STORE)(names, (value, *times, as_of, count)))
        except Exception as error:
            if not _not_allowed(error):
                raise
    if hasattr(client, "set"):  # redis-py has both and deprecates setex
        return _reply(client.set(key.name, value, ex=ttl_s))
    return _reply(client.setex(key.name, ttl_s, value))


def _not_allowed(error: Exception) -> bool:
    """Whether the user may not run this command, or a cluster not with these keys. By name, for
    clients of redis-py and valkey-py alike.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    refused = {"NoPermissionError", "ClusterCrossSlotError"}
    foreign = {"RedisClusterException", "ValkeyClusterException"}
    return bool(names & (refused | foreign)) or "unknown command" in str(error)


def _reply(reply: object) -> object:
    if isinstance(reply, CoroutineType):
        reply.close()
        raise TypeError("an asynchronous client cannot be used here")
    return reply
