"""Readers and exporters at once: what every value read has to be. For tests and measurements."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import redis

from tests.cache.conftest import COMPUTED_WITH, DAY, PATIENT_S, product
from tests.processes import forks
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases, ReleaseSpec
from toolkit.cache.spec import number_of
from toolkit.errors import CacheError

LOCK_S = 0.3


def publish_for_ever(path, forecast, ids, dates, pause_s) -> None:
    """Release after release, each with a mark of its own, the next one as of another date."""
    releases = Releases(redis.Redis(unix_socket_path=path))
    while True:
        mark = random.randbytes(8).hex()
        as_of = DAY + timedelta(random.randrange(dates))
        spec = ReleaseSpec(as_of, {"mark": mark, **COMPUTED_WITH}, ids)
        with (
            suppress(CacheError),  # on a busy machine it may stand still for longer than its lock
            releases.stage(spec, lock_s=LOCK_S) as staging,
        ):
            for i in ids:
                staging.put({i: product(forecast, i, as_of, mark)})
            staging.publish()
        releases.clean(keep=2)
        time.sleep(pause_s)


@contextmanager
def exporter(server, forecast, ids: Sequence[int], dates=2, pause_s=0.0) -> Iterator[int]:
    """A process that publishes until it is killed, which it is at the end, wherever it is."""
    arguments = (str(server.socket), forecast, list(ids), dates, pause_s)
    child = forks().Process(target=publish_for_ever, args=arguments, daemon=True)
    child.start()
    try:
        yield child.pid
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.join()


@dataclass
class Watch:
    """Reads all the while, and notes whatever is not as it has to be."""

    client: redis.Redis
    ids: Sequence[int]
    calls: int = 0
    values: int = 0
    releases: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = ForecastReader(self.client, local_s=0.0, patience_s=PATIENT_S)
        self.marks: dict[str, str] = {}
        self.last = 0

    def one(self) -> None:
        """A product through the reader: of a release that was current meanwhile."""
        self.calls += 1
        before = self.current()
        reading = self.reader.read(random.choice(self.ids))
        after = self.current()
        if reading is None or reading.stale or reading.release is None:
            self.wrong.append(f"no forecast: {reading}")
            return
        mark = reading.forecast.model_metadata["mark"]
        self.note(reading.release, mark, before, after)

    def many(self) -> None:
        """Some at once through the reader: all of one release."""
        self.calls += 1
        before = self.current()
        found = self.reader.read_many(random.sample(list(self.ids), 5))
        after = self.current()
        if len(found) != 5 or len({one.release for one in found.values()}) != 1:
            self.wrong.append(f"not one release: {[one.release for one in found.values()]}")
        for one in found.values():
            self.note(one.release, one.forecast.model_metadata["mark"], before, after)

    def plain(self) -> None:
        """Plain keys, as a consumer that knows nothing of the toolkit reads them: each value says
        of which release it is, and is what that release says.
        """
        self.calls += 1
        values = [v for v in self.client.mget(self.plain_names()[:5]) if v is not None]
        for value in map(json.loads, values):
            release, mark = value["release"], value["model_metadata"]["mark"]
            self.values += 1
            if self.marks.setdefault(release, mark) != mark:
                self.wrong.append(f"{release} has two contents")

    def plain_names(self) -> list[str]:
        """The plain keys of the current release."""
        as_of = json.loads(self.client.get("forecast:current"))["as_of_date"]
        return [f"forecast:product:{i}:{as_of}" for i in self.ids]

    def note(self, release, mark, before, after) -> None:
        """Its content is always the same, and it was current between two looks."""
        self.values += 1
        self.releases.add(release)
        if self.marks.setdefault(release, mark) != mark:
            self.wrong.append(f"{release} has two contents")
        if not number_of(before) <= number_of(release) <= number_of(after):
            self.wrong.append(f"{release} was read between {before} and {after}")

    def current(self) -> str:
        return json.loads(self.client.get("forecast:current"))["release"]

    def wait_for_more_releases(self, more: int, limit_s=300.0) -> None:
        """Until so many more were published."""
        start, deadline = number_of(self.current()), time.monotonic() + limit_s
        while number_of(self.current()) < start + more and time.monotonic() < deadline:
            time.sleep(0.01)

    def whole(self) -> None:
        """All that the current release serves is there."""
        found = self.reader.read_many(self.ids)
        if len(found) != len(self.ids) or len({one.release for one in found.values()}) != 1:
            self.wrong.append(f"{len(found)} of {len(self.ids)} products are there")
