"""Pages that an engine adds to: against the engine asked directly, over the same file."""

import shutil
from datetime import timedelta
from urllib.parse import quote

import duckdb
import pytest

from tests.cache.conftest import until
from tests.conftest import AS_OF
from tests.service.conftest import running
from tests.service.explorer.conftest import HOSTILE, page
from toolkit.data.scenario import Change, Scenario
from toolkit.engine import ForecastEngine
from toolkit.fits import load_fit
from toolkit.service.explorer.desk import HISTORY_WEEKS
from toolkit.sources.generator import FIRST_CUSTOMER_ID

pytestmark = pytest.mark.slow  # a fit, an export, and a service with an engine

UNITS = """
SELECT CAST(floor(date_diff('day', DATE '2022-06-06', CAST(Created AS DATE)) / 7) AS INTEGER),
       sum(Qty)
FROM dbo.OrderItem WHERE ProductID = ? GROUP BY 1"""
"""By week, from the as-of date's on."""


@pytest.fixture
def http(explorer):
    with explorer.client() as client:
        client.timeout = 120
        yield client


@pytest.fixture
def asked(place):
    """An engine as the release was made, for the question itself."""
    with duckdb.connect(str(place / "orders.duckdb"), read_only=True) as conn:
        yield ForecastEngine(conn, model=load_fit("rhythm", place / "fits"))


def test_history_is_what_was_ordered_by_week(http, place):
    with duckdb.connect(str(place / "orders.duckdb"), read_only=True) as conn:
        ordered = dict(conn.execute(UNITS, [2]).fetchall())
    drawn = page(http, "/products/2").traces
    before, since = drawn["ordered before"], drawn["ordered since"]
    assert before["x"][-1] == str(AS_OF - timedelta(7))
    assert before["y"] == [ordered.get(week, 0) for week in range(-HISTORY_WEEKS, 0)]
    assert since["x"][0] == str(AS_OF)
    known = [week for week in since["y"] if week is not None]
    assert known == [ordered.get(week, 0) for week in range(len(known))]
    assert len(known) > 8


def test_a_customer_has_a_page(http, asked):
    expected = asked.forecast_customer(FIRST_CUSTOMER_ID, AS_OF)
    found = page(http, f"/customers/{FIRST_CUSTOMER_ID}")
    assert found.text["h1"] == expected.summary["customer_name"]
    assert HOSTILE in found.text["h1"]
    links = {one["href"] for one in found.all("a")}
    for product in expected.products:
        assert f"/products/{product['product_id']}" in links
        assert f"/products/{product['product_id']}/why?customer={FIRST_CUSTOMER_ID}" in links
    days = {one["datetime"] for one in found.all("time")}
    end = str(AS_OF + timedelta(84))
    next_orders = {p["next_order_date"] for p in expected.products if p["next_order_date"]}
    assert {day for day in next_orders if day < end} <= days
    (last, *_) = [week["week_start_date"] for week in expected.weekly_forecasts[::-1]]
    assert "By week, all products" in found.words
    assert last in found.words
    assert "knows no customer '1'" in page(http, "/customers/1", 404).words


def test_why_says_what_the_engine_says(http, asked):
    expected = asked.explain(2, as_of_date=AS_OF)
    found = page(http, "/products/2/why")
    bars = found.data[0]["data"][0]
    assert dict(zip(bars["y"], bars["x"], strict=True)) == pytest.approx(
        {part["part"]: part["amount"] for part in expected.parts}
    )
    for said in expected.to_card().sentences:
        assert said in found.words
    assert "The release is by" not in found.words
    row = asked.generate_forecast(2, AS_OF).top_customers_by_volume[0]
    why = page(http, "/products/2/why", params={"customer": row["customer_id"]})
    assert row["customer_name"] in why.text["h1"]
    assert "Nothing to explain" in page(http, "/products/2/why?customer=1", 404).words


def test_a_scenario_stands_beside_the_baseline(http, asked):
    forecast = asked.generate_forecast(2, AS_OF)
    lost = forecast.top_customers_by_volume[0]["customer_id"]
    price = forecast.summary["unit_price"] * 1.1
    changes = (
        Change("demand", products=(2,), percent=20.0),
        Change("price", products=(2,), price=price, elasticity=-2.0),
        Change("customer_lost", customers=(lost,)),
    )
    (expected,) = asked.compare_scenarios([Scenario("scenario", changes)], [2], AS_OF).scenarios
    query = {"demand": 20, "price": 10, "elasticity": -2, "lost": lost}
    found = page(http, "/products/2/what-if", params=query)
    drawn = found.traces
    weeks = expected["weekly"]
    assert drawn["scenario"]["y"] == pytest.approx([week["expected_quantity"] for week in weeks])
    assert drawn["baseline"]["y"] == pytest.approx([week["baseline_quantity"] for week in weeks])
    assert f"{expected['total']['difference_quantity']:+,.0f}" in found.text["td"]
    assert "differences are of the same draws" in found.words
    at = {one["name"]: one["value"] for one in found.all("input") if one["type"] == "range"}
    assert at == {"demand": "20", "price": "10", "elasticity": "-2"}
    chosen = [one for one in found.all("option") if "selected" in one]
    assert [one["value"] for one in chosen] == [str(lost)]


def test_a_wrong_scenario_is_one_sentence(http):
    found = page(http, "/products/2/what-if?demand=500", 422)
    assert "Demand has to be a number from -100 to 200, got '500'." in found.words
    assert "Pull a slider" in page(http, "/products/2/what-if").words


def test_names_are_found_and_followed(http, explorer, place):
    found = page(http, "/search?q=article")
    assert "/products/2" in [one["href"] for one in found.all("a")]
    customer = page(http, "/search", params={"q": f"customer {FIRST_CUSTOMER_ID}"})
    assert f"/customers/{FIRST_CUSTOMER_ID}" in [one["href"] for one in customer.all("a")]
    alike = page(http, "/search?q=artikle+2")
    assert "called alike" in alike.words
    whole = page(http, "/search", params={"q": HOSTILE})
    assert "/products/1" in [one["href"] for one in whole.all("a")]

    new = place / "new.duckdb"
    shutil.copy(place / "orders.duckdb", new)
    with duckdb.connect(str(new)) as conn:
        conn.execute("UPDATE dbo.Product SET Name = 'Renamed' WHERE ID = 3")
    new.replace(place / "orders.duckdb")
    renamed = page(http, "/search?q=renamed")
    assert "/products/3" in [one["href"] for one in renamed.all("a")]


def test_versions_and_promotions_are_told(http, cache):
    found = page(http, "/versions")
    assert any(text.startswith("rhythm@") for text in found.text["td"].split())
    assert "No backtest is logged." in found.words
    told = page(http, "/releases")
    assert f"release {cache.client().get('forecast:current') and '1-2022-06-06'}" in told.words


def test_the_release_is_answered_while_the_engine_works(http, explorer):
    """As programs ask, at the same time."""
    for customer in range(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 5):
        http.get(f"/customers/{customer}")
        assert http.get("/v1/forecasts/2").status_code == 200
    assert not [line for line in explorer.log if "Traceback" in line]


def test_a_code_with_odd_letters_is_no_customer(http):
    said = page(http, f"/customers/{quote('Ä/1', safe='')}", 404).words
    assert "knows no customer 'Ä/1'" in said


def test_the_model_without_a_fit_explains_nothing(cache, place):
    db = place / "orders.duckdb"
    with running(cache.url, "--db", db, "--version", "pair_conjugate") as found:
        assert until(found.ready)
        with found.client() as http:
            http.timeout = 120
            said = page(http, "/products/2/why").words
            assert "Pair_conjugate does not say what its forecasts are made of" in said
            other = page(http, f"/customers/{FIRST_CUSTOMER_ID}").words
            assert "The release is by rhythm@" in other
            assert "this is by pair_conjugate@" in other
