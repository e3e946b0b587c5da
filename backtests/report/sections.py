"""The page's figures, in the order in which they stand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from backtests.report.data import ReportData
from backtests.report.figures import (
    ReportDrawing,
    Styles,
    coverage_figure,
    date_figure,
    envelope_figure,
    frontier_figure,
    gap_figure,
    pit_figure,
    reliability_figure,
    slice_figure,
)
from backtests.report.palette import Style, style
from backtests.report.population import population_figure
from backtests.scores.registry import HEADLINE, SLICED, score_of
from backtests.scores.score import NEXT_ORDER, PRODUCT_WEEK, SCORE_LEVELS, Score
from backtests.scores.summaries import ALL

SLICES = {
    "product_class": ("By class of product", "class of weekly demand"),
    "order_count": ("By earlier orders", "orders before the date"),
    "customer_age_days": ("By age of the customer", "days since the customer's first order"),
}


def styles_of(data: ReportData) -> dict[str, Style]:
    """By version, in the order of the experiment."""
    return {version: style(place) for place, version in enumerate(data.versions)}


def gap_drawings(data: ReportData, styles: Styles) -> Iterator[ReportDrawing]:
    """Distances to the best, a figure per headline score."""
    for score in HEADLINE:
        gaps = sorted(data.gaps(score), key=lambda gap: gap.difference)
        if gaps:
            yield ReportDrawing(score.heading, gap_figure(score, gaps, styles))


def pit_drawings(data: ReportData, styles: Styles, level: str) -> Iterator[ReportDrawing]:
    """A histogram for each version that says something at this level."""
    peaks = [made[level].density.max() for made in data.histograms.values() if level in made]
    top = max(2.0, 1.1 * float(max(peaks, default=0)))
    for version, found in data.histograms.items():
        if level in found:
            made = found[level]
            note = f"{made.rows:,} {'pairs' if level == NEXT_ORDER else 'product-weeks'}"
            yield ReportDrawing(version, pit_figure(made, styles[version], top), note, version)


def calibration_drawings(data: ReportData, styles: Styles) -> Iterator[ReportDrawing]:
    """Coverage at both levels, and reliability of both probabilities."""
    for level in (PRODUCT_WEEK, NEXT_ORDER):
        shares = _coverage(data, level)
        if len(shares):
            levels = [score_of(level, name) for name in shares.columns]
            yield ReportDrawing(
                f"Coverage: {SCORE_LEVELS[level].lower()}",
                coverage_figure(levels, shares, styles),
                "By PIT. 0 is perfect, above it intervals are too wide; ± 2 points are shaded.",
            )
    said = {
        "confidence": ("Confidence against hits", "confidence", False),
        "order_28d": ("P(order in 28 days) against orders", "P(order in 28 days)", True),
    }
    for name, (title, what, log) in said.items():
        table = data.reliability[data.reliability["of"] == name]
        if len(table):
            note = "On the dashed line, what was said is what happened."
            scale = " Both axes are logarithmic." if log else ""
            figure = reliability_figure(table, styles, what, log)
            yield ReportDrawing(title, figure, note + scale)


def date_drawings(data: ReportData, styles: Styles) -> Iterator[ReportDrawing]:
    """The headline's scores and both coverages by as-of date."""
    frame = data.scores[data.scores["as_of_date"].notna() & (data.scores["slice"] == ALL)]
    covered = (score_of(PRODUCT_WEEK, "coverage_80"), score_of(NEXT_ORDER, "coverage_80"))
    for score in (*HEADLINE, *covered):
        rows = _rows(frame, score)
        if len(rows):
            title = score.heading
            if score in covered:
                title = f"80 % interval: {SCORE_LEVELS[score.level].lower()}"
            yield ReportDrawing(title, date_figure(score, rows, styles), score.hint)


def slice_drawings(data: ReportData, styles: Styles) -> Iterator[tuple[str, list[ReportDrawing]]]:
    """For each way to slice, a figure per score that is sliced so."""
    for name, (title, axis) in SLICES.items():
        frame = data.scores[data.scores["slice"] == name]
        found = []
        for score in SLICED:
            rows = _rows(frame, score)
            if len(rows):
                figure = slice_figure(rows, axis, styles)
                found.append(ReportDrawing(score.heading, figure))
        if found:
            yield title, found


def threshold_drawings(data: ReportData, styles: Styles) -> Iterator[ReportDrawing]:
    """All versions' frontiers in one figure, then all thresholds of each."""
    if data.frontiers:
        note = (
            "The least error at each share of orders listed. A star is what the rule chooses; "
            "it may choose right of the dashed line."
        )
        yield ReportDrawing("Frontiers", envelope_figure(data.frontiers, styles), note)
    for one in data.frontiers:
        figure = frontier_figure(one, styles[one.version])
        note = "A line for each min_orders, the darker the larger; along it, min_confidence rises."
        yield ReportDrawing(one.version, figure, note, one.version)


def population_drawings(data: ReportData, folder: Path, styles: Styles) -> Iterator[ReportDrawing]:
    """What each fitted version learned of the population; ``folder`` holds the fits."""
    colours = list(dict.fromkeys(look.colour for look in styles.values()))
    for version in dict.fromkeys(fit.version for fit in data.fits):
        fits = [fit for fit in data.fits if fit.version == version]
        own = [styles[version].colour, *(c for c in colours if c != styles[version].colour)]
        figure = population_figure(fits, folder, own)
        if figure is not None:
            yield ReportDrawing(version, figure, "Median, 50 % and 90 % of the posterior.", version)


def _coverage(data: ReportData, level: str) -> pd.DataFrame:
    """Coverage by PIT over all rows, [versions, interval]."""
    scores = data.scores
    whole = scores["as_of_date"].isna() & (scores["slice"] == ALL) & (scores["level"] == level)
    rows = scores[whole & scores["score"].str.startswith("coverage_")]
    table = rows.pivot_table(index="version", columns="score", values="value")
    listed: pd.DataFrame = table.reindex([v for v in data.versions if v in table.index])
    return listed


def _rows(frame: pd.DataFrame, score: Score) -> pd.DataFrame:
    chosen = (frame["level"] == score.level) & (frame["score"] == score.name)
    rows: pd.DataFrame = frame[chosen & np.isfinite(frame["value"])]
    return rows
