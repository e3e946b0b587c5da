"""Exports in MLflow: a run each, in an experiment of their own."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mlflow.utils.time import get_current_time_millis

from toolkit.errors import TrackingError
from toolkit.export.plan import ExportSettings
from toolkit.export.report import ExportReport
from toolkit.tracking.runs import Scalar, log_values
from toolkit.tracking.store import Store

EXPERIMENT = "exports"
REPORT_FILE = "report.json"
RELEASE_TAG = "toolkit.release"


def log_export(store: Store, report: ExportReport | Exception, settings: ExportSettings) -> str:
    """Log an export, or the error that ended it; returns the id of its run.

    A run that published nothing is ``FAILED``. Raises ``TrackingError`` if the store does not
    take it.
    """
    params = _params(settings)
    if isinstance(report, ExportReport):
        details = {k: str(v) for k, v in report.details.items() if v is not None}
        return _log(store, params | details, _metrics(report), _tags(report), report)
    return _log(store, params, {}, {"error": str(report)}, None)


def _log(
    store: Store,
    params: Mapping[str, Scalar],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    report: ExportReport | None,
) -> str:
    with store.errors(), store.alone():
        experiment = store.experiment_id(EXPERIMENT)
        name = tags.get(RELEASE_TAG, "not published")
        run = store.client.create_run(experiment, run_name=name, tags=dict(tags))
        run_id = str(run.info.run_id)
        log_values(store, run_id, params, metrics, {}, get_current_time_millis())
        if report is not None:
            _keep(store, run.info.artifact_uri, report)
        done = report is not None and report.published
        store.client.set_terminated(run_id, "FINISHED" if done else "FAILED")
    return run_id


def _params(settings: ExportSettings) -> dict[str, str]:
    """What was asked for; of the products only how many."""
    asked = settings.product_ids
    values = asdict(settings) | {"product_ids": "all" if asked is None else len(asked)}
    return {name: str(value) for name, value in values.items() if value is not None}


def _metrics(report: ExportReport) -> dict[str, float]:
    counts = {f"products/{status}": float(count) for status, count in report.counts.items()}
    return counts | {
        "products/resumed": report.resumed,
        "products/carried": report.carried,
        "seconds": report.seconds,
        "redis_seconds": report.redis_seconds,
    }


def _tags(report: ExportReport) -> dict[str, str]:
    if report.release is not None:
        return {RELEASE_TAG: report.release}
    return {"error": report.refusal or ""}


def _keep(store: Store, place: str | None, report: ExportReport) -> None:
    if place is None:
        raise TrackingError(f"{store.uri} has no place for files")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / REPORT_FILE
        file.write_text(json.dumps(report.to_dict(), indent=1))
        store.artifacts(place).log_artifact(str(file))
