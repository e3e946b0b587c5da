"""What if an order was already received: conditioning, exactly."""

from datetime import timedelta

import numpy as np
import pytest

from tests.conftest import AS_OF, NOON, add_line
from toolkit.data.scenario import Change, Scenario
from toolkit.data.tables import quantiles_of
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, PredictionError
from toolkit.model import find_model
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.views.coupling import AGAIN

CUSTOMER = FIRST_CUSTOMER_ID + 3
NEXT_DAY = AS_OF + timedelta(1)
ORDER = Change("order_received", customers=(CUSTOMER,), products=(2,), quantity=40.0)
OWN = (
    "expected_orders", "orders_quantiles", "expected_quantity", "quantity_quantiles",
    "expected_revenue", "revenue_quantiles",
)  # fmt: skip
"""What a row says of the scenario itself."""


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


def held(engine, *lines):
    """The database as of the next day: these lines on the date, and none else from then on."""
    engine.conn.execute("DELETE FROM dbo.OrderItem WHERE Created >= ?", [AS_OF])
    for product_id, customer_id, quantity in lines:
        add_line(
            engine.conn, product_id=product_id, customer_id=customer_id, day=0, quantity=quantity,
            price=None,
        )  # fmt: skip


def rows_of(scenario):
    return [scenario["total"], *scenario["weekly"], *scenario["products"]]


def own(rows, names=OWN):
    return [[row[name] for name in names] for row in rows]


def compare(engine, *scenarios, products=None, as_of=AS_OF):
    return engine.compare_scenarios(scenarios, products, as_of)


def test_it_is_the_forecast_as_of_the_day_after_with_the_order_byte_for_byte(engine):
    """And what stands beside it is the forecast of the same date without the order."""
    result = compare(engine, Scenario("received", (ORDER,)))
    (said,) = result.scenarios
    held(engine)
    (without,) = compare(engine, Scenario("as it is"), as_of=NEXT_DAY).scenarios
    held(engine, (2, CUSTOMER, 40.0))
    (known,) = compare(engine, Scenario("as it is"), as_of=NEXT_DAY).scenarios
    assert own(rows_of(said)) == own(rows_of(known)) != own(rows_of(without))
    before = ("baseline_orders", "baseline_quantity", "baseline_revenue")
    assert own(rows_of(said), before) == own(rows_of(without), before)
    forecasts = engine.generate_forecasts(range(1, 13), NEXT_DAY)
    for product in said["products"]:
        summary = forecasts[product["product_id"]].summary
        assert product["quantity_quantiles"] == summary["quantity_quantiles"]
    assert (result.forecast_start_date, result.model_metadata["as_of_date"]) == (
        str(NEXT_DAY), str(NEXT_DAY),
    )  # fmt: skip


def test_only_what_the_order_tells_of_changes(engine):
    """Products that its customer never ordered are the same draws."""
    (said,) = compare(engine, Scenario("received", (ORDER,))).scenarios
    theirs = engine.source.ordered_products(AS_OF, [CUSTOMER])
    told = {2, *theirs} if engine.pattern_analyzer.customer_days else {2}
    changed = {p["product_id"] for p in said["products"] if p["difference_quantity"]}
    assert changed == told
    for product in said["products"]:
        if product["product_id"] not in told:
            assert set(product["difference_quantity_quantiles"].values()) == {0.0}


def test_a_difference_is_of_the_pairs_that_are_told_of_under_the_same_numbers(engine):
    """By hand: each of them drawn again with the order and without; all else is expectation."""
    (said,) = compare(engine, Scenario("received", (ORDER,)), products=[2, 3]).scenarios
    sides = []
    for lines in ([(2, CUSTOMER, 40.0)], []):
        held(engine, *lines)
        patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(NEXT_DAY, [2, 3]))
        predicted, _ = engine.predictor.predict(patterns)
        rows = np.flatnonzero(patterns.customer_id == CUSTOMER)
        again = engine.predictor.predict_again(patterns, rows, AGAIN)
        sides.append((predicted, patterns.product_id[rows], again.orders.astype(float)))
        engine.conn.execute("DELETE FROM dbo.OrderItem WHERE Created >= ?", [AS_OF])
    (known, theirs, drawn), (before, _, drawn_before) = sides
    assert 2 in theirs
    for j, product in enumerate(said["products"]):
        own = (drawn - drawn_before)[theirs == product["product_id"]].sum(axis=(0, 1))
        of_pairs = known.pairs.expected_orders - before.pairs.expected_orders
        pairs = (patterns.product_id == product["product_id"]) & (patterns.customer_id == CUSTOMER)
        expected = (known.products.expected_orders - before.products.expected_orders)[j].sum()
        of_others = expected - of_pairs[pairs].sum()
        spread = quantiles_of(own + of_others, axis=0)
        found = [*product["difference_orders_quantiles"].values()]
        assert found == pytest.approx(spread.tolist(), abs=1e-6)
        assert product["difference_orders"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("with_self", [False, True])
def test_whoever_is_lost_beside_an_order_takes_their_own_part_of_the_baseline(quick, with_self):
    """By hand: the forecast without the order, and what all but one ordered in these very draws."""
    patterns, _ = quick.pattern_analyzer.analyze(quick.source.order_events(AS_OF, [2]))
    others = tuple(i for i in patterns.customer_id.tolist() if i != CUSTOMER)
    gone = (*others, CUSTOMER) if with_self else others
    lost = Change("customer_lost", customers=gone)
    (said,) = compare(quick, Scenario("a", (ORDER, lost)), products=[2]).scenarios
    sides = []
    for lines in ([(2, CUSTOMER, 40.0)], []):
        held(quick, *lines)
        patterns, _ = quick.pattern_analyzer.analyze(quick.source.order_events(NEXT_DAY, [2]))
        predicted, _ = quick.predictor.predict(patterns)
        row = np.flatnonzero(patterns.customer_id == CUSTOMER)
        again = quick.predictor.predict_again(patterns, row, AGAIN).quantity[0].astype(float)
        apart = quick.predictor.predict_apart(patterns, np.flatnonzero(
            np.isin(patterns.customer_id, gone)
        )).quantity.astype(float)  # fmt: skip
        mine = patterns.customer_id == CUSTOMER
        kept = predicted.products.expected_quantity[0] - predicted.pairs.expected_quantity[
            ~mine
        ].sum(axis=0)
        sides.append((again, apart.sum(axis=0), kept, predicted.pairs.expected_quantity[mine][0]))
    (after, _, kept, own), (before, theirs, kept_before, own_before) = sides
    newcomers = (kept - own) - (kept_before - own_before)
    moved = newcomers[:, None] - theirs + (0.0 if with_self else after - before)
    spread = quantiles_of(moved.sum(axis=0), axis=0)
    found = [*said["total"]["difference_quantity_quantiles"].values()]
    assert found == pytest.approx(spread.tolist(), abs=0.05)
    assert found[0] <= said["total"]["difference_quantity"] <= found[-1]


def test_what_other_customers_order_cancels(quick):
    """A pair that orders otherwise moves who is drawn after it, and no difference."""
    neighbours = quick.pattern_analyzer.analyze(quick.source.order_events(AS_OF, [2]))[0]
    first = int(neighbours.customer_id[0])
    order = Change("order_received", customers=(first,), products=(2,), quantity=1.0)
    (said,) = compare(quick, Scenario("received", (order,)), products=[2]).scenarios
    view = quick.forecast_customer(first, NEXT_DAY)
    (theirs,) = [row for row in view.products if row["product_id"] == 2]
    spread = said["total"]["difference_orders_quantiles"]
    assert spread["q95"] - spread["q05"] <= 3 * theirs["expected_orders"] + 4
    own = said["total"]["orders_quantiles"]
    assert spread["q95"] - spread["q05"] < 0.5 * (own["q95"] - own["q05"])


def test_a_product_that_ends_takes_all_of_the_baseline(quick):
    """Whatever the order tells of it: the difference is less what is forecast without."""
    ended = Change("product_delisted", products=(2,))
    (said,) = compare(quick, Scenario("a", (ORDER, ended)), products=[2]).scenarios
    (alone,) = compare(quick, Scenario("a", (ORDER,)), products=[2]).scenarios
    assert said["total"]["expected_quantity"] == 0.0
    assert said["total"]["difference_quantity"] == -alone["total"]["baseline_quantity"]
    lost = said["total"]["difference_quantity_quantiles"]
    kept = alone["total"]["baseline_quantity_quantiles"]
    assert [-lost[q] for q in ("q95", "q50", "q05")] == pytest.approx(
        [kept[q] for q in ("q05", "q50", "q95")], rel=1e-9
    )


def test_nothing_of_the_day_itself_is_known_but_the_order(quick):
    result = compare(quick, Scenario("received", (ORDER,)))
    add_line(quick.conn, product_id=2, customer_id=CUSTOMER + 1, day=0, quantity=900.0)
    assert compare(quick, Scenario("received", (ORDER,))) == result
    add_line(quick.conn, product_id=2, customer_id=CUSTOMER + 1, day=-1, quantity=900.0)
    assert compare(quick, Scenario("received", (ORDER,))) != result


def test_scenarios_of_one_call_are_beside_one_baseline(quick):
    """Each with its own orders; those without any are of the same date."""
    other = Change("order_received", customers=(CUSTOMER + 1,), products=(2, 3), quantity=5.0)
    scenarios = [
        Scenario("as it is"),
        Scenario("one", (ORDER,)),
        Scenario("two", (ORDER, other)),
        Scenario("one and more", (ORDER, Change("demand", percent=20.0))),
    ]
    result = compare(quick, *scenarios)
    neutral, one, two, more = result.scenarios
    assert neutral["total"]["difference_quantity"] == 0.0
    assert len({s["total"]["baseline_quantity"] for s in result.scenarios}) == 1
    for name, alone in (("one", one), ("two", two)):
        (scenario,) = [s for s in scenarios if s.name == name]
        assert compare(quick, scenario).scenarios == [alone]
    for row, plain in zip(rows_of(more), rows_of(one), strict=True):
        assert row["expected_quantity"] == pytest.approx(1.2 * plain["expected_quantity"])
    held(quick, (2, CUSTOMER, 40.0), (2, CUSTOMER + 1, 5.0), (3, CUSTOMER + 1, 5.0))
    (known,) = compare(quick, Scenario("as it is"), as_of=NEXT_DAY).scenarios
    assert own(rows_of(two)) == own(rows_of(known))


def test_two_orders_of_a_pair_are_one_of_both(quick):
    half = Change("order_received", customers=(CUSTOMER,), products=(2,), quantity=20.0)
    (twice,) = compare(quick, Scenario("a", (half, half))).scenarios
    (once,) = compare(quick, Scenario("a", (ORDER,))).scenarios
    assert rows_of(twice) == rows_of(once)


def test_a_product_that_nobody_ordered_before_begins_with_it(quick):
    quick.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'New')")
    first = Change("order_received", customers=(CUSTOMER,), products=(800,), quantity=8.0)
    neutral, begun = compare(
        quick, Scenario("as it is"), Scenario("first", (first,)), products=[800]
    ).scenarios
    assert neutral["total"]["expected_quantity"] == begun["total"]["baseline_quantity"] == 0.0
    held(quick, (800, CUSTOMER, 8.0))
    forecast = quick.generate_forecast(800, NEXT_DAY)
    assert begun["products"][0]["product_name"] == "New"
    expected = forecast.summary["expected_quantity"]
    assert begun["total"]["expected_quantity"] == pytest.approx(expected, rel=1e-12) != 0.0


def test_it_composes_with_what_becomes_of_the_customer_and_the_product(quick):
    """An order today, and then they are lost, is no contradiction."""
    lost = Change("customer_lost", customers=(CUSTOMER,))
    (gone,) = compare(quick, Scenario("a", (ORDER, lost)), products=[2]).scenarios
    (only_lost,) = compare(quick, Scenario("a", (lost,)), products=[2], as_of=AS_OF).scenarios
    assert gone["total"]["expected_quantity"] < gone["total"]["baseline_quantity"]
    assert gone["changes_customers"] is only_lost["changes_customers"] is True
    moved = Change("product_replaced", products=(2,), replaced_by=3, percent=50.0)
    both, plain = compare(
        quick, Scenario("a", (ORDER, moved)), Scenario("b", (ORDER,)), products=[2, 3]
    ).scenarios
    two, three = ({p["product_id"]: p for p in s["products"]} for s in (both, plain))
    assert two[2]["expected_quantity"] == 0.0
    expected = three[3]["expected_quantity"] + 0.5 * three[2]["expected_quantity"]
    assert two[3]["expected_quantity"] == pytest.approx(expected, rel=1e-12)


def test_dates_of_other_changes_are_those_of_the_forecast_that_starts_the_day_after(quick):
    more = Change("demand", percent=1.0, start_date=AS_OF)
    assert compare(quick, Scenario("a", (more,)))
    with pytest.raises(ArgumentError, match=r"a date from 2022-06-07 to 2022-08-29, .* 2022-06-06"):
        compare(quick, Scenario("a", (more, ORDER)))


def test_all_that_is_wrong_is_told_at_once(quick):
    wrong = Change("order_received", customers=(4711, "Nobody"), products=(9999,), quantity=1.0)
    with pytest.raises(ArgumentError) as caught:
        compare(quick, Scenario("a", (wrong,)))
    for part in ("there is no product 9999", "customer 4711 ordered nothing before 2022-06-06",
                 "there is no customer 'Nobody'"):  # fmt: skip
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantity": 4.0}, "needs products; .* needs customers"),
        ({"products": (1,), "customers": (2,)}, "needs quantity"),
        ({"products": (1,), "customers": (2,), "quantity": 0.0}, "above 0, .* got 0"),
        ({"products": (1,), "customers": (2,), "quantity": float("nan")}, "above 0, .* got nan"),
        ({"products": (1,), "customers": (2,), "quantity": 1.0, "start_date": AS_OF}, "takes no"),
    ],
)
def test_it_says_what_it_takes(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Change("order_received", **fields)


def test_the_card_says_of_which_date_all_is(quick):
    shown = compare(quick, Scenario("a", (ORDER,)), products=[2]).to_card().text(width=2000)
    assert f"a: customer {CUSTOMER} ordered 40 of product 2." in shown
    assert "All is as of 2022-06-07. An order received is one of the day before" in shown
    assert "too narrow" not in shown
    assert "too wide" not in shown
    assert "All is as of" not in compare(quick, Scenario("a"), products=[2]).to_card().text()


def test_where_a_product_fails_without_the_order_there_is_nothing_to_compare(quick):
    """Nothing is known of its demand, which is not the same as none."""
    quick.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'New')")
    add_line(quick.conn, product_id=800, customer_id=CUSTOMER, day=-9, quantity=float("nan"))
    first = Change("order_received", customers=(CUSTOMER + 1,), products=(800,), quantity=8.0)
    with pytest.raises(PredictionError, match="product 800 could be predicted with and without"):
        compare(quick, Scenario("a", (first,)), products=[2, 800])
