"""A watch over a champion: what it keeps, what it scores, when it sounds."""

import json
import shutil
import threading
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import duckdb
import numpy as np
import pandas as pd
import pytest

from backtests.evidence.gate import Gate
from backtests.run.folder import WEEKS, RunFolder, read_scores
from backtests.watch.alarm import post
from backtests.watch.drift import Drift
from backtests.watch.folder import WatchFolder
from backtests.watch.judge import judge
from backtests.watch.kept import KeptForecast
from backtests.watch.revisions import LIMIT
from backtests.watch.versions import Watched
from backtests.watch.watch import WatchSettings, watch
from tests.backtests.watch.conftest import DATES
from tests.processes import error_of
from tests.processes import run as run_command
from toolkit.data.tables import OrderEvents
from toolkit.data.zones import today_in
from toolkit.errors import ArgumentError, TrackingError
from toolkit.model import default_model
from toolkit.sources.embedded.database import open_database
from toolkit.sources.embedded.zone import keep_zone
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import as_source
from toolkit.tracking.promotion import promote, set_alias
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import find
from toolkit.tracking.store import open_store

START = date(2022, 4, 11)
FEW = WatchSettings(draws=50)


def later(weeks: int) -> date:
    return START + timedelta(weeks=weeks)


def look(database, store, folder, day, **given):
    """As a cron job of that day would."""
    with open_database(database) as conn:
        return watch(
            as_source(conn), store, WatchFolder(folder), today=day,
            last_date=day - timedelta(days=1), settings=FEW, **given,
        )  # fmt: skip


@pytest.fixture
def with_half_the_customers(order_file, tmp_path):
    """From the eighth week on every second customer is lost."""
    file = tmp_path / "half.duckdb"
    shutil.copy(order_file, file)
    with duckdb.connect(str(file)) as conn:
        lost = 'SELECT ID FROM dbo."Order" WHERE ClientAgreementID % 2 = 0 AND Created >= ?'
        conn.execute(f"DELETE FROM dbo.OrderItem WHERE OrderID IN ({lost})", [later(8)])
    return file


def test_a_run_holds_the_scores_of_its_weeks(promoted):
    (run,) = (promoted / "runs").iterdir()
    table = read_scores(run / WEEKS)
    assert set(table.as_of_date) == set(map(pd.Timestamp, DATES))
    assert (table.begins - table.as_of_date == pd.to_timedelta(7 * (table.week - 1), "D")).all()
    scores = read_scores(run / "scores.parquet").query("level == 'product_week' and slice == 'all'")
    bias = scores.query("score == 'bias_quantity' and as_of_date.isna()").value.item()
    units = RunFolder(run).product_weeks("pair_conjugate")
    counted = units[units.product_orders_before >= 10]
    assert bias == pytest.approx(counted.expected_quantity.sum() / counted.quantity.sum() - 1)
    assert table.expected_units.sum() == pytest.approx(units.expected_quantity.sum(), rel=1e-5)
    assert table.held.sum() == counted.pit.between(0.1, 0.9).sum()


def test_what_is_kept_scores_as_a_backtest_does(promoted, order_file, store, tmp_path, monkeypatch):
    """Same orders, date, seeds and draws: the same figures."""
    monkeypatch.setattr("backtests.watch.kept.SEED", 7)
    day = DATES[3]
    with open_database(order_file) as conn:
        report = watch(
            as_source(conn), store, WatchFolder(tmp_path / "watch"), today=day,
            last_date=day + timedelta(weeks=4), settings=WatchSettings(50, 7),
        )  # fmt: skip
    assert report.scored == 4
    kept = WatchFolder(tmp_path / "watch").weeks()
    (run,) = (promoted / "runs").iterdir()
    table = read_scores(run / WEEKS)
    table = table[(table.as_of_date == pd.Timestamp(day)) & (table.week <= 4)]
    for name in ("units", "product_weeks", "pairs", "held"):
        assert kept[name].tolist() == table[name].tolist()
    for name in ("expected_units", "crps", "loss", "past_units", "year_units", "past_root_crps"):
        assert kept[name].to_numpy() == pytest.approx(table[name].to_numpy(), rel=1e-5)


def test_weeks_are_scored_once_when_they_are_over(order_file, store, tmp_path):
    folder = tmp_path / "watch"
    first = look(order_file, store, folder, START)
    assert (first.kept, first.scored) == ((first.versions[0].fit,), 0)
    assert first.notices[0] == (
        f"no week is over yet: the first forecast was kept as of {START}, and its first week is "
        f"scored when there are orders up to {later(1) - timedelta(days=1)}"
    )
    (kept,) = folder.glob("forecasts/*/*")
    said = KeptForecast.read(kept)
    assert said.quantity.shape == (len(said.of_product), 4, 50)
    assert len(said.record.expected_units) == 12
    assert said.past.quantity.shape == (len(said.of_product), 52)
    replace(said, past=None).save(tmp_path / "earlier")  # as a toolkit did that kept no past
    assert KeptForecast.read(tmp_path / "earlier").past is None
    before = {file: file.read_bytes() for file in kept.iterdir()}
    again = look(order_file, store, folder, START + timedelta(days=3))
    assert (again.kept, again.scored) == ((), 0)  # less than a week later
    assert {file: file.read_bytes() for file in kept.iterdir()} == before
    scored = [look(order_file, store, folder, later(week)).scored for week in range(1, 6)]
    assert scored == [1, 2, 3, 4, 4]
    weeks = WatchFolder(folder).weeks()
    assert len(weeks.drop_duplicates(["version", "as_of_date", "week"])) == len(weeks) == 14
    assert {file.name for file in kept.iterdir()} == {"forecast.json"}  # its weeks are over
    total = look(order_file, store, folder, later(5)).versions[0]
    assert total.weeks == 5  # one for each week that is over, of the latest forecast before it


def test_nothing_after_the_date_is_in_what_is_kept(order_file, store, tmp_path):
    """Orders on and after the as-of date are shuffled: not a byte changes."""
    file = tmp_path / "shuffled.duckdb"
    shutil.copy(order_file, file)
    with duckdb.connect(str(file)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Qty = 99, ProductID = 3 WHERE Created >= ?", [START])
    contents = []
    for database, name in ((order_file, "one"), (file, "other")):
        look(database, store, tmp_path / name, START)
        (kept,) = (tmp_path / name).glob("forecasts/*/*")
        contents.append({one.name: one.read_bytes() for one in kept.iterdir()})
    assert contents[0] == contents[1]


def test_a_champion_that_does_as_promised_is_quiet(order_file, store, tmp_path):
    reports = [look(order_file, store, tmp_path / "watch", later(week)) for week in range(0, 18)]
    assert not any(report.alarms for report in reports)
    charts = {chart.name: chart for chart in reports[-1].versions[0].charts}
    assert charts["level"].limit is not None
    assert charts["pairs"].limit is None  # it is the reference itself
    assert charts["level"].weeks == 17
    assert charts["bias"].limit is not None  # the products' past year needs no reference
    assert charts["units"].limit is not None
    assert (charts["revision"].weeks, charts["revision"].limit) == (17, LIMIT)
    assert "CRPS" in reports[-1].to_card().text()
    assert json.loads(json.dumps(reports[-1].to_dict(), default=str))["alarms"] == []


def test_half_the_customers_lost_sounds(with_half_the_customers, store, tmp_path):
    folder = tmp_path / "watch"
    sounded = None
    for week in range(18):
        report = look(with_half_the_customers, store, folder, later(week))
        if report.champion_alarm:
            sounded = week
            break
    assert sounded is not None
    assert 8 < sounded <= 12
    (sentence, *_) = report.alarms
    assert sentence.startswith("champion pair_conjugate@")
    assert "units ordered over units expected" in sentence


def test_the_command(with_half_the_customers, promoted, store, tmp_path):
    """Exit code 4, the alarm in words and as JSON, at an address, and in MLflow."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            posted.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    for week in range(13):
        look(with_half_the_customers, store, tmp_path / "watch", later(week))
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    asked = ("watch", "--db", with_half_the_customers, "--as-of", later(13))
    done = run_command(*asked, cwd=tmp_path, TOOLKIT_ALARM_URL=url)
    server.shutdown()
    server.server_close()
    assert done.returncode == 4, done.stderr
    assert "ALARM champion pair_conjugate@" in done.stdout
    assert posted[0]["text"].startswith("champion pair_conjugate@")
    assert posted[0]["text"].splitlines()[0] in done.stdout
    opened = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = opened.client.search_runs([opened.experiment_id("watch")])
    assert runs[0].data.tags["toolkit.alarm"].startswith("champion")
    assert runs[0].data.metrics["champion/level/sum"] > runs[0].data.metrics["champion/level/limit"]
    url = "http://127.0.0.1:9/secret-token"  # nobody answers
    again = run_command(
        *asked,
        "--json",
        "--no-log",
        "--out",
        "watch.html",
        cwd=tmp_path,
        TOOLKIT_ALARM_URL=url,
    )
    assert again.returncode == 4
    assert json.loads(again.stdout)["alarms"]
    assert "Not sent to TOOLKIT_ALARM_URL" in again.stderr
    assert "secret-token" not in again.stderr
    page = (tmp_path / "watch.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "ALARM" in page
    assert "data:image/png;base64," in page
    assert "http" not in page.split("data:image", 1)[0].replace("http-equiv", "")


@pytest.mark.slow
@pytest.mark.parametrize("lost", [2, 1000])
def test_half_the_customers_lost_sound_in_their_second_week(lost, store, tmp_path):
    """Every ``lost``-th customer of sixty stops on the day of the first forecast kept."""
    truth = Truth(customers=60, products=12, pairs=700, days=7 * 69)
    file = tmp_path / "orders.duckdb"
    with duckdb.connect(str(file)) as conn:
        load_orders(generate_orders(truth, seed=5), conn)
        gone = 'SELECT ID FROM dbo."Order" WHERE ClientAgreementID % ? = 0 AND Created >= ?'
        conn.execute(f"DELETE FROM dbo.OrderItem WHERE OrderID IN ({gone})", [lost, START])
    asked = ("watch", "--db", file, "--draws", 50, "--no-log", "--json", "--as-of")
    for week in range(3):
        done = run_command(*asked, later(week), cwd=tmp_path)
        found = json.loads(done.stdout)
        charts = found["versions"][0]["charts"]
        (state,) = (chart for chart in charts if chart["name"] == "customers")
        assert (state["weeks"], state["limit"]) == (week, pytest.approx(1 / 3)), done.stderr
        assert done.returncode == (4 if found["alarms"] else 0)
        told = [
            "regular customers silent for two weeks" in sentence for sentence in found["alarms"]
        ]
        if lost == 2 and week == 2:
            assert state["value"] == pytest.approx(0.5, abs=0.1)
            assert state["since"] == str(later(1))
            assert any(told)
        else:
            assert not any(told)
            assert found["alarms"] == [] or lost == 2


def test_a_forecast_is_kept_once_a_week_where_the_business_is(order_file, store, tmp_path):
    """Kept as of three days ago; here it is another day than there."""
    file = tmp_path / "zoned.duckdb"
    shutil.copy(order_file, file)
    with duckdb.connect(str(file)) as conn:
        keep_zone(conn, "Pacific/Kiritimati")
        there = today_in("Pacific/Kiritimati")
    asked = ("watch", "--db", file, "--json", "--no-log")
    done = run_command(*asked, cwd=tmp_path, TZ="Etc/GMT+12")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert date.fromisoformat(found["as_of_date"]) >= there
    assert len(found["kept"]) == 1
    (kept,) = (tmp_path / "watch" / "forecasts").iterdir()
    kept.rename(kept.with_name(str(date.fromisoformat(found["as_of_date"]) - timedelta(3))))
    again = run_command(*asked, cwd=tmp_path, TZ="Etc/GMT+12")
    assert again.returncode == 0, again.stderr


def test_after_a_date_between_weeks_the_next_is_a_week_later(order_file, store, tmp_path):
    folder = tmp_path / "watch"
    look(order_file, store, folder, START)
    look(order_file, store, folder, later(2), as_of_date=later(2) - timedelta(2))  # a Saturday
    assert look(order_file, store, folder, later(2)).kept == ()
    assert look(order_file, store, folder, later(3)).as_of_date == later(3) - timedelta(2)


def test_a_watch_without_new_orders_says_so(order_file, store, tmp_path):
    with open_database(order_file) as conn:
        report = watch(
            as_source(conn), store, WatchFolder(tmp_path / "watch"), today=later(3),
            last_date=later(1), settings=FEW,
        )  # fmt: skip
    assert report.notices[0].startswith(f"the last order is of {later(1)}: weeks after it are not")
    assert report.notices[1].startswith("no week is over yet: the first forecast was kept as of")


def test_a_champion_beside_the_reference_as_its_challenger(order_file, store, tmp_path):
    """The reference has its scores under whatever role."""
    other = find(store, "champion")
    folder = tmp_path / "watch"
    look(order_file, store, folder, START)
    reference = Watched("challenger", default_model(), other)
    champion = Watched("champion", replace(default_model(), urn_weight=0.25), other)
    kept = folder / "forecasts" / str(START)
    (own,) = kept.iterdir()
    record = (own / "forecast.json").read_text()
    shutil.copytree(own, kept / champion.fit)
    (kept / champion.fit / "forecast.json").write_text(record.replace(own.name, champion.fit))
    with open_database(order_file) as conn:
        WatchFolder(folder).score(as_source(conn), later(2))
    table = WatchFolder(folder).weeks()
    state, _ = judge(store, WatchFolder(folder), table, champion, [champion, reference])
    charts = {chart.name: chart for chart in state.charts}
    assert charts["pairs"].value == 1.0


def test_drift_of_orders_without_quantities():
    """Their usual size is not known: JSON has no NaN."""
    some = OrderEvents(START, *np.array([[1, 1], [2, 2], [-9, -2]]), np.full(2, np.nan))
    drift = Drift.of(some, START - timedelta(7))
    assert (drift.then.median_units, drift.now.median_units) == (0.0, 0.0)
    assert (drift.then.orders, drift.now.orders) == (1, 2)


def test_prices_are_those_before_both_dates(database):
    """Six of twelve products cost a tenth more, five three tenths, one had no price then."""
    then = START - timedelta(weeks=30)
    database.execute(
        "UPDATE dbo.OrderItem SET PricePerItem = CASE WHEN Created >= ? THEN 500 WHEN Created >= ?"
        " THEN CASE WHEN ProductID <= 6 THEN 11 ELSE 13 END WHEN ProductID < 12 THEN 10 END",
        [START, then],
    )
    drift = Drift.read(as_source(database), START, then)
    assert (drift.now.products, drift.prices) == (12, pytest.approx(1.1))
    assert "+10.0%" in str(drift.to_grid())
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL")
    assert Drift.read(as_source(database), START, then).prices is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a b", "http://127.0.0.1:9/\n", "http://"])
def test_an_address_that_is_none_is_a_sentence(url):
    assert "127" not in post(url, ["alarm"])


def test_bad_calls_are_a_sentence(order_file, store, tmp_path):
    folder = tmp_path / "watch"
    look(order_file, store, folder, START)
    with pytest.raises(ArgumentError, match="a week apart or more: there is one as of 2022-04-11"):
        look(order_file, store, folder, START + timedelta(3), as_of_date=START + timedelta(3))
    with pytest.raises(ArgumentError, match="as of today, 2022-04-18, or before"):
        look(order_file, store, folder, later(1), as_of_date=later(2))
    with pytest.raises(ArgumentError, match="no order before 2020-01-06"):
        look(order_file, store, folder, date(2020, 1, 6))
    (kept,) = folder.glob("forecasts/2022-04-11/*")
    (kept / "pairs.parquet").write_bytes(b"cut short")
    with pytest.raises(ArgumentError, match=r"no forecast that was kept.*restore it, or remove it"):
        look(order_file, store, folder, later(1))
    (kept / "pairs.parquet").unlink()
    with pytest.raises(ArgumentError, match=r"it lacks pairs.parquet or products.parquet"):
        look(order_file, store, folder, later(1))
    pd.DataFrame({"other": [1]}).to_parquet(folder / "weeks.parquet")
    with pytest.raises(ArgumentError, match=r"holds no scores of weeks; restore it"):
        look(order_file, store, folder, later(1))
    (folder / "weeks.parquet").write_bytes(b"cut short")
    with pytest.raises(ArgumentError, match=r"weeks.parquet is damaged.*and the watch begins anew"):
        look(order_file, store, folder, later(1))


def test_without_a_champion(order_file, tmp_path):
    empty = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(TrackingError, match="no champion to watch"):
        look(order_file, empty, tmp_path / "watch", START)
    done = run_command("watch", "--db", order_file, "--store", "sqlite:///empty.db", cwd=tmp_path)
    assert done.returncode == 2
    assert "toolkit promote" in error_of(done)
    done = run_command("watch", "--db", order_file, "--store", "sqlite:///no.db", cwd=tmp_path)
    assert "toolkit promote" in error_of(done)
    assert not (tmp_path / "no.db").exists()


def test_without_a_backtest_it_says_so(order_file, tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    register_fit(store, default_model())
    promote(store, "1", Gate(), force=True, reason="for a test")
    report = look(order_file, store, tmp_path / "watch", START)
    assert "no backtest of pair_conjugate@" in report.notices[0]
    told = {chart.name for chart in report.versions[0].charts if chart.limit is not None}
    assert told <= {"customers"}  # of which the orders say what is usual


def test_a_challenger_that_is_the_champion_is_watched_once(order_file, store, tmp_path):
    set_alias(store, "challenger", "1")
    report = look(order_file, store, tmp_path / "watch", START)
    assert [version.role for version in report.versions] == ["champion"]
    assert report.versions[0].fit == find(store, "champion").fit
    assert np.isfinite(report.versions[0].charts[0].limit)
