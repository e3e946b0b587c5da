"""Orders in DataFrames: the same engine, rules and errors as a folder's."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON
from tests.sources.helpers import write_folder
from toolkit.data.ids import number_of
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, DataError
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.frames import frame_database
from toolkit.sources.folder.importer import import_folder

LINES = pd.DataFrame(
    {
        "order_id": [1, 1, 2, 3],
        "customer_id": [101, 101, 102, 101],
        "product_id": [1, 2, 1, 1],
        "ordered_at": pd.to_datetime(["2024-01-02", "2024-01-02", "2024-01-05", "2024-02-01"]),
        "quantity": [2.0, 1.5, 4.0, 1.0],
        "unit_price": [5.0, 3.0, 5.5, 6.0],
    }
)


def told(order_lines, **tables):
    with pytest.raises(DataError) as caught:
        frame_database(order_lines, **tables)
    return caught.value.findings


@pytest.fixture(scope="module")
def imported(orders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write_folder(orders, folder)
    import_folder(folder, folder / "orders.duckdb")
    with open_database(folder / "orders.duckdb") as conn:
        yield ForecastEngine(conn, clock=lambda: NOON)


def test_an_engine_from_frames_forecasts_as_from_a_folder(orders, imported):
    engine = ForecastEngine.from_frame(
        orders.order_lines, products=orders.products, customers=orders.customers,
        clock=lambda: NOON,
    )  # fmt: skip
    ids = orders.products.product_id.tolist()
    assert engine.generate_forecasts(ids, AS_OF) == imported.generate_forecasts(ids, AS_OF)
    assert engine.forecast_portfolio(None, AS_OF) == imported.forecast_portfolio(None, AS_OF)
    assert check_database(engine.conn).ok


def test_the_order_and_index_of_rows_change_nothing(orders, imported):
    shuffled = orders.order_lines.sample(frac=1.0, random_state=1).set_index("order_id", drop=False)
    tables = {"products": orders.products, "customers": orders.customers}
    engine = ForecastEngine.from_frame(shuffled, **tables, clock=lambda: NOON)
    assert engine.generate_forecast(1, AS_OF) == imported.generate_forecast(1, AS_OF)


def test_lines_alone_do(orders, imported):
    alone = orders.order_lines.drop(columns="order_id")
    engine = ForecastEngine.from_frame(alone, 4, draws=50, seed=3)
    forecast = engine.generate_forecast(1, AS_OF)
    assert forecast.summary["product_name"] == "Product 1"
    assert forecast.forecast_period_weeks == 4
    other = ForecastEngine(imported.conn, 4, draws=50, seed=3).generate_forecast(1, AS_OF)
    assert forecast.summary["quantity_quantiles"] == other.summary["quantity_quantiles"]


def test_text_ids_are_codes():
    lines = LINES.assign(product_id=["A", "B", "A", "A"], customer_id=pd.Categorical(list("xxyx")))
    engine = ForecastEngine.from_frame(lines)
    codes = Codes.of(engine.conn)
    assert codes.number("product", "A") == number_of("A")
    forecast = engine.generate_forecast(number_of("A"), "2024-02-02", 1, 0.0)
    assert forecast.summary["product_name"] == "Product A"
    assert {c["customer_name"] for c in forecast.top_customers_by_volume} == {
        "Customer x", "Customer y",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["object", "string", "Int64", "int32", "arrow"])
def test_ids_in_whatever_type_of_column(kind):
    kind = {"arrow": "int64[pyarrow]"}.get(kind, kind)
    with frame_database(LINES.astype({"product_id": kind})) as conn:
        assert conn.execute("SELECT ID FROM dbo.Product ORDER BY 1").fetchall() == [(1,), (2,)]


def test_every_broken_rule_is_told_at_once():
    lines = LINES.astype(object)
    lines.loc[1, "quantity"] = "many"
    lines.loc[2, "unit_price"] = -1.0
    lines.loc[3, "customer_id"] = None
    lines.loc[0, "ordered_at"] = "31/01/2024"
    rules = {str(finding) for finding in told(lines)}
    for part in (
        "quantity is not a number (1 row; e.g. row 1: many)",
        "unit_price is not above 0 (1 row; e.g. row 2: -1.0)",
        "customer_id is null (1 row; e.g. row 3)",
        "ordered_at has the year last",
    ):
        assert any(part in rule for rule in rules), (part, rules)
    assert all(finding.table == "order_lines" for finding in told(lines))


def test_findings_are_those_of_a_folder(tmp_path):
    lines = LINES.assign(quantity=[2.0, 0.0, np.nan, 1.0], product_id=[1, 2, 9, 1])
    tables = {
        "products": pd.DataFrame({"product_id": [1, 2, 2], "name": ["a", "b", "c"]}),
        "customers": pd.DataFrame({"customer_id": [101, 102], "name": ["Ann", "Bob"]}),
    }
    for name, frame in {"order_lines": lines, **tables}.items():
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    with pytest.raises(DataError) as of_folder:
        import_folder(tmp_path, tmp_path / "orders.duckdb")
    found = told(lines, **tables)
    assert [(f.table, f.rule, f.rows) for f in found] == [
        (f.table, f.rule, f.rows) for f in of_folder.value.findings
    ]


def test_a_missing_column_is_told_with_the_one_it_may_be():
    rules = [str(finding) for finding in told(LINES.rename(columns={"ordered_at": "date"}))]
    assert len(rules) == 1
    assert "column ordered_at is missing; the columns are order_id" in rules[0]
    rules = [str(finding) for finding in told(LINES.drop(columns=["customer_id", "quantity"]))]
    assert len(rules) == 2


def test_no_mistake_names_a_column_that_was_not_given():
    lines = LINES.drop(columns=["order_id", "quantity"])
    (rule,) = [finding.rule for finding in told(lines)]
    columns = "customer_id, product_id, ordered_at, unit_price"
    assert rule.startswith(f"column quantity is missing; the columns are {columns}: rename")
    rules = [finding.rule for finding in told(pd.DataFrame())]
    assert "column quantity is missing; there are no columns" in rules
    assert not any("order_id" in rule for rule in rules)


def test_no_rows():
    assert any("there are no rows" in str(finding) for finding in told(LINES.iloc[:0]))


def test_what_is_no_frame():
    with pytest.raises(ArgumentError, match="order_lines has to be a pandas DataFrame, got a list"):
        frame_database([1, 2])
    with pytest.raises(ArgumentError, match="products has to be a pandas DataFrame, got a dict"):
        frame_database(LINES, products={})
