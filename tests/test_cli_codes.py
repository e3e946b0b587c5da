"""The command line where ids are text: codes go in, and codes come out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF
from tests.processes import run
from toolkit.cli.display import forecast_json
from toolkit.data.ids import number_of
from toolkit.engine import ForecastEngine
from toolkit.results.forecast import ProductForecast
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.database import open_database

DATED = ("--db", "orders.duckdb", "--as-of", AS_OF)


def sku(ids: pd.Series) -> pd.Series:
    return "SKU-" + ids.astype(str).str.zfill(4)


@pytest.fixture(scope="module")
def place(orders, tmp_path_factory) -> Path:
    """Generated orders with codes for ids (customers' look like markup), imported."""
    place = tmp_path_factory.mktemp("codes")
    folder = place / "orders"
    folder.mkdir()
    for table, frame in {
        "order_lines": orders.order_lines, "products": orders.products,
        "customers": orders.customers,
    }.items():  # fmt: skip
        coded = frame.copy()
        if "product_id" in frame:
            coded["product_id"] = sku(frame["product_id"])
        if "customer_id" in frame:
            coded["customer_id"] = "[C]" + frame["customer_id"].astype(str)
        coded.to_parquet(folder / f"{table}.parquet", index=False)
    done = run("import", "orders", "--db", "orders.duckdb", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["products"] == 12
    return place


@pytest.fixture(scope="module")
def codes(place) -> Codes:
    with open_database(place / "orders.duckdb") as conn:
        return Codes.of(conn)


def forecast_of(place) -> ProductForecast:
    with open_database(place / "orders.duckdb") as conn:
        return ForecastEngine(conn).generate_forecast(number_of("SKU-0001"), AS_OF)


def coded(place, product) -> dict:
    done = run("forecast", product, *DATED, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    forecast = json.loads(done.stdout)
    del forecast["model_metadata"]["generated_at"]
    return forecast


def test_a_forecast_shows_codes(place):
    done = run("forecast", "SKU-0001", *DATED, cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Article 1 (product SKU-0001): ")
    forecast = forecast_of(place)
    assert forecast.top_customers_by_volume
    assert forecast.at_risk_customers
    assert str(forecast.product_id) not in done.stdout
    with open_database(place / "orders.duckdb") as conn:
        codes = Codes.of(conn)
    for customer in forecast.top_customers_by_volume + forecast.at_risk_customers:
        assert codes.code("customer", customer["customer_id"]) in done.stdout


def test_as_json_codes_stand_beside_the_numbers(place, codes):
    found = coded(place, "SKU-0001")
    assert found == coded(place, number_of("SKU-0001")) == coded(place, " SKU-0001 ")
    assert (found["product_id"], found["product_code"]) == (number_of("SKU-0001"), "SKU-0001")
    plain = forecast_of(place)
    listed = [
        customer
        for rows in (
            found["top_customers_by_volume"], found["at_risk_customers"],
            *(week["expected_customers"] for week in found["weekly_forecasts"]),
        )
        for customer in rows
    ]  # fmt: skip
    assert len(listed) > 20
    for customer in listed:
        assert customer["customer_id"] == number_of(customer.pop("customer_code"))
    del found["product_code"]
    expected = plain.to_dict()
    del expected["model_metadata"]["generated_at"]
    assert found == expected
    assert ProductForecast.from_dict(forecast_json(plain, codes)).product_id == plain.product_id


def test_json_numbers_hold_a_codes_number(place):
    """Where every number is a double, too."""
    doubles = json.loads(json.dumps(coded(place, "SKU-0001")), parse_int=float)
    assert int(doubles["product_id"]) == number_of("SKU-0001")


BAD = [
    ("SKU-01", "there is no product 'SKU-01'; the nearest codes are SKU-0001, SKU-0010"),
    ("sku-0002", "there is no product 'sku-0002'; the nearest codes are SKU-0002, "),
    ("4711", "there is no product '4711'; the nearest codes are "),
]


@pytest.mark.parametrize(("product", "message"), BAD)
def test_an_unknown_code_is_told_with_the_nearest(place, product, message):
    done = run("forecast", product, *DATED, cwd=place)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.fixture(scope="module")
def tables(place) -> list[pd.DataFrame]:
    done = run("predict", "pair_conjugate", *DATED, "--out", "out", cwd=place)
    assert done.returncode == 0, done.stderr
    return [
        pd.read_parquet(place / "out" / f"{name}.parquet") for name in ("product_weeks", "pairs")
    ]


def test_tables_hold_codes_beside_ids(tables, orders):
    weeks, pairs = tables
    assert list(weeks.columns[:3]) == ["product_id", "product_code", "week_number"]
    assert list(pairs.columns[:5]) == [
        "customer_id", "customer_code", "product_id", "product_code", "order_count"
    ]  # fmt: skip
    for frame in tables:
        assert (frame["product_id"] == frame["product_code"].map(number_of)).all()
    assert (pairs["customer_id"] == pairs["customer_code"].map(number_of)).all()
    lines = orders.order_lines[orders.order_lines["ordered_at"] < pd.Timestamp(AS_OF)]
    known = set(
        zip("[C]" + lines["customer_id"].astype(str), sku(lines["product_id"]), strict=True)
    )
    assert set(zip(pairs["customer_code"], pairs["product_code"], strict=True)) == known


def test_counts_are_those_of_whole_numbers(tables, orders):
    """A code changes what a product is called, not what was ordered."""
    _, pairs = tables
    lines = orders.order_lines[orders.order_lines["ordered_at"] < pd.Timestamp(AS_OF)]
    days = lines.assign(day=lines["ordered_at"].dt.date)
    expected = days.groupby(["customer_id", "product_id"])["day"].nunique()
    found = pairs.set_index(["customer_code", "product_code"])["order_count"]
    for (customer, product), count in expected.items():
        assert found[f"[C]{customer}", f"SKU-{product:04d}"] == count
    assert np.isfinite(pairs["expected_orders"]).all()
