"""What a release does not hold, asked of an engine over the orders. Each question opens them.

An engine is as the release was made: as of its date, with its horizon, draws, seed, default price
and, unless another was named, its version.
"""

import math
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from toolkit.cache.current import CurrentRelease
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.data.ids import KINDS, Kind
from toolkit.data.scenario import Scenario
from toolkit.data.tables import DAYS_PER_WEEK, by_week
from toolkit.engine import ForecastEngine
from toolkit.errors import ModelError
from toolkit.model import DEFAULT_MODEL
from toolkit.results.customer import CustomerForecast
from toolkit.results.explanation import Explanation
from toolkit.results.scenario import ScenarioComparison
from toolkit.service.explorer.charts import Ordered
from toolkit.service.settings import EngineSettings
from toolkit.sources.codes import Codes
from toolkit.sources.open import OpenSource, file_address, open_server, open_source
from toolkit.sources.search import Matches, matching
from toolkit.sources.sql import all_names, weekly_quantities
from toolkit.sources.sqlserver.settings import read_server
from toolkit.tracking.loading import VersionInUse, load_for_engine

HISTORY_WEEKS = 26
FRESH_S = 600.0
"""Of a SQL Server nobody sees whether it has changed: it is asked again after so long."""


@dataclass(frozen=True, slots=True)
class Known:
    """All names and codes of products and customers, as they are today."""

    names: Mapping[Kind, Mapping[int, str]]
    codes: Codes

    def code(self, kind: Kind, number: int) -> str | None:
        """The code of a number; None where it has none."""
        return self.codes.code(kind, number)

    def name(self, kind: Kind, number: int) -> str:
        """As it is called, or ``Customer 456``."""
        return self.names[kind].get(number) or f"{kind.capitalize()} {number}"

    def number(self, kind: Kind, code: str) -> int:
        """The number of an id or code; ``ArgumentError`` for an unknown code."""
        return self.codes.number(kind, code)

    def matching(
        self, kind: Kind, text: str, most: int, among: Collection[int] | None = None
    ) -> Matches:
        """Whom a text may mean, of all or ``among`` some."""
        return matching(kind, text, self.codes, self.names[kind], most, among)


@dataclass(frozen=True, slots=True)
class Weeks:
    """Units of a product, week by week: before the as-of date, and since."""

    before: Ordered
    since: Ordered


class Desk:
    """Asks with ``settings``. No method is for two threads at a time.

    Each raises what opening the orders and the engine's call of its name raise.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._version: tuple[str, VersionInUse | None] | None = None

    def stamp(self) -> object:
        """Changes when the orders do: of a file what the system says, of a server every while."""
        if self._settings.db is None:
            return time.monotonic() // FRESH_S
        try:
            found = self._settings.db.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def known(self) -> Known:
        """All names and codes."""
        with self._orders() as orders:
            names = {kind: all_names(orders.source, kind) for kind in KINDS}
            return Known(names, orders.codes)

    def weeks(self, release: CurrentRelease, product_id: int) -> Weeks:
        """What was ordered of a product. Weeks after the date are to look at, never to forecast."""
        as_of, horizon = _as_of(release), _setting(release, "forecast_weeks", WEEKS)
        with self._orders() as orders:
            events = orders.source.order_events(as_of, [product_id])
            since = weekly_quantities(orders.source, product_id, as_of, horizon)
        day = events.day + DAYS_PER_WEEK * HISTORY_WEEKS
        units = np.nan_to_num(events.quantity)
        (before,) = by_week(np.zeros_like(day), day, units, 1, HISTORY_WEEKS)
        start = as_of - timedelta(DAYS_PER_WEEK * HISTORY_WEEKS)
        return Weeks(
            Ordered(start, tuple(before.tolist())),
            Ordered(as_of, tuple(None if math.isnan(week) else week for week in since)),
        )

    def customer(self, release: CurrentRelease, customer_id: int) -> CustomerForecast | None:
        """What a customer orders next."""
        with self._engine(release) as (engine, _):
            return engine.forecast_customer(customer_id, _as_of(release))

    def explanation(
        self, release: CurrentRelease, product_id: int, customer_id: int | None
    ) -> Explanation | None:
        """Why a product, or one of its customers, is forecast as it is."""
        with self._engine(release) as (engine, _):
            return engine.explain(product_id, customer_id, _as_of(release))

    def comparison(
        self, release: CurrentRelease, product_id: int, scenario: Scenario
    ) -> ScenarioComparison | None:
        """A scenario beside the forecast of a product."""
        with self._engine(release) as (engine, codes):
            return engine.compare_scenarios([scenario], [product_id], _as_of(release), codes=codes)

    def _orders(self) -> AbstractContextManager[OpenSource]:
        settings = self._settings
        if settings.db is None:
            return open_server(read_server(settings.config))
        return open_source(file_address(settings.db))

    @contextmanager
    def _engine(self, release: CurrentRelease) -> Iterator[tuple[ForecastEngine, Codes]]:
        version, price = self._version_of(release), release.computed_with.get("default_price")
        with self._orders() as orders:
            engine = ForecastEngine(
                orders.source,
                _setting(release, "forecast_weeks", WEEKS),
                model=None if version is None else version.model,
                thresholds=None if version is None else version.thresholds,
                registered=None if version is None else version.registered,
                default_price=None if price is None else float(price),
                draws=_setting(release, "draws", DRAWS),
                seed=_setting(release, "seed", SEED),
            )
            yield engine, orders.codes

    def _version_of(self, release: CurrentRelease) -> VersionInUse | None:
        """The version that was named, or that of the release; None for the one without a fit."""
        named = self._settings.version or _version_named(release)
        if self._version is None or self._version[0] != named:
            found = None if named == DEFAULT_MODEL else load_for_engine(self._settings.store, named)
            self._version = named, found
        return self._version[1]


def _version_named(release: CurrentRelease) -> str:
    number = release.details.get("registered_version")
    if number is not None:
        return str(number)
    model = release.computed_with.get("model_name")
    if model not in (None, DEFAULT_MODEL):
        raise ModelError(
            f"release {release.pointer.release} does not say which registered version made it"
        )
    return DEFAULT_MODEL


def _as_of(release: CurrentRelease) -> date:
    return date.fromisoformat(release.pointer.as_of)


def _setting(release: CurrentRelease, name: str, default: int) -> int:
    return int(release.computed_with.get(name, default))


def check_orders(settings: EngineSettings) -> None:
    """Raise what opening the orders raises, before anything is served."""
    with Desk(settings)._orders():
        pass
