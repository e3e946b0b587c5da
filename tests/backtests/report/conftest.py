"""A run whose names are hostile, its report, and a real Chromium to open it in."""

import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
import xarray as xr

from backtests.report.page import Written, write_report
from backtests.run.folder import META, RunFolder
from tests.browser import browser, find_chromium

__all__ = ["browser"]

LABEL = "other"
"""The version that failed once, and was fitted."""

HOSTILE = "<script>window.hacked=1<script>&\"'"
"""The start of products' names; a label can be no such thing."""

HOSTILE_END = "</script><img src=x onerror=window.hacked=1>"
"""What would end a script element that holds it, in products' names and errors."""

FIT = "1-0123abcd"
DIAGNOSTICS = {
    "r_hat": 1.052, "r_hat_worst": "shape", "ess_bulk": 812.0, "ess_tail": 399.0,
    "divergences": 0, "e_bfmi": 0.81, "seconds": 12.5,
}  # fmt: skip
WARNING = f"R-hat of {HOSTILE_END} is 1.052, above 1.01"
ERROR = f"ValueError: {HOSTILE_END}"


def pytest_terminal_summary(terminalreporter):
    if not find_chromium():
        terminalreporter.write_sep("!", "no Chromium: no report was opened in a browser", red=True)


@pytest.fixture(scope="session")
def hostile_run(run, order_file, tmp_path_factory) -> RunFolder:
    """The small run again: names that hold markup, a task that failed, a fit by NUTS."""
    folder = tmp_path_factory.mktemp("hostile") / "small-00000000"
    shutil.copytree(run.path, folder)
    database = folder.parent / "orders.duckdb"
    shutil.copy(order_file, database)
    with duckdb.connect(str(database)) as conn:
        conn.execute("UPDATE dbo.Product SET Name = ? || ID || ?", [HOSTILE, HOSTILE_END])
    _move(folder, database)
    first, second = RunFolder(folder).task_folders(LABEL)[:2]
    _change(first, status="failed", error=ERROR, digests={})
    (first / "pairs.parquet").unlink()
    (first / "product_weeks.parquet").unlink()
    _change(second, failed_rows=2, failures=["customer 3 of product 4: gone"])
    _add_fit(folder)
    (folder / "scores.parquet").unlink()
    return RunFolder(folder)


@pytest.fixture(scope="session")
def written(hostile_run) -> Written:
    return write_report(hostile_run.path)


def _move(folder: Path, database: Path) -> None:
    """The run's data are in ``database``."""
    content = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps(content | {"database": str(database)}))


def _add_fit(folder: Path) -> None:
    """The hostile version says that it was fitted, and what it learned."""
    fit = folder / "fits" / "pair_conjugate" / FIT
    fit.mkdir(parents=True)
    rng = np.random.default_rng(1)
    draws = {
        name: (("chain", "draw"), rng.gamma(4, 1, (2, 30)).astype(np.float32))
        for name in ("shape", "scale")
    }
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(draws)})
    tree.to_netcdf(fit / "posterior.nc", engine="h5netcdf")
    card = {"as_of_date": "2022-05-09", "pairs": 321, "checks": [], "settings": {}}
    card["checks"] = [
        {"statistic": HOSTILE_END, "observed": 0.5, "prior_90": [0.1, 0.9],
         "posterior_90": [0.4, 0.6], "tail_p": 0.42},
        {"statistic": "empty", "observed": None, "prior_90": None, "posterior_90": None,
         "tail_p": None},
    ]  # fmt: skip
    (fit / "card.json").write_text(json.dumps(card))
    for task in RunFolder(folder).task_folders(LABEL):
        _change(task, model_version=FIT, diagnostics=DIAGNOSTICS, warnings=[WARNING])


def _change(task: Path, **values) -> None:
    card = json.loads((task / "task.json").read_text())
    (task / "task.json").write_text(json.dumps(card | values))
