"""What a watch found: the charts of each version, the alarms, and how the data changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from backtests.evidence.shadow import Shadow
from backtests.watch.drift import Drift
from backtests.watch.figure import ChartState, draw
from toolkit.card import Card, CardCell, Figure, Grid, Shown, Strong, counted
from toolkit.validation import plain


@dataclass(frozen=True, slots=True)
class VersionWatch:
    """A version under watch: champion, challenger or reference."""

    role: str
    fit: str
    backtest: str | None  # whose figures are promised
    weeks: int  # scored
    log_loss: float | None  # of an order in a week, per pair
    crps: float | None  # of units by product and week, in units
    bias: float | None  # of units
    held: float | None  # share of product-weeks in their 80 % interval
    charts: tuple[ChartState, ...] = ()

    def alarms(self) -> Iterator[str]:
        """A sentence for each alarm that stands."""
        for chart in self.charts:
            if chart.alarm:
                yield (
                    f"{self.role} {self.fit}: {chart.title} is {chart.value:.3f}, usual is "
                    f"{_usual(chart)}; its {chart.measure} {chart.sum:.2f} is above "
                    f"{chart.limit:.2f} since "
                    f"the week of {chart.since}"
                )


@dataclass(frozen=True, slots=True)
class WatchReport(Shown):
    """What a watch did and found as of ``as_of_date``."""

    as_of_date: date
    kept: tuple[str, ...]  # fits of which a forecast was kept
    scored: int  # weeks of versions
    versions: tuple[VersionWatch, ...]
    drift: Drift | None
    shadow: Shadow | None = None  # of the challenger, if there is one
    notices: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[str, ...]:
        """A sentence for each alarm that stands, of the champion first."""
        return tuple(sentence for version in self.versions for sentence in version.alarms())

    @property
    def champion_alarm(self) -> bool:
        """Whether an alarm of the champion stands."""
        return any(chart.alarm for chart in self.versions[0].charts)

    def to_dict(self) -> dict[str, object]:
        """All of it, for JSON."""
        return plain(self) | {"alarms": list(self.alarms)}

    def page(self) -> str:
        """One HTML page that opens offline: the card, and the charts week by week."""
        drawn = (version for version in self.versions if version.charts)
        titles = ((f"{one.role} {one.fit}, week by week", draw(one.charts)) for one in drawn)
        return self.to_card().page(titles)

    def to_card(self) -> Card:
        """Versions side by side, the charts of each, and the data's drift."""
        return Card(
            title="Watch",
            subtitle=f"As of {self.as_of_date}",
            figures=[
                Figure("forecasts kept", f"{len(self.kept)}"),
                Figure("weeks scored now", f"{self.scored}"),
                Figure("alarms", f"{len(self.alarms)}"),
            ],
            warnings=[f"ALARM {sentence}" for sentence in self.alarms],
            grids=[
                _scores(self.versions),
                *(_charts(version) for version in self.versions if version.charts),
                *([self.drift.to_grid()] if self.drift else []),
            ],
            sentences=(*self._of_the_challenger(), *self.notices),
        )

    def _of_the_challenger(self) -> list[str]:
        if self.shadow is None:
            return []
        weeks = counted(self.shadow.weeks, "week")
        return [f"The challenger in {weeks} beside the champion: {self.shadow}."]


def _scores(versions: tuple[VersionWatch, ...]) -> Grid:
    heads = ("", "version", "weeks", "log loss", "CRPS", "bias", "in 80 %")
    rows = [
        (
            version.role,
            version.fit,
            f"{version.weeks}",
            _number(version.log_loss, "{:.4f}"),
            _number(version.crps, "{:.3f}"),
            _number(version.bias, "{:+.1%}"),
            _number(version.held, "{:.1%}"),
        )
        for version in versions
    ]
    note = "Log loss of an order in a week, by pair; CRPS of units by product and week."
    return Grid("Weeks that are over", heads, rows, frozenset(heads[2:]), note)


def _charts(version: VersionWatch) -> Grid:
    heads = ("chart", "last week", "usual", "sum", "limit", "")
    rows: list[tuple[CardCell, ...]] = [
        (
            chart.title,
            _number(chart.value, "{:.3f}"),
            _usual(chart),
            _number(chart.sum, "{:.2f}"),
            _number(chart.limit, "{:.2f}"),
            Strong(f"ALARM since {chart.since}") if chart.alarm else "",
        )
        for chart in version.charts
    ]
    weeks = max((chart.weeks for chart in version.charts), default=0)
    backtest = version.backtest or "that is missing"
    note = (
        f"{counted(weeks, 'week')}. Usual are the middle two thirds of the backtest {backtest}; of "
        "customers, of the weeks before the watch."
    )
    return Grid(f"Charts of the {version.role}", heads, rows, frozenset(heads[1:5]), note)


def _number(value: float | None, how: str) -> str:
    return "–" if value is None else how.format(value)


def _usual(chart: ChartState) -> str:
    return "–" if chart.usual is None else f"{chart.usual[0]:.3f} to {chart.usual[1]:.3f}"
