"""``toolkit whatif`` at the command line: what it shows, writes and refuses."""

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.conftest import AS_OF
from toolkit.cli.app import run
from toolkit.data.ids import number_of
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders

SCENARIOS = f"""
[[scenarios]]
name = "more of two"
changes = [{{ kind = "demand", percent = 20, products = ["Article 2", 7] }}]

[[scenarios]]
name = "one lost"
changes = [{{ kind = "customer_lost", customers = [{FIRST_CUSTOMER_ID + 3}] }}]
"""


@pytest.fixture
def place(orders, tmp_path, monkeypatch) -> Path:
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    (tmp_path / "scenarios.toml").write_text(SCENARIOS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(place, capsys):
    """Exit code, stdout and stderr of the command."""

    def asked(*arguments, file="scenarios.toml", as_of=AS_OF):
        code = run(
            ["whatif", file, "--db", "orders.duckdb", "--as-of", str(as_of), *map(str, arguments)]
        )
        out, err = capsys.readouterr()
        return code, out, err

    return asked


def test_it_shows_scenarios_beside_the_forecast(ask):
    code, out, _ = ask("--top", 1)
    assert code == 0
    for part in ("2 scenarios", "the forecast", "more of two: products that change most",
                 "Article", "and 1 more", "demand of products Article 2, 7 +20 %"):  # fmt: skip
        assert part in out
    code, out, _ = ask("--product", "Article 2")
    assert code == 0
    assert "more of two: the weeks" in out


@pytest.mark.parametrize(("name", "table"), [("t.csv", None), ("t.parquet", "weeks")])
def test_tables_and_json_say_the_same(ask, place, name, table):
    chosen = ("--table", table) if table else ()
    code, out, _ = ask("--out", name, *chosen, "--json")
    assert code == 0
    said = json.loads(out)["scenarios"]
    frame = (pd.read_csv if name.endswith("csv") else pd.read_parquet)(place / name)
    rows = [row for one in said for row in one["weekly" if table else "products"]]
    expected = pytest.approx([row["difference_quantity"] for row in rows], rel=1e-12)
    assert frame["difference_quantity"].tolist() == expected
    assert set(frame["scenario"]) == {"more of two", "one lost"}


def test_equal_calls_print_equal_bytes(ask):
    first, second = (json.loads(ask("--json")[1]) for _ in range(2))
    for said in (first, second):
        del said["model_metadata"]["generated_at"]
    assert first == second


def test_everything_wrong_is_one_message(ask, place):
    (place / "wrong.json").write_text(
        json.dumps(
            {
                "scenarios": [
                    {"name": "a", "changes": [{"kind": "demand", "percent": -150}]},
                    {"name": "b", "changes": [{"kind": "customer_lost", "customers": [4711]}]},
                ]
            }
        )
    )
    code, _, err = ask(file="wrong.json")
    assert code == 2
    for part in ("wrong.json has 2 mistakes", "from -100 to 10,000, got -150", "customer 4711"):
        assert part in err
    assert ask(file="none.toml")[0] == 2
    code, _, err = ask("--table", "weeks", "--out", "t.xls")
    assert (code, "--out has to end in one of" in err) == (2, True)
    code, _, err = ask("--table", "weeks")
    assert (code, "--table is of --out" in err) == (2, True)
    code, _, err = ask("--product", "Nonsense")
    assert (code, "the nearest names are" in err) == (2, True)


WRONG = """
[[scenarios]]
name = "a"
changes = [
  { kind = "demand", percent = -150, products = ["Artikle 2", 1], customers = [4711] },
  { kind = "price", products = ["Nonsense"], price = "cheap", elasticity = -1 },
  { kind = "product_replaced", products = [3], replaced_by = "Artikle 4", percent = 101 },
  { kind = "customer_won", like = "Shop x3", percent = 0 },
  { kind = "customer_lost", customers = "Shop x4" },
  { kind = "demand", products = [true, { id = 3 }] },
]
"""


def test_names_in_changes_with_other_mistakes_are_looked_up(ask, place):
    (place / "wrong.toml").write_text(WRONG)
    code, out, err = ask(file="wrong.toml")
    assert (code, out) == (2, "")
    of_form, of_names = err.split("'a', change ", 1)
    for part in (
        "changes[1]: percent has to be a number from -100 to 10,000, got -150",
        "changes[2].price: has to be a number, got 'cheap'",
        "changes[3]: percent has to be the share that goes over, from 0 to 100, got 101",
        "changes[4]: percent has to be the size of orders in per cent",
        "changes[5].customers: has to be a list, got 'Shop x4'",
        "changes[6].products[1]: has to be ",
        "changes[6].products[2]: has to be ",
    ):
        assert part in of_form
    told = [one.partition("; ")[0].strip(" -\n") for one in of_names.split("'a', change ")]
    assert told == [
        "1: there is no product 'Artikle 2'",
        "1: customer 4711 ordered nothing before 2022-06-06",
        "2: there is no product 'Nonsense'",
        "3: there is no product 'Artikle 4'",
        "4: there is no customer 'Shop x3'",
        "5: there is no customer 'Shop x4'",
    ]


def test_mistakes_of_the_command_and_of_the_file_are_told_together(ask, place):
    (place / "wrong.toml").write_text(WRONG)
    numbers = ("--top", -1, "--weeks", 0, "--default-price", 0)
    code, _, err = ask(*numbers, "--product", "Artikle 7", "--table", "weeks", file="wrong.toml")
    assert code == 2
    for part in (
        "--table is of --out",
        "\ntop has to be a whole number of at least 1, got -1\n",
        "\nforecast_weeks has to be a whole number from 1 to 104, got 0\n",
        "\ndefault_price has to be a number above 0",
        "\nthere is no product 'Artikle 7'",
        "\nwrong.toml has 13 mistakes:\n",
        "'a', change 2: there is no product 'Nonsense'",
    ):
        assert part in err
    late = '{ kind = "demand", percent = 1, start_date = 2023-01-01 }'
    (place / "late.toml").write_text(f'[[scenarios]]\nname = "a"\nchanges = [{late}]')
    code, _, err = ask("--top", 0, file="late.toml")
    assert (code, "start_date has to be a date from 2022-06-06 to 2022-08-28" in err) == (2, True)
    code, _, err = ask("--model", "nope", file="wrong.toml")
    assert code == 2
    for part in ("unknown model 'nope'", "\nwrong.toml has 7 mistakes:\n"):
        assert part in err


def test_nothing_to_forecast_is_an_exit_code_of_its_own(ask, place):
    (place / "none.toml").write_text('[[scenarios]]\nname = "as it is"')
    code, _, err = ask(file="none.toml", as_of="2000-01-01")
    assert code == 3
    assert "There is nothing to forecast for any product: no order before 2000-01-01." in err


def test_codes_go_in_and_come_out(ask, place):
    with duckdb.connect(str(place / "orders.duckdb")) as conn:
        conn.execute("CREATE TABLE dbo.Code (Kind VARCHAR, ID BIGINT, Code VARCHAR)")
        for product in range(1, 13):
            code = f"SKU-{product}"
            changed = {"new": number_of(code), "old": product}
            conn.execute(
                "UPDATE dbo.OrderItem SET ProductID = $new WHERE ProductID = $old", changed
            )
            conn.execute("UPDATE dbo.Product SET ID = $new WHERE ID = $old", changed)
            conn.execute("INSERT INTO dbo.Code VALUES ('product', ?, ?)", [number_of(code), code])
    change = '{ kind = "product_delisted", products = ["SKU-3"] }'
    (place / "codes.toml").write_text(f'[[scenarios]]\nname = "a"\nchanges = [{change}]')
    code, out, _ = ask("--json", file="codes.toml")
    assert code == 0
    rows = {row["product_code"]: row for row in json.loads(out)["scenarios"][0]["products"]}
    assert rows["SKU-3"]["expected_quantity"] == 0.0 < rows["SKU-4"]["expected_quantity"]
    (place / "twice.toml").write_text(
        f'[[scenarios]]\nname = "a"\nchanges = [{change}, {change}, '
        '{ kind = "product_delisted", products = ["SKU-33"] }]'
    )
    code, _, err = ask(file="twice.toml")
    assert code == 2
    assert "one ends product SKU-3, which the other changes" in err
    assert "the nearest codes are SKU-" in err
