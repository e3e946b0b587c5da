"""Questions of many threads that go together, and one of which is interrupted."""

import ctypes
import linecache
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cache.conftest import until
from toolkit.cache import rounds as module
from toolkit.cache.rounds import Rounds


class Asked:
    """What is asked of it, round by round; a round lasts until it is let on."""

    def __init__(self):
        self.rounds, self.may_end = [], threading.Semaphore(0)

    def __call__(self, keys):
        self.rounds.append(keys)
        self.may_end.acquire()
        return {key: (key, len(self.rounds)) for key in keys}


def waiting(rounds, count):
    return until(lambda: len(rounds._waiting) == count)


def test_those_that_come_while_a_round_is_under_way_go_together_in_the_next():
    asked = Asked()
    rounds = Rounds(asked, 3)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(rounds.answer, "a")
        assert until(lambda: asked.rounds == [["a"]])
        late = [pool.submit(rounds.answer, key) for key in ("a", "b", "b", "c", "d")]
        assert waiting(rounds, 6)
        asked.may_end.release()
        assert first.result(20) == ("a", 1)
        assert until(lambda: len(asked.rounds) == 2)
        assert len(asked.rounds[1]) <= 3  # of five questions
        asked.may_end.release(2)
        answers = [one.result(20) for one in late]
    assert [key for key, _ in answers] == ["a", "b", "b", "c", "d"]
    assert {number for _, number in answers} == {2, 3}  # none is of the round before its question
    assert [len(keys) for keys in asked.rounds[1:]] in ([3, 2], [2, 2], [3, 1], [2, 1])
    asked.may_end.release()
    assert rounds.answer("e") == ("e", 4)


def test_whoever_is_interrupted_leaves_the_round_to_the_others():
    began, go_on = threading.Event(), threading.Event()

    def ask_for(keys):
        if "interrupted" in keys:
            began.set()
            go_on.wait(20)
            raise KeyboardInterrupt
        return {key: key for key in keys}

    rounds = Rounds(ask_for, 10)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(rounds.answer, "interrupted")
        assert began.wait(20)
        others = [pool.submit(rounds.answer, key) for key in "abc"]
        assert waiting(rounds, 4)
        go_on.set()
        assert [one.result(20) for one in others] == ["a", "b", "c"]
        with pytest.raises(KeyboardInterrupt):
            first.result(20)
    assert rounds.answer("d") == "d"


class Turn:
    """A question's lock that ``meanwhile`` comes to, after it was acquired or in place of that."""

    def __init__(self, turn, meanwhile, acquired):
        self.release, self.locked, self._turn = turn.release, turn.locked, turn
        self._meanwhile, self._acquired = meanwhile, acquired

    def acquire(self):
        if self._acquired:
            self._turn.acquire()
        self._meanwhile()


@pytest.fixture
def answered_together(monkeypatch):
    """Ask for b, c and d, which go together, one of them with a ``Turn``; what came of each."""
    asked, wait = Asked(), Rounds._wait
    rounds = Rounds(asked, 10)

    def run(pool, who, meanwhile, acquired=True):
        def waits(self, mine):
            if mine.key == who:
                mine.turn = Turn(mine.turn, meanwhile, acquired)
            wait(self, mine)

        monkeypatch.setattr(Rounds, "_wait", waits)
        first, others = pool.submit(rounds.answer, "a"), {}
        assert until(lambda: asked.rounds == [["a"]])
        for count, key in enumerate("bcd", 2):
            others[key] = pool.submit(rounds.answer, key)
            assert waiting(rounds, count)
        asked.may_end.release()
        assert first.result(20) == ("a", 1)
        return others

    run.asked, run.rounds = asked, rounds
    return run


def interruption():
    raise KeyboardInterrupt


@pytest.mark.parametrize("who", ["b", "c", "d"])
def test_whoever_is_interrupted_as_the_turn_comes_passes_it_on(answered_together, who):
    """The one who is to lead, and the next and the last of those whom one wakes after another."""
    with ThreadPoolExecutor(4) as pool:
        others = answered_together(pool, who, interruption)
        answered_together.asked.may_end.release()
        with pytest.raises(KeyboardInterrupt):
            others.pop(who).result(20)
        assert [one.result(20) for one in others.values()] == [(key, 2) for key in others]
        answered_together.asked.may_end.release()
        assert answered_together.rounds.answer("e") == ("e", 3)


def test_whoever_is_interrupted_while_others_ask_is_passed_over(answered_together):
    asked = answered_together.asked

    def meanwhile():
        assert until(lambda: len(asked.rounds) == 2)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(4) as pool:
        others = answered_together(pool, "c", meanwhile, acquired=False)
        with pytest.raises(KeyboardInterrupt):
            others.pop("c").result(20)
        asked.may_end.release(2)
        assert [one.result(20) for one in others.values()] == [("b", 2), ("d", 2)]
        assert answered_together.rounds.answer("e") == ("e", 3)


def test_no_round_begins_before_all_are_awake_who_were_answered_together(answered_together):
    """They come back together: it would be of the first of them alone, and the others wait."""
    may_wake, rounds = threading.Event(), answered_together.rounds
    with ThreadPoolExecutor(6) as pool:
        others = answered_together(pool, "d", lambda: may_wake.wait(20))
        answered_together.asked.may_end.release(2)
        assert [others[key].result(20) for key in "bc"] == [("b", 2), ("c", 2)]
        again = []
        for count, key in enumerate("bc", 2):
            again.append(pool.submit(rounds.answer, key))
            assert until(lambda count=count: len(rounds._waiting) == count, 5)
        assert len(answered_together.asked.rounds) == 2
        may_wake.set()
        assert [one.result(20) for one in [*again, others["d"]]] == [("b", 3), ("c", 3), ("d", 2)]


class Interruption:
    """Raises where a thread comes to its ``number``-th line of the module, calls included.

    Not on lines of ``with`` and ``try``: a trace comes where no signal does, after a lock's body
    and before its release, and before what is tried.
    """

    def __init__(self, number):
        self.left, self.happened = number, False

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename != module.__file__:
            return None
        line = linecache.getline(module.__file__, frame.f_lineno).strip()
        if event in ("call", "line") and not line.startswith(("with ", "try:")):
            self.left -= 1
            if not self.left:
                self.happened = True
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("who", ["a", "b", "c", "d"])
def test_whoever_is_interrupted_anywhere_keeps_no_other_waiting(who):
    """The one who asks first, who is to lead the others, and the next and last of those."""
    happened, number = True, 0
    while happened:
        number += 1
        happened = interrupted_at(who, number)
    assert number > 15


def interrupted_at(who, number):
    asked, interruption, answers = Asked(), Interruption(number), {}
    rounds = Rounds(asked, 2)

    def ask(key):
        if key == who:
            sys.settrace(interruption)
        try:
            answers[key] = rounds.answer(key)[0]
        except KeyboardInterrupt:
            answers[key] = None
        finally:
            sys.settrace(None)

    is_alive = threading.Thread.is_alive
    threads = {key: threading.Thread(target=ask, args=(key,), daemon=True) for key in "abcd"}
    for thread in threads.values():
        thread.start()
        assert until(lambda: len(rounds._waiting) == sum(map(is_alive, threads.values())))
    asked.may_end.release(9)
    for thread in threads.values():
        thread.join(5)
    assert answers == {key: key for key in "abcd"} | {who: None if interruption.happened else who}
    assert (rounds._waiting, rounds._awake) == ([], None)
    return interruption.happened


@pytest.mark.slow
def test_a_crowd_that_is_interrupted_at_random_goes_on():
    """Exceptions that come to threads wherever they are, as Ctrl-C comes to the first one."""
    rounds = Rounds(lambda keys: {key: 2 * key for key in keys}, 7)
    ends, wrong, interrupted = time.monotonic() + 10, [], []
    count, ready = [0] * 64, [False] * 64

    def ask(place):
        while time.monotonic() < ends:
            try:
                ready[place] = True  # for one at a time
                while time.monotonic() < ends:
                    for key in range(50):
                        if rounds.answer(key) != 2 * key:
                            wrong.append(key)
                        count[place] += 1
            except KeyboardInterrupt:
                interrupted.append(place)

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(64)]
    for thread in threads:
        thread.start()
    rng, interrupt = random.Random(1), ctypes.pythonapi.PyThreadState_SetAsyncExc
    while time.monotonic() < ends - 2:
        place = rng.randrange(64)
        if ready[place]:
            ready[place] = False
            interrupt(ctypes.c_ulong(threads[place].ident), ctypes.py_object(KeyboardInterrupt))
        time.sleep(0.003)
    for thread in threads:
        thread.join(max(0.0, ends + 30 - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert len(interrupted) > 100
    assert min(count) > 0
    assert (rounds._waiting, rounds._awake) == ([], None)


def test_many_threads_each_get_their_own_answer():
    rounds = Rounds(lambda keys: {key: 2 * key for key in keys}, 3)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(rounds.answer, range(5_000))) == [2 * i for i in range(5_000)]
    assert (rounds._waiting, rounds._awake) == ([], None)
