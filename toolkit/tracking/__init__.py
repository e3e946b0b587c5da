"""Runs, figures and registered versions in MLflow; the only place that imports it.

MLflow reads these settings when it is imported, so they are made here, before any module of
this package can import it; what the user has set stays.
"""

import os

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}

for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)
