"""Questions of many threads, asked in rounds: those that come while one is under way go together.

The first thread asks for all who wait, itself included; when it has the answer it hands the next
round to the first who came meanwhile. Every answer is of a round that began after its question.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Question[K, R]:
    key: K
    turn: threading.Lock = field(default_factory=threading.Lock)
    answers: Mapping[K, R] | None = None

    def __post_init__(self) -> None:
        self.turn.acquire()


class Rounds[K: Hashable, R]:
    """Rounds of at most ``at_once`` keys; ``ask_for`` gives the answer of each, and raises nothing
    but what ends the thread that asks.
    """

    def __init__(self, ask_for: Callable[[Sequence[K]], Mapping[K, R]], at_once: int) -> None:
        self._ask_for, self._at_once = ask_for, at_once
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child the threads that asked are gone."""
        self._lock = threading.Lock()
        self._waiting: list[_Question[K, R]] = []
        self._asking = False

    def answer(self, key: K) -> R:
        """The answer of a round that has not begun yet."""
        mine = _Question[K, R](key)
        with self._lock:
            self._waiting.append(mine)
            leads, self._asking = not self._asking, True
        if not leads:
            self._wait(mine)
        if mine.answers is None:
            self._lead(mine)
        assert mine.answers is not None
        return mine.answers[key]

    def _wait(self, mine: _Question[K, R]) -> None:
        """Until there is an answer, or the next round is this thread's."""
        try:
            mine.turn.acquire()
        except BaseException:  # Ctrl-C, say
            with self._lock:
                leads = mine.turn.acquire(blocking=False) and mine.answers is None
                if mine in self._waiting:
                    self._waiting.remove(mine)
            if leads:
                self._hand_over()
            raise

    def _lead(self, mine: _Question[K, R]) -> None:
        """Ask for all who wait; whoever leads is the first of them."""
        with self._lock:
            together = self._waiting[: self._at_once]
            self._waiting = self._waiting[self._at_once :]
        try:
            answers = self._ask_for(list(dict.fromkeys(one.key for one in together)))
        except BaseException:  # Ctrl-C, say: the others have not asked for that
            with self._lock:
                self._waiting = [*(one for one in together if one is not mine), *self._waiting]
            together = []
            raise
        finally:
            for question in together:
                question.answers = answers
                if question is not mine:
                    question.turn.release()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            self._asking = bool(self._waiting)
            if self._waiting:
                self._waiting[0].turn.release()
