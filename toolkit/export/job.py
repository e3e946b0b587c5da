"""The nightly job: forecast every product, stage the release, verify it, make it current.

Until the last step readers get what they got before; that step is one, in the server. A job that
is killed leaves a staged release, which the next one with the same version, data and settings
completes.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import batched

import redis

from toolkit.cache.feed import Taken
from toolkit.cache.releases.catalog import LOCK_S, Release, Releases, ReleaseSpec, Staging
from toolkit.cache.releases.values import SUCCESS
from toolkit.engine import ForecastEngine
from toolkit.errors import CacheError
from toolkit.export import making
from toolkit.export.making import Maker, engine_maker, refuse_more
from toolkit.export.plan import ExportSettings, make_plan, refuse_to_go_back
from toolkit.export.report import ExportReport, ProductStatus, Status

logger = logging.getLogger(__name__)

BATCH = 500
"""Products forecast at once: some 10 MB of forecasts."""

type ExportProgress = Callable[[int, int], None]


def export_release(
    engine: ForecastEngine,
    client: redis.Redis,
    settings: ExportSettings,
    progress: ExportProgress = lambda done, total: None,
    taken: Taken | None = None,
    make: Maker | None = None,
) -> ExportReport:
    """Forecast the products with ``engine`` and make them the current release of the server.

    ``taken``: entries of a stream that are acknowledged as the release becomes current.
    ``progress`` is told how many products are done, and of how many. ``make`` makes the values
    that ``engine`` would make, in other processes, say; by default the engine makes them. A product
    that fails is in the report; if more fail than are allowed, nothing is published, and the report
    says so.
    Raises ``ArgumentError`` as ``make_plan`` does, ``SourceError`` if the database fails,
    ``PredictionError`` if more than 100 products do, ``CacheError`` if the server fails or
    another export is running. Readers then have what they had.
    """
    run = _Run(engine, settings, progress, make or engine_maker(engine))
    with run.in_redis():
        releases = Releases(client)
        current = releases.current()
    spec = make_plan(engine, current, settings, releases.as_of_dates)
    with releases.stage(spec, lock_s=LOCK_S) as staging:
        with run.in_redis():  # another export may have ended since
            refuse_to_go_back(releases.current(), settings)
            staging.ask_for_room()
        run.carry_over(staging)
        run.compute(staging)
        refusal = run.refusal(len(spec.product_ids))
        release = None if refusal else run.publish(staging, taken)
    if release is not None:
        run.clean(releases)
    return run.report(spec, release, refusal)


@dataclass(slots=True)
class _Run:
    """An export under way, and what is known of its products."""

    engine: ForecastEngine
    settings: ExportSettings
    progress: ExportProgress
    make: Maker
    started: float = field(default_factory=time.perf_counter)
    redis_s: float = 0.0
    resumed: int = 0
    carried: int = 0
    statuses: dict[int, str] = field(default_factory=dict)
    totals: dict[int, float] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    @contextmanager
    def in_redis(self) -> Iterator[None]:
        """Time spent within is the server's, and the client's that talks to it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.redis_s += time.perf_counter() - started

    def carry_over(self, staging: Staging) -> None:
        """What an earlier attempt staged stays, and what did not change is copied."""
        before = staging.done.keys()
        with self.in_redis():
            staging.carry_over()
        self.statuses |= staging.done
        self.carried = len(self.statuses.keys() & set(staging.spec.carried))
        self.resumed = len(before - set(staging.spec.carried))

    def compute(self, staging: Staging) -> None:
        """Forecast all other products, batch by batch."""
        total, as_of = len(staging.spec.product_ids), staging.spec.as_of_date
        missing = [i for i in staging.spec.product_ids if i not in self.statuses]
        self.progress(len(self.statuses), total)
        batches = [*batched(missing, BATCH)]
        with closing(self.make(batches, as_of, staging.release_id)) as all_made:
            for made in all_made:
                self.errors |= made.errors
                refuse_more(self.errors, making.MOST_ERRORS)
                with self.in_redis():
                    staging.put_values(made.values)
                self.totals |= made.totals
                self.statuses |= {i: value.status for i, value in made.values.items()}
                self.progress(len(self.statuses) + len(self.errors), total)

    def refusal(self, products: int) -> str | None:
        """Why the release is not published; None if it is."""
        if len(self.errors) <= self.settings.allowed_errors * products:
            return None
        return (
            f"{len(self.errors):,} of {products:,} products failed, more than the share of"
            f" {self.settings.allowed_errors:g} that is allowed; nothing was published"
        )

    def publish(self, staging: Staging, taken: Taken | None) -> Release:
        """Verify what is staged, and make it current."""
        with self.in_redis():
            names = self.engine.source.customer_names
            return staging.publish(frozenset(self.errors), taken, names)

    def clean(self, releases: Releases) -> None:
        """Delete old releases; that this fails takes nothing from the new one."""
        try:
            with self.in_redis():
                releases.clean(self.settings.keep)
        except CacheError as exc:
            logger.warning("Old releases stay for now: %s", exc)

    def report(
        self, spec: ReleaseSpec, release: Release | None, refusal: str | None
    ) -> ExportReport:
        """All of it."""
        return ExportReport(
            release=None if release is None else release.release_id,
            refusal=refusal,
            as_of_date=self.settings.as_of_date,
            details=spec.details,
            products=[self._status(i) for i in spec.product_ids],
            resumed=self.resumed,
            carried=self.carried,
            seconds=time.perf_counter() - self.started,
            redis_seconds=self.redis_s,
        )

    def _status(self, product_id: int) -> ProductStatus:
        if product_id in self.errors:
            return ProductStatus(product_id, Status.ERROR, error=self.errors[product_id])
        if self.statuses[product_id] != SUCCESS:
            return ProductStatus(product_id, Status.NO_PREDICTIONS)
        return ProductStatus(product_id, Status.SUCCESS, self.totals.get(product_id))
