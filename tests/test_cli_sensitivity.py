"""``toolkit sensitivity`` at the command line: what it shows, writes and refuses."""

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.conftest import AS_OF
from toolkit.cli.app import run
from toolkit.sources.generator import load_orders


@pytest.fixture
def place(orders, tmp_path, monkeypatch) -> Path:
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(place, capsys):
    """Exit code, stdout and stderr of the command."""

    def asked(*arguments, as_of=AS_OF, command="sensitivity"):
        code = run([command, "--db", "orders.duckdb", "--as-of", str(as_of), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return asked


def test_it_says_what_forecast_lists(ask):
    grid = ("--min-orders", "1,4", "--min-confidence", "0,.2,.4")
    code, out, _ = ask("Article 2", *grid, "--json")
    assert code == 0
    said = json.loads(out)
    assert [(c["min_orders"], c["min_confidence"]) for c in said["totals"]] == [
        (1, 0.0), (1, 0.2), (1, 0.4), (4, 0.0), (4, 0.2), (4, 0.4),
    ]  # fmt: skip
    chosen = ("--min-orders", "4", "--min-confidence", ".2")
    summary = json.loads(ask("2", *chosen, "--json", command="forecast")[1])["summary"]
    assert said["totals"][4]["listed_quantity"] == summary["listed_quantity"]
    assert said["totals"][4]["listed_customers"] == summary["unique_customers"]
    code, out, _ = ask("--all")
    assert code == 0
    for part in ("12 products", "Customers listed, by confidence", "≥ 0.5", "min_orders"):
        assert part in out


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_tables_and_a_figure_go_to_files(ask, place, name):
    code, _, _ = ask("2", "7", "--out", name, "--plot", "map.png", "--min-orders", "1,2")
    assert code == 0
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    assert len(read(place / name)) == 12
    assert (place / "map.png").read_bytes().startswith(b"\x89PNG")


def test_everything_wrong_is_one_message(ask):
    code, _, err = ask(
        "--all", "Nonsense", "--min-orders", "1,x", "--min-confidence", "0,2", "--table", "totals",
        "--weeks", "0", "--default-price", "-1", "--model", "nope",
    )  # fmt: skip
    assert code == 2
    for part in (
        "only one of PRODUCTS and --all can be given, got PRODUCTS and --all",
        "--table is of --out",
        "--min-orders has to be whole numbers with commas between, got '1,x'",
        "min_confidence has to be a number from 0 to 1, got 2.0",
        "forecast_weeks has to be a whole number from 1 to 104, got 0",
        "default_price has to be a number above 0",
        "unknown model 'nope'",
        "there is no product 'Nonsense'; the nearest names are",
    ):
        assert part in err
    code, _, err = ask()
    assert (code, err) == (2, "Error: one of PRODUCTS and --all has to be given\n")
    code, _, err = ask("2", "--plot", "map.nonsense")
    assert (code, "cannot draw to map.nonsense" in err) == (2, True)
    code, _, err = ask("Nonsense")
    assert (code, "the nearest names are" in err) == (2, True)


def test_nothing_to_forecast_is_an_exit_code_of_its_own(ask):
    code, _, err = ask("2", as_of="2000-01-01")
    assert (code, "There is nothing to forecast for product 2" in err) == (3, True)
