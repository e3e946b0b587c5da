"""What a return takes back: by hand, and as a slow twin does it unit by unit."""

from collections import Counter
from datetime import date
from time import process_time

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.helpers import Line, database, rows_of
from toolkit.data.tables import CustomerDays, OrderEvents
from toolkit.sources.embedded.returned import returned
from toolkit.sources.returns import RETURN_DAYS, offset_returns


def net_of(rows) -> OrderEvents:
    """Rows of (product, customer, day, net quantity), sorted here."""
    product, customer, day, quantity = zip(*sorted(rows), strict=True) if rows else ((),) * 4
    ids = (np.array(column, dtype=np.int64) for column in (product, customer, day))
    return OrderEvents(date(2024, 1, 1), *ids, np.array(quantity, dtype=float))


def offset(*days):
    """What stands of one pair's (day, net quantity), and what reverses nothing."""
    tables = offset_returns(net_of([(1, 101, day, quantity) for day, quantity in days]))
    return tuple([row[2:] for row in rows_of(table)] for table in tables)


def test_the_latest_order_is_taken_back_first():
    assert offset((-30, 5.0), (-20, 4.0), (-10, 3.0), (-9, -6.0)) == ([(-30, 5.0), (-20, 1.0)], [])


def test_what_is_wholly_taken_back_is_no_event():
    assert offset((-30, 5.0), (-7, 80_995.0), (-6, -80_995.0)) == ([(-30, 5.0)], [])
    assert offset((-7, 2.0), (-6, -2.0)) == ([], [])


def test_an_order_after_the_return_is_not_touched():
    assert offset((-9, -2.0), (-8, 2.0)) == ([(-8, 2.0)], [(-9, 2.0)])


def test_each_return_in_its_turn():
    """The second finds what the first left: each of its own day, the latest before it."""
    days = (-40, 6.0), (-30, 2.0), (-29, -3.0), (-20, 4.0), (-19, -1.0), (-18, -5.0), (-10, 1.0)
    assert offset(*days) == ([(-40, 3.0), (-10, 1.0)], [])


def test_what_finds_no_order_is_left_over():
    assert offset((-9, 2.0), (-8, -5.0)) == ([], [(-8, 3.0)])


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (RETURN_DAYS, ([(-1 - RETURN_DAYS, 1.0)], [])),
        (RETURN_DAYS + 1, ([(-2 - RETURN_DAYS, 3.0)], [(-1, 2.0)])),
    ],
)
def test_an_order_may_be_so_old_and_no_older(days, expected):
    assert offset((-1 - days, 3.0), (-1, -2.0)) == expected


def test_fractions_leave_no_crumbs():
    assert offset((-5, 0.1), (-4, 0.2), (-3, -0.3)) == ([], [])
    assert offset((-5, 1.0), (-4, 0.1), (-3, 0.2), (-2, -0.3)) == ([(-5, 1.0)], [])


def test_an_order_of_no_known_quantity_stands():
    (stands, left) = offset((-5, 3.0), (-4, np.nan), (-3, -1.0))
    assert repr(stands) == "[(-5, 2.0), (-4, nan)]"
    assert left == []


def test_neither_another_customer_nor_another_product_is_touched():
    net = net_of([(1, 101, -5, 3.0), (1, 102, -4, -1.0), (2, 101, -4, -1.0), (2, 102, -5, 3.0)])
    stands, left = offset_returns(net)
    assert rows_of(stands) == [(1, 101, -5, 3.0), (2, 102, -5, 3.0)]
    assert rows_of(left) == [(1, 102, -4, 1.0), (2, 101, -4, 1.0)]


def test_without_returns_nothing_is_touched():
    net = net_of([(1, 101, -5, 3.0), (1, 101, -4, 0.25), (2, 7, -4, 1e12)])
    stands, left = offset_returns(net)
    assert rows_of(stands) == rows_of(net)
    assert rows_of(left) == []
    assert rows_of(offset_returns(net_of([]))[0]) == []


def slow_twin(net):
    """A unit is a quarter. Each returned one looks for the last day with one left to take back."""
    left = {row[:3]: max(0, round(4 * row[3])) for row in rows_of(net)}
    unmatched = {}
    for product, customer, day, quantity in sorted(rows_of(net), key=lambda row: row[2]):
        reach = [
            then
            for p, c, then in left
            if (p, c) == (product, customer) and day - RETURN_DAYS <= then < day
        ]
        for _ in range(round(-4 * quantity)):
            days = [then for then in reach if left[product, customer, then]]
            key = product, customer, day
            if days:
                left[product, customer, max(days)] -= 1
            else:
                unmatched[key] = unmatched.get(key, 0) + 1
    return (
        [(*key, units / 4) for key, units in sorted(left.items()) if units],
        [(*key, units / 4) for key, units in sorted(unmatched.items())],
    )


net_rows = st.tuples(
    st.integers(1, 2),
    st.integers(101, 102),
    st.sampled_from([-200, -120, -101, -100, -99, -40, -30, -11, -10, -9, -3, -2, -1]),
    st.integers(-24, 24).map(lambda units: units / 4),
)


@given(st.lists(net_rows, max_size=40, unique_by=lambda row: row[:3]))
def test_as_a_slow_twin_takes_back(rows):
    net = net_of(rows)
    stands, left = offset_returns(net)
    assert (rows_of(stands), rows_of(left)) == slow_twin(net)
    assert stands.quantity.sum() - left.quantity.sum() == net.quantity.sum()


def test_as_a_slow_twin_takes_back_of_many(seeded):
    rng = np.random.default_rng(seeded(22))
    places = rng.choice(9 * 9 * 300, 3_000, replace=False).tolist()  # so that no day comes twice
    units = (rng.integers(-30, 40, len(places)) / 4).tolist()
    net = net_of(
        [
            (place // 2700, place // 300 % 9, place % 300 - 300, quantity)
            for place, quantity in zip(places, units, strict=True)
        ]
    )
    stands, left = offset_returns(net)
    assert (rows_of(stands), rows_of(left)) == slow_twin(net)
    assert len(left) > 20
    assert len(stands) > 200


def test_time_grows_with_the_rows_alone():
    """Each return looked at all rows of 90 days: the 100,000 here took seconds."""
    days = np.tile(np.arange(-500, 0), 200)
    customers = np.repeat(np.arange(200), 500)
    net = OrderEvents(date(2024, 1, 1), customers * 0 + 1, customers, days, days * 0.0 - 1.0)
    start = process_time()
    stands, left = offset_returns(net)
    assert process_time() - start < 1.0
    assert (len(stands), len(left)) == (0, 100_000)


def days_of(rows):
    """Rows of (customer, day, products) as a table, sorted here."""
    columns = zip(*sorted(rows), strict=True) if rows else ((), (), ())
    return CustomerDays(*(np.array(column, dtype=np.int64) for column in columns))


day_rows = st.lists(
    st.tuples(st.integers(1, 2), st.integers(-4, -1), st.integers(1, 9)),
    max_size=6,
    unique_by=lambda row: row[:2],
)


@given(day_rows, day_rows)
def test_customers_days_together(one, other):
    both = days_of(one).together(days_of(other))
    columns = (both.customer_id, both.day, both.products)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    expected = Counter()
    for customer, day, products in [*one, *other]:
        expected[customer, day] += products
    assert found == [(*key, products) for key, products in sorted(expected.items())]


RETURNED_LINES = """
    SELECT oi.ProductID AS product_id, o.ClientAgreementID AS customer_id,
           CAST(oi.Created AS DATE) AS day, oi.Qty AS quantity
    FROM dbo.OrderItem oi JOIN dbo."Order" o ON o.ID = oi.OrderID"""


def test_what_came_back_in_all():
    lines = [
        Line(1, 101, 1, -9, quantity=5),
        Line(2, 101, 1, -8, quantity=-4),
        Line(3, 102, 1, -9, quantity=2),
        Line(4, 102, 1, -9, quantity=-2),
        Line(5, 103, 1, -9, quantity=1),
        Line(6, 103, 1, -8, quantity=-3.5),
        Line(7, 103, 2, -8, quantity=-3.5, price=1.0),
        Line(8, 101, 3, -8, quantity=7),
    ]
    with database(lines) as conn:
        found = returned(conn, RETURNED_LINES)
    assert (found.units, found.cancelled) == (13.0, 2)
    assert [(row[0], row[1], row[3]) for row in rows_of(found.unmatched)] == [
        (1, 103, 2.5),
        (2, 103, 3.5),
    ]
    assert str(found) == (
        "returns, offset against the same customer's orders of the product, up to 90 days before: "
        "13 units; order events wholly cancelled: 2; reversing no order and left out: 6 units"
    )


def test_where_nothing_came_back():
    with database([Line(1, 101, 1, -9)]) as conn:
        found = returned(conn, RETURNED_LINES)
    assert (found.units, found.cancelled, len(found.unmatched)) == (0.0, 0, 0)
    assert found.finding("order_lines") is None


def test_lines_of_no_finite_day_or_quantity_came_back_from_nowhere():
    with duckdb.connect() as conn:
        conn.execute(
            "CREATE TABLE lines AS SELECT 1 AS product_id, 2 AS customer_id, * FROM (VALUES"
            " (CAST('infinity' AS DATE), -1.0::DOUBLE), (DATE '2024-01-01', 'nan'), (NULL, -2.0),"
            " (DATE '2024-01-01', NULL), (DATE '2024-01-01', -4.0)) AS given(day, quantity)"
        )
        assert returned(conn, "FROM lines").units == 4.0
