"""The service's application (ASGI): who asks, what for, and what goes out."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from http import HTTPStatus

from starlette.types import Message, Receive, Scope, Send

from toolkit.cache.records import Records
from toolkit.service.access import ANYBODY, Access
from toolkit.service.answers import Answers
from toolkit.service.customers import CustomerAnswers
from toolkit.service.explorer.site import Explorer
from toolkit.service.forecasts import Forecasts
from toolkit.service.metrics import AGE, READY, Measures
from toolkit.service.pages import page_of, weight
from toolkit.service.replies import JSON, NO_STORE, ProblemError, Reply, json_reply, problem
from toolkit.service.routes import api
from toolkit.service.settings import ServiceSettings

logger = logging.getLogger(__name__)
access_log = logging.getLogger("toolkit.service.access")

FORECASTS = b"/v1/forecasts/"
CUSTOMERS = b"/v1/customers/"
OPEN = {b"/livez", b"/readyz", b"/openapi.json"}
NAMED = {"/v1/forecasts:batch", "/v1/at-risk", "/v1/releases/current", "/openapi.json"}
"""Routes that stand under their own names in the metrics."""

MOST_BODY_BYTES = 65_536
BODY_S = 10.0
LOOK_S = 1.0
SHOWN = 200


class Service:
    """Everything of one worker process: its records, and what it answers from them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.records = Records(
            settings.redis_url,
            page_of,
            weight,
            memory_bytes=settings.memory_bytes,
            patience_s=settings.patience_s,
            stale_s=settings.stale_s,
        )
        self._access = Access(settings)
        self._forecasts = Forecasts(self.records, settings)
        self._customers = CustomerAnswers(self.records, settings)
        self._api = api(Answers(self._forecasts, self._customers, self._access))
        self._explorer = Explorer(self._forecasts, settings)
        self._measures = Measures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the process's beginning and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _Exchange(self, scope, send).answer(receive)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            await stack.enter_async_context(self.records.watched())
            stack.push_async_callback(self._explorer.close)
            telling = asyncio.create_task(self._tell())
            stack.callback(telling.cancel)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tell(self) -> None:
        """Tell the metrics all the while how this worker is."""
        while True:
            READY.set(self.records.unready(self.settings.oldest_s) is None)
            if self.records.release is not None:
                AGE.set(self.records.release.age_s())
            await asyncio.sleep(LOOK_S)

    def readiness(self) -> Reply:
        """200 if what is given out is what should be; else 503, and why."""
        why = self.records.unready(self.settings.oldest_s)
        if why is not None:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"Not ready: {why}.")
        assert self.records.release is not None
        said = {"status": "ready", "release": self.records.release.pointer.release}
        return json_reply(said, [NO_STORE])


class _Exchange:
    """A request and its response."""

    def __init__(self, service: Service, scope: Scope, send: Send) -> None:
        self._service, self._scope, self._send = service, scope, send
        self._path: bytes = scope["raw_path"]
        self._who, self._status, self._bytes = ANYBODY, 0, 0
        self._is_page = scope["method"] in {"GET", "HEAD"} and service._explorer.serves(self._path)

    async def answer(self, receive: Receive) -> None:
        """Answer it, count it and log it, whatever happens."""
        started = time.perf_counter()
        try:
            reply = await self._reply(receive)
        except ProblemError as error:
            reply = self._failed(error)
        except Exception:
            logger.exception("A request failed")
            said = "The service failed to answer; its log says why."
            reply = self._failed(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, said))
        if reply is not None and not self._status:
            self._status, self._bytes = reply.status, len(reply.body)
            await reply.send(self._send)
        took = time.perf_counter() - started
        self._service._measures.note(self._route(), self._status, took)
        if self._service.settings.access_log:
            self._log(took)

    def _failed(self, error: ProblemError) -> Reply:
        """For people a page, for programs JSON."""
        return self._service._explorer.failed(error) if self._is_page else error.reply()

    async def _reply(self, receive: Receive) -> Reply | None:
        """What to send; None if it was sent."""
        service, path = self._service, self._path
        if path == b"/livez":
            return json_reply({"status": "alive"}, [NO_STORE])
        if path == b"/readyz":
            return service.readiness()
        if path not in OPEN and not service._explorer.is_open(path):
            self._who = await service._access.who(self._scope["headers"])
            service._access.count(self._who)
        if self._scope["method"] in {"GET", "HEAD"}:
            if self._is(FORECASTS):
                segment = path[len(FORECASTS) :]
                return await service._forecasts.reply(segment, self._scope["headers"])
            if self._is(CUSTOMERS):
                segment = path[len(CUSTOMERS) :]
                return await service._customers.reply(segment, self._scope["headers"])
        if self._is_page:
            return await self._page()
        await self._by_api(await self._body(receive))
        return None

    async def _page(self) -> Reply:
        scope = self._scope
        explorer = self._service._explorer
        return await explorer.reply(self._path, scope["query_string"], scope["headers"])

    def _is(self, route: bytes) -> bool:
        """Whether the path is the route and one segment more."""
        return self._path.startswith(route) and b"/" not in self._path[len(route) :]

    async def _by_api(self, body: bytes) -> None:
        """Let the other routes answer: their body is here already."""

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
            else:
                self._bytes += len(message.get("body", b""))
            await self._send(message)

        said = [header for header in self._scope["headers"] if header[0] != b"content-type"]
        scope = dict(self._scope) | {"state": {"who": self._who}, "headers": [*said, JSON]}
        if scope["method"] == "HEAD":  # the server leaves the body out
            scope["method"] = "GET"
        await self._service._api(scope, receive, send)

    async def _body(self, receive: Receive) -> bytes:
        """The whole body; 413 or 408 if it is too large or too slow."""
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(BODY_S):
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > MOST_BODY_BYTES:
                        said = f"A body has at most {MOST_BODY_BYTES:,} bytes."
                        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said, [CLOSE])
        except TimeoutError as error:
            said = f"A body has to come within {BODY_S:g} s."
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, said, [CLOSE]) from error
        return bytes(body)

    def _route(self) -> str:
        if self._is(FORECASTS):
            return "/v1/forecasts/{product}"
        if self._is(CUSTOMERS):
            return "/v1/customers/{customer}"
        if self._is_page:
            return self._service._explorer.route(self._path)
        path: str = self._scope["path"]
        return path if path in NAMED or self._path in OPEN else "other"

    def _log(self, took: float) -> None:
        """Neither the query nor any header: they may hold secrets."""
        path = self._path[:SHOWN].decode("ascii", "backslashreplace")
        access_log.info(
            '%s "%s %s" %d %d B %.1f ms',
            self._who,
            self._scope["method"],
            path,
            self._status,
            self._bytes,
            1000 * took,
        )


CLOSE = (b"connection", b"close")
