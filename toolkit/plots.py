"""Figures of forecasts, returned for the caller to show or save."""

from collections.abc import Sequence
from datetime import date

import matplotlib.dates as mdates
from matplotlib.figure import Figure

from toolkit.types import ProductForecast

BAND = "#4477aa"
ACTUAL = "#cc3311"


def plot_weekly_demand(forecast: ProductForecast, actual: Sequence[float] | None = None) -> Figure:
    """Weekly quantity quantiles of all demand, and what was really ordered, [weeks].

    Raises ``ValueError`` if the forecast has no quantiles.
    """
    quantiles = [week["demand"]["quantity_quantiles"] for week in forecast.weekly_forecasts]
    bands = [q for q in quantiles if q is not None]
    if len(bands) != len(quantiles):
        raise ValueError(f"the forecast of product {forecast.product_id} has no quantiles")
    start = [date.fromisoformat(w["week_start_date"]) for w in forecast.weekly_forecasts]
    x = [mdates.date2num(day) for day in start]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for low, high, alpha in (("q05", "q95", 0.15), ("q10", "q90", 0.2), ("q25", "q75", 0.3)):
        share = int(high[1:]) - int(low[1:])
        low_edge, high_edge = [b[low] for b in bands], [b[high] for b in bands]
        axes.fill_between(
            x, low_edge, high_edge, color=BAND, alpha=alpha, lw=0, label=f"{share} % interval"
        )
    axes.plot(x, [b["q50"] for b in bands], color=BAND, lw=2, label="median")
    if actual is not None:
        axes.plot(x, list(actual), "o", color=ACTUAL, label="ordered")
    summary = forecast.summary
    axes.set_title(
        f"{summary['product_name']}: weekly demand as of {summary['forecast_start_date']}",
        loc="left",
    )
    axes.set_ylabel("units per week")
    axes.set_ylim(bottom=0)
    axes.set_xticks(x, [f"{day:%d %b}" for day in start])
    axes.set_xlabel("week from")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure
