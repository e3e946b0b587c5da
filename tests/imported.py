"""Whatever commands import when they run: a process that has imported this one can fork them.

MLflow's tables are worked out once, too. No thread of ours was started, and no database is open.
"""

import tempfile
from importlib import import_module

USED = (
    "backtests.cli.backtest",
    "backtests.cli.promote",
    "backtests.evidence.gate",
    "lightgbm",
    "models.lapse_gamma",
    "models.pair_conjugate",
    "models.pooled_gamma",
    "models.rhythm",
    "nutpie",
    "pymc",
    "pymssql",
    "tests.processes",
    "tests.tracking.evidence",
    "toolkit.cache.server",
    "toolkit.export.job",
    "toolkit.tracking.promotion",
    "toolkit.tracking.registration",
)

for name in USED:
    import_module(name)
with tempfile.TemporaryDirectory() as folder:
    open_store = import_module("toolkit.tracking.store").open_store
    open_store(f"sqlite:///{folder}/mlflow.db").client.search_experiments()
