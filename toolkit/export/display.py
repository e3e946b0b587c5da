"""What the command line shows of an export."""

from toolkit.cli.display import print_json, print_plain
from toolkit.export.report import ExportReport
from toolkit.sources.codes import Codes

SHOWN = 10


def show_export(report: ExportReport, codes: Codes, as_json: bool) -> None:
    """What was published, or why nothing was, and what became of the products."""
    if as_json:
        print_json(report.to_dict())
        return
    counts = report.counts
    print_plain(
        f"{len(report.products):,} products as of {report.as_of_date} by"
        f" {report.details['model']}: {counts['success']:,} with a forecast,"
        f" {counts['no_predictions']:,} with nobody to list, {counts['error']:,} failed"
    )
    for name, count in (("carried over", report.carried), ("staged before", report.resumed)):
        if count:
            print_plain(f"  of them {name}: {count:,}")
    for product in report.failed[:SHOWN]:
        named = codes.code("product", product.product_id) or product.product_id
        print_plain(f"  product {named}: {product.error}")
    if len(report.failed) > SHOWN:
        print_plain(f"  … and {len(report.failed) - SHOWN:,} more, all in --json")
    print_plain(_outcome(report))


def _outcome(report: ExportReport) -> str:
    took = f"{report.seconds:.1f} s, {report.redis_seconds:.1f} s of them for the cache"
    if report.published:
        return f"Release {report.release} is what readers get now ({took})."
    return f"NOT PUBLISHED: {report.refusal} ({took})."
