"""Changed orders as a Redis stream, read by a consumer group and acknowledged with a release.

Whoever changes orders adds entries (XADD) to a stream in the database of the releases. An entry
that was read stays pending until a release that knows it is current: an export that is killed
before leaves it to the next one. The acknowledgement is part of the step that moves the pointer, so
that no entry is computed twice either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from toolkit.cache.database import Database, text
from toolkit.cache.scripts import READ_FEED
from toolkit.errors import CacheError

GROUP = "toolkit-export"
CONSUMER = "export"
"""One name for all: one export at a time publishes."""

NEW = ">"
PAGE = 1_000
MOST_NEW = 50_000
"""So many entries are read that nobody read before; the next export reads on."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An entry of the stream; ``fields`` is None where it was trimmed before a release knew it."""

    entry_id: str
    fields: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """Entries of a stream that a release knows."""

    stream: str
    entry_ids: Sequence[str]


def read_feed(client: redis.Redis, stream: str) -> list[FeedEntry]:
    """What was read before and is not acknowledged, then what is new, each in its order.

    The consumer group is made where there is none, and begins with the first entry. ``CacheError``
    if the server fails, or has something else than a stream under the name.
    """
    database = Database(client)
    with database.translated():
        kind = text(client.type(stream))
    if kind not in {"stream", "none"}:
        raise CacheError(f"{database.where}: {stream!r} is no stream but a {kind}")
    entries, since = [], "0"
    while page := _page(database, stream, since):
        entries += page
        since = page[-1].entry_id
    most = len(entries) + MOST_NEW
    while len(entries) < most and (page := _page(database, stream, NEW)):
        entries += page
    return entries


def _page(database: Database, stream: str, since: str) -> list[FeedEntry]:
    """Pending entries after ``since``, or new ones; through a script, whose replies have one shape
    in every version of the protocol.
    """
    reply = database.run(READ_FEED, [stream], [GROUP, CONSUMER, PAGE, since])
    assert isinstance(reply, list)
    return [FeedEntry(text(entry[0]), _fields(entry[1:])) for entry in reply]


def _fields(rest: Sequence[object]) -> Mapping[str, str] | None:
    flat = rest[0] if rest else None
    if not isinstance(flat, list):
        return None
    return {text(name): text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
