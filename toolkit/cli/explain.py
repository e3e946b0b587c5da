"""``toolkit explain``: imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.exits import nothing_before, nothing_to_forecast
from toolkit.cli.mistakes import told_at_once
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOfOrLast,
    Config,
    Fits,
    Json,
    MaybeDatabase,
    Mssql,
    Weeks,
    complete_model,
    warn_of_fit,
)
from toolkit.cli.orders import day_of, numbers_of, orders_of, replaced_by
from toolkit.data.defaults import WEEKS


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(explain)


def explain(
    product: Annotated[str, typer.Argument(help="The product: its id, code or name.")],
    customer: Annotated[
        str | None,
        typer.Option(help="Explain this customer's orders of it: their id, code or name."),
    ] = None,
    against_all: Annotated[
        bool,
        typer.Option(
            "--against-all", help="Hold the customer against those of all products, not of this."
        ),
    ] = False,
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    weeks: Weeks = WEEKS,
    model: Annotated[
        str | None,
        typer.Option(
            help="A fitted version that can: NAME or NAME@VERSION, such as rhythm.",
            autocompletion=complete_model,
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    plot: Annotated[Path | None, typer.Option(help="Draw the parts as bars to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Why a forecast is what it is: of a product, or of one of its customers.

    Of a customer: what makes them order more or less often than a typical one. Exit code 3: there
    is nothing to forecast.
    """
    import logging

    from toolkit.cli.display import forecast_json, print_json, save_figure, show_card
    from toolkit.cli.progress import status
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.stages.arguments import MAX_WEEKS, check_whole

    logging.getLogger("toolkit.stages.discovery").setLevel(logging.ERROR)  # it is said below
    with told_at_once() as wrong:
        if against_all and customer is None:
            wrong.said.append("--against-all is of a --customer")
        wrong.of(check_whole, "forecast_weeks", weeks, 1, MAX_WEEKS)
        fitted = None if model is None else wrong.of(load_fit, model, fits)
        if fitted is not None:
            warn_of_fit(fitted)
        with orders_of(db, mssql, config) as orders:
            day = wrong.of(day_of, orders, as_of)
            numbers = wrong.of(numbers_of, orders, "product", [product])
            found = wrong.of(numbers_of, orders, "customer", [] if customer is None else [customer])
            wrong.refuse()
            assert day is not None
            assert numbers is not None
            number, who = numbers[0], found[0] if found else None
            engine = ForecastEngine(orders.source, weeks, model=fitted)
            with status("Explaining"):
                result = engine.explain(
                    number, who, day, against="all" if against_all else "product"
                )
    if result is None:
        by = "" if customer is None else f" by customer {customer}"
        if replaced := replaced_by(orders, number, day):
            nothing_to_forecast(f"There is nothing to explain of product {product}: {replaced}.")
        nothing_before(f"product {product}{by}", day, orders)
    if plot is not None:
        save_figure(result.plot(), plot)
    if as_json:
        print_json(forecast_json(result, orders.codes))
    else:
        of_customer = None if who is None else orders.codes.code("customer", who)
        show_card(result.to_card(orders.codes.code("product", number), of_customer))
