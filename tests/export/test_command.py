"""``toolkit export``: what it prints, its exit codes, and its run in MLflow."""

import json
import signal
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from backtests.evidence.gate import Gate
from tests.cache.conftest import until
from tests.conftest import AS_OF
from tests.export.test_job import plain
from tests.processes import run_text
from tests.tracking.fits import rhythm_fit
from toolkit.cache.releases.catalog import Releases
from toolkit.cli.app import main
from toolkit.export.log import EXPERIMENT
from toolkit.model import find_model
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders
from toolkit.tracking.history import history
from toolkit.tracking.promotion import promote
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import REGISTERED_MODEL, aliases
from toolkit.tracking.store import open_store


@pytest.fixture
def call(orders, cache_server, client, tmp_path, monkeypatch, capsys):
    """Run ``toolkit export`` on the generated orders; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("orders.duckdb") as conn:
        load_orders(orders, conn)

    def run(*more, redis=cache_server.url, db=("--db", "orders.duckdb")):
        argv = ["toolkit", "export", *db, "--as-of", str(AS_OF), "--redis", redis, *more]
        monkeypatch.setattr("sys.argv", argv)
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def stored(empty_store, tmp_path):
    """There is a store already: to make one takes MLflow a second."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())


def runs(store="sqlite:///mlflow.db"):
    opened = open_store(store)
    found = opened.client.get_experiment_by_name(EXPERIMENT)
    return opened, opened.client.search_runs([found.experiment_id])


def test_it_says_what_readers_get_and_logs_it(call, client):
    code, out, _ = call()
    release = Releases(client).current().release_id
    assert code == 0
    assert out.startswith(f"12 products as of {AS_OF} by pair_conjugate@")
    assert f"Release {release} is what readers get now (" in out
    store, (run,) = runs()
    assert run.info.status == "FINISHED"
    assert run.data.tags["toolkit.release"] == release
    assert run.data.metrics["products/success"] + run.data.metrics["products/no_predictions"] == 12
    assert run.data.params["as_of_date"] == str(AS_OF)
    assert run.data.params["product_ids"] == "all"
    assert len(run.data.params["data_sha256"]) == 64
    report = store.client.download_artifacts(run.info.run_id, "report.json")
    assert len(json.loads(Path(report).read_text())["products"]) == 12


def test_json_is_the_whole_report(call, client):
    code, out, _ = call("--json", "--no-log")
    report = json.loads(out)
    assert code == 0
    assert report["release"] == plain(client, 1)["release"]
    assert {product["status"] for product in report["products"]} <= {"success", "no_predictions"}
    assert report["model"].startswith("pair_conjugate@")


@pytest.mark.parametrize(
    ("more", "redis", "code", "said"),
    [
        (["--products", "99"], None, 2, "the database has no product 99"),
        (["--products", "SKU-1"], None, 2, "product_id has to be a whole number, got 'SKU-1'"),
        (["--customers", "SKU-1"], None, 2, "customer_id has to be a whole number, got 'SKU-1'"),
        (["--since", "soon"], None, 2, "has to be a date as YYYY-MM-DD, got 'soon'"),
        (["--version", "7"], None, 2, "nothing is registered"),
        ([], "http://localhost", 2, "a cache URL starts with redis://"),
        ([], "redis://:secret@localhost:1/0", 1, "the cache at localhost:1/0 cannot be reached"),
    ],
)
def test_what_goes_wrong_is_one_sentence(call, more, redis, code, said):
    found, out, err = call(*more, **({} if redis is None else {"redis": redis}))
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert "secret" not in err


@pytest.mark.usefixtures("stored")
def test_changed_orders_are_taken_in_from_a_file_and_from_a_stream(call, client, tmp_path):
    later, customer = str(AS_OF + timedelta(1)), FIRST_CUSTOMER_ID
    assert call("--no-log")[0] == 0
    file = tmp_path / "changed.csv"
    file.write_text(f"customer_id,ordered_at\n{customer},{AS_OF}\n{customer},{later}\n")
    code, out, err = call("--changed", str(file), "--as-of", later)
    assert (code, err) == (0, "")
    assert "12 products as of" in out
    assert "  of them carried over: " in out
    assert "  of orders at or after the as-of date, which it cannot know: 1\n" in out
    release = Releases(client).current().release_id
    client.xadd("orders", {"customer_id": customer})
    client.xadd("orders", {"customer_id": 8})
    code, out, err = call("--feed", "orders", "--as-of", later, "--json")
    said = json.loads(out)
    assert said["release"] != release
    assert (said["feed"]["taken"], list(said["feed"]["waiting"].values())) == (
        1,
        ["there is no customer 8"],
    )
    code, out, err = call("--feed", "orders", "--as-of", later)
    assert "of the feed waits: there is no customer 8" in err
    assert (code, out) == (0, f"No changed order to take in: release {said['release']} stays.\n")
    file.write_text("customer_id\n8\n")
    code, out, err = call("--changed", str(file))
    assert (code, out) == (2, "")
    assert "not in the database (1 row; e.g. line 2: there is no customer 8)" in err
    assert call("--changed", "missing.csv")[0] == 2


CUT = """
import os, signal, sys
from backtests.evidence.gate import Gate
from toolkit.tracking.promotion import promote
from toolkit.tracking.store import open_store
store = open_store()
moved = store.client.set_registered_model_alias

def deadly(name, alias, number):
    if alias == "champion":
        os.kill(os.getpid(), signal.SIGKILL)
    moved(name, alias, number)

store.client.set_registered_model_alias = deadly
promote(store, "2", Gate(), force=True, reason="to be cut short")
"""


@pytest.mark.usefixtures("stored")
@pytest.mark.slow
def test_an_export_after_a_promotion_that_was_killed_is_of_the_version_promoted(call, client):
    store = open_store("sqlite:///mlflow.db")
    register_fit(store, find_model("pair_conjugate"))
    register_fit(store, rhythm_fit())
    promote(store, "1", Gate(), force=True, reason="to have one")
    killed = run_text(CUT, cwd=Path())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert aliases(store)["champion"] == 1
    code, out, err = call()
    assert code == 0, err
    assert f"by {rhythm_fit().name}@{rhythm_fit().version}" in out
    assert Releases(client).current().details["registered_version"] == 2
    assert aliases(store) == {"champion": 2, "previous": 1}
    assert history(store).problems == ()


CUT_AFTER_THE_FLIP = """
import os, signal, sys
from toolkit.cli import app, export
export._log = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app.main()
"""


@pytest.mark.usefixtures("stored")
def test_a_release_whose_export_was_killed_before_the_history_knew_it_is_told_by_the_next(
    call, client, cache_server
):
    store = open_store("sqlite:///mlflow.db")
    register_fit(store, find_model("pair_conjugate"))
    promote(store, "1", Gate(), force=True, reason="to have one")
    arguments = ["export", "--db", "orders.duckdb", "--as-of", str(AS_OF)]
    arguments += ["--redis", cache_server.url]
    killed = run_text(CUT_AFTER_THE_FLIP, *arguments, cwd=Path())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first = Releases(client).current().release_id
    assert [entry.event.action for entry in history(store).entries] == ["force"]
    code, _, err = call()
    assert code == 0, err
    told = [entry.event for entry in history(store).entries[1:]]
    assert [event.release for event in told] == [first, Releases(client).current().release_id]
    assert told[0].why == "whoever made it current was cut short"
    assert history(store).problems == ()


@pytest.mark.usefixtures("stored")
def test_reading_what_has_expired_fails_and_says_why(
    call, client, cache_server, capsys, monkeypatch
):
    assert call("--ttl", "1")[0] == 0
    assert until(lambda: not client.keys("forecast:product:*"))
    argv = ["toolkit", "read", "2", "--redis", cache_server.url]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert err.startswith("Error: the forecast of product 2 has expired: release 1-")


def test_reading_what_nobody_ordered_ends_with_3(call, cache_server, capsys, monkeypatch):
    with duckdb.connect("orders.duckdb") as conn:
        conn.execute("INSERT INTO dbo.Product VALUES (50, 'New')")
    code, said, _ = call("--products", "2", "--products", "50", "--default-price", "35", "--no-log")
    assert code == 0
    assert "2 products as of" in said
    assert "1 with a forecast, 1 that nobody ordered before, 0 failed" in said
    release = said.partition("Release ")[2].partition(" ")[0]
    for more, out_holds in (((), ""), (("--json",), '"forecast": null')):
        monkeypatch.setattr(
            "sys.argv", ["toolkit", "read", "50", "--redis", cache_server.url, *more]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 3
        assert out_holds in out
        assert f"nothing to forecast for product 50: by release {release}, generated" in err


def test_a_default_price_that_is_none_is_refused(call):
    code, _, err = call("--default-price", "-1")
    assert code == 2
    assert "default_price has to be a number above 0, up to 1e+12, got -1.0" in err


@pytest.mark.usefixtures("stored")
def test_an_earlier_date_than_readers_have_needs_its_option(call, client):
    """`--as-of` is given twice here, and the last one counts."""
    later = str(AS_OF + timedelta(1))
    assert call("--as-of", later)[0] == 0
    code, out, err = call()
    assert (code, out) == (2, "")
    assert err.endswith(f"later than {AS_OF}: leave --as-of out, or allow it with --earlier\n")
    assert str(Releases(client).current().as_of_date) == later
    assert call("--earlier")[0] == 0
    assert Releases(client).current().as_of_date == AS_OF


def test_both_kinds_of_orders_or_none_are_refused(call):
    assert call(db=())[0] == 2
    code, _, err = call("--mssql")
    assert code == 2
    assert "one of --db and --mssql has to be given, got both" in err


@pytest.mark.usefixtures("stored")
def test_an_export_that_failed_is_logged_too(call):
    assert call(redis="redis://localhost:1/0")[0] == 1
    _, (run,) = runs()
    assert run.info.status == "FAILED"
    assert "cannot be reached" in run.data.tags["error"]


def test_without_the_registry_nothing_is_exported(call, client, tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database, but long enough to be looked at" * 9)
    code, out, err = call()
    assert (code, out, Releases(client).current()) == (1, "", None)
    assert "mlflow.db" in err


@pytest.mark.usefixtures("stored")
def test_a_store_without_the_champion_changes_nothing(call, client, tmp_path):
    """Moved away, empty, or its alias gone: readers keep what they have, and the job fails."""
    (tmp_path / "elsewhere").mkdir()
    store = open_store("sqlite:///mlflow.db")
    register_fit(store, find_model("pair_conjugate"))
    promote(store, "1", Gate(), force=True, reason="to have one")
    code, out, err = call()
    assert code == 0, err
    release = Releases(client).current().release_id
    assert Releases(client).current().details["registered_version"] == 1
    for where in ("sqlite:///elsewhere/mlflow.db", "sqlite:///other.db"):
        code, out, err = call("--store", where)
        assert (code, out) == (1, "")
        assert "readers have forecasts by the registered version 1" in err
        assert Releases(client).current().release_id == release
    store.client.delete_registered_model_alias(REGISTERED_MODEL, "champion")
    code, out, err = call()
    assert code == 1
    assert "names no champion, though its history made version 1 one" in err
    assert Releases(client).current().release_id == release
    code, out, err = call("--version", "pair_conjugate")  # by hand
    assert code == 0, err
    assert Releases(client).current().details["registered_version"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--jobs", "2"), "--jobs forecasts from orders that were imported: name them by --db"),
        (("--cluster", "tcp://h:1"), "--cluster forecasts from orders that were imported: name"),
        (("--jobs", "0"), "jobs has to be a whole number of at least 1, got 0"),
    ],
)
def test_processes_read_orders_that_were_imported(call, options, said):
    code, _, err = call(*options, db=("--mssql",))
    assert code == 2
    assert said in err


@pytest.mark.slow
def test_processes_of_this_machine_forecast(call, client, tmp_path):
    code, out, err = call("--jobs", "2", "--no-log")
    assert code == 0, err
    assert f"Release {Releases(client).current().release_id} is what readers get now" in out
    assert {path.name for path in tmp_path.iterdir()} == {"orders.duckdb"}
