"""``toolkit watch``; imports what it needs when it runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.exits import ALARM
from toolkit.cli.options import (
    AsOfOrLast,
    Config,
    Draws,
    Json,
    MaybeDatabase,
    Mssql,
    Seed,
    StoreUri,
)
from toolkit.data.defaults import DRAWS, SEED

if TYPE_CHECKING:
    from backtests.watch.report import WatchReport
    from toolkit.tracking.store import Store

ALARM_URL = "TOOLKIT_ALARM_URL"

Folder = Annotated[Path, typer.Option("--folder", help="Where forecasts and scores are kept.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write a page with the charts to this file.")
]
Log = Annotated[bool, typer.Option(help="Log what was found to MLflow.")]


def watch(
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    folder: Folder = Path("watch"),
    draws: Draws = DRAWS,
    seed: Seed = SEED,
    out: Out = None,
    store: StoreUri = None,
    log: Log = True,
    as_json: Json = False,
) -> None:
    """Keep the champion's forecast, score those whose weeks are over, and sound an alarm.

    For cron, once a week. The challenger, if that alias names a version, and the model that needs
    no fit forecast beside it. An alarm is sent to the address in TOOLKIT_ALARM_URL, too. Exit code
    4: an alarm of the champion stands.
    """
    from backtests.watch.folder import WatchFolder
    from backtests.watch.versions import NO_CHAMPION
    from backtests.watch.watch import WatchSettings
    from backtests.watch.watch import watch as run
    from toolkit.cli.display import print_json, show_card
    from toolkit.cli.orders import day_of, orders_of
    from toolkit.disk import whole_file
    from toolkit.errors import ArgumentError, TrackingError
    from toolkit.sources.base import today_of
    from toolkit.sources.sql import last_order_day
    from toolkit.tracking.loading import open_if_there

    opened = open_if_there(store)
    if opened is None:
        raise TrackingError(NO_CHAMPION)
    with orders_of(db, mssql, config) as orders:
        last = last_order_day(orders.source)
        if last is None:
            raise ArgumentError("there is no order before today: nothing to watch")
        report = run(
            orders.source,
            opened,
            WatchFolder(folder),
            today=today_of(orders.source),
            last_date=last,
            as_of_date=None if as_of is None else day_of(orders, as_of),
            settings=WatchSettings(draws, seed),
        )
    if as_json:
        print_json(report.to_dict())
    else:
        show_card(report.to_card())
    if report.alarms:
        _send(report)
    if out is not None:
        with whole_file(out) as part:
            part.write_text(report.page(), encoding="utf-8")
    if log:
        _log(report, opened)
    if report.champion_alarm:
        raise typer.Exit(ALARM)


def _log(report: "WatchReport", store: "Store") -> None:
    """Log what was found; where the store cannot be had, it is in the folder all the same."""
    from backtests.watch.log import log_watch
    from toolkit.errors import TrackingError

    try:
        log_watch(store, report)
    except TrackingError as exc:
        typer.echo(f"Not logged: {exc}", err=True)


def _send(report: "WatchReport") -> None:
    """Post the alarms to the address in the environment, if there is one."""
    from backtests.watch.alarm import post

    url = os.environ.get(ALARM_URL)
    if url and (problem := post(url, report.alarms)):
        typer.echo(f"Not sent to {ALARM_URL}: {problem}", err=True)
