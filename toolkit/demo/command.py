"""``toolkit demo``: imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what the demo makes.")] = Path("demo"),
) -> None:
    """From a year of grocery orders to what production reads, in five chapters."""
    from toolkit.cli.app import run
    from toolkit.demo.story import run_demo

    run_demo(out, run)
