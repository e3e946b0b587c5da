"""The nightly job: forecast every product, stage the release, verify it, make it current.

Until the last step readers get what they got before; that step is one, in the server. A job that
is killed leaves a staged release, which the next one with the same version, data and settings
completes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import batched

import redis

from toolkit.cache.envelope import Fields
from toolkit.cache.feed import Taken
from toolkit.cache.releases.catalog import LOCK_S, Release, Releases, ReleaseSpec, Staging
from toolkit.cache.releases.staging import SUCCESS
from toolkit.data.tables import Predictions
from toolkit.engine import ForecastEngine
from toolkit.errors import CacheError, PredictionError, SourceError
from toolkit.export.plan import ExportSettings, make_plan, refuse_to_go_back
from toolkit.export.report import ExportReport, ProductStatus, Status
from toolkit.results.forecast import ProductForecast
from toolkit.results.pair_rows import PairRows
from toolkit.stages.listing import Chooser
from toolkit.views.forecasts import pairs_by_product

logger = logging.getLogger(__name__)

BATCH = 500
"""Products forecast at once: some 10 MB of forecasts."""

MOST_ERRORS = 100
"""When so many products have failed, something else is wrong than a product."""

type ExportProgress = Callable[[int, int], None]


def export_release(
    engine: ForecastEngine,
    client: redis.Redis,
    settings: ExportSettings,
    progress: ExportProgress = lambda done, total: None,
    taken: Taken | None = None,
) -> ExportReport:
    """Forecast the products with ``engine`` and make them the current release of the server.

    ``taken``: entries of a stream that are acknowledged as the release becomes current.
    ``progress`` is told how many products are done, and of how many. A product that fails is in
    the report; if more fail than are allowed, nothing is published, and the report says so.
    Raises ``ArgumentError`` as ``make_plan`` does, ``SourceError`` if the database fails,
    ``PredictionError`` if more than 100 products do, ``CacheError`` if the server fails or
    another export is running. Readers then have what they had.
    """
    run = _Run(engine, settings, progress)
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
    started: float = field(default_factory=time.perf_counter)
    redis_s: float = 0.0
    resumed: int = 0
    carried: int = 0
    statuses: dict[int, str] = field(default_factory=dict)
    totals: dict[int, float] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    @contextmanager
    def in_redis(self) -> Iterator[None]:
        """Time spent within is the server's, encoding included."""
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
        for batch in batched(missing, BATCH):
            pairs: dict[int, PairRows] = {}
            forecasts = self._forecast(batch, as_of, pairs)
            with self.in_redis():
                staging.put(
                    {i: _fields(forecast) for i, forecast in forecasts.items()},
                    lambda product_id: self.engine.computed_with(product_id, as_of),
                    pairs,
                )
            self.totals |= {
                i: forecast.summary["expected_quantity"]
                for i, forecast in forecasts.items()
                if forecast is not None
            }
            self.statuses |= {i: staging.done[i] for i in forecasts}
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

    def _forecast(
        self, ids: Sequence[int], as_of: date, pairs: dict[int, PairRows]
    ) -> Mapping[int, ProductForecast | None]:
        """Of those that do not fail: a batch that does is halved until it is known which does.

        What is said of their customers is added to ``pairs``.
        """

        def note(predictions: Predictions, chooser: Chooser) -> None:
            pairs.update(pairs_by_product(predictions, chooser))

        try:
            return self.engine.generate_forecasts(ids, as_of, note=note)
        except SourceError:
            raise
        except Exception as exc:
            if len(ids) == 1:
                self._note(ids[0], exc)
                return {}
        half = len(ids) // 2
        first = self._forecast(ids[:half], as_of, pairs)
        return {**first, **self._forecast(ids[half:], as_of, pairs)}

    def _note(self, product_id: int, exc: Exception) -> None:
        self.errors[product_id] = f"{type(exc).__name__}: {exc}"
        if len(self.errors) > MOST_ERRORS:
            raise PredictionError(
                f"more than {MOST_ERRORS} products failed, and nothing was published; the last"
                f" failed for {exc}"
            ) from exc


def _fields(forecast: ProductForecast | None) -> Fields | None:
    return None if forecast is None else forecast.to_dict()
