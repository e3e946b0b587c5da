"""What if a customer is won who orders like one that there is: a copy of their own, independent."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.pair_conjugate import PairConjugate
from tests.chance import assert_near, error_of_mean
from tests.conftest import AS_OF, NOON
from toolkit.data.scenario import Change, Scenario
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.model import Streams, find_model
from toolkit.sources.generator import FIRST_CUSTOMER_ID

MEASURES = ("orders", "quantity", "revenue")
CUSTOMER = FIRST_CUSTOMER_ID + 3
WON = Change("customer_won", like=CUSTOMER)
MID_WEEK = AS_OF + timedelta(10)
DRAWS = 60


@pytest.fixture(
    params=["pair_conjugate", "rhythm", pytest.param("ensemble", marks=pytest.mark.slow)]
)
def engine(request, database) -> ForecastEngine:
    model = (
        find_model(request.param)
        if request.param == "pair_conjugate"
        else request.getfixturevalue(request.param)
    )
    return ForecastEngine(database, model=model, draws=DRAWS, clock=lambda: NOON)


@pytest.fixture
def quick(database) -> ForecastEngine:
    return ForecastEngine(database, draws=39, clock=lambda: NOON)


def compare(engine, *scenarios, products=None):
    return engine.compare_scenarios(scenarios, products, AS_OF).scenarios


def under(engine, *changes, products=None):
    (scenario,) = compare(engine, Scenario("one", changes), products=products)
    return scenario


def rows_of(scenario):
    return [scenario["total"], *scenario["weekly"], *scenario["products"]]


def differences(scenario):
    return [[row[f"difference_{m}"] for m in MEASURES] for row in rows_of(scenario)]


def test_it_adds_what_is_expected_of_the_customer_like_them(engine):
    """Exactly, of every product, and leaves the baseline and all other products as they are."""
    neutral, won = compare(engine, Scenario("as it is"), Scenario("won", (WON,)))
    view = {row["product_id"]: row for row in engine.forecast_customer(CUSTOMER, AS_OF).products}
    assert len(view) > 1
    for product, plain in zip(won["products"], neutral["products"], strict=True):
        theirs = view.get(product["product_id"])
        for measure in ("orders", "quantity"):
            added = 0.0 if theirs is None else theirs[f"expected_{measure}"]
            assert product[f"difference_{measure}"] == pytest.approx(added, rel=1e-9, abs=1e-9)
        if theirs is None:
            assert product == plain
    for row, plain in zip(rows_of(won), rows_of(neutral), strict=True):
        for measure in MEASURES:
            assert row[f"baseline_{measure}"] == plain[f"baseline_{measure}"]
        assert row["baseline_quantity_quantiles"] == plain["baseline_quantity_quantiles"]


def test_losing_the_one_and_winning_the_other_expects_the_same(engine):
    both = under(engine, Change("customer_lost", customers=(CUSTOMER,)), WON)
    assert np.abs(differences(both)).max() < 1e-9
    spread = both["total"]["difference_quantity_quantiles"]
    assert spread["q10"] < 0.0 < spread["q90"]  # of the same expectation, not of the same draws


def test_each_won_is_another_customer(quick):
    one, two = compare(quick, Scenario("one", (WON,)), Scenario("two", (WON, WON)))
    assert np.allclose(differences(two), 2 * np.array(differences(one)))
    spreads = [s["total"]["difference_quantity_quantiles"] for s in (one, two)]
    assert spreads[1]["q90"] != pytest.approx(2 * spreads[0]["q90"], rel=1e-3)
    assert under(quick, WON)["total"] == one["total"]  # whatever else is compared


@pytest.mark.parametrize("product", [2])
def test_they_order_whole_orders_of_sizes_that_there_are(quick, product):
    won = under(quick, WON, products=[product])
    counts = won["total"]["difference_orders_quantiles"]
    assert all(value == round(value) for value in counts.values())
    half = under(quick, replace(WON, percent=50.0), products=[product])
    for name, factor in (("orders", 1.0), ("quantity", 0.5), ("revenue", 0.5)):
        whole = won["total"][f"difference_{name}"]
        assert half["total"][f"difference_{name}"] == pytest.approx(factor * whole)
        spread = {q: factor * of for q, of in won["total"][f"difference_{name}_quantiles"].items()}
        assert half["total"][f"difference_{name}_quantiles"] == pytest.approx(spread)


def test_they_begin_on_a_day_and_with_some_products(quick):
    theirs = [row["product_id"] for row in quick.forecast_customer(CUSTOMER, AS_OF).products]
    some = tuple(theirs[:2])
    whole = {p["product_id"]: p for p in under(quick, WON)["products"]}
    for product in under(quick, replace(WON, products=some))["products"]:
        is_asked = product["product_id"] in some
        expected = whole[product["product_id"]]["difference_quantity"] if is_asked else 0.0
        assert product["difference_quantity"] == expected
    later, all_weeks = (
        under(quick, won)["weekly"] for won in (replace(WON, start_date=MID_WEEK), WON)
    )
    for number, (week, whole_week) in enumerate(zip(later, all_weeks, strict=True)):
        share = np.clip(7 * (number + 1) - 10, 0, 7) / 7
        expected = share * whole_week["difference_quantity"]
        assert week["difference_quantity"] == pytest.approx(expected, rel=1e-9)


def test_other_changes_are_made_to_what_they_order_too_in_any_order(quick):
    """Demand, prices, and the end of products; not what becomes of the one whom they are like."""
    more = Change("demand", percent=20.0, products=(2,))
    lost = Change("demand", percent=-50.0, customers=(CUSTOMER,), products=(2,))
    gone = Change("product_replaced", products=(2,), replaced_by=3, percent=60.0)
    plain = {p["product_id"]: p for p in under(quick, WON)["products"]}
    for changes in ((WON, more), (more, WON)):
        two = under(quick, *changes, products=[2])["products"][0]
        own = 1.2 * (plain[2]["baseline_quantity"] + plain[2]["difference_quantity"])
        assert two["expected_quantity"] == pytest.approx(own)
    halved = under(quick, lost, products=[2])["total"]["difference_quantity"]
    two = under(quick, lost, WON, products=[2])["total"]["difference_quantity"]
    assert two == pytest.approx(halved + plain[2]["difference_quantity"])
    for changes in ((WON, gone), (gone, WON)):
        products = {p["product_id"]: p for p in under(quick, *changes)["products"]}
        assert products[2]["expected_quantity"] == 0.0
        assert set(products[2]["quantity_quantiles"].values()) == {0.0}
        moved = 0.6 * (plain[2]["baseline_quantity"] + plain[2]["difference_quantity"])
        added = moved + plain[3]["difference_quantity"]
        assert products[3]["difference_quantity"] == pytest.approx(added)


def test_an_order_received_counts_for_the_one_like_its_customer(quick):
    order = Change("order_received", customers=(CUSTOMER,), products=(2,), quantity=40.0)
    told, won = compare(quick, Scenario("a", (order,)), Scenario("b", (order, WON)))
    lost = under(quick, order, Change("customer_lost", customers=(CUSTOMER,)))
    added = won["total"]["expected_quantity"] - told["total"]["expected_quantity"]
    taken = told["total"]["expected_quantity"] - lost["total"]["expected_quantity"]
    assert added == pytest.approx(taken, rel=1e-9)


class NothingShared(PairConjugate):
    """``pair_conjugate`` but for the frailty, under which pairs rise and fall together."""

    def outlook(self, patterns):
        known = PairConjugate.outlook(self, patterns)
        return known._replace(variance=np.full_like(known.variance, 1e-9))


def test_their_draws_are_independent_of_all_others_but_for_what_is_shared(quick, seeded):
    """Of the pair's own, and of the next copy; their mean is what is expected of the pair."""
    draws, weeks = 2000, 12
    patterns, _ = quick.pattern_analyzer.analyze(quick.source.order_events(AS_OF, [2]))
    rows = np.flatnonzero(patterns.customer_id == CUSTOMER)
    model, streams = NothingShared(), Streams(seeded(4))
    given = {"weeks": weeks, "draws": draws, "streams": streams}
    said = model.predict(patterns, **given)
    one, other = (model.predict_again(patterns, rows, n, **given) for n in (0, 1))
    first, second = (drawn.quantity[0].sum(axis=0) for drawn in (one, other))
    whole = said.products.quantity[0].sum(axis=0)
    expected = said.pairs.expected_quantity[rows[0]].sum()
    for drawn in (first, second):
        assert_near(drawn.mean(), expected, np.sqrt(2) * error_of_mean(drawn), 4)
    for pair in ((first, second), (first, whole)):
        product = np.prod([x - x.mean() for x in pair], axis=0)
        assert_near(product.mean(), 0.0, error_of_mean(product), 4)


def test_all_that_is_wrong_is_told_at_once(quick):
    quick.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'New')")
    late = AS_OF + timedelta(84)
    changes = (
        Change("customer_won", like=4711, products=(9999,)),
        Change("customer_won", like=CUSTOMER, products=(800,), start_date=late),
        Change("customer_won", like=CUSTOMER, products=(2,)),
        Change("product_delisted", products=(2,)),
    )
    with pytest.raises(ArgumentError) as caught:
        under(quick, *changes)
    for part in (
        "change 1: there is no product 9999",
        "change 1: customer 4711 ordered nothing before 2022-06-06",
        f"change 2: customer {CUSTOMER} ordered no product 800 before 2022-06-06",
        "change 2: start_date has to be a date from 2022-06-06 to 2022-08-28",
        "changes 3 and 4 contradict each other: one ends product 2, which the other changes",
    ):
        assert part in str(caught.value)


def test_a_model_that_draws_nobody_once_more_says_so(database):
    engine = ForecastEngine(database, model=find_model("mean_interval"))
    with pytest.raises(ArgumentError, match="mean_interval draws no customer once more"):
        under(engine, WON)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs like"),
        ({"like": 3, "percent": 0.0}, "size of orders in per cent, above 0, .* got 0"),
        ({"like": 3, "end_date": AS_OF}, "takes no end_date"),
        ({"like": 3, "customers": (4,)}, "takes no customers"),
    ],
)
def test_it_says_what_it_takes(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Change("customer_won", **fields)


def test_the_card_says_who_was_won(quick):
    won = replace(WON, products=(2,), percent=50.0)
    shown = quick.compare_scenarios([Scenario("a", (won,))], [2], AS_OF).to_card().text(width=2000)
    assert f"a: a customer like {CUSTOMER} won of product 2, with orders of 50 %." in shown
    assert "A customer who is won has draws of their own" in shown
    assert "too narrow" not in shown
    plain = quick.compare_scenarios([Scenario("a")], [2], AS_OF).to_card().text(width=2000)
    assert "won" not in plain
