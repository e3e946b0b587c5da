"""Questions of many threads, asked in rounds: those that come while one is under way go together.

The first thread asks for all who wait, itself included. Every answer is of a round that began after
its question.

With the answer, each thread wakes the next one, and the last one the first of those who came
meanwhile, for the next round. The interpreter lets one thread run at a time: were all woken at
once, each would wake in vain and wait once more. And threads that were answered together come back
together: were the next round begun before the last of them is awake, it would be of one question,
and all the others would wait for it.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Question[K, R]:
    """``turn`` is released when there are answers, or to lead a round."""

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
        self._waiting: list[_Question[K, R]] = []  # until they leave, those of the round first
        self._awake: _Question[K, R] | None = None  # whose turn it is: the first, as it leaves

    def answer(self, key: K) -> R:
        """The answer of a round that has not begun yet."""
        mine = _Question[K, R](key)
        try:
            with self._lock:
                leads = self._awake is None
                if leads:
                    self._awake = mine
                self._waiting.append(mine)
            if not leads:
                self._wait(mine)
            if mine.answers is None:
                self._lead()
            assert mine.answers is not None
            return mine.answers[key]
        finally:  # Ctrl-C, say, may come anywhere, and here too: the others wait for this turn
            try:
                self._leave(mine)
            except BaseException:
                self._leave(mine)
                raise

    def _wait(self, mine: _Question[K, R]) -> None:
        """Until there is an answer, or the next round is this thread's."""
        mine.turn.acquire()

    def _lead(self) -> None:
        """Ask for all who wait; whoever leads is the first of them."""
        with self._lock:
            together = self._waiting[: self._at_once]
        answers = self._ask_for(list(dict.fromkeys(one.key for one in together)))
        for question in together:
            question.answers = answers

    def _leave(self, mine: _Question[K, R]) -> None:
        """Wake the next, answered with ``mine`` or to lead, if it was this one's turn.

        Done halfway and then once more, it is done.
        """
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if self._awake is mine:
                following = self._waiting[0] if self._waiting else None
                if following is not None and following.turn.locked():
                    following.turn.release()
                self._awake = following
