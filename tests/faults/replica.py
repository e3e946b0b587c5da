"""A replica takes over under its readers, as its primary is killed: no wrong answer."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from tests.bench.releases import any_forecast
from tests.cache.conftest import DAY, product, spec, until
from tests.cache.servers import valkey_at
from tests.faults.tally import Tally
from toolkit.cache.reader import ForecastReader
from toolkit.cache.releases.catalog import Releases
from toolkit.cache.spec import number_of
from toolkit.errors import CacheError

PRODUCTS, SOME = range(1, 21), 5
READERS = 4
PATIENCE_S = 1.0
BEFORE_S, AFTER_S = 1.0, 2.0
PAUSE_S = 0.005
LOCK_S = 5.0


class Exporter:
    """Publishes release after release in a thread, and knows what each says."""

    def __init__(self) -> None:
        self.exported: set[tuple[str, str]] = set()
        self.last = ""

    def publish(self, client: redis.Redis, over: threading.Event) -> None:
        """Until it is over, or the server is."""
        try:
            releases = Releases(client)
            while not over.is_set():
                mark = random.randbytes(8).hex()
                with releases.stage(spec(mark, PRODUCTS), lock_s=LOCK_S) as staging:
                    self.exported.add((staging.release_id, mark))
                    staging.put({i: product(any_forecast(), i, DAY, mark) for i in PRODUCTS})
                    self.last = staging.publish().release_id
                releases.clean()
        except CacheError:
            return


class Watch:
    """A reader that reads all the while: all that it gets was exported, and never goes back."""

    def __init__(self, client: redis.Redis, exporter: Exporter, tally: Tally) -> None:
        self.client, self.exporter, self.tally = client, exporter, tally
        self.reader = ForecastReader(client, local_s=0.0, stale_s=0.0, patience_s=PATIENCE_S)
        self.last, self.wrong = "0", ""

    def work(self, over: threading.Event) -> None:
        """Until it is over."""
        while not over.wait(PAUSE_S):
            try:
                found = self.reader.read_many(random.sample(PRODUCTS, SOME)).values()
            except CacheError:
                self.tally.seen["errors"] += 1
                continue
            self.tally.seen["right answers"] += 1
            said = {(str(r.release), r.forecast.model_metadata["mark"]) for r in found}
            if len(found) != SOME or len(said) != 1 or not said <= self.exporter.exported:
                self.wrong = f"{len(found)} of {SOME} forecasts, of {said}"
                return
            release = min(said)[0]
            if number_of(release) < number_of(self.last):
                self.wrong = f"{release} after {self.last}"
                return
            self.last = release


def promotions(times: int) -> Iterator[Tally]:
    """Half of the readers read from the replica all along, half from whoever is the primary."""
    tally = Tally("replica promoted under readers, primary killed")
    for number in range(times):
        with tally.case(f"time {number + 1}"):
            _promote(tally)
    yield tally


def _promote(tally: Tally) -> None:
    with ExitStack() as stack:
        old, replica = free_port(), free_port()
        place = [stack.enter_context(TemporaryDirectory()) for _ in range(2)]
        primary = stack.enter_context(_server(Path(place[0]), old))
        stack.enter_context(_server(Path(place[1]), replica, "--replicaof", f"127.0.0.1 {old}"))
        new = redis.Redis(port=replica)
        assert until(lambda: new.info("replication").get("master_link_status") == "up")
        exporter, over = Exporter(), threading.Event()
        clients = [redis.Redis(port=port) for port in (old, replica) * (READERS // 2)]
        watches = [Watch(client, exporter, tally) for client in clients]
        threads = [threading.Thread(target=watch.work, args=(over,)) for watch in watches]
        threads.append(
            threading.Thread(target=exporter.publish, args=(redis.Redis(port=old), over))
        )
        for thread in threads:
            thread.start()
        try:
            assert until(lambda: all(watch.last != "0" for watch in watches))
            time.sleep(BEFORE_S)
            primary.kill()
            new.replicaof("NO", "ONE")
            for client in clients:  # as Sentinel tells them
                client.connection_pool.connection_kwargs["port"] = replica
            threads.append(threading.Thread(target=exporter.publish, args=(new, over)))
            threads[-1].start()
            time.sleep(AFTER_S)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        flaws = {watch.wrong for watch in watches} - {""}
        assert not flaws, "; ".join(flaws)
        for watch in watches:
            assert until(lambda mine=watch: _release(mine) == exporter.last)


def _release(watch: Watch) -> str | None:
    try:
        reading = watch.reader.read(PRODUCTS[0])
    except CacheError:
        return None
    return None if reading is None else reading.release


def _server(folder: Path, port: int, *options: str):
    return valkey_at(folder / "socket", "--port", str(port), *options)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
