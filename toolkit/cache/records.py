"""The current release's values as they lie in the server, for a service with many callers at once.

Nothing is decoded. A value is kept in memory together with the hash that the release's index has of
it; whoever asks is answered from there once the server has confirmed, after the question came, that
this release is current and that the index still says so. Questions that come while the server is
asked wait and go together, so that a thousand of them cost few round trips.

While the server is away, or has lost its release, what memory has stands in and says for how long
nobody confirmed it. A watch asks for the pointer twice a second, and finds the server again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

from cachetools import LRUCache
from redis.asyncio.client import Pipeline

from toolkit.cache.asking import async_client_of, replies_of
from toolkit.cache.current import META, CurrentRelease, refuse_unreadable, release_of
from toolkit.cache.database import text
from toolkit.cache.envelope import UnusableError
from toolkit.cache.names import POINTER, index_key, meta_key
from toolkit.cache.pointer import Answer, Pointer, content_of, pointer_of, served_entry, value_names
from toolkit.errors import CacheError

logger = logging.getLogger(__name__)

ATTEMPTS = 4
AT_ONCE = 100
"""So many values are asked for at a time."""

CONNECTIONS = 4
"""The most connections to the server."""

WATCH_S = 0.5
PATIENCE_S = 0.5
STALE_S = 86_400.0
MEMORY_BYTES = 64 * 2**20
BESIDE = 500
"""What a value takes in memory beside its bytes, about."""

type Make[V] = Callable[[int, Pointer, str, bytes], V]
"""Of a product, its release, the index's entry (``sha1:length:status``) and the value's bytes."""


@dataclass(frozen=True, slots=True)
class Found[V]:
    """What a release says of a product; ``value`` is None where it does not serve it.

    ``stale_s``: seconds since the server last confirmed it; None where it did just now.
    """

    value: V | None
    release: CurrentRelease
    stale_s: float | None = None


class _LostError(Exception):
    """The release serves the product, but its value is not there, or not what was published."""


class Records[V]:
    """What the server at ``url`` has, for the callers of one event loop.

    ``make`` turns a value into what is kept of it and given out, ``weigh`` says how many bytes that
    takes; ``memory_bytes`` of them are kept. A question waits ``patience_s`` for the server. What
    nobody has confirmed for ``stale_s`` does not stand in any more.
    """

    def __init__(
        self,
        url: str,
        make: Make[V],
        weigh: Callable[[V], int],
        *,
        memory_bytes: int = MEMORY_BYTES,
        patience_s: float = PATIENCE_S,
        stale_s: float = STALE_S,
    ) -> None:
        self._client = async_client_of(url, patience_s, CONNECTIONS)
        self._make, self._patience_s, self._stale_s = make, patience_s, stale_s
        self._begin(memory_bytes, weigh)
        self._asking: asyncio.Task[None] | None = None
        self._confirmed = time.monotonic()
        self.release: CurrentRelease | None = None
        self.failure: str | None = "the cache has not answered yet"

    def _begin(self, memory_bytes: int, weigh: Callable[[V], int]) -> None:
        """Nothing is kept yet, and nobody waits."""
        self._memory: LRUCache[tuple[str, int], tuple[str, V]] = LRUCache(
            memory_bytes, lambda kept: weigh(kept[1]) + BESIDE
        )
        self._waiting: dict[int, asyncio.Future[Found[V]]] = {}

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """As long as the block lasts, the server is watched; its connections end with it."""
        await self._look()
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._client.aclose()

    @property
    def stale_s(self) -> float | None:
        """Seconds since the server confirmed anything; None while it answers."""
        return None if self.failure is None else time.monotonic() - self._confirmed

    def unready(self, oldest_s: float | None = None) -> str | None:
        """Why what is given out is not what it should be; None if it is.

        ``oldest_s``: the age of a release from which on it is too old.
        """
        if self.failure is not None:
            return self.failure
        assert self.release is not None
        pointer, age = self.release.pointer, self.release.age_s()
        if pointer.expired:
            return f"release {pointer.release} expired at {pointer.expires_at[:16]} (UTC)"
        if oldest_s is not None and age > oldest_s:
            return f"release {pointer.release} is {age:,.0f} s old, more than {oldest_s:,.0f}"
        return None

    async def one(self, product_id: int) -> Found[V]:
        """What the current release says of a product.

        ``CacheError`` if neither the server nor memory can tell.
        """
        if self.failure is not None:
            return self._from_memory(product_id, self.failure)
        future = self._waiting.get(product_id)
        if future is None:
            future = self._waiting[product_id] = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_for_those_who_wait())
        return await asyncio.shield(future)

    async def many(self, product_ids: Iterable[int]) -> dict[int, Found[V] | CacheError]:
        """The same for some, all of one release; the error of each of which nothing can tell.

        ``CacheError`` if no release stays for as long as that takes.
        """
        ids = list(dict.fromkeys(product_ids))
        for _ in range(ATTEMPTS):
            told: dict[int, Found[V] | CacheError] = {}
            for portion in batched(ids, AT_ONCE):
                told |= await self._portion(portion)
            found = [one for one in told.values() if isinstance(one, Found)]
            if len({one.release.pointer.release for one in found}) <= 1:
                return told
        raise CacheError("releases follow each other faster than so many products can be read")

    async def of_current(
        self, ask: Callable[[Pipeline, str], None]
    ) -> tuple[CurrentRelease, list[Any]]:
        """The replies to what ``ask`` puts into a pipeline, and the release that it asks about.

        The release is current as the server answers. ``CacheError`` if it does not answer.
        """
        for _ in range(ATTEMPTS):
            release = self.release
            if release is None or self.failure is not None:
                raise CacheError(self.failure or "the cache has not answered yet")
            pipeline = self._client.pipeline(transaction=False)
            pipeline.get(POINTER)
            ask(pipeline, release.pointer.release)
            pointer, *replies = await self._run(pipeline)
            if pointer_of(pointer) == release.pointer:
                return release, replies
            await self._adopt(pointer_of(pointer))
        raise CacheError("releases follow each other faster than they can be read")

    async def _ask_for_those_who_wait(self) -> None:
        await asyncio.sleep(0)  # whoever asks in this turn of the loop comes along
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            for portion in batched(waiting, AT_ONCE):
                for product_id, outcome in (await self._portion(portion)).items():
                    _settle(waiting[product_id], outcome)

    async def _portion(self, ids: Sequence[int]) -> dict[int, Found[V] | CacheError]:
        """From the server if it answers, else from memory."""
        try:
            release, confirmed = await self._confirmed_by_server(ids)
        except CacheError as error:
            self._fail(error)
            return {i: self._or_error(i, str(error)) for i in ids}
        late = self._expired_for(release.pointer)
        return {
            i: self._or_error(i, str(one))
            if isinstance(one, _LostError)
            else Found(one, release, late)
            for i, one in confirmed.items()
        }

    async def _confirmed_by_server(
        self, ids: Sequence[int]
    ) -> tuple[CurrentRelease, dict[int, V | _LostError | None]]:
        """What the server says now of the products, in the release that is current now."""
        for _ in range(ATTEMPTS):
            guess = self.release
            pointer, answers = await self._ask(ids, guess)
            if guess is None or pointer != guess.pointer:
                await self._adopt(pointer)
                if ids or self.release is None or self.release.pointer != pointer:
                    continue
                guess = self.release
            if self.release is not guess:  # another question has found a newer one meanwhile
                continue
            found = {i: self._kept(i, answer, pointer) for i, answer in answers.items()}
            self._succeed()
            return guess, found
        raise CacheError("the cache shows one release and then another: its replica lags behind")

    async def _ask(
        self, ids: Sequence[int], guess: CurrentRelease | None
    ) -> tuple[Pointer, dict[int, Answer]]:
        """The pointer, the index's entries, and the values that memory does not have."""
        pipeline = self._client.pipeline(transaction=False)
        if guess is None or not ids:
            pipeline.get(POINTER)
            ((first),) = await self._run(pipeline)
            return pointer_of(first), {}
        release = guess.pointer.release
        missing = [i for i in ids if (release, i) not in self._memory]
        pipeline.mget([POINTER, *value_names(missing, guess.pointer)])
        pipeline.hmget(index_key(release), list(map(str, ids)))
        pipeline.hlen(index_key(release))
        (first, *values), entries, size = await self._run(pipeline)
        places = zip(values[: len(missing)], values[len(missing) :], strict=True)
        held = {
            i: [value for value in both if value is not None]
            for i, both in zip(missing, places, strict=True)
        }
        return pointer_of(first), {
            i: Answer(held.get(i, ()), entry, size) for i, entry in zip(ids, entries, strict=True)
        }

    def _kept(self, product_id: int, answer: Answer, pointer: Pointer) -> V | _LostError | None:
        """What memory has, if that is what the index says; else it is made of the value."""
        key = (pointer.release, product_id)
        kept: tuple[str, V] | None = self._memory.get(key)
        try:
            entry = served_entry(answer, pointer)
            if entry is None:
                self._memory.pop(key, None)
                return None
            if kept is not None and kept[0] == entry:
                return kept[1]
            content = content_of(answer, pointer)
            assert content is not None
        except UnusableError as flaw:
            return _LostError(f"the forecast of product {product_id} {flaw}")
        made = self._make(product_id, pointer, entry, content)
        with suppress(ValueError):  # heavier than all may be together
            self._memory[key] = (entry, made)
        return made

    async def _adopt(self, pointer: Pointer) -> None:
        """Follow the pointer, unless it or a newer one was seen; ``CacheError`` if it cannot be
        read.

        Questions that find the same new pointer side by side adopt it once: each is answered from
        the release that it began with, and would start over if another took its place.
        """
        seen = None if self.release is None else self.release.pointer
        if pointer == seen or pointer.older_than(seen):
            return
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(meta_key(pointer.release), list(META))
        pipeline.hrandfield(index_key(pointer.release))
        meta, some = await self._run(pipeline)
        if some is not None:
            await self._check_readable(text(some), pointer)
        release = release_of(pointer, dict(zip(META, meta, strict=True)))
        seen = None if self.release is None else self.release.pointer
        if pointer == seen or pointer.older_than(seen):
            return
        if seen is None or (seen.release, seen.epoch) != (pointer.release, pointer.epoch):
            self._memory.clear()
            logger.info("Release %s is current", pointer.release)
        self.release = release

    async def _check_readable(self, product_id: str, pointer: Pointer) -> None:
        """``CacheError`` if a value of the release has a format that is not known here."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.mget(value_names([product_id], pointer))
        (values,) = await self._run(pipeline)
        for value in values:
            refuse_unreadable(value, pointer)

    async def _run(self, pipeline: Pipeline) -> list[Any]:
        return await replies_of(pipeline, self._patience_s)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self._look()

    async def _look(self) -> None:
        try:
            await self._confirmed_by_server(())
        except CacheError as error:
            self._fail(error)

    def _succeed(self) -> None:
        if self.failure is not None:
            logger.info("The cache answers")
        self.failure, self._confirmed = None, time.monotonic()

    def _fail(self, error: CacheError) -> None:
        if self.failure is None:
            cause = "" if error.__cause__ is None else f" ({error.__cause__})"
            logger.warning("The cache failed, memory stands in: %s%s", error, cause)
        self.failure = str(error)

    def _expired_for(self, pointer: Pointer) -> float | None:
        """Seconds since the release's values were to expire; None if they still hold."""
        if not pointer.expired:
            return None
        return max(0.0, time.time() - datetime.fromisoformat(pointer.expires_at).timestamp())

    def _or_error(self, product_id: int, why: str) -> Found[V] | CacheError:
        try:
            return self._from_memory(product_id, why)
        except CacheError as error:
            return error

    def _from_memory(self, product_id: int, why: str) -> Found[V]:
        stale_s = time.monotonic() - self._confirmed
        if self.release is not None and stale_s <= self._stale_s:
            key = (self.release.pointer.release, product_id)
            kept: tuple[str, V] | None = self._memory.get(key)
            if kept is not None:
                return Found(kept[1], self.release, stale_s)
        raise CacheError(why)


def _settle[V](future: asyncio.Future[Found[V]], outcome: Found[V] | CacheError) -> None:
    if future.done():
        return
    if isinstance(outcome, CacheError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
