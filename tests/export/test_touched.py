"""Which products changed between two as-of dates: by hand, and as a slow twin finds them."""

from collections import defaultdict
from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.helpers import AS_OF, Line, database, rows_of
from toolkit.data.tables import OrderEvents
from toolkit.export.touched import touched_products
from toolkit.sources.sql import as_source

LATER = AS_OF + timedelta(7)


def touched(lines):
    with database(lines) as conn:
        source = as_source(conn)
        found = touched_products(source.order_events(AS_OF), source.order_events(LATER))
    return found.tolist()


def test_what_was_ordered_or_taken_back_since():
    before = [
        line
        for product in (1, 2, 3, 4, 5)
        for line in (Line(product, 101, product, -20, 5.0), Line(product + 10, 102, product, -9))
    ]
    assert touched(before) == []
    since = [
        Line(21, 101, 2, 3, 1.0),  # ordered
        Line(23, 102, 3, 3, -1.0),  # taken back
        Line(24, 101, 4, 0, -2.0),  # taken back in part
        Line(25, 103, 5, 0, -2.0),  # reverses nothing
        Line(26, 101, 1, 7, 2.0),  # as of a later date
        Line(27, 101, 6, 2, 2.0),  # for the first time
    ]
    assert touched([*before, *since]) == [2, 3, 4, 6]


def test_an_order_in_place_of_one_that_was_taken_back():
    lines = [Line(1, 101, 1, -9, 2.0), Line(2, 101, 1, 0, -2.0), Line(3, 101, 1, 3, 2.0)]
    assert touched(lines) == [1]
    assert touched([Line(1, 101, 1, -9, 2.0), Line(2, 101, 1, 0, -2.0)]) == [1]


def test_no_known_quantity_is_no_change():
    assert touched([Line(1, 101, 1, -9, None)]) == []


def events_of(as_of, rows):
    product, customer, day, quantity = zip(*sorted(rows), strict=True) if rows else ((),) * 4
    ids = (np.array(column, dtype=np.int64) for column in (product, customer, day))
    return OrderEvents(as_of, *ids, np.array(quantity, dtype=float))


rows = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(-9, -8), st.integers(1, 2)),
    max_size=9,
    unique_by=lambda row: row[:3],
)


@given(rows, rows)
def test_as_a_slow_twin_finds_them(then, now):
    as_of = date(2024, 1, 1)
    later = events_of(as_of + timedelta(3), [(p, c, day - 3, q) for p, c, day, q in now])
    sets = defaultdict(lambda: (set(), set()))
    for side, given_rows in enumerate((then, now)):
        for row in given_rows:
            sets[row[0]][side].add(row)
    expected = sorted(product for product, (one, other) in sets.items() if one != other)
    earlier = events_of(as_of, then)
    assert touched_products(earlier, later).tolist() == expected
    assert rows_of(earlier) == sorted(then)
