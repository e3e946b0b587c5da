"""Questions that take seconds: answered in a thread, one at a time, and each once.

The event loop never waits for one. Answers are kept, the least recently used goes first; a key
names all that decides an answer.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, cast

from cachetools import LRUCache

from toolkit.errors import ArgumentError, ModelError, ToolkitError
from toolkit.service.forecasts import sentence
from toolkit.service.replies import ProblemError

logger = logging.getLogger(__name__)

KEPT = 200
MOST_WAITING = 16
"""So many wait for the thread; a further one is told that it is busy."""

PATIENCE_S = 60.0
"""Somebody waits so long for a page; its answer is there when they ask again."""

BUSY = "The engine is busy with other questions; ask again in a moment."
STILL = "The engine is still at work on this; ask again in a moment."


class Questions:
    """The thread, whom it works for, and what it found out before."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explorer")
        self._kept: LRUCache[Hashable, Any] = LRUCache(KEPT)
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}
        self._patience_s = patience_s

    async def ask[T](self, key: Hashable, answer: Callable[[], T]) -> T:
        """What ``answer`` returns, in its thread; whoever asks the same meanwhile waits along.

        ``ProblemError`` in a sentence where it raises a ``ToolkitError``, or takes too long.
        """
        if key in self._kept:
            return cast("T", self._kept[key])
        task = self._asked.get(key)
        if task is None:
            if len(self._asked) >= MOST_WAITING:
                raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
            task = self._asked[key] = asyncio.create_task(self._answer(key, answer))
            task.add_done_callback(_look_at)
        try:
            async with asyncio.timeout(self._patience_s):
                return cast("T", await asyncio.shield(task))
        except TimeoutError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, STILL) from error
        except ToolkitError as error:
            raise ProblemError(_status(error), sentence(error)) from error

    async def _answer(self, key: Hashable, answer: Callable[[], object]) -> object:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, answer)
            self._kept[key] = found
            return found
        finally:
            del self._asked[key]

    def close(self) -> None:
        """Nobody waits any more; a question that is being answered is let run to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _status(error: ToolkitError) -> HTTPStatus:
    if isinstance(error, ArgumentError):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, ModelError):
        return HTTPStatus.NOT_IMPLEMENTED
    return HTTPStatus.SERVICE_UNAVAILABLE


def _look_at(task: asyncio.Task[Any]) -> None:
    """Whoever asked may have gone: an error is told in the log alone then."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("The explorer's engine: %s", error)
