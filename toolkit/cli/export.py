"""``toolkit export``; imports what it needs when it runs."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cache.ttl import RELEASE_TTL_S
from toolkit.cli.exits import nothing_to_forecast
from toolkit.cli.options import (
    REDIS_VARIABLE,
    AsOf,
    Cluster,
    Config,
    DefaultPrice,
    Draws,
    Jobs,
    Json,
    MaybeDatabase,
    Mssql,
    Product,
    Seed,
    StoreUri,
    Weeks,
    Work,
)
from toolkit.cli.orders import orders_of
from toolkit.data.defaults import DRAWS, SEED, WEEKS

if TYPE_CHECKING:
    from toolkit.cache.releases.catalog import Release
    from toolkit.cluster.orders import OrdersAt
    from toolkit.engine import ForecastEngine
    from toolkit.export.feed import FeedReport
    from toolkit.export.job import ExportProgress
    from toolkit.export.making import Maker
    from toolkit.export.plan import ExportSettings
    from toolkit.export.report import ExportReport
    from toolkit.sources.base import OrderSource
    from toolkit.sources.codes import Codes

DEFAULT_WORK = Path("exports")
DEFAULT_REDIS = "redis://localhost:6379/0"
READ_PATIENCE_S = 2.0

Redis = Annotated[
    str | None,
    typer.Option("--redis", help=f"Where to. Default {REDIS_VARIABLE}, else {DEFAULT_REDIS}."),
]
Version = Annotated[
    str,
    typer.Option(
        "--version",
        help="Alias, number or fit of the registered model inter-order; or pair_conjugate.",
    ),
]
Products = Annotated[
    list[str] | None, typer.Option("--products", help="These only: id or code; may be repeated.")
]
Since = Annotated[
    str | None,
    typer.Option(
        help="YYYY-MM-DD, or last: compute what was ordered or returned since, or since the current"
        " release."
    ),
]
Customers = Annotated[
    list[str] | None,
    typer.Option(
        "--customers",
        help="Compute what these ordered, id or code, and keep the rest; may be repeated.",
    ),
]
ChangedFile = Annotated[
    Path | None,
    typer.Option(
        "--changed",
        help="Compute what the changed orders in this CSV touch, and keep the rest: customer_id,"
        " and perhaps product_id and ordered_at.",
    ),
]
FeedStream = Annotated[
    str | None,
    typer.Option(
        "--feed",
        help="The same for the entries of this Redis stream, in the cache's database; they are"
        " acknowledged as the release goes out.",
    ),
]
Ttl = Annotated[int, typer.Option(help="Seconds that the forecasts stay.")]
AllowErrors = Annotated[
    float, typer.Option(help="Publish though such a share of the products failed, 0 to 1.")
]
Keep = Annotated[int, typer.Option(help="So many earlier releases stay for a rollback.")]
Shrink = Annotated[bool, typer.Option("--shrink", help="Serve fewer products than now.")]
Earlier = Annotated[
    bool, typer.Option("--earlier", help="Publish as of an earlier date than readers have now.")
]
Log = Annotated[bool, typer.Option(help="Log the export to MLflow.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(export)
    app.command()(read)


def export(
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOf = None,
    redis: Redis = None,
    version: Version = "champion",
    products: Products = None,
    since: Since = None,
    customers: Customers = None,
    changed: ChangedFile = None,
    feed: FeedStream = None,
    weeks: Weeks = WEEKS,
    draws: Draws = DRAWS,
    seed: Seed = SEED,
    default_price: DefaultPrice = None,
    ttl: Ttl = RELEASE_TTL_S,
    allow_errors: AllowErrors = 0.0,
    keep: Keep = 2,
    shrink: Shrink = False,
    earlier: Earlier = False,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    work: Work = DEFAULT_WORK,
    store: StoreUri = None,
    log: Log = True,
    as_json: Json = False,
) -> None:
    """Forecast all products with the promoted version, and make them what production reads.

    Readers see the old release until the new one is whole and verified. Exit code 0: published;
    1: failed, and readers have what they had; 2: something was wrong with the call.
    """
    from toolkit.cli.exported import show_outcome
    from toolkit.cli.progress import counting_bar
    from toolkit.cluster.orders import OrdersAt
    from toolkit.errors import ArgumentError, ToolkitError
    from toolkit.export.changes import read_changes
    from toolkit.export.making import without_warnings
    from toolkit.export.plan import LAST, ExportSettings
    from toolkit.model import DEFAULT_MODEL
    from toolkit.stages.arguments import as_of_day, check_whole, parse_date

    check_whole("jobs", jobs, 1)
    if db is None and (cluster is not None or jobs > 1):
        option = "--jobs" if cluster is None else "--cluster"
        raise ArgumentError(f"{option} forecasts from orders that were imported: name them by --db")
    known = None if db is None or (cluster is None and jobs == 1) else OrdersAt.now(db)
    with (
        without_warnings(),
        orders_of(db, mssql, config) as orders,
        counting_bar("Forecasting products") as bar,
    ):
        day = as_of_day(as_of, orders.source)
        told = None if changed is None else read_changes(changed, orders.source, day, orders.codes)
        settings = ExportSettings(
            as_of_date=day,
            product_ids=[orders.codes.number("product", i) for i in products] if products else None,
            since=since if since is None or since == LAST else parse_date(since),
            customer_ids=(
                [orders.codes.number("customer", i) for i in customers] if customers else None
            ),
            changed=None if told is None else list(told.usable.values()),
            ttl_s=ttl,
            allowed_errors=allow_errors,
            keep=keep,
            shrink=shrink,
            earlier=earlier,
            by_hand=version == DEFAULT_MODEL,
        )
        engine = _engine(orders.source, version, weeks, draws, seed, default_price, store)
        try:
            with _maker(engine, known, jobs, cluster, work) as make:
                outcome = _run(engine, settings, feed, redis, bar, store, orders.codes, make)
        except ToolkitError as exc:
            if log and not isinstance(exc, ArgumentError):
                _log(exc, settings, store)
            raise
    report = outcome.export
    show_outcome(outcome, orders.codes, told, as_json)
    if report is None:
        return
    if log:
        _log(report, settings, store)
    if engine.registered is not None and report.published:
        _note(engine.registered.number, str(report.details["model"]), report.release, store)
    if not report.published:
        raise typer.Exit(1)


def read(
    product_id: Product,
    redis: Redis = None,
    brief: Annotated[bool, typer.Option("--brief", help="The totals only.")] = False,
    as_json: Json = False,
) -> None:
    """Show what production reads of a product, and from which release it is.

    Exit code 3: by then nobody had ordered the product, so that there is nothing to forecast.
    """
    import json

    from toolkit.cache.memory import in_words
    from toolkit.cache.reader import ForecastReader
    from toolkit.cli.display import print_plain, show_forecast
    from toolkit.data.ids import numbers_meant

    with _cache_url(redis) as url:
        found = ForecastReader(url, patience_s=READ_PATIENCE_S).read_many(numbers_meant(product_id))
    reading = next(iter(found.values()), None)
    forecast = None if reading is None else reading.forecast
    if as_json:
        said = None if forecast is None else forecast.to_dict()
        release = None if reading is None else reading.release
        typer.echo(json.dumps({"release": release, "forecast": said}, indent=2))
    elif reading is None:
        typer.echo(f"The current release does not serve product {product_id}.")
    elif forecast is not None:
        show_forecast(forecast, brief=brief)
        print_plain(f"Release {reading.release}, generated {in_words(reading.age_s)} ago.")
    if reading is not None and forecast is None:
        nothing_to_forecast(
            f"There is nothing to forecast for product {product_id}: by release {reading.release}, "
            f"generated {in_words(reading.age_s)} ago, nobody had ordered it."
        )


@contextmanager
def _cache_url(redis: str | None) -> Iterator[str]:
    """The server's URL; what is wrong with it is the caller's fault."""
    from toolkit.errors import ArgumentError, CacheError

    given = redis or os.environ.get(REDIS_VARIABLE)
    try:
        yield given or DEFAULT_REDIS
    except ValueError as exc:
        raise ArgumentError(str(exc)) from exc
    except CacheError as exc:
        if given:
            raise
        remedy = f"--redis or {REDIS_VARIABLE} says where the cache is, if not at {DEFAULT_REDIS}"
        raise CacheError(f"{exc}; {remedy}") from exc


def _engine(
    source: "OrderSource",
    version: str,
    weeks: int,
    draws: int,
    seed: int,
    default_price: float | None,
    store: str | None,
) -> "ForecastEngine":
    """With the version that is asked for; without one only where none was ever promoted."""
    from toolkit.engine import ForecastEngine
    from toolkit.errors import TrackingError
    from toolkit.model import DEFAULT_MODEL
    from toolkit.tracking.history import champions
    from toolkit.tracking.loading import open_if_there
    from toolkit.tracking.promotion import settle
    from toolkit.tracking.store import masked

    if version == DEFAULT_MODEL:
        return ForecastEngine(source, weeks, default_price=default_price, draws=draws, seed=seed)
    opened = open_if_there(store)
    if opened is not None:
        settle(opened)
    engine = ForecastEngine.from_registry(
        source, version, weeks, store=store, default_price=default_price, draws=draws, seed=seed
    )
    former = () if opened is None or engine.registered is not None else champions(opened)
    if opened is not None and former:
        raise TrackingError(
            f"{masked(opened.uri)} names no champion, though its history made version "
            f"{former[-1]} one: `toolkit promote` or `rollback` names it again; `--version "
            f"{DEFAULT_MODEL}` publishes the model that needs no fit",
            unavailable=True,
        )
    return engine


def _run(
    engine: "ForecastEngine",
    settings: "ExportSettings",
    stream: str | None,
    redis: str | None,
    bar: "ExportProgress",
    store: str | None,
    codes: "Codes",
    make: "Maker | None",
) -> "FeedReport":
    """The export; without a stream the feed that it reports has nothing in it."""
    from toolkit.cache.releases.catalog import Releases
    from toolkit.cache.server import connect
    from toolkit.export.feed import FeedReport, export_feed
    from toolkit.export.job import export_release

    with _cache_url(redis) as url, connect(url) as client:
        current = Releases(client).current()
        if engine.registered is not None:
            _note_before(current, store)
        if stream is not None:
            return export_feed(engine, client, stream, settings, bar, codes, make)
        if settings.changes_nothing:
            return FeedReport(None, None if current is None else current.release_id)
        report = export_release(engine, client, settings, bar, make=make)
        return FeedReport(report, report.release)


@contextmanager
def _maker(
    engine: "ForecastEngine",
    orders: "OrdersAt | None",
    jobs: int,
    cluster: str | None,
    work: Path,
) -> "Iterator[Maker | None]":
    """What forecasts in other processes; None where the engine itself does."""
    from toolkit.cluster.workers import open_workers
    from toolkit.export.shards import workers_maker

    if orders is None:
        yield None
        return
    with open_workers(jobs, cluster) as workers, ExitStack() as stack:
        if cluster is None:
            work = Path(stack.enter_context(TemporaryDirectory(prefix="export-")))
        yield workers_maker(workers, engine, orders, work)


def _note_before(current: "Release | None", store: str | None) -> None:
    """The release that readers have, where who made it current was killed before the history was
    told; one of another store's is left out.
    """
    from toolkit.errors import TrackingError
    from toolkit.tracking.registry import find
    from toolkit.tracking.store import open_store

    details = {} if current is None else current.details
    number = details.get("registered_version")
    if current is None or not isinstance(number, int):
        return
    try:
        ours = find(open_store(store), str(number)).run_id == details.get("mlflow_run_id")
    except TrackingError:
        return
    if ours:
        why = "whoever made it current was cut short"
        _note(number, str(details["model"]), current.release_id, store, why)


def _note(
    version: int, fit: str, release: str | None, store: str | None, why: str | None = None
) -> None:
    """Tell the history which release the champion's forecasts went out with."""
    from toolkit.errors import TrackingError
    from toolkit.tracking.entries import Event
    from toolkit.tracking.history import append_release
    from toolkit.tracking.store import open_store

    event = Event("release", version, fit, why=why, release=release)
    try:
        append_release(open_store(store), event)
    except TrackingError as exc:
        typer.echo(f"Not in the history: {exc}", err=True)


def _log(
    outcome: "ExportReport | Exception", settings: "ExportSettings", store: str | None
) -> None:
    """Log the export; where the store cannot be had, readers have the release all the same."""
    from toolkit.errors import TrackingError
    from toolkit.export.log import log_export
    from toolkit.tracking.store import open_store

    try:
        log_export(open_store(store), outcome, settings)
    except TrackingError as exc:
        typer.echo(f"Not logged: {exc}", err=True)
