"""``toolkit report``: imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.options import Json, Run


def report(
    folder: Run,
    db: Annotated[
        Path | None,
        typer.Option("--db", help="Where the products' names are, in place of the run's database."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The page. Default report.html in the folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a backtest as one page that opens offline: who wins on what, how sure, and where."""
    from rich.console import Console

    from backtests.report.page import write_report
    from toolkit.cli.display import print_json, print_plain

    with Console(stderr=True).status("Reading the run"):
        written = write_report(folder, db, out)
    if as_json:
        print_json(
            {"report": str(written.path), "bytes": written.size, "products": written.products}
        )
        return
    for notice in written.notices:
        print_plain(f"Notice: {notice}")
    print_plain(f"{written.path} ({written.size / 1e6:.1f} MB)")
