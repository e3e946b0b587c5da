"""Questions of many threads that go together, and one of which is interrupted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cache.conftest import until
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
        assert waiting(rounds, 5)
        asked.may_end.release()
        assert first.result(20) == ("a", 1)
        assert until(lambda: len(asked.rounds) == 2)
        assert waiting(rounds, 2)  # three of five questions at once
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
        assert waiting(rounds, 3)
        go_on.set()
        assert [one.result(20) for one in others] == ["a", "b", "c"]
        with pytest.raises(KeyboardInterrupt):
            first.result(20)
    assert rounds.answer("d") == "d"


def test_many_threads_each_get_their_own_answer():
    rounds = Rounds(lambda keys: {key: 2 * key for key in keys}, 3)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(rounds.answer, range(5_000))) == [2 * i for i in range(5_000)]
    assert (rounds._waiting, rounds._asking) == ([], False)
