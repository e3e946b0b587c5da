"""What a release is: asked for, and as it lies in Redis."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from toolkit.cache.database import parsed
from toolkit.cache.names import ComputedWith, KeyScalar, digest
from toolkit.cache.ttl import RELEASE_TTL_S
from toolkit.errors import ArgumentError, CacheError

MAX_TTL_S = 2**31 - 1

INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """A release that is to be made. Raises ``ArgumentError`` for what makes no sense.

    ``computed_with`` is all that decides the forecasts: model, version, weeks, draws, seed,
    thresholds' digest, data's digest …; text, finite numbers and None. ``product_ids`` are all
    that the release is to serve. ``ttl_s``: seconds that its values stay, each shortened by at
    most a tenth. ``carried`` are the products that keep what the release ``base`` says of them,
    which has to be the current one until this one is published. ``details`` are for whoever looks
    at it: registered version, MLflow run …. ``inputs`` is a digest of what goes into the values
    beside that: names, prices, code. It counts where a release is resumed, not for what is
    carried.
    """

    as_of_date: date
    computed_with: ComputedWith
    product_ids: Sequence[int]
    ttl_s: int = RELEASE_TTL_S
    carried: Sequence[int] = ()
    base: str | None = None
    details: Mapping[str, KeyScalar] = field(default_factory=dict)
    inputs: str = ""

    def __post_init__(self) -> None:
        """Check each, and put the ids in order, each once."""
        ids = sorted(set(self.product_ids))
        if not ids or any(type(i) is not int for i in ids):
            raise ArgumentError("a release needs product ids, whole numbers, at least one")
        if type(self.ttl_s) is not int or not 1 <= self.ttl_s <= MAX_TTL_S:
            raise ArgumentError(
                f"ttl has to be a whole number of seconds from 1 to {MAX_TTL_S}, got {self.ttl_s!r}"
            )
        carried = sorted(set(self.carried))
        if not set(carried) <= set(ids) or (carried and self.base is None):
            raise ArgumentError("what is carried over has to be of the release, and from a base")
        object.__setattr__(self, "product_ids", tuple(ids))
        object.__setattr__(self, "carried", tuple(carried))

    @property
    def key(self) -> str:
        """A digest of what decides the values; releases with equal keys have equal values."""
        carried = [self.base, list(self.carried)] if self.carried else []
        made_of = [dict(self.computed_with), self.inputs]
        return digest([self.as_of_date.isoformat(), made_of, list(self.product_ids), carried])


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was published.

    ``product_ids`` are those that it serves: without those that were allowed to be missing, and
    those that were invalidated since. ``flip`` counts how often releases were made current, and
    is that of the last time this one was; ``replaced`` is the release that was current before it
    was published; None if there was none. ``published_at`` is ISO text.
    """

    release_id: str
    as_of_date: date
    key: str
    computed_with: ComputedWith
    product_ids: tuple[int, ...]
    ttl_s: int
    details: Mapping[str, KeyScalar]
    flip: int
    published_at: str
    replaced: str | None

    @property
    def number(self) -> int:
        """Its place in the order of releases: the newest has the highest."""
        return number_of(self.release_id)


def number_of(release_id: str) -> int:
    """The number that a release id begins with.

    >>> number_of("12-2025-11-11")
    12
    """
    return int(release_id.split("-", maxsplit=1)[0])


def meta_of(spec: ReleaseSpec) -> dict[str, str]:
    """The fields of a release's hash."""
    return {
        "as_of_date": spec.as_of_date.isoformat(),
        "key": spec.key,
        "computed_with": json.dumps(dict(spec.computed_with)),
        "product_ids": json.dumps(list(spec.product_ids)),
        "ttl_ms": str(1000 * spec.ttl_s),
        "details": json.dumps(dict(spec.details)),
    }


def release_of(release_id: str, meta: Mapping[str, str], index: Mapping[int, str]) -> Release:
    """The release that its hash and its index describe."""
    try:
        return Release(
            release_id=release_id,
            as_of_date=date.fromisoformat(meta["as_of_date"]),
            key=meta["key"],
            computed_with=parsed(meta["computed_with"], dict),
            product_ids=served(index),
            ttl_s=int(meta["ttl_ms"]) // 1000,
            details=parsed(meta["details"], dict),
            flip=int(meta.get("flip", 0)),
            published_at=meta.get("published_at", ""),
            replaced=meta.get("replaced") or None,
        )
    except (KeyError, ValueError) as error:
        raise CacheError(f"what is said of release {release_id} is not whole: {error}") from error


def served(index: Mapping[int, str]) -> tuple[int, ...]:
    """The products of an index that were not invalidated, in order."""
    return tuple(sorted(i for i, entry in index.items() if entry != INVALIDATED))
