"""``toolkit sensitivity``: imports what it needs when it runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.exits import nothing_before
from toolkit.cli.mistakes import Mistakes, told_at_once
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
    none_or_several,
    warn_of_fit,
)
from toolkit.cli.orders import day_of, numbers_of, orders_of
from toolkit.data.defaults import WEEKS

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
    from toolkit.stages.arguments import MAX_WEEKS, check_price, check_whole

    logging.getLogger("toolkit.stages.discovery").setLevel(logging.ERROR)  # it is said below
    named = list(products or ())
    with told_at_once() as wrong:
        wrong.said += _mistakes(named, everything, out, table)
        grid = _grid(min_orders, min_confidence, wrong)
        wrong.of(check_whole, "forecast_weeks", weeks, 1, MAX_WEEKS)
        wrong.of(check_price, "default_price", default_price)
        fitted = None if model is None else wrong.of(load_fit, model, fits)
        if fitted is not None:
            warn_of_fit(fitted)
        with orders_of(db, mssql, config) as orders:
            day = wrong.of(day_of, orders, as_of)
            ids = wrong.of(numbers_of, orders, "product", named)
            wrong.refuse()
            assert day is not None
            engine = ForecastEngine(orders.source, weeks, model=fitted, default_price=default_price)
            with status("Forecasting"):
                result = engine.sensitivity(
                    ids or None,
                    day,
                    min_orders=grid.min_orders,
                    min_confidence=grid.min_confidence,
                )
            if result is None:
                which = f"product {', '.join(named)}" if named else "any product"
                nothing_before(which, day, orders)
    if plot is not None:
        save_figure(result.plot(), plot)
    if out is not None:
        frames = {name: with_codes(t, orders.codes) for name, t in result.tables().items()}
        write_tables(frames, out, table)
    if as_json:
        print_json(forecast_json(result, orders.codes))
    else:
        show_card(result.to_card())


def _mistakes(
    named: Sequence[str], everything: bool, out: Path | None, table: str | None
) -> list[str]:
    """All that does not go together, a sentence each."""
    from toolkit.cli.tables import wrong_with

    wrong = none_or_several({"PRODUCTS": bool(named), "--all": everything})
    if table is not None and out is None:
        wrong.append("--table is of --out")
    return wrong + wrong_with(out)


def _grid(min_orders: str, min_confidence: str, wrong: Mistakes) -> "ThresholdGrid":
    """What is compared; what is wrong with it is added to ``wrong``."""
    from toolkit.views.sensitivity import ThresholdGrid

    orders = _numbers("--min-orders", "whole numbers", min_orders, int, wrong)
    confidence = _numbers("--min-confidence", "numbers", min_confidence, float, wrong)
    grid = ThresholdGrid()
    given = orders or grid.min_orders, confidence or grid.min_confidence
    return wrong.of(ThresholdGrid, *given) or grid


def _numbers[Number: float](
    option: str, what: str, text: str, number: Callable[[str], Number], wrong: Mistakes
) -> list[Number]:
    """The numbers in a text; what is wrong with it is added to ``wrong``."""
    try:
        return [number(part) for part in text.split(",")]
    except ValueError:
        wrong.said.append(f"{option} has to be {what} with commas between, got {text!r}")
        return []
