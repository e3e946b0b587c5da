"""The plain keys, which any consumer reads, follow the pointer: in small steps, after the flip.

A value of a release lies under its own name, or, while the release is current, under the plain
key. A step renames, so that it is always in one of the two places; whoever was killed between two
steps leaves ``forecast:behind``, and the next command on releases goes on.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import batched

from toolkit.cache.database import Argument, Database, text
from toolkit.cache.feed import Taken
from toolkit.cache.names import BEHIND, POINTER
from toolkit.cache.releases.steps import (
    KEEP_MS,
    PORTION,
    entries,
    find,
    flip,
    load,
    pointer,
    products_of,
    some,
    texts,
)
from toolkit.cache.scripts import PLAIN, RETIRE, SETTLED
from toolkit.cache.spec import Release
from toolkit.cache.ttl import JITTER
from toolkit.errors import CacheError

logger = logging.getLogger(__name__)


class _OvertakenError(Exception):
    """Another release became current meanwhile: who made it that lets the plain keys follow."""


def make_current(
    database: Database,
    release_id: str,
    values: int,
    ttl_s: int,
    token: str = "",
    base: str = "",
    taken: Taken | None = None,
) -> Release:
    """Move the pointer, as ``flip`` does, and let the plain keys follow.

    ``CacheError`` as ``flip`` raises it; or afterwards, if values were changed or dropped since
    they were verified. If the server fails afterwards the log says so: the release is current.
    """
    flip(database, release_id, values, ttl_s, token, base, taken)
    wrong: list[str] = []
    try:
        wrong = follow(database)
    except CacheError as exc:
        logger.warning("The plain keys of release %s follow later: %s", release_id, exc)
    if wrong:
        raise CacheError(
            f"release {release_id} is current, but values were changed or dropped since they were"
            f" verified, and are not served: {some('product', wrong)}; export again"
        )
    return load(database, release_id)


def follow(database: Database) -> list[str]:
    """Let the plain keys hold what the pointer says; nothing is done where they do.

    Another call at the same time does no harm. Returns the ids of the current release's products
    that are missing or not what was written, of those that had not followed yet.
    """
    with database.translated():
        members = database.client.smembers(BEHIND)
    behind = {text(member) for member in members}
    current = pointer(database) if behind else None
    if current is None:
        return []
    release, wrong = load(database, current), []
    with suppress(_OvertakenError):
        if current in behind:
            wrong = _fill(database, release)
        for release_id in sorted(behind - {current}):
            _retire(database, release_id, release.flip)
    return wrong


def _fill(database: Database, release: Release) -> list[str]:
    """Every product of the release; returns the ids of what is not whole."""
    fixed: list[Argument] = [release.release_id, release.flip]
    times: list[Argument] = [1000 * release.ttl_s, str(JITTER), KEEP_MS]
    wrong: list[str] = []
    for portion in batched(products_of(database, release.release_id), PORTION):
        wrong += _step(database, PLAIN, [*fixed, *times, *portion])
    _step(database, SETTLED, fixed)
    return wrong


def _retire(database: Database, release_id: str, flip: int) -> None:
    fixed: list[Argument] = [release_id, flip]
    release = find(database, release_id)
    if release is not None:
        as_of = release.as_of_date.isoformat()
        for portion in batched(entries(database, release_id), PORTION):
            _step(database, RETIRE, [*fixed, as_of, KEEP_MS, *portion])
    _step(database, SETTLED, fixed)


def _step(database: Database, script: str, arguments: Sequence[Argument]) -> list[str]:
    word, *rest = texts(database.run(script, [POINTER, BEHIND], arguments))
    if word == "moved":
        raise _OvertakenError
    return rest
