"""The service's application (ASGI): who asks, what for, and what goes out."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from toolkit.cache.records import Records
from toolkit.service.forecasts import Forecasts
from toolkit.service.pages import page_of, weight
from toolkit.service.replies import NO_STORE, ProblemError, Reply, json_reply, problem
from toolkit.service.settings import ServiceSettings

logger = logging.getLogger(__name__)

FORECASTS = b"/v1/forecasts/"

type Handler = Callable[[Scope, Receive], Awaitable[Reply]]


class Service:
    """Everything of one worker process: its records, and what it answers from them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.records = Records(
            settings.redis_url,
            page_of,
            weight,
            memory_bytes=settings.memory_bytes,
            stale_s=settings.stale_s,
        )
        self.forecasts = Forecasts(self.records, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the process's beginning and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            reply = await self._reply_or_problem(scope, receive)
            await reply.send(send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            await stack.enter_async_context(self.records.watched())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _reply_or_problem(self, scope: Scope, receive: Receive) -> Reply:
        try:
            return await self._reply(scope, receive)
        except ProblemError as error:
            return error.reply()
        except Exception:
            logger.exception("A request failed")
            said = "The service failed to answer; its log says why."
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, said)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        path: bytes = scope["raw_path"]
        if path.startswith(FORECASTS) and b"/" not in (segment := path[len(FORECASTS) :]):
            return await self.forecasts.reply(segment, scope["headers"])
        if path == b"/livez":
            return json_reply({"status": "alive"}, [NO_STORE])
        if path == b"/readyz":
            return self._readiness()
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    def _readiness(self) -> Reply:
        why = self.records.unready(self.settings.oldest_s)
        if why is not None:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"Not ready: {why}.")
        assert self.records.release is not None
        return json_reply({"status": "ready", "release": self.records.release.pointer.release})
