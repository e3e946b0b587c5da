"""What happened after a date: by hand, by a slow twin, and only as far as it was observed."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.scores.actuals import Actuals, events_after
from backtests.scores.history import (
    FirstDays,
    KnownHistory,
    as_classes,
    find_pairs,
    product_classes,
)
from tests.conftest import AS_OF
from tests.models.helpers import patterns_of
from tests.sources.helpers import AS_OF as DAY
from tests.sources.helpers import Line, database, rows_of
from toolkit.data.tables import OrderEvents, Patterns, observed_weeks
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source


def events_of(rows, as_of=date(2024, 1, 1)) -> OrderEvents:
    """Rows of (product, customer, day, quantity), sorted here."""
    product, customer, day, quantity = zip(*sorted(rows), strict=True) if rows else ((),) * 4
    ids = (np.array(column, dtype=np.int64) for column in (product, customer, day))
    return OrderEvents(as_of, *ids, np.array(quantity, dtype=float))


@pytest.mark.parametrize(
    ("last_date", "weeks"),
    [
        (date(2023, 12, 31), 0),
        (date(2024, 1, 6), 0),
        (date(2024, 1, 7), 1),
        (date(2024, 1, 13), 1),
        (date(2024, 3, 24), 12),
        (date(2025, 1, 1), 12),
        (date(2020, 1, 1), 0),
    ],
)
def test_only_whole_weeks_before_the_datas_end_are_observed(last_date, weeks):
    assert observed_weeks(date(2024, 1, 1), last_date, 12) == weeks


def test_actuals_by_hand():
    patterns = patterns_of({(3, 1): [(-9, 2.0)], (3, 2): [(-5, 1.0)], (8, 1): [(-1, 4.0)]})
    later = events_of(
        [
            (3, 1, 0, 5.0),
            (3, 1, 6, 1.0),
            (3, 1, 7, 1.0),
            (3, 9, 13, 100.0),  # a new customer: demand, but no pair of ours
            (4, 1, 3, 50.0),  # a product nobody knew
            (8, 1, 20, 7.0),
        ]
    )
    actuals = Actuals.among(later, (patterns.product_id, patterns.customer_id), 3)
    assert actuals.orders_by_week.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert np.array_equal(actuals.next_day, [0, np.nan, 20], equal_nan=True)
    assert actuals.next_week().tolist() == [0, 3, 2]
    assert actuals.product_id.tolist() == [3, 8]
    assert actuals.quantity.tolist() == [[6.0, 101.0, 0.0], [0.0, 0.0, 7.0]]


rows = st.tuples(st.integers(1, 4), st.integers(-2, 3), st.integers(-40, -1), st.just(1.0))
later_rows = st.tuples(st.integers(1, 5), st.integers(-2, 4), st.integers(0, 27), st.just(2.0))


def one_a_day(found):
    return list({row[:3]: row for row in found}.values())


@given(st.lists(rows, min_size=1, max_size=12), st.lists(later_rows, max_size=25))
def test_actuals_as_a_slow_twin_counts_them(before, after):
    before, after = one_a_day(before), one_a_day(after)
    patterns = Patterns.of(events_of(before))
    actuals = Actuals.among(events_of(after), (patterns.product_id, patterns.customer_id), 4)
    for i, pair in enumerate(zip(patterns.product_id, patterns.customer_id, strict=True)):
        days = sorted(day for p, c, day, _ in after if (p, c) == pair)
        assert np.array_equal(actuals.next_day[i], days[0] if days else np.nan, equal_nan=True)
        assert actuals.next_week()[i] == (days[0] // 7 if days else 4)
        assert actuals.orders_by_week[i].tolist() == [
            sum(day // 7 == week for day in days) for week in range(4)
        ]
    for i, product in enumerate(sorted({p for p, *_ in before})):
        assert actuals.quantity[i].tolist() == [
            sum(q for p, _, day, q in after if p == product and day // 7 == week)
            for week in range(4)
        ]


def test_what_is_read_from_the_source_is_what_came_after(order_file, orders):
    """Against a query that knows nothing of the engine's."""
    with open_database(order_file) as conn:
        later = events_after(as_source(conn), AS_OF, 5)
        expected = conn.execute(
            "SELECT count(DISTINCT (i.ProductID, a.ClientID, i.Created::DATE)), sum(i.Qty)"
            ' FROM dbo.OrderItem i JOIN dbo."Order" o ON o.ID = i.OrderID'
            " JOIN dbo.ClientAgreement a ON a.ID = o.ClientAgreementID"
            " WHERE i.Created >= $start AND i.Created < $stop",
            {"start": AS_OF, "stop": AS_OF + timedelta(weeks=5)},
        ).fetchone()
    assert (len(later), later.quantity.sum()) == expected
    assert (later.day.min(), later.day.max()) == (0, 34)


def test_returns_after_the_date_make_no_actual_negative():
    """What reverses an order of before it leaves the weeks alone; what reverses one of theirs
    takes it out; one after the last of the weeks is not looked at."""
    lines = [
        *(Line(1, 101, 1, -2, quantity=9), Line(2, 101, 1, 3, quantity=-9)),
        *(Line(3, 102, 1, 1, quantity=5), Line(4, 102, 1, 8, quantity=-2)),
        *(Line(5, 103, 1, 9, quantity=4), Line(6, 103, 1, 12, quantity=-4)),
        *(Line(7, 101, 2, 4, quantity=6), Line(8, 101, 2, 14, quantity=-6)),
        *(Line(9, 102, 2, -3, quantity=1), Line(10, 103, 2, 2, quantity=-8)),
    ]
    with database(lines) as conn:
        source = as_source(conn)
        known = source.order_events(DAY)
        later = events_after(source, DAY, 2)
        actuals = Actuals.of(source, Patterns.of(known), 2)
    assert rows_of(known) == [(1, 101, -2, 9.0), (2, 102, -3, 1.0)]
    assert rows_of(later) == [(1, 102, 1, 3.0), (2, 101, 4, 6.0)]
    assert actuals.quantity.tolist() == [[3.0, 0.0], [6.0, 0.0]]
    assert actuals.orders_by_week.tolist() == [[0, 0], [0, 0]]


def test_an_order_on_the_border_of_two_dates_is_known_to_neither_twice():
    """It happened after the second date, from its first minute on, and nowhere else."""
    border = timedelta(weeks=12)
    days = (0, 1, 83, 84, 85, 167, 168)  # 84 is the second date, 168 the end of its weeks
    lines = [Line(i, 101, 1, day, hour=hour) for i, day in enumerate(days) for hour in (0, 23)]
    lines += [Line(99, 102, 1, 84)]
    with database(lines) as conn:
        source = as_source(conn)
        known = [source.order_events(day) for day in (DAY, DAY + border, DAY + 2 * border)]
        after = [events_after(source, day, 12) for day in (DAY, DAY + border)]
    assert [events.day.tolist() for events in known] == [
        [],
        [-84, -83, -1],
        [-168, -167, -85, -84, -83, -1, -84],
    ]
    assert [events.day.tolist() for events in after] == [[0, 1, 83], [0, 1, 83, 0]]
    assert [events.quantity.sum() for events in after] == [6.0, 7.0]


@given(st.lists(rows, min_size=1, max_size=15), st.lists(rows, max_size=15))
def test_pairs_are_found_where_they_are(known, wanted):
    have, want = (
        (np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
        for rows in (sorted({row[:2] for row in known}), [row[:2] for row in wanted])
    )
    row, there = find_pairs(have, want)
    pairs = list(zip(*have, strict=True))
    for i, pair in enumerate(zip(*want, strict=True)):
        assert there[i] == (pair in pairs)
        assert not there[i] or pairs[row[i]] == pair


def test_classes_of_products_by_hand():
    """Weeks count back from the date; a product's history begins with its first order."""
    weekly = [-7 * week - 1 for week in range(8)]
    steady = [(1, 1, day, 10.0) for day in weekly]
    erratic = [(2, 1, day, 1.0 if i % 2 else 19.0) for i, day in enumerate(weekly)]
    rare = [(3, 1, day, 5.0) for day in weekly[::3]]
    lumpy = [(4, 1, day, 1.0 if i % 2 else 99.0) for i, day in enumerate(weekly[::2])]
    once = [(5, 1, -3, 2.0)]
    twice = [(6, 1, -7, 2.0), (6, 2, -7, 2.0), (6, 1, -1, 4.0)]  # one week
    events = events_of(steady + erratic + rare + lumpy + once + twice)
    patterns = Patterns.of(events)
    offset = patterns.event_offset[patterns.product_offsets()[1]]
    classes = as_classes(product_classes(events, offset)).tolist()
    assert classes == ["smooth", "erratic", "intermittent", "lumpy", "smooth", "smooth"]


@pytest.mark.parametrize(("gap", "expected"), [(3, "smooth"), (4, "intermittent")])
def test_the_border_of_intermittence_is_1_32_weeks(gap, expected):
    """25 weeks with 19 or 18 of demand: 1.316 and 1.389 weeks each."""
    weeks = sorted({0, 24} | set(range(25)) - set(range(1, 25, 4)) - ({3} if gap == 4 else set()))
    events = events_of([(1, 1, -7 * week - 2, 1.0) for week in weeks])
    assert len(weeks) == (19 if gap == 3 else 18)
    assert as_classes(product_classes(events, np.array([0, len(events)]))).tolist() == [expected]


def test_history_counts_all_of_a_product_and_all_of_a_customer():
    known = events_of([(3, 1, -90, 1.0), (3, 1, -9, 1.0), (3, 2, -5, 1.0), (8, 2, -70, 1.0)])
    patterns = Patterns.of(known)
    of_three = patterns.select(patterns.product_id == 3)
    history = KnownHistory.of(of_three, FirstDays.of(known))
    assert history.customer_id.tolist() == [1, 2]
    assert history.order_count.tolist() == [2, 1]
    assert history.customer_age_days.tolist() == [90, 70]  # the other product's order counts
    assert history.product_orders_before.tolist() == [3, 3]
    assert history.by_product()[0].tolist() == [3]
