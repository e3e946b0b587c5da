"""A backtest in MLflow is there once and whole, whatever happens while it is logged."""

import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from mlflow.data import get_source
from sqlalchemy import event

from tests.tracking.conftest import finished
from toolkit.errors import TrackingError
from toolkit.tracking.runs import (
    BACKTEST_TAG,
    Artifact,
    TrackedBacktest,
    TrackedRun,
    log_backtest,
    search,
)
from toolkit.tracking.store import open_store

DATES = [date(2019, 4, 1) + timedelta(7 * week) for week in range(4)]
VERSIONS = ("rhythm", 'it\'s a "peer"', "broken")
RUNS = len(DATES) * len(VERSIONS)
ORDERS = ("orders", ("ab" * 32)[:36], "eval")


def backtest(folder: Path) -> TrackedBacktest:
    """Twelve children, a version of which failed, and a parent with two files."""
    (folder / "report.html").write_text("<p>report")
    (folder / "card.json").write_text("{}")
    return TrackedBacktest(
        name="versions",
        key="1f2e3d4c",
        data={"sha256": "ab" * 32, "rows": 1000, "first_date": "2018-01-01"},
        code_version="c0de",
        params={"weeks": 12, "policy": "condition", **{f"setting_{i}": i for i in range(120)}},
        metrics={"failed_tasks": 4},
        artifacts=(
            Artifact(folder / "report.html"),
            Artifact(folder / "card.json", "tables/deep"),
        ),
        runs=tuple(child(label, day, folder) for day in DATES for label in VERSIONS),
    )


def child(label: str, day: date, folder: Path) -> TrackedRun:
    fails = label == "broken"
    return TrackedRun(
        label=label,
        as_of_date=day,
        params={"draws": 200},
        metrics={"none": float("nan")}
        if fails
        else {"wape": day.day / 10, "crps (days)": 3.5, "auc": float("nan")},
        artifacts=() if fails else (Artifact(folder / "card.json"),),
        error="ModelError: nothing to fit" if fails else None,
    )


def everything(store) -> dict[str, object]:
    """All that the store holds of the backtest, by the runs' names; ids and times left out."""
    found = {}
    names = {r.info.run_id: r.info.run_name for r in runs_of(store)}
    for run in runs_of(store):
        history = store.client.get_metric_history
        files = store.artifacts(run.info.artifact_uri)
        found[run.info.run_name] = (
            run.info.status,
            run.data.params,
            {
                name: [(m.value, m.step) for m in history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            {k: names.get(v, v) for k, v in run.data.tags.items()},
            [
                (i.dataset.name, i.dataset.digest, *(tag.value for tag in i.tags))
                for i in run.inputs.dataset_inputs
            ],
            {
                path: Path(files.download_artifacts(path)).read_bytes()
                for path in ("report.html", "card.json", "tables/deep/card.json")
                if (Path(files.artifact_dir) / path).exists()
            },
        )
    assert len(found) == len(names)
    return found


def runs_of(store):
    return list(search(store, store.experiment_id("versions"), f"tags.`{BACKTEST_TAG}` != ''"))


@pytest.fixture(scope="module")
def logged(empty_store, tmp_path_factory):
    """What a store holds after the backtest was logged in one go."""
    folder = tmp_path_factory.mktemp("logged")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    told = []
    result = log_backtest(store, backtest(folder), lambda done, total: told.append((done, total)))
    assert (result.logged, result.complete_before) == (RUNS + 1, 0)
    assert told[0] == (1, RUNS + 1)
    assert told[-1] == (RUNS + 1, RUNS + 1)
    return everything(store)


def test_parameters_scores_data_code_and_files_are_there(logged):
    assert len(logged) == RUNS + 1
    status, params, metrics, tags, data, files = logged["versions 1f2e3d4c"]
    assert status == "FINISHED"
    assert (params["weeks"], params["setting_119"], params["data.rows"]) == ("12", "119", "1000")
    assert metrics == {"failed_tasks": [(4.0, 0)]}
    assert tags["code_version"] == "c0de"
    assert data == [ORDERS]
    assert files == {"report.html": b"<p>report", "tables/deep/card.json": b"{}"}


def test_a_child_says_its_version_and_date_and_only_scores_that_there_are(logged):
    status, params, metrics, tags, data, files = logged['it\'s a "peer" 2019-04-08']
    assert status == "FINISHED"
    assert params == {"draws": "200", "version": 'it\'s a "peer"', "as_of_date": "2019-04-08"}
    assert metrics == {"wape": [(0.8, 0)], "crps _days_": [(3.5, 0)]}
    assert tags["mlflow.parentRunId"] == "versions 1f2e3d4c"
    assert data == [ORDERS]
    assert files == {"card.json": b"{}"}


def test_a_childs_duration_is_what_it_took_though_it_is_logged_again(store, tmp_path):
    whole = backtest(tmp_path)
    first = replace(whole.runs[0], metrics={"seconds": 90.5})
    for more in ({}, {"wape": 0.4}):
        slow = replace(first, metrics={**first.metrics, **more})
        log_backtest(store, replace(whole, runs=(slow,)))
        (run,) = (run for run in runs_of(store) if run.info.run_name == "rhythm 2019-04-01")
        assert run.info.end_time - run.info.start_time == 90_500
        assert run.data.metrics == slow.metrics
    assert get_source(run.inputs.dataset_inputs[0]).to_dict()["tags"]


def test_a_failure_is_a_failed_run_with_its_error(logged):
    status, _, metrics, tags, *_ = logged["broken 2019-04-01"]
    assert (status, metrics) == ("FAILED", {})
    assert tags["error"] == "ModelError: nothing to fit"


def test_logging_twice_changes_nothing(store, tmp_path, logged):
    first = log_backtest(store, backtest(tmp_path))
    again = log_backtest(store, backtest(tmp_path))
    assert again == replace(first, logged=0, complete_before=RUNS + 1)
    assert everything(store) == logged


def test_what_changed_since_is_brought_up_to_date(store, tmp_path):
    before = backtest(tmp_path)
    log_backtest(store, before)
    (tmp_path / "report.html").write_text("<p>a better report")
    lower = replace(before.runs[0], metrics={"wape": 0.01})
    changed = replace(before, runs=(lower, *before.runs[1:]))
    assert log_backtest(store, changed).logged == 2
    assert len(runs_of(store)) == RUNS + 1
    (run,) = (r for r in runs_of(store) if r.info.run_name == "rhythm 2019-04-01")
    assert run.data.metrics["wape"] == 0.01
    assert everything(store)["versions 1f2e3d4c"][-1]["report.html"] == b"<p>a better report"


LOG = """
import sys
from pathlib import Path
from tests.tracking.processes import at_once, killed
from tests.tracking.test_runs import backtest
from toolkit.tracking.runs import log_backtest

whole = backtest(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_kills_at_any_moment_leave_nothing_twice_and_nothing_out(store, script, tmp_path, logged):
    commits = [2, 5, 8, 11, 15, 16, 17, 18, 19]
    text = f"killed({commits}, lambda store: log_backtest(store, whole))"
    out = finished(script(LOG + text, tmp_path))
    assert out.split() == [str(-signal.SIGKILL)] * len(commits)
    assert {run.info.status for run in runs_of(store)} == {"RUNNING", "FINISHED", "FAILED"}
    log_backtest(store, whole := backtest(tmp_path))
    assert everything(store) == logged
    assert log_backtest(store, whole).logged == 0


def test_processes_that_log_it_at_once_log_it_once(store, script, tmp_path, logged):
    text = "at_once(*[lambda store: log_backtest(store, whole).run_id] * 2, opened=True)"
    assert len(set(finished(script(LOG + text, tmp_path)).split())) == 1
    assert everything(store) == logged


def be_impatient(store):
    """Let MLflow wait for a locked store for 0.3 s, not its 20."""

    @event.listens_for(
        store.client._tracking_client.store.engine, "before_cursor_execute", retval=True
    )
    def hurry(conn, cursor, statement, *rest):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 300"), rest[0]


def test_a_lock_in_the_middle_is_told_and_what_was_logged_counts(store, tmp_path, logged):
    whole = backtest(tmp_path)

    def lock(done, total):
        if done == 3:
            holder.execute("BEGIN IMMEDIATE")

    with closing(sqlite3.connect(store.file, isolation_level=None, timeout=30)) as holder:
        be_impatient(store)
        with pytest.raises(TrackingError, match="is locked by another process") as told:
            log_backtest(store, whole, lock)
        assert told.value.unavailable
    assert log_backtest(store, whole).complete_before == 3
    assert everything(store) == logged
