"""What-if: identities with the forecast as it is, and everything wrong told at once."""

import json
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.sources.helpers import PyformatConnection
from toolkit.data.scenario import Change, Scenario, read_scenarios
from toolkit.data.tables import quantiles_of
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.results.scenario import SCENARIO_PRODUCTS, SCENARIO_TOTALS, SCENARIO_WEEKS
from toolkit.sources.generator import FIRST_CUSTOMER_ID

MEASURES = ("orders", "quantity", "revenue")
CUSTOMER = FIRST_CUSTOMER_ID + 3
WHO = tuple(FIRST_CUSTOMER_ID + i for i in range(20))
MID_WEEK = AS_OF + timedelta(10)
NEW_PRODUCT = 800


@pytest.fixture(
    params=["pair_conjugate", "rhythm", pytest.param("ensemble", marks=pytest.mark.slow)]
)
def engine(request, database) -> ForecastEngine:
    model = (
        find_model(request.param)
        if request.param == "pair_conjugate"
        else request.getfixturevalue(request.param)
    )
    return ForecastEngine(database, model=model, draws=60, clock=lambda: NOON)


@pytest.fixture
def quick(database) -> ForecastEngine:
    return ForecastEngine(database, draws=40, clock=lambda: NOON)


def under(engine, *changes, products=None):
    """What one scenario of these changes says."""
    result = engine.compare_scenarios([Scenario("one", changes)], products, AS_OF)
    return result.scenarios[0]


def rows_of(scenario):
    return [scenario["total"], *scenario["weekly"], *scenario["products"]]


def unchanged(row):
    """Whether every number of a row is that of the baseline, bit for bit."""
    zero = all(
        row[f"difference_{m}"] == 0.0 and set(row[f"difference_{m}_quantiles"].values()) == {0.0}
        for m in MEASURES
    )
    same = all(row[f"expected_{m}"] == row[f"baseline_{m}"] for m in MEASURES)
    return zero and same and row["quantity_quantiles"] == row["baseline_quantity_quantiles"]


NEUTRAL = {
    "nothing": (),
    "0 %": (Change("demand", percent=0.0),),
    "0 % of a customer": (Change("demand", percent=0.0, customers=(CUSTOMER,)),),
    "0 % of a product from a day on": (
        Change("demand", percent=0.0, products=(2,), start_date=MID_WEEK),
    ),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_scenario_changes_no_byte(engine, name):
    scenario = under(engine, *NEUTRAL[name])
    assert all(map(unchanged, rows_of(scenario)))
    assert scenario["products"]


def test_the_price_of_before_changes_no_byte(quick):
    price = quick.source.products(AS_OF, [2])[2].unit_price
    scenario = under(quick, Change("price", products=(2,), price=price, elasticity=-1.5))
    assert all(map(unchanged, rows_of(scenario)))


def test_the_baseline_is_the_forecast_as_it_is(engine):
    """Of every product, week and in total; so are the draws that the quantiles are taken from."""
    result = engine.compare_scenarios([Scenario("as it is")], None, AS_OF)
    (scenario,) = result.scenarios
    together = engine.forecast_portfolio(None, AS_OF)
    for said, expected in [
        (scenario["total"], together.summary),
        *zip(scenario["weekly"], together.weekly_forecasts, strict=True),
        *zip(
            scenario["products"],
            sorted(together.products, key=lambda p: p["product_id"]),
            strict=True,
        ),
    ]:
        assert said["baseline_quantity"] == expected["expected_quantity"]
        assert said["baseline_quantity_quantiles"] == expected["quantity_quantiles"]
        assert said["quantity_quantiles"] == expected["quantity_quantiles"]
        assert said["baseline_orders"] == pytest.approx(expected["expected_orders"], rel=1e-12)
        assert said["baseline_revenue"] == pytest.approx(expected["expected_revenue"], rel=1e-12)
        if "revenue_quantiles" in expected:
            assert said["revenue_quantiles"] == expected["revenue_quantiles"]
    assert result.model_metadata["draws"] == 60


@pytest.mark.parametrize(
    "which",
    [
        {},
        {"products": (1, 4)},
        {"customers": (CUSTOMER,)},
        {"products": (2, 3, 4, 5), "customers": WHO, "start_date": MID_WEEK},
        {"start_date": MID_WEEK, "end_date": MID_WEEK + timedelta(3)},
    ],
)
def test_twenty_per_cent_more_then_a_sixth_less_is_the_baseline(engine, which):
    more = Change("demand", percent=20.0, **which)
    raised = under(engine, more)
    assert raised["total"]["difference_quantity"] > 0
    assert raised["total"]["difference_quantity_quantiles"]["q05"] > 0
    back = under(engine, more, replace(more, percent=-100.0 / 6.0))
    for row in rows_of(back):
        for measure in MEASURES:
            limit = 1e-9 * row[f"baseline_{measure}"]
            assert row[f"difference_{measure}"] == pytest.approx(0.0, abs=limit)
            spread = list(row[f"difference_{measure}_quantiles"].values())
            assert np.abs(spread).max() <= 1e-9 * row[f"{measure}_quantiles"]["q95"]


def test_demand_from_a_day_on_counts_the_days_of_its_week(quick):
    scenario = under(quick, Change("demand", percent=70.0, start_date=MID_WEEK))
    for number, week in enumerate(scenario["weekly"]):
        share = 0.7 * np.clip(7 * (number + 1) - 10, 0, 7) / 7
        for measure in MEASURES:
            ratio = week[f"difference_{measure}"] / week[f"baseline_{measure}"]
            assert ratio == pytest.approx(share, rel=1e-9, abs=1e-12)


def test_a_price_with_its_elasticity(quick):
    old = quick.source.products(AS_OF, [2])[2].unit_price
    scenario = under(quick, Change("price", products=(2,), price=2 * old, elasticity=-1.5))
    for product in scenario["products"]:
        if product["product_id"] != 2:
            assert unchanged(product)
            continue
        factor = 2**-1.5
        assert product["expected_quantity"] == pytest.approx(factor * product["baseline_quantity"])
        assert product["expected_orders"] == pytest.approx(factor * product["baseline_orders"])
        after = product["baseline_revenue"] * 2 * factor
        assert product["expected_revenue"] == pytest.approx(after)


def test_differences_over_all_products_are_sums_of_differences(engine):
    """Of expectations; and draw by draw: a product alone says its own draws."""
    changes = (
        Change("demand", percent=35.0, products=(1, 3)),
        Change("customer_lost", customers=(CUSTOMER,), start_date=MID_WEEK),
        Change("product_replaced", products=(5,), replaced_by=6, percent=70.0),
        Change("price", products=(8,), price=4.0, elasticity=-0.5),
    )
    scenario = under(engine, *changes)
    for measure in MEASURES:
        of_products = sum(p[f"difference_{measure}"] for p in scenario["products"])
        of_weeks = sum(w[f"difference_{measure}"] for w in scenario["weekly"])
        assert of_products == pytest.approx(scenario["total"][f"difference_{measure}"], rel=1e-9)
        assert of_weeks == pytest.approx(scenario["total"][f"difference_{measure}"], rel=1e-9)
    for product in scenario["products"][:6]:
        (alone,) = under(engine, *changes, products=[product["product_id"]])["products"]
        assert alone == product


def test_totals_are_sums_of_draws(quick):
    """Those of the engine's own draws, changed by hand."""
    scenario = under(quick, Change("demand", percent=50.0, products=(1,)))
    draws = quick.draws(None, AS_OF).quantity
    added = 0.5 * draws.sel(product=1).sum("week").to_numpy()
    spread = scenario["total"]["difference_quantity_quantiles"]
    expected = np.quantile(added, [0.05, 0.5, 0.95], method="weibull")
    assert [spread[q] for q in ("q05", "q50", "q95")] == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_lost_customer_takes_what_is_expected_of_them(engine):
    """Exactly, of every product; all customers of a product take its known demand."""
    scenario = under(engine, Change("customer_lost", customers=(CUSTOMER,)))
    view = {row["product_id"]: row for row in engine.forecast_customer(CUSTOMER, AS_OF).products}
    assert len(view) > 1
    for product in scenario["products"]:
        theirs = view.get(product["product_id"])
        lost = 0.0 if theirs is None else theirs["expected_quantity"]
        assert product["difference_quantity"] == pytest.approx(-lost, rel=1e-9, abs=1e-9)
        lost = 0.0 if theirs is None else theirs["expected_orders"]
        assert product["difference_orders"] == pytest.approx(-lost, rel=1e-9, abs=1e-9)
        assert product["quantity_quantiles"]["q05"] >= 0.0
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF, [2]))
    everybody = tuple(patterns.customer_id.tolist())
    (product,) = under(engine, Change("customer_lost", customers=everybody), products=[2])[
        "products"
    ]
    known = sum(
        week["demand"]["known_expected_quantity"]
        for week in engine.generate_forecast(2, AS_OF).weekly_forecasts
    )
    assert -product["difference_quantity"] == pytest.approx(known, rel=1e-9)


def test_a_lost_customer_takes_their_own_part_of_each_draw(engine):
    """By hand: the product's draws less those of the customer, week by week and in sum."""
    scenario = under(engine, Change("customer_lost", customers=(CUSTOMER, CUSTOMER + 1)))
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF))
    rows = np.flatnonzero(np.isin(patterns.customer_id, (CUSTOMER, CUSTOMER + 1)))
    apart = engine.predictor.predict_apart(patterns, rows)
    draws = engine.draws(None, AS_OF)
    for name, drawn in (("orders", apart.orders), ("quantity", apart.quantity)):
        for product in scenario["products"]:
            theirs = patterns.product_id[rows] == product["product_id"]
            lost = drawn[theirs].astype(float).sum(axis=(0, 1)) if theirs.any() else np.zeros(60)
            whole = draws[name].sel(product=product["product_id"]).sum("week").to_numpy()
            for said, expected in (
                (product[f"difference_{name}_quantiles"], -lost),
                (product[f"{name}_quantiles"], whole - lost),
            ):
                expected = quantiles_of(expected, axis=0).tolist()  # noqa: PLW2901
                assert [*said.values()] == pytest.approx(expected, rel=1e-5, abs=1e-4)
        total = -drawn.astype(float).sum(axis=(0, 1))
        spread = [*scenario["total"][f"difference_{name}_quantiles"].values()]
        assert spread == pytest.approx(quantiles_of(total, axis=0).tolist(), rel=1e-5, abs=1e-3)


def test_of_very_many_customers_parts_are_what_is_expected_of_them(quick, monkeypatch):
    """As with a model that does not tell them apart."""
    change = Change("demand", percent=-50.0, customers=WHO)
    own = under(quick, change)
    monkeypatch.setattr("toolkit.views.bases.MOST_APART", 19)
    shares = under(quick, change)
    assert own["total"]["expected_quantity"] == shares["total"]["expected_quantity"]
    for scenario in (own, shares):
        spread = scenario["total"]["difference_quantity_quantiles"]
        assert spread["q95"] > spread["q05"]
    assert own["total"] != shares["total"]


def test_two_customers_lost_are_both_of_them(quick):
    one, other = FIRST_CUSTOMER_ID + 3, FIRST_CUSTOMER_ID + 7
    lost = [
        under(quick, Change("customer_lost", customers=who))["total"]["difference_quantity"]
        for who in ((one,), (other,), (one, other))
    ]
    assert lost[0] + lost[1] == pytest.approx(lost[2], rel=1e-9)


def test_a_product_delisted_is_none_from_the_day_on(quick):
    scenario = under(
        quick, Change("product_delisted", products=(2,), start_date=AS_OF + timedelta(14)),
        products=[2],
    )  # fmt: skip
    for week in scenario["weekly"]:
        kept = week["week_number"] <= 2
        assert week["expected_quantity"] == (week["baseline_quantity"] if kept else 0.0)
        assert week["quantity_quantiles"]["q95"] == (
            week["baseline_quantity_quantiles"]["q95"] if kept else 0.0
        )


@pytest.mark.parametrize("target", [3, NEW_PRODUCT])
def test_a_share_of_a_replaced_product_goes_over(engine, target):
    """To one that was ordered before, or to a new one; at that one's price."""
    engine.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'Successor')")
    change = Change("product_replaced", products=(2,), replaced_by=target, percent=60.0)
    products = {p["product_id"]: p for p in under(engine, change)["products"]}
    gone, got = products[2], products[target]
    assert gone["expected_quantity"] == 0.0
    moved = 0.6 * gone["baseline_quantity"]
    assert got["difference_quantity"] == pytest.approx(moved, rel=1e-9)
    spread = {q: 0.6 * of for q, of in gone["baseline_quantity_quantiles"].items()}
    assert got["difference_quantity_quantiles"] == pytest.approx(spread, rel=1e-6)
    if target == NEW_PRODUCT:
        assert (got["product_name"], got["expected_revenue"]) == ("Successor", None)
        assert got["baseline_quantity"] == 0.0
    else:
        price = engine.source.products(AS_OF, [3])[3].unit_price
        assert got["difference_revenue"] == pytest.approx(moved * price, rel=1e-9)


def test_changes_compose_in_the_order_given(quick):
    """What is raised before it goes over is raised; what is raised after it is gone is not."""
    moved = Change("product_replaced", products=(2,), replaced_by=3, start_date=MID_WEEK)
    early = Change("demand", percent=100.0, products=(3,))
    before, after = (under(quick, *o, products=[3]) for o in ((early, moved), (moved, early)))
    plain = under(quick, moved, products=[3])
    own, alone = plain["total"]["baseline_quantity"], plain["total"]["difference_quantity"]
    assert before["total"]["difference_quantity"] == pytest.approx(own + alone)
    assert after["total"]["difference_quantity"] == pytest.approx(own + 2 * alone)


def test_the_cut_into_chunks_changes_no_byte(quick, monkeypatch):
    changes = (Change("demand", percent=20.0, customers=(CUSTOMER,)),)
    whole = quick.compare_scenarios([Scenario("one", changes)], None, AS_OF)
    monkeypatch.setattr("toolkit.stages.prediction.NUMBERS_PER_CHUNK", 1)
    assert quick.compare_scenarios([Scenario("one", changes)], None, AS_OF) == whole


def test_tables_have_the_columns_that_they_say(quick):
    scenarios = [Scenario("a"), Scenario("b", (Change("demand", percent=5.0),))]
    result = quick.compare_scenarios(scenarios, None, AS_OF)
    for name, schema, rows in (
        ("products", SCENARIO_PRODUCTS, 2 * len(result.scenarios[0]["products"])),
        ("weeks", SCENARIO_WEEKS, 24),
        ("totals", SCENARIO_TOTALS, 2),
    ):
        frame = result.to_frame(name)
        assert list(frame.columns) == list(schema)
        assert len(frame) == rows
        assert not frame.isna().any().any()
    pd.testing.assert_frame_equal(result.to_frame(), result.to_frame("products"))
    json.dumps(result.to_dict())
    with pytest.raises(ArgumentError, match="table has to be one of"):
        result.to_frame("others")
    text = result.to_card().text()
    for part in ("2 scenarios", "the forecast", "b: demand +5 %.", "products that change most"):
        assert part in text
    assert "too narrow" not in text
    lost = Scenario("c", (Change("customer_lost", customers=(CUSTOMER,)),))
    assert "too narrow" in quick.compare_scenarios([lost], [1], AS_OF).to_card().text()
    assert "'b' +" in repr(result)


def test_nothing_to_compare_is_none_and_what_was_never_ordered_is_said(quick):
    quick.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'Successor')")
    assert quick.compare_scenarios([Scenario("one")], [NEW_PRODUCT], AS_OF) is None
    result = quick.compare_scenarios([Scenario("one")], [1, NEW_PRODUCT], AS_OF)
    assert result.never_ordered == [NEW_PRODUCT]
    assert "1 product never ordered before" in result.to_card().text()


def test_pairs_that_fail_are_left_out_and_counted(database):
    """Once, though the product is predicted for what it gives and for what it keeps."""
    for customer_id, product_id in ((CUSTOMER, 2), (CUSTOMER + 1, 3)):
        add_line(
            database, product_id=product_id, customer_id=customer_id, day=-1, quantity=float("nan")
        )
    engine = ForecastEngine(database, draws=20, clock=lambda: NOON)
    change = Change("product_replaced", products=(2,), replaced_by=3)
    result = engine.compare_scenarios([Scenario("one", (change,))], None, AS_OF)
    assert result.model_metadata["failed_pairs"] == 2
    assert "2 pairs failed, left out." in result.to_card().text()


def test_scenarios_are_data(tmp_path):
    scenario = Scenario(
        "all kinds",
        (
            Change("demand", percent=-10.0, products=(1, "Article 2"), end_date=AS_OF),
            Change("price", products=(3,), price=2.5, elasticity=-1.0, start_date=AS_OF),
            Change("customer_lost", customers=("Ann",)),
            Change("product_delisted", products=(4,)),
            Change("product_replaced", products=(5,), replaced_by=6, percent=80.0),
        ),
    )
    assert Scenario.from_dict(json.loads(json.dumps(scenario.to_dict()))) == scenario
    (tmp_path / "s.json").write_text(json.dumps({"scenarios": [scenario.to_dict()]}))
    (tmp_path / "s.toml").write_text(
        '[[scenarios]]\nname = "more"\n[[scenarios.changes]]\nkind = "demand"\npercent = 20\n'
        "start_date = 2022-06-10\n"
    )
    assert read_scenarios(tmp_path / "s.json") == [scenario]
    change = Change("demand", percent=20.0, start_date=date(2022, 6, 10))
    assert read_scenarios(tmp_path / "s.toml") == [Scenario("more", (change,))]


WRONG = """
[[scenarios]]
name = "a"
changes = [
  { kind = "demand", percent = -101 },
  { kind = "price", products = [1], price = 4, elasticity = -1, start_date = 2022-06-05 },
  { kind = "price", products = ["1", "Artikel 2"], price = 5, elasticity = -1 },
  { kind = "product_delisted", products = [1], start_date = 2023-06-05 },
  { kind = "demand", percent = 10, products = [9], customers = [4711] },
  { kind = "product_delisted", products = [9] },
  { kind = "customer_lost", customers = [1], fro = 3 },
  { kind = "customer_lost", customers = [CUSTOMER] },
  { kind = "customer_lost", customers = [CUSTOMER] },
  { kind = "product_replaced", products = [6], replaced_by = "6" },
]
[[scenarios]]
name = "a"
changes = [{ kind = "demand", percent = 1, products = [4712] }, { kind = "demnd" }]
"""


def test_everything_wrong_with_a_file_is_told_at_once(quick, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG.replace("CUSTOMER", str(CUSTOMER)))
    with pytest.raises(ArgumentError) as caught:
        quick.compare_scenarios(file, None, AS_OF)
    said = str(caught.value)
    for part in (
        "wrong.toml has 14 mistakes",
        "two scenarios are called 'a'",
        "scenarios[1].changes[1]: percent has to be a number from -100 to 10,000, got -101",
        "scenarios[1].changes[7].fro: is unknown",
        "'a', change 7: customer 1 ordered nothing before 2022-06-06",
        "scenarios[2].changes[2].kind: has to be one of 'demand', 'price'",
        "'a', change 2: start_date has to be a date from 2022-06-06 to 2022-08-28",
        "'a', change 3: there is no product 'Artikel 2'; the nearest names are 'Article 2'",
        "'a', change 4: start_date has to be a date from 2022-06-06 to",
        "'a', change 5: customer 4711 ordered nothing before 2022-06-06",
        "'a', change 10: product 6 cannot replace itself",
        "'a', change 1: there is no product 4712",
        "'a': changes 2 and 3 set two prices for product 1",
        "'a': changes 5 and 6 contradict each other: one ends product 9, which the other changes",
        f"'a': changes 8 and 9 contradict each other: customer {CUSTOMER} is lost twice",
    ):
        assert part in said, f"{part}\n{said}"


def test_two_prices_on_successive_days_do_not_contradict_each_other(quick):
    """The days of both: a week at half the price, and the rest at twice of it."""
    old = quick.source.products(AS_OF, [2])[2].unit_price
    end = AS_OF + timedelta(6)
    first = Change("price", products=(2,), price=old / 2, elasticity=0.0, end_date=end)
    then = {"price": 2 * old, "elasticity": 0.0}
    later = Change("price", products=(2,), start_date=end + timedelta(1), **then)
    weeks = under(quick, first, later, products=[2])["weekly"]
    ratio = [week["expected_revenue"] / week["baseline_revenue"] for week in weeks]
    assert ratio == pytest.approx([0.5] + 11 * [2.0])
    with pytest.raises(ArgumentError, match="changes 1 and 2 set two prices for product 2"):
        under(quick, first, Change("price", products=(2,), start_date=end, **then))


def test_two_products_may_be_replaced_by_one(quick):
    """By different shares; one that ends itself cannot take over."""
    first = Change("product_replaced", products=(2,), replaced_by=4, percent=50.0)
    then = Change("product_replaced", products=(3,), replaced_by=4, percent=40.0)
    products = {p["product_id"]: p for p in under(quick, first, then)["products"]}
    two, three = (products[i]["baseline_quantity"] for i in (2, 3))
    expected = 0.5 * two + 0.4 * three
    assert products[4]["difference_quantity"] == pytest.approx(expected, rel=1e-9)
    assert products[2]["expected_quantity"] == products[3]["expected_quantity"] == 0.0
    with pytest.raises(ArgumentError, match="one ends product 3, which the other changes"):
        under(quick, replace(first, replaced_by=3), then)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "demnd"}, "kind has to be one of 'demand', 'price', "),
        ({"kind": "demand"}, "a change of kind 'demand' needs percent"),
        ({"kind": "demand", "percent": float("nan")}, "percent has to be a number from -100"),
        ({"kind": "customer_lost", "percent": 3.0}, "needs customers; .* takes no percent"),
        (
            {"kind": "price", "products": (1,), "price": 0.0, "elasticity": float("inf")},
            "price has to be a number above 0.*; elasticity has to be a number from -20 to 20",
        ),
        (
            {"kind": "product_replaced", "products": (1,), "replaced_by": 1, "percent": 101.0},
            "percent has to be the share that goes over, from 0 to 100, got 101; .* itself",
        ),
        (
            {"kind": "demand", "percent": 1.0, "start_date": AS_OF, "end_date": date(2022, 6, 5)},
            "end_date 2022-06-05 is before start_date 2022-06-06",
        ),
    ],
)
def test_a_change_says_what_its_kind_takes(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Change(**fields)


def test_a_date_as_text_is_refused_in_a_sentence_both_at_once():
    with pytest.raises(ArgumentError) as refused:
        Change("demand", percent=1.0, start_date="2022-06-06", end_date="soon")
    assert "start_date has to be a date, such as date(2017, 10, 9), got '2022-06-06'" in str(
        refused.value
    )
    assert "end_date has to be a date" in str(refused.value)


def test_there_has_to_be_a_scenario(quick, tmp_path):
    with pytest.raises(ArgumentError, match="there is no scenario"):
        quick.compare_scenarios([], None, AS_OF)
    (tmp_path / "empty.toml").write_text("")
    for read in (read_scenarios, lambda file: quick.compare_scenarios(file, None, AS_OF)):
        with pytest.raises(ArgumentError, match="scenarios: is missing"):
            read(tmp_path / "empty.toml")
        with pytest.raises(ArgumentError, match="cannot be read: No such file"):
            read(tmp_path / "none.json")


def test_an_elasticity_needs_a_price_to_start_from(database):
    add_line(database, product_id=1, customer_id=FIRST_CUSTOMER_ID, day=-1)
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 1")
    change = Change("price", products=(1,), price=4.0, elasticity=-1.0)
    engine = ForecastEngine(database, draws=20)
    with pytest.raises(ArgumentError, match="tells the price of product 1"):
        engine.compare_scenarios([Scenario("one", (change,))], [1], AS_OF)
    engine = ForecastEngine(database, draws=20, default_price=8.0)
    product = under(engine, change, products=[1])["products"][0]
    assert product["expected_quantity"] == pytest.approx(2 * product["baseline_quantity"])


def test_any_connection_will_do(database):
    """Where names cannot be searched, ids can."""
    engine = ForecastEngine(PyformatConnection(database), draws=20)
    assert under(engine, Change("customer_lost", customers=(CUSTOMER,)))["total"]


def test_products_it_names_are_predicted_but_not_shown(quick):
    change = Change("product_replaced", products=(2,), replaced_by=3)
    assert [p["product_id"] for p in under(quick, change, products=[3])["products"]] == [3]
    assert known_products(quick.conn) != [3]
    assert isinstance(quick.conn, duckdb.DuckDBPyConnection)
