"""A watch in MLflow: a run for each time it looked, in an experiment of their own."""

from collections.abc import Iterator

from backtests.evidence.shadow import EXPERIMENT
from backtests.watch.report import WatchReport
from toolkit.tracking.runs import log_run
from toolkit.tracking.store import Store

ALARM_TAG = "toolkit.alarm"


def log_watch(store: Store, report: WatchReport) -> str:
    """Log what was found; returns the id of its run. Raises ``TrackingError`` if that fails."""
    champion = report.versions[0]
    fits = {version.role: version.fit for version in report.versions}
    return log_run(
        store,
        EXPERIMENT,
        f"{champion.fit} {report.as_of_date}",
        {"as_of_date": str(report.as_of_date), "backtest": champion.backtest or "none", **fits},
        dict(_metrics(report)),
        {ALARM_TAG: "\n".join(report.alarms)} if report.alarms else {},
        failed=False,
    )


def _metrics(report: WatchReport) -> Iterator[tuple[str, float]]:
    yield "weeks_scored", float(report.scored)
    yield "alarms", float(len(report.alarms))
    if report.shadow is not None:
        yield from report.shadow.metrics()
    for version in report.versions:
        yield f"{version.role}/weeks", float(version.weeks)
        for name in ("log_loss", "crps", "bias", "held"):
            value = getattr(version, name)
            if value is not None:
                yield f"{version.role}/{name}", value
        for chart in version.charts:
            for name in ("value", "sum", "limit"):
                value = getattr(chart, name)
                if value is not None:
                    yield f"{version.role}/{chart.name}/{name}", value
