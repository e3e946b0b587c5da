"""What a comparison and a choice of thresholds look like in a terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from backtests.compare.comparison import Comparison, Leader, beats, listed, numbers
from backtests.scores.registry import ScoredRun, column
from backtests.thresholds.choice import Quality, ThresholdChoice
from backtests.thresholds.frontier import count_listed, frontier, grid_of
from toolkit.cli.display import console, print_plain

SHOWN_COVERAGE = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The frontier is shown where it holds at least so much."""

ERROR_TITLES = {
    "miss": "dates missed",
    "days": "days off",
    "orders": "error of orders",
    "brier": "Brier score",
}


def show_comparison(comparison: Comparison, brief: bool = False) -> None:
    """Who leads on each score, each difference with its interval, and who wins on what.

    ``brief``: only who wins.
    """
    for table in [] if brief else _comparison_tables(comparison):
        console.print(table)
    for sentence in _said(comparison):
        print_plain(sentence)


def comparison_tables(comparison: Comparison) -> Group:
    """The same, for whoever has a console of Rich's own: ``rich.print(comparison)``."""
    return Group(*_comparison_tables(comparison), *map(Text, _said(comparison)))


def choice_table(choice: ThresholdChoice) -> Group:
    """What was chosen for a version and what it brought, for a console of Rich's own."""
    return Group(_choices([choice]), Text(describe(choice)))


def pairs_of(comparison: Comparison) -> list[tuple[str, str]]:
    """The pairs of versions that were compared: which, and against which."""
    frame = comparison.frame
    known = set(zip(frame["version"], frame["against"], strict=True))
    return [
        (one, other)
        for other in comparison.versions
        for one in comparison.versions
        if (one, other) in known
    ]


def show_thresholds(
    run: ScoredRun, choices: Sequence[ThresholdChoice], brief: bool = False
) -> None:
    """What was chosen for each version and what it brought, and the frontier it is on.

    ``brief``: only what was chosen.
    """
    if not brief:
        for choice in choices:
            console.print(_frontier(run, choice))
        console.print(_choices(choices))
    for choice in choices:
        print_plain(describe(choice))


def describe(choice: ThresholdChoice) -> str:
    """A choice in a sentence or two."""
    overall, own = choice.overall, len(choice.by_product)
    text = (
        f"{choice.version}: min_orders {overall.min_orders} and min_confidence "
        f"{overall.min_confidence:g}, chosen on {_dates(choice.chosen_on)}"
    )
    if not choice.feasible:
        text += f", which list most: none reaches {_percent(choice.rule.min_coverage)} of orders"
    if own:
        text += f"; {own:,} product{'s have' if own > 1 else ' has'} thresholds of their own"
    if choice.verified is None:
        return f"{text}. Not verified: no date's horizon ended before a later date began."
    return f"{text}, verified on {_dates(choice.verified_on)}."


def _comparison_tables(comparison: Comparison) -> list[Table]:
    tables = [_leaders(comparison)]
    return tables + [_differences(comparison, *pair) for pair in pairs_of(comparison)]


def _said(comparison: Comparison) -> list[str]:
    return [*comparison.sentences, *(f"Note: {note}" for note in comparison.notes)]


def _leaders(comparison: Comparison) -> Table:
    table = _table("Best of each score (smaller is better)", ("score",), ())
    for version in comparison.versions:
        table.add_column(_literal(version), justify="right")
    table.add_column("best")
    table.add_column("no worse beyond noise")
    for leader in comparison.leaders:
        table.add_row(
            leader.title,
            *(_value(comparison, leader, version) for version in comparison.versions),
            _literal(leader.best),
            _literal(listed(leader.level_with)),
        )
    return table


def _value(comparison: Comparison, leader: Leader, version: str) -> str:
    text = value_of(comparison, leader, version)
    return f"[bold]{text}[/bold]" if version == leader.best else text


def value_of(comparison: Comparison, leader: Leader, version: str) -> str:
    """A version's score; a dash where it has none."""
    frame = comparison.frame[comparison.frame["score"] == leader.score]
    for name, value in (("version", "value"), ("against", "value_against")):
        rows = frame[frame[name] == version]
        if len(rows):
            return f"{rows[value].iloc[0]:.4f}"
    return "–"


def difference_rows(comparison: Comparison, one: str, other: str) -> list[tuple[str, ...]]:
    """Each score of ``one`` less that of ``other``.

    Title, difference, its interval, the difference in per cent, and which version is better
    beyond noise, or nothing.
    """
    frame = comparison.frame
    rows: list[tuple[str, ...]] = []
    for row in frame[(frame["version"] == one) & (frame["against"] == other)].to_dict("records"):
        values = {str(key): value for key, value in row.items()}
        shown = numbers(values, values["difference"], values["low"], values["high"])
        better = beats(values)
        relative = 100 * values["difference"] / abs(values["value_against"] or float("nan"))
        winner = "" if better is None else one if better else other
        rows.append(
            (values["title"], shown[0], f"{shown[1]} to {shown[2]}", f"{relative:+.1f}", winner)
        )
    return rows


def _differences(comparison: Comparison, one: str, other: str) -> Table:
    table = _table(
        f"{_literal(one)} less {_literal(other)}",
        ("score",),
        ("difference", f"{100 * comparison.share:g} % interval", "in %"),
    )
    table.add_column("better")
    for *values, winner in difference_rows(comparison, one, other):
        table.add_row(*values, _literal(winner))
    return table


def _choices(choices: Sequence[ThresholdChoice]) -> Table:
    error = ERROR_TITLES[choices[0].rule.error]
    table = _table(
        f"Least {error} where lists hold {_percent(choices[0].rule.min_coverage)} of orders",
        ("version",),
        ("orders ≥", "conf. ≥", "own", "held", error, "held later", "error later"),
    )
    for choice in choices:
        later = choice.verified_by_product
        table.add_row(
            _literal(choice.version),
            str(choice.overall.min_orders),
            f"{choice.overall.min_confidence:g}",
            f"{len(choice.by_product):,}",
            *quality(choice.chosen),
            *(("–", "–") if later is None else quality(later)),
        )
    return table


def quality(found: Quality) -> tuple[str, str]:
    """Coverage and error, dashes where they are not known."""
    coverage, error = found.demand_coverage, found.error
    return (
        "–" if coverage is None else _percent(coverage),
        "–" if error is None else f"{error:.3f}",
    )


def _frontier(run: ScoredRun, choice: ThresholdChoice) -> Table:
    """The least error at some coverages, on the dates that chose."""
    error = choice.rule.error
    table = _table(
        f"{_literal(choice.version)}: what thresholds cost and bring",
        (),
        ("orders ≥", "conf. ≥", "held", "buyers", *ERROR_TITLES.values(), "conf. − hits"),
    )
    frame = frontier(count_listed(run, choice.version, choice.chosen_on, grid_of(run)))
    held, errors = column(frame, "demand_coverage"), column(frame, error)
    places: list[int] = []
    for least in SHOWN_COVERAGE:
        allowed = np.flatnonzero((held >= least) & np.isfinite(errors))
        if len(allowed):
            places.append(int(allowed[errors[allowed].argmin()]))
    for row in frame.iloc[list(dict.fromkeys(places))].to_dict(orient="records"):
        table.add_row(
            f"{row['min_orders']:.0f}",
            f"{row['min_confidence']:g}",
            _percent(row["demand_coverage"]),
            _percent(row["customer_coverage"]),
            *(f"{row[name]:.3f}" for name in ERROR_TITLES),
            f"{row['calibration_gap']:+.3f}",
        )
    return table


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _dates(days: Sequence[object]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} dates from {days[0]} to {days[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _literal(text: str) -> str:
    return text.replace("[", r"\[")
