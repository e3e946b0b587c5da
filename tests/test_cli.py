"""The command line as a process of its own: output, exit codes, tables."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from math import nan
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF
from tests.processes import TOOLKIT, error_of, run, start
from tests.sources.helpers import write_folder
from toolkit.engine import ForecastEngine
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import weekly_quantities

ASKED = ("--db", "orders.duckdb", "--as-of", AS_OF)
QUANTILES = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"]


@pytest.fixture(scope="module")
def place(orders, tmp_path_factory) -> Path:
    """A folder with order lines and the database imported from them."""
    place = tmp_path_factory.mktemp("cli")
    (place / "orders").mkdir()
    write_folder(orders, place / "orders", "csv")
    done = run("import", "orders", "--db", "orders.duckdb", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "12 products" in done.stdout
    return place


def test_check_finds_nothing_wrong(place):
    done = run("check", "--db", "orders.duckdb", "--json", cwd=place)
    assert done.returncode == 0
    assert json.loads(done.stdout)["fatal"] == []


def test_forecast_shows_weeks_customers_and_risks(place):
    done = start(TOOLKIT, "forecast", 1, *ASKED, cwd=place)
    assert done.returncode == 0
    for part in ("Article 1", "Demand by week", "Top customers", "Customers at risk", "2022-08-22"):
        assert part in done.stdout


@pytest.fixture
def dated(place, tmp_path):
    """``dated(day)``: a copy of the database in which a line of product 2 has that day."""

    def dated(day):
        copy = shutil.copyfile(place / "orders.duckdb", tmp_path / "orders.duckdb")
        with duckdb.connect(str(copy)) as conn:
            one = "(SELECT min(ID) FROM dbo.OrderItem WHERE ProductID = 2)"
            conn.execute(f"UPDATE dbo.OrderItem SET Created = '{day}' WHERE ID = {one}")
        return tmp_path

    return dated


@pytest.mark.parametrize(
    "command",
    [
        ("forecast", 2, *ASKED),
        ("predict", "pair_conjugate", *ASKED, "--out", "out"),
        ("fit", "pooled_gamma", *ASKED),
        ("backtest", "quick", "--db", "orders.duckdb", "--no-log"),
    ],
    ids=lambda command: command[0],
)
def test_orders_before_the_year_1_end_a_command_in_a_sentence(dated, command):
    here = dated("0044-03-15 (BC)")
    done = run(*command, cwd=here)
    assert "dbo.OrderItem.Created holds 0044-03-15 (BC), a date" in error_of(done)
    assert "`toolkit check` lists such lines" in error_of(done)
    assert done.returncode == 2
    assert {path.name for path in here.iterdir()} <= {"orders.duckdb", "runs", ".mlflow"}


@pytest.mark.parametrize("day", ["0044-03-15 (BC)", "20000-01-01"])
def test_a_check_shows_days_that_python_has_no_date_for(dated, day):
    done = run("check", "--db", "orders.duckdb", "--json", cwd=dated(day))
    assert done.returncode == 2
    assert done.stderr == ""
    (fatal,) = json.loads(done.stdout)["fatal"]
    assert day in fatal["examples"][0]


@pytest.mark.parametrize("day", ["20000-01-01", "2999-12-31"])
def test_a_line_of_a_day_to_come_does_not_tell_that_weeks_are_over(place, dated, day):
    later = AS_OF + timedelta(weeks=4)
    asked = ("forecast", 1, "--db", "orders.duckdb", "--as-of", later)
    done = run(*asked, cwd=dated(day))
    assert done.returncode == 0, done.stderr
    assert "What was then ordered" in done.stdout
    assert done.stdout == run(*asked, cwd=place).stdout


def test_forecast_as_json_is_the_forecast(place, engine):
    done = run("forecast", 1, "--db", "orders.duckdb", "--as-of", AS_OF, "--json", cwd=place)
    found = json.loads(done.stdout)
    found["model_metadata"]["generated_at"] = "2025-11-11T12:00:00Z"
    assert found == engine.generate_forecast(1, AS_OF).to_dict()


def test_nothing_to_forecast_has_an_exit_code_of_its_own(place):
    """It is neither a failure, 1, nor a wrong call, 2."""
    done = run("forecast", 4711, "--db", "orders.duckdb", "--as-of", AS_OF, "--json", cwd=place)
    assert done.returncode == 3
    assert json.loads(done.stdout) is None
    assert done.stderr.startswith("There is nothing to forecast for product 4711: nobody ordered")


@pytest.fixture(scope="module")
def tables(place) -> tuple[pd.DataFrame, pd.DataFrame]:
    done = run("predict", "pair_conjugate", *ASKED, "--out", "out", cwd=place)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "pairs.parquet",
        "product_weeks.parquet",
    ]
    return (
        pd.read_parquet(place / "out" / "product_weeks.parquet"),
        pd.read_parquet(place / "out" / "pairs.parquet"),
    )


def test_product_weeks_column_by_column(tables):
    weeks, _ = tables
    assert list(weeks.columns) == [
        "product_id", "week_number", "week_start_date", "expected_orders", "expected_quantity",
        *(f"quantity_{q}" for q in QUANTILES), "known_expected_quantity",
    ]  # fmt: skip
    assert len(weeks) == 12 * weeks["product_id"].nunique()
    first = weeks.groupby("product_id").first()
    assert (first["week_start_date"] == pd.Timestamp(AS_OF)).all()
    assert set(weeks["week_number"]) == set(range(1, 13))
    quantiles = weeks[[f"quantity_{q}" for q in QUANTILES]].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (weeks["known_expected_quantity"] <= weeks["expected_quantity"]).all()


def test_pairs_column_by_column(tables, orders):
    _, pairs = tables
    assert list(pairs.columns) == [
        "customer_id", "product_id", "order_count", "p_alive", "confidence", "next_order_date",
        *(f"next_order_{q}" for q in QUANTILES), "expected_orders", "median_orders",
        *(f"p_order_w{week}" for week in range(1, 13)),
    ]  # fmt: skip
    lines = orders.order_lines
    known = lines[lines["ordered_at"] < pd.Timestamp(AS_OF)]
    assert len(pairs) == len(known[["customer_id", "product_id"]].drop_duplicates())
    assert (pairs["next_order_date"].dropna() >= pd.Timestamp(AS_OF)).all()
    assert pairs["next_order_date"].equals(pairs["next_order_q50"])
    weekly = pairs[[f"p_order_w{week}" for week in range(1, 13)]].to_numpy()
    assert (np.diff(weekly, axis=1) >= 0).all()


def test_predict_agrees_with_the_engine(tables, engine):
    weeks, pairs = tables
    forecast = engine.generate_forecast(1, AS_OF, 1, 0.0)
    week = weeks[weeks["product_id"] == 1].iloc[0]
    demand = forecast.weekly_forecasts[0]["demand"]
    assert week["expected_quantity"] == demand["expected_quantity"]
    assert week["quantity_q90"] == pytest.approx(demand["quantity_quantiles"]["q90"], rel=1e-6)
    assert (pairs["product_id"] == 1).sum() == forecast.summary["unique_customers"]


@pytest.mark.slow
def test_a_forecast_is_drawn_with_what_was_then_ordered(place, orders):
    later = AS_OF + timedelta(weeks=4)  # eight weeks of twelve are over by the last order
    asked = ("forecast", 1, "--db", "orders.duckdb", "--as-of", later, "--json")
    done = run(*asked, "--plot", "weeks.png", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "weeks.png").read_bytes().startswith(b"\x89PNG")
    looked, plain = (json.loads(out) for out in (done.stdout, run(*asked, cwd=place).stdout))
    for said in (looked, plain):
        del said["model_metadata"]["generated_at"]
    assert looked == plain  # what was ordered later is drawn, and tells the forecast nothing
    wrong = run(*asked, "--plot", "weeks.txt", cwd=place)
    assert wrong.returncode == 2
    assert "cannot draw to weeks.txt: Format 'txt' is not supported" in wrong.stderr

    with open_database(place / "orders.duckdb") as conn:
        forecast = ForecastEngine(conn).generate_forecast(1, later)
        actual = weekly_quantities(conn, forecast.product_id, forecast.start_date, 12)
    lines = orders.order_lines[orders.order_lines["product_id"] == 1]
    week = (lines["ordered_at"] - pd.Timestamp(later)) // pd.Timedelta(weeks=1)
    over = (orders.order_lines["ordered_at"].max().date() - later).days + 1
    expected = [lines["quantity"][week == w].sum() if w < over // 7 else nan for w in range(12)]
    assert 0 < over // 7 < 12
    assert actual == pytest.approx(expected, nan_ok=True)

    quantiles = [week["demand"]["quantity_quantiles"] for week in forecast.weekly_forecasts]
    inside = sum(q["q10"] <= y <= q["q90"] for q, y in zip(quantiles, expected, strict=True))
    shown = run(*asked[:-1], "--top", 2, cwd=place).stdout
    assert shown.endswith(
        f"What was then ordered: {sum(expected[: over // 7]):,.0f} units in the first {over // 7} "
        f"weeks, {inside} of the {over // 7} weeks inside their 80 % interval.\n"
    )
    customers = shown.split("Top customers")[1].split("Customers at risk")[0]
    rows = [line for line in customers.splitlines() if line.startswith("Shop ")]
    assert len(rows) == min(2, len(forecast.top_customers_by_volume))
    assert "ordered:" not in run(*asked[:4], "--as-of", "2030-01-07", cwd=place).stdout
    drawn = {line.get_label() for line in forecast.plot(actual).axes[0].lines}
    assert drawn == {"median", "ordered"}
    unknown = forecast.plot([nan] * 12).axes[0].lines
    assert {line.get_label() for line in unknown} == {"median"}


BAD = [
    (["forecast", 1, "--db", "nowhere.duckdb"], "there is no database nowhere.duckdb"),
    (["forecast", 1, "--db", "orders.duckdb", "--as-of", "6/6/2022"], "got '6/6/2022'"),
    (["forecast", 1, "--db", "orders.duckdb", "--weeks", "-3"], "from 1 to 104, got -3"),
    (["forecast", 1, "--db", "orders.duckdb", "--min-confidence", "2"], "from 0 to 1, got 2.0"),
    (
        ["forecast", "abc", "--db", "orders.duckdb"],
        "there is no product 'abc'; the nearest names are 'Article ",
    ),
    (["import", "nothing", "--db", "new.duckdb"], "there is no such folder"),
    (["predict", "oracle", "--db", "orders.duckdb", "--out", "o"], "unknown model 'oracle'"),
    (["predict", "pair_conjugate@9", "--db", "orders.duckdb", "--out", "o"], "no version '9'"),
    (["check", "--db", "orders/order_lines.csv"], "is not a DuckDB database"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_what_the_user_got_wrong_is_one_sentence_and_exit_code_2(place, arguments, message):
    done = run(*arguments, cwd=place)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "o").exists()


def test_predicting_before_the_first_order_fails_and_says_so(place):
    done = run(
        "predict", "pair_conjugate", "--db", "orders.duckdb", "--as-of", "1999-01-01",
        "--out", "o", cwd=place,
    )  # fmt: skip
    assert done.returncode == 1
    assert "holds no order before 1999-01-01" in done.stderr


def test_broken_folder_lists_everything_and_keeps_the_database(place):
    broken = place / "broken"
    broken.mkdir()
    lines = pd.read_csv(place / "orders" / "order_lines.csv").head(50)
    lines.loc[3, "quantity"] = np.nan
    lines.loc[5, "unit_price"] = -1.0
    lines.drop(columns="ordered_at").to_csv(broken / "order_lines.csv", index=False)
    before = (place / "orders.duckdb").read_bytes()
    done = run("import", "broken", "--db", "orders.duckdb", cwd=place)
    assert done.returncode == 2
    for part in ("ordered_at", "quantity", "unit_price"):
        assert part in done.stderr
    assert (place / "orders.duckdb").read_bytes() == before


def test_importing_the_toolkit_pulls_in_neither_sampler_nor_tracking():
    code = (
        "import sys, toolkit, toolkit.engine, toolkit.cli.app;"
        "sys.exit(any(m in sys.modules for m in ('pymc', 'mlflow', 'arviz', 'pytensor')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_country_that_nobody_knows_and_events_that_cannot_be_read_end_a_fit(place, tmp_path):
    asked = ("fit", "rhythm", *ASKED, "--fits", tmp_path)
    done = run(*asked, "--country", "us", cwd=place)
    assert done.returncode == 2
    assert "country 'us' is unknown" in error_of(done)
    done = run(*asked, "--events", tmp_path / "none.csv", cwd=place)
    assert done.returncode == 2
    assert "none.csv cannot be read" in error_of(done)
    done = run("fit", "pooled_gamma", *ASKED, "--country", "US", cwd=place)
    assert done.returncode == 2
    assert "pooled_gamma looks at no dates" in error_of(done)
