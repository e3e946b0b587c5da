"""What a run rests on: which data, which code; equal keys give equal results."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from backtests.experiment import Experiment
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.sources.base import OrderSource
from toolkit.tables import Ints, OrderEvents, Patterns

DISTRIBUTION = "interorder-toolkit"
KEY_DIGITS = 8
NOT_IN_RESULTS = {"cache", "report", "tracking"}
"""Folders whose code no score depends on."""

_END = date(9999, 1, 1)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which data: order events, their span, and a digest of their content."""

    rows: int
    customers: int
    products: int
    first_date: date
    last_date: date
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Survey:
    """The data as a whole: its fingerprint, and when each pair became known."""

    data: Fingerprint
    pairs_first_day: Ints  # [pairs], days from ``data.first_date``

    @classmethod
    def of(cls, source: OrderSource) -> "Survey":
        """Read all order events once. ``ArgumentError`` where there are none."""
        events = source.order_events(_END)
        if not len(events):
            raise ArgumentError("the database holds no orders to test on")
        first, last = (_END + timedelta(int(d)) for d in (events.day.min(), events.day.max()))
        patterns = Patterns.of(events)
        first_day = events.day[patterns.event_offset[:-1]] - events.day.min()
        fingerprint = Fingerprint(
            rows=len(events),
            customers=len(np.unique(events.customer_id)),
            products=len(np.unique(events.product_id)),
            first_date=first,
            last_date=last,
            sha256=_digest(events),
        )
        return cls(fingerprint, np.sort(first_day))

    def pairs_before(self, as_of_date: date) -> int:
        """Pairs with an order before the date."""
        day = (as_of_date - self.data.first_date).days
        return int(np.searchsorted(self.pairs_first_day, day))


def run_key(experiment: Experiment, data: Fingerprint, code: str) -> str:
    """Identifies a run: equal keys give equal results."""
    content = [experiment.to_dict(), data.to_dict(), code]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def code_version(models: Iterable[str]) -> str:
    """A digest of the sources of the toolkit, the backtests and the packages of the models."""
    packages = {type(find_model(name)).__module__.partition(".")[0] for name in models}
    whole = hashlib.sha256()
    for package in sorted(packages | {"toolkit", "backtests"}):
        whole.update(_package_digest(package))
    return whole.hexdigest()[:12]


def toolkit_version() -> str:
    """The installed release."""
    return version(DISTRIBUTION)


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


def _digest(events: OrderEvents) -> str:
    whole = hashlib.sha256()
    for column in (events.product_id, events.customer_id, events.day, events.quantity):
        whole.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes())
    return whole.hexdigest()
