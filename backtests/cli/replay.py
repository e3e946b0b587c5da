"""``toolkit replay``; imports what it needs when it runs."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.mistakes import told_at_once
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
    from backtests.replay.dates import MOST_DATES, MOST_WEEKS, replay_dates
    from backtests.replay.outcomes import weeks_of
    from backtests.replay.replay import TARGETS, check_targets, run_replay
    from backtests.run.experiment import VersionSpec
    from backtests.run.fitting import frozen_fit
    from toolkit.cli.display import print_json, show_card
    from toolkit.cli.plan import policy_of
    from toolkit.cli.progress import progress_bar
    from toolkit.model import DEFAULT_MODEL
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source
    from toolkit.stages.arguments import check_whole
    from toolkit.validation import write

    with told_at_once() as wrong:
        policy = policy_of(lead_time, review, 0.5, wrong=wrong)
        wrong.of(check_targets, target or TARGETS)
        counted = [
            wrong.of(check_whole, "dates", dates, 1, MOST_DATES),
            wrong.of(check_whole, "step_weeks", step_weeks, 1, MOST_WEEKS),
        ]
        wrong.of(check_whole, "draws", draws, 1)
        wrong.of(check_whole, "seed", seed, 0)
        with open_database(db) as conn:
            source, days = as_source(conn), None
            newest = None if last is None else last.date()
            if policy is not None and None not in counted:
                days = wrong.of(replay_dates, source, weeks_of(policy), dates, step_weeks, newest)
            models = {
                name: wrong.of(
                    frozen_fit,
                    VersionSpec(model=name, refit="frozen"),
                    date.max if days is None else days[0],  # no fit is too late for that
                    fits,
                )
                for name in model or [DEFAULT_MODEL]
            }
            wrong.refuse()
            assert policy is not None
            assert days is not None
            fitted = {name: one for name, one in models.items() if one is not None}
            with progress_bar("Replaying", len(days)) as advance:
                made = run_replay(
                    source, days, policy, fitted, target or TARGETS,
                    draws=draws, seed=seed, progress=advance,
                )  # fmt: skip
    if out is not None:
        write(out, made.to_dict())
    if as_json:
        print_json(made.to_dict())
    else:
        show_card(made.to_card())
