"""A release in the making: values come in, are checked, and go out in one step."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from statistics import fmean

from toolkit.cache.database import Argument, Database
from toolkit.cache.envelope import Fields, UnusableError, decode
from toolkit.cache.feed import Taken
from toolkit.cache.names import (
    EXPORT_LOCK,
    POINTER,
    ComputedWith,
    index_key,
    value_prefix,
)
from toolkit.cache.releases.customers import TAKEN, CustomerLists, Names
from toolkit.cache.releases.plain import make_current
from toolkit.cache.releases.steps import (
    KEEP_MS,
    LOST,
    MOVED,
    PORTION,
    entries,
    pointer,
    some,
    texts,
    wrong_values,
)
from toolkit.cache.releases.values import Value, value_of
from toolkit.cache.scripts import CARRY_OVER, PUT
from toolkit.cache.spec import Release, ReleaseSpec
from toolkit.errors import CacheError
from toolkit.results.pair_rows import PairRows

SAMPLE = 20

SURPLUS, BESIDE = 1.25, 400
"""A value takes up to a quarter more than its length, and so many bytes for its name and entry."""

RESERVE = 0.02
"""The share of a server's memory that staging leaves free, beside two portions."""

MB = 1_000_000


class Staging:
    """The release that an export makes, from ``Releases.stage``; only for its ``with`` block.

    Every method raises ``CacheError`` if the server fails, is full, or if the lock was lost (this
    process was paused for longer than it lasts): readers then have what they had.
    """

    def __init__(self, database: Database, spec: ReleaseSpec, release_id: str, token: str) -> None:
        self.release_id = release_id
        self.spec = spec
        self._database = database
        self._token = token
        self._index = index_key(release_id)
        self._customers = CustomerLists(database, release_id, spec.ttl_s)
        self._expected = frozenset(spec.product_ids)
        self._done = self._staged()
        self._base = spec.base if spec.carried else None
        self._measured, self._counted = 0.0, 0

    @property
    def done(self) -> Mapping[int, str]:
        """The products that are staged, by an earlier export too: their status, ``success`` or
        ``no_predictions``.
        """
        return dict(self._done)

    def ask_for_room(self) -> None:
        """``CacheError`` if the server has none for values as long as the current release's."""
        current = pointer(self._database)
        index = {} if current is None else entries(self._database, current)
        if index:
            self._demand_room(fmean(_taken(_size(entry)) for entry in index.values()))

    def put(
        self,
        forecasts: Mapping[int, Fields | None],
        computed_with: Callable[[int], ComputedWith] | None = None,
        pairs: Mapping[int, PairRows] | None = None,
    ) -> None:
        """Stage forecasts (``ProductForecast.to_dict()``), None for "nothing to forecast".

        ``computed_with`` gives for a product what callers of ``generate_forecast_cached`` have to
        ask with to get it; by default the spec's. ``pairs``: by product, what is said of its
        customers. ``CacheError`` for products that the spec does not name and for what is no
        forecast.
        """
        given = computed_with or (lambda product_id: self.spec.computed_with)
        of, nobody = pairs or {}, PairRows.none()
        self.put_values(
            {
                i: value_of(
                    self.release_id,
                    self.spec.as_of_date,
                    i,
                    forecast,
                    given(i),
                    of.get(i, nobody),
                )
                for i, forecast in forecasts.items()
            }
        )

    def put_values(self, values: Mapping[int, Value]) -> None:
        """Stage values that were made for this release.

        ``CacheError`` for products that the spec does not name.
        """
        self._demand_expected(values)
        for portion in batched(values.items(), PORTION):
            arguments: list[Argument] = [self._token, value_prefix(self.release_id), KEEP_MS]
            for product_id, value in portion:
                arguments += [product_id, value.content, value.entry]
            sizes = [len(v.content) + TAKEN * len(v.pairs.customer_id) for _, v in portion]
            self._demand_room(self._average(sizes))
            self._customers.put(dict(portion))
            self._refuse_if(self._database.run(PUT, [EXPORT_LOCK, self._index], arguments) != 1)
            self._done.update({i: value.status for i, value in portion})

    def carry_over(self) -> None:
        """Stage what the base says of the products to be carried over, within the server.

        The values keep the date as of which they were made, and what they were computed with.
        Those that the base does not serve any more (expired, invalidated) are not in ``done``
        afterwards. ``CacheError`` if the base is not the current release.
        """
        missing = sorted(set(self.spec.carried) - self._done.keys())
        base = entries(self._database, self._base) if self._base and missing else {}
        for portion in batched(missing, PORTION):
            beside = self._customers.sizes(self._base or "", portion)
            sizes = [_size(base.get(i, "")) + more for i, more in zip(portion, beside, strict=True)]
            self._demand_room(self._average(sizes))
            self._carry(portion)
        self._done = self._staged()

    def verify(self, missing_allowed: frozenset[int] = frozenset()) -> None:
        """Check that every product is there and is what was sent.

        The server computes the SHA-1 of every value; 20 are read back and decoded. ``CacheError``
        lists what is missing (but for ``missing_allowed``) or wrong: values that the server
        dropped because its memory is full, say.
        """
        self._done = self._staged()
        staged = sorted(self._done)
        missing = sorted(self._expected - self._done.keys() - missing_allowed)
        wrong = [f"{i} is missing" for i in missing]
        wrong += wrong_values(self._database, self.release_id, staged)
        wrong += self._sample(staged)
        if wrong or not staged:
            raise CacheError(
                f"release {self.release_id} is not whole and is not published (did the server"
                f" run out of memory?): {some('product', wrong) if wrong else 'it is empty'}"
            )

    def publish(
        self,
        missing_allowed: frozenset[int] = frozenset(),
        taken: Taken | None = None,
        names: Names = lambda customer_ids: {},
    ) -> Release:
        """Verify it, make it the current release in one step, and let the plain keys follow.

        ``missing_allowed`` as ``verify`` takes it; ``taken`` is acknowledged in that step;
        ``names`` are those of customers.
        """
        self.verify(missing_allowed)
        self._customers.write(self._done, self._token, names)
        return make_current(
            self._database,
            self.release_id,
            len(self._done),
            self.spec.ttl_s,
            self._token,
            self._base or "",
            taken,
        )

    def _carry(self, portion: Sequence[int]) -> None:
        keys = [EXPORT_LOCK, self._index, POINTER]
        prefix, base = value_prefix(self.release_id), self._base or ""
        arguments: list[Argument] = [self._token, prefix, KEEP_MS, self.release_id, base]
        arguments += [self._customers.keep_ms, *portion]
        reply = self._database.run(CARRY_OVER, keys, arguments)
        word, *rest = texts(reply)
        self._refuse_if(word == "lock")
        if word == "moved":
            raise CacheError(MOVED.format(base=base, now=rest[0]))

    def _staged(self) -> dict[int, str]:
        found = entries(self._database, self.release_id)
        return {i: entry.rpartition(":")[2] for i, entry in found.items()}

    def _demand_expected(self, product_ids: Iterable[int]) -> None:
        strange = sorted(set(product_ids) - self._expected)
        if strange:
            raise CacheError(
                f"the release was not to have {some('product', [str(i) for i in strange])}"
            )

    def _average(self, sizes: Sequence[int]) -> float:
        """What a value takes of the server's memory: the mean of all so far, and of these."""
        self._measured += sum(map(_taken, sizes))
        self._counted += len(sizes)
        return self._measured / self._counted

    def _demand_room(self, average: float) -> None:
        """``CacheError`` unless the server has room for all that is still to come."""
        room = self._database.room()
        if room is None:
            return
        left = len(self._expected - self._done.keys())
        needed, reserve = left * average, RESERVE * room.limit + 2 * PORTION * average
        if needed + reserve > room.left:
            more = needed + reserve - room.left
            raise CacheError(
                f"{self._database.where} has not enough memory left for {left:,} products more:"
                f" they need {needed / MB:,.0f} MB, and of its maxmemory of"
                f" {room.limit / MB:,.0f} MB {max(0, room.left) / MB:,.0f} MB are left"
                f" ({room.policy}); raise it by {more / MB:,.0f} MB, or keep fewer releases"
                " (--keep); what was current still is"
            )

    def _refuse_if(self, lost: bool) -> None:
        if lost:
            raise CacheError(LOST)

    def _sample(self, staged: Sequence[int]) -> Iterator[str]:
        """What cannot be read back, of values evenly spread."""
        some = staged[:: max(1, len(staged) // SAMPLE)][:SAMPLE]
        prefix = value_prefix(self.release_id)
        with self._database.translated():
            values = self._database.client.mget([f"{prefix}{i}" for i in some]) if some else []
        assert isinstance(values, list)
        for product_id, value in zip(some, values, strict=True):
            try:
                if value is not None and decode(value).release != self.release_id:
                    yield f"{product_id} is of another release"
            except UnusableError as flaw:
                yield f"{product_id} {flaw}"


def _taken(size: int) -> float:
    return SURPLUS * size + BESIDE


def _size(entry: str) -> int:
    """The length of the value that an entry of an index is of."""
    length = entry.split(":")[1:2]
    return int(length[0]) if length else 0
