"""``toolkit replay``; imports what it needs when it runs."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import DEFAULT_FITS, Database, Fits, Json, Seed
from toolkit.data.defaults import PLAN_DRAWS, SEED


def replay(
    db: Database,
    lead_time: Annotated[
        str, typer.Option(help="Days from order to delivery: 14, or 10:0.2,14:0.8.")
    ],
    review: Annotated[int, typer.Option(help="Days until one may order again.")] = 7,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME, or NAME@VERSION of a fit of before the first date; may be repeated."
        ),
    ] = None,
    fits: Fits = DEFAULT_FITS,
    target: Annotated[
        list[float] | None,
        typer.Option(help="A service level and fill rate; may be repeated. Default .9 .95 .98."),
    ] = None,
    dates: Annotated[int, typer.Option(help="So many as-of dates, Mondays …")] = 12,
    step_weeks: Annotated[int, typer.Option(help="… so many weeks apart, the last …")] = 4,
    last: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="… this one. Default the last that can be."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Paths of each product's demand.")] = PLAN_DRAWS,
    seed: Seed = SEED,
    out: Annotated[
        Path | None, typer.Option(help="Write what was found to this JSON file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What `toolkit plan` would have achieved at past dates, beside rules that people use.

    Service against its targets, with intervals, and the stock that each rule takes for the same
    service. Nothing at or after a date is known to what decides at it.
    """
    from backtests.replay.dates import replay_dates
    from backtests.replay.outcomes import weeks_of
    from backtests.replay.replay import TARGETS, run_replay
    from backtests.run.experiment import VersionSpec
    from backtests.run.fitting import frozen_fit
    from toolkit.cli.display import print_json, show_card
    from toolkit.cli.progress import progress_bar
    from toolkit.model import DEFAULT_MODEL
    from toolkit.replenishment.policy import ReplenishmentPolicy, parse_lead_time
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source
    from toolkit.stages.arguments import check_whole
    from toolkit.validation import write

    policy = ReplenishmentPolicy(parse_lead_time(lead_time), review, service_level=0.5)
    with open_database(db) as conn:
        source = as_source(conn)
        days = replay_dates(
            source, weeks_of(policy), dates, step_weeks, None if last is None else last.date()
        )
        models = {
            name: frozen_fit(VersionSpec(model=name, refit="frozen"), days[0], fits)
            for name in model or [DEFAULT_MODEL]
        }
        with progress_bar("Replaying", len(days)) as advance:
            made = run_replay(
                source, days, policy, models, target or TARGETS,
                draws=check_whole("draws", draws, 1), seed=seed, progress=advance,
            )  # fmt: skip
    if out is not None:
        write(out, made.to_dict())
    if as_json:
        print_json(made.to_dict())
    else:
        show_card(made.to_card())
