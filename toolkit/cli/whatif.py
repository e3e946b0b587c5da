"""``toolkit whatif``: imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.exits import nothing_before
from toolkit.cli.mistakes import told_at_once
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
    from toolkit.data.scenario import read_scenarios
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.stages.arguments import MAX_WEEKS, check_price, check_whole

    logging.getLogger("toolkit.stages.discovery").setLevel(logging.ERROR)  # it is said below
    named = list(product or ())
    with told_at_once() as wrong:
        if table is not None and out is None:
            wrong.said.append("--table is of --out")
        wrong.said += wrong_with(out)
        wrong.of(check_whole, "top", top, 1)
        horizon = wrong.of(check_whole, "forecast_weeks", weeks, 1, MAX_WEEKS)
        price = wrong.of(check_price, "default_price", default_price)
        fitted = None if model is None else wrong.of(load_fit, model, fits)
        if fitted is not None:
            warn_of_fit(fitted)
        with orders_of(db, mssql, config) as orders:
            day = wrong.of(day_of, orders, as_of)
            ids = wrong.of(numbers_of, orders, "product", named)
            if wrong.said and day is not None and (model is None or fitted is not None):
                # Of no product nothing is compared: the file's mistakes alone. Where the horizon
                # or the price is a mistake itself, one that suits all files stands for it.
                price = price or (None if default_price is None else 1.0)
                engine = ForecastEngine(
                    orders.source, horizon or MAX_WEEKS, model=fitted, default_price=price
                )
                wrong.of(engine.compare_scenarios, file, [], day, codes=orders.codes)
            elif wrong.said:
                wrong.of(read_scenarios, file)
            wrong.refuse()
            assert day is not None
            engine = ForecastEngine(orders.source, weeks, model=fitted, default_price=default_price)
            with status("Comparing"):
                result = engine.compare_scenarios(file, ids or None, day, codes=orders.codes)
            if result is None:
                what = f"product {', '.join(named)}" if named else "any product"
                nothing_before(what, day, orders)
    if out is not None:
        frames = {name: with_codes(t, orders.codes) for name, t in result.tables().items()}
        write_tables(frames, out, table)
    if as_json:
        print_json(forecast_json(result, orders.codes))
    else:
        shown = {row["product_id"] for one in result.scenarios for row in one["products"]}
        show_card(result.to_card(top, codes_of(orders.codes, "product", shown)))
