"""One computation per key within a process: who comes while it runs waits for its result."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future


class _AbandonedError(Exception):
    """The thread that computed was interrupted; that says nothing about the computation."""


class Flights[R]:
    """Computations under way, by key."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child the threads that computed are gone."""
        self._lock = threading.Lock()
        self._flying: dict[Hashable, tuple[Future[R], int]] = {}

    def run(self, key: Hashable, work: Callable[[], R]) -> tuple[R, bool]:
        """The result of ``work``, and whether this call did it.

        What ``work`` raises reaches all who waited. Only an interruption (Ctrl-C) is its own
        thread's; another one starts over then.
        """
        while True:
            future, leads = self._join(key)
            if leads:
                return self._lead(key, future, work), True
            try:
                return future.result(), False
            except _AbandonedError:
                continue

    def _join(self, key: Hashable) -> tuple[Future[R], bool]:
        me = threading.get_ident()
        with self._lock:
            flying = self._flying.get(key)
            if flying is None:
                flying = self._flying[key] = (Future(), me)
                return flying[0], True
            if flying[1] == me:  # the computation asks for itself: it must not wait for itself
                return Future(), True
            return flying[0], False

    def _lead(self, key: Hashable, future: Future[R], work: Callable[[], R]) -> R:
        try:
            result = work()
        except Exception as error:
            self._land(key, future)
            future.set_exception(error)
            raise
        except BaseException:
            self._land(key, future)
            future.set_exception(_AbandonedError())
            raise
        self._land(key, future)
        future.set_result(result)
        return result

    def _land(self, key: Hashable, future: Future[R]) -> None:
        """Before the result is told, or a later call might take it for its own."""
        with self._lock:
            flying = self._flying.get(key)
            if flying is not None and flying[0] is future:
                del self._flying[key]
