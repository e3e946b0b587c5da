"""The command line: the one place where sources, models, engine and cache are put together.

Each command imports what it needs when it runs, so that ``toolkit --help`` answers at once.
Exit codes: 0 done, 1 failed, 2 wrong arguments or data.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.exits import reported_in_a_sentence
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOf,
    Config,
    Database,
    Draws,
    Fits,
    Fitted,
    Json,
    MaybeDatabase,
    Model,
    Mssql,
    Product,
    Seed,
    Weeks,
    complete_model,
)
from toolkit.errors import ArgumentError, ModelError, PredictionError, ToolkitError
from toolkit.installed import leave_out_working_folder, load, own_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolkit.data.tables import Patterns
    from toolkit.model import FittedModel
    from toolkit.results.forecast import ProductForecast
    from toolkit.results.pair import FailedPair
    from toolkit.sources.codes import Codes
    from toolkit.sources.sqlserver.importer import ServerImportReport

app = typer.Typer(
    help="Who orders which product next, when, how much, and how sure are we?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

COMMANDS_GROUP = "toolkit.commands"
"""Entry points in it are called with ``app``, to add commands to it."""


def main() -> None:
    """Run a command; what the user got wrong is told in one sentence, without a traceback."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    with reported_in_a_sentence():
        leave_out_working_folder()
        for point in entry_points(group=COMMANDS_GROUP):
            load(point, ToolkitError)(app)
        app()


def run(arguments: "Sequence[str]") -> int:
    """Run a command within this process; returns its exit code."""
    try:
        with reported_in_a_sentence():
            app(list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(own_version())
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Take what stands before a command."""


@app.command("import")
def import_(
    db: Database,
    folder: Annotated[
        Path | None, typer.Argument(help="Holds order_lines, products, customers.")
    ] = None,
    mssql: Mssql = False,
    config: Config = None,
    until: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD; from a SQL Server, only lines before it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a folder of order lines (Parquet or CSV), or a SQL Server, into the embedded database.

    From a SQL Server only what is new is read, however often the command is run.
    """
    from toolkit.cli.display import show_import, show_server_import
    from toolkit.sources.folder.importer import import_folder

    _either("FOLDER", folder is not None, mssql)
    if folder is None:
        show_server_import(_import_server(db, config, until), db, as_json)
        return
    with _status("Importing") as tell:
        report = import_folder(folder, db, progress=tell)
    show_import(report, db, as_json)


@app.command()
def check(
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check the order data in a database, or a SQL Server, and list everything that is wrong."""
    from toolkit.cli.display import show_check
    from toolkit.sources.embedded.checks import check_database
    from toolkit.sources.embedded.database import open_database

    _either("--db", db is not None, mssql)
    if db is None:
        _check_server(config, as_json)
        return
    with _status("Checking"), open_database(db) as conn:
        report = check_database(conn)
    show_check(report, db, as_json)
    if not report.ok:
        raise typer.Exit(2)


@app.command()
def forecast(
    product_id: Product,
    db: Database,
    as_of: AsOf = None,
    weeks: Weeks = 12,
    min_orders: Annotated[int, typer.Option(help="List customers with as many orders.")] = 2,
    min_confidence: Annotated[float, typer.Option(help="… and as much confidence, 0 to 1.")] = 0.3,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model version: NAME or NAME@VERSION. Default the one without a fit.",
            autocompletion=complete_model,
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the weeks, and what was then ordered, to this file.")
    ] = None,
    top: Annotated[int, typer.Option(help="Show so many customers in each table.")] = 10,
    as_json: Json = False,
) -> None:
    """Forecast one product: who orders when, how much, and how sure that is.

    As of a date in the past, it also says what was then ordered.
    """
    from toolkit.cli.display import forecast_json, show_forecast, show_outcome
    from toolkit.engine.arguments import check_whole
    from toolkit.engine.run import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.sources.codes import Codes
    from toolkit.sources.embedded.database import open_database, weekly_quantities

    fitted = None if model is None else load_fit(model, fits)
    if fitted is not None:
        _warn_of_complaints(fitted)
    with open_database(db) as conn:
        codes = Codes.of(conn)
        number = codes.number("product", product_id)
        engine = ForecastEngine(conn, weeks, model=fitted)
        result = engine.generate_forecast(number, as_of, min_orders, min_confidence)
        actual = [] if result is None else weekly_quantities(conn, number, result.start_date, weeks)
    if plot is not None and result is not None:
        _draw(result, actual, plot)
    if as_json:
        typer.echo(json.dumps(None if result is None else forecast_json(result, codes), indent=2))
    elif result is not None:
        show_forecast(result, codes, check_whole("top", top, 1))
        show_outcome(result, actual)
    else:
        typer.echo(f"There is nothing to forecast for product {product_id}.")
        _say_why(db, product_id, number, as_of)


@app.command()
def fit(
    model: Model,
    db: Database,
    as_of: AsOf = None,
    fits: Fits = DEFAULT_FITS,
    pairs: Annotated[int | None, typer.Option(help="Fit to so many pairs, not all.")] = None,
    draws: Annotated[int, typer.Option(help="Draws kept from each chain.")] = 1000,
    tune: Annotated[int, typer.Option(help="Steps of each chain before the first draw.")] = 500,
    chains: Annotated[int, typer.Option(help="Chains of NUTS.")] = 4,
    seed: Seed = 20251111,
    as_json: Json = False,
) -> None:
    """Fit a model to what was known at a date, and save it as a version."""
    from toolkit.cli.display import show_fit
    from toolkit.engine.arguments import check_whole
    from toolkit.fits import check_place, save_fit
    from toolkit.model import FitSettings, FittedModel, find_model
    from toolkit.results.fit import FitCard

    found = find_model(model)
    if isinstance(found, FittedModel):
        raise ModelError(f"{model} needs no fit: it can predict as it is")
    settings = FitSettings(
        draws=check_whole("draws", draws, 4),
        tune=check_whole("tune", tune, 50),
        chains=check_whole("chains", chains, 2),
        pairs=None if pairs is None else check_whole("pairs", pairs, 1),
    )
    with _status("Reading order events"):
        patterns, broken = _all_patterns(db, as_of, found.reads_customer_days)
    _warn_of_failures(broken)
    check_place(fits)
    with _bar("Compiling and sampling", settings.chains * (draws + tune)) as advance:
        fitted = found.fit(
            patterns,
            seed=check_whole("seed", seed, 0),
            settings=settings,
            progress=_steps(advance),
        )
    folder = save_fit(fitted, fits)
    show_fit(folder, FitCard.read(folder) or FitCard(), as_json)
    _warn_of_complaints(fitted)


@app.command()
def predict(
    model: Fitted,
    db: Database,
    out: Annotated[Path, typer.Option(help="Folder for the two tables.")],
    as_of: AsOf = None,
    fits: Fits = DEFAULT_FITS,
    weeks: Weeks = 12,
    draws: Draws = 200,
    seed: Seed = 20251111,
    as_json: Json = False,
) -> None:
    """Predict every product and pair; writes product_weeks.parquet and pairs.parquet."""
    from toolkit.cli.display import show_written
    from toolkit.engine.arguments import MAX_WEEKS, check_whole
    from toolkit.engine.predict_tables import write_predictions
    from toolkit.engine.prediction import CustomerPredictor
    from toolkit.fits import load_fit
    from toolkit.sources.codes import Codes
    from toolkit.sources.embedded.database import open_database

    fitted = load_fit(model, fits)
    _warn_of_complaints(fitted)
    predictor = CustomerPredictor(
        model=fitted,
        weeks=check_whole("weeks", weeks, 1, MAX_WEEKS),
        draws=check_whole("draws", draws, 1),
        seed=check_whole("seed", seed, 0),
    )
    with _status("Reading order events"):
        patterns, broken = _all_patterns(db, as_of, fitted.reads_customer_days)
        with open_database(db) as conn:
            codes = Codes.of(conn)
    with _bar("Predicting pairs", len(patterns)) as advance:
        written = write_predictions(predictor, patterns, out, advance, codes)
    _warn_of_failures((*broken, *written.failed), codes)
    show_written(written, as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what the demo makes.")] = Path("demo"),
) -> None:
    """From a year of grocery orders to what production reads, in five chapters."""
    from toolkit.demo.story import run_demo

    run_demo(out, run)


def _draw(result: "ProductForecast", actual: list[float], file: Path) -> None:
    try:
        result.plot(actual).savefig(file, dpi=150)
    except ValueError as exc:  # no such format
        raise ArgumentError(f"cannot draw to {file}: {exc}") from exc


def _say_why(db: Path, product_id: str, number: int, as_of: str | None) -> None:
    """On stderr, what was ordered of a product for which there is no forecast, and the way out."""
    from toolkit.engine.arguments import parse_date
    from toolkit.sources.embedded.database import open_database, order_span

    with open_database(db) as conn:
        found = order_span(conn, number)
    if found is None:
        said = f"{db} holds no order of product {product_id}."
    else:
        first, last, repeats = found
        said = (
            f"Its orders are from {first} to {last}, the forecast is as of {parse_date(as_of)}, "
            f"{repeats:,} customer{'' if repeats == 1 else 's'} ordered it on two days or more: "
            "try another --as-of, or lower --min-orders and --min-confidence."
        )
    typer.echo(said, err=True)


def _all_patterns(
    db: Path, as_of: str | None, customer_days: bool
) -> "tuple[Patterns, tuple[FailedPair, ...]]":
    from toolkit.engine.arguments import parse_date
    from toolkit.engine.discovery import discover
    from toolkit.engine.patterns import PatternAnalyzer
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source

    as_of_date = parse_date(as_of)
    with open_database(db) as conn:
        source = as_source(conn)
        analyzer = PatternAnalyzer(source, customer_days)
        patterns, broken = analyzer.analyze(discover(source, as_of_date, None))
    if not len(patterns):
        raise PredictionError(f"{db} holds no order before {as_of_date}")
    return patterns, broken


def _warn_of_failures(failed: "tuple[FailedPair, ...]", codes: "Codes | None" = None) -> None:
    for pair in failed:
        customer = codes and codes.code("customer", pair.customer_id)
        product = codes and codes.code("product", pair.product_id)
        typer.echo(
            f"Left out customer {customer or pair.customer_id}"
            f" of product {product or pair.product_id}: {pair.reason}",
            err=True,
        )


def _warn_of_complaints(fitted: "FittedModel") -> None:
    if fitted.complaints:
        said = "; ".join(fitted.complaints)
        typer.echo(f"NOT CONVERGED: {fitted.name}@{fitted.version}: {said}", err=True)


def _steps(advance: "Callable[[int], None]") -> "Callable[[int, int], None]":
    """Turns "so many are done" into "so many more are done"."""
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal seen
        advance(done - seen)
        seen = done

    return tell


def _either(other: str, given: bool, mssql: bool) -> None:
    if given == mssql:
        received = "both" if given else "neither"
        raise ArgumentError(f"one of {other} and --mssql has to be given, got {received}")


def _import_server(db: Path, config: Path | None, until: str | None) -> "ServerImportReport":
    from toolkit.engine.arguments import parse_date
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.importer import import_server
    from toolkit.sources.sqlserver.settings import read_server

    server = read_server(config)
    day = None if until is None else parse_date(until)
    with _status("Importing") as tell, connect(server.settings) as conn:
        place = server.settings.place
        return import_server(conn, db, place, server.names, until=day, progress=tell)


def _check_server(config: Path | None, as_json: bool) -> None:
    from toolkit.cli.display import show_server_check
    from toolkit.sources.sqlserver.check import check_server
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.settings import read_server

    server = read_server(config)
    with _status("Checking"), connect(server.settings) as conn:
        report = check_server(conn, server.names)
    show_server_check(report, server.settings, as_json)
    if not report.ok:
        raise typer.Exit(2)


@contextmanager
def _status(title: str) -> "Iterator[Callable[[str], None]]":
    """A spinner on stderr while something runs; the yielded function changes its text."""
    from rich.console import Console

    with Console(stderr=True).status(f"{title} …") as status:
        yield lambda stage: status.update(f"{title}: {stage} …")


@contextmanager
def _bar(title: str, total: int) -> "Iterator[Callable[[int], None]]":
    """A progress bar on stderr; the yielded function advances it."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)
