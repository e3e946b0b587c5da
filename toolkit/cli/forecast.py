"""``toolkit forecast``: imports what it needs when it runs."""

import json
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.exits import nothing_to_forecast
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOf,
    Config,
    DefaultPrice,
    Fits,
    Json,
    MaybeDatabase,
    Mssql,
    Product,
    Weeks,
    complete_model,
    warn_of_fit,
)
from toolkit.cli.orders import orders_of
from toolkit.data.defaults import MIN_CONFIDENCE, MIN_ORDERS, WEEKS
from toolkit.disk import whole_file
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.results.forecast import ProductForecast


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(forecast)


def forecast(
    product_id: Product,
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOf = None,
    weeks: Weeks = WEEKS,
    min_orders: Annotated[
        int, typer.Option(help="List customers with as many orders.")
    ] = MIN_ORDERS,
    min_confidence: Annotated[
        float, typer.Option(help="… and as much confidence, 0 to 1.")
    ] = MIN_CONFIDENCE,
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
        Path | None, typer.Option(help="Draw the weeks, and what was then ordered, to this file.")
    ] = None,
    top: Annotated[int, typer.Option(help="Show so many customers in each table.")] = 10,
    as_json: Json = False,
) -> None:
    """Forecast one product: who orders when, how much, and how sure that is.

    As of a date in the past, it also says what was then ordered. Exit code 3: nobody ordered the
    product before the date, so that there is nothing to forecast.
    """
    import logging

    from toolkit.cli.display import forecast_json, show_forecast
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.sources.sql import weekly_quantities
    from toolkit.stages.arguments import check_whole, parse_date

    discovery = logging.getLogger("toolkit.stages.discovery")
    discovery.setLevel(logging.ERROR)  # that nobody ordered it is said below
    fitted = None if model is None else load_fit(model, fits)
    if fitted is not None:
        warn_of_fit(fitted)
    with orders_of(db, mssql, config) as orders:
        codes = orders.codes
        number = codes.number("product", product_id)
        engine = ForecastEngine(orders.source, weeks, model=fitted, default_price=default_price)
        result = engine.generate_forecast(number, as_of, min_orders, min_confidence)
        actual = None
        if result is not None:
            actual = weekly_quantities(orders.source, number, result.start_date, weeks)
    if plot is not None and result is not None:
        _draw(result, actual, plot)
    if as_json:
        typer.echo(json.dumps(None if result is None else forecast_json(result, codes), indent=2))
    elif result is not None:
        show_forecast(result, codes, check_whole("top", top, 1))
        if actual is not None:
            _show_outcome(result, actual)
    if result is None:
        nothing_to_forecast(_why_nothing(product_id, parse_date(as_of), db, number))


def _draw(result: "ProductForecast", actual: list[float] | None, file: Path) -> None:
    try:
        with whole_file(file) as part:
            result.plot(actual).savefig(part, dpi=150)
    except ValueError as exc:  # no such format
        raise ArgumentError(f"cannot draw to {file}: {exc}") from exc


def _why_nothing(product_id: str, as_of: date, db: Path | None, number: int) -> str:
    """Nobody ordered it; where a file can be asked, it says whether anybody did later."""
    from toolkit.sources.embedded.database import open_database, order_span

    said = (
        f"There is nothing to forecast for product {product_id}: nobody ordered it before {as_of}"
    )
    if db is None:
        return f"{said}."
    with open_database(db) as conn:
        found = order_span(conn, number)
    if found is None:
        return f"{said}, and {db} holds no order of it at all."
    first, last = found
    if first < as_of:
        return f"{said} but for what was returned the same day."
    return f"{said}; its orders in {db} are from {first} to {last}."


def _show_outcome(forecast: "ProductForecast", actual: Sequence[float]) -> None:
    """What was then ordered, [weeks], NaN in those that are not over; nothing if none is."""
    from toolkit.cli.display import print_plain

    over = [
        (ordered, week["demand"]["quantity_quantiles"])
        for ordered, week in zip(actual, forecast.weekly_forecasts, strict=True)
        if not math.isnan(ordered)
    ]
    if not over:
        return
    intervals = [quantiles for _, quantiles in over if quantiles is not None]
    inside = sum(q is not None and q["q10"] <= ordered <= q["q90"] for ordered, q in over)
    said = f", {inside} of the {len(over)} weeks inside their 80 % interval" if intervals else ""
    units = sum(ordered for ordered, _ in over)
    weeks = "in all" if len(over) == len(actual) else f"in the first {len(over)} weeks"
    print_plain(f"What was then ordered: {units:,.0f} units {weeks}{said}.")
