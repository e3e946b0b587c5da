"""The explorer's figures, as Plotly has them; each stands beside a table of the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.results.explanation import Explanation
from toolkit.results.fields import WeeklyForecast
from toolkit.results.scenario_fields import ComparedScenario
from toolkit.web import COLOURS, GREY, layout, literal

HEIGHT = 380
BAR = 34
INK = "ink"
"""``meta`` of what is drawn in the colour of text."""

BANDS = (("q05", "q95", "90 %", "38"), ("q10", "q90", "80 %", "4d"), ("q25", "q75", "50 %", "66"))
"""Quantiles that bound an interval, what it holds, and how strongly it is drawn."""

type Quantiles = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, and what it shows, in words."""

    title: str
    note: str
    figure: dict[str, object]

    @property
    def height(self) -> int:
        """In pixels."""
        made = self.figure["layout"]
        assert isinstance(made, dict)
        return int(made["height"])


@dataclass(frozen=True, slots=True)
class Ordered:
    """Units that were ordered in weeks, the first of which begins on ``start``.

    None in a week of which that is not known.
    """

    start: date
    units: tuple[float | None, ...]

    @property
    def days(self) -> list[str]:
        """On which the weeks begin."""
        return _days(self.start, len(self.units))


def fan(
    weeks: Sequence[WeeklyForecast], before: Ordered | None = None, since: Ordered | None = None
) -> Chart:
    """Weekly demand with its intervals, what was ordered before, and what has been since."""
    days = [week["week_start_date"] for week in weeks]
    demand = [week["demand"] for week in weeks]
    quantiles = [one["quantity_quantiles"] for one in demand]
    known = [one for one in quantiles if one is not None]
    traces = [
        *(_bands(days, known, COLOURS[0]) if len(known) == len(days) else ()),
        _line(days, [one["expected_quantity"] for one in demand], COLOURS[0], "mean", dash="dot"),
        *_told(before, "lines+markers", "ordered before", 4),
        *_told(since, "markers", "ordered since", 9),
    ]
    note = "Shaded: 90, 80 and 50 % intervals of all customers' demand; lines: median and mean."
    if before is not None:
        note += " Left of the dashed line, what was ordered."
    return Chart("Units per week", note, {"data": traces, "layout": _weekly(days[0])})


def scenario_chart(compared: ComparedScenario) -> Chart:
    """The baseline's and the scenario's weeks, each with its 80 % interval."""
    weeks = compared["weekly"]
    days = [week["week_start_date"] for week in weeks]
    baseline = [week["baseline_quantity_quantiles"] for week in weeks]
    changed = [week["quantity_quantiles"] for week in weeks]
    traces = [
        _band(days, baseline, "q10", "q90", "baseline, 80 %", COLOURS[6] + "3d"),
        _band(days, changed, "q10", "q90", "scenario, 80 %", COLOURS[1] + "3d"),
        _line(days, [week["baseline_quantity"] for week in weeks], COLOURS[6], "baseline", "dash"),
        _line(days, [week["expected_quantity"] for week in weeks], COLOURS[1], "scenario"),
    ]
    note = "Lines: means. Shaded: 80 % intervals."
    title = "Units per week, baseline and scenario"
    return Chart(title, note, {"data": traces, "layout": _weekly(None)})


def parts_chart(explanation: Explanation) -> Chart:
    """A bar for each part, the largest on top, with its 80 % interval."""
    parts = sorted(explanation.parts, key=lambda part: abs(part["amount"]))
    amounts = [part["amount"] for part in parts]
    ends = [(part["amount_quantiles"]["q10"], part["amount_quantiles"]["q90"]) for part in parts]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [high - amount for amount, (_, high) in zip(amounts, ends, strict=True)],
        "arrayminus": [amount - low for amount, (low, _) in zip(amounts, ends, strict=True)],
        "color": GREY,
        "thickness": 1.5,
        "width": 4,
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [literal(part["part"]) for part in parts],
        "x": amounts,
        "error_x": error,
        "marker": {"color": [COLOURS[0] if x >= 0 else COLOURS[5] for x in amounts]},
        "hovertemplate": f"%{{y}}: %{{x:+.3~g}} {explanation.unit}<extra></extra>",
    }
    made = layout(
        f"{explanation.unit} more or less than typical",
        "",
        70 + BAR * len(parts),
        xaxis={"nticks": 5, "zeroline": True, "zerolinecolor": GREY},
        yaxis={"type": "category", "fixedrange": True},
    )
    title = f"What makes the difference, in {explanation.unit}"
    return Chart(title, "Lines: 80 % intervals.", {"data": [bars], "layout": made})


def _weekly(as_of: str | None) -> dict[str, object]:
    """Of weeks in units; a dashed line where the forecast begins."""
    line = {"color": GREY, "width": 1, "dash": "dash"}
    edge = {"type": "line", "yref": "y domain", "x0": as_of, "x1": as_of, "y0": 0, "y1": 1}
    return layout(
        "week from",
        "units per week",
        HEIGHT,
        xaxis={"type": "date", "nticks": 8},
        yaxis={"rangemode": "tozero", "nticks": 6},
        margin={"l": 8, "r": 10, "t": 44, "b": 8},
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hovermode="x unified",
        dragmode=False,
        shapes=[] if as_of is None else [{**edge, "line": line}],
    )


def _bands(
    days: Sequence[str], quantiles: Sequence[Quantiles], colour: str
) -> Iterator[dict[str, object]]:
    for low, high, name, strength in BANDS:
        yield _band(days, quantiles, low, high, name, colour + strength)
    yield _line(days, [one["q50"] for one in quantiles], colour, "median")


def _band(
    days: Sequence[str], quantiles: Sequence[Quantiles], low: str, high: str, name: str, fill: str
) -> dict[str, object]:
    above, below = ([one[end] for one in quantiles] for end in (high, low))
    return {
        "x": [*days, *reversed(days)],
        "y": [*above, *reversed(below)],
        "fill": "toself",
        "mode": "lines",
        "line": {"width": 0},
        "fillcolor": fill,
        "name": name,
        "hoverinfo": "skip",
    }


def _line(
    days: Sequence[str], units: Sequence[float], colour: str, name: str, dash: str = "solid"
) -> dict[str, object]:
    return {
        "x": list(days),
        "y": list(units),
        "mode": "lines",
        "line": {"color": colour, "width": 2, "dash": dash},
        "name": name,
        "hovertemplate": f"{name} %{{y:,.1f}}<extra></extra>",
    }


def _told(told: Ordered | None, mode: str, name: str, size: int) -> Iterator[dict[str, object]]:
    """What was really ordered, in the colour of text; nothing where nobody can tell."""
    if told is None or all(units is None for units in told.units):
        return
    yield {
        "x": told.days,
        "y": list(told.units),
        "mode": mode,
        "meta": INK,
        "name": name,
        "line": {"width": 1},
        "marker": {"size": size},
        "hovertemplate": f"{name} %{{y:,}}<extra></extra>",
    }


def _days(start: date, weeks: int) -> list[str]:
    return [(start + timedelta(DAYS_PER_WEEK * week)).isoformat() for week in range(weeks)]
