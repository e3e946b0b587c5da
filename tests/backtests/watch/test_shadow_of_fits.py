"""Two fitted versions, a champion and its challenger, from their fits to what the gate says."""

import json
import shutil
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from backtests.watch.folder import WatchFolder
from tests.processes import run
from toolkit.tracking.store import open_store

pytestmark = pytest.mark.slow  # two fits

FITTED = date(2022, 4, 11)
CHAMPION, CHALLENGER = "pooled_gamma", "rhythm"
LAPLACE = ("--method", "laplace", "--pairs", "300", "--draws", "100")


@pytest.fixture(scope="module")
def place(order_file, tmp_path_factory):
    """A folder with orders, registered fits by Laplace's method, and a gate that wants four weeks.

    ``three.duckdb`` holds the orders up to three weeks after the fits, ``five.duckdb`` up to five.
    """
    place = tmp_path_factory.mktemp("shadow")
    for name, weeks in (("three", 3), ("five", 5)):
        file = place / f"{name}.duckdb"
        shutil.copy(order_file, file)
        with duckdb.connect(str(file)) as conn:
            end = FITTED + timedelta(weeks=weeks)
            conn.execute("DELETE FROM dbo.OrderItem WHERE Created >= ?", [end])
            conn.execute('DELETE FROM dbo."Order" WHERE Created >= ?', [end])
    (place / "gate.toml").write_text("shadow_weeks = 4\n")
    for model in (CHAMPION, CHALLENGER):
        done(place, "fit", model, "--db", "three.duckdb", "--as-of", FITTED, *LAPLACE)
    done(place, "register", CHAMPION)
    done(place, "promote", CHAMPION, "--force", "--reason", "the first")
    done(place, "register", CHALLENGER, "--alias", "challenger")
    return place


def done(place, *asked, code=0):
    """What the command says, which ends with ``code``."""
    found = run(*asked, cwd=place)
    assert found.returncode == code, found.stdout + found.stderr
    return found.stdout


def gate_on_shadow(place):
    """What the gate says of the challenger's weeks; it refuses the fit, which is approximate."""
    asked = ("promote", "challenger", "--gate", "gate.toml", "--json")
    found = json.loads(done(place, *asked, code=1))
    (check,) = (one for one in found["checks"] if one["name"] == "shadow")
    return check


def test_the_gate_counts_weeks_of_two_fits_and_judges_them(place):
    asked = ("--draws", "50", "--json")
    first = json.loads(done(place, "watch", "--db", "three.duckdb", "--as-of", FITTED, *asked))
    champion, challenger = (one["fit"] for one in first["versions"][:2])
    assert [one["role"] for one in first["versions"]] == ["champion", "challenger", "reference"]
    assert (champion.split("@")[0], challenger.split("@")[0]) == (CHAMPION, CHALLENGER)
    assert first["shadow"]["weeks"] == 3

    check = gate_on_shadow(place)
    assert (check["passed"], check["found"]) == (False, f"3 weeks scored beside {champion}")
    assert check["remedy"].endswith("once a week until 1 more week is over")

    later = FITTED + timedelta(weeks=1)
    second = json.loads(done(place, "watch", "--db", "five.duckdb", "--as-of", later, *asked))
    assert second["kept"] == [champion, challenger, first["versions"][2]["fit"]]
    assert 0.95 < second["drift"]["prices"] < 1.05  # of a week that prices hardly grew in
    weeks = WatchFolder(place / "watch").weeks()
    latest = weeks.sort_values("as_of_date").drop_duplicates(["version", "begins"], keep="last")
    assert len(latest) == 3 * 5  # of each version
    worse = []
    for name, score, rows in (("log_loss", "loss", "pairs"), ("crps", "crps", "product_weeks")):
        mean = (latest[score] / latest[rows]).groupby([latest.version, latest.begins]).sum()
        ratio = np.log(mean[challenger] / mean[champion]).to_numpy()
        wide = 2.7764 * ratio.std(ddof=1) / np.sqrt(5)  # Student's, of four degrees of freedom
        told = second["shadow"][name]
        ends = np.expm1([ratio.mean(), ratio.mean() - wide, ratio.mean() + wide])
        assert [told["mean"], told["low"], told["high"]] == pytest.approx(ends, abs=1e-4)
        assert np.ptp(ratio) > 0  # two fits, two forecasts
        worse.append(told["low"] > 0)

    check = gate_on_shadow(place)
    assert check["found"].startswith(f"5 weeks scored beside {champion}: log loss ")
    assert check["passed"] is not any(worse)

    store = open_store(f"sqlite:///{place / 'mlflow.db'}")
    logged = store.client.search_runs([store.experiment_id("watch")])
    assert sorted(one.data.metrics["shadow/weeks"] for one in logged) == [3.0, 5.0]
    assert {one.data.params["challenger"] for one in logged} == {challenger}
