"""``toolkit forecast``: imports what it needs when it runs."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.exits import nothing_before, nothing_to_forecast
from toolkit.cli.mistakes import told_at_once
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOfOrLast,
    Cluster,
    Config,
    DefaultPrice,
    Fits,
    Jobs,
    Json,
    MaybeDatabase,
    Mssql,
    Weeks,
    Work,
    complete_model,
    none_or_several,
    warn_of_fit,
)
from toolkit.cli.orders import day_of, numbers_of, orders_of, replaced_by, tell_age
from toolkit.data.defaults import MIN_CONFIDENCE, MIN_ORDERS, WEEKS

if TYPE_CHECKING:
    from toolkit.cli.display import AnyForecast
    from toolkit.cluster.on_workers import OnWorkers
    from toolkit.cluster.orders import OrdersAt
    from toolkit.engine import ForecastEngine
    from toolkit.results.forecast import ProductForecast
    from toolkit.results.portfolio import PortfolioForecast
    from toolkit.sources.open import OpenSource


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(forecast)


def forecast(
    products: Annotated[
        list[str] | None, typer.Argument(help="Products, each by id, code or name.")
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option(help="What this customer orders next: their id, code or name."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All products together: totals, movers, who is at risk.")
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="The products that are named, together.")
    ] = False,
    category: Annotated[
        list[str] | None,
        typer.Option(help="All products of this category together; may be repeated."),
    ] = None,
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    weeks: Weeks = WEEKS,
    min_orders: Annotated[
        int, typer.Option(help="List customers with at least so many orders.")
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
    jobs: Jobs = 1,
    cluster: Cluster = None,
    work: Work = Path(),
    plot: Annotated[
        Path | None, typer.Option(help="Draw the weeks, and what was then ordered, to this file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables to FILE.csv, .xlsx or .parquet.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="… this one alone; Excel gets all of them by default.")
    ] = None,
    top: Annotated[int, typer.Option(help="Show so many rows in each table.")] = 10,
    as_json: Json = False,
) -> None:
    """Forecast products, a customer, a category, or all: who orders when, how much, how sure.

    As of a date in the past, it also says what was then ordered of a product. Exit code 3: there
    is nothing to forecast.
    """
    import logging

    from toolkit.cluster.orders import OrdersAt
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.stages.arguments import MAX_WEEKS, check_price, check_share, check_whole
    from toolkit.stages.listing import ProductThresholds, Thresholds
    from toolkit.views.categories import products_in

    discovery = logging.getLogger("toolkit.stages.discovery")
    discovery.setLevel(logging.ERROR)  # that nobody ordered a product is said below
    named, categories = list(products or ()), list(category or ())
    asked = Asked(top, as_json, plot, out, table)
    by_workers = jobs > 1 or cluster is not None
    with told_at_once() as wrong:
        wrong.said += _mistakes(named, customer, categories, everything, together, asked)
        if by_workers:
            all_in_one = everything or together or bool(categories)
            wrong.said += _mistakes_with_workers(db, cluster, all_in_one)
        wrong.of(check_whole, "jobs", jobs, 1)
        wrong.of(check_whole, "top", top, 1)
        wrong.of(check_whole, "forecast_weeks", weeks, 1, MAX_WEEKS)
        wrong.of(check_whole, "min_orders", min_orders, 1)
        wrong.of(check_share, "min_confidence", min_confidence)
        wrong.of(check_price, "default_price", default_price)
        fitted = None if model is None else wrong.of(load_fit, model, fits)
        if fitted is not None:
            warn_of_fit(fitted)
        known = None if db is None or not by_workers else OrdersAt.now(db)  # before they are opened
        with orders_of(db, mssql, config) as orders:
            day = wrong.of(day_of, orders, as_of)
            ids = wrong.of(numbers_of, orders, "product", named)
            who = wrong.of(numbers_of, orders, "customer", [] if customer is None else [customer])
            if categories:
                wrong.of(products_in, orders.source, categories)
            wrong.refuse()
            assert day is not None
            assert ids is not None
            assert who is not None
            engine = ForecastEngine(
                orders.source,
                weeks,
                model=fitted,
                thresholds=ProductThresholds(Thresholds(min_orders, min_confidence)),
                default_price=default_price,
            )
            tell_age(orders, as_of)
            if customer is not None:
                _of_customer(engine, orders, customer, who[0], day, asked)
            elif everything or together or categories:
                with _workers(known, jobs, cluster, work) as by:
                    result = engine.forecast_portfolio(
                        ids or None, day, category=categories or None, by=by
                    )
                _show_all(result, orders, named or categories, bool(named), day, asked)
            else:
                _of_products(engine, orders, named, ids, day, asked, db)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a forecast is to be shown."""

    top: int
    as_json: bool
    plot: Path | None
    out: Path | None
    table: str | None


def _mistakes(
    named: Sequence[str],
    customer: str | None,
    categories: Sequence[str],
    everything: bool,
    together: bool,
    asked: Asked,
) -> list[str]:
    """All that does not go together, a sentence each."""
    from toolkit.cli.tables import wrong_with

    given = {
        "PRODUCTS": bool(named),
        "--customer": customer is not None,
        "--category": bool(categories),
        "--all": everything,
    }
    in_one = len(named) == 1 or together or everything or bool(categories)
    wrong = {
        "--together is of products that are named": together and not named,
        "--plot is of one product, of several --together, of --category, or of --all": asked.plot
        is not None
        and not in_one,
        "--table is of --out": asked.table is not None and asked.out is None,
        "--out is of one forecast: give several products --together": asked.out is not None
        and len(named) > 1
        and not together,
    }
    apart = [text for text, found in wrong.items() if found]
    return [*none_or_several(given), *apart, *wrong_with(asked.out)]


def _mistakes_with_workers(db: Path | None, cluster: str | None, all_in_one: bool) -> list[str]:
    """What does not go together with processes or workers that forecast."""
    option = "--jobs" if cluster is None else "--cluster"
    wrong = {
        f"{option} is of --all, of --category, or of products --together": not all_in_one,
        f"{option} forecasts from orders that were imported: name them by --db": db is None,
    }
    return [text for text, found in wrong.items() if found]


def _of_customer(
    engine: "ForecastEngine",
    orders: "OpenSource",
    customer: str,
    number: int,
    as_of: date,
    asked: Asked,
) -> None:
    from toolkit.cli.display import codes_of, show_card

    result = engine.forecast_customer(number, as_of)
    _write([result], orders, asked)
    if result is None:
        nothing_before(f"customer {customer}", as_of, orders)
    if not asked.as_json:
        ids = [product["product_id"] for product in result.products]
        codes = codes_of(orders.codes, "product", ids)
        show_card(result.to_card(asked.top, orders.codes.code("customer", number), codes))


@contextmanager
def _workers(
    orders: "OrdersAt | None", jobs: int, cluster: str | None, work: Path
) -> "Iterator[OnWorkers | None]":
    """Who predicts; None where this process does."""
    from toolkit.cli.progress import counting_bar, status
    from toolkit.cluster.on_workers import on_workers

    if orders is None:
        with status("Forecasting"):
            yield None
        return
    with (
        counting_bar("Forecasting products") as bar,
        on_workers(orders, jobs, cluster, work, bar) as by,
    ):
        yield by


def _show_all(
    result: "PortfolioForecast | None",
    orders: "OpenSource",
    listed: Sequence[str],
    products: bool,
    as_of: date,
    asked: Asked,
) -> None:
    """``listed``: the products, or else the categories, that were named."""
    from toolkit.cli.display import codes_of, save_figure, show_card

    _write([result], orders, asked)
    if result is None:
        kind = "product" if products else "category"
        nothing_before(f"{kind} {', '.join(listed)}" if listed else "any product", as_of, orders)
    if asked.plot is not None:
        save_figure(result.plot(), asked.plot)
    if not asked.as_json:
        ids = [product["product_id"] for product in result.products]
        customers = [customer["customer_id"] for customer in result.at_risk_customers]
        of_products = codes_of(orders.codes, "product", ids)
        of_customers = codes_of(orders.codes, "customer", customers)
        show_card(result.to_card(asked.top, of_products, of_customers))


def _of_products(
    engine: "ForecastEngine",
    orders: "OpenSource",
    named: Sequence[str],
    numbers: Sequence[int],
    as_of: date,
    asked: Asked,
    db: Path | None,
) -> None:
    results = engine.generate_forecasts(numbers, as_of)
    _write([results[number] for number in numbers], orders, asked)
    for number in numbers:
        if (result := results[number]) is not None:
            _show_product(result, orders, asked)
    reasons = [
        _why_nothing(name, as_of, db, number, orders)
        for name, number in zip(named, numbers, strict=True)
        if results[number] is None
    ]
    if len(reasons) == len(numbers):
        nothing_to_forecast("\n".join(reasons))
    for reason in reasons:
        typer.echo(reason, err=True)


def _show_product(result: "ProductForecast", orders: "OpenSource", asked: Asked) -> None:
    """The forecast, and what was then ordered where that is known."""
    from toolkit.cli.display import save_figure, show_forecast
    from toolkit.sources.sql import weekly_quantities

    if asked.as_json and asked.plot is None:
        return
    weeks = result.forecast_period_weeks
    actual = weekly_quantities(orders.source, result.product_id, result.start_date, weeks)
    if asked.plot is not None:
        save_figure(result.plot(actual), asked.plot)
    if not asked.as_json:
        show_forecast(result, orders.codes, asked.top)
        _show_outcome(result, actual)


def _write(results: "Sequence[AnyForecast | None]", orders: "OpenSource", asked: Asked) -> None:
    """Tables in a file, and JSON: of several a list, null where there is nothing to forecast."""
    from toolkit.cli.display import forecast_json
    from toolkit.cli.tables import with_codes, write_tables

    first = results[0]
    if asked.out is not None and first is not None:
        tables = {name: with_codes(frame, orders.codes) for name, frame in first.tables().items()}
        write_tables(tables, asked.out, asked.table)
    if asked.as_json:
        made = [None if one is None else forecast_json(one, orders.codes) for one in results]
        typer.echo(json.dumps(made[0] if len(made) == 1 else made, indent=2))


def _why_nothing(
    product_id: str, as_of: date, db: Path | None, number: int, orders: "OpenSource"
) -> str:
    """It was replaced, or nobody ordered it; a file says whether anybody did later."""
    from toolkit.sources.embedded.database import open_database, order_span

    if replaced := replaced_by(orders, number, as_of):
        return f"There is nothing to forecast for product {product_id}: {replaced}."
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
        return f"{said} but for what was wholly returned."
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
