"""What a run rests on: which data, which code; equal keys give equal results."""

import ast
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backtests.run.experiment import Experiment
from toolkit.data.fingerprint import Fingerprint
from toolkit.data.tables import Floats, Ints, OrderEvents, starts_of
from toolkit.errors import ArgumentError
from toolkit.installed import ENTRY_POINT_GROUP
from toolkit.model import find_model, model_file
from toolkit.sources.base import (
    OrderSource,
    categories_of,
    events_until,
    in_product_parts,
    replacements_of,
)
from toolkit.validation import plain

KEY_DIGITS = 8
TASKS = ("backtests.run.fitting", "backtests.run.tasks")
"""What they import, and what that imports, makes the rows of a run's tables."""

_END = date(9999, 1, 1)


@dataclass(frozen=True, slots=True)
class Survey:
    """The data as a whole: its fingerprint, and when each pair became known.

    ``categories`` is a digest of which product is in which category, ``replaced`` of which
    products others replaced, and when; None where none is. The orders are of the products that
    were ordered.
    """

    data: Fingerprint
    first_day: Ints  # [pairs], days from ``data.first_date``
    product_id: Ints  # [pairs]
    categories: str | None = None
    replaced: str | None = None

    @classmethod
    def of(cls, source: OrderSource) -> "Survey":
        """Read all order events once, one part of them at a time.

        Raises ``ArgumentError`` where there are none.
        """
        pairs: list[tuple[Ints, Ints]] = []  # product, and first day
        tables = (_noted(events, pairs) for events in _parts(source))
        first = next(tables, None)
        if first is None:
            raise ArgumentError("the database holds no orders to test on")
        data = Fingerprint.of_parts(chain([first], tables))
        product_id, first_day = (np.concatenate(column) for column in zip(*pairs, strict=True))
        categories = categories_of(source, np.unique(product_id).tolist())
        replaced = [
            (r.product_id, r.replaced_by, str(r.since_date)) for r in replacements_of(source).each
        ]
        return cls(
            data,
            first_day - (data.first_date - _END).days,
            product_id,
            _digest(categories.items()),
            _digest(replaced),
        )

    @property
    def content(self) -> str:
        """A digest of all that tasks read of the data."""
        told = (self.data.sha256, self.categories or "", self.replaced or "")
        return hashlib.sha256(" ".join(told).encode()).hexdigest()

    def pairs_before(self, as_of_date: date, sample: "ProductSample") -> int:
        """Pairs of the products in ``sample`` with an order before the date."""
        known = self.first_day < (as_of_date - self.data.first_date).days
        return int(sample.holds(self.product_id[known]).sum())


def _parts(source: OrderSource) -> Iterator[OrderEvents]:
    """All order events, in tables of whole products as they lie there; none that is empty.

    Where products were replaced their parts are those of the products that took their place: then
    in one table.
    """
    replaced = replacements_of(source).each
    for product_ids in [None] if replaced else in_product_parts(source, _END):
        events = events_until(source, _END, date.min, product_ids)
        if len(events):
            yield events


def _noted(events: OrderEvents, pairs: list[tuple[Ints, Ints]]) -> OrderEvents:
    """The same; to ``pairs`` is added what is kept of it."""
    first = starts_of(events.product_id, events.customer_id)
    pairs.append((events.product_id[first], events.day[first]))
    return events


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


def run_key(
    experiment: Experiment,
    data: Fingerprint,
    code: str,
    categories: str | None = None,
    replaced: str | None = None,
) -> str:
    """Identifies a run: equal keys give equal results."""
    content = [plain(experiment), plain(data), code, *([categories] if categories else [])]
    content += [{"replaced": replaced}] if replaced else []
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def _digest(rows: Collection[tuple[object, ...]]) -> str | None:
    text = json.dumps(sorted(rows), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest() if rows else None


def code_version(models: Iterable[str]) -> str:
    """A digest of every module of ours that tasks import, and of the models'."""
    named = sorted(models)
    whole = hashlib.sha256()
    for file in filter(None, map(model_file, named)):  # models that are not installed
        whole.update(file.read_bytes())
    roots = roots_of(named)
    packages = {name.partition(".")[0] for name in roots} | {"toolkit"}
    for name, file in sorted(_imported(frozenset(roots), frozenset(packages)).items()):
        whole.update(f"{name}\0".encode())
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


def roots_of(models: Iterable[str]) -> set[str]:
    """What makes rows of these models: tasks, the models' classes, the modules that name them."""
    named, points = set(models), entry_points(group=ENTRY_POINT_GROUP)
    classes = {type(find_model(name)).__module__ for name in named}
    return {*TASKS} | classes | {point.module for point in points if point.name in named}


@cache
def _imported(roots: frozenset[str], packages: frozenset[str]) -> dict[str, Path]:
    """The modules of ``packages`` that ``roots`` import, themselves and one through another.

    Found in the sources: an import inside a function counts.
    """
    found: dict[str, Path] = {}
    waiting = sorted(roots)
    while waiting:
        name = waiting.pop()
        known = name in found or name.partition(".")[0] not in packages
        file = None if known else _source(name)
        if file is None:
            continue
        found[name] = file
        waiting += name.rpartition(".")[:1]  # its package is imported first
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def _source(name: str) -> Path | None:
    """The file of a module; None where there is no such module.

    Only packages are imported to find it: a module may want libraries that are not installed.
    """
    package = name.rpartition(".")[0]
    if package:
        above = _source(package)
        if above is None or above.name != "__init__.py":
            return None
    spec = find_spec(name)
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
