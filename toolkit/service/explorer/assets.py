"""Style sheets and scripts of the pages: this distribution's own, and Plotly, which comes along."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from toolkit.installed import own_version
from toolkit.service.forecasts import GZIPPED, VARY, takes_gzip
from toolkit.service.replies import Header, ProblemError, Reply
from toolkit.web import TEMPLATES, shared

PATH = b"/assets/"
FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")
"""An address names the content: what changes has another one."""

_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')

NOSNIFF: Header = (b"x-content-type-options", b"nosniff")


def _own(name: str) -> str:
    place = files("toolkit").joinpath(TEMPLATES, "explorer", name)
    return place.read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, what it is, and what its address has to change with."""

    read: Callable[[], str]
    kind: bytes
    version: Callable[[], str]


def _digest_of(read: Callable[[], str]) -> Callable[[], str]:
    return lambda: hashlib.sha256(read().encode()).hexdigest()[:12]


def _source(read: Callable[[], str], kind: bytes) -> Source:
    return Source(read, kind, _digest_of(read))


_CSS, _JS = b"text/css; charset=utf-8", b"text/javascript; charset=utf-8"
SOURCES: Mapping[str, Source] = {
    "page.css": _source(lambda: shared("page.css"), _CSS),
    "explorer.css": _source(lambda: _own("explorer.css"), _CSS),
    "plots.js": _source(lambda: shared("plots.js"), _JS),
    "explorer.js": _source(lambda: _own("explorer.js"), _JS),
    "plotly.js": Source(_plotly, _JS, own_version),
}


@cache
def address(name: str) -> str:
    """Where a page finds a file."""
    return f"{PATH.decode()}{name}?v={SOURCES[name].version()}"


@cache
def style_id() -> str:
    """The id of a style sheet of maps, which Plotly writes into a page unless one has that id.

    Ours may have no style sheets but files. Empty for a Plotly that does not.
    """
    found = _STYLE_ID.search(SOURCES["plotly.js"].read())
    return found[1] if found else ""


async def prepare() -> None:
    """Find out what takes tenths of a second, once, before a page is filled."""
    if not style_id.cache_info().currsize:
        await asyncio.to_thread(style_id)


@cache
def _packed(name: str) -> tuple[bytes, bytes]:
    """A file as it is, and as gzip."""
    content = SOURCES[name].read().encode()
    return content, gzip.compress(content, 6, mtime=0)


async def asset(name: str, accepted: bytes) -> Reply:
    """A file; 404 for one that there is none of."""
    if name not in SOURCES:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
    plain, packed = await asyncio.to_thread(_packed, name)
    headers: list[Header] = [(b"content-type", SOURCES[name].kind), FOR_EVER, NOSNIFF, VARY]
    if takes_gzip(accepted):
        return Reply(HTTPStatus.OK, [*headers, GZIPPED], packed)
    return Reply(HTTPStatus.OK, headers, plain)
