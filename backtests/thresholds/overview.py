"""The thresholds chosen for the versions of a run, and the frontiers they were chosen from."""

from collections.abc import Sequence

import numpy as np

from backtests.scores.score import ScoredRun, column
from backtests.thresholds.choice import ThresholdChoice, quality_texts
from backtests.thresholds.frontier import ERRORS, ThresholdGrid, count_listed, frontier
from toolkit.card import Card, Grid

SHOWN_COVERAGE = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The frontier is shown where it covers at least so much."""


def thresholds_card(
    run: ScoredRun, choices: Sequence[ThresholdChoice], grid: ThresholdGrid | None = None
) -> Card:
    """What was chosen for each version and what it brought, and the frontier it is on."""
    return Card(
        title="Thresholds",
        subtitle=f"known before {max(choice.known_before for choice in choices)}",
        grids=[*(_frontier(run, choice, grid) for choice in choices), _choices(choices)],
        sentences=list(map(str, choices)),
    )


def _choices(choices: Sequence[ThresholdChoice]) -> Grid:
    rule = choices[0].rule
    error = ERRORS[rule.error]
    heads = (
        "version", "orders ≥", "conf. ≥", "own", "covered", error,
        "covered later", f"{error} later",
    )  # fmt: skip
    rows = [
        (
            choice.version,
            f"{choice.overall.min_orders}",
            f"{choice.overall.min_confidence:g}",
            f"{len(choice.by_product):,}",
            *quality_texts(choice.chosen),
            *quality_texts(choice.verified_by_product),
        )
        for choice in choices
    ]
    title = f"Lowest {error} at ≥ {100 * rule.min_coverage:.0f} % of orders covered"
    return Grid(title, heads, rows, frozenset(heads[1:]))


def _frontier(run: ScoredRun, choice: ThresholdChoice, grid: ThresholdGrid | None) -> Grid:
    """The least error at some coverages, on the dates that chose."""
    frame = frontier(count_listed(run, choice.version, choice.chosen_on, grid))
    covered, errors = column(frame, "demand_coverage"), column(frame, choice.rule.error)
    places: list[int] = []
    for least in SHOWN_COVERAGE:
        allowed = np.flatnonzero((covered >= least) & np.isfinite(errors))
        if len(allowed):
            places.append(int(allowed[errors[allowed].argmin()]))
    rows = [
        (
            f"{row['min_orders']:.0f}",
            f"{row['min_confidence']:g}",
            f"{100 * row['demand_coverage']:.0f} %",
            f"{100 * row['customer_coverage']:.0f} %",
            *(f"{row[name]:.3f}" for name in ERRORS),
            f"{row['calibration_gap']:+.3f}",
        )
        for row in frame.iloc[list(dict.fromkeys(places))].to_dict(orient="records")
    ]
    heads = ("orders ≥", "conf. ≥", "covered", "buyers", *ERRORS.values(), "conf. − hits")
    return Grid(f"{choice.version}: what thresholds cost and bring", heads, rows, frozenset(heads))
