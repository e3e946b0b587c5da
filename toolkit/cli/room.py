"""A fit that was made is not lost for want of room."""

import shutil
import sys
import time
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import typer

from toolkit.disk import is_full
from toolkit.errors import ModelError
from toolkit.fits import save_fit
from toolkit.model import FittedModel
from toolkit.sources.parquet.remote import is_remote

ROOM_POLL_S = 2.0
"""How often a fit that waits for room tries again."""

ROOM_TOLD_S = 60.0
"""How often it says so."""

ROOM_PATIENCE_S = 600.0
"""How long it waits where nobody sits at a terminal."""


def saved(fitted: FittedModel, fits: Path) -> Path:
    """Its folder; where the disk is full, the fit is kept in memory until there is room.

    At a terminal for as long as somebody lets it; elsewhere it goes to the folder for temporary
    files after ``ROOM_PATIENCE_S``, and the command ends with 1; at once where an object store does
    not take it.
    """
    begun, told = time.monotonic(), -ROOM_TOLD_S
    then = "Ctrl-C gives it up"
    if not sys.stderr.isatty():
        then = f"after {ROOM_PATIENCE_S:g} s it goes to {gettempdir()}, and this ends"
    while True:
        waited = time.monotonic() - begun
        try:
            return save_fit(fitted, fits)
        except ModelError as exc:  # an object store
            typer.echo(f"Error: {exc}; {_saved_elsewhere(fitted, fits)}", err=True)
            raise typer.Exit(1) from exc
        except OSError as exc:
            if not is_full(exc):
                raise
            if waited >= ROOM_PATIENCE_S and not sys.stderr.isatty():
                said = f"{exc.filename}: {exc.strerror} for {waited:,.0f} s"
                typer.echo(f"Error: {said}; {_saved_elsewhere(fitted, fits)}", err=True)
                raise typer.Exit(1) from exc
            if waited - told >= ROOM_TOLD_S:
                told = waited
                typer.echo(
                    f"Not saved yet: {exc.filename}: {exc.strerror}. The fit is kept in memory, "
                    f"and saved once there is room; {then}",
                    err=True,
                )
        time.sleep(ROOM_POLL_S)


def _saved_elsewhere(fitted: FittedModel, fits: Path) -> str:
    """Where it is now: among the temporary files, if there is room."""
    elsewhere = None
    try:
        elsewhere = Path(mkdtemp(prefix="fits-"))
        folder = save_fit(fitted, elsewhere)
    except OSError as exc:
        if elsewhere is not None:
            shutil.rmtree(elsewhere, ignore_errors=True)
        return f"the fit is lost, for {gettempdir()} does not take it either: {exc.strerror}"
    move = "" if is_remote(fits) else f"move it to {fits / fitted.name}, or "
    return f"the fit is in {folder}: {move}name --fits {elsewhere}"
