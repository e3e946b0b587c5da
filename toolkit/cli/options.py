"""The options that several commands take, so that each is called and explained in one way."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import ArgumentError
from toolkit.installed import model_names

if TYPE_CHECKING:
    from toolkit.model import FittedModel


def complete_model(incomplete: str) -> list[str]:
    """Names of models, for the shell."""
    return [name for name in model_names() if name.startswith(incomplete)]


_DATABASE = "The orders that were imported: a database file, or a folder of Parquet."
Database = Annotated[Path, typer.Option("--db", help=_DATABASE)]
MaybeDatabase = Annotated[Path | None, typer.Option("--db", help=_DATABASE)]
Mssql = Annotated[bool, typer.Option("--mssql", help="The SQL Server that --config describes.")]
Config = Annotated[
    Path | None,
    typer.Option(help="TOML about the SQL Server; TOOLKIT_MSSQL_… variables prevail."),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="YYYY-MM-DD; uses only orders before this date. Default today."),
]
AsOfOrLast = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help="YYYY-MM-DD, or `last` for the day after the last order; uses only orders before it. "
        "Default today.",
    ),
]
Weeks = Annotated[int, typer.Option(help="Forecast horizon in weeks, 1 to 104.")]
Draws = Annotated[int, typer.Option(help="Predictive draws per pair.")]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal forecasts.")]
Fits = Annotated[
    Path, typer.Option("--fits", help="Folder of the fitted versions, or s3://BUCKET/FOLDER.")
]
DefaultPrice = Annotated[
    float | None,
    typer.Option(help="Of a unit, where no order line before the date tells one."),
]
Product = Annotated[str, typer.Argument(help="The product: its id or code.")]
Model = Annotated[
    str, typer.Argument(help="The model to fit, by name.", autocompletion=complete_model)
]
Fitted = Annotated[
    str,
    typer.Argument(help="A fitted version: NAME or NAME@VERSION.", autocompletion=complete_model),
]
Run = Annotated[Path, typer.Argument(help="The folder of a backtest: runs/NAME-KEY, or s3://….")]
StoreUri = Annotated[
    str | None,
    typer.Option(
        "--store", help="MLflow's tracking store. Default MLFLOW_TRACKING_URI, else ./mlflow.db."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="A Dask scheduler, tcp://HOST:PORT, or a TOML file about one: its workers do it.",
    ),
]
Jobs = Annotated[int, typer.Option(help="So many processes of this machine forecast.")]
Work = Annotated[
    Path, typer.Option(help="With --cluster: a folder that all workers see, for what is under way.")
]
Brief = Annotated[bool, typer.Option("--brief", help="In a few lines, without tables.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

DEFAULT_FITS = Path("fits")
DEFAULT_RUNS = Path("runs")
REDIS_VARIABLE = "TOOLKIT_REDIS_URL"


def one_of(other: str, given: bool, mssql: bool, **of_a_server: object) -> None:
    """``ArgumentError`` unless just one of two places of orders was given.

    ``of_a_server`` are options that would be ignored without ``--mssql``: they are refused, too.
    """
    if given == mssql:
        received = "both" if given else "neither"
        raise ArgumentError(f"one of {other} and --mssql has to be given, got {received}")
    idle = [f"--{name}" for name, value in of_a_server.items() if value is not None]
    if idle and not mssql:
        raise ArgumentError(f"{' and '.join(idle)}: of a SQL Server only, with --mssql")


def none_or_several(given: Mapping[str, bool]) -> list[str]:
    """What is wrong unless just one of several ways is given, a sentence at most."""
    *first, last = given
    ways = f"{', '.join(first)} and {last}"
    received = [way for way, is_given in given.items() if is_given]
    if not received:
        return [f"one of {ways} has to be given"]
    if len(received) > 1:
        return [f"only one of {ways} can be given, got {' and '.join(received)}"]
    return []


def warn_of_fit(fitted: "FittedModel") -> None:
    """On stderr, what speaks against a fitted version."""
    from toolkit.results.fit import headed

    if fitted.warnings:
        said = "; ".join(fitted.warnings)
        typer.echo(headed(f"{fitted.name}@{fitted.version}: {said}"), err=True)
