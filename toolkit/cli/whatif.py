"""``toolkit whatif``: imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.exits import nothing_before
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOfOrLast,
    Config,
    DefaultPrice,
    Fits,
    Json,
    MaybeDatabase,
    Mssql,
    Weeks,
    complete_model,
    warn_of_fit,
)
from toolkit.cli.orders import day_of, numbers_of, orders_of
from toolkit.data.defaults import WEEKS
from toolkit.errors import ArgumentError


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(whatif)


def whatif(
    file: Annotated[Path, typer.Argument(help="The scenarios: TOML, or JSON in a file .json.")],
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    product: Annotated[
        list[str] | None,
        typer.Option(help="Compare this product alone, by id, code or name; may be repeated."),
    ] = None,
    weeks: Weeks = WEEKS,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model version: NAME or NAME@VERSION. Default the one without a fit.",
            autocompletion=complete_model,
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    default_price: DefaultPrice = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables to FILE.csv, .xlsx or .parquet.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="… this one alone: products (default), weeks or totals."),
    ] = None,
    top: Annotated[int, typer.Option(help="Show so many rows in each table.")] = 10,
    as_json: Json = False,
) -> None:
    """What if demand, prices, customers or products change: scenarios beside the forecast.

    Differences are of the same draws. Exit code 3: there is nothing to forecast.
    """
    import logging

    from toolkit.cli.display import codes_of, forecast_json, print_json, show_card
    from toolkit.cli.progress import status
    from toolkit.cli.tables import with_codes, write_tables, wrong_with
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.stages.arguments import check_whole

    logging.getLogger("toolkit.stages.discovery").setLevel(logging.ERROR)  # it is said below
    check_whole("top", top, 1)
    idle = ["--table is of --out"] if table is not None and out is None else []
    if wrong := [*idle, *wrong_with(out)]:
        raise ArgumentError("; ".join(wrong))
    fitted = None if model is None else load_fit(model, fits)
    if fitted is not None:
        warn_of_fit(fitted)
    with orders_of(db, mssql, config) as orders:
        engine = ForecastEngine(orders.source, weeks, model=fitted, default_price=default_price)
        day = day_of(orders, as_of)
        ids = numbers_of(orders, "product", product) if product else None
        with status("Comparing"):
            result = engine.compare_scenarios(file, ids, day, codes=orders.codes)
        if result is None:
            what = f"product {', '.join(product)}" if product else "any product"
            nothing_before(what, day, orders)
    if out is not None:
        frames = {name: with_codes(t, orders.codes) for name, t in result.tables().items()}
        write_tables(frames, out, table)
    if as_json:
        print_json(forecast_json(result, orders.codes))
    else:
        shown = {row["product_id"] for one in result.scenarios for row in one["products"]}
        show_card(result.to_card(top, codes_of(orders.codes, "product", shown)))
