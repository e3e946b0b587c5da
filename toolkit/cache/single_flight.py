"""A cached call: from the cache, else computed once, however many ask, in however many processes.

Within a process those who come while one computes wait for what it finds. Across processes a lock
beside the key says that somebody is at it; the others look for the value every now and then. A
process that dies renews its lock no more, and another one takes over. Without a server every
process computes for itself.

If the database is away, the last good forecast of this process stands in, as of the date asked
for or an earlier one, for a day at most, and a warning says how old it is.
"""

import copy
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from toolkit.cache.flights import Flights
from toolkit.cache.forecasts import Fields, ForecastCache, ForecastKey, Hit, Miss, Scripted
from toolkit.cache.lane import Answer
from toolkit.cache.lease import new_token, renewed
from toolkit.cache.memory import in_words
from toolkit.cache.scripts import LOCK, RELEASE, RENEW, Script
from toolkit.errors import SourceError

logger = logging.getLogger(__name__)

LOCK_S = 2.0
"""Whoever computes and shows no sign of life for so long is taken for dead."""

LOOK_EVERY_S = 0.02
WAIT_S = 60.0
"""So long another process may compute before this one does it as well."""

STALE_S = 86_400.0

type Compute = Callable[[], Fields | None]

_flights: Flights[Fields | None] = Flights()
os.register_at_fork(after_in_child=_flights.reset)


def cached(cache: ForecastCache, key: ForecastKey, compute: Compute) -> Fields | None:
    """The forecast at ``key``, computed if it is not there; None if there is nothing to forecast.

    Raises what ``compute`` raises; for a ``SourceError`` only if there is nothing to stand in.
    """
    found = cache.read(key)
    if isinstance(found, Hit):
        return found.forecast
    flight = (cache.lane, key.name, key.memory_name)
    try:
        forecast, led = _flights.run(flight, lambda: _lead(cache, key, found, compute))
    except SourceError as error:
        return _stale(cache, key, error)
    return forecast if led else copy.deepcopy(forecast)


def _lead(cache: ForecastCache, key: ForecastKey, found: Miss, compute: Compute) -> Fields | None:
    """Compute, unless another process does or just did."""
    with _turn(cache, key, found) as (earlier, miss):
        if earlier is not None:
            return earlier.forecast
        forecast = compute()
        cache.write(key, forecast, after=miss)
        return forecast


@contextmanager
def _turn(cache: ForecastCache, key: ForecastKey, found: Miss) -> Iterator[tuple[Hit | None, Miss]]:
    """Wait for this process' turn: what another one computed in the meantime, or its lock."""
    lock = _Lock(cache, f"{key.own_name}:lock")
    deadline = time.monotonic() + WAIT_S
    while found.patience_s and not lock.take() and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        looked = cache.look(key)
        if isinstance(looked, Hit):
            yield looked, found
            return
        found = looked
    if not lock.taken:
        yield None, found
        return
    with lock.held():
        looked = cache.look(key)  # it may have come between the first look and the lock
        yield (looked, found) if isinstance(looked, Hit) else (None, looked)


class _Lock:
    """A lock in the server, taken and given back as far as the server answers."""

    def __init__(self, cache: ForecastCache, name: str) -> None:
        self._cache, self._name, self._token = cache, name, new_token()
        self.taken = False

    def take(self) -> bool:
        """Whether there is no need to wait: it is ours, or the server knows no locks."""
        if not isinstance(self._cache.client, Scripted):
            return True
        answer = self._run(LOCK, self._token, int(1000 * LOCK_S))
        self.taken = isinstance(answer, Answer) and answer.value == 1
        return self.taken or not isinstance(answer, Answer)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renewed until the block ends, then given back."""
        try:
            with renewed(self._renew, LOCK_S / 3):
                yield
        finally:
            self._run(RELEASE, self._token)

    def _renew(self) -> object:
        answer = self._run(RENEW, self._token, int(1000 * LOCK_S))
        return answer.value if isinstance(answer, Answer) else 1

    def _run(self, script: Script, *arguments: str | int) -> object:
        client = self._cache.client
        assert isinstance(client, Scripted)
        return self._cache.lane.run(
            lambda: client.eval(script.text, 1, self._name, *arguments), self._cache.patience_s
        )


def _stale(cache: ForecastCache, key: ForecastKey, error: SourceError) -> Fields | None:
    kept = cache.remembered(key)
    age_s = None if kept is None else kept.age_at(time.monotonic())
    if kept is None or age_s is None or age_s > STALE_S:
        raise error
    logger.warning(
        "The database failed, so product %d gets the forecast that was made %s ago: %s",
        key.product_id, in_words(age_s), error,
    )  # fmt: skip
    return kept.value
