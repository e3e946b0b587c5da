"""What tests share: generated orders in a real database, and a clock that stands still."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import hypothesis
import pytest

from tests.cache import servers
from tests.chance import Seeds
from toolkit.cache import server as cache_server
from toolkit.cache.limited_log import LIMITED
from toolkit.engine import ForecastEngine
from toolkit.sources.generator import GeneratedOrders, Truth, generate_orders, load_orders

AS_OF = date(2022, 6, 6)
NOON = datetime(2025, 11, 11, 12, tzinfo=UTC)


LONGEST_FIRST = (
    "test_readme.py",
    "models/test_odd_orders.py",
    "notebooks/test_notebooks.py",
    "models/test_calibration.py",
    "test_wheel.py",
    "contracts/test_source_contract.py",
    "engine/test_leakage.py",
    "test_fits.py",
    "backtests/test_backtest.py",
    "tracking/test_promotion.py",
    "contracts/test_model_contract.py",
    "models/test_rhythm_model.py",
    "models/peers/test_purchases.py",
    "models/peers/test_peer_contract.py",
    "backtests/watch/test_watch.py",
    "backtests/test_leakage.py",
    "test_no_access.py",
    "test_extras.py",
    "test_setup.py",
    "tracking/test_serving.py",
)
"""Of the first ones that are fast one compiles what most others call, and the rest call nothing of
it: where nothing is compiled yet, processes would wait for each other for a minute.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    shift = "statistical tests take other seeds, 1000 N higher; laws are tried on other examples"
    parser.addoption("--shift-seeds", type=int, default=0, metavar="N", help=shift)
    other = "a Redis in place of the embedded Valkey"
    parser.addoption("--redis-server", type=Path, metavar="FILE", help=other)


def pytest_configure(config: pytest.Config) -> None:
    """The same examples each time and no limits of time, or load and luck would decide."""
    if (binary := config.getoption("--redis-server")) is not None:
        for module in (cache_server, servers):
            module.get_binary_path = lambda: binary
    hypothesis.settings.register_profile(
        "fixed",
        derandomize=config.getoption("--shift-seeds") == 0,
        database=None,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, or one process would wait for the other at the end."""
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    folder = Path(__file__).parent
    items.sort(key=lambda item: order.get(_under(folder, item.path), len(order)))
    for item in items:
        if "seeded" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.statistical)


def _under(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""


@pytest.fixture(autouse=True)
def _no_warning_was_logged_before() -> None:
    LIMITED.reset()


@pytest.fixture(scope="session")
def seeded(pytestconfig) -> Seeds:
    """``seeded(5)`` instead of 5 as a seed; a test that takes one, however far off, is statistical.

    Its limits have to hold for any seed: see ``tests/chance.py``.
    """
    return Seeds(pytestconfig.getoption("--shift-seeds"))


@pytest.fixture(scope="session")
def orders() -> GeneratedOrders:
    days = (AS_OF - date(2021, 1, 4)).days + 7 * 12
    return generate_orders(Truth(customers=60, products=12, pairs=400, days=days), seed=5)


@pytest.fixture
def database(orders) -> Iterator[duckdb.DuckDBPyConnection]:
    """The generated orders, for one test alone."""
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        yield conn


@pytest.fixture
def engine(database) -> ForecastEngine:
    return ForecastEngine(database, clock=lambda: NOON)


def known_products(conn: duckdb.DuckDBPyConnection) -> list[int]:
    rows = conn.execute("SELECT ID FROM dbo.Product ORDER BY ID").fetchall()
    return [product_id for (product_id,) in rows]


def add_line(conn, *, product_id, customer_id, day, quantity=1.0, price=9.5, added=None) -> None:
    """One more order of one line on ``day`` (relative to ``AS_OF``); ``added``: the line's own."""
    created = AS_OF + timedelta(day)
    item_created = AS_OF + timedelta(added) if added is not None else created
    (order_id,) = conn.execute('SELECT max(ID) + 1 FROM dbo."Order"').fetchone()
    (item_id,) = conn.execute("SELECT max(ID) + 1 FROM dbo.OrderItem").fetchone()
    conn.execute('INSERT INTO dbo."Order" VALUES (?, ?, ?)', [order_id, customer_id, created])
    conn.execute(
        "INSERT INTO dbo.OrderItem VALUES (?, ?, ?, ?, ?, ?)",
        [item_id, order_id, product_id, quantity, price, item_created],
    )
