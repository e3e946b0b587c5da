"""What a run rests on: which data, which code; equal keys give equal results."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backtests.experiment import Experiment
from toolkit.errors import ArgumentError
from toolkit.fingerprint import Fingerprint
from toolkit.model import find_model, model_file
from toolkit.sources.base import OrderSource
from toolkit.tables import Floats, Ints, Patterns

KEY_DIGITS = 8
NOT_IN_RESULTS = {
    "cache",
    "report",
    "tracking",
    *("bootstrap.py", "comparison.py", "paired.py", "scored.py", "summaries.py"),
    *("commands_scores.py", "display_scores.py", "frontier.py", "thresholds.py", "tracked.py"),
    *("cli.py", "commands.py", "demo.py", "display.py", "plots.py"),
    *("__main__.py", "exits.py", "installed.py", "shipped.py"),
}
"""Folders and files that no row of a score table depends on."""

_END = date(9999, 1, 1)


@dataclass(frozen=True, slots=True)
class Survey:
    """The data as a whole: its fingerprint, and when each pair became known."""

    data: Fingerprint
    first_day: Ints  # [pairs], days from ``data.first_date``
    product_id: Ints  # [pairs]

    @classmethod
    def of(cls, source: OrderSource) -> "Survey":
        """Read all order events once. ``ArgumentError`` where there are none."""
        events = source.order_events(_END)
        if not len(events):
            raise ArgumentError("the database holds no orders to test on")
        patterns = Patterns.of(events)
        first_day = events.day[patterns.event_offset[:-1]] - events.day.min()
        return cls(Fingerprint.of(events), first_day, patterns.product_id)

    def pairs_before(self, as_of_date: date, sample: "ProductSample") -> int:
        """Pairs of the products in ``sample`` with an order before the date."""
        known = self.first_day < (as_of_date - self.data.first_date).days
        return int(sample.holds(self.product_id[known]).sum())


@dataclass(frozen=True, slots=True)
class ProductSample:
    """A random ``share`` of all products, each in or out by its id and the ``seed`` alone."""

    share: float
    seed: int

    def holds(self, product_id: Ints) -> NDArray[np.bool_]:
        """Which of the products are in it, [products asked for]."""
        if self.share >= 1:
            return np.ones(len(product_id), dtype=np.bool_)
        ids, row = np.unique(product_id, return_inverse=True)
        chosen = [uniforms((self.seed, SAMPLE, i % 2**64), 1)[0] < self.share for i in ids.tolist()]
        return np.array(chosen, dtype=np.bool_)[row]


SAMPLE = 0
"""Where uniforms of a product at a date have that date's number, which is never 0."""


def uniforms(key: tuple[int, ...], count: int) -> Floats:
    """Numbers in [0, 1) that only ``key`` decides, [count]."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key))).random(count)


def run_key(experiment: Experiment, data: Fingerprint, code: str) -> str:
    """Identifies a run: equal keys give equal results."""
    content = [experiment.to_dict(), data.to_dict(), code]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def code_version(models: Iterable[str]) -> str:
    """A digest of the sources of the toolkit, the backtests and the packages of the models."""
    named = sorted(models)
    packages = {type(find_model(name)).__module__.partition(".")[0] for name in named}
    whole = hashlib.sha256()
    for file in filter(None, map(model_file, named)):  # models that are not installed
        whole.update(file.read_bytes())
    for package in sorted(packages | {"toolkit", "backtests"}):
        whole.update(_package_digest(package))
    return whole.hexdigest()[:12]


@cache
def _package_digest(package: str) -> bytes:
    whole = hashlib.sha256()
    spec = find_spec(package)
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder)
            if not NOT_IN_RESULTS & set(inside.parts):
                whole.update(f"{package}/{inside.as_posix()}\0".encode())
                whole.update(path.read_bytes())
    return whole.digest()
