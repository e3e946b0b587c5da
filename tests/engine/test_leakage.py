"""Nothing at or after the as-of date changes a byte of any forecast or of what is fitted to."""

import json
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.parts.rhythm.newcomers import base_rates
from models.parts.rhythm.season import Season
from models.parts.rhythm.windows import WindowData
from tests.conftest import AS_OF, NOON, add_line, known_products
from toolkit.data.scenario import Change, Scenario
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.replenishment.plan import plan_replenishment
from toolkit.replenishment.policy import ReplenishmentPolicy
from toolkit.replenishment.stock import Stock
from toolkit.sources.embedded.database import add_category
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders
from toolkit.sources.replaced import Replaced, keep_replaced
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer

NEW_CUSTOMER = 999_999
OTHER_PRODUCT = 777  # no forecast is made of it


@pytest.fixture(scope="module")
def conn(orders):
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        add_category(conn)
        conn.execute("UPDATE dbo.Product SET Category = 'Class ' || ID % 3")
        yield conn


@contextmanager
def passing_rows(conn):
    """What is added inside is gone afterwards. (A transaction would hide it from the engine.)"""
    tables = ("Client", "ClientAgreement", "Order", "OrderItem")
    last = {t: conn.execute(f'SELECT max(ID) FROM dbo."{t}"').fetchone()[0] for t in tables}
    try:
        yield
    finally:
        for table, last_id in last.items():
            conn.execute(f'DELETE FROM dbo."{table}" WHERE ID > ?', [last_id])


@pytest.fixture(scope="module", params=["pair_conjugate", "rhythm"])
def model(request):
    """One model that reads the orders of its products alone, one that reads customers' days."""
    return (
        request.getfixturevalue("rhythm")
        if request.param == "rhythm"
        else find_model(request.param)
    )


def forecast_bytes(conn, model) -> str:
    engine = ForecastEngine(conn, model=model, clock=lambda: NOON)
    forecasts = engine.generate_forecasts(known_products(conn), AS_OF, 1, 0.0)
    return json.dumps({i: f and f.to_dict() for i, f in forecasts.items()})


@pytest.fixture(scope="module")
def untouched(conn, model) -> str:
    return forecast_bytes(conn, model)


@contextmanager
def other_product(conn):
    """It has a name, and a category in which others are."""
    conn.execute("INSERT INTO dbo.Product VALUES ($id, 'Other', 'Class 1')", {"id": OTHER_PRODUCT})
    try:
        yield
    finally:
        conn.execute("DELETE FROM dbo.Product WHERE ID = $id", {"id": OTHER_PRODUCT})


def view_bytes(conn, model) -> str:
    """All that is said of some customers, of all products together, of lists, and the draws."""
    with other_product(conn):
        return _view_bytes(conn, model)


def _view_bytes(conn, model) -> str:
    engine = ForecastEngine(conn, model=model, draws=20, clock=lambda: NOON)
    customers = [FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 30, NEW_CUSTOMER]
    views = [engine.forecast_customer(customer_id, AS_OF) for customer_id in customers]
    views.append(engine.forecast_portfolio(None, AS_OF))
    views.append(engine.forecast_portfolio(as_of_date=AS_OF, category="class 1"))
    views.append(engine.sensitivity(None, AS_OF, min_orders=[1, 4], min_confidence=[0.0, 0.3]))
    draws = engine.draws(None, AS_OF)
    return json.dumps([view and view.to_dict() for view in views]) + json.dumps(
        draws.to_dict(), default=str
    )


@pytest.fixture(scope="module")
def untouched_views(conn, model) -> str:
    return view_bytes(conn, model)


def plan_bytes(conn, model) -> str:
    """What to order of every product: demand, days of the week, names."""
    engine = ForecastEngine(conn, model=model)
    frame = pd.DataFrame({"product": known_products(conn), "on_hand": 3, "on_order": 0})
    policy = ReplenishmentPolicy(10, 7, service_level=0.9)
    plan = plan_replenishment(engine, Stock.from_frame(frame), policy, AS_OF, draws=50)
    return json.dumps(plan.to_dict())


@pytest.fixture(scope="module")
def untouched_plan(conn, model) -> str:
    return plan_bytes(conn, model)


def whatif_bytes(conn, model) -> str:
    """What scenarios say: names, prices, customers' shares, who is known."""
    engine = ForecastEngine(conn, model=model, draws=20, clock=lambda: NOON)
    changes = (
        Change("demand", percent=20.0, customers=(FIRST_CUSTOMER_ID, "Shop 100030")),
        Change("price", products=(1,), price=4.0, elasticity=-1.0),
        Change("product_replaced", products=("Article 2",), replaced_by=OTHER_PRODUCT),
        Change("customer_won", like="Shop 100030"),
    )
    received = Change(
        "order_received", customers=(FIRST_CUSTOMER_ID,), products=(1, OTHER_PRODUCT), quantity=4.0
    )
    with other_product(conn):
        results = [
            engine.compare_scenarios([Scenario("one", of)], None, AS_OF)
            for of in (changes, (*changes, received))
        ]
    return json.dumps([result.to_dict() for result in results])


@pytest.fixture(scope="module")
def untouched_whatif(conn, model) -> str:
    return whatif_bytes(conn, model)


def event_bytes(conn, model) -> str:
    """What an event in the weeks to come does to products, and to one who is won."""
    engine = ForecastEngine(conn, model=model, draws=20, clock=lambda: NOON)
    first = AS_OF + timedelta(1)
    changes = (
        Change("event", event="promotion", start_date=first),
        Change("customer_won", like=FIRST_CUSTOMER_ID),
    )
    return json.dumps(engine.compare_scenarios([Scenario("one", changes)], None, AS_OF).to_dict())


@pytest.fixture(scope="module")
def untouched_event(conn, rhythm_with_events) -> str:
    return event_bytes(conn, rhythm_with_events)


def explained_bytes(conn, model) -> str:
    """What forecasts are made of: of products and of pairs, against their product and all."""
    engine = ForecastEngine(conn, model=model, draws=20, clock=lambda: NOON)
    said = [engine.explain(product_id, as_of_date=AS_OF) for product_id in (1, OTHER_PRODUCT)]
    said += [
        engine.explain(1, customer_id, AS_OF, against=against)
        for customer_id in (FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 3, NEW_CUSTOMER)
        for against in ("product", "all")
    ]
    return json.dumps([one and one.to_dict() for one in said])


@pytest.fixture(scope="module")
def untouched_explanations(conn, rhythm) -> str:
    return explained_bytes(conn, rhythm)


def bytes_of(table) -> bytes:
    if is_dataclass(table):
        return b"".join(bytes_of(getattr(table, field.name)) for field in fields(table))
    return table.tobytes() if isinstance(table, np.ndarray) else repr(table).encode()


def fit_bytes(conn) -> bytes:
    """All that ``rhythm`` is fitted to; its sampler sees nothing else."""
    source = as_source(conn)
    events = source.order_events(AS_OF)
    patterns, _ = PatternAnalyzer(source, customer_days=True).analyze(events)
    season = Season.of(patterns.events.day, AS_OF)
    base = base_rates(patterns, season)
    data = WindowData.of(patterns, season, base, 300, 1)
    return b"".join(map(bytes_of, (patterns, season, base, data)))


@pytest.fixture(scope="module")
def untouched_fit(conn) -> bytes:
    return fit_bytes(conn)


future_lines = st.fixed_dictionaries(
    {
        "product_id": st.one_of(st.integers(1, 12), st.just(OTHER_PRODUCT)),
        "customer_id": st.one_of(
            st.integers(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 59), st.just(NEW_CUSTOMER)
        ),
        "day": st.integers(-40, 90),
        "quantity": st.sampled_from([1.0, -7.0, 1e9, float("nan")]),
        "price": st.sampled_from([0.01, 1e6]),
        "added": st.integers(0, 200),
    }
)


@contextmanager
def future_rows(conn, lines):
    """The lines, those of a newcomer too; some are added later to an order of before the date."""
    with passing_rows(conn):
        conn.execute("INSERT INTO dbo.Client VALUES ($id, 'Newcomer');", {"id": NEW_CUSTOMER})
        conn.execute("INSERT INTO dbo.ClientAgreement VALUES ($id, $id)", {"id": NEW_CUSTOMER})
        for line in lines:
            add_line(conn, **line | {"added": max(line["added"], line["day"])})
        yield


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte(conn, model, untouched, lines):
    with future_rows(conn, lines):
        assert forecast_bytes(conn, model) == untouched


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte_of_a_view(conn, model, untouched_views, lines):
    with future_rows(conn, lines):
        assert view_bytes(conn, model) == untouched_views


@pytest.mark.parametrize("product_id", [1, OTHER_PRODUCT])
def test_rows_before_the_date_do_change_views(conn, model, untouched_views, product_id):
    """One more pair of a customer is one more of their products, and of all."""
    with passing_rows(conn):
        add_line(conn, product_id=product_id, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert view_bytes(conn, model) != untouched_views


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_nothing_that_is_to_be_ordered(
    conn, model, untouched_plan, lines
):
    with future_rows(conn, lines):
        assert plan_bytes(conn, model) == untouched_plan


@pytest.mark.parametrize("product_id", [1, OTHER_PRODUCT])
def test_rows_before_the_date_do_change_what_is_to_be_ordered(
    conn, model, untouched_plan, product_id
):
    """Orders of other products tell on which days of the week people order."""
    with passing_rows(conn):
        add_line(conn, product_id=product_id, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert plan_bytes(conn, model) != untouched_plan


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte_of_a_scenario(
    conn, model, untouched_whatif, lines
):
    with future_rows(conn, lines):
        assert whatif_bytes(conn, model) == untouched_whatif


@pytest.mark.parametrize("day", [-1, 0])
def test_whether_a_customer_is_known_to_a_scenario_is_decided_by_the_date(conn, model, day):
    """One whose first order lies at the date is refused; one of the day before is not."""
    engine = ForecastEngine(conn, model=model, draws=20)
    changes = (
        Change("customer_lost", customers=(NEW_CUSTOMER,)),
        Change("customer_won", like=NEW_CUSTOMER, products=(1,)),
    )
    scenarios = [Scenario("one", (change,)) for change in changes]
    line = {"product_id": 1, "customer_id": NEW_CUSTOMER, "day": day, "quantity": 1.0,
            "price": 9.5, "added": day}  # fmt: skip
    with future_rows(conn, [line]):
        for scenario in scenarios:
            if day < 0:
                assert engine.compare_scenarios([scenario], None, AS_OF)
            else:
                with pytest.raises(ArgumentError, match="ordered nothing before"):
                    engine.compare_scenarios([scenario], None, AS_OF)


@pytest.mark.parametrize("day", [-1, 0])
def test_what_one_who_is_won_may_order_is_decided_by_the_date(conn, model, day):
    """A product that the one like them ordered on the date is refused; of the day before not."""
    engine = ForecastEngine(conn, model=model, draws=20)
    like = FIRST_CUSTOMER_ID
    theirs = engine.source.ordered_products(AS_OF, [like])
    other = next(i for i in known_products(conn) if i not in theirs)
    won = Scenario("one", (Change("customer_won", like=like, products=(other,)),))
    with passing_rows(conn):
        add_line(conn, product_id=other, customer_id=like, day=day)
        if day < 0:
            (scenario,) = engine.compare_scenarios([won], None, AS_OF).scenarios
            assert scenario["total"]["difference_quantity"] > 0.0
        else:
            with pytest.raises(ArgumentError, match=f"ordered no product {other} before"):
                engine.compare_scenarios([won], None, AS_OF)


def test_rows_before_the_date_do_change_scenarios(conn, model, untouched_whatif):
    with passing_rows(conn):
        add_line(conn, product_id=1, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert whatif_bytes(conn, model) != untouched_whatif


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte_of_what_an_event_does(
    conn, rhythm_with_events, untouched_event, lines
):
    with future_rows(conn, lines):
        assert event_bytes(conn, rhythm_with_events) == untouched_event


def test_rows_before_the_date_do_change_what_an_event_does(
    conn, rhythm_with_events, untouched_event
):
    with passing_rows(conn):
        add_line(conn, product_id=1, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert event_bytes(conn, rhythm_with_events) != untouched_event


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte_of_an_explanation(
    conn, rhythm, untouched_explanations, lines
):
    with future_rows(conn, lines):
        assert explained_bytes(conn, rhythm) == untouched_explanations


@pytest.mark.parametrize("product_id", [1, OTHER_PRODUCT])
def test_rows_before_the_date_do_change_explanations(
    conn, rhythm, untouched_explanations, product_id
):
    with passing_rows(conn):
        add_line(conn, product_id=product_id, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert explained_bytes(conn, rhythm) != untouched_explanations


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_nothing_that_is_fitted_to(conn, untouched_fit, lines):
    with future_rows(conn, lines):
        assert fit_bytes(conn) == untouched_fit


@pytest.mark.parametrize("change", ["price", "quantity", "new pair"])
def test_rows_before_the_date_do_change_it(conn, model, untouched, change):
    """The properties above could not fail if the rows did not matter."""
    with passing_rows(conn):
        line = {"product_id": 1, "customer_id": FIRST_CUSTOMER_ID, "day": -1}
        add_line(conn, **line, price=77.0 if change == "price" else 9.5)
        assert forecast_bytes(conn, model) != untouched


SHUFFLED = """
    CREATE TABLE chosen AS FROM dbo.OrderItem WHERE Created {when} $as_of;
    DELETE FROM dbo.OrderItem WHERE Created {when} $as_of;
    INSERT INTO dbo.OrderItem
        SELECT one.ID, one.OrderID, other.ProductID, other.Qty, other.PricePerItem, one.Created
        FROM (SELECT *, row_number() OVER (ORDER BY ID) AS place FROM chosen) one
        JOIN (SELECT *, row_number() OVER (ORDER BY hash(ID)) AS place FROM chosen) other
            USING (place)"""
CHANGED_LINES = {
    "re-priced": "UPDATE dbo.OrderItem SET PricePerItem = 3 * ID WHERE Created {when} $as_of",
    "without prices": "UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE Created {when} $as_of",
    "shuffled": SHUFFLED,
}


@pytest.mark.parametrize("change", CHANGED_LINES.values(), ids=CHANGED_LINES)
@pytest.mark.parametrize("when", [">=", "<"])
def test_prices_of_lines_at_or_after_the_date_change_no_byte(
    orders, model, untouched, change, when
):
    """Those before it do."""
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        for statement in change.format(when=when).split(";"):
            named = {"as_of": AS_OF} if "$as_of" in statement else {}
            conn.execute(statement, named)
        assert (forecast_bytes(conn, model) == untouched) == (when == ">=")


@pytest.mark.parametrize("product_id", [1, OTHER_PRODUCT])
def test_rows_before_the_date_do_change_what_is_fitted_to(conn, untouched_fit, product_id):
    with passing_rows(conn):
        add_line(conn, product_id=product_id, customer_id=FIRST_CUSTOMER_ID, day=-1)
        assert fit_bytes(conn) != untouched_fit


@pytest.mark.parametrize("day", [-1, 0])
def test_an_order_of_another_product_counts_where_customers_days_are_read(
    conn, model, untouched, day
):
    """Only the days of its customer tell; on the as-of date it does not."""
    with passing_rows(conn):
        add_line(conn, product_id=OTHER_PRODUCT, customer_id=FIRST_CUSTOMER_ID, day=day)
        changed = forecast_bytes(conn, model) != untouched
        assert changed == (model.reads_customer_days and day < 0)


@pytest.mark.parametrize("day", [-1, 0])
@pytest.mark.parametrize("views", [False, True])
def test_a_return_touches_orders_before_the_date_only_if_it_was_before_it(
    conn, model, untouched, untouched_views, day, views
):
    """It takes back the last order that there was: as seen at the date, that order stood."""
    last = as_source(conn).order_events(AS_OF, [1])
    row = int(np.argmax(last.day))
    returned = {"customer_id": int(last.customer_id[row]), "quantity": -float(last.quantity[row])}
    with passing_rows(conn):
        add_line(conn, product_id=1, day=day, **returned)
        stands = as_source(conn).order_events(AS_OF, [1])
        assert (len(stands) == len(last)) == (day == 0)
        said, before = (
            (view_bytes(conn, model), untouched_views)
            if views
            else (forecast_bytes(conn, model), untouched)
        )
        assert (said == before) == (day == 0)


@pytest.mark.parametrize("day", [-1, 0, 9])
@pytest.mark.parametrize("views", [False, True])
def test_a_product_replaced_on_the_date_or_later_changes_no_byte(
    conn, model, untouched, untouched_views, day, views
):
    """One that was replaced before it does, whenever its orders were."""
    replaced = Replaced(2, 1, AS_OF + timedelta(day))
    keep_replaced(conn, [replaced])
    try:
        said, before = (
            (view_bytes(conn, model), untouched_views)
            if views
            else (forecast_bytes(conn, model), untouched)
        )
        assert (said == before) == (day >= 0)
    finally:
        conn.execute("DROP TABLE dbo.ProductReplaced")


def test_codes_of_products_and_customers_change_no_byte(conn, model, untouched):
    """Whatever is in their table, of customers yet to come, too: no forecast reads it."""
    conn.execute(
        "CREATE TABLE dbo.Code AS SELECT 'product' AS Kind, ID, 'SKU-' || ID AS Code"
        " FROM dbo.Product UNION ALL SELECT 'customer', ID, 'C-' || ID FROM dbo.Client"
    )
    try:
        assert forecast_bytes(conn, model) == untouched
    finally:
        conn.execute("DROP TABLE dbo.Code")


@pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=1)])
def test_an_instant_counts_by_its_day_in_the_zone(orders, before):
    """At midnight in Berlin it is still the day before in UTC."""
    lines = orders.order_lines[orders.order_lines.product_id == 1]
    lines = lines.assign(ordered_at=lines.ordered_at.dt.tz_localize("Europe/Berlin"))
    midnight = pd.Timestamp(AS_OF, tz="Europe/Berlin") - before
    added = lines.tail(1).assign(ordered_at=midnight, quantity=77.0, order_id=10**9)
    engines = [
        ForecastEngine.from_frame(frame, timezone="Europe/Berlin", clock=lambda: NOON)
        for frame in (lines, pd.concat([lines, added]))
    ]
    seen = [repr(engine.generate_forecast(1, AS_OF)) for engine in engines]
    assert (seen[0] == seen[1]) is (not before)
