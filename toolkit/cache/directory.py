"""What a server tells of its releases beside their values: which products, and which releases.

For people who look around: each is asked for when somebody does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.cache.asking import async_client_of, replies_of
from toolkit.cache.current import CurrentRelease
from toolkit.cache.database import parsed, text
from toolkit.cache.names import REGISTRY, index_key, meta_key
from toolkit.errors import CacheError

PATIENCE_S = 2.0
"""An index of a million products takes the server tenths of a second."""

CONNECTIONS = 2
MOST_RELEASES = 100
_META = ("as_of_date", "published_at", "details", "computed_with", "replaced")


@dataclass(frozen=True, slots=True)
class PublishedRelease:
    """A release that was published and is kept; ``products`` counts its values.

    ``replaced`` is the release that was current before it was published.
    """

    release: str
    as_of_date: str
    published_at: str
    products: int
    details: Mapping[str, Any]
    computed_with: Mapping[str, Any]
    replaced: str | None


class Directory:
    """Of the releases in the server at ``url``, for the callers of one event loop."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self._client = async_client_of(url, patience_s, CONNECTIONS)
        self._patience_s = patience_s
        self._listed: tuple[tuple[str, str], tuple[int, ...]] | None = None

    async def product_ids(self, release: CurrentRelease) -> tuple[int, ...]:
        """All products in the index of a release, ascending: also those that were invalidated.

        ``CacheError`` if the server does not answer.
        """
        which = (release.pointer.epoch, release.pointer.release)
        if self._listed is None or self._listed[0] != which:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hkeys(index_key(release.pointer.release))
            (keys,) = await replies_of(pipeline, self._patience_s)
            ids = (text(key) for key in keys)
            self._listed = which, tuple(sorted(int(i) for i in ids if _is_whole(i)))
        return self._listed[1]

    async def releases(self) -> list[PublishedRelease]:
        """The releases that are kept, those that were current last first, at most 100.

        ``CacheError`` if the server does not answer.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zrevrange(REGISTRY, 0, MOST_RELEASES - 1)
        (names,) = await replies_of(pipeline, self._patience_s)
        names = [text(name) for name in names]
        for name in names:
            pipeline.hmget(meta_key(name), list(_META))
            pipeline.hlen(index_key(name))
        found = await replies_of(pipeline, self._patience_s) if names else []
        return [
            _published(name, meta, size)
            for name, meta, size in zip(names, found[::2], found[1::2], strict=True)
            if any(meta)
        ]

    async def aclose(self) -> None:
        """Let its connections go."""
        await self._client.aclose()


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def _published(name: str, meta: list[object], size: int) -> PublishedRelease:
    said = {field: text(value or "") for field, value in zip(_META, meta, strict=True)}
    try:
        details, computed_with = (
            parsed(said[field] or "{}", dict) for field in ("details", "computed_with")
        )
    except ValueError as error:
        raise CacheError(f"what is said of release {name} is not whole: {error}") from error
    return PublishedRelease(
        name,
        said["as_of_date"],
        said["published_at"],
        size,
        details,
        computed_with,
        said["replaced"] or None,
    )
