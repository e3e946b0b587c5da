"""Figures from plain numbers and dates, returned for the caller to show or save."""

import io
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.data.tables import Floats

BAND = "#4477aa"
ACTUAL = "#cc3311"
QUIET = "#999999"
BANDS = ((0.05, 0.95, 0.15), (0.1, 0.9, 0.2), (0.25, 0.75, 0.3))
"""Quantiles that bound an interval, and how strongly it is drawn."""

DOTS_PER_INCH = 110


class Drawing(Figure):
    """A figure of Matplotlib's that a notebook shows without Pyplot, and keeps open nowhere."""

    def _repr_png_(self) -> bytes:
        held = io.BytesIO()
        self.savefig(held, format="png", dpi=DOTS_PER_INCH)
        return held.getvalue()


def plot_weeks(
    title: str,
    start: Sequence[date],
    bands: Sequence[Mapping[str, float]],
    actual: Sequence[float] | None = None,
) -> Drawing:
    """Quantiles of each week's quantity, by name, and what was really ordered, both [weeks].

    NaN stands for a week of which that is not known yet.
    """
    figure = Drawing(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    _draw_weeks(axes, start, bands, actual)
    _head(axes, title)
    axes.set_ylabel("units per week")
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.set_ylim(bottom=0)
    shown = start[:: max(1, len(start) // 13)]  # a label for every day is too narrow for a year
    axes.set_xticks(_places(shown), [f"{day:%d %b}" for day in shown])
    axes.set_xlabel("week from")
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure


def plot_timeline(
    title: str,
    as_of_date: date,
    order_dates: Sequence[date],
    quantities: Sequence[float],
    next_order: Mapping[float, date | None] | None = None,
    next_order_date: date | None = None,
) -> Drawing:
    """A pair's orders, as tall as they are large, the open interval and the next order's date.

    ``next_order``: the date at each of ``QUANTILES``; None beyond reach.
    """
    figure = Drawing(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    as_of, last = mdates.date2num(as_of_date), order_dates[-1]
    axes.axvspan(mdates.date2num(last), as_of, color=QUIET, alpha=0.15, lw=0)
    axes.vlines(_places(order_dates), 0, quantities, color=BAND, lw=2)
    axes.plot(_places(order_dates), quantities, "o", color=BAND, label="order")
    axes.axvline(as_of, color="black", lw=1, label=f"as of {as_of_date}")
    if next_order is not None:
        _draw_next(axes, as_of_date, next_order)
    if next_order_date is not None:
        axes.axvline(*_places([next_order_date]), color=ACTUAL, lw=2)
    _head(axes, title)
    axes.set_ylabel("units")
    axes.set_ylim(0, 1.15 * max(quantities))
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=9))
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


def plot_parts(
    title: str,
    unit: str,
    names: Sequence[str],
    amounts: Sequence[float],
    intervals: Sequence[tuple[float, float]],
) -> Drawing:
    """A bar for each part, the first on top, to the right what adds and to the left what takes."""
    figure = Drawing(figsize=(9, 1.4 + 0.42 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(names)))[::-1]
    colours = [BAND if amount >= 0 else ACTUAL for amount in amounts]
    axes.barh(places, list(amounts), height=0.62, color=colours, alpha=0.75)
    for place, (low, high) in zip(places, intervals, strict=True):
        axes.plot([low, high], [place, place], color="black", lw=1.2, marker="|", ms=7)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(places, list(names))
    axes.tick_params(axis="y", length=0)
    _head(axes, title)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{unit}\nlines hold 80 %")
    return figure


def plot_grids(
    title: str,
    grids: Mapping[str, tuple[Floats, str]],
    columns: tuple[str, Sequence[str]],
    rows: tuple[str, Sequence[str]],
) -> Drawing:
    """Heat maps side by side, each from nothing to its largest number, and by its format.

    ``grids``: numbers [rows, columns] by title; ``columns`` and ``rows``: what they are, and which.
    """
    figure = Drawing(figsize=(5.5 * len(grids), 1.8 + 0.45 * len(rows[1])), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, (name, (values, form)) in zip(
        figure.subplots(1, len(grids), squeeze=False)[0], grids.items(), strict=True
    ):
        top = float(values.max()) or 1.0
        axes.imshow(values, cmap="Blues", vmin=0, vmax=top, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            ink = "white" if value > 0.6 * top else "black"
            axes.text(j, i, form.format(value), ha="center", va="center", color=ink, fontsize=9)
        axes.set_title(name, loc="left")
        axes.set_xticks(range(len(columns[1])), columns[1])
        axes.set_yticks(range(len(rows[1])), rows[1])
        axes.set_xlabel(columns[0])
        axes.set_ylabel(rows[0])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return figure


def _draw_weeks(
    axes: Axes,
    start: Sequence[date],
    bands: Sequence[Mapping[str, float]],
    actual: Sequence[float] | None,
) -> None:
    x = _places(start)
    for low, high, alpha in BANDS:
        below, above = ([band[f"q{100 * level:02.0f}"] for band in bands] for level in (low, high))
        label = f"{100 * (high - low):.0f} % interval"
        axes.fill_between(x, below, above, color=BAND, alpha=alpha, lw=0, label=label)
    axes.plot(x, [band["q50"] for band in bands], color=BAND, lw=2, label="median")
    if actual is not None and not all(map(math.isnan, actual)):
        axes.plot(x, list(actual), "o", color=ACTUAL, label="ordered")


def _draw_next(axes: Axes, as_of_date: date, known: Mapping[float, date | None]) -> None:
    """Intervals of the next order's date; where one has no end in reach, it fades out there."""
    dates = [day for day in known.values() if day is not None]
    if not dates:
        return
    reach = max(*dates, as_of_date + timedelta(weeks=12))
    for low, high, alpha in BANDS:
        begin, end = known[low], known[high] or reach
        if begin is not None:
            label = f"next order, {100 * (high - low):.0f} %"
            axes.axvspan(*_places([begin, end]), color=ACTUAL, alpha=alpha, lw=0, label=label)


def _head(axes: Axes, title: str) -> None:
    """The title as it is: a name may hold what Matplotlib would read as mathematics."""
    axes.set_title(title.replace("$", r"\$"), loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _places(days: Sequence[date]) -> list[float]:
    return [float(mdates.date2num(day)) for day in days]
