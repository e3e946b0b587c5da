"""The command line: the one place where sources, models, engine and cache are put together.

Each command imports what it needs when it runs, so that ``toolkit --help`` answers at once.
Exit codes: 0 done, 1 failed, 2 wrong arguments or data, 3 nothing to forecast.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated

import typer

from toolkit.cli import (
    data,
    explain,
    export,
    fits,
    forecast,
    plan,
    promotion,
    sensitivity,
    serve,
    whatif,
)
from toolkit.cli.exits import reported_in_a_sentence
from toolkit.errors import ToolkitError
from toolkit.installed import COMMANDS_GROUP, leave_out_working_folder, load, own_version

app = typer.Typer(
    help="Who orders which product next, when, how much, and how sure are we?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for group in (data, fits, forecast, explain, whatif, sensitivity, plan, promotion, export, serve):
    group.register(app)


def main() -> None:
    """Run a command; a mistake of the user is one sentence, without a traceback."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    with reported_in_a_sentence():
        leave_out_working_folder()
        for point in entry_points(group=COMMANDS_GROUP):
            load(point, ToolkitError)(app)
        app()


def run(arguments: Sequence[str]) -> int:
    """Run a command within this process; returns its exit code."""
    try:
        with reported_in_a_sentence():
            app(list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(own_version())
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Take what stands before a command."""
