"""Figures of forecasts and patterns, returned for the caller to show or save."""

import io
import math
from collections.abc import Sequence
from datetime import date, timedelta

import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.data.tables import QUANTILES
from toolkit.errors import ArgumentError
from toolkit.results.forecast import CustomerPrediction, CustomerProductPattern, ProductForecast

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


def plot_weekly_demand(forecast: ProductForecast, actual: Sequence[float] | None = None) -> Drawing:
    """Weekly quantity quantiles of all demand, and what was really ordered, [weeks].

    NaN stands for a week of which that is not known yet. Raises ``ArgumentError`` if the forecast
    has no quantiles, or ``actual`` is not as long.
    """
    quantiles = [week["demand"]["quantity_quantiles"] for week in forecast.weekly_forecasts]
    bands = [q for q in quantiles if q is not None]
    if len(bands) != len(quantiles):
        raise ArgumentError(f"the forecast of product {forecast.product_id} has no quantiles")
    if actual is not None and len(actual) != len(bands):
        raise ArgumentError(
            f"actual has to be one number for each of {len(bands)} weeks, got {len(actual)}"
        )
    start = [date.fromisoformat(w["week_start_date"]) for w in forecast.weekly_forecasts]
    figure = Drawing(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    _draw_weeks(axes, start, bands, actual)
    summary = forecast.summary
    _head(axes, f"{summary['product_name']}: weekly demand as of {summary['forecast_start_date']}")
    axes.set_ylabel("units per week")
    axes.set_ylim(bottom=0)
    shown = start[:: max(1, len(start) // 13)]  # a label for every day is too narrow for a year
    axes.set_xticks(_places(shown), [f"{day:%d %b}" for day in shown])
    axes.set_xlabel("week from")
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure


def plot_timeline(
    pattern: CustomerProductPattern, prediction: CustomerPrediction | None = None
) -> Drawing:
    """A pair's orders, as tall as they are large, the open interval and the next order's date."""
    if prediction is not None and _pair(prediction) != _pair(pattern):
        raise ArgumentError(
            "the prediction has to be of the pattern's pair and date, "
            f"{_said(pattern)}; got {_said(prediction)}"
        )
    figure = Drawing(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    as_of, last = mdates.date2num(pattern.as_of_date), pattern.order_dates[-1]
    axes.axvspan(mdates.date2num(last), as_of, color=QUIET, alpha=0.15, lw=0)
    axes.vlines(_places(pattern.order_dates), 0, pattern.quantities, color=BAND, lw=2)
    axes.plot(_places(pattern.order_dates), pattern.quantities, "o", color=BAND, label="order")
    axes.axvline(as_of, color="black", lw=1, label=f"as of {pattern.as_of_date}")
    if prediction is not None:
        _draw_next(axes, pattern, prediction)
    _head(axes, _timeline_title(pattern))
    axes.set_ylabel("units")
    axes.set_ylim(0, 1.15 * max(pattern.quantities))
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=9))
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


def _draw_weeks(
    axes: Axes,
    start: Sequence[date],
    bands: Sequence[dict[str, float]],
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


def _draw_next(axes: Axes, pattern: CustomerProductPattern, prediction: CustomerPrediction) -> None:
    """Intervals of the next order's date; where one has no end in reach, it fades out there."""
    known = dict(zip(QUANTILES, prediction.next_order_quantiles, strict=True))
    dates = [day for day in known.values() if day is not None]
    if not dates:
        return
    reach = max(*dates, pattern.as_of_date + timedelta(weeks=12))
    for low, high, alpha in BANDS:
        begin, end = known[low], known[high] or reach
        if begin is not None:
            label = f"next order, {100 * (high - low):.0f} %"
            axes.axvspan(*_places([begin, end]), color=ACTUAL, alpha=alpha, lw=0, label=label)
    if prediction.next_order_date is not None:
        axes.axvline(*_places([prediction.next_order_date]), color=ACTUAL, lw=2)


def _timeline_title(pattern: CustomerProductPattern) -> str:
    count = pattern.total_orders
    title = (
        f"Customer {pattern.customer_id}, product {pattern.product_id}: "
        f"{count:,} order{'' if count == 1 else 's'}"
    )
    if pattern.mean_interval_days is not None:
        title += f", one every {pattern.mean_interval_days:,.0f} days"
    return f"{title}, the last {pattern.open_interval_days:,.0f} days ago"


def _head(axes: Axes, title: str) -> None:
    """The title as it is: a name may hold what Matplotlib would read as mathematics."""
    axes.set_title(title.replace("$", r"\$"), loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _places(days: Sequence[date]) -> list[float]:
    return [float(mdates.date2num(day)) for day in days]


def _pair(of: CustomerProductPattern | CustomerPrediction) -> tuple[int, int, date]:
    return of.customer_id, of.product_id, of.as_of_date


def _said(of: CustomerProductPattern | CustomerPrediction) -> str:
    return f"customer {of.customer_id}, product {of.product_id} as of {of.as_of_date}"
