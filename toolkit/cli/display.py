"""What the command line shows a person, or as JSON a script."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from toolkit.card import Card, printable
from toolkit.data.ids import KINDS, Kind
from toolkit.disk import whole_file
from toolkit.errors import ArgumentError
from toolkit.results.customer import CustomerForecast
from toolkit.results.explanation import Explanation
from toolkit.results.forecast import ProductForecast
from toolkit.results.portfolio import PortfolioForecast
from toolkit.results.scenario import ScenarioComparison
from toolkit.results.sensitivity import ThresholdSensitivity

if TYPE_CHECKING:
    from toolkit.results.figures import Drawing
    from toolkit.sources.codes import Codes

console = Console()

type AnyForecast = (
    ProductForecast
    | CustomerForecast
    | PortfolioForecast
    | ScenarioComparison
    | Explanation
    | ThresholdSensitivity
)


def show_forecast(
    forecast: ProductForecast,
    codes: "Codes | None" = None,
    top: int | None = None,
    brief: bool = False,
) -> None:
    """A forecast as tables: its weeks, top customers and customers at risk, with their codes.

    ``top``: only so many of the customers; ``brief``: no tables.
    """
    product, customers = None, None
    if codes is not None:
        product = codes.code("product", forecast.product_id)
        listed = (*forecast.top_customers_by_volume, *forecast.at_risk_customers)
        customers = codes_of(codes, "customer", {row["customer_id"] for row in listed})
    card = forecast.to_card(top, product, customers)
    show_card(replace(card, grids=()) if brief else card)


def codes_of(codes: "Codes", kind: Kind, numbers: Iterable[int]) -> dict[int, str] | None:
    """The codes of numbers; None where ids are whole numbers."""
    if not codes.has(kind):
        return None
    return {number: codes.code(kind, number) or "" for number in numbers}


def forecast_json(forecast: AnyForecast, codes: "Codes") -> dict[str, object]:
    """A forecast's ``to_dict``, with ``product_code`` and ``customer_code`` where ids have codes.

    ``ProductForecast.from_dict`` takes that of a product as well.
    """
    return _with_code(forecast.to_dict(), codes)


def show_card(card: Card) -> None:
    """A card; lines are not broken, and text is not read as markup."""
    console.print(card, soft_wrap=True)


def save_figure(figure: "Drawing", file: Path) -> None:
    """Draw a figure to a file. ``ArgumentError`` where its name ends in no known format."""
    try:
        with whole_file(file) as part:
            figure.savefig(part, dpi=150)
    except ValueError as exc:
        raise ArgumentError(f"cannot draw to {file}: {exc}") from exc


def print_plain(text: str) -> None:
    """Text as it is: names may hold what Rich would read as markup."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def print_json(value: dict[str, object]) -> None:
    """JSON on stdout."""
    print(json.dumps(value, indent=2))


def answer(said: str, content: dict[str, object], as_json: bool) -> None:
    """What a command did or found, in words or as JSON."""
    if as_json:
        print_json(content)
    else:
        print_plain(said)


def _with_code(row: dict[str, object], codes: "Codes") -> dict[str, object]:
    """A row, and the rows within it, with a code beside each id that has one."""
    coded: dict[str, object] = {}
    for name, value in row.items():
        coded[name] = value
        for kind in KINDS:
            if name == f"{kind}_id" and codes.has(kind) and isinstance(value, int):
                coded[f"{kind}_code"] = codes.code(kind, value)
        if isinstance(value, list):
            coded[name] = [
                _with_code(inner, codes) if isinstance(inner, dict) else inner for inner in value
            ]
    return coded
