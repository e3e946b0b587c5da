"""``toolkit plan`` as a process of its own: what it shows, writes and refuses."""

import json
import shutil
import subprocess
import zipfile
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.conftest import AS_OF
from tests.processes import run as run_command
from toolkit.data.ids import number_of
from toolkit.sources.generator import load_orders

ASKED = ("--db", "orders.duckdb", "--as-of", AS_OF, "--stock", "stock.csv", "--lead-time", "14",
         "--draws", "99")  # fmt: skip


@pytest.fixture(scope="module")
def place(orders, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("plan")
    with duckdb.connect(str(place / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    rows = [f"{i},{10 * i},{i % 2},6,2.5" for i in range(1, 13)]
    head = "product,on_hand,on_order,pack_size,unit_cost"
    (place / "stock.csv").write_text("\n".join([head, *rows]))
    return place


def run(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    return run_command("plan", *arguments, cwd=cwd)


def test_it_shows_what_to_order(place):
    done = run(*ASKED, cwd=place)
    assert done.returncode == 0, done.stderr
    for part in (
        f"What to order as of {AS_OF}: lead time 14 days, review every 7 days, cycle service level"
        " 0.95, by pair_conjugate",
        "products to order", "value", "Article 1", "runs out", "stock: on hand + on order",
    ):  # fmt: skip
        assert part in done.stdout


def test_as_of_last_is_the_day_after_the_last_order(place, orders):
    last = orders.order_lines["ordered_at"].max().date()
    done = run(*ASKED, "--as-of", "last", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["as_of_date"] == str(last + timedelta(1))


@pytest.mark.parametrize("name", ["plan.CSV", "plan.parquet"])
def test_it_writes_all_products_and_json_says_the_same(place, tmp_path, name):
    done = run(*ASKED, "--fill-rate", 0.97, "--out", tmp_path / name, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    read = pd.read_csv if name.endswith("CSV") else pd.read_parquet
    frame = read(tmp_path / name)
    assert said["policy"] == {"lead_time_days": 14, "review_days": 7, "fill_rate": 0.97}
    assert frame["quantity"].tolist() == [line["quantity"] for line in said["lines"]]
    assert frame["product_id"].tolist() == [line["product_id"] for line in said["lines"]]
    assert (frame["quantity"] % 6 == 0).all()


@pytest.mark.skipif(find_spec("xlsxwriter") is None, reason="the extra `tables` is not installed")
def test_excel_gets_the_plan(place, tmp_path):
    done = run(*ASKED, "--out", tmp_path / "plan.xlsx", cwd=place)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "plan.xlsx") as parts:
        texts = parts.read("xl/sharedStrings.xml").decode()
        assert 'name="plan"' in parts.read("xl/workbook.xml").decode()
    assert "<t>product_id</t>" in texts


def test_nothing_ordered_before_is_an_exit_code_of_its_own(place):
    done = run(*ASKED, "--as-of", "2000-01-01", cwd=place)
    assert done.returncode == 3
    said = "There is nothing to forecast for any product in stock.csv: no order before 2000-01-01."
    assert (done.stdout, done.stderr.strip()) == ("", said)


def test_equal_calls_print_equal_bytes(place):
    first, second = (run(*ASKED, "--json", "--sort", "shortage", cwd=place) for _ in range(2))
    assert first.stdout == second.stdout != ""


def test_everything_wrong_is_one_message(place, tmp_path):
    (tmp_path / "stock.csv").write_text("product,on_hand,on_order\n1,ten,0\n1,2,0\n404,1,1\n")
    done = run(
        "--db", place / "orders.duckdb", "--as-of", "2022-6-6", "--stock", "stock.csv",
        "--lead-time", "-3", "--fill-rate", 0.9, "--service-level", 2, "--draws", 0, "--top", 0,
        "--seed", -1, "--review", 0, "--model", "nope", "--out", "plan.xls", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in (
        "lead_time_days has to be a whole number of at least 0, got -3",
        "got service_level and fill_rate", "service_level has to be a number between 0 and 1",
        "as_of_date has to be a date as YYYY-MM-DD, got '2022-6-6'",
        "top has to be", "draws has to be", "seed has to be a whole number of at least 0, got -1",
        "review_days has to be a whole number of at least 1, got 0", "unknown model 'nope'",
        "--out has to end in one of .csv, .xlsx, .parquet, got plan.xls",
        "on_hand has to be a number", "line 3: '1'", "line 4: '404' is not in the database",
    ):  # fmt: skip
        assert part in done.stderr, part


def test_a_target_is_one(place):
    done = run(*ASKED, "--fill-rate", 0.9, "--service-level", 2, cwd=place)
    assert done.returncode == 2
    for part in ("got service_level and fill_rate", "service_level has to be a number between"):
        assert part in done.stderr
    done = run(*ASKED, "--shortage-cost", 3, cwd=place)
    assert "holding_cost has to be a number above 0, got None" in done.stderr


def test_a_folder_that_is_missing_is_one_sentence(place):
    done = run(*ASKED, "--out", "nowhere/plan.csv", cwd=place)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {place / 'nowhere' / 'plan.csv'}: No such file")


def test_codes_go_in_and_come_out(place, tmp_path):
    copy = shutil.copyfile(place / "orders.duckdb", tmp_path / "orders.duckdb")
    with duckdb.connect(str(copy)) as conn:
        conn.execute("CREATE TABLE dbo.Code (Kind VARCHAR, ID BIGINT, Code VARCHAR)")
        for product in range(1, 13):
            code = f"SKU-{product}"
            changed = {"new": number_of(code), "old": product}
            conn.execute(
                "UPDATE dbo.OrderItem SET ProductID = $new WHERE ProductID = $old", changed
            )
            conn.execute("UPDATE dbo.Product SET ID = $new WHERE ID = $old", changed)
            conn.execute("INSERT INTO dbo.Code VALUES ('product', ?, ?)", [number_of(code), code])
    (tmp_path / "stock.csv").write_text("product,on_hand,on_order\nSKU-3,1,0\nSKU-99,0,0\n")
    refused = run(*ASKED, cwd=tmp_path)
    assert (refused.returncode, "the nearest codes are SKU-" in refused.stderr) == (2, True)
    (tmp_path / "stock.csv").write_text("product,on_hand,on_order\nSKU-3,1,0\n")
    done = run(*ASKED, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = json.loads(done.stdout)["lines"]
    assert line["product_code"] == "SKU-3"
    assert "SKU-3" in run(*ASKED, cwd=tmp_path).stdout
