"""Whatever may lie under the keys: readers and writers get what was exported, or one sentence."""

import json
import logging
import random
import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO

import redis

from tests.bench.releases import any_forecast
from tests.cache.conftest import COMPUTED_WITH, DAY, PATIENT_S, product, spec
from tests.faults.odd import spoil
from tests.faults.tally import Tally
from toolkit.cache.adhoc.forecasts import ForecastCache, ForecastKey, Hit
from toolkit.cache.names import BEHIND, invalidated_key
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.server import embedded_server
from toolkit.cli.app import run
from toolkit.cli.exits import NOTHING
from toolkit.errors import CacheError, ToolkitError
from toolkit.results.forecast import ProductForecast

IDS = range(1, 6)
INVALIDATED = frozenset({1, 5})
LOCK_S = 0.2

type Exported = dict[tuple[str, int], ProductForecast | None]
type Read = Iterator[tuple[str | None, int, ProductForecast | None]]


class Readers:
    """All ways to read, and what may come of them."""

    def __init__(self, client: redis.Redis, url: str, exported: Exported, tally: Tally) -> None:
        self.client, self.url, self.exported, self.tally = client, url, exported, tally
        self.invalidated: frozenset[int] = frozenset()

    def read(self, product_id: int) -> None:
        """Each answer is what was exported of the product, or an error that is documented."""
        for way in (self._one, self._many, self._command, self._cached):
            try:
                answers = list(way(product_id))
            except ToolkitError:
                self.tally.seen["errors in one sentence"] += 1
                continue
            for release, i, forecast in answers:
                self.tally.seen["right answers"] += 1
                assert (release, i) in self.exported, f"{way.__name__}: {release} of {i}"
                assert forecast == self.exported[release, i], f"{way.__name__}: a wrong forecast"
            if not answers and way != self._cached:
                self.tally.seen["of an invalidated product: none"] += 1
                assert product_id in self.invalidated, f"{way.__name__}: {product_id} not served"

    def _reader(self) -> ForecastReader:
        return ForecastReader(self.client, patience_s=PATIENT_S, local_s=0)

    def _one(self, product_id: int) -> Read:
        reading = self._reader().read(product_id)
        if reading is not None:
            yield reading.release, product_id, reading.forecast

    def _many(self, product_id: int) -> Read:
        for i, reading in self._reader().read_many(IDS).items():
            yield reading.release, i, reading.forecast

    def _command(self, product_id: int) -> Read:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = run(["read", str(product_id), "--redis", self.url, "--json"])
        assert code in {0, 1, NOTHING}, f"toolkit read ended with {code}: {err.getvalue()}"
        if code == 1:
            raise CacheError(err.getvalue())
        said = json.loads(out.getvalue())
        if said["release"] is not None:
            fields = said["forecast"]
            yield said["release"], product_id, fields and ProductForecast.from_dict(fields)

    def _cached(self, product_id: int) -> Read:
        asked = ForecastKey(product_id, DAY, {"mark": "b", **COMPUTED_WITH})
        found = ForecastCache(self.client, patience_s=PATIENT_S).look(asked)
        if isinstance(found, Hit):
            fields = found.forecast
            yield "2-2025-11-11", product_id, fields and ProductForecast.from_dict(fields)


def _publish(releases: Releases, mark: str, exported: Exported) -> str:
    """A release of five products; of the last there is nothing to forecast."""
    with releases.stage(spec(mark, IDS), lock_s=LOCK_S) as staging:
        fields = {i: product(any_forecast(), i, DAY, mark) for i in IDS[:-1]}
        for i, one in fields.items():
            exported[staging.release_id, i] = ProductForecast.from_dict(one)
        exported[staging.release_id, IDS[-1]] = None
        staging.put({**fields, IDS[-1]: None})
        return staging.publish().release_id


def invalidate(releases: Releases) -> None:
    """Two of the products."""
    releases.invalidate(INVALIDATED)


WRITES: Sequence[Callable[[Releases], object]] = (
    Releases.current,
    Releases.kept,
    Releases.roll_back,
    Releases.clean,
    lambda releases: releases.clean(0),
    invalidate,
    lambda releases: releases.activate(f"1-{DAY}"),
)


def rubbish(times: int, chance: random.Random) -> Iterator[Tally]:
    """One thing is spoilt each time; then all ways to read, something written, an export."""
    logging.disable(logging.ERROR)
    tally = Tally("rubbish in Redis")
    with embedded_server() as server, server.client() as client:
        exported: Exported = {}
        for mark in ("a", "b"):
            _publish(Releases(client), mark, exported)
        with Releases(client).stage(spec("abandoned", IDS)) as staging:
            staging.put({IDS[-1]: None})
        client.sadd(BEHIND, f"1-{DAY}")  # as a kill leaves it
        client.incr(invalidated_key(4))
        held = {name: client.dump(name) for name in client.scan_iter()}
        kinds = defaultdict(list)
        for name in sorted(held):
            kinds[re.sub(rb"[\d-]*\d", b"*", name)].append(name)
        for _ in range(times):
            client.flushall()
            for name, dumped in held.items():
                client.restore(name, 0, dumped)
            name = chance.choice(kinds[chance.choice(sorted(kinds))])
            done = f"{spoil(client, chance, name)} at {name.decode()}"
            with tally.case(done), redis.Redis(unix_socket_path=str(server.socket)) as fresh:
                _use(Readers(fresh, server.url, dict(exported), tally), chance)
    yield tally


def _use(readers: Readers, chance: random.Random) -> None:
    """``AssertionError`` for a wrong answer, and for what is no documented error."""
    try:
        readers.read(chance.choice(IDS))
        releases, other = Releases(readers.client), chance.choice(WRITES)
        readers.invalidated = INVALIDATED if other is invalidate else frozenset()
        for write in (other, partial(_publish, mark="c", exported=readers.exported)):
            try:
                write(releases)
            except ToolkitError:
                readers.tally.seen["errors in one sentence"] += 1
        readers.read(chance.choice(IDS))
    except AssertionError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise AssertionError(
            f"{type(error).__name__} in {place.name}: {str(error)[:80]}"
        ) from error
