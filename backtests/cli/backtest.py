"""The commands of backtests, added to the command line; each imports what it needs when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from backtests.cli.promote import promote
from backtests.cli.replay import replay
from backtests.cli.report import report
from backtests.cli.scores import compare, keep_comparison, thresholds
from backtests.cli.watch import watch
from backtests.run.shipped import shipped_experiments
from toolkit.cli.options import DEFAULT_FITS, DEFAULT_RUNS, Cluster, Json, Run, StoreUri


def complete_experiment(incomplete: str) -> list[str]:
    """Shipped experiments, for the shell; it completes files by itself."""
    return [name for name in shipped_experiments() if name.startswith(incomplete)]


Experiment = Annotated[
    Path,
    typer.Argument(
        help="What to do: a TOML file, or the name of a shipped one: quick, versions, peers.",
        autocompletion=complete_experiment,
    ),
]
Database = Annotated[
    Path | None, typer.Option("--db", help="The database, in place of the experiment's.")
]
Runs = Annotated[
    Path, typer.Option("--runs", help="Folder of the runs, or s3://BUCKET/FOLDER for a copy.")
]
Work = Annotated[
    Path, typer.Option("--work", help="With --runs s3://…: where the run itself lies.")
]
Fits = Annotated[
    Path, typer.Option("--fits", help="Folder of fits for frozen versions, or s3://BUCKET/FOLDER.")
]
Jobs = Annotated[int, typer.Option("--jobs", help="Processes; they change no result.")]
Log = Annotated[bool, typer.Option(help="Log the run to MLflow.")]

DEFAULT_JOBS = os.cpu_count() or 1


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(backtest)
    app.command()(track)
    app.command()(report)
    app.command()(compare)
    app.command()(thresholds)
    app.command()(promote)
    app.command()(replay)
    app.command()(watch)


def backtest(
    experiment: Experiment,
    db: Database = None,
    jobs: Jobs = DEFAULT_JOBS,
    cluster: Cluster = None,
    runs: Runs = DEFAULT_RUNS,
    work: Work = DEFAULT_RUNS,
    fits: Fits = DEFAULT_FITS,
    log: Log = True,
    store: StoreUri = None,
    as_json: Json = False,
) -> None:
    """Predict at past dates and score what was said; an interrupted run is resumed.

    Ends with a comparison of the versions, a report, and the run in MLflow. Exit code 1 if some
    of it failed; all the rest is scored.
    """
    from backtests.cli.display import show_run
    from backtests.report.page import write_report
    from backtests.run.experiment import read_experiment
    from backtests.run.harness import run_backtest
    from backtests.run.shipped import find_experiment
    from backtests.run.stored import check_runs, upload_run
    from toolkit.cli.progress import progress_bar
    from toolkit.errors import ArgumentError
    from toolkit.sources.parquet.remote import is_remote
    from toolkit.stages.arguments import check_whole

    stored = runs if is_remote(runs) else None
    if stored is not None:
        check_runs(stored)
    asked = read_experiment(find_experiment(experiment))
    database = db or asked.database
    if database is None:
        raise ArgumentError(f"{experiment} names no database: say which with --db")
    report = run_backtest(
        asked,
        database,
        runs=runs if stored is None else work,
        fits=fits,
        jobs=check_whole("jobs", jobs, 1),
        cluster=cluster,
        bar=progress_bar,
        stored=stored,
    )
    keep_comparison(report.folder)
    page = write_report(report.folder, db).path if report.tasks > report.failures else None
    show_run(report, page, as_json)
    if stored is not None:
        typer.echo(f"Uploaded to {upload_run(report.folder, stored)}", err=True)
    if log:
        _log(report.folder, store)
    if report.failed:
        raise typer.Exit(1)


def _log(folder: Path, store: str | None) -> None:
    """Log the run; where the store cannot be had, say how to do it later."""
    from backtests.run.tracked import track as log_run
    from toolkit.cli.progress import progress_bar
    from toolkit.errors import TrackingError

    try:
        log_run(folder, store, progress_bar)
    except TrackingError as exc:
        typer.echo(f"Not logged: {exc}", err=True)


def track(folder: Run, store: StoreUri = None, as_json: Json = False) -> None:
    """Log a backtest to MLflow, once: what is there already is skipped, the rest completed."""
    from dataclasses import asdict

    from backtests.run.stored import run_at
    from backtests.run.tracked import track as log
    from toolkit.cli.display import answer
    from toolkit.cli.progress import progress_bar

    logged = log(run_at(folder), store, progress_bar)
    said = (
        f"Logged {logged.logged} runs, {logged.complete_before} were there: "
        f"experiment {logged.experiment_id}, run {logged.run_id}"
    )
    answer(said, asdict(logged), as_json)
