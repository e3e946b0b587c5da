"""What goes out: bytes that are ready, or a problem in one sentence (RFC 9457)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Send

type Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
PROBLEM: Header = (b"content-type", b"application/problem+json")
NO_STORE: Header = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response; ``content-length`` is added when it is sent."""

    status: int
    headers: Sequence[Header]
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Give it to the server."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        if self.status == HTTPStatus.NOT_MODIFIED:
            headers.pop()
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class ProblemError(Exception):
    """What ends a request early: a status, a sentence, and further headers."""

    def __init__(self, status: int, detail: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers

    def reply(self) -> Reply:
        """As it goes out."""
        return problem(self.status, self.detail, self.headers)


def problem(status: int, detail: str, headers: Sequence[Header] = ()) -> Reply:
    """A problem's body: its title is that of the status, ``detail`` one clear sentence."""
    said = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = [(b"retry-after", b"1"), *headers]
    return Reply(status, [PROBLEM, NO_STORE, *headers], json.dumps(said).encode())


def json_reply(said: object, headers: Sequence[Header] = (), status: int = 200) -> Reply:
    """A small answer, encoded here."""
    return Reply(status, [JSON, *headers], json.dumps(said, separators=(",", ":")).encode())
