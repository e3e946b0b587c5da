"""Orders that are stated: each answer is that of a database that holds them, the day after."""

from datetime import timedelta

import numpy as np
import pytest

from tests.conftest import AS_OF, add_line
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.sources.received import ReceivedOrder, WithReceived
from toolkit.sources.sql import as_source

CUSTOMERS = [FIRST_CUSTOMER_ID + i for i in range(60)]
NEXT_DAY = AS_OF + timedelta(1)
NEW_PRODUCT = 800
ORDERS = (
    ReceivedOrder(CUSTOMERS[3], 2, 0.1),
    ReceivedOrder(CUSTOMERS[3], 2, 0.2),
    ReceivedOrder(CUSTOMERS[3], NEW_PRODUCT, 7.0),
    ReceivedOrder(CUSTOMERS[40], 1, 5.0),
)


@pytest.fixture
def both(database):
    """The orders as they are stated, and as a database holds them; nothing else is of that day."""
    database.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'New')")
    stated = WithReceived(as_source(database), AS_OF, ORDERS)
    untouched = database.execute("SELECT count(*) FROM dbo.OrderItem").fetchone()

    def held():
        database.execute("DELETE FROM dbo.OrderItem WHERE Created >= ?", [AS_OF])
        for order in ORDERS:
            add_line(
                database, product_id=order.product_id, customer_id=order.customer_id, day=0,
                quantity=order.quantity, price=None,
            )  # fmt: skip
        return as_source(database)

    assert (
        untouched
        > database.execute(
            "SELECT count(*) FROM dbo.OrderItem WHERE Created < ?", [AS_OF]
        ).fetchone()
    ), "lines of the day itself and later are there to be left out"
    return stated, held


@pytest.mark.parametrize("ids", [None, [2, NEW_PRODUCT], [3]])
def test_order_events_are_those_of_the_database(both, ids):
    stated, held = both
    said, known = stated.order_events(NEXT_DAY, ids), held().order_events(NEXT_DAY, ids)
    assert said.as_of_date == known.as_of_date == NEXT_DAY
    for column in ("product_id", "customer_id", "day", "quantity"):
        one, other = getattr(said, column), getattr(known, column)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert (said.day == -1).sum() == {None: 3, 2: 2, 3: 0}[ids and ids[0]]


@pytest.mark.parametrize("who", [CUSTOMERS, CUSTOMERS[:3], CUSTOMERS[40:41]])
def test_days_and_products_of_customers_are_those_of_the_database(both, who):
    stated, held = both
    days, products = stated.customer_days(NEXT_DAY, who), stated.ordered_products(NEXT_DAY, who)
    known = held()
    same = known.customer_days(NEXT_DAY, who)
    for column in ("customer_id", "day", "products"):
        one, other = getattr(days, column), getattr(same, column)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert products == known.ordered_products(NEXT_DAY, who)


def test_names_and_prices_are_those_of_the_database(both):
    stated, held = both
    said, names = stated.products(NEXT_DAY, [1, 2, NEW_PRODUCT]), stated.customer_names(CUSTOMERS)
    known = held()
    assert said == known.products(NEXT_DAY, [1, 2, NEW_PRODUCT])
    assert names == known.customer_names(CUSTOMERS)


def test_it_is_known_as_of_the_day_after_alone(both):
    stated, _ = both
    for ask in (stated.order_events, lambda day: stated.products(day, [1])):
        with pytest.raises(ValueError, match="are known as of 2022-06-07 alone"):
            ask(AS_OF)
