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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Question[K, R]:
    """``turn`` is released, and ``awake`` set, when there are answers, or to lead a round.

    ``others``: those who were answered together and are to be woken; none for who is to lead.
    """

    key: K
    turn: threading.Lock = field(default_factory=threading.Lock)
    answers: Mapping[K, R] | None = None
    others: "Iterator[_Question[K, R]]" = field(default_factory=lambda: iter(()))
    awake: bool = False
    gone: bool = False

    def __post_init__(self) -> None:
        self.turn.acquire()

    def wake(self) -> None:
        self.awake = True
        self.turn.release()


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
                mine.gone = True
                if mine in self._waiting:
                    self._waiting.remove(mine)
            if mine.awake:
                self._wake_next(mine)
            raise
        if mine.answers is not None:
            self._wake_next(mine)

    def _lead(self, mine: _Question[K, R]) -> None:
        """Ask for all who wait; whoever leads is the first of them."""
        with self._lock:
            together = self._waiting[: self._at_once]
            self._waiting = self._waiting[self._at_once :]
        others = [one for one in together if one is not mine]
        try:
            answers = self._ask_for(list(dict.fromkeys(one.key for one in together)))
        except BaseException:  # Ctrl-C, say: the others have not asked for that
            with self._lock:
                self._waiting = [*(one for one in others if not one.gone), *self._waiting]
            raise
        else:
            mine.others = iter(others)
            for question in together:
                question.answers, question.others = answers, mine.others
        finally:
            self._wake_next(mine)

    def _wake_next(self, mine: _Question[K, R]) -> None:
        """Of those who were answered with ``mine``, or else whoever is to lead the next round."""
        with self._lock:
            following = next((one for one in mine.others if not one.gone), None)
            if following is None:
                self._asking = bool(self._waiting)
                following = self._waiting[0] if self._waiting else None
            if following is not None:
                following.wake()
