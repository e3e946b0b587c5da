"""Which release is current, as readers see it, and whether a value is what it was published with.

Readers ask for the pointer together with what they read, so that an answer is of one release.
"""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from toolkit.cache.database import parsed, text
from toolkit.cache.envelope import UnusableError
from toolkit.cache.names import POINTER, value_prefix
from toolkit.cache.spec import INVALIDATED
from toolkit.errors import CacheError

POINTER_FORMAT = 1
NO_RELEASE = "the cache holds no release: `toolkit export` makes one"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The release that was current at a moment; a server that was emptied has another epoch.

    ``products``: so many it has to have; ``expires_at``: when its values begin to expire, as ISO.
    """

    release: str
    as_of: str
    epoch: str
    flip: int
    products: int
    expires_at: str

    @property
    def expired(self) -> bool:
        """Whether its values have begun to expire."""
        return bool(self.expires_at) and datetime.now(UTC).isoformat() >= self.expires_at

    def older_than(self, newest: "Pointer | None") -> bool:
        """Whether another release was seen after it: a replica that lags behind shows it."""
        return newest is not None and newest.epoch == self.epoch and newest.flip > self.flip


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a product: its values, wherever one lies, the release's entry, the size of its index."""

    values: Sequence[str | bytes]
    entry: str | bytes | None
    index_size: int


def pointer_of(value: object) -> Pointer:
    """The pointer that lies in the server; ``CacheError`` if there is none, or it is none."""
    if value is None:
        raise CacheError(NO_RELEASE)
    try:
        return _pointer(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CacheError(f"the value at {POINTER} is no pointer to a release") from error


@lru_cache(maxsize=16)  # it comes with every answer, and rarely is another one
def _pointer(value: Hashable) -> Pointer:
    said = parsed(value, dict)
    names = said["release"], said["as_of_date"], said["epoch"]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("what has no name")
    products, expires_at = int(said.get("products", 0)), str(said.get("expires_at", ""))
    if expires_at:
        datetime.fromisoformat(expires_at)
    return Pointer(*names, int(said["flip"]), products, expires_at)


def value_names(ids: Iterable[int | str], pointer: Pointer) -> list[str]:
    """Where a release's values are: under names of its own, or, later, under the plain keys."""
    own, ids = value_prefix(pointer.release), list(ids)
    return [f"{own}{i}" for i in ids] + [f"forecast:product:{i}:{pointer.as_of}" for i in ids]


def content_of(answer: Answer, pointer: Pointer) -> bytes | None:
    """The value as it was published; None where the release serves none, ``UnusableError`` if it
    is lost.
    """
    entry = served_entry(answer, pointer)
    if entry is None:
        return None
    for value in answer.values:
        content = value.encode() if isinstance(value, str) else value
        if entry.rpartition(":")[0] == f"{hashlib.sha1(content).hexdigest()}:{len(content)}":
            return content
    if answer.values and entry:
        raise UnusableError(f"is not what release {pointer.release} was published with")
    raise UnusableError(why_missing(pointer))


def served_entry(answer: Answer, pointer: Pointer) -> str | None:
    """What the index says of a product, empty where it was dropped; None for one not served."""
    if answer.entry is None and answer.index_size >= pointer.products:
        return None
    entry = text(answer.entry or "")
    return None if entry == INVALIDATED else entry


def why_missing(pointer: Pointer) -> str:
    """Whether its time is over or not, the remedy is another export."""
    if pointer.expired:
        return (
            f"has expired: release {pointer.release} was to last until {pointer.expires_at[:16]}"
            " (UTC), and no export has been published since"
        )
    return (
        f"is missing, though release {pointer.release} serves it: the server has dropped it (for"
        " want of memory?); `toolkit export` makes a new release"
    )
