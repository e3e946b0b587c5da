"""``toolkit sensitivity``: imports what it needs when it runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from toolkit.views.sensitivity import ThresholdGrid


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(sensitivity)


def sensitivity(
    products: Annotated[
        list[str] | None, typer.Argument(help="Products, each by id, code or name.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All products.")] = False,
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    weeks: Weeks = WEEKS,
    min_orders: Annotated[
        str, typer.Option(help="List customers with at least so many orders: each of these.")
    ] = "1,2,3,4,5",
    min_confidence: Annotated[
        str, typer.Option(help="… and as much confidence, 0 to 1: each of these.")
    ] = "0,.1,.2,.3,.4,.5",
    model: Annotated[
        str | None,
        typer.Option(
            help="A model version: NAME or NAME@VERSION. Default the one without a fit.",
            autocompletion=complete_model,
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    default_price: DefaultPrice = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw listed customers and covered demand to this file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables to FILE.csv, .xlsx or .parquet.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="… this one alone: totals (default) or products.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Whom thresholds list, and what share of the demand: over min_orders and min_confidence.

    From one forecast: thresholds filter lists, never demand. Exit code 3: there is nothing to
    forecast.
    """
    import logging

    from toolkit.cli.display import forecast_json, print_json, save_figure, show_card
    from toolkit.cli.progress import status
    from toolkit.cli.tables import with_codes, write_tables
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit

    logging.getLogger("toolkit.stages.discovery").setLevel(logging.ERROR)  # it is said below
    named = list(products or ())
    grid = _checked(named, everything, out, table, min_orders, min_confidence)
    fitted = None if model is None else load_fit(model, fits)
    if fitted is not None:
        warn_of_fit(fitted)
    with orders_of(db, mssql, config) as orders:
        engine = ForecastEngine(orders.source, weeks, model=fitted, default_price=default_price)
        day = day_of(orders, as_of)
        ids = numbers_of(orders, "product", named) if named else None
        with status("Forecasting"):
            result = engine.sensitivity(
                ids, day, min_orders=grid.min_orders, min_confidence=grid.min_confidence
            )
        if result is None:
            nothing_before(f"product {', '.join(named)}" if named else "any product", day, orders)
    if plot is not None:
        save_figure(result.plot(), plot)
    if out is not None:
        frames = {name: with_codes(t, orders.codes) for name, t in result.tables().items()}
        write_tables(frames, out, table)
    if as_json:
        print_json(forecast_json(result, orders.codes))
    else:
        show_card(result.to_card())


def _checked(
    named: Sequence[str],
    everything: bool,
    out: Path | None,
    table: str | None,
    min_orders: str,
    min_confidence: str,
) -> "ThresholdGrid":
    """What is compared. ``ArgumentError`` with all that is wrong, or does not go together."""
    from toolkit.cli.tables import wrong_with
    from toolkit.views.sensitivity import ThresholdGrid

    wrong = wrong_with(out)
    if bool(named) == everything:
        wrong.append("one of PRODUCTS and --all has to be given")
    if table is not None and out is None:
        wrong.append("--table is of --out")
    orders = _numbers("--min-orders", "whole numbers", min_orders, int, wrong)
    confidence = _numbers("--min-confidence", "numbers", min_confidence, float, wrong)
    grid = ThresholdGrid()
    try:
        grid = ThresholdGrid(orders or grid.min_orders, confidence or grid.min_confidence)
    except ArgumentError as exc:
        wrong.append(str(exc))
    if wrong:
        raise ArgumentError("; ".join(wrong))
    return grid


def _numbers[Number: float](
    option: str, what: str, text: str, number: Callable[[str], Number], wrong: list[str]
) -> list[Number]:
    """The numbers in a text; what is wrong with it is added to ``wrong``."""
    try:
        return [number(part) for part in text.split(",")]
    except ValueError:
        wrong.append(f"{option} has to be {what} with commas between, got {text!r}")
        return []
