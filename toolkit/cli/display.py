"""What the command line shows a person, or as JSON a script."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from toolkit.errors import Finding
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


def show_fit(folder: Path, card: dict[str, Any], as_json: bool) -> None:
    """What a fit learned from, how well it went, and where it lies."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    if as_json:
        print_json({"folder": str(folder), "bytes": size, **card})
        return
    diagnostics = card["diagnostics"]
    table = _table("", ("diagnostic",), ("value",))
    table.add_column("worst parameter")
    for name in ("r_hat", "ess_bulk", "ess_tail"):
        table.add_row(name, f"{diagnostics[name]:.4g}", _literal(diagnostics[f"{name}_worst"]))
    for name in ("divergences", "e_bfmi", "steps_per_draw", "seconds"):
        table.add_row(name, f"{diagnostics[name]:.4g}", "")
    console.print(table)
    if card.get("checks"):
        console.print(_checks(card["checks"]))
    print_plain(
        f"{card['model']}@{card['version']}, fitted to {card['pairs']:,} pairs as of "
        f"{card['as_of_date']}, is in {folder} ({size / 1e6:.1f} MB)"
    )


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
    forecast: ProductForecast, codes: Codes = NO_CODES, top: int | None = None
) -> None:
    """A forecast as tables: its weeks, top customers and customers at risk, with their codes.

    ``top``: only so many of the customers.
    """
    show_totals(forecast, codes)
    for table in _forecast_tables(forecast, codes, top):
        console.print(table)


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


def forecast_tables(forecast: ProductForecast) -> Group:
    """The same, for whoever has a console of Rich's own: ``rich.print(forecast)``."""
    return Group(Text(totals(forecast)), *_forecast_tables(forecast, NO_CODES, None))


def show_totals(forecast: ProductForecast, codes: Codes = NO_CODES) -> None:
    """What is expected over the whole horizon."""
    print_plain(totals(forecast, codes))


def totals(forecast: ProductForecast, codes: Codes = NO_CODES) -> str:
    """What is expected over the whole horizon, in two lines."""
    summary = forecast.summary
    demand = summary["demand"]
    product = codes.code("product", forecast.product_id) or forecast.product_id
    interval = demand["quantity_quantiles"]
    sure = (
        ""
        if interval is None
        else f", 80 % interval {interval['q10']:,.0f} to {interval['q90']:,.0f}"
    )
    return (
        f"{summary['product_name']} (product {product}), "
        f"{summary['forecast_start_date']} to {summary['forecast_end_date']}\n"
        f"All customers: {demand['expected_quantity']:,.0f} units expected{sure}. "
        f"Listed: {summary['unique_customers']} customers, "
        f"{summary['total_predicted_orders']:,.1f} orders, "
        f"{summary['total_predicted_quantity']:,.0f} units, "
        f"mean confidence {summary['avg_confidence']:.2f}."
    )


def forecast_json(forecast: ProductForecast, codes: Codes) -> dict[str, object]:
    """A forecast's ``to_dict``, with ``product_code`` and ``customer_code`` where ids have codes.

    ``ProductForecast.from_dict`` takes it as well.
    """
    return _with_code(forecast.to_dict(), codes)


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


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _checks(checks: list[dict[str, Any]]) -> Table:
    table = _table(
        "The data, and what the model makes",
        ("statistic",),
        ("observed", "prior, 90 %", "posterior, 90 %", "P(more)"),
    )
    table.columns[0].no_wrap = True
    for check in checks:
        tail_p = check["tail_p"]
        table.add_row(
            _literal(check["statistic"]),
            "" if check["observed"] is None else f"{check['observed']:.3g}",
            _range(check["prior_90"]),
            _range(check["posterior_90"]),
            "" if tail_p is None else f"{tail_p:.2f}",
        )
    return table


def _range(bounds: list[float] | None) -> str:
    return "" if bounds is None else " – ".join(f"{bound:.3g}" for bound in bounds)


def _forecast_tables(forecast: ProductForecast, codes: Codes, top: int | None) -> tuple[Table, ...]:
    return _weeks(forecast), _top_customers(forecast, codes, top), _at_risk(forecast, codes, top)


def _weeks(forecast: ProductForecast) -> Table:
    table = _table(
        "Demand by week, all customers",
        ("week", "from"),
        ("orders", "units", "80 % interval"),
    )
    table.add_column("most likely customer")
    for week in forecast.weekly_forecasts:
        demand = week["demand"]
        quantiles = demand["quantity_quantiles"]
        names = [c["customer_name"] for c in week["expected_customers"][:1]]
        table.add_row(
            str(week["week_number"]),
            week["week_start_date"],
            f"{demand['expected_orders']:,.1f}",
            f"{demand['expected_quantity']:,.0f}",
            "" if quantiles is None else f"{quantiles['q10']:,.0f} – {quantiles['q90']:,.0f}",
            *map(_literal, names),
        )
    return table


def _top_customers(forecast: ProductForecast, codes: Codes, top: int | None) -> Table:
    left, right = ("customer", "next order"), ("orders", "units", "confidence")
    table = _table("Top customers by volume", (*_code_heading(codes), *left), right)
    for customer in forecast.top_customers_by_volume[:top]:
        table.add_row(
            *_code_cell(codes, customer["customer_id"]),
            _literal(customer["customer_name"]),
            customer["next_order_date"] or "beyond two years",
            f"{customer['total_orders']:,.1f}",
            f"{customer['total_quantity']:,.0f}",
            f"{customer['avg_confidence']:.2f}",
        )
    return table


def _at_risk(forecast: ProductForecast, codes: Codes, top: int | None) -> Table:
    heading = (*_code_heading(codes), "customer", "why")
    table = _table("Customers at risk", heading, ("confidence",))
    for customer in forecast.at_risk_customers[:top]:
        table.add_row(
            *_code_cell(codes, customer["customer_id"]),
            _literal(customer["customer_name"]),
            customer["risk_reason"],
            f"{customer['avg_confidence']:.2f}",
        )
    return table


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


def _code_heading(codes: Codes) -> tuple[str, ...]:
    return ("code",) if codes.has("customer") else ()


def _code_cell(codes: Codes, customer_id: int) -> tuple[str, ...]:
    if not codes.has("customer"):
        return ()
    return (_literal(codes.code("customer", customer_id) or ""),)


def _literal(text: str) -> str:
    """Text that Rich shows as it is, also where it looks like markup."""
    return text.replace("[", r"\[")
