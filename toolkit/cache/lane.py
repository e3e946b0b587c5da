"""Operations on a server that may be slow, hang or be gone, each waited for only so long.

An operation runs on a daemon thread; the caller waits until its patience is used up and then
goes on without the answer. Time-outs on the socket cannot promise that much: they start anew
with every packet and every retry, know nothing of name look-ups, and belong to the caller's
client, of whatever class, with its TLS, credentials, Sentinel or cluster settings. A client of
our own, derived from the caller's with short time-outs, would also throw away a connection that
needs longer than they allow and so never get one; here it is finished in the background and is
ready for the next call. The hop to the thread and back costs 10 to 40 µs (measured on a hit of
400 to 500 µs).

Where other threads compute in pure Python, the interpreter changes hands every 5 ms only, and a
GET that takes 0.2 ms takes 20 ms beside one such thread and 50 ms beside two. The caller cannot
tell that from a slow server and gives up all the same; but a lane that silence has closed opens
with the answer, however late.
"""

import os
import threading
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from weakref import WeakKeyDictionary

LEAST_S = 0.002
"""The patience left after an answer that used it up and still came."""

PAUSE_S = 1.0
"""After a failure a lane is closed for this long; then one operation tries whether it is over."""

MAX_STUCK = 8
"""Operations that a lane leaves behind unanswered before it refuses new ones."""

MAX_STUCK_EVERYWHERE = 64
"""The same over all lanes: a bound on threads where every call brings a new client."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operation returned, and the patience that is left, in seconds."""

    value: object
    patience_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. Patience is left only where the server itself said no."""

    reason: str
    patience_s: float


type Operation = Callable[[], object]
type Result = tuple[object, BaseException | None]


@dataclass(slots=True, eq=False)
class Lane:
    """The way to one server: closed for ``PAUSE_S`` after a failure, so an outage is cheap.

    It keeps no reference to the client, so the client decides how long the lane lives.
    """

    _stuck: int = 0
    _failure: str | None = None
    _closed_until: float = 0.0
    _late_error: str | None = None  # of a client that tries again for seconds before it says why

    def run(self, operation: Operation, patience_s: float) -> Answer | Failure:
        """Run ``operation`` and wait for it at most ``patience_s``. Never raises."""
        refusal = self._refusal()
        if refusal is not None:
            return Failure(refusal, 0)
        deadline = time.monotonic() + patience_s
        job = _Job(operation, self)
        try:
            _start(job)
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            return self._settled(Failure(_described(error), 0))
        result = job.result if job.done_within(patience_s) else self._give_up(job)
        if result is None:
            return self._settled(Failure(self._silence(patience_s), 0))
        left_s = max(deadline - time.monotonic(), LEAST_S)
        return self._settled(_outcome(*result, left_s))

    def _refusal(self) -> str | None:
        with _shared.lock:
            if self._stuck >= MAX_STUCK or _shared.stuck >= MAX_STUCK_EVERYWHERE:
                return "not tried: too many earlier operations still hang"
            if self._failure is None:
                return None
            now = time.monotonic()
            if now < self._closed_until:
                return f"not tried again yet: {self._failure}"
            self._closed_until = now + PAUSE_S  # the others wait for what this caller finds
            return None

    def _silence(self, patience_s: float) -> str:
        silence = f"no answer within {1000 * patience_s:.0f} ms"
        return f"{silence} (earlier: {self._late_error})" if self._late_error else silence

    def _give_up(self, job: "_Job") -> Result | None:
        with _shared.lock:
            if job.result is None:  # else it came while this thread waited for its turn
                job.abandoned = True
                self._count_stuck(1)
            return job.result

    def finish(self, job: "_Job", result: Result) -> None:
        """Called by the worker: hand the result over, or note how it ended after all."""
        error = result[1]
        with _shared.lock:
            job.result = result
            if not job.abandoned:
                return
            self._count_stuck(-1)
            if error is None or _is_reply(error):
                self._failure = self._late_error = None
            else:
                self._late_error = _described(error)

    def _count_stuck(self, change: int) -> None:
        self._stuck += change
        _shared.stuck += change

    def _settled(self, outcome: Answer | Failure) -> Answer | Failure:
        with _shared.lock:
            if isinstance(outcome, Failure) and not outcome.patience_s:
                self._failure = outcome.reason
                self._closed_until = time.monotonic() + PAUSE_S
            else:
                self._failure = self._late_error = None
        return outcome


def lane_of(client: object) -> Lane:
    """The lane shared by everybody who uses ``client`` or its connection pool.

    A client that cannot be held weakly shares the lane of its class.
    """
    for key in (getattr(client, "connection_pool", client), type(client)):
        try:
            with _shared.lock:
                return _shared.lanes.setdefault(key, Lane())
        except TypeError:
            continue
    return Lane()


def _outcome(value: object, error: BaseException | None, left_s: float) -> Answer | Failure:
    if error is None:
        return Answer(value, left_s)
    return Failure(_described(error), left_s if _is_reply(error) else 0)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _is_reply(error: BaseException) -> bool:
    """Whether the server answered, and only the answer is bad: the next one may be good.

    By name, for clients of redis-py and valkey-py alike and without importing either. A client
    that decodes replies raises ``UnicodeDecodeError`` on bytes that are no text.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint({"ResponseError", "UnicodeDecodeError"})


@dataclass(slots=True, eq=False)
class _Job:
    operation: Operation
    lane: Lane
    result: Result | None = None
    abandoned: bool = False
    _done: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._done.acquire()

    def done_within(self, patience_s: float) -> bool:
        return self._done.acquire(timeout=patience_s)

    def run(self) -> None:
        try:
            result: Result = (self.operation(), None)
        except BaseException as error:  # whatever it is, the caller waits for it
            result = (None, error.with_traceback(None))  # whose frames would hold the client
        self.lane.finish(self, result)

    def announce(self) -> None:
        self._done.release()


class _Worker(threading.Thread):
    """Runs one job after another. A daemon: a hanging server must not delay the exit."""

    def __init__(self) -> None:
        super().__init__(name="toolkit-cache", daemon=True)
        self.inbox: SimpleQueue[Operation] = SimpleQueue()

    def run(self) -> None:
        while True:
            self.inbox.get()()


def _start(job: _Job) -> None:
    """Run ``job`` on an idle worker or a new one, in the caller's context.

    The context, because clients may be found through it (Flask's proxies, tracing spans).
    """
    try:
        worker = _shared.idle.pop()
    except IndexError:
        worker = _Worker()
        worker.start()
    context = copy_context()

    def work() -> None:
        context.run(job.run)
        _shared.idle.append(worker)  # before the caller goes on, or its next call starts one more
        job.announce()

    worker.inbox.put(work)


class _Shared:
    """What all lanes have in common. A lock guards all but ``idle``, whose steps are atomic."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, in a forked child too: the threads, and the locks they held, are gone."""
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []
        self.lanes: WeakKeyDictionary[Hashable, Lane] = WeakKeyDictionary()
        self.stuck = 0


_shared = _Shared()
os.register_at_fork(after_in_child=_shared.reset)
