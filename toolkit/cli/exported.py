"""What ``toolkit export`` says of an export; imports what it needs when it is said."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from toolkit.export.changes import SortedRows
    from toolkit.export.feed import FeedReport
    from toolkit.export.report import ExportReport
    from toolkit.sources.codes import Codes

SHOWN_FAILURES = 10


def show_outcome(
    outcome: "FeedReport", codes: "Codes", told: "SortedRows | None", as_json: bool
) -> None:
    """What was published, or why nothing was, and what became of changed orders.

    ``told``: the rows of a file of changed orders.
    """
    from toolkit.cli.display import print_json, print_plain

    report, later = outcome.export, outcome.later + (0 if told is None else len(told.later))
    if as_json:
        said = {"release": outcome.release} if report is None else report.to_dict()
        print_json(said | {"feed": outcome.to_dict()})
        return
    if report is not None:
        _show_export(report, codes)
    else:
        stays = "" if outcome.release is None else f": release {outcome.release} stays"
        print_plain(f"No changed order to take in{stays}.")
    if outcome.taken:
        print_plain(f"  entries of the feed taken in: {outcome.taken:,}")
    if outcome.trimmed:
        print_plain(f"  gone before they were read, so that all is new: {outcome.trimmed:,}")
    if later:
        print_plain(f"  of orders at or after the as-of date, which it cannot know: {later:,}")
    for entry, why in list(outcome.waiting.items())[:SHOWN_FAILURES]:
        typer.echo(f"Entry {entry} of the feed waits: {why}", err=True)
    if len(outcome.waiting) > SHOWN_FAILURES:
        more = len(outcome.waiting) - SHOWN_FAILURES
        typer.echo(f"… and {more:,} more, all in --json", err=True)


def _show_export(report: "ExportReport", codes: "Codes") -> None:
    from toolkit.cli.display import print_plain

    counts = report.counts
    print_plain(
        f"{len(report.products):,} products as of {report.as_of_date} by"
        f" {report.details['model']}: {counts['success']:,} with a forecast,"
        f" {counts['no_predictions']:,} that nobody ordered before,"
        f" {counts['error']:,} failed"
    )
    for name, count in (("carried over", report.carried), ("staged before", report.resumed)):
        if count:
            print_plain(f"  of them {name}: {count:,}")
    for product in report.failed[:SHOWN_FAILURES]:
        named = codes.code("product", product.product_id) or product.product_id
        print_plain(f"  product {named}: {product.error}")
    if len(report.failed) > SHOWN_FAILURES:
        print_plain(f"  … and {len(report.failed) - SHOWN_FAILURES:,} more, all in --json")
    print_plain(_outcome(report))


def _outcome(report: "ExportReport") -> str:
    took = f"{report.seconds:.1f} s, {report.redis_seconds:.1f} s of them for the cache"
    if report.published:
        return f"Release {report.release} is what readers get now ({took})."
    return f"NOT PUBLISHED: {report.refusal} ({took})."
