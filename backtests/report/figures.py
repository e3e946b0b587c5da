"""The page's figures, as Plotly has them; titles and legends are the page's own.

Traces carry the version they belong to in ``meta``, for the reader to choose versions. Colours
of text and grid are left to the page, which knows light from dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backtests.compare.comparison import Difference
from backtests.report.curves import BINS, Histogram
from backtests.report.frontiers import Frontier
from backtests.report.palette import Style
from backtests.scores.score import Score
from toolkit.validation import Json
from toolkit.web import GREY, HEIGHT, layout, literal

type Styles = Mapping[str, Style]

BAND = "rgba(128, 128, 128, 0.18)"

ERROR_TITLES = {
    "miss": "dates missed, %",
    "days": "error of the date, days",
    "orders": "error of order counts, % of orders",
    "brier": "Brier score of confidence, × 100",
}
"""Errors of listed pairs, as axes call them."""


@dataclass(frozen=True, slots=True)
class ReportDrawing:
    """A figure on the page. ``version`` is set if it is of one version alone."""

    title: str
    figure: Json
    note: str = ""
    version: str | None = None


def plain(figure: go.Figure) -> Json:
    """A figure as JSON has it, without Plotly's template of 7 kB."""
    made: Json = figure.to_plotly_json()
    made["layout"].pop("template", None)
    return made


def pit_figure(made: Histogram, look: Style, top: float) -> Json:
    """Bars of density up to ``top``; whiskers from the least to the most of any date."""
    centre = (np.arange(BINS) + 0.5) / BINS
    bars = go.Bar(
        x=centre,
        y=made.density.round(3),
        width=1 / BINS,
        marker={"color": look.colour, "opacity": 0.75, "line": {"width": 0}},
        error_y=_whiskers(
            (made.highest - made.density).round(3),
            (made.density - made.lowest).round(3),
            GREY,
            1,
            0,
        ),
        hovertemplate="PIT %{x:.3f}: density %{y:.2f}<extra></extra>",
    )
    axes = layout(
        "PIT",
        "density (1 = calibrated)",
        xaxis={"range": [0, 1], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        yaxis={"range": [0, top], "nticks": 6},
        shapes=[_line("x domain", 0, 1, "y", 1, 1)],
        bargap=0,
    )
    return plain(go.Figure(bars, axes))


def coverage_figure(scores: Sequence[Score], shares: pd.DataFrame, styles: Styles) -> Json:
    """What was inside less what should have been; ``shares`` [versions, levels] of all rows."""
    x = [100 * score.target for score in scores]
    off = 100 * (shares.to_numpy() - [score.target for score in scores])
    least, most = float(np.nanmin(off)), float(np.nanmax(off))
    traces = [
        _version_trace(
            version,
            styles[version],
            x=x,
            y=row.round(2),
            hovertemplate="%{x} % interval: %{y:+.1f} points<extra>%{fullData.name}</extra>",
        )
        for version, row in zip(map(str, shares.index), off, strict=True)
    ]
    axes = layout(
        "nominal level of the interval, %",
        "held − nominal, % points",
        xaxis={"tickvals": x, "range": [45, 95]},
        yaxis={"range": [min(-5.0, 1.15 * least), max(5.0, 1.15 * most)]},
        shapes=[_band(-2, 2), _line("x domain", 0, 1, "y", 0, 0)],
    )
    return plain(go.Figure(traces, axes))


def reliability_figure(table: pd.DataFrame, styles: Styles, what: str, log: bool) -> Json:
    """What was said against what happened; ``table`` as ``summaries.reliability_tables``."""
    traces = [
        _version_trace(
            str(version),
            styles[str(version)],
            x=rows["mean_p"].round(4).to_numpy(),
            y=rows["share"].round(4).to_numpy(),
            customdata=rows["rows"].to_numpy(),
            hovertemplate="said %{x:.3f}, happened %{y:.3f}<br>%{customdata:,} forecasts"
            "<extra>%{fullData.name}</extra>",
        )
        for version, rows in table.groupby("version", sort=False)
    ]
    diagonal = go.Scatter(
        x=[0.001, 1], y=[0.001, 1], mode="lines", hoverinfo="skip",
        line={"color": GREY, "width": 1, "dash": "dash"},
    )  # fmt: skip
    scale = (
        {"type": "log", "tickvals": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]}
        if log
        else {"range": [0, 1]}
    )
    axes = layout(f"said: {what}", "happened: share", HEIGHT, xaxis=dict(scale), yaxis=dict(scale))
    return plain(go.Figure([diagonal, *traces], axes))


def gap_figure(score: Score, gaps: Sequence[Difference], styles: Styles) -> Json:
    """Each version less the best, with its interval."""
    traces = []
    for one in gaps:
        version, gap, low, high = one.version, one.difference, one.low, one.high
        look = styles[version]
        known = np.isfinite(low)
        traces.append(
            _version_trace(
                version,
                look,
                x=[gap],
                y=[literal(version)],
                mode="markers",
                error_x=_whiskers(
                    [high - gap if known else 0], [gap - low if known else 0], look.colour, 2, 4
                ),
                hovertemplate=f"{score.format(gap, True)} ({score.format(low, True)} to "
                f"{score.format(high, True)})<extra>%{{y}}</extra>",
            )
        )
    unit = f", {score.unit}" if score.unit else ""
    axes = layout(
        f"behind the best{unit}",
        "",
        70 + 26 * len(gaps),
        yaxis={"autorange": "reversed", "type": "category"},
        xaxis={"nticks": 5, "tickangle": 0},
        shapes=[_line("x", 0, 0, "y domain", 0, 1)],
    )
    return plain(go.Figure(traces, axes))


def date_figure(score: Score, rows: pd.DataFrame, styles: Styles) -> Json:
    """A score by as-of date; ``rows``: version, as_of_date, value."""
    traces = [
        _version_trace(
            str(version),
            styles[str(version)],
            x=[f"{day:%Y-%m-%d}" for day in part["as_of_date"]],
            y=part["value"].map(score.scaled).round(5).to_numpy(),
            hovertemplate="%{x}: %{y}<extra>%{fullData.name}</extra>",
        )
        for version, part in rows.sort_values("as_of_date").groupby("version", sort=False)
    ]
    days = sorted({f"{day:%Y-%m-%d}" for day in rows["as_of_date"]})
    ticks = {"tickvals": days} if len(days) < 4 else {"nticks": 6}
    shapes = [_line("x domain", 0, 1, "y", *2 * (score.scaled(score.target),))]
    axes = layout(
        "as-of date",
        score.axis,
        xaxis={"type": "date", "tickformat": "%d %b<br>%Y", **ticks},
        yaxis={"nticks": 6},
        shapes=shapes if np.isfinite(score.target) else [],
    )
    return plain(go.Figure(traces, axes))


def slice_figure(rows: pd.DataFrame, what: str, styles: Styles) -> Json:
    """How far behind the slice's best, in %; ``rows``: version, value_of_slice, value, rows."""
    best = rows.groupby("value_of_slice", sort=False)["value"].transform("min")
    behind = rows.assign(behind=(100 * (rows["value"] / best - 1)).round(3))
    traces = [
        _version_trace(
            str(version),
            styles[str(version)],
            x=part["value_of_slice"].tolist(),
            y=part["behind"].to_numpy(),
            customdata=part[["value", "rows"]].to_numpy(),
            hovertemplate="%{x}: %{y:.1f} % behind the best<br>score %{customdata[0]:.4f}, "
            "%{customdata[1]:,} rows<extra>%{fullData.name}</extra>",
        )
        for version, part in behind.groupby("version", sort=False)
    ]
    axes = layout(
        what,
        "behind the best, %",
        xaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(dict.fromkeys(rows["value_of_slice"])),
        },
        yaxis={"rangemode": "tozero", "nticks": 6},
    )
    return plain(go.Figure(traces, axes))


def envelope_figure(frontiers: Sequence[Frontier], styles: Styles) -> Json:
    """Each version's best error at each coverage of demand; a star is what the rule chooses."""
    traces = []
    for one in frontiers:
        look, rows = styles[one.version], one.envelope()
        traces += [_threshold_trace(one, rows, look), _star(one, look)]
    return plain(go.Figure(traces, _threshold_layout(frontiers[0])))


def frontier_figure(one: Frontier, look: Style) -> Json:
    """All thresholds of a version: a line for each ``min_orders``, along ``min_confidence``."""
    groups = list(one.frame.groupby("min_orders"))
    traces = [
        _threshold_trace(
            one,
            rows,
            look,
            opacity=0.35 + 0.65 * place / max(len(groups) - 1, 1),
            marker={"color": look.colour, "size": 5},
            line={"color": look.colour, "width": 1.5},
        )
        for place, (_, rows) in enumerate(groups)
    ]
    return plain(go.Figure([*traces, _star(one, look)], _threshold_layout(one)))


def _star(one: Frontier, look: Style) -> go.Scatter:
    """The thresholds that were chosen."""
    star = {"color": look.colour, "symbol": "star", "size": 15, "line": {"width": 1}}
    return _threshold_trace(one, one.chosen(), look, mode="markers", marker=star)


def _threshold_trace(one: Frontier, rows: pd.DataFrame, look: Style, **more: object) -> go.Scatter:
    percent = 1 if one.choice.rule.error == "days" else 100
    return _version_trace(
        one.version,
        look,
        **{
            "x": (100 * rows["demand_coverage"]).round(2).to_numpy(),
            "y": (percent * rows[one.choice.rule.error]).round(3).to_numpy(),
            "customdata": rows[["min_orders", "min_confidence", "pairs"]].to_numpy(),
            "hovertemplate": "min_orders %{customdata[0]}, min_confidence %{customdata[1]:.2g}<br>"
            "%{x:.1f} % of orders listed, error %{y:.3g}, %{customdata[2]:,} pairs"
            "<extra>%{fullData.name}</extra>",
            **more,
        },
    )


def _threshold_layout(one: Frontier) -> Json:
    rule = one.choice.rule
    return layout(
        "orders that are listed, %",
        ERROR_TITLES[rule.error],
        xaxis={"range": [0, 104]},
        shapes=[_line("x", *2 * (100 * rule.min_coverage,), "y domain", 0, 1)],
    )


def _version_trace(version: str, look: Style, **more: object) -> go.Scatter:
    return go.Scatter(
        **{
            "name": literal(version),
            "meta": version,
            "mode": "lines+markers",
            "line": {"color": look.colour, "dash": look.dash, "width": 2},
            "marker": {"color": look.colour, "symbol": look.symbol, "size": 8},
            **more,
        }
    )


def _whiskers(up: object, down: object, colour: str, thickness: int, width: int) -> Json:
    ends = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
    return {**ends, "color": colour, "thickness": thickness, "width": width}


def _line(xref: str, x0: float, x1: float, yref: str, y0: float, y1: float) -> Json:
    line = {"color": GREY, "width": 1, "dash": "dash"}
    where = {"x0": x0, "x1": x1, "y0": y0, "y1": y1}
    return {"type": "line", "xref": xref, "yref": yref, "layer": "below", "line": line, **where}


def _band(y0: float, y1: float) -> Json:
    where = {"x0": 0, "x1": 1, "y0": y0, "y1": y1}
    return {
        "type": "rect",
        "xref": "x domain",
        "yref": "y",
        "layer": "below",
        "fillcolor": BAND,
        "line": {"width": 0},
        **where,
    }
