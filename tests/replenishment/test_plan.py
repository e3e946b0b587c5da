"""The plan from orders to quantities: laws on real forecasts, ranks, tables and refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, known_products
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, DataError
from toolkit.replenishment.plan import plan_replenishment
from toolkit.replenishment.policy import ReplenishmentPolicy
from toolkit.replenishment.stock import Stock

POLICY = ReplenishmentPolicy(10, 7, service_level=0.9)


def stock_of(products, **columns):
    defaults = {"on_hand": 0.0, "on_order": 0.0}
    return Stock.from_frame(pd.DataFrame({"product": products, **defaults, **columns}))


@pytest.fixture
def products(database):
    return known_products(database)


def test_a_plan_has_every_product_and_meets_its_target(engine, products):
    plan = plan_replenishment(engine, stock_of(products), POLICY, AS_OF, draws=199)
    lines = plan.lines
    assert sorted(lines.product_id.tolist()) == products
    assert (lines.p_shortage <= 0.1).all()
    assert (lines.quantity >= lines.order_up_to_level).all()
    assert (lines.quantity < lines.order_up_to_level + 1).all()
    assert (lines.reorder_point <= lines.order_up_to_level).all()
    assert (lines.expected_shortage <= lines.expected_shortage_without_order).all()


def test_a_product_alone_and_in_a_batch_gets_the_same(engine, products):
    whole = plan_replenishment(engine, stock_of(products), POLICY, AS_OF, draws=50).to_frame()
    alone = plan_replenishment(engine, stock_of([5]), POLICY, AS_OF, draws=50).to_frame()
    pd.testing.assert_frame_equal(whole[whole.product_id == 5].reset_index(drop=True), alone)


def test_more_stock_needs_less_and_a_higher_target_more(engine, products):
    def quantity(policy=POLICY, **columns):
        plan = plan_replenishment(engine, stock_of(products, **columns), policy, AS_OF, draws=200)
        return plan.to_frame().set_index("product_id").sort_index()["quantity"]

    plain = quantity()
    assert (quantity(on_hand=5.0) <= plain).all()
    assert (quantity(on_hand=5.0) == quantity(on_order=5.0)).all()
    assert (quantity(ReplenishmentPolicy(10, 7, service_level=0.97)) >= plain).all()
    assert (quantity(ReplenishmentPolicy(17, 7, service_level=0.9)) >= plain).all()
    assert (quantity(ReplenishmentPolicy(10, 7, shortage_cost=9, holding_cost=1)) == plain).all()
    packed = quantity(pack_size=12)
    assert (packed % 12 == 0).all()
    assert (packed >= plain).all()
    assert (quantity(minimum_order=1e5) == 1e5).all()


def test_a_products_own_numbers_take_the_place_of_the_policys(engine):
    own = stock_of([1, 2], lead_time_days=[None, "3:0.5,24:0.5"], review_days=[None, 14],
                   service_level=[None, 0.5])  # fmt: skip
    plan = plan_replenishment(engine, own, POLICY, AS_OF, draws=200)
    assert "1 product has a lead time, review period or target of its own." in plan.to_card().text()
    lines = plan.lines
    row = {int(i): place for place, i in enumerate(lines.product_id)}
    as_all = plan_replenishment(engine, stock_of([1]), POLICY, AS_OF, draws=200)
    assert "of its own" not in as_all.to_card().text()
    general = as_all.lines
    one, two = row[1], row[2]
    assert (lines.lead_time_days[one], lines.review_days[one], lines.target[one]) == (10, 7, 0.9)
    assert (lines.lead_time_days[two], lines.review_days[two], lines.target[two]) == (13.5, 14, 0.5)
    assert lines.order_up_to_level[one] == general.order_up_to_level[0]


def test_on_top_is_what_runs_out_first_or_what_costs_most(engine, products):
    held = stock_of(products, on_hand=np.linspace(0, 200, len(products)))
    first = plan_replenishment(engine, held, POLICY, AS_OF, draws=100).lines
    assert (np.diff(first.run_out_day[np.isfinite(first.run_out_day)]) >= 0).all()
    dear = stock_of(products, on_hand=1.0, unit_cost=[1.0] * 11 + [1e6])
    by_cost = plan_replenishment(engine, dear, POLICY, AS_OF, draws=100, ranked_by="shortage")
    assert by_cost.lines.product_id[0] == products[-1]


def test_units_that_are_owed_to_customers_count(engine):
    owed = plan_replenishment(engine, stock_of([1], on_hand=-40.0), POLICY, AS_OF).lines
    plain = plan_replenishment(engine, stock_of([1]), POLICY, AS_OF).lines
    assert owed.quantity[0] == plain.quantity[0] + 40
    assert owed.run_out_day[0] == 0


def test_the_frame_the_dictionary_and_the_card_say_the_same(engine, products):
    held = stock_of(products, on_hand=[0.0] * 11 + [1e9], unit_cost=[2.0] * 12)
    plan = plan_replenishment(engine, held, POLICY, AS_OF, draws=50)
    frame, said = plan.to_frame(), json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert [line["quantity"] for line in said["lines"]] == frame["quantity"].tolist()
    assert frame["run_out_date"].dtype == "datetime64[s]"
    lasting = frame.set_index("product_id").loc[products[-1]]
    assert lasting["quantity"] == 0
    assert pd.isna(lasting["run_out_date"])
    assert said["lines"][-1]["run_out_date"] is None
    assert said["policy"] == {"lead_time_days": 10, "review_days": 7, "service_level": 0.9}
    text = plan.to_card(3).text()
    for part in ("What to order as of 2022-06-06", "of 12", "and 8 more", "1 product can wait"):
        assert part in text
    assert f"{frame['order_value'].sum():,.2f}" in text


def test_a_product_nobody_ordered_before_is_named(database, engine):
    database.execute("INSERT INTO dbo.Product VALUES (13, 'New')")
    plan = plan_replenishment(engine, stock_of([1, 13]), POLICY, AS_OF, draws=20)
    assert (plan.lines.product_id.tolist(), plan.not_planned) == ([1], (13,))
    assert "nobody ordered them before this date: 1 product, 13" in plan.to_card().text()
    assert plan_replenishment(engine, stock_of([13]), POLICY, AS_OF, draws=20) is None


@pytest.mark.parametrize(
    ("columns", "policy", "message"),
    [
        ({}, POLICY, "product is not in the database (1 row; e.g. 404)"),
        ({"lead_time_days": 720, "review_days": 9}, POLICY, "at most 728 days together (2 rows"),
        ({"service_level": 0.995}, POLICY, "100 draws are too few for so high a service level: it"
         " takes 199 (2 rows"),
        ({"service_level": 0.9}, ReplenishmentPolicy(1, shortage_cost=1, holding_cost=1),
         "service_level is given, and the policy has costs in its place (2 rows"),
    ],
)  # fmt: skip
def test_all_that_cannot_be_planned_is_refused_at_once(engine, columns, policy, message):
    with pytest.raises(DataError) as caught:
        plan_replenishment(engine, stock_of([1, 404], **columns), policy, AS_OF, draws=100)
    assert "not in the database" in str(caught.value)
    assert message in str(caught.value)


def test_arguments_out_of_range_are_refused(engine):
    with pytest.raises(ArgumentError, match="ranked_by has to be one of run_out, shortage"):
        plan_replenishment(engine, stock_of([1]), POLICY, AS_OF, ranked_by="price")
    with pytest.raises(ArgumentError, match="draws has to be a whole number of at least 1"):
        plan_replenishment(engine, stock_of([1]), POLICY, AS_OF, draws=0)


def test_a_model_that_reads_customers_days_plans_as_well(database, rhythm, products):
    engine = ForecastEngine(database, model=rhythm)
    plan = plan_replenishment(engine, stock_of(products), POLICY, AS_OF, draws=50)
    assert plan.model_name == "rhythm"
    assert (plan.lines.quantity > 0).any()
