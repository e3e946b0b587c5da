"""What is done with whole releases, each in portions or in one step."""

import re
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import batched

from toolkit.cache.database import Argument, Database, pairs, parsed, text
from toolkit.cache.envelope import UnusableError, decode
from toolkit.cache.feed import GROUP, Taken
from toolkit.cache.names import (
    BEHIND,
    EPOCH,
    EXPORT_LOCK,
    FLIP_COUNT,
    POINTER,
    REGISTRY,
    STAGED,
    index_key,
    meta_key,
    value_prefix,
)
from toolkit.cache.pointer import pointer_of, value_names
from toolkit.cache.scripts import FLIP, VERIFY
from toolkit.cache.spec import Release, release_of
from toolkit.cache.ttl import HISTORY_TTL_S, JITTER
from toolkit.errors import CacheError

KEEP_MS = 1000 * HISTORY_TTL_S
"""How long a staged or a replaced release stays."""

PORTION = 20
"""Values that one script deals with: some 0.5 MB, 2 ms at most in which the server does no more."""

SCANNED = 500
"""Entries of an index that are read at once."""

SHOWN = 5

_PRODUCT = re.compile("-?[0-9]{1,4000}")

LOST = (
    "the lock of this export was lost: it stood still for longer than the lock lasts, or the server"
    " had no memory left for it; another export may be running"
)
MOVED = (
    "release {base}, from which values were carried over, is not current any more (now: {now});"
    " start the export anew"
)


def flip(
    database: Database,
    release_id: str,
    values: int,
    ttl_s: int,
    token: str = "",
    base: str = "",
    taken: Taken | None = None,
) -> None:
    """The one step that makes a release current, or a ``CacheError`` and nothing changed.

    ``values``: how many it has to have; they stay for ``ttl_s`` seconds, less jitter. With the
    ``token`` of the export lock the release is published; without, it has to be one that was.
    ``base``: only if this release is current. ``taken`` is acknowledged in the same step.
    """
    keys = [EXPORT_LOCK, POINTER, FLIP_COUNT, REGISTRY, STAGED, EPOCH, BEHIND]
    acknowledged: list[Argument] = []
    if taken is not None:
        keys.append(taken.stream)
        acknowledged = [GROUP, *taken.entry_ids]
    now = datetime.now(UTC)
    until = now + timedelta(seconds=ttl_s * (1 - JITTER))
    times = [moment.isoformat(timespec="milliseconds") for moment in (until, now)]
    arguments: list[Argument] = [release_id, token, base, KEEP_MS, uuid.uuid4().hex]
    word, *rest = texts(database.run(FLIP, keys, [*arguments, *times, values, *acknowledged]))
    if word in {"flipped", "current"}:
        return
    sentences = {
        "lock": LOST,
        "gone": f"release {release_id} is not kept",
        "moved": MOVED.format(base=base, now="".join(rest)),
        "count": f"release {release_id} has {''.join(rest)} values in place of {values}",
    }
    raise CacheError(f"{sentences[word]}; what was current still is")


def wrong_values(database: Database, release_id: str, product_ids: Sequence[int]) -> list[str]:
    """Of a release that is not current: ``7 is missing``, ``8 is not what was written``."""
    wrong: list[str] = []
    for portion in batched(product_ids, PORTION):
        arguments: list[Argument] = [value_prefix(release_id), *portion]
        wrong += texts(database.run(VERIFY, [index_key(release_id)], arguments))
    return wrong


def pointer(database: Database) -> str | None:
    """The id of the current release."""
    with database.translated():
        found = database.client.get(POINTER)
    try:
        return None if found is None else str(parsed(found, dict)["release"])
    except (ValueError, TypeError, KeyError) as error:
        raise CacheError(f"{database.where}: the value at {POINTER} is no pointer") from error


def as_of_dates(database: Database, product_ids: Iterable[int]) -> dict[int, date]:
    """Of which date the current release's forecasts are, where they are there: those that were
    carried over keep the date that they were made as of.
    """
    with database.translated():
        found = database.client.get(POINTER)
    dates: dict[int, date] = {}
    for portion in batched(product_ids if found is not None else (), PORTION):
        names = value_names(portion, pointer_of(found))
        with database.translated():
            values = database.client.mget(names)
        assert isinstance(values, list)
        for value in filter(None, values):
            with suppress(UnusableError, TypeError, ValueError):
                envelope = decode(value)
                dates[envelope.product_id] = date.fromisoformat(envelope.as_of_date or "")
    return dates


def entries(database: Database, release_id: str) -> dict[int, str]:
    """The index of a release; what is not of a product there is somebody else's."""
    with database.translated():
        scanned = database.client.hscan_iter(index_key(release_id), count=SCANNED)
        found = [(text(product_id), text(entry)) for product_id, entry in scanned]
    return {int(i): entry for i, entry in found if _PRODUCT.fullmatch(i)}


def products_of(database: Database, release_id: str) -> list[int]:
    """All that a release was to have, as its hash says, and all that its index names."""
    with database.translated():
        said = database.client.hget(meta_key(release_id), "product_ids")
    try:
        expected = [i for i in parsed(said or "[]", list) if type(i) is int]
    except ValueError:
        expected = []
    return sorted({*expected, *entries(database, release_id)})


def find(database: Database, release_id: str) -> Release | None:
    """The release as it lies there; None if nothing is known of it, as its time is over."""
    with database.translated():
        meta = pairs(database.client.hgetall(meta_key(release_id)))
    return release_of(release_id, meta, entries(database, release_id)) if meta else None


def load(database: Database, release_id: str) -> Release:
    """The same for one that has to be there: else ``CacheError``."""
    release = find(database, release_id)
    if release is None:
        raise CacheError(f"release {release_id} is not there any more")
    return release


def texts(reply: object) -> list[str]:
    """A reply of several words."""
    assert isinstance(reply, list)
    return [text(word) for word in reply]


def some(what: str, items: Sequence[str]) -> str:
    """How many, and the first of them.

    >>> some("product", ["7", "9"])
    '2 products: 7, 9'
    """
    listed = ", ".join(items[:SHOWN]) + (", …" if len(items) > SHOWN else "")
    return f"{len(items):,} {what}{'s' if len(items) != 1 else ''}: {listed}"
