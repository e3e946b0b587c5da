"""`toolkit track` and `toolkit register`, from a folder on disk to MLflow."""

import json
import shutil
import sys
from datetime import date

import duckdb
import pandas as pd
import pytest

from backtests.run.experiment import parse_experiment
from backtests.run.folder import RunFolder, ScoreTables, start_run, write_task
from backtests.run.records import RunDescription, TaskRecord, TaskRows
from tests.tracking.fits import WARNING, rhythm_fit
from toolkit.cli.app import main
from toolkit.data.fingerprint import Fingerprint
from toolkit.fits import save_fit
from toolkit.sources.generator import load_orders
from toolkit.tracking.registry import find
from toolkit.tracking.runs import BACKTEST_TAG, search
from toolkit.tracking.store import open_store

DATES = ("2019-04-01", "2019-07-01")
FIT = rhythm_fit()
ASKED = {
    "name": "sample",
    "versions": [
        {"model": "rhythm"},
        {"label": "worse", "model": "pooled_gamma", "refit": "refit", "pairs": 10},
    ],
    "seed": 7,
    "dates": {"list": list(DATES)},
}
DESCRIPTION = RunDescription(
    name="sample",
    key="599ce43d",
    experiment=parse_experiment(ASKED, "sample"),
    data=Fingerprint(99, 9, 3, date(2017, 1, 3), date(2019, 12, 31), "f9" * 32),
    database="orders.duckdb",
    code_version="5b7766656137",
    toolkit_version="0.1.0",
    seed=7,
    shards=(2, 2),
)


def record(label: str, day: str, shard: int, error: str | None = None) -> TaskRecord:
    by_rhythm = label == "rhythm"
    return TaskRecord(
        run="sample-599ce43d",
        as_of_date=date.fromisoformat(day),
        version=label,
        model="rhythm" if by_rhythm else "pooled_gamma",
        model_version=FIT.version if by_rhythm else None,
        shard=shard,
        shards=2,
        status="failed" if error else "done",
        error=error,
        seconds=1.25 + shard,
        warnings=(WARNING,) if by_rhythm else (),
        diagnostics={"r_hat": 1.003, "r_hat_worst": "decline"} if by_rhythm else {},
        observed_weeks=12,
        horizon_weeks=12,
        rows=TaskRows(pairs=100 + shard, product_weeks=24),
        failed_rows=shard,
        failures=(),
        digests={},
    )


def finish(run: RunFolder, *records: TaskRecord) -> None:
    for one in records:
        write_task(run.task_folder(one.as_of_date, one.version, one.shard), one, ScoreTables())


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A run of two versions and dates, in two shards, of which one failed; with scores."""
    run = start_run(tmp_path / "runs" / "sample-599ce43d", DESCRIPTION)
    save_fit(FIT, run.fits)
    for day in DATES:
        finish(run, *(record(label, day, s) for label in ("rhythm", "worse") for s in (0, 1)))
    finish(run, record("worse", DATES[1], 1, "ModelError: nothing to fit"))
    rows = [
        ("rhythm", DATES[0], "all", "all", "pair", "log_loss", 0.351, 201),
        ("rhythm", None, "all", "all", "pair", "log_loss", 0.34, 402),
        ("rhythm", DATES[0], "order_count", "1", "pair", "log_loss", 0.5, 20),
        ("worse", None, "all", "all", "pair", "log_loss", float("nan"), 0),
    ]
    columns = [
        "version",
        "as_of_date",
        "slice",
        "value_of_slice",
        "level",
        "score",
        "value",
        "rows",
    ]
    pd.DataFrame(rows, columns=columns).to_parquet(run.path / "scores.parquet")
    return run


@pytest.fixture
def toolkit(store, monkeypatch, capsys, tmp_path):
    """The command line with the store in its folder; gives the exit code and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["toolkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return ended.value.code, written.out, written.err

    return call


def test_a_run_folder_is_logged_and_the_second_time_nothing_is(toolkit, run, store):
    code, out, _ = toolkit("track", run.path, "--json")
    first = json.loads(out)
    assert (code, first["logged"], first["complete_before"]) == (0, 5, 0)
    code, out, _ = toolkit("track", run.path)
    assert code == 0
    assert out.startswith("Logged 0 runs, 5 were there: experiment ")
    assert first["run_id"] in out


def test_what_mlflow_holds_of_a_run_folder(toolkit, run, store):
    assert toolkit("track", run.path)[0] == 0
    where = f"tags.`{BACKTEST_TAG}` = '599ce43d'"
    found = {r.info.run_name: r for r in search(store, store.experiment_id("sample"), where)}
    parent = found.pop("sample 599ce43d")
    assert parent.data.params["versions"] == "rhythm, worse"
    assert parent.data.params["data.rows"] == "99"
    assert parent.data.metrics == {
        "tasks": 8,
        "failed_tasks": 1,
        "seconds": 4 * 1.25 + 4 * 2.25,
        "rhythm/pair/log_loss": 0.34,
    }
    assert sorted(found) == [f"{label} {day}" for label in ("rhythm", "worse") for day in DATES]
    child = found["rhythm 2019-04-01"]
    assert child.data.params["model_version"] == FIT.version
    assert child.data.params["refit"] == "condition"
    assert child.data.metrics == {
        "seconds": 3.5,
        "shards": 2,
        "failed_shards": 0,
        "failed_rows": 1,
        "observed_weeks": 12,
        "rows/pairs": 201,
        "rows/product_weeks": 48,
        "fit/r_hat": 1.003,
        "pair/log_loss": 0.351,
    }
    assert child.data.tags["warnings"] == WARNING
    kept = store.file.parent / "mlartifacts" / "sample" / child.info.run_id / "artifacts"
    files = sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file())
    assert files == ["fit/card.json", "tasks/0000/task.json", "tasks/0001/task.json"]
    failed = found["worse 2019-07-01"]
    assert (failed.info.status, failed.data.tags["error"]) == (
        "FAILED",
        "ModelError: nothing to fit",
    )


def test_a_run_that_goes_on_is_brought_up_to_date(toolkit, run, store):
    done = run.task_folder(date(2019, 7, 1), "rhythm", 1)
    kept = run.task(date(2019, 7, 1), "rhythm", 1)
    shutil.rmtree(done)
    toolkit("track", run.path)
    finish(run, kept, record("worse", DATES[1], 1))
    code, out, _ = toolkit("track", run.path, "--json")
    assert (code, json.loads(out)["logged"]) == (0, 3)  # two versions, and the run's own figures
    where = f"tags.`{BACKTEST_TAG}` = '599ce43d'"
    found = {r.info.run_name: r for r in search(store, store.experiment_id("sample"), where)}
    assert found["worse 2019-07-01"].info.status == "FINISHED"
    assert found["rhythm 2019-07-01"].data.metrics["shards"] == 2
    assert found["sample 599ce43d"].data.metrics["failed_tasks"] == 0


def test_a_store_that_is_away_leaves_the_results_and_says_how_to_log_them(toolkit, run):
    before = sorted(run.path.rglob("*"))
    code, out, err = toolkit("track", run.path, "--store", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err.startswith("Error: the tracking store http://127.0.0.1:9 cannot be used: ")
    assert f"the results stay in {run.path}: `toolkit track {run.path}` logs them later" in err
    assert sorted(run.path.rglob("*")) == before
    assert toolkit("track", run.path)[0] == 0


def test_a_folder_without_a_run_is_told(toolkit, tmp_path):
    code, _, err = toolkit("track", tmp_path)
    assert code == 2
    assert "is not the folder of a backtest" in err


def test_a_fit_is_registered_with_the_fingerprint_of_its_data(toolkit, tmp_path, orders, store):
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    save_fit(FIT, tmp_path / "fits")
    arguments = ("--db", "orders.duckdb", "--alias", "challenger", "--json")
    code, out, err = toolkit("register", "rhythm", *arguments)
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["uri"] == "models:/inter-order/1"
    assert (said["fit"], said["aliases"]) == (f"rhythm@{FIT.version}", ["challenger"])
    ref = find(open_store(store.uri), "challenger")
    assert int(ref.tags["data.rows"]) > 1000
    assert ref.tags["data.last_date"] < "2022-06-06"  # what the fit knew, and no more


def test_an_unfit_version_is_registered_and_told(toolkit, tmp_path):
    save_fit(rhythm_fit(warnings=(WARNING,)), tmp_path / "fits")
    code, out, err = toolkit("register", "rhythm")
    assert (code, out) == (
        0,
        f"inter-order version 1 (rhythm@{FIT.version}): models:/inter-order/1\n",
    )
    assert err == f"NOT CONVERGED: rhythm@{FIT.version}: {WARNING}\n"


def test_what_cannot_be_registered_is_told(toolkit):
    code, _, err = toolkit("register", "rhythm")
    assert (code, err) == (
        2,
        "Error: rhythm has not been fitted in fits: run `toolkit fit rhythm` first\n",
    )
    code, _, err = toolkit("register", "pair_conjugate", "--db", "orders.duckdb")
    assert (code, err) == (2, "Error: pair_conjugate was fitted to nothing: --db does not apply\n")
