"""``toolkit plan``: imports what it needs when it runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toolkit.cli.exits import nothing_before
from toolkit.cli.options import (
    DEFAULT_FITS,
    AsOfOrLast,
    Config,
    Fits,
    Json,
    MaybeDatabase,
    Mssql,
    Seed,
    complete_model,
    warn_of_fit,
)
from toolkit.cli.orders import day_of, orders_of
from toolkit.data.defaults import PLAN_DRAWS, SEED
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.replenishment.policy import LeadTime, ReplenishmentPolicy

SERVICE_LEVEL = 0.95


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(plan)


def plan(
    stock: Annotated[
        Path, typer.Option(help="CSV: product, on_hand, on_order; more columns are optional.")
    ],
    lead_time: Annotated[
        str, typer.Option(help="Days from order to delivery: 14, or 10:0.2,14:0.8.")
    ],
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_of: AsOfOrLast = None,
    review: Annotated[int, typer.Option(help="Days until one may order again.")] = 7,
    service_level: Annotated[
        float | None,
        typer.Option(
            help="P(no shortage until the next delivery after this one). Default "
            f"{SERVICE_LEVEL}, where no other target is given."
        ),
    ] = None,
    fill_rate: Annotated[
        float | None, typer.Option(help="Instead: share of demand that is served at once.")
    ] = None,
    shortage_cost: Annotated[
        float | None, typer.Option(help="Instead: what a unit short costs, against …")
    ] = None,
    holding_cost: Annotated[
        float | None, typer.Option(help="… what a unit left at the next delivery costs.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model version: NAME or NAME@VERSION. Default the one without a fit.",
            autocompletion=complete_model,
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    draws: Annotated[int, typer.Option(help="Paths of each product's demand.")] = PLAN_DRAWS,
    seed: Seed = SEED,
    sort: Annotated[
        Literal["run_out", "shortage"],
        typer.Option(help="On top: what runs out first, or whose shortage costs most."),
    ] = "run_out",
    top: Annotated[int, typer.Option(help="Show so many products.")] = 20,
    out: Annotated[
        Path | None, typer.Option(help="Write all products to FILE.csv, .xlsx or .parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What to order now: reorder points, order-up-to levels and quantities for the stock at hand.

    From draws of demand until the next delivery after this one; no distribution is assumed. Exit
    code 3: nobody ordered any product of the stock before.
    """
    from toolkit.cli.display import show_card
    from toolkit.cli.tables import write_tables
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.replenishment.plan import plan_replenishment
    from toolkit.replenishment.policy import ReplenishmentPolicy
    from toolkit.replenishment.stock import read_stock
    from toolkit.stages.arguments import check_whole, parse_date

    fitted = None if model is None else load_fit(model, fits)
    if fitted is not None:
        warn_of_fit(fitted)
    if service_level is None and fill_rate is None and (shortage_cost, holding_cost) == (None,) * 2:
        service_level = SERVICE_LEVEL
    with orders_of(db, mssql, config) as orders:
        policy, held = _checked(
            lambda: _policy(
                lead_time,
                lambda days: ReplenishmentPolicy(
                    days, review, service_level, fill_rate, shortage_cost, holding_cost
                ),
            ),
            lambda: read_stock(stock, orders.codes, orders.source),
            lambda: check_whole("top", top, 1),
            lambda: check_whole("draws", draws, 1),
            lambda: parse_date(day_of(orders, as_of)),
            lambda: _check_table(out),
        )  # fmt: skip
        engine = ForecastEngine(orders.source, model=fitted, seed=seed)
        made = plan_replenishment(
            engine, held, policy, day_of(orders, as_of), draws=draws, ranked_by=sort,
            codes=orders.codes,
        )  # fmt: skip
        if made is None:
            nothing_before(f"any product in {stock}", day_of(orders, as_of), orders)
    if out is not None:
        write_tables({"plan": made.to_frame()}, out, None)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=2))
    else:
        show_card(made.to_card(top))


def _policy(
    lead_time: str, policy_with: "Callable[[LeadTime], ReplenishmentPolicy]"
) -> "ReplenishmentPolicy":
    """The policy with a lead time; ``ArgumentError`` with all that is wrong with either."""
    from toolkit.replenishment.policy import parse_lead_time

    found: list[str] = []
    days: LeadTime = 0
    try:
        days = parse_lead_time(lead_time)
    except ArgumentError as exc:
        found.append(str(exc))
    try:
        made = policy_with(days)
    except ArgumentError as exc:
        found.append(str(exc))
    if found:
        raise ArgumentError("\n".join(found))
    return made


def _checked[Policy, Held](
    policy: "Callable[[], Policy]", stock: "Callable[[], Held]", *others: "Callable[[], object]"
) -> "tuple[Policy, Held]":
    """What both make; ``DataError`` with all that is wrong with any of it."""
    from toolkit.errors import DataError, Finding

    found: list[Finding] = []
    made: list[object] = []
    for make in (policy, stock, *others):
        try:
            made.append(make())
        except DataError as exc:
            found += exc.findings
        except ArgumentError as exc:
            found += [Finding("options", line, 0) for line in str(exc).splitlines()]
    if found:
        raise DataError("what was asked", found)
    return made[0], made[1]  # type: ignore[return-value]


def _check_table(out: Path | None) -> None:
    from toolkit.cli.tables import wrong_with

    if wrong := wrong_with(out):
        raise ArgumentError("\n".join(wrong))
