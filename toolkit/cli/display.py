"""What the command line shows a person, or as JSON a script."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from toolkit.card import Card
from toolkit.errors import Finding
from toolkit.results.fit import FitCard
from toolkit.results.forecast import ProductForecast
from toolkit.sources.codes import KINDS, NO_CODES, Codes

if TYPE_CHECKING:
    from toolkit.engine.predict_tables import WrittenTables
    from toolkit.sources.embedded.checks import CheckReport
    from toolkit.sources.folder.importer import ImportReport
    from toolkit.sources.sqlserver.check import ServerReport
    from toolkit.sources.sqlserver.importer import ServerImportReport
    from toolkit.sources.sqlserver.settings import SqlServerSettings

console = Console()


def show_import(report: "ImportReport", database: Path, as_json: bool) -> None:
    """What an import brought in."""
    if as_json:
        print_json(_import_json(report, database))
    else:
        print_plain(f"Imported into {database}: {report}")


def show_check(report: "CheckReport", database: Path, as_json: bool) -> None:
    """What a check found."""
    if as_json:
        print_json(
            {
                "database": str(database),
                "rows": dict(report.rows),
                "fatal": _findings(report.fatal),
                "notices": _findings(report.notices),
            }
        )
    else:
        print_plain(f"{database}: {report}")


def show_server_import(report: "ServerImportReport", database: Path, as_json: bool) -> None:
    """What an import from a server brought in, and read for it."""
    if as_json:
        print_json(
            {
                **_import_json(report.imported, database),
                "until_date": report.until_date.isoformat(),
                "rows_read": report.rows_read,
                "months_compared": report.months_compared,
            }
        )
    else:
        print_plain(f"Imported into {database}: {report}")


def show_server_check(report: "ServerReport", server: "SqlServerSettings", as_json: bool) -> None:
    """What a check of a server found."""
    if as_json:
        last = report.last_date
        print_json(
            {
                "server": str(server),
                "version": report.version,
                "rows": dict(report.rows),
                "last_date": None if last is None else last.isoformat(),
                "fatal": _findings(report.fatal),
                "notices": _findings(report.notices),
            }
        )
    else:
        print_plain(f"{server}: {report}")


def show_fit(folder: Path, card: FitCard, as_json: bool) -> None:
    """What a fit learned from, how well it went, and where it lies."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    if as_json:
        print_json({"folder": str(folder), "bytes": size, **asdict(card)})
        return
    show_card(replace(card.to_card(), warnings=()))  # they go to stderr
    print_plain(f"It is in {folder} ({size / 1e6:.1f} MB).")


def show_written(written: "WrittenTables", as_json: bool) -> None:
    """Which tables a prediction wrote."""
    if as_json:
        print_json(
            {
                "product_weeks": str(written.product_weeks),
                "pairs": str(written.pairs),
                "products": written.products,
                "pair_count": written.pair_count,
                "failed_pairs": len(written.failed),
            }
        )
    else:
        print_plain(f"{written.products:,} products: {written.product_weeks}")
        print_plain(f"{written.pair_count:,} pairs: {written.pairs}")


def show_forecast(
    forecast: ProductForecast, codes: Codes = NO_CODES, top: int | None = None, brief: bool = False
) -> None:
    """A forecast as tables: its weeks, top customers and customers at risk, with their codes.

    ``top``: only so many of the customers; ``brief``: no tables.
    """
    ids = {
        customer["customer_id"]
        for customer in (*forecast.top_customers_by_volume, *forecast.at_risk_customers)
    }
    coded = {number: codes.code("customer", number) or "" for number in ids}
    card = forecast.to_card(
        top,
        codes.code("product", forecast.product_id),
        coded if codes.has("customer") else None,
    )
    show_card(replace(card, grids=()) if brief else card)


def show_outcome(forecast: ProductForecast, actual: Sequence[float]) -> None:
    """What was then ordered, [weeks], NaN in those that are not over; nothing if none is."""
    over = [
        (ordered, week["demand"]["quantity_quantiles"])
        for ordered, week in zip(actual, forecast.weekly_forecasts, strict=True)
        if not math.isnan(ordered)
    ]
    if not over:
        return
    intervals = [quantiles for _, quantiles in over if quantiles is not None]
    inside = sum(q is not None and q["q10"] <= ordered <= q["q90"] for ordered, q in over)
    said = f", {inside} of the {len(over)} weeks inside their 80 % interval" if intervals else ""
    units = sum(ordered for ordered, _ in over)
    weeks = "in all" if len(over) == len(actual) else f"in the first {len(over)} weeks"
    print_plain(f"What was then ordered: {units:,.0f} units {weeks}{said}.")


def forecast_json(forecast: ProductForecast, codes: Codes) -> dict[str, object]:
    """A forecast's ``to_dict``, with ``product_code`` and ``customer_code`` where ids have codes.

    ``ProductForecast.from_dict`` takes it as well.
    """
    return _with_code(forecast.to_dict(), codes)


def show_card(card: Card) -> None:
    """A card; lines are not broken, and text is not read as markup."""
    console.print(card, soft_wrap=True)


def print_plain(text: str) -> None:
    """Text as it is: names may hold what Rich would read as markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: dict[str, object]) -> None:
    """JSON on stdout."""
    print(json.dumps(value, indent=2))


def _import_json(report: "ImportReport", database: Path) -> dict[str, object]:
    return {
        "database": str(database),
        "lines": report.lines,
        "orders": report.orders,
        "customers": report.customers,
        "products": report.products,
        "pairs": report.pairs,
        "first_date": report.first_date.isoformat(),
        "last_date": report.last_date.isoformat(),
        "notices": _findings(report.notices),
        "seconds": report.seconds,
    }


def _findings(findings: tuple[Finding, ...]) -> list[dict[str, object]]:
    return [
        {"table": f.table, "rule": f.rule, "rows": f.rows, "examples": list(f.examples)}
        for f in findings
    ]


def _with_code(row: dict[str, object], codes: Codes) -> dict[str, object]:
    """A row, and the rows within it, with a code beside each id that has one."""
    coded: dict[str, object] = {}
    for name, value in row.items():
        coded[name] = value
        for kind in KINDS:
            if name == f"{kind}_id" and codes.has(kind) and isinstance(value, int):
                coded[f"{kind}_code"] = codes.code(kind, value)
        if isinstance(value, list):
            coded[name] = [_with_code(inner, codes) for inner in value]
    return coded
