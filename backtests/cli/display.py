"""What the commands of backtests show a person, or as JSON a script."""

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.display import print_json, print_plain

if TYPE_CHECKING:
    from backtests.run.harness import RunReport


def show_run(report: "RunReport", page: Path | None, as_json: bool) -> None:
    """Where a run and its page are, and what went wrong in it."""
    from toolkit.results.fit import headed
    from toolkit.validation import plain

    failed = report.failures
    if as_json:
        seconds = round(report.seconds, 3)
        print_json({**plain(report), "report": page and str(page), "seconds": seconds})
        return
    for notice in report.notices:
        print_plain(f"Notice: {notice}")
    for warning in report.warnings:
        print_plain(headed(warning))
    for error in report.errors:
        print_plain(f"FAILED: {error}")
    kept = f", {report.kept:,} of them kept from an earlier start" if report.kept else ""
    print_plain(
        f"{report.tasks - failed:,} of {report.tasks:,} tasks scored{kept}, {failed:,} failed, "
        f"in {report.seconds:.0f} s: {report.folder}"
    )
    if page is not None:
        print_plain(f"Report: {page}")
