"""The commands of tracking, added to the command line; each imports what it needs when it runs."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
