"""One computation per key within a process: who comes while it runs waits for its result."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field


class _AbandonedError(Exception):
    """The thread that computed was interrupted; that says nothing about the computation."""


@dataclass(slots=True, eq=False)
class _Flight[R]:
    thread: int
    result: Future[R] = field(default_factory=Future)
    shared: bool = False


class Flights[R]:
    """Computations under way, by key."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child the threads that computed are gone."""
        self._lock = threading.Lock()
        self._flying: dict[Hashable, _Flight[R]] = {}

    def run(self, key: Hashable, work: Callable[[], R]) -> tuple[R, bool]:
        """The result of ``work``, and whether other calls get the same one.

        What ``work`` raises reaches all who waited. Only an interruption (Ctrl-C) is its own
        thread's; another one starts over then.
        """
        while True:
            flight, leads = self._join(key)
            if leads:
                return self._lead(key, flight, work), flight.shared
            try:
                return flight.result.result(), True
            except _AbandonedError:
                continue

    def _join(self, key: Hashable) -> tuple[_Flight[R], bool]:
        me = threading.get_ident()
        with self._lock:
            flight = self._flying.get(key)
            if flight is None:
                flight = self._flying[key] = _Flight(me)
                return flight, True
            if flight.thread == me:  # the computation asks for itself: it must not wait for itself
                return _Flight(me), True
            flight.shared = True
            return flight, False

    def _lead(self, key: Hashable, flight: _Flight[R], work: Callable[[], R]) -> R:
        try:
            result = work()
        except Exception as error:
            self._land(key, flight)
            flight.result.set_exception(error)
            raise
        except BaseException:
            self._land(key, flight)
            flight.result.set_exception(_AbandonedError())
            raise
        self._land(key, flight)
        flight.result.set_result(result)
        return result

    def _land(self, key: Hashable, flight: _Flight[R]) -> None:
        """Before the result is told, or a later call might take it for its own."""
        with self._lock:
            if self._flying.get(key) is flight:
                del self._flying[key]
