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
        Path | None,
        typer.Option(
            "--out", help="The page. Default report.html in the folder; of s3://…, in this one."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a backtest as one page that opens offline: who wins on what, how sure, and where."""
    from rich.console import Console

    from backtests.report.page import write_report
    from backtests.run.folder import REPORT
    from backtests.run.stored import run_at
    from toolkit.cli.display import answer

    with Console(stderr=True).status("Reading the run"):
        run = run_at(folder)
        written = write_report(run, db, out or (run if run == folder else Path()) / REPORT)
    content = {"report": str(written.path), "bytes": written.size, "products": written.products}
    notices = [f"Notice: {notice}" for notice in written.notices]
    page = f"{written.path} ({written.size / 1e6:.1f} MB)"
    answer("\n".join([*notices, page]), content, as_json)
