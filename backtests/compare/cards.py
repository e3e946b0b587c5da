"""What comparisons and choices of thresholds show of themselves in a notebook."""

from collections.abc import Sequence

from backtests.compare.comparison import Comparison, listed
from backtests.compare.display import (
    ERROR_TITLES,
    describe,
    difference_rows,
    pairs_of,
    quality,
    value_of,
)
from backtests.thresholds.choice import Quality, ThresholdChoice
from toolkit.results.html import Card, Cell, Figure, Grid, Strong

SHOWN_PRODUCTS = 10


def comparison_card(comparison: Comparison) -> Card:
    """Who leads on each score, each difference with its interval, and who wins on what."""
    dates = len(comparison.dates)
    return Card(
        title=f"{listed(comparison.versions)}",
        subtitle=(
            f"{dates} date{'' if dates == 1 else 's'} from {comparison.dates[0]} to "
            f"{comparison.dates[-1]}; of every score, smaller is better"
        ),
        grids=[
            _leaders(comparison),
            *(_differences(comparison, one, other) for one, other in pairs_of(comparison)),
        ],
        sentences=[*comparison.sentences, *(f"Note: {note}" for note in comparison.notes)],
    )


def choice_card(choice: ThresholdChoice) -> Card:
    """What was chosen for a version, and what it brings where it was chosen and later."""
    error = ERROR_TITLES[choice.rule.error]
    heads = ("on", "orders held by lists", error)
    overall = "each product's own thresholds" if choice.by_product else ""
    rows = [
        _quality_row("the dates that chose", choice.chosen),
        _quality_row("later dates", choice.verified),
        *([_quality_row(f"later dates, {overall}", choice.verified_by_product)] if overall else []),
    ]
    return Card(
        title=f"Thresholds for {choice.version}",
        subtitle=f"Known before {choice.known_before}",
        figures=[
            Figure("min_orders", f"{choice.overall.min_orders}"),
            Figure("min_confidence", f"{choice.overall.min_confidence:g}"),
            Figure("products with their own", f"{len(choice.by_product):,}"),
        ],
        grids=[Grid("What they bring", heads, rows, frozenset(heads[1:])), *_own(choice)],
        sentences=[describe(choice)],
    )


def _leaders(comparison: Comparison) -> Grid:
    numbers = comparison.versions
    rows: list[Sequence[Cell]] = []
    for leader in comparison.leaders:
        values = ((v, value_of(comparison, leader, v)) for v in numbers)
        shown = (Strong(text) if version == leader.best else text for version, text in values)
        rows.append((leader.title, *shown, leader.best, listed(leader.level_with)))
    heads = ("score", *numbers, "best", "no worse beyond noise")
    return Grid("Best of each score", heads, rows, frozenset(numbers))


def _differences(comparison: Comparison, one: str, other: str) -> Grid:
    interval = f"{100 * comparison.share:g} % interval"
    heads = ("score", "difference", interval, "in %", "better")
    rows = [
        (*values, Strong(winner) if winner else "")
        for *values, winner in difference_rows(comparison, one, other)
    ]
    return Grid(f"{one} less {other}", heads, rows, frozenset(heads[1:4]))


def _quality_row(name: str, found: Quality | None) -> tuple[str, ...]:
    return (name, *(("–", "–") if found is None else quality(found)))


def _own(choice: ThresholdChoice) -> list[Grid]:
    """The first of the products that have thresholds of their own."""
    heads = ("product", "min_orders", "min_confidence")
    rows = [
        (f"{product}", f"{own.min_orders}", f"{own.min_confidence:g}")
        for product, own in choice.by_product.items()
    ]
    rest = len(rows) - SHOWN_PRODUCTS
    note = f"and {rest:,} more" if rest > 0 else ""
    shown = rows[:SHOWN_PRODUCTS]
    grid = Grid("Products with their own", heads, shown, frozenset(heads[1:]), note)
    return [grid] if rows else []
