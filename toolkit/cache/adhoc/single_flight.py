"""A cached call: from the cache, else computed once, however many ask, in however many processes.

Within a process those who come while one looks or computes wait for what it finds; a crowd that
each asked the server would take it for a slow one. Across processes a lock
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
from dataclasses import replace
from functools import partial

from toolkit.cache.adhoc.forecasts import ForecastCache, ForecastKey, Hit, Miss, Scripted
from toolkit.cache.envelope import Fields
from toolkit.cache.flights import Flights
from toolkit.cache.lane import Answer, Failure
from toolkit.cache.lease import new_token, renewed
from toolkit.cache.limited_log import LIMITED
from toolkit.cache.memory import in_words
from toolkit.cache.scripts import LOCK, RELEASE, RENEW
from toolkit.errors import SourceError

logger = logging.getLogger(__name__)
logger.addFilter(LIMITED)

LOCK_S = 2.0
"""Whoever computes and shows no sign of life for so long is taken for dead."""

LOOK_EVERY_S = 0.02
WAIT_S = 60.0
WAIT_FOR = 2
"""So long, and for so many others one after another, does a process wait before it computes, too:
one may die and the next take over, but where computing fails nobody queues for it.
"""

STALE_S = 86_400.0

type Compute = Callable[[], Fields | None]

_flights: Flights[Fields | None] = Flights()
os.register_at_fork(after_in_child=_flights.reset)


def cached(cache: ForecastCache, key: ForecastKey, compute: Compute) -> Fields | None:
    """The forecast at ``key``, computed if it is not there; None if there is nothing to forecast.

    Raises what ``compute`` raises; for a ``SourceError`` only if there is nothing to stand in.
    """
    flight = (cache.lane, key.name, key.memory_name)
    try:
        forecast, shared = _flights.run(flight, lambda: _lead(cache, key, compute))
    except SourceError as error:
        return _stale(cache, key, error)
    return copy.deepcopy(forecast) if shared else forecast


def _lead(cache: ForecastCache, key: ForecastKey, compute: Compute) -> Fields | None:
    """Read it, or compute it, unless another process does or just did."""
    found = cache.read(key)
    if isinstance(found, Hit):
        return found.forecast
    with _turn(cache, key, found) as now:
        if isinstance(now, Hit):
            return now.forecast
        forecast = compute()
        cache.write(key, forecast, after=now)
        return forecast


@contextmanager
def _turn(cache: ForecastCache, key: ForecastKey, found: Miss) -> Iterator[Hit | Miss]:
    """Wait for this process' turn: what another one computed in the meantime, or a miss.

    From the first look to the write the server is waited for no longer than the cache's patience;
    only who waits for another process' computation begins anew with each look.
    """
    lock = _Lock(cache, f"{key.own_name}:lock")
    deadline = time.monotonic() + WAIT_S
    now: Hit | Miss = lock.take(found)
    while isinstance(now, Miss) and lock.is_anothers and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        now = _looked(cache, key, now, cache.patience_s)
        if isinstance(now, Miss):
            now = lock.take(now)
    if isinstance(now, Hit):
        yield now
        return
    with lock.held():
        yield _looked(cache, key, now, now.patience_s)  # it may have come before the lock


def _looked(cache: ForecastCache, key: ForecastKey, before: Miss, patience_s: float) -> Hit | Miss:
    """Look again, if there is patience for it."""
    if not patience_s:
        return before
    found = cache.look(key, patience_s)
    return found if isinstance(found, Hit) else _warned("read", found, before)


def _warned(what: str, miss: Miss, before: Miss) -> Miss:
    """``miss``, after a warning if it is worth one and the call had none yet."""
    if miss.warned and not before.warned:
        logger.warning("Cache %s error: %s", what, miss.reason)
    return replace(miss, warned=miss.warned or before.warned)


class _Lock:
    """A lock in the server, taken and given back as far as the server answers."""

    def __init__(self, cache: ForecastCache, name: str) -> None:
        self._cache, self._name, self._token = cache, name, new_token()
        self._taken = self._given_up = False
        self._others: set[object] = set()
        self.is_anothers = False

    def take(self, found: Miss) -> Miss:
        """Try to, and note whether to wait for another one; ``found``, with the patience left then.

        A client without scripts knows no locks, nor does a server that is away.
        """
        self._taken = self.is_anothers = False
        if not found.patience_s or not isinstance(self._cache.client, Scripted):
            return found
        answer = self._cache.lane.run(self._ask, found.patience_s)
        if isinstance(answer, Failure):
            self._given_up = away = not answer.patience_s
            failed = Miss(answer.reason, answer.patience_s, away, found.invalidated)
            return _warned("write", failed, found)
        self._taken = answer.value == 1
        if not self._taken:
            self._others.add(answer.value)
            self.is_anothers = len(self._others) <= WAIT_FOR
        return replace(found, patience_s=answer.patience_s)

    def _ask(self) -> object:
        answer = self._run(LOCK, self._token, int(1000 * LOCK_S))
        if self._given_up:  # it came too late: nobody holds what others would wait for
            self._give_back()
        return answer

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renewed until the block ends, then given back; nothing if it was not taken."""
        if not self._taken:
            yield
            return
        with renewed(self._renew, LOCK_S / 3, at_end=self._give_back):
            yield

    def _renew(self) -> object:
        work = partial(self._run, RENEW, self._token, int(1000 * LOCK_S))
        answer = self._cache.lane.run(work, self._cache.patience_s)
        return answer.value if isinstance(answer, Answer) else 1

    def _give_back(self) -> None:
        """Even where the lane is closed by now: others wait for this, and nobody for its thread."""
        self._run(RELEASE, self._token)

    def _run(self, script: str, *arguments: str | int) -> object:
        client = self._cache.client
        assert isinstance(client, Scripted)
        return client.register_script(script)([self._name], arguments)


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
