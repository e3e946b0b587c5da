"""``toolkit plan``: imports what it needs when it runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toolkit.cli.exits import nothing_before
from toolkit.cli.mistakes import Mistakes, told_at_once
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

if TYPE_CHECKING:
    from toolkit.replenishment.policy import ReplenishmentPolicy

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
    from toolkit.cli.tables import write_tables, wrong_with
    from toolkit.engine import ForecastEngine
    from toolkit.fits import load_fit
    from toolkit.replenishment.plan import plan_replenishment
    from toolkit.replenishment.stock import read_stock
    from toolkit.stages.arguments import check_whole

    if service_level is None and fill_rate is None and (shortage_cost, holding_cost) == (None,) * 2:
        service_level = SERVICE_LEVEL
    with told_at_once() as wrong:
        targets = service_level, fill_rate, shortage_cost, holding_cost
        policy = policy_of(lead_time, review, *targets, wrong=wrong)
        wrong.said += wrong_with(out)
        for name, number, low in (("top", top, 1), ("draws", draws, 1), ("seed", seed, 0)):
            wrong.of(check_whole, name, number, low)
        fitted = None if model is None else wrong.of(load_fit, model, fits)
        if fitted is not None:
            warn_of_fit(fitted)
        with orders_of(db, mssql, config) as orders:
            day = wrong.of(day_of, orders, as_of)
            held = wrong.of(read_stock, stock, orders.codes, orders.source)
            wrong.refuse()
            assert policy is not None
            assert day is not None
            assert held is not None
            engine = ForecastEngine(orders.source, model=fitted, seed=seed)
            made = plan_replenishment(
                engine, held, policy, day, draws=draws, ranked_by=sort, codes=orders.codes
            )
            if made is None:
                nothing_before(f"any product in {stock}", day, orders)
    if out is not None:
        write_tables({"plan": made.to_frame()}, out, None)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=2))
    else:
        show_card(made.to_card(top))


def policy_of(
    lead_time: str, review: int, *targets: float | None, wrong: Mistakes
) -> "ReplenishmentPolicy | None":
    """The policy of some options; None where it has mistakes, which are added to ``wrong``."""
    from toolkit.replenishment.policy import ReplenishmentPolicy, parse_lead_time

    days = wrong.of(parse_lead_time, lead_time)
    policy = wrong.of(ReplenishmentPolicy, 0 if days is None else days, review, *targets)
    return None if days is None else policy
