"""Keep a forecast, score those whose weeks are over, and ask whether promises were kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pandas as pd

from backtests.evidence.shadow import CHALLENGER, Shadow
from backtests.watch.drift import Drift
from backtests.watch.folder import WatchFolder, due
from backtests.watch.habit import customers_state
from backtests.watch.judge import judge
from backtests.watch.kept import KeptForecast
from backtests.watch.report import VersionWatch, WatchReport
from backtests.watch.versions import Watched, watched_versions
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource
from toolkit.stages.patterns import read_patterns
from toolkit.stages.prediction import CustomerPredictor
from toolkit.tracking.registry import CHAMPION
from toolkit.tracking.store import Store


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How forecasts are made: predictive draws per pair, and their seed."""

    draws: int = DRAWS
    seed: int = SEED


def watch(
    source: OrderSource,
    store: Store,
    folder: WatchFolder,
    *,
    today: date,
    last_date: date,
    as_of_date: date | None = None,
    settings: WatchSettings | None = None,
) -> WatchReport:
    """Keep forecasts of the versions under watch, score weeks that are over, judge the charts.

    ``as_of_date``: of the forecast to keep; None for whole weeks after the latest one, by ``today``
    at the latest. ``last_date``: the last day with orders; a week is over when it ended by then. A
    forecast that was kept is not made again. Raises ``ArgumentError`` for an as-of date after
    ``today``, less than a week after another, or before the date of a version's fit;
    ``TrackingError`` without a champion.
    """
    versions = watched_versions(store)
    with folder.alone():
        kept_on = sorted({record.as_of_date for record in folder.records().values()})
        day = as_of_date or due(kept_on, today)
        _check_date(day, today, kept_on, versions)
        kept = _keep(source, folder, versions, day, today, settings or WatchSettings())
        scored = folder.score(source, last_date)
        table = folder.weeks()
        judged = [judge(store, folder, table, version, versions) for version in versions]
    found = [version for version, _ in judged]
    customers = customers_state(source, day, last_date, min([*kept_on, day]))
    found[0] = replace(found[0], charts=(*found[0].charts, customers))
    fitted = versions[0].ref and versions[0].ref.as_of_date
    return WatchReport(
        as_of_date=day,
        kept=tuple(kept),
        scored=scored,
        versions=tuple(found),
        drift=Drift.read(source, day, date.fromisoformat(fitted)) if fitted else None,
        shadow=_shadow(table, found),
        notices=(
            *_stale(day, last_date),
            *(notice for _, notice in judged if notice),
            *([] if len(table) else [_none_over(min([*kept_on, day]))]),
        ),
    )


def _check_date(
    day: date, today: date, kept_on: Sequence[date], versions: Sequence[Watched]
) -> None:
    if day > today:
        raise ArgumentError(f"a forecast is kept as of today, {today}, or before, not as of {day}")
    near = [other for other in kept_on if 0 < abs((other - day).days) < DAYS_PER_WEEK]
    if near:
        raise ArgumentError(
            f"forecasts are kept a week apart or more: there is one as of {near[0]}, {day} is less "
            "than a week from it"
        )
    for version in versions:
        fitted = version.ref and version.ref.as_of_date
        if fitted and date.fromisoformat(fitted) > day:
            raise ArgumentError(
                f"{version.fit} was fitted to orders up to {fitted}: as of {day} it knows too much"
            )


def _shadow(table: pd.DataFrame, versions: Sequence[VersionWatch]) -> Shadow | None:
    """How the challenger did beside the champion; None without one."""
    fits = {version.role: version.fit for version in versions}
    if CHALLENGER not in fits:
        return None
    return Shadow.of(table, fits[CHALLENGER], fits[CHAMPION])


def _none_over(first: date) -> str:
    over = first + timedelta(DAYS_PER_WEEK)
    return (
        f"no week is over yet: the first forecast was kept as of {first}, and its first week is "
        f"scored when there are orders up to {over - timedelta(1)}"
    )


def _stale(day: date, last_date: date) -> list[str]:
    """A notice where a whole week before ``day`` has no orders: nothing can be said of it."""
    if (day - last_date).days <= DAYS_PER_WEEK:
        return []
    return [
        f"the last order is of {last_date}: weeks after it are not scored, and sound no alarm, "
        "until there are later orders"
    ]


def _keep(
    source: OrderSource,
    folder: WatchFolder,
    versions: Sequence[Watched],
    day: date,
    today: date,
    settings: WatchSettings,
) -> list[str]:
    """Forecast with those of which no forecast is kept as of ``day``; returns their fits."""
    missing = [one for one in versions if not folder.place(day, one.fit).exists()]
    for version in missing:
        model = version.model
        patterns, _ = read_patterns(source, day, model.reads_customer_days)
        if not len(patterns):
            raise ArgumentError(f"there is no order before {day} to forecast from")
        predictor = CustomerPredictor(model, WEEKS, settings.draws, settings.seed)
        predictions, _ = predictor.predict(patterns)
        KeptForecast.of(predictions, version.fit, today).save(folder.place(day, version.fit))
    return [one.fit for one in missing]
