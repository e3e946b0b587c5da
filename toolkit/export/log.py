"""Exports in MLflow: a run each, in an experiment of their own."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from toolkit.export.plan import ExportSettings
from toolkit.export.report import ExportReport
from toolkit.tracking.runs import log_run
from toolkit.tracking.store import Store

EXPERIMENT = "exports"
REPORT_FILE = "report.json"
RELEASE_TAG = "toolkit.release"
UNPUBLISHED = "not published"


def log_export(store: Store, report: ExportReport | Exception, settings: ExportSettings) -> str:
    """Log an export, or the error that ended it; returns the id of its run.

    A run that published nothing is ``FAILED``. Raises ``TrackingError`` if the store does not
    take it.
    """
    params = _params(settings)
    if isinstance(report, Exception):
        return log_run(store, EXPERIMENT, UNPUBLISHED, params, {}, {"error": str(report)})
    details = {k: str(v) for k, v in report.details.items() if v is not None}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / REPORT_FILE
        file.write_text(json.dumps(report.to_dict(), indent=1))
        return log_run(
            store,
            EXPERIMENT,
            report.release or UNPUBLISHED,
            params | details,
            _metrics(report),
            {"error": report.refusal or ""}
            if report.release is None
            else {RELEASE_TAG: report.release},
            files=[file],
            failed=not report.published,
        )


def _params(settings: ExportSettings) -> dict[str, str]:
    """What was asked for; of products, customers and changed orders only how many."""
    asked, customers, changed = settings.product_ids, settings.customer_ids, settings.changed
    values = asdict(settings) | {
        "product_ids": "all" if asked is None else len(asked),
        "customer_ids": None if customers is None else len(customers),
        "changed": None if changed is None else len(changed),
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _metrics(report: ExportReport) -> dict[str, float]:
    counts = {f"products/{status}": float(count) for status, count in report.counts.items()}
    return counts | {
        "products/resumed": report.resumed,
        "products/carried": report.carried,
        "seconds": report.seconds,
        "redis_seconds": report.redis_seconds,
    }
