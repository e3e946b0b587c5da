"""Nothing at or after the as-of date changes a byte of any forecast."""

import json
from contextlib import contextmanager

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import AS_OF, NOON, add_line, known_products
from toolkit.engine.run import ForecastEngine
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load

NEW_CUSTOMER = 999_999


@pytest.fixture(scope="module")
def conn(orders):
    with duckdb.connect() as conn:
        load(orders, conn)
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


def forecast_bytes(conn) -> str:
    engine = ForecastEngine(conn, clock=lambda: NOON)
    forecasts = engine.generate_forecasts(known_products(conn), AS_OF, 1, 0.0)
    return json.dumps({i: f and f.to_dict() for i, f in forecasts.items()})


@pytest.fixture(scope="module")
def untouched(conn) -> str:
    return forecast_bytes(conn)


future_lines = st.fixed_dictionaries(
    {
        "product_id": st.integers(1, 12),
        "customer_id": st.one_of(
            st.integers(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 59), st.just(NEW_CUSTOMER)
        ),
        "day": st.integers(-40, 90),
        "quantity": st.sampled_from([1.0, -7.0, 1e9, float("nan")]),
        "price": st.sampled_from([0.01, 1e6]),
        "added": st.integers(0, 200),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(future_lines, min_size=1, max_size=8))
def test_rows_at_or_after_the_date_change_no_byte(conn, untouched, lines):
    """Also a line that is added later to an order from before the date."""
    with passing_rows(conn):
        conn.execute("INSERT INTO dbo.Client VALUES ($id, 'Newcomer');", {"id": NEW_CUSTOMER})
        conn.execute("INSERT INTO dbo.ClientAgreement VALUES ($id, $id)", {"id": NEW_CUSTOMER})
        for line in lines:
            add_line(conn, **line | {"added": max(line["added"], line["day"])})
        assert forecast_bytes(conn) == untouched


@pytest.mark.parametrize("change", ["price", "quantity", "new pair"])
def test_rows_before_the_date_do_change_it(conn, untouched, change):
    """The property above could not fail if the rows did not matter."""
    with passing_rows(conn):
        line = {"product_id": 1, "customer_id": FIRST_CUSTOMER_ID, "day": -1}
        add_line(conn, **line, price=77.0 if change == "price" else 9.5)
        assert forecast_bytes(conn) != untouched
