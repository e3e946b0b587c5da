"""Tables of pairs and of customers' days, against slow twins and seen from an earlier date."""

from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.tables import COUNTS, CustomerDays, OrderEvents, PairPredictions, Patterns

AS_OF = date(2024, 1, 1)

# (product, customer, day), each at most once
order_keys = st.sets(
    st.tuples(st.integers(1, 4), st.integers(11, 14), st.integers(-30, -1)), max_size=40
)


def events_of(keys, as_of=AS_OF):
    rows = sorted(keys)
    product, customer, day = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return OrderEvents(as_of, product, customer, day, 1.0 + product + 0.1 * customer)


def patterns_of(keys, products=(1, 2), as_of=AS_OF):
    """The patterns of some products, and all days of everybody."""
    asked = {key for key in keys if key[0] in products}
    return Patterns.of(events_of(asked, as_of), CustomerDays.of(events_of(keys, as_of)))


def seen_earlier(keys, days):
    """What was known ``days`` days before, with days counted from then on."""
    return {(p, c, day + days) for p, c, day in keys if day + days <= -1}


def assert_same(one, other):
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def rows_of(days):
    columns = (days.customer_id, days.day, days.products)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(keys=order_keys)
def test_customer_days_are_the_distinct_days_of_each_customer(keys):
    products = {}
    for product, customer, day in keys:
        products.setdefault((customer, day), set()).add(product)
    expected = [(*key, len(products[key])) for key in sorted(products)]
    days = CustomerDays.of(events_of(keys))
    assert rows_of(days) == expected
    assert days.customer_id.dtype == days.day.dtype == days.products.dtype == np.int64


def test_customer_days_by_hand():
    keys = {(1, 11, -9), (2, 11, -9), (1, 11, -2), (3, 10, -9), (1, 12, -30)}
    days = CustomerDays.of(events_of(keys))
    assert rows_of(days) == [(10, -9, 1), (11, -9, 2), (11, -2, 1), (12, -30, 1)]
    assert rows_of(days.where(days.day > -10)) == [(10, -9, 1), (11, -9, 2), (11, -2, 1)]


@given(keys=order_keys, data=st.data())
def test_days_are_kept_as_they_are(keys, data):
    days = CustomerDays.of(events_of(keys))
    n = len(days.day)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    kept = [row for row, stays in zip(rows_of(days), keep, strict=True) if stays]
    assert rows_of(days.where(keep)) == kept


@given(keys=order_keys, days=st.integers(0, 35))
def test_earlier_is_what_was_known_then(keys, days):
    then = AS_OF - timedelta(days)
    expected = patterns_of(seen_earlier(keys, days), as_of=then)
    earlier = patterns_of(keys).earlier(days)
    assert_same(earlier, expected)
    assert earlier.as_of_date == then


@given(keys=order_keys, one=st.integers(0, 20), more=st.integers(0, 20))
def test_earlier_and_earlier_again_adds_up(keys, one, more):
    patterns = patterns_of(keys)
    assert_same(patterns.earlier(one).earlier(more), patterns.earlier(one + more))


@given(keys=order_keys, days=st.integers(0, 35), later=st.integers(1, 4))
def test_orders_on_the_earlier_date_and_after_it_are_unknown(keys, days, later):
    since = {(later, 11, -days + i) for i in range(min(days, 3))}
    assert_same(patterns_of(keys | since).earlier(days), patterns_of(keys - since).earlier(days))


def test_an_order_on_the_earlier_date_itself_is_not_known():
    patterns = patterns_of({(1, 11, -10), (1, 11, -9), (3, 11, -8), (3, 11, -9)})
    earlier = patterns.earlier(9)
    assert earlier.events.day.tolist() == [-1]
    assert rows_of(earlier.customer_days) == [(11, -1, 1)]
    assert not len(patterns.earlier(10))


@given(keys=order_keys, days=st.integers(0, 35))
def test_earlier_without_customer_days_is_still_without(keys, days):
    patterns = replace(patterns_of(keys), customer_days=None)
    assert_same(
        patterns.earlier(days), replace(patterns_of(keys).earlier(days), customer_days=None)
    )


@given(keys=order_keys, products=st.sets(st.integers(1, 4)))
def test_selected_pairs_keep_their_events_and_everybodys_days(keys, products):
    patterns = patterns_of(keys, products=(1, 2, 3, 4))
    selected = patterns.select(np.isin(patterns.product_id, list(products)))
    assert_same(selected, patterns_of(keys, products))


def test_median_orders_are_the_fewest_that_are_no_less_likely_than_more():
    p = np.zeros((5, COUNTS))
    p[0, [0, 1]] = 0.49, 0.51
    p[1, [0, 3]] = 0.5, 0.5
    p[2, [2, COUNTS - 1]] = 0.3, 0.7
    p[3, [0, 5, 9]] = 0.2, 0.2, 0.2
    p[4] = np.nan
    nothing = {one.name: np.zeros(0) for one in fields(PairPredictions)}
    median = PairPredictions(**nothing | {"order_count_p": p}).median_orders
    np.testing.assert_array_equal(median, [1, 0, COUNTS - 1, 5, np.nan])
