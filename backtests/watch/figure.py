"""Where a chart stands, and how it came there, drawn."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from matplotlib.figure import Figure

from toolkit.web import COLOURS

LINE, BAND, ALARM = COLOURS[0], COLOURS[2], COLOURS[5]


@dataclass(frozen=True, slots=True)
class ChartState:
    """Where a chart stands.

    ``value``: of the last week; ``usual``: the mean less and plus a deviation, and ``limit``, from
    the backtest; None where that has too few weeks, and the chart cannot sound. ``since``: the week
    from which on the sum is above its limit. ``history``: of each week when it begins, the value,
    and the sum after it. ``measure``: what stands in place of a sum.
    """

    name: str
    title: str
    weeks: int
    value: float | None
    usual: tuple[float, float] | None = None
    sum: float | None = None
    limit: float | None = None
    since: date | None = None
    history: tuple[tuple[date, float, float | None], ...] = ()
    measure: str = "sum"

    @property
    def alarm(self) -> bool:
        """Whether an alarm stands."""
        return self.since is not None

    @property
    def sounded(self) -> bool:
        """Whether an alarm stands, or stood."""
        limit = math.inf if self.limit is None else self.limit
        return any(total is not None and total > limit for _, _, total in self.history)


def draw(charts: Sequence[ChartState]) -> bytes:
    """A PNG with a row for each chart that has a week: its values, and its sums."""
    shown = [chart for chart in charts if chart.history]
    figure = Figure(figsize=(10, 0.6 + 1.9 * len(shown)), layout="constrained")
    if shown:
        rows = figure.subplots(len(shown), 2, squeeze=False, sharex=True)
        for (left, right), chart in zip(rows, shown, strict=True):
            begins, values, sums = zip(*chart.history, strict=True)
            left.plot(begins, values, "o-", color=LINE, markersize=3)
            left.set_title(chart.title, fontsize=9, loc="left")
            if chart.usual is not None:
                left.axhspan(*chart.usual, color=BAND, alpha=0.15, label="usual")
                left.legend(fontsize=8, frameon=False)
            if chart.limit is not None:
                right.plot(begins, sums, "o-", color=LINE, markersize=3)
                right.axhline(chart.limit, color=ALARM, linestyle="--", label="limit")
                right.legend(fontsize=8, frameon=False)
            right.set_title(chart.measure, fontsize=9, loc="left")
            for axes in (left, right):
                axes.tick_params(labelsize=8)
                axes.tick_params(axis="x", rotation=30)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=90)
    return held.getvalue()
