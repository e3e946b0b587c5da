"""``toolkit fit``, ``predict`` and ``register``; each imports what it needs when it runs."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOf,
    Cluster,
    Database,
    Draws,
    Fits,
    Fitted,
    Json,
    Model,
    Seed,
    StoreUri,
    Weeks,
    Work,
    warn_of_fit,
)
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.disk import whole_file
from toolkit.errors import ArgumentError, ModelError, PredictionError

if TYPE_CHECKING:
    import duckdb

    from toolkit.data.fingerprint import Fingerprint
    from toolkit.data.tables import Patterns
    from toolkit.model import FittedModel
    from toolkit.results.fit import FitCard
    from toolkit.results.pair import FailedPair
    from toolkit.sources.codes import Codes
    from toolkit.stages.predict_tables import WrittenTables
    from toolkit.tracking.registry import ModelVersionRef

FittedTo = Annotated[
    Path | None, typer.Option("--db", help="What it was fitted to, to keep its fingerprint.")
]
Priors = Annotated[
    list[str] | None,
    typer.Option("--prior", help="NAME=NUMBER[,NUMBER]: a parameter's prior; may be repeated."),
]
Alias = Annotated[str | None, typer.Option(help="An alias that is to name it: challenger, say.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(fit)
    app.command()(diagnose)
    app.command()(predict)
    app.command("register")(register_version)


def fit(
    model: Model,
    db: Database,
    as_of: AsOf = None,
    fits: Fits = DEFAULT_FITS,
    pairs: Annotated[int | None, typer.Option(help="Fit to so many pairs, not all.")] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="Draws kept from each chain, not as many as it takes to converge."),
    ] = None,
    tune: Annotated[
        int | None, typer.Option(help="Steps of each chain before the first draw.")
    ] = None,
    chains: Annotated[int, typer.Option(help="Chains of NUTS.")] = 4,
    country: Annotated[
        list[str] | None,
        typer.Option(help="Its public holidays count: US, US-TX, GB-ENG; may be repeated."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Other days that count, a CSV file: date, kind, last_date, …"),
    ] = None,
    method: Annotated[
        Literal["nuts", "laplace"],
        typer.Option(help="laplace: an approximation in seconds, for a first look."),
    ] = "nuts",
    prior: Priors = None,
    seed: Seed = SEED,
    as_json: Json = False,
) -> None:
    """Fit a model to what was known at a date, and save it as a version."""
    from toolkit.cli.progress import counting_bar, status
    from toolkit.cli.room import saved
    from toolkit.data.calendar import calendar_of
    from toolkit.fits import check_place, place_of
    from toolkit.model import FitSettings, FittedModel, find_model, reads_calendar
    from toolkit.results.fit import FitCard
    from toolkit.stages.arguments import check_whole

    found = find_model(model)
    if isinstance(found, FittedModel):
        raise ModelError(f"{model} needs no fit: it can predict as it is")
    if (country or events) and not reads_calendar(found):
        raise ArgumentError(
            f"{found.name} looks at no dates: --country and --events are for versions that do, "
            "such as rhythm"
        )
    settings = FitSettings(
        draws=None if draws is None else check_whole("draws", draws, 4),
        tune=None if tune is None else check_whole("tune", tune, 50),
        chains=check_whole("chains", chains, 2),
        pairs=None if pairs is None else check_whole("pairs", pairs, 1),
        prior=dict(map(_prior, prior or ())),
        method=method,
        calendar=calendar_of(country or (), events),
    )
    check_place(fits)
    with status("Reading order events"):
        patterns, broken = _all_patterns(db, as_of, found.reads_customer_days)
    _warn_of_failures(broken)
    with counting_bar("Compiling and sampling") as tell:
        fitted = found.fit(
            patterns,
            seed=check_whole("seed", seed, 0),
            settings=settings,
            progress=tell,
        )
    folder = saved(fitted, fits)
    place = place_of(fits / fitted.name / fitted.version)
    _show_fit(folder, place, FitCard.read(folder) or FitCard(), as_json)
    warn_of_fit(fitted)


def _prior(text: str) -> tuple[str, tuple[float, ...]]:
    """``NAME=1.0,0.5``."""
    name, _, numbers = text.partition("=")
    try:
        return name.strip(), tuple(map(float, numbers.split(",")))
    except ValueError as exc:
        raise ArgumentError(f"--prior has to be NAME=NUMBER[,NUMBER], got {text!r}") from exc


def diagnose(
    model: Fitted,
    fits: Fits = DEFAULT_FITS,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page with plots to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show whether a fit's chains have converged, and which parameters hang on the prior."""
    from toolkit.cli.display import print_json, print_plain, show_card
    from toolkit.diagnosis import Diagnosis
    from toolkit.fits import fit_folder
    from toolkit.validation import plain

    found = Diagnosis.of(fit_folder(model, fits))
    if as_json:
        parameters = found.summary.to_dict(orient="index")
        fit = plain(found.fit)
        shown = {name: fit[name] for name in ("diagnostics", "sensitivity")}
        print_json({**shown, "parameters": parameters})
    else:
        show_card(found.to_card())
    if out is not None:
        page = found.page()
        with whole_file(out) as part:
            part.write_text(page, encoding="utf-8")
        if not as_json:
            print_plain(f"Page: {out}")


def predict(
    model: Fitted,
    db: Database,
    out: Annotated[Path, typer.Option(help="Folder for the two tables, or s3://BUCKET/FOLDER.")],
    as_of: AsOf = None,
    fits: Fits = DEFAULT_FITS,
    weeks: Weeks = WEEKS,
    draws: Draws = DRAWS,
    seed: Seed = SEED,
    cluster: Cluster = None,
    work: Work = Path(),
    as_json: Json = False,
) -> None:
    """Predict every product and pair; writes product_weeks.parquet and pairs.parquet.

    A prediction on a cluster that was interrupted is resumed.
    """
    from toolkit.cli.progress import progress_bar, status
    from toolkit.cluster.orders import OrdersAt
    from toolkit.cluster.workers import open_workers
    from toolkit.fits import load_fit, place_of
    from toolkit.sources.codes import Codes
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.parquet.remote import is_remote
    from toolkit.stages.predict_shards import Asked, predict_on
    from toolkit.stages.predict_tables import write_predictions
    from toolkit.stages.prediction import CustomerPredictor
    from toolkit.stored_folders import uploaded

    fitted = load_fit(model, fits)
    warn_of_fit(fitted)
    predictor = CustomerPredictor(fitted, weeks, draws, seed)
    broken: list[FailedPair] = []
    orders = OrdersAt.now(db)  # before they are opened, so that workers see an import meanwhile
    with (
        uploaded(out, work if cluster else None) as folder,
        open_database(db) as conn,
    ):
        tables = _pattern_tables(conn, db, as_of, fitted.reads_customer_days, broken)
        with status("Reading order events"):
            codes, first = Codes.of(conn), next(tables)
        pairs = len(first) if db.is_file() else None  # of a folder, there are more tables to read
        with progress_bar("Predicting pairs", pairs) as advance:
            read = chain([first], tables)
            if cluster is None:
                written = write_predictions(predictor, read, folder, advance, codes)
            else:
                asked = Asked.of(predictor, first.as_of_date, orders, fits)
                with open_workers(1, cluster) as workers:
                    written = predict_on(workers, asked, read, folder, advance)
    _warn_of_failures((*broken, *written.failed), codes)
    place = place_of(out) if is_remote(out) else str(written.pairs.parent)
    _show_written(written, place, as_json)


def register_version(
    model: Fitted,
    fits: Fits = DEFAULT_FITS,
    db: FittedTo = None,
    alias: Alias = None,
    store: StoreUri = None,
    as_json: Json = False,
) -> None:
    """Register a fit as a version of the model inter-order; does nothing if it already is one."""
    from toolkit.fits import load_fit
    from toolkit.tracking.promotion import set_alias
    from toolkit.tracking.registration import register_fit
    from toolkit.tracking.store import open_store
    from toolkit.validation import plain

    fitted = load_fit(model, fits)
    data = None if db is None else plain(_fingerprint(db, fitted))
    opened = open_store(store)
    ref = register_fit(opened, fitted, data=data)
    if alias is not None:
        ref = set_alias(opened, alias, str(ref.number))
    _show_version(ref, as_json)


def _all_patterns(
    db: Path, as_of: str | None, customer_days: bool
) -> "tuple[Patterns, tuple[FailedPair, ...]]":
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source
    from toolkit.stages.arguments import as_of_day
    from toolkit.stages.patterns import read_patterns

    with open_database(db) as conn:
        source = as_source(conn)
        as_of_date = as_of_day(as_of, source)
        patterns, broken = read_patterns(source, as_of_date, customer_days)
    if not len(patterns):
        raise PredictionError(f"{db} holds no order before {as_of_date}")
    return patterns, broken


def _pattern_tables(
    conn: "duckdb.DuckDBPyConnection",
    db: Path,
    as_of: str | None,
    customer_days: bool,
    broken: "list[FailedPair]",
) -> Iterator["Patterns"]:
    """All patterns, a part of the orders at a time; pairs that fail go into ``broken``."""
    from toolkit.sources.sql import as_source
    from toolkit.stages.arguments import as_of_day
    from toolkit.stages.patterns import patterns_in_parts

    source = as_source(conn)
    as_of_date, pairs = as_of_day(as_of, source), 0
    for patterns, failed in patterns_in_parts(source, as_of_date, customer_days):
        broken += failed
        pairs += len(patterns)
        if len(patterns):
            yield patterns
    if not pairs:
        raise PredictionError(f"{db} holds no order before {as_of_date}")


def _warn_of_failures(failed: "tuple[FailedPair, ...]", codes: "Codes | None" = None) -> None:
    for pair in failed:
        customer = codes and codes.code("customer", pair.customer_id)
        product = codes and codes.code("product", pair.product_id)
        typer.echo(
            f"Left out customer {customer or pair.customer_id}"
            f" of product {product or pair.product_id}: {pair.reason}",
            err=True,
        )


def _fingerprint(db: Path, fitted: "FittedModel") -> "Fingerprint":
    """Of the orders that were known when the model was fitted."""
    import tempfile

    from toolkit.data.fingerprint import Fingerprint
    from toolkit.results.fit import FitCard
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source
    from toolkit.stages.arguments import as_of_day

    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        card = FitCard.read(Path(folder))
        if card is None:
            raise ArgumentError(f"{fitted.name} was fitted to nothing: --db does not apply")
    with open_database(db) as conn:
        source = as_source(conn)
        return Fingerprint.of(source.order_events(as_of_day(card.as_of_date, source)))


def _show_fit(folder: Path, place: str, card: "FitCard", as_json: bool) -> None:
    """What a fit learned from, how well it went, and where it lies; ``folder`` may be a copy."""
    from dataclasses import replace

    from toolkit.cli.display import print_json, print_plain, show_card
    from toolkit.validation import plain

    size = sum(path.stat().st_size for path in folder.iterdir())
    if as_json:
        print_json({"folder": place, "bytes": size, **plain(card)})
        return
    show_card(replace(card.to_card(), warnings=()))  # they go to stderr
    print_plain(f"It is in {place} ({size / 1e6:.1f} MB).")


def _show_written(written: "WrittenTables", out: str, as_json: bool) -> None:
    """Which tables a prediction wrote into ``out``."""
    from toolkit.cli.display import answer

    weeks, pairs = (f"{out}/{path.name}" for path in (written.product_weeks, written.pairs))
    content: dict[str, object] = {
        "product_weeks": weeks,
        "pairs": pairs,
        "products": written.products,
        "pair_count": written.pair_count,
        "failed_pairs": len(written.failed),
    }
    said = f"{written.products:,} products: {weeks}\n{written.pair_count:,} pairs: {pairs}"
    answer(said, content, as_json)


def _show_version(ref: "ModelVersionRef", as_json: bool) -> None:
    from toolkit.cli.display import print_json
    from toolkit.results.fit import headed

    if as_json:
        names = ("number", "fit", "uri", "run_id", "aliases", "converged", "warnings")
        print_json({name: getattr(ref, name) for name in names})
        return
    typer.echo(f"{ref}: {ref.uri}")
    if ref.warnings:
        typer.echo(headed(f"{ref.fit}: {'; '.join(ref.warnings)}"), err=True)
