"""Uvicorn's HTTP protocol, and what it lacks against clients that are slow or send for ever."""

from asyncio import TimerHandle, Transport
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from toolkit.service.replies import Reply, problem

HEAD_S = 10.0
"""A request's head has to be here so long after its first byte, or after the connection."""

MOST_HEAD_BYTES = 32_768
DRAIN_S = 30.0
"""A client that reads nothing for so long is let go."""


class GuardedProtocol(HttpToolsProtocol):
    """Closes what sends its head too slowly or without end, or does not read its answer."""

    _timer: TimerHandle | None = None
    _drain: TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Give the client so long for a request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._let_be()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head; its last ones may come with a body's first."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes:
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            elif self._timer is None:
                self._timer = self.loop.call_later(HEAD_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head, self._head_bytes = False, 0
        self._let_be()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are of another request."""
        self._in_head = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        self._drain = self.loop.call_later(DRAIN_S, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        super().resume_writing()

    def _let_be(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus) -> None:
        self._let_be()
        if not self.transport.is_closing():
            self.transport.write(_closing(problem(status, _SAID[status])))
            self.transport.close()


_SAID = {
    HTTPStatus.REQUEST_TIMEOUT: f"The head of a request has to come within {HEAD_S:g} s.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The head of a request has at most {MOST_HEAD_BYTES:,} bytes."
    ),
}


def _closing(reply: Reply) -> bytes:
    status = HTTPStatus(reply.status)
    sent = [*reply.headers, (b"content-length", b"%d" % len(reply.body)), (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
    lines += [b"%b: %b" % header for header in sent]
    return b"\r\n".join([*lines, b"", reply.body])
