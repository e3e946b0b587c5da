"""Backtests from end to end: in real processes, killed, broken, and the same every time."""

import json
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from backtests.run.folder import RunFolder
from backtests.run.harness import describe
from backtests.run.provenance import Survey
from tests.backtests.conftest import EARLIER, backtest, experiment, tables
from tests.backtests.planted import Learnt
from tests.conftest import AS_OF
from tests.processes import run as run_command
from toolkit.errors import ArgumentError, ModelError
from toolkit.fits import save_fit
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source


def assert_same_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_folder_holds_what_was_asked_and_what_came_of_it(run, order_file):
    assert run.dates == (EARLIER, AS_OF)
    assert run.versions == ("pair_conjugate", "other")
    assert run.path.name == f"small-{run.description.key}"
    data = run.description.data
    with open_database(order_file) as conn:
        first, last, products = conn.execute(
            "SELECT min(Created)::DATE, max(Created)::DATE, count(DISTINCT ProductID)"
            " FROM dbo.OrderItem"
        ).fetchone()
    assert (data.first_date, data.last_date) == (first, last)
    assert (data.products, data.customers) == (products, 60)
    tasks = run.tasks()
    assert {task.status for task in tasks} == {"done"}
    assert [task.as_of_date for task in tasks] == sorted(task.as_of_date for task in tasks)
    assert {task.observed_weeks for task in tasks} == {12}
    for day in run.dates:
        shards = [t for t in tasks if (t.as_of_date, t.version) == (day, "other")]
        assert [t.shard for t in shards] == list(range(shards[0].shards))
        assert len(shards) == 4
        assert sum(t.rows.pairs for t in shards) == len(run.pairs("other", day))


def test_scores_are_written_for_every_version_and_date(run):
    scores = pd.read_parquet(run.path / "scores.parquet")
    whole = scores[(scores.slice == "all") & (scores.score == "log_loss")]
    assert set(whole.version) == set(run.versions)
    at = whole[(whole.version == "other") & (whole.as_of_date == pd.Timestamp(AS_OF))]
    assert at.value.item() == pytest.approx(run.pairs("other", AS_OF).log_loss.mean(), rel=1e-5)


def test_every_pair_and_product_known_is_there_once(run, order_file):
    pairs = run.pairs("pair_conjugate", AS_OF)
    with open_database(order_file) as conn:
        known = conn.execute(
            "SELECT a.ClientID, i.ProductID, count(DISTINCT i.Created::DATE)"
            ' FROM dbo.OrderItem i JOIN dbo."Order" o ON o.ID = i.OrderID'
            " JOIN dbo.ClientAgreement a ON a.ID = o.ClientAgreementID"
            " WHERE i.Created < $as_of GROUP BY ALL ORDER BY 2, 1",
            {"as_of": AS_OF},
        ).fetchall()
    columns = ["customer_id", "product_id", "order_count"]
    assert pairs[columns].to_numpy().tolist() == [list(row) for row in known]
    weeks = run.product_weeks("pair_conjugate", AS_OF, ["product_id", "week"])
    assert len(weeks) == 12 * pairs.product_id.nunique() == len(weeks.drop_duplicates())
    assert (weeks.as_of_date == pd.Timestamp(AS_OF)).all()
    assert set(run.pairs("other").as_of_date) == set(map(pd.Timestamp, run.dates))


def test_versions_are_held_against_the_same_truth_but_say_their_own(run):
    one, other = run.pairs("pair_conjugate", AS_OF), run.pairs("other", AS_OF)
    for column in ("orders", "next_week", "product_class", "customer_age_days"):
        assert one[column].equals(other[column])
    assert one.p_order_w4.equals(other.p_order_w4)  # exact, and the model is the same
    assert not one.expected_orders.equals(other.expected_orders)  # drawn with another seed
    assert one.pit_next.equals(other.pit_next)  # randomized alike


def test_neither_processes_nor_shards_change_a_digit(run, order_file, tmp_path):
    other = {"model": "pair_conjugate", "label": "other", "seed": 5}
    dates = (EARLIER, AS_OF)
    alone = backtest(experiment("pair_conjugate", other, dates=dates), order_file, tmp_path)
    assert alone.folder.name == run.path.name
    assert tables(alone.folder) == tables(run.path)
    whole = experiment(other, dates=(AS_OF,), pairs_per_shard=10_000)
    uncut = RunFolder(backtest(whole, order_file, tmp_path).folder)
    assert uncut.path != alone.folder
    assert_same_rows(uncut.pairs("other"), run.pairs("other", AS_OF))
    assert_same_rows(uncut.product_weeks("other"), run.product_weeks("other", AS_OF))
    one, shards = uncut.totals("other"), run.totals("other", AS_OF)
    pd.testing.assert_frame_equal(one, shards, check_exact=False, rtol=1e-12)  # sums in two orders


def test_totals_are_the_sums_of_products(run):
    columns = ["week", "quantity", "expected_quantity", "q50"]
    weeks = run.product_weeks("other", None, columns).groupby(["as_of_date", "week"]).sum()
    totals = run.totals("other", None, columns)
    assert len(totals) == 24
    for name in ("quantity", "expected_quantity"):
        assert totals[name].to_numpy() == pytest.approx(weeks[name].to_numpy(), rel=1e-5)
    assert not np.allclose(totals.q50, weeks.q50, rtol=0.001)  # medians do not add up
    scores = pd.read_parquet(run.path / "scores.parquet")
    covered = scores[(scores.level == "total") & (scores.score == "coverage_80")]
    assert set(covered.rows) == {12, 24}
    assert set(covered["slice"]) == {"all"}


def test_a_share_of_the_products_is_predicted_as_among_all(run, order_file, tmp_path):
    asked = experiment("pair_conjugate", dates=(AS_OF,), share_of_products=0.5)
    part = RunFolder(backtest(asked, order_file, tmp_path).folder).pairs("pair_conjugate")
    whole = run.pairs("pair_conjugate", AS_OF)
    chosen = whole[whole.product_id.isin(part.product_id)].reset_index(drop=True)
    assert 2 <= part.product_id.nunique() <= 10
    assert_same_rows(part, chosen)


@pytest.mark.usefixtures("planted")
def test_what_fails_is_recorded_counted_and_tried_again(order_file, tmp_path):
    asked = experiment("fails", "fails_to_fit", "dies", "pair_conjugate")
    report = backtest(asked, order_file, tmp_path, jobs=2)
    assert report.failed == {"fails": 4, "fails_to_fit": 4, "dies": 1}
    assert len(report.errors) == 3
    run = RunFolder(report.folder)
    cards = {(card.version, card.shard): card for card in run.tasks()}
    assert len(cards) == report.tasks == 16
    assert "planted failure" in cards["fails", 2].error
    assert cards["fails_to_fit", 0].error.endswith("ModelError: planted failure to fit")
    assert "process died" in cards["dies", 0].error
    assert cards["dies", 1].status == "done"
    assert run.pairs("fails").empty
    healthy = run.pairs("pair_conjugate")
    survived = healthy[healthy.product_id.isin(run.pairs("dies").product_id)]
    assert 0 < len(survived) < len(healthy)
    again = backtest(asked, order_file, tmp_path, jobs=2)
    assert again.kept == 7
    assert again.failed == report.failed


@pytest.mark.usefixtures("planted")
def test_a_version_may_speak_of_one_level_only(order_file, tmp_path):
    asked = experiment("pairs_only", "products_only", "pair_conjugate")
    report = backtest(asked, order_file, tmp_path)
    assert not report.failed
    run = RunFolder(report.folder)
    both = run.pairs("pair_conjugate"), run.product_weeks("pair_conjugate")
    assert run.product_weeks("pairs_only").empty
    assert run.pairs("products_only").empty
    assert run.totals("pairs_only").empty
    assert run.pairs("pairs_only").p_order_w4.equals(both[0].p_order_w4)
    assert run.pairs("pairs_only").p_alive.isna().sum() == 4
    weeks = run.product_weeks("products_only")
    left_out = set(both[1].product_id) - set(weeks.product_id)
    assert len(left_out) == 4  # the first of each shard
    same = both[1][~both[1].product_id.isin(left_out)].reset_index(drop=True)
    assert_same_rows(weeks, same)
    ordered = weeks.groupby("week").quantity.sum().to_numpy()
    assert run.totals("products_only").quantity.to_numpy() == pytest.approx(ordered)
    told = [task for task in run.tasks() if task.version == "products_only"]
    assert [task.failed_rows for task in told] == [1, 1, 1, 1]
    assert told[0].failures == ("product 1: the prediction is not finite",)


@pytest.mark.usefixtures("planted")
def test_condition_fits_once_and_refit_at_each_date(order_file, tmp_path):
    versions = [
        {"model": "learns", "label": "once", "pairs": 7},
        {"model": "learns", "label": "again", "pairs": 7, "refit": "refit"},
        {"model": "learns", "label": "all"},
    ]
    asked = experiment(*versions, dates=(EARLIER, AS_OF), pairs_per_shard=1000)
    run = RunFolder(backtest(asked, order_file, tmp_path).folder)
    used = {(task.version, task.as_of_date): task.model_version for task in run.tasks()}
    assert used == {
        ("once", EARLIER): f"{EARLIER}-7",
        ("once", AS_OF): f"{EARLIER}-7",
        ("again", EARLIER): f"{EARLIER}-7",
        ("again", AS_OF): f"{AS_OF}-7",
        ("all", EARLIER): used["all", EARLIER],
        ("all", AS_OF): used["all", EARLIER],
    }
    known = len(run.pairs("all", EARLIER))
    assert used["all", AS_OF] == f"{EARLIER}-{known}"
    assert len(list(run.fits.glob("learns/*/card.json"))) == 3
    assert run.tasks()[0].diagnostics == {"r_hat": 1.0}


@pytest.mark.usefixtures("planted")
def test_a_frozen_fit_is_used_if_it_is_old_enough(order_file, tmp_path):
    fits = tmp_path / "fits"
    for day in (EARLIER, AS_OF):
        save_fit(Learnt(planted_as="learns", fitted_on=str(day), pairs=3), fits)

    def frozen(model):
        asked = experiment({"model": model, "label": "f", "refit": "frozen"}, dates=(EARLIER,))
        return backtest(asked, order_file, tmp_path / "runs", fits=fits)

    run = RunFolder(frozen(f"learns@{EARLIER}-3").folder)
    assert {task.model_version for task in run.tasks()} == {f"{EARLIER}-3"}
    assert (run.fits / "learns" / f"{EARLIER}-3" / "card.json").exists()
    with pytest.raises(ArgumentError, match=f"known at {AS_OF}, after the first as-of date"):
        frozen(f"learns@{AS_OF}-3")
    with pytest.raises(ArgumentError, match=r"name the fit in .* as learns@VERSION"):
        frozen("learns")
    with pytest.raises(ModelError, match="holds no version 'x'"):
        frozen("learns@x")
    assert list((tmp_path / "runs").iterdir()) == [run.path]


def test_weeks_after_the_datas_end_are_not_scored_and_it_says_so(order_file, tmp_path):
    late = AS_OF + timedelta(weeks=9, days=2)
    report = backtest(experiment("pair_conjugate", dates=(late,)), order_file, tmp_path)
    (notice,) = report.notices
    assert notice.startswith(f"as of {late}, 2 of 12 weeks are over by ")
    run = RunFolder(report.folder)
    assert run.product_weeks("pair_conjugate").week.max() == 2
    assert run.pairs("pair_conjugate").log_loss.isna().all()
    assert {task.observed_weeks for task in run.tasks()} == {2}


@pytest.mark.parametrize("outside", [date(2020, 1, 6), date(2021, 1, 4), date(2022, 8, 24)])
def test_a_date_outside_the_data_is_refused(order_file, tmp_path, outside):
    with pytest.raises(ArgumentError) as caught:
        backtest(experiment("pair_conjugate", dates=(AS_OF, outside)), order_file, tmp_path)
    assert f"as-of dates outside the data: {outside}; orders run from 2021-01-0" in str(
        caught.value
    )
    assert not list(tmp_path.iterdir())


def test_all_unknown_versions_are_named(order_file, tmp_path):
    asked = experiment("pair_conjugat", "pair_conjugate", "rythm")
    with pytest.raises(ModelError) as caught:
        backtest(asked, order_file, tmp_path)
    assert str(caught.value).count("unknown model") == 2
    assert "'rythm'" in str(caught.value)


def test_wrong_experiments_are_told_at_the_command_line(order_file, tmp_path):
    (tmp_path / "e.toml").write_text(
        'name = "e"\ndates.lst = []\n[[versions]]\nmodel = "pair_conjugate"\ndrawz = 3\n'
    )
    done = run_command("backtest", "e.toml", "--db", order_file, cwd=tmp_path)
    assert done.returncode == 2
    assert "e.toml has 2 mistakes" in done.stderr
    assert "did you mean 'draws'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_command_ends_with_a_page_and_the_run_in_mlflow(order_file, tmp_path):
    """Or, where the store cannot be had, with what to do later; the scores are there."""
    (tmp_path / "e.toml").write_text(
        f'name = "e"\ndraws = 20\ndates.list = [{AS_OF}]\n[[versions]]\nmodel = "pair_conjugate"\n'
    )
    command = ("backtest", "e.toml", "--db", order_file, "--jobs", 1)
    (tmp_path / "no.db").write_text("no store")
    away, done = (
        run_command(*command, *more, cwd=tmp_path)
        for more in (["--store", "sqlite:///no.db"], ["--json"])
    )
    assert away.returncode == done.returncode == 0, done.stderr
    assert "Not logged: " in away.stderr
    assert "`toolkit track runs/e-" in away.stderr.replace(f"{tmp_path}/", "")
    said = json.loads(done.stdout)
    assert said["kept"] == said["tasks"] == 1
    assert Path(said["report"]).read_text().startswith("<!doctype html>")
    assert (tmp_path / "mlflow.db").exists()


def test_the_key_follows_data_and_experiment_but_not_the_datas_place(run, order_file, tmp_path):
    elsewhere = tmp_path / "elsewhere.duckdb"
    elsewhere.write_bytes(order_file.read_bytes())
    other = {"model": "pair_conjugate", "label": "other", "seed": 5}

    def key(database, **settings):
        asked = experiment("pair_conjugate", other, dates=(EARLIER, AS_OF), **settings)
        with open_database(database) as conn:
            survey = Survey.of(as_source(conn))
        return describe(asked, survey, database).key

    assert key(elsewhere) == run.description.key
    assert key(elsewhere, seed=1) != run.description.key
    with duckdb.connect(str(elsewhere)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Qty = Qty + 1 WHERE ID = 1")
    assert key(elsewhere) != run.description.key
