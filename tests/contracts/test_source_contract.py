"""What every order source keeps. A new source is one more entry of ``SOURCES``."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from statistics import mean, median_low
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.helpers import (
    AS_OF,
    NAMES,
    PRODUCTS,
    Line,
    PyformatConnection,
    assert_same_events,
    database,
    filled,
    rows_of,
)
from tests.tds.wires import Wires
from toolkit.data.tables import CustomerDays
from toolkit.errors import SourceError
from toolkit.sources.base import OrderSource, ProductInfo, replacements_of
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.parquet.reading import create_views
from toolkit.sources.parquet.writing import writing_to
from toolkit.sources.prices import RECENT_DAYS, RECENT_LINES, SLIP
from toolkit.sources.sql import all_names, as_source, last_order_day, weekly_quantities

WIRES = Wires()
"""Connections of the real driver to the databases of a test; see ``hung_up``."""

FOLDERS = []
"""Folders of Parquet of a test."""


def in_parquet(conn):
    """The orders written into a folder, and read from there through the same connection."""
    folder = TemporaryDirectory()
    FOLDERS.append(folder)
    with writing_to(folder.name, lines_per_bucket=8) as writing:
        manifest = writing.write_from(conn)
    conn.execute("DROP SCHEMA dbo CASCADE")
    create_views(conn, writing.place, manifest)
    return as_source(conn)


# Each makes a source of the orders in a DuckDB database.
DATABASES = {
    "duckdb": as_source,
    "db_api": lambda conn: as_source(PyformatConnection(conn)),
    "sqlserver": lambda conn: as_source(WIRES.connect(conn)),
}
SOURCES = DATABASES | {"parquet": in_parquet}


@pytest.fixture(params=SOURCES)
def open_source(request):
    return SOURCES[request.param]


@pytest.fixture(params=DATABASES)
def open_database(request):
    """Only of sources that ask the tables themselves, whatever is done to them."""
    return DATABASES[request.param]


@pytest.fixture(autouse=True)
def hung_up():
    yield
    WIRES.hang_up()
    while FOLDERS:
        FOLDERS.pop().cleanup()


LINES = [
    Line(1, 102, 1, -10, quantity=2, price=5.0),
    Line(1, 102, 2, -10, quantity=7, price=3.0),
    Line(2, 102, 1, -10, quantity=3, price=6.0, hour=9),
    Line(3, 101, 1, -1, quantity=4, price=8.0, hour=23),
    Line(4, 101, 1, -30, quantity=1, price=4.0),
    Line(5, 103, 3, -5, quantity=1, price=None),
]


order_lines = st.builds(
    Line,
    order_id=st.integers(1, 8),
    customer_id=st.sampled_from(sorted(NAMES)),
    product_id=st.sampled_from(sorted(PRODUCTS)),
    day=st.integers(-6, 4),
    quantity=st.sampled_from([1.0, 2.5, -1.0, None]),
    price=st.sampled_from([1.0, 2.0, None]),
    added=st.none() | st.integers(-6, 4),
    hour=st.integers(0, 23),
)


@pytest.fixture(scope="module")
def kept():
    """Two databases for tests that fill them by the hundred."""
    with duckdb.connect() as one, duckdb.connect() as other:
        yield one, other


def consistent(lines):
    """The same lines, where an order has one customer and one date."""
    first = {}
    for line in lines:
        first.setdefault(line.order_id, line)
    return [
        replace(x, customer_id=first[x.order_id].customer_id, day=first[x.order_id].day)
        for x in lines
    ]


def days_of(days):
    """Customers' days as tuples (customer, day, products), in their order."""
    columns = (days.customer_id, days.day, days.products)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def everything(source, product_ids=tuple(PRODUCTS)):
    """All that a source says at ``AS_OF``, comparable with ==."""
    return (
        rows_of(source.order_events(AS_OF)),
        rows_of(source.order_events(AS_OF, product_ids)),
        days_of(source.customer_days(AS_OF, tuple(NAMES))),
        source.ordered_products(AS_OF, tuple(NAMES)),
        [source.ordered_products(AS_OF, [customer]) for customer in NAMES],
        source.products(AS_OF, product_ids),
        source.customer_names(tuple(NAMES)),
    )


def queries_during(conn, action):
    """The statements that the database itself saw."""
    conn.execute("CALL truncate_duckdb_logs()")
    conn.execute("CALL enable_logging('QueryLog')")
    action()
    conn.execute("CALL disable_logging()")
    seen = conn.execute("SELECT message FROM duckdb_logs WHERE type = 'QueryLog'").fetchall()
    return [message for (message,) in seen if "logging" not in message]


def connections(conn):
    return conn.execute("SELECT * FROM duckdb_connection_count()").fetchone()[0]


def test_is_a_source(open_source):
    assert isinstance(open_source(database(LINES)), OrderSource)


def test_events_are_net_sums_per_product_customer_day_in_order(open_source):
    events = open_source(database(LINES)).order_events(AS_OF)
    assert rows_of(events) == [
        (1, 101, -30, 1.0),
        (1, 101, -1, 4.0),
        (1, 102, -10, 5.0),
        (2, 102, -10, 7.0),
        (3, 103, -5, 1.0),
    ]
    assert events.as_of_date == AS_OF
    assert events.day.dtype == events.product_id.dtype == events.customer_id.dtype == np.int64
    assert events.quantity.dtype == np.float64


def test_events_of_a_list_of_products(open_source):
    source = open_source(database(LINES))
    assert {row[0] for row in rows_of(source.order_events(AS_OF, [3, 1, 99, 3]))} == {1, 3}
    assert len(source.order_events(AS_OF, [99])) == 0
    assert len(source.order_events(AS_OF, np.array([2], dtype=np.int32))) == 1


def test_customer_days_are_distinct_days_in_order(open_source):
    days = open_source(database(LINES)).customer_days(AS_OF, [103, 102, 101])
    assert days_of(days) == [(101, -30, 1), (101, -1, 1), (102, -10, 2), (103, -5, 1)]
    assert days.customer_id.dtype == days.day.dtype == days.products.dtype == np.int64


def test_customer_days_of_those_who_are_asked_for(open_source):
    source = open_source(database(LINES))
    assert days_of(source.customer_days(AS_OF, [103, 99, 102, 103])) == [
        (102, -10, 2),
        (103, -5, 1),
    ]
    assert days_of(source.customer_days(AS_OF, np.array([103], dtype=np.int32))) == [(103, -5, 1)]
    assert days_of(source.customer_days(AS_OF, [99])) == []


def test_customer_days_end_at_midnight(open_source):
    lines = [
        Line(1, 101, 1, -1, hour=23),
        Line(2, 101, 2, 0, hour=0),
        Line(3, 102, 1, -2, hour=0),
        Line(3, 102, 2, -2, added=0),
        Line(4, 103, 1, 0, added=-1, hour=0),
    ]
    source = open_source(database(lines))
    assert days_of(source.customer_days(AS_OF, list(NAMES))) == [(101, -1, 1), (102, -2, 1)]
    day_after = source.customer_days(AS_OF + timedelta(1), list(NAMES))
    assert days_of(day_after) == [
        (101, -2, 1),
        (101, -1, 1),
        (102, -3, 1),
        (102, -1, 1),
        (103, -2, 1),
    ]


def test_ordered_products_are_those_of_the_customers_asked_for(open_source):
    source = open_source(database(LINES))
    assert source.ordered_products(AS_OF, [102, 99, 102]) == [1, 2]
    assert source.ordered_products(AS_OF, np.array([103, 101], dtype=np.int32)) == [1, 3]
    assert source.ordered_products(AS_OF, [99]) == []
    assert source.ordered_products(AS_OF - timedelta(10), list(NAMES)) == [1]


def test_ordered_products_end_at_midnight(open_source):
    lines = [Line(1, 101, 1, -1, hour=23), Line(2, 101, 2, 0, hour=0), Line(3, 101, 3, -2, added=0)]
    source = open_source(database(lines))
    assert source.ordered_products(AS_OF, [101]) == [1]
    noon = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 12)
    assert source.ordered_products(noon, [101]) == [1]
    assert source.ordered_products(AS_OF + timedelta(1), [101]) == [1, 2, 3]


def test_all_names_and_the_last_day(open_source):
    source = open_source(database(LINES, products={1: "Nuts", 2: None}))
    assert all_names(source, "product") == {1: "Nuts"}
    assert all_names(source, "customer") == NAMES
    assert last_order_day(source) == AS_OF - timedelta(1)
    assert last_order_day(open_source(database([]))) is None


def test_products_carry_name_and_recent_price_before_the_date(open_source):
    """Of the nuts one unit was sold at 4.0, two at 5.0, three at 6.0 and four at 8.0."""
    source = open_source(database(LINES))
    assert source.products(AS_OF, [3, 1, 2, 99]) == {
        1: ProductInfo("Nuts", 6.4),
        2: ProductInfo("Bolts", 3.0),
        3: ProductInfo("Nails", None),
    }
    assert source.products(AS_OF - timedelta(10), [1]) == {1: ProductInfo("Nuts", 4.0)}


def test_a_product_without_a_name(open_source):
    source = open_source(database(LINES, products={1: None}))
    assert source.products(AS_OF, [1]) == {1: ProductInfo(None, 6.4)}


def test_customers_without_a_name_are_left_out(open_source):
    source = open_source(database(LINES, names={101: "Ann", 103: None}))
    assert source.customer_names([103, 102, 101, 101, 7]) == {101: "Ann"}


def test_no_ids_need_no_query(open_source):
    conn = database(LINES)
    source = open_source(conn)
    replacements_of(source)  # read once, whatever is asked later

    def ask():
        assert len(source.order_events(AS_OF, [])) == 0
        assert days_of(source.customer_days(AS_OF, [])) == []
        assert source.ordered_products(AS_OF, []) == []
        assert source.products(AS_OF, []) == {}
        assert source.customer_names([]) == {}

    assert queries_during(conn, ask) == []


def test_an_empty_database(open_source):
    source = open_source(database([], products={}, names={}))
    assert everything(source) == ([], [], [], [], [[], [], []], {}, {})


@pytest.mark.parametrize("count", [1, 1000])
def test_each_question_is_one_query(open_source, count):
    conn = database(LINES)
    source = open_source(conn)
    replacements_of(source)  # read once, whatever is asked later
    ids = list(range(count))
    for ask in (
        lambda: source.order_events(AS_OF, ids),
        lambda: source.order_events(AS_OF),
        lambda: source.customer_days(AS_OF, ids),
        lambda: source.ordered_products(AS_OF, ids),
        lambda: source.products(AS_OF, ids),
        lambda: source.customer_names(ids),
    ):
        assert len(queries_during(conn, ask)) == 1


def test_returns_are_netted_and_what_nets_to_nothing_is_no_event(open_source):
    lines = [
        Line(1, 101, 1, -9, quantity=5),
        Line(2, 101, 1, -9, quantity=-2, hour=8),
        Line(3, 102, 1, -9, quantity=3),
        Line(4, 102, 1, -9, quantity=-3, hour=8),
        Line(5, 103, 1, -9, quantity=-1),
        Line(6, 103, 1, -8, quantity=4),
    ]
    source = open_source(database(lines))
    assert rows_of(source.order_events(AS_OF)) == [(1, 101, -9, 3.0), (1, 103, -8, 4.0)]
    assert days_of(source.customer_days(AS_OF, list(NAMES))) == [(101, -9, 1), (103, -8, 1)]


def test_a_return_takes_back_the_latest_orders_before_it(open_source):
    """By hand: of 101 the last order and a part of the one before, of 102 all there was."""
    lines = [
        Line(1, 101, 1, -30, quantity=5),
        Line(2, 101, 1, -20, quantity=4, hour=9),
        Line(2, 101, 2, -20, quantity=1),
        Line(3, 101, 1, -10, quantity=3),
        Line(4, 101, 1, -9, quantity=-6, hour=23),
        Line(5, 102, 1, -9, quantity=80_995),
        Line(6, 102, 1, -8, quantity=-80_995),
        Line(7, 103, 1, -8, quantity=-2),
        Line(8, 103, 1, -7, quantity=2),
        Line(9, 103, 0, -7, quantity=1),
        Line(10, 102, 2, -7, quantity=1),
        Line(11, 102, 2, -6, quantity=-1),
    ]
    source = open_source(database(lines))
    expected = [
        (0, 103, -7, 1.0),
        (1, 101, -30, 5.0),
        (1, 101, -20, 1.0),
        (1, 103, -7, 2.0),
        (2, 101, -20, 1.0),
    ]
    assert rows_of(source.order_events(AS_OF)) == expected
    assert days_of(source.customer_days(AS_OF, list(NAMES))) == [
        (101, -30, 1),
        (101, -20, 2),
        (103, -7, 2),
    ]
    assert source.ordered_products(AS_OF, [102]) == [1, 2]


def test_a_return_touches_no_order_as_it_was_known_before_it(open_source):
    """Neither one at the date nor one later; the day after the return the order is gone."""
    lines = [
        Line(1, 101, 1, -3, quantity=7),
        Line(2, 101, 1, 0, quantity=-7),
        Line(1, 101, 2, -3, quantity=7),
        Line(1, 101, 2, -3, quantity=-7, added=0),  # a line that is added to the order itself
    ]
    source = open_source(database(lines))
    known = [(1, 101, -3, 7.0), (2, 101, -3, 7.0)]
    assert rows_of(source.order_events(AS_OF)) == known
    assert rows_of(source.order_events(AS_OF, [1, 2])) == known
    assert days_of(source.customer_days(AS_OF, [101])) == [(101, -3, 2)]
    day_after = AS_OF + timedelta(1)
    assert rows_of(source.order_events(day_after)) == []
    assert days_of(source.customer_days(day_after, [101])) == []


returned_lines = st.builds(
    Line,
    order_id=st.integers(1, 30),
    customer_id=st.sampled_from([101, 102]),
    product_id=st.sampled_from([1, 2]),
    day=st.integers(-6, 1),
    quantity=st.sampled_from([1.0, 2.5, 2.5, -1.0, -2.5]),
)


@pytest.mark.parametrize("open_source", SOURCES.values(), ids=SOURCES)
@settings(deadline=None, max_examples=30)
@given(lines=st.lists(returned_lines, min_size=10, max_size=30).map(consistent))
def test_events_are_the_same_whichever_way_they_are_asked_for(open_source, kept, lines):
    source = open_source(filled(kept[0], lines))
    events = source.order_events(AS_OF)
    whole, days = rows_of(events), days_of(CustomerDays.of(events))
    assert rows_of(source.order_events(AS_OF, list(PRODUCTS))) == whole
    parts = [rows_of(source.order_events(AS_OF, [i])) for i in PRODUCTS]
    assert [row for part in parts for row in part] == whole
    assert days_of(source.customer_days(AS_OF, list(NAMES))) == days
    parts = [days_of(source.customer_days(AS_OF, [i])) for i in NAMES]
    assert [row for part in parts for row in part] == days


def test_what_was_then_ordered_is_less_what_came_back_in_those_weeks(open_source):
    """A return of an order of before leaves nothing negative behind; one after them counts not."""
    lines = [
        Line(1, 101, 1, -2, quantity=9),
        Line(2, 101, 1, 3, quantity=-9),
        Line(3, 102, 1, 1, quantity=5),
        Line(4, 102, 1, 8, quantity=-2),
        Line(5, 103, 1, 9, quantity=4),
        Line(6, 103, 1, 14, quantity=-4),
        Line(7, 103, 2, 30),
    ]
    source = open_source(database(lines))
    assert weekly_quantities(source, 1, AS_OF, 2) == [3.0, 4.0]
    assert weekly_quantities(source, 1, AS_OF, 3) == [3.0, 0.0, 0.0]
    assert weekly_quantities(source, 1, AS_OF - timedelta(7), 1) == [9.0]


def test_a_return_of_one_product_does_not_cancel_another(open_source):
    lines = [Line(1, 101, 1, -9, quantity=2), Line(2, 101, 2, -9, quantity=-5)]
    assert days_of(open_source(database(lines)).customer_days(AS_OF, [101])) == [(101, -9, 1)]


def test_fractions_net_to_nothing_too(open_source):
    parts = [0.1, 0.2, -0.3]
    lines = [Line(i, 101, 1, -2, quantity=q) for i, q in enumerate(parts, start=1)]
    source = open_source(database(lines))
    assert len(source.order_events(AS_OF)) == 0
    assert days_of(source.customer_days(AS_OF, [101])) == []


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_a_quantity_that_is_no_number_is_nan(open_source, nothing):
    lines = [Line(1, 101, 1, -9, quantity=nothing), Line(2, 101, 1, -8, quantity=2)]
    source = open_source(database(lines))
    np.testing.assert_array_equal(source.order_events(AS_OF).quantity, [np.nan, 2.0])
    assert days_of(source.customer_days(AS_OF, [101])) == [(101, -9, 1), (101, -8, 1)]


def test_a_clock_time_on_the_as_of_date_lets_nothing_more_in(open_source):
    source = open_source(database([*LINES, Line(9, 101, 1, 0, hour=8)]))
    noon = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 12)
    events = source.order_events(noon, [1])
    assert_same_events(events, source.order_events(AS_OF, [1]))
    assert days_of(source.customer_days(noon, [101])) == days_of(source.customer_days(AS_OF, [101]))
    assert source.products(noon, [1]) == source.products(AS_OF, [1])


def price_of(source, product_id=1):
    return source.products(AS_OF, [product_id])[product_id].unit_price


def test_a_price_counts_as_often_as_units_were_sold_at_it(open_source):
    usual = [Line(i, 101, 1, -i, quantity=2, price=5.0) for i in range(2, 6)]
    bulk = Line(9, 101, 1, -1, quantity=12, price=4.5)
    assert price_of(open_source(database([*usual, bulk]))) == 4.7


def test_a_slip_sets_no_price(open_source):
    """Ten times the median, or a tenth of it, is the most that is believed."""
    usual = [Line(i, 101, 1, -i, quantity=2, price=5.0) for i in range(2, 6)]
    for odd, expected in ((0.49, 5.0), (0.5, 4.5), (50.0, 10.0), (50.1, 5.0)):
        lines = [*usual, Line(9, 101, 1, -1, price=odd)]
        assert price_of(open_source(database(lines))) == pytest.approx(expected)


def test_of_a_price_only_the_latest_lines_tell(open_source):
    """So many at most: of those of one instant, the ones with the highest ids."""
    lines = [Line(1, 101, 1, -9, quantity=1000, price=3.0)]
    lines += [Line(i, 101, 1, -9, price=float(i)) for i in range(4, 4 + RECENT_LINES)]
    assert price_of(open_source(database(lines))) == 16.0  # 4 … 28
    mean = (3_000 + sum(range(4, 28))) / 1024
    assert price_of(open_source(database(lines[:-1]))) == mean
    assert (
        price_of(open_source(database(lines[1:] + lines[:1]))) == (3_000 + sum(range(5, 29))) / 1024
    )


def test_an_old_price_is_forgotten_once_there_is_a_new_one(open_source):
    old = Line(1, 101, 1, -9 - RECENT_DAYS, quantity=999, price=3.0, hour=23)
    assert price_of(open_source(database([old]))) == 3.0
    assert price_of(open_source(database([old, Line(2, 101, 1, -9, price=7.0)]))) == 7.0
    assert price_of(open_source(database([old, Line(2, 101, 1, -10, price=7.0)]))) == 3.004


@pytest.mark.parametrize(
    "telling", [{"quantity": -50}, {"price": 0.0}, {"price": -1.0}, {"price": None}]
)
def test_what_tells_no_price(open_source, telling):
    """Returns, gifts, and lines without a price; of these alone there is none."""
    silent = Line(2, 101, 1, -2, **{"quantity": 50, "price": 99.0} | telling)
    assert price_of(open_source(database([Line(1, 101, 1, -9, price=5.0), silent]))) == 5.0
    assert price_of(open_source(database([silent]))) is None


@pytest.mark.parametrize("nothing", [float("nan"), float("inf"), 1e13])
def test_a_line_of_no_known_quantity_tells_no_price(open_source, nothing):
    lines = [Line(1, 101, 1, -9, price=5.0), Line(2, 101, 1, -2, quantity=nothing, price=99.0)]
    assert price_of(open_source(database(lines))) == 5.0


def test_ids_beyond_32_bits(open_source):
    big = 2**53 + 1
    source = open_source(database([Line(big, big, big, -1)], products={big: "Far"}))
    assert rows_of(source.order_events(AS_OF, [big])) == [(big, big, -1, 1.0)]
    assert days_of(source.customer_days(AS_OF, [big])) == [(big, -1, 1)]
    assert source.products(AS_OF, [big])[big].name == "Far"


@pytest.mark.parametrize("open_source", SOURCES.values(), ids=SOURCES)
@settings(deadline=None, max_examples=30)
@given(lines=st.lists(order_lines, max_size=25).map(consistent))
def test_nothing_at_or_after_the_date_is_seen(open_source, kept, lines):
    known = [line for line in lines if line.day < 0 and (line.added or line.day) < 0]
    known = [line for line in known if line.added != 0]
    past, whole = map(filled, kept, (known, lines))
    assert repr(everything(open_source(whole))) == repr(everything(open_source(past)))


@pytest.mark.parametrize("open_source", SOURCES.values(), ids=SOURCES)
@settings(deadline=None, max_examples=20)
@given(data=st.data(), lines=st.lists(order_lines, max_size=25).map(consistent))
def test_the_order_of_rows_changes_no_event(open_source, kept, data, lines):
    shuffled = data.draw(st.permutations(lines))
    one, other = map(filled, kept, (lines, shuffled))
    assert repr(everything(open_source(one))) == repr(everything(open_source(other)))


def slow_price(lines, product_id):
    """Unit by unit, in quarters: a sum of those is exact."""
    known = [x for x in lines if x.product_id == product_id and max(x.day, x.added or x.day) < 0]
    known = [x for x in known if x.added != 0 and x.price and x.quantity and x.quantity > 0]
    moment_and_id = {id(x): (x.item_created(), i) for i, x in enumerate(lines)}
    known = sorted(known, key=lambda x: moment_and_id[id(x)])[-RECENT_LINES:]
    if not known:
        return None
    last = known[-1].item_created().date()
    recent = [x for x in known if (last - x.item_created().date()).days < RECENT_DAYS]
    paid = [Fraction(x.price) for x in recent for _ in range(int(4 * x.quantity))]
    median = median_low(paid)
    return float(mean(price for price in paid if median / SLIP <= price <= SLIP * median))


def random_lines(rng, count):
    """Lines of three products in the months around the date: returns, gifts, late additions too."""
    day = rng.integers(-2 * RECENT_DAYS, 5, count).tolist()
    late = rng.integers(0, 20, count).tolist()
    quantity = rng.choice([0.25, 0.5, 1.0, 2.5, 7.0, -1.0, None], count).tolist()
    price = rng.choice([1.0, 1.5, 2.0, 2.5, 3.0, 0.125, 24.0, 0.0, None], count).tolist()
    product, hour = rng.integers(1, 4, count).tolist(), rng.integers(0, 24, count).tolist()
    return [
        Line(
            i, 101, product[i], day[i], quantity[i], price[i],
            added=day[i] + late[i] if late[i] < 5 else None, hour=hour[i],
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("count", [4, 12, 40, 240])
def test_prices_agree_with_a_slow_twin(open_source, kept, count):
    rng = np.random.default_rng(count)
    for _ in range(10):
        lines = random_lines(rng, count)
        found = open_source(filled(kept[0], lines)).products(AS_OF, list(PRODUCTS))
        prices = np.array([found[i].unit_price for i in PRODUCTS], dtype=float)  # None is NaN
        expected = np.array([slow_price(lines, i) for i in PRODUCTS], dtype=float)
        np.testing.assert_allclose(prices, expected, rtol=1e-12)


@pytest.mark.parametrize("open_source", SOURCES.values(), ids=SOURCES)
@settings(deadline=None, max_examples=30)
@given(lines=st.lists(order_lines, max_size=25).map(consistent))
def test_customer_days_are_those_of_the_order_events(open_source, kept, lines):
    source = open_source(filled(kept[0], lines))
    expected = days_of(CustomerDays.of(source.order_events(AS_OF)))
    assert days_of(source.customer_days(AS_OF, list(NAMES))) == expected


def test_an_item_added_later_to_an_old_order_is_not_known(open_source):
    late = Line(1, 102, 1, -10, quantity=50, price=99.0, added=0)
    early = Line(9, 103, 2, 3, quantity=50, price=99.0, added=-2)
    expected = everything(open_source(database(LINES)))
    assert everything(open_source(database([*LINES, late, early]))) == expected


BROKEN = {
    "a table is missing": 'DROP TABLE dbo."OrderItem"; DROP TABLE dbo.Client',
    "a column is missing": "ALTER TABLE dbo.OrderItem DROP Created; ALTER TABLE dbo.Client DROP ID",
    "an id is text": "ALTER TABLE dbo.OrderItem ALTER ProductID TYPE VARCHAR USING 'x';"
    "ALTER TABLE dbo.Client ALTER ID TYPE VARCHAR USING 'x';"
    "ALTER TABLE dbo.ClientAgreement ALTER ClientID TYPE VARCHAR USING 'x'",
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_a_failing_database_is_one_clear_error_and_leaves_no_cursor(open_database, fault):
    conn = database(LINES)
    conn.execute(fault)
    source = open_database(conn)
    before = connections(conn)
    for subject, ask in {
        "order events": lambda: source.order_events(AS_OF, [1]),
        "customers' order days": lambda: source.customer_days(AS_OF, [101]),
        "customers' products": lambda: source.ordered_products(AS_OF, [101]),
        "products": lambda: source.products(AS_OF, [1]),
        "customer names": lambda: source.customer_names([101]),
    }.items():
        with pytest.raises(SourceError, match=f"^{subject} could not be read: .") as caught:
            ask()
        assert caught.value.__cause__ is not None
        assert connections(conn) == before


def test_the_connection_stays_its_owners(open_database):
    conn = database(LINES)
    source = open_database(conn)
    before = connections(conn)
    first = everything(source)
    assert connections(conn) == before
    conn.execute("INSERT INTO dbo.Client VALUES (200, 'Dee')")
    assert source.customer_names([200]) == {200: "Dee"}
    assert everything(source) == first


def test_a_closed_connection_is_a_source_error(open_source):
    conn = database(LINES)
    source = open_source(conn)
    WIRES.hang_up()
    conn.close()
    with pytest.raises(SourceError, match="could not be read"):
        source.order_events(AS_OF)


def test_an_id_that_is_no_whole_number_is_the_callers_mistake(open_source):
    with pytest.raises(TypeError):
        open_source(database(LINES)).order_events(AS_OF, ["1"])


def test_agrees_with_pandas_on_generated_orders(open_source):
    orders = generate_orders(Truth(customers=40, products=15, pairs=250, days=300), seed=3)
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        as_of = orders.truth.start_date + timedelta(250)
        source = open_source(conn)
        events = source.order_events(as_of)
        days = source.customer_days(as_of, orders.customers.customer_id.tolist())
    frame = orders.order_lines.assign(
        day=(orders.order_lines.ordered_at - np.datetime64(as_of)).dt.days
    )
    expected = frame[frame.day < 0].groupby(["product_id", "customer_id", "day"]).quantity.sum()
    assert [row[:3] for row in rows_of(events)] == list(expected.index)
    np.testing.assert_array_equal(events.quantity, expected)
    products = frame[frame.day < 0].groupby(["customer_id", "day"]).product_id.nunique()
    assert days_of(days) == [(*key, count) for key, count in products.items()]
