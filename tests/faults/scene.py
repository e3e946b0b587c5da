"""Where commands are killed: a folder to be copied for each, and what a server holds beside it."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from tests.conftest import AS_OF
from tests.faults.processes import Command, asked
from tests.sources.helpers import write_folder
from tests.tracking.evidence import CHOICE, log
from tests.tracking.fits import rhythm_fit
from toolkit.cache.reader import ForecastReader
from toolkit.cache.server import EmbeddedServer, embedded_server
from toolkit.model import find_model
from toolkit.sources.generator import GeneratedOrders, Truth, generate_orders, load_orders
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import attach_thresholds
from toolkit.tracking.store import open_store

DATABASE, NEW_ORDERS = "orders.duckdb", "orders"
PRODUCTS = range(1, 13)
PATIENT_S = 20.0

type Served = tuple[tuple[str, ...], dict[int, str]]
"""The releases that readers get, and of each product what its forecast says."""


@dataclass(frozen=True)
class State:
    """A folder as a user left it, and what the server held then."""

    folder: Path
    held: tuple[tuple[bytes, bytes], ...]


class Scene:
    """Version 1 is the champion and exported; then version 2 is; then that is exported, too."""

    def __init__(self, root: Path, server: EmbeddedServer) -> None:
        self.root, self.server = root, server
        self._folder = root / "now"
        self._folder.mkdir()
        asked(_fill, self._folder)
        self.export = ("export", "--db", DATABASE, "--as-of", str(AS_OF), "--redis", server.url)
        self.run("promote", "1")
        self.run(*self.export)
        self.first, self.by_first = self._kept("first"), self.served()
        self.run("promote", "2")
        self.promoted = self._kept("promoted")
        self.run(*self.export)
        self.second, self.by_second = self._kept("second"), self.served()

    def run(self, *arguments: str) -> None:
        """A command that has to end well."""
        done = Command(self._folder, arguments).ended()
        assert done.code == 0, done.said

    def begin(self, state: State) -> Path:
        """A new copy of the folder; the server holds what it held."""
        shutil.rmtree(self._folder)
        shutil.copytree(state.folder, self._folder)
        asked(_restore, self.server, state.held)
        return self._folder

    def served(self) -> dict[int, str]:
        """By product, what its forecast says, whichever release it is of."""
        return asked(served, self.server)[1]

    def _kept(self, name: str) -> State:
        kept = self.root / name
        shutil.copytree(self._folder, kept)
        return State(kept, asked(_dump, self.server))


@contextmanager
def scene() -> Iterator[Scene]:
    """All of it in a temporary folder, with a server of its own."""
    with TemporaryDirectory(prefix="faults-") as root, embedded_server() as server:
        yield Scene(Path(root), server)


def orders(customers: int = 60, pairs: int = 400) -> GeneratedOrders:
    """The same each time."""
    days = (AS_OF - date(2021, 1, 4)).days + 7 * 12
    truth = Truth(customers=customers, products=len(PRODUCTS), pairs=pairs, days=days)
    return generate_orders(truth, seed=5)


def served(server: EmbeddedServer) -> Served:
    """Of all products, as a service reads them; ``CacheError`` if one is lost."""
    found = ForecastReader(server.client(), patience_s=PATIENT_S).read_many(PRODUCTS)
    releases = {str(reading.release) for reading in found.values()}
    said = {i: _digest(one.forecast and one.forecast.to_dict()) for i, one in found.items()}
    return tuple(sorted(releases)), said


def _digest(fields: dict[str, object] | None) -> str:
    """Of a forecast, whenever it was made."""
    metadata = {**(fields or {}).get("model_metadata", {}), "generated_at": ""}
    text = json.dumps({**(fields or {}), "model_metadata": metadata}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _fill(folder: Path) -> None:
    """Orders, others to be imported, and a store with four versions, which the gate lets pass."""
    os.chdir(folder)
    with duckdb.connect(DATABASE) as conn:
        load_orders(orders(), conn)
    Path(NEW_ORDERS).mkdir()
    write_folder(orders(customers=300, pairs=3000), Path(NEW_ORDERS))
    store = open_store()
    for number, shift in enumerate((0.0, 0.1, 0.2), start=1):
        register_fit(store, rhythm_fit(shift))
        attach_thresholds(store, str(number), CHOICE)
    register_fit(store, find_model("pair_conjugate"))
    log(store, "evidence")


def _dump(server: EmbeddedServer) -> tuple[tuple[bytes, bytes], ...]:
    client = server.client()
    return tuple((name, client.dump(name)) for name in client.scan_iter())


def _restore(server: EmbeddedServer, held: tuple[tuple[bytes, bytes], ...]) -> None:
    client = server.client()
    client.flushall()
    for name, dumped in held:
        client.restore(name, 0, dumped)
