"""Releases in Redis: staged under names of their own, made current in one step, kept, cleaned.

One database serves one current release, the one that the pointer names; moving it takes as long
for 100,000 products as for one. ``ForecastReader`` follows the pointer. The plain keys, which any
consumer reads with GET, follow in small steps afterwards; each value there names its release. All
others, staged or replaced, lie under names that begin with their id.

    with Releases(client).stage(spec) as staging:
        staging.put({i: forecast for i in missing(staging.done)})
        staging.verify()
        staging.publish()

An export that is killed leaves its part staged; one with an equal spec resumes there. A
database that is emptied, or where keys are dropped for want of memory, serves nothing in place of
something wrong. Keys are found by the releases' own indexes; the database is never searched.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import batched

import redis

from toolkit.cache.database import Argument, Database, pairs, parsed
from toolkit.cache.lease import export_lock
from toolkit.cache.names import (
    BEHIND,
    EXPORT_LOCK,
    POINTER,
    REGISTRY,
    RELEASE_COUNT,
    STAGED,
    at_risk_key,
    customers_key,
    index_key,
    meta_key,
    pairs_key,
    value_prefix,
)
from toolkit.cache.releases.customers import ordered_by
from toolkit.cache.releases.plain import follow, make_current
from toolkit.cache.releases.staging import Staging
from toolkit.cache.releases.steps import (
    KEEP_MS,
    LOST,
    as_of_dates,
    entries,
    find,
    load,
    pointer,
    products_of,
    some,
    texts,
    wrong_values,
)
from toolkit.cache.scripts import CLAIM, DROP, FORGET, INVALIDATE
from toolkit.cache.spec import Release, ReleaseSpec, meta_of
from toolkit.errors import ArgumentError, CacheError

__all__ = ["Release", "ReleaseSpec", "Releases", "Staging"]

LOCK_S = 10.0
"""An export that shows no sign of life for so long has lost its lock."""

UNLINKED_AT_ONCE = 200
OF_A_RELEASE = (at_risk_key, customers_key, index_key, meta_key)
REMEMBERED_MS = 1000 * 86_400 * 400
"""How long it is remembered that a product was invalidated: longer than its values may stay."""


class Releases:
    """The releases in the database of ``client``, which stays the caller's.

    ``CacheError`` at once if that is no server to write releases to (not a Redis, wrong password,
    read-only replica, cluster), and from every method if the server fails.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._database = Database(client)

    @contextmanager
    def stage(
        self, spec: ReleaseSpec, resume: bool = True, lock_s: float = LOCK_S
    ) -> Iterator[Staging]:
        """A release to fill and publish. One export at a time: another one is a ``CacheError``
        that says who, unless it died, when its lock is waited for, at most ``lock_s``.

        With ``resume`` an unpublished release with an equal spec is resumed; see
        ``Staging.done``. What is not published when the block ends stays staged for 7 days.
        """
        with export_lock(self._database, lock_s) as token:
            follow(self._database)  # as an export that was killed has left them
            release_id = self._resumable(spec) if resume else None
            if release_id is None:
                with self._database.translated():
                    number = self._database.client.incr(RELEASE_COUNT)
                release_id = f"{number}-{spec.as_of_date.isoformat()}"
            self._claim(release_id, spec, token)
            yield Staging(self._database, spec, release_id, token)

    def current(self) -> Release | None:
        """The release that readers get; None if there is none (or the server dropped what is said
        of it, for want of memory).
        """
        release_id = pointer(self._database)
        return None if release_id is None else find(self._database, release_id)

    def as_of_dates(self, product_ids: Iterable[int]) -> dict[int, date]:
        """As of which date readers get the products' forecasts; those without one are left out."""
        return as_of_dates(self._database, product_ids)

    def kept(self) -> list[Release]:
        """The releases that were current before and can be again, newest first."""
        current = pointer(self._database)
        found = [find(self._database, i) for i in self._published() if i != current]
        return sorted(filter(None, found), key=lambda release: -release.number)

    def activate(self, release_id: str) -> Release:
        """Make a kept release current again, in the one step; its values are verified first.

        It needs no export lock: an export that runs meanwhile will replace it. ``CacheError`` if
        it is not kept, or if values have expired or were dropped; nothing changes then.
        """
        follow(self._database)
        if release_id != pointer(self._database):
            release = self._kept(release_id)
            wrong = wrong_values(self._database, release_id, release.product_ids)
            if wrong or not release.product_ids:
                raise CacheError(
                    f"release {release_id} cannot be made current again, as values have expired"
                    f" or were dropped: {some('product', wrong)}"
                )
            values = len(entries(self._database, release_id))
            return make_current(self._database, release_id, values, release.ttl_s)
        return load(self._database, release_id)

    def roll_back(self) -> Release:
        """Make the release current that the current one replaced when it was published.

        Twice in a row goes back by two. ``CacheError`` if there is none, or as ``activate``.
        """
        current = self.current()
        if current is None:
            raise CacheError(f"{self._database.where} has no current release to roll back from")
        if current.replaced is None:
            raise CacheError(
                f"there is no release before {current.release_id} to roll back to: it was the first"
            )
        return self.activate(current.replaced)

    def clean(self, keep: int = 2) -> list[str]:
        """Delete all releases but the current one and the ``keep`` that were current last.

        Exports that were abandoned go too, but not one that runs. Returns the ids of what went.
        """
        if type(keep) is not int or keep < 0:
            raise ArgumentError(f"keep has to be a whole number of at least 0, got {keep!r}")
        follow(self._database)
        current = pointer(self._database)
        old = [release for release in self._published() if release != current][keep:]
        with self._database.translated():
            staged = pairs(self._database.client.hgetall(STAGED))
        keys = [POINTER, REGISTRY, STAGED, EXPORT_LOCK]
        gone = []
        for release_id in [*old, *staged]:
            if self._database.run(FORGET, keys, [release_id]) == 1:
                self._unlink(release_id)
                gone.append(release_id)
        return gone

    def invalidate(
        self, product_ids: Iterable[int] = (), *, customer_ids: Iterable[int] = ()
    ) -> int:
        """Stop serving these products' forecasts, of whatever release or date.

        ``customer_ids``: and those of all products that these customers have ordered, as the
        current release knows. The next cached call computes anew; forecasts of a release come back
        with the next one that is published, not by a rollback. Returns how many products of the
        current release went.
        """
        asked, customers = list(dict.fromkeys(product_ids)), list(dict.fromkeys(customer_ids))
        for what, some_ids in (("product", asked), ("customer", customers)):
            if any(type(i) is not int for i in some_ids):
                raise ArgumentError(f"{what} ids have to be whole numbers, got {some_ids[:5]!r}")
        current = pointer(self._database) if customers else None
        theirs = [] if current is None else ordered_by(self._database, current, customers)
        ids = list(dict.fromkeys([*asked, *theirs]))
        gone, keys = 0, [POINTER, REGISTRY, STAGED, BEHIND]
        for portion in batched(ids, UNLINKED_AT_ONCE):
            reply = self._database.run(INVALIDATE, keys, [REMEMBERED_MS, *portion])
            gone += int(str(reply))
        return gone

    def _kept(self, release_id: str) -> Release:
        kept = {release.release_id: release for release in self.kept()}
        if release_id not in kept:
            listed = ", ".join(kept) or "none"
            raise CacheError(f"release {release_id!r} is not kept; kept are: {listed}")
        return kept[release_id]

    def _published(self) -> list[str]:
        """Ids, those that were current last first."""
        with self._database.translated():
            return texts(self._database.client.zrevrange(REGISTRY, 0, -1))

    def _resumable(self, spec: ReleaseSpec) -> str | None:
        """An unpublished release with the same key."""
        with self._database.translated():
            staged = pairs(self._database.client.hgetall(STAGED))
        try:
            keys = {release_id: parsed(noted, dict)["key"] for release_id, noted in staged.items()}
        except (ValueError, TypeError, KeyError) as error:
            raise CacheError(f"the hash {STAGED} does not hold what it should") from error
        return next((release_id for release_id, key in keys.items() if key == spec.key), None)

    def _claim(self, release_id: str, spec: ReleaseSpec, token: str) -> None:
        """Write the release into the books, and drop from its index what is not there."""
        noted = json.dumps({"key": spec.key, "token": token})
        meta = [part for pair in meta_of(spec).items() for part in pair]
        keys = [EXPORT_LOCK, REGISTRY, STAGED, meta_key(release_id)]
        arguments: list[Argument] = [token, release_id, KEEP_MS, noted, *meta]
        if self._database.run(CLAIM, keys, arguments) != 1:
            raise CacheError(LOST)
        ids = sorted(entries(self._database, release_id))
        lost = [wrong.split()[0] for wrong in wrong_values(self._database, release_id, ids)]
        for portion in batched(lost, UNLINKED_AT_ONCE):
            index = [EXPORT_LOCK, index_key(release_id)]
            if self._database.run(DROP, index, [token, *portion]) != 1:
                raise CacheError(LOST)

    def _unlink(self, release_id: str) -> None:
        client, ids = self._database.client, products_of(self._database, release_id)
        names = [f"{value_prefix(release_id)}{i}" for i in ids]
        names += [pairs_key(release_id, i) for i in ids]
        for portion in batched(names, UNLINKED_AT_ONCE):
            with self._database.translated():
                client.unlink(*portion)
        with self._database.translated():
            client.unlink(*(key(release_id) for key in OF_A_RELEASE))
