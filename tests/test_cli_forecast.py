"""``toolkit forecast``: products, customers and everything, found by name, written to files."""

import json
import zipfile
from datetime import timedelta
from importlib.util import find_spec

import pandas as pd
import pytest

from tests.conftest import AS_OF
from tests.sources.helpers import write_folder
from toolkit.cli.app import run
from toolkit.engine import ForecastEngine
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.generator import FIRST_CUSTOMER_ID

CUSTOMER = FIRST_CUSTOMER_ID + 3


@pytest.fixture(scope="module")
def db(orders, tmp_path_factory):
    place = tmp_path_factory.mktemp("cli_forecast")
    write_folder(orders, place)
    import_folder(place, place / "orders.duckdb")
    return place / "orders.duckdb"


@pytest.fixture
def ask(db, capsys):
    """``ask(…)``: exit code, stdout and stderr of ``toolkit forecast``, as of ``AS_OF``."""

    def asked(*arguments, as_of=AS_OF):
        code = run(["forecast", *map(str, arguments), "--db", str(db), "--as-of", str(as_of)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return asked


def said_by(db, ask_engine):
    """What the engine says, as JSON holds it, without the time it was made at."""
    with open_database(db) as conn:
        content = ask_engine(ForecastEngine(conn)).to_dict()
    return untimed(json.loads(json.dumps(content)))


def untimed(content):
    del content["model_metadata"]["generated_at"]
    return content


@pytest.mark.parametrize("asked", [str(CUSTOMER), f"shop {CUSTOMER}"])
def test_a_customer_by_id_or_name(db, ask, asked):
    code, shown, _ = ask("--customer", asked, "--top", 2)
    assert code == 0
    assert shown.startswith(f"Shop {CUSTOMER} (customer {CUSTOMER}): 2022-06-06 to 2022-08-28")
    for part in ("What comes next", "By week, all products"):
        assert part in shown
    code, out, _ = ask("--customer", asked, "--json")
    assert untimed(json.loads(out)) == said_by(db, lambda e: e.forecast_customer(CUSTOMER, AS_OF))


def test_all_together(db, ask):
    code, shown, _ = ask("--all")
    assert code == 0
    for part in ("12 products together", "Top movers", "Customers at risk", "80 % interval"):
        assert part in shown
    code, out, _ = ask("--all", "--json")
    assert untimed(json.loads(out)) == said_by(db, lambda e: e.forecast_portfolio(None, AS_OF))


def test_some_together(db, ask):
    code, out, _ = ask("Article 2", 7, "--together", "--json")
    assert code == 0
    expected = said_by(db, lambda e: e.forecast_portfolio([2, 7], AS_OF))
    assert untimed(json.loads(out)) == expected


def test_several_products_each_by_itself(db, ask):
    code, shown, err = ask(2, "article 7", 4711)
    assert code == 0
    assert "Article 2 (product 2)" in shown
    assert "Article 7 (product 7)" in shown
    assert "There is nothing to forecast for product 4711: nobody" in err
    code, out, _ = ask(2, 4711, "Article 7", "--json")
    second, nothing, seventh = json.loads(out)
    assert (code, nothing) == (0, None)
    assert untimed(second) == said_by(db, lambda e: e.generate_forecast(2, AS_OF))
    assert seventh["product_id"] == 7


NOTHING = [
    (("4711",), "There is nothing to forecast for product 4711: "),
    (("4711", "4712"), "There is nothing to forecast for product 4712: "),
    (("4711", "--together"), "There is nothing to forecast for product 4711: "),
    (("--customer", "4711"), "There is nothing to forecast for customer 4711: "),
]


@pytest.mark.parametrize(("asked", "said"), NOTHING)
def test_exit_code_3_where_there_is_nothing_to_forecast(ask, asked, said):
    code, shown, err = ask(*asked)
    assert (code, shown, said in err) == (3, "", True)
    code, out, _ = ask(*asked, "--json")
    assert code == 3
    assert json.loads(out) in (None, [None, None])


def test_nothing_at_all_before_the_date(ask):
    code, _, err = ask("--all", as_of="1999-01-01")
    assert code == 3
    assert "There is nothing to forecast for any product: no order before 1999-01-01." in err


@pytest.mark.parametrize("asked", [("1",), ("--customer", str(CUSTOMER)), ("--all",)])
def test_a_date_that_no_forecast_can_follow_is_refused(ask, asked):
    code, _, err = ask(*asked, as_of="9999-12-31")
    assert (code, err) == (2, "Error: as_of_date has to be before 9990-01-01, got 9999-12-31\n")


def test_as_of_last_is_the_day_after_the_last_order(ask, orders):
    last = orders.order_lines["ordered_at"].max().date()
    code, out, _ = ask(1, "--json", as_of="last")
    assert code == 0
    assert json.loads(out)["model_metadata"]["as_of_date"] == str(last + timedelta(1))
    _, other, _ = ask(1, "--json", as_of=last + timedelta(1))
    assert untimed(json.loads(out)) == untimed(json.loads(other))


def test_orders_that_ended_long_ago_are_told_of(db, ask, capsys):
    code = run(["forecast", "1", "--db", str(db)])
    err = capsys.readouterr().err
    assert code == 0
    assert err.startswith("Notice: the last order is of 2022-")
    assert err.endswith("--as-of last forecasts from there\n")
    assert ask(1, as_of="last")[2] == ""


def test_as_of_last_without_any_order(orders, tmp_path, capsys):
    with open_database_copy(orders, tmp_path) as conn:
        conn.execute("DELETE FROM dbo.OrderItem")
    code = run(["forecast", "1", "--db", str(tmp_path / "orders.duckdb"), "--as-of", "last"])
    assert code == 2
    assert "--as-of last: there is no order before today" in capsys.readouterr().err


def open_database_copy(orders, place):
    write_folder(orders, place)
    import_folder(place, place / "orders.duckdb")
    return open_database(place / "orders.duckdb", read_only=False)


@pytest.mark.parametrize(
    ("asked", "table", "ask_engine"),
    [
        ((1,), None, lambda e: e.generate_forecast(1, AS_OF)),
        ((1,), "at_risk", lambda e: e.generate_forecast(1, AS_OF)),
        (("--customer", CUSTOMER), None, lambda e: e.forecast_customer(CUSTOMER, AS_OF)),
        (("--all",), None, lambda e: e.forecast_portfolio(None, AS_OF)),
        (("--all",), "products", lambda e: e.forecast_portfolio(None, AS_OF)),
    ],
)
def test_tables_are_written(db, ask, tmp_path, asked, table, ask_engine):
    with open_database(db) as conn:
        expected = ask_engine(ForecastEngine(conn)).to_frame(table)
    chosen = () if table is None else ("--table", table)
    code, shown, _ = ask(*asked, "--out", tmp_path / "t.parquet", *chosen)
    assert code == 0
    assert len(shown) > 100
    found = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    code, _, _ = ask(*asked, "--out", tmp_path / "t.CSV", *chosen, "--json")
    assert code == 0
    found = pd.read_csv(tmp_path / "t.CSV", parse_dates=False)
    assert list(found.columns) == list(expected.columns)
    assert len(found) == len(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.CSV", "t.parquet"]


@pytest.mark.skipif(find_spec("xlsxwriter") is None, reason="the extra `tables` is not installed")
def test_excel_gets_every_table_and_names_are_no_formulas(orders, tmp_path):
    with open_database_copy(orders, tmp_path) as conn:
        conn.execute("UPDATE dbo.Client SET Name = '=1+1'")
    book = tmp_path / "t.xlsx"
    where = ["--db", str(tmp_path / "orders.duckdb"), "--as-of", str(AS_OF), "--out", str(book)]
    assert run(["forecast", "--all", *where]) == 0
    with zipfile.ZipFile(book) as parts:
        sheets = parts.read("xl/workbook.xml").decode()
        cells = [parts.read(f"xl/worksheets/sheet{i}.xml").decode() for i in (1, 2, 3)]
        texts = parts.read("xl/sharedStrings.xml").decode()
    assert [name in sheets for name in ("weeks", "products", "at_risk")] == [True] * 3
    assert not any("<f>" in sheet for sheet in cells)
    assert "<t>=1+1</t>" in texts


MISTAKES = [
    ((), ["one of PRODUCTS, --customer, --category and --all has to be given"]),
    ((1, "--all"), ["can be given, got PRODUCTS and --all\n"]),
    (("--category", "x", "--all"), ["can be given, got --category and --all\n", "no product of"]),
    (
        ("Artikle 2", "--customer", "shop x3", "--category", "x", "--all"),
        [
            "only one of PRODUCTS, --customer, --category and --all can be given, "
            "got PRODUCTS and --customer and --category and --all\n",
            "\nthere is no product 'Artikle 2'",
            "\nthere is no customer 'shop x3'",
            "\nno product of this data has a category",
        ],
    ),
    (("--category", "x"), ["no product of this data has a category: a column `category`"]),
    (("--customer", 1, "--plot", "w.png"), ["--plot is of one product, of several --together"]),
    (("--all", "--table", "weeks"), ["--table is of --out"]),
    ((1, 2, "--out", "t.csv"), ["--out is of one forecast: give several products --together"]),
    (("--all", "--together"), ["--together is of products that are named"]),
    (
        (1, "--all", "--out", "t.txt"),
        ["only one of PRODUCTS", "--out has to end in one of .csv, .xlsx, .parquet, got t.txt"],
    ),
    (("--all", "--out", "t.csv", "--table", "week"), ["one of 'weeks', 'products', 'at_risk'"]),
    (
        ("Artikle 2", "Shop"),
        ["no product 'Artikle 2'; the nearest names are 'Article 2' (2)", "no product 'Shop'"],
    ),
    (("--customer", "shop x3"), ["there is no customer 'shop x3'; the nearest names are 'Shop "]),
    (("--customer", "shop"), ["'shop' may mean 60 customers"]),
]


@pytest.mark.parametrize(("asked", "said"), MISTAKES)
def test_mistakes_are_told_all_at_once(ask, tmp_path, monkeypatch, asked, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = ask(*asked)
    assert (code, out) == (2, "")
    for part in said:
        assert part in err
    assert list(tmp_path.iterdir()) == []


WRONG_NUMBERS = ("--top", -1, "--weeks", 0, "--min-orders", 0, "--min-confidence", 2,
                 "--default-price", 0)  # fmt: skip
SAID_OF_NUMBERS = [
    "Error: --table is of --out",
    "top has to be a whole number of at least 1, got -1",
    "forecast_weeks has to be a whole number from 1 to 104, got 0",
    "min_orders has to be a whole number of at least 1, got 0",
    "min_confidence has to be a number from 0 to 1, got 2.0",
    "default_price has to be a number above 0, up to 1e+12, got 0.0",
]


def test_wrong_numbers_hide_no_other_mistake(ask):
    code, out, err = ask(
        "Artikle 2", "Artikle 7", *WRONG_NUMBERS, "--model", "nope", "--table", "weeks",
        as_of="soon",
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert [*map(str.startswith, err.splitlines(), [
        *SAID_OF_NUMBERS,
        "unknown model 'nope'; known models: ",
        "as_of_date has to be a date as YYYY-MM-DD, got 'soon'",
        "there is no product 'Artikle 2'; the nearest names are 'Article 2' (2), ",
        "there is no product 'Artikle 7'; the nearest names are 'Article 7' (7), ",
    ])] == [True] * 10  # fmt: skip


def test_orders_that_cannot_be_opened_are_told_with_other_mistakes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["forecast", "1", *map(str, WRONG_NUMBERS), "--table", "weeks"]
    for where, said in (
        (["--db", "none.duckdb"], "there is no database none.duckdb"),
        ([], "one of --db and --mssql has to be given, got neither"),
    ):
        assert run([*asked, *where]) == 2
        assert capsys.readouterr().err.splitlines() == [*SAID_OF_NUMBERS, said]


@pytest.fixture(scope="module")
def grouped(orders, tmp_path_factory):
    """The same orders, with categories; one of them was never ordered."""
    place = tmp_path_factory.mktemp("cli_categories")
    write_folder(orders, place)
    products = pd.read_parquet(place / "products.parquet")
    products["category"] = ["Dairy" if i % 2 else "Bakery" for i in products["product_id"]]
    products.loc[len(products)] = [999, "Never", "Seasonal"]
    products.to_parquet(place / "products.parquet", index=False)
    import_folder(place, place / "orders.duckdb")
    return place / "orders.duckdb"


def test_categories(grouped, capsys, tmp_path):
    def asked(*arguments):
        common = ["--db", str(grouped), "--as-of", str(AS_OF)]
        code = run(["forecast", *map(str, arguments), *common])
        return code, *capsys.readouterr()

    code, shown, _ = asked("--all")
    assert code == 0
    assert "Categories of products" in shown
    code, out, _ = asked("--category", "dairy", "--json")
    assert code == 0
    expected = said_by(grouped, lambda e: e.forecast_portfolio(category="Dairy", as_of_date=AS_OF))
    assert untimed(json.loads(out)) == expected
    code, out, _ = asked("--category", "dairy", "--category", "BAKERY", "--json")
    both = json.loads(out)
    assert [row["category"] for row in both["categories"]] == ["Bakery", "Dairy"]
    assert both["summary"]["product_count"] == 12
    file = tmp_path / "categories.csv"
    assert asked("--all", "--out", file, "--table", "categories")[0] == 0
    assert pd.read_csv(file)["category"].tolist() == ["Bakery", "Dairy"]
    code, out, err = asked("--category", "seasonal")
    assert (code, out) == (3, "")
    assert err == f"There is nothing to forecast for category seasonal: no order before {AS_OF}.\n"
    code, _, err = asked("--category", "Dary")
    assert code == 2
    assert "there is no category 'Dary'; the nearest names are 'Dairy', " in err
