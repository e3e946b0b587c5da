"""Forecasts for services: from memory, else from Redis, else computed by whoever asks.

A reader needs the server's URL and nothing else: no model, no database. Every answer is of one
release, and never of an older one than the answer before it. While the server is away, answers
from memory stand in, and say how old they are.

    reader = ForecastReader("redis://cache.example.com")
    reading = reader.read(770)
    if reading is not None and reading.forecast is not None:
        print(reading.forecast.summary["expected_quantity"], reading.age_s)
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import batched
from typing import Any, cast
from weakref import WeakSet

import redis

from toolkit.cache.envelope import UnusableError, decode
from toolkit.cache.flights import Flights
from toolkit.cache.lane import Failure, lane_of
from toolkit.cache.limited_log import LIMITED
from toolkit.cache.memory import Kept, Memory, in_words, kept_now
from toolkit.cache.names import POINTER, index_key
from toolkit.cache.pointer import Answer, Pointer, content_of, pointer_of, served_entry, value_names
from toolkit.cache.rounds import Rounds
from toolkit.cache.urls import client_of
from toolkit.errors import CacheError
from toolkit.results.forecast import ProductForecast

logger = logging.getLogger(__name__)
logger.addFilter(LIMITED)

ATTEMPTS = 3
AT_ONCE = 100
"""So many values are asked for at a time."""
MOST_ENTRIES = 1_000_000
PATIENCE_S = 0.04
PATIENCE_PER_VALUE_S = 0.001
GROWTH = 6
"""A forecast takes about so many times the memory of its JSON."""

type Fallback = Callable[[int], ProductForecast | None]


class Origin(StrEnum):
    """Where an answer is from."""

    MEMORY = "memory"
    REDIS = "redis"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer, shared by all who get it: do not change it.

    ``forecast`` is None for "nothing to forecast", ``release`` where it was computed. ``age_s``
    is how long ago it was generated, in seconds. ``stale``: the server did not answer, and may
    have a newer one.
    """

    forecast: ProductForecast | None
    release: str | None
    age_s: float
    stale: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """How often what happened since the reader began. ``missing``: nobody had a forecast."""

    memory: int = 0
    redis: int = 0
    computed: int = 0
    missing: int = 0
    stale: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A forecast of a release; ``size`` is what it takes in memory, about.

    ``entry``: what the release's index has of it. As long as that says the same, it still holds.
    """

    forecast: ProductForecast | None
    release: str
    entry: str
    generated_at: datetime | None
    size: int


class ForecastReader:
    """Reads the current release; for many threads at once.

    ``server`` is a URL (redis://, rediss://, unix://), or a client, which stays the caller's.
    ``compute`` is asked where the release has no answer, or the server gives none. For
    ``local_s`` seconds an answer is given from memory again, of which at most ``local_bytes`` are
    used. An answer of at most ``stale_s`` seconds stands in for a server that is away. A call
    waits ``patience_s`` for the server, a little longer for many products.
    """

    def __init__(
        self,
        server: str | redis.Redis,
        *,
        compute: Fallback | None = None,
        local_s: float = 1.0,
        local_bytes: int = 32 * 2**20,
        stale_s: float = 86_400.0,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._client = client_of(server) if isinstance(server, str) else server
        self._lane = lane_of(self._client)
        self._compute = compute
        self._local_s, self._stale_s, self._patience_s = local_s, stale_s, patience_s
        self._memory: Memory[_Found] = Memory(MOST_ENTRIES, local_bytes)
        self._newest: Pointer | None = None
        self._counted = dict.fromkeys(asdict(ReadCounts()), 0)
        self._flights: Flights[Reading | None] = Flights()
        self._rounds: Rounds[int, Kept[_Found] | CacheError | None] = Rounds(self._round, AT_ONCE)
        self.reset_locks()
        _readers.add(self)

    def reset_locks(self) -> None:
        """For a forked child, in which the threads that held them are gone."""
        self._lock = threading.Lock()
        self._flights.reset()
        self._rounds.reset()
        self._memory.reset()

    @property
    def counts(self) -> ReadCounts:
        """What happened so far."""
        with self._lock:
            return ReadCounts(**self._counted)

    def read(self, product_id: int) -> Reading | None:
        """The forecast of a product; None if the current release does not serve it.

        ``CacheError`` if the server does not answer, or has lost what the release serves (it has
        expired, say), memory has nothing young enough, and nobody computes.
        """
        kept = self._memory.get(product_id)
        now = time.monotonic()
        if kept is not None and kept.known_for(now) <= self._local_s:
            self._count(Origin.MEMORY)
            return _reading(kept, now, Origin.MEMORY)
        found = self._rounds.answer(product_id)
        if isinstance(found, CacheError):
            return self._without_server([product_id], found).get(product_id)
        if found is None:
            return self._computed([product_id]).get(product_id)
        self._count(Origin.REDIS)
        return _reading(found, now, Origin.REDIS)

    def read_many(self, product_ids: Iterable[int]) -> dict[int, Reading]:
        """The forecasts of those products that there are, all of one release.

        What is computed, and what stands in while the server is away, is of none or may be of
        several. Raises as ``read`` does.
        """
        ids = list(dict.fromkeys(product_ids))
        try:
            found, lost = self._fetch(ids)
        except CacheError as error:
            return self._without_server(ids, error)
        self._count(Origin.REDIS, len(found))
        now = time.monotonic()
        readings = {i: _reading(one, now, Origin.REDIS) for i, one in found.items()}
        if lost:
            first, *others = lost.values()
            more = f"; and {len(others):,} more" if others else ""
            readings |= self._without_server(list(lost), CacheError(f"{first}{more}"))
        return readings | self._computed([i for i in ids if i not in found and i not in lost])

    def _round(self, ids: Sequence[int]) -> dict[int, Kept[_Found] | CacheError | None]:
        """What the current release says of products that several threads ask for; None of those
        that it does not serve.
        """
        try:
            found, lost = self._fetch(ids)
        except CacheError as error:
            return dict.fromkeys(ids, error)
        return {i: CacheError(lost[i]) if i in lost else found.get(i) for i in ids}

    def _fetch(self, ids: Sequence[int]) -> tuple[dict[int, Kept[_Found]], dict[int, str]]:
        """What the current release says of the products, and why not of those it should serve.

        The pointer comes with each portion of the values, so that all are of one release: that of
        the last time, mostly; if not, they are asked for once more.
        """
        guess = self._newest
        for _ in range(ATTEMPTS):
            held = self._held(ids, guess)
            pointer, answers = self._ask_in_portions(ids, guess, held)
            guess, asked = pointer, guess
            if asked is None or asked.release != pointer.release:
                continue
            found: dict[int, Kept[_Found]] = {}
            lost: dict[int, str] = {}
            for product_id, answer in answers.items():
                try:
                    one = _unpacked(product_id, answer, pointer, held.get(product_id))
                except UnusableError as flaw:
                    lost[product_id] = f"the forecast of product {product_id} {flaw}"
                    continue
                if one is not None:
                    found[product_id] = kept_now(one, one.generated_at)
            newest = self._notice(pointer, found)
            if newest == pointer:
                return found, lost
            guess = newest
        raise CacheError(
            f"the cache shows release {pointer.release}, which is not the newest that was seen"
        )

    def _held(self, ids: Sequence[int], guess: Pointer | None) -> dict[int, _Found]:
        """Of the products, what memory has of the release: the server need not send it again."""
        kept = {i: one.value for i in ids if (one := self._memory.get(i)) is not None}
        release = None if guess is None else guess.release
        return {i: one for i, one in kept.items() if one.release == release}

    def _ask_in_portions(
        self, ids: Sequence[int], guess: Pointer | None, held: Mapping[int, _Found]
    ) -> tuple[Pointer, dict[int, Answer]]:
        """As ``_ask`` does; nothing is there of the products once another release is current.

        A server without room to spare would drop keys for an answer of many megabytes.
        """
        pointer, answers = self._ask(ids[:AT_ONCE], guess, held)
        for portion in batched(ids[AT_ONCE:], AT_ONCE):
            if guess is None or pointer.release != guess.release:
                return pointer, {}
            pointer, more = self._ask(portion, guess, held)
            answers |= more
        return pointer, answers

    def _ask(
        self, ids: Sequence[int], guess: Pointer | None, held: Mapping[int, _Found]
    ) -> tuple[Pointer, dict[int, Answer]]:
        """The pointer, and what there is of the products in the release that it is, by a guess:
        the index's entries, and the values that are not held.
        """
        missing = [i for i in ids if i not in held]
        pipeline = self._client.pipeline(transaction=False)
        pipeline.mget([POINTER, *([] if guess is None else value_names(missing, guess))])
        if guess is not None and ids:
            pipeline.hmget(index_key(guess.release), list(map(str, ids)))
            pipeline.hlen(index_key(guess.release))
        patience_s = self._patience_s + PATIENCE_PER_VALUE_S * (1 + len(ids))
        outcome = self._lane.run(pipeline.execute, patience_s)
        if isinstance(outcome, Failure):
            raise CacheError(f"the cache failed: {outcome.reason}")
        (first, *values), *of_index = cast("list[Any]", outcome.value)
        if not of_index:
            return pointer_of(first), {}
        places = zip(values[: len(missing)], values[len(missing) :], strict=True)
        sent = dict(zip(missing, places, strict=True))
        entries, size = of_index
        return pointer_of(first), {
            i: Answer([value for value in sent.get(i, ()) if value is not None], entry, size)
            for i, entry in zip(ids, entries, strict=True)
        }

    def _notice(self, pointer: Pointer, found: Mapping[int, Kept[_Found]]) -> Pointer:
        """Keep what was found; another release than before makes all else forgotten.

        Returns the newest release seen: another one, and nothing is kept, where a thread was
        faster, or a replica took over that lags behind.
        """
        with self._lock:
            newest = self._newest
            if newest is not None and pointer.older_than(newest):
                return newest
            if newest != pointer:
                self._memory.clear()
                self._newest = pointer
            for product_id, one in found.items():
                self._memory.put(product_id, one, one.value.size)
            return pointer

    def _without_server(self, ids: Sequence[int], error: CacheError) -> dict[int, Reading]:
        self._count("errors")
        now = time.monotonic()
        kept = {i: one for i in ids if (one := self._memory.get(i)) is not None}
        young = {i: one for i, one in kept.items() if one.known_for(now) <= self._stale_s}
        missing = [i for i in ids if i not in young]
        if missing and self._compute is None:
            raise error
        if young:
            self._count("stale", len(young))
            oldest = in_words(max(one.age_at(now) for one in young.values()))
            logger.warning("Memory stands in, with forecasts up to %s old: %s", oldest, error)
        stale = {i: _reading(one, now, Origin.MEMORY, stale=True) for i, one in young.items()}
        return stale | self._computed(missing)

    def _computed(self, ids: Sequence[int]) -> dict[int, Reading]:
        """What ``compute`` says, one computation per product however many ask."""
        if self._compute is None:
            self._count("missing", len(ids))
            return {}
        made = {i: self._flights.run(i, partial(self._make, i))[0] for i in ids}
        return {i: reading for i, reading in made.items() if reading is not None}

    def _make(self, product_id: int) -> Reading | None:
        assert self._compute is not None
        forecast = self._compute(product_id)
        self._count(Origin.COMPUTED)
        return Reading(forecast, None, 0.0, False, Origin.COMPUTED)

    def _count(self, what: str, times: int = 1) -> None:
        with self._lock:
            self._counted[what] += times


_readers: WeakSet[ForecastReader] = WeakSet()


def _reset_all() -> None:
    for reader in _readers:
        reader.reset_locks()


os.register_at_fork(after_in_child=_reset_all)


def _reading(kept: Kept[_Found], now: float, origin: Origin, stale: bool = False) -> Reading:
    found = kept.value
    return Reading(found.forecast, found.release, kept.age_at(now), stale, origin)


def _unpacked(
    product_id: int, answer: Answer, pointer: Pointer, held: _Found | None
) -> _Found | None:
    """The forecast; None where the release serves none, ``UnusableError`` if it is lost."""
    entry = served_entry(answer, pointer)
    if entry is None or (held is not None and held.entry == entry):
        return None if entry is None else held
    content = content_of(answer, pointer)
    return None if content is None else _decoded(product_id, content, pointer.release, entry)


def _decoded(product_id: int, content: bytes, release: str, entry: str) -> _Found:
    envelope = decode(content)
    if envelope.product_id != product_id:
        raise UnusableError(f"is of product {envelope.product_id}")
    if envelope.release != release:
        raise UnusableError(f"is of release {envelope.release}, not {release}")
    fields = envelope.forecast
    try:
        forecast = None if fields is None else ProductForecast.from_dict(fields)
    except ValueError as flaw:
        raise UnusableError(f"is no forecast: {flaw}") from flaw
    return _Found(forecast, release, entry, envelope.generated_at, GROWTH * len(content))
