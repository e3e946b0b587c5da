"""Inside a backtest nothing at or after the as-of date changes a bit of any forecast or fit.

Each version predicts twice: on the orders as they are, and with rows of the future in every table.
A planted peer that looks ahead is caught by the same comparison.
"""

from importlib.metadata import entry_points
from pathlib import Path

import duckdb
import pytest

from backtests.run.fitting import Fitting, fit_all, patterns_before
from backtests.run.folder import ScoreTables
from backtests.run.harness import no_bar
from backtests.run.provenance import ProductSample
from backtests.run.tasks import Task, score
from tests.backtests.planted import DATABASE, bytes_of
from tests.conftest import AS_OF, add_line
from toolkit.cluster.orders import OrdersAt
from toolkit.installed import ENTRY_POINT_GROUP
from toolkit.model import FittedModel, find_model
from toolkit.sources.generator import FIRST_CUSTOMER_ID

VERSIONS = sorted(
    point.name
    for point in entry_points(group=ENTRY_POINT_GROUP)
    if point.module.startswith("models.")
)
NEW_CUSTOMER = 999_999
BRIEFLY = {"pairs": 200, "draws": 20, "tune": 60, "chains": 2}
HAPPENED = {
    *("next_week", "next_day", "orders", "quantity", "ordered_28d", "hit", "pit", "pit_next"),
    *(
        "crps",
        "crps_next",
        "crps_orders",
        "poisson_deviance",
        "absolute_error",
        "log_loss",
        "brier",
    ),
    *("cover50", "cover80", "cover90"),
}
"""Columns in which what happened has its part; all others are what was known and said."""


@pytest.fixture(scope="module")
def future(order_file, tmp_path_factory) -> Path:
    """The same orders, and more of everything from the date on: nothing before it is touched."""
    path = tmp_path_factory.mktemp("future") / "orders.duckdb"
    path.write_bytes(order_file.read_bytes())
    with duckdb.connect(str(path)) as conn:
        conn.execute("INSERT INTO dbo.Client VALUES ($id, 'Newcomer');", {"id": NEW_CUSTOMER})
        conn.execute("INSERT INTO dbo.ClientAgreement VALUES ($id, $id)", {"id": NEW_CUSTOMER})
        conn.execute("UPDATE dbo.Client SET Name = 'Renamed ' || Name")
        conn.execute("UPDATE dbo.Product SET Name = 'Renamed ' || Name")
        conn.execute("INSERT INTO dbo.Product VALUES (777, 'New')")
        first = FIRST_CUSTOMER_ID
        for product, customer, day, quantity, price, added in [
            (1, first, 0, 1e6, 1e6, 0),
            (1, NEW_CUSTOMER, 3, 5.0, 0.01, 3),
            (2, first + 1, 40, -7.0, 9.5, 40),  # a return
            (3, first + 2, -20, 9.0, 77.0, 5),  # a line added later to an order of before
            (777, first + 3, 6, 4.0, 9.5, 6),
        ]:
            add_line(
                conn,
                product_id=product,
                customer_id=customer,
                day=day,
                quantity=quantity,
                price=price,
                added=added,
            )
        conn.execute(
            "UPDATE dbo.OrderItem SET Qty = 10 * Qty + 3, PricePerItem = 2 * PricePerItem"
            " WHERE Created >= $as_of",
            {"as_of": AS_OF},
        )
    return path


@pytest.fixture
def looks_at(monkeypatch):
    """Where the planted peer looks ahead."""
    return lambda database: monkeypatch.setenv(DATABASE, str(database))


def task(model: str, database: Path, fits: Path) -> Task:
    return Task(
        orders=OrdersAt.now(database),
        content="",
        fits=fits,
        as_of_date=AS_OF,
        label="version",
        model=model,
        horizon_weeks=12,
        observed_weeks=12,
        draws=20,
        seed=1,
        pit_seed=1,
        sample=ProductSample(1.0, 1),
        shard=0,
        shards=1,
    )


def forecast(model: str, database: Path, fits: Path) -> ScoreTables:
    """What is said as of the date by a version that was fitted to what was known then."""
    if not isinstance(find_model(model), FittedModel):
        fitting = Fitting(model=model, as_of_date=AS_OF, seed=1, **BRIEFLY)
        (fitted,) = fit_all([fitting], OrdersAt.now(database), fits, 2, no_bar).values()
        assert fitted.error is None
        model = fitted.model
    return score(task(model, database, fits)).tables


def differences(one: ScoreTables, other: ScoreTables) -> list[str]:
    """Columns of what was said that are not the same to the last bit."""
    names = ("pairs", "product_weeks", "totals", "past")
    tables = [(getattr(one, name), getattr(other, name)) for name in names]
    spoken = [(a, b) for a, b in tables if not (a is None and b is None)]
    assert spoken  # a peer says something of pairs, of products, or of both
    found = []
    for a, b in spoken:
        assert list(a) == list(b)
        assert len(a) == len(b)
        found += [c for c in a if c not in HAPPENED and not a[c].equals(b[c])]
    return found


def test_what_happened_does_differ(order_file, future, tmp_path):
    """The test below could not fail if the rows of the future did not arrive."""
    one, other = (forecast("pair_conjugate", d, tmp_path) for d in (order_file, future))
    assert not one.product_weeks.quantity.equals(other.product_weeks.quantity)
    assert not one.pairs.next_day.equals(other.pairs.next_day)


FITTED = {
    *("bg_nbd", "ensemble", "lapse_gamma", "pareto_nbd", "pooled_gamma", "rhythm"),
    "rhythm_boosted",
}
"""Their fits take longest; the test at the end, which is fast, holds what they are shown."""


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[pytest.mark.slow] if model in FITTED else [])
        for model in [*VERSIONS, "records"]
    ],
)
@pytest.mark.usefixtures("planted")
def test_rows_of_the_future_change_no_bit_of_what_is_said(model, order_file, future, tmp_path):
    one, other = (forecast(model, database, tmp_path) for database in (order_file, future))
    assert differences(one, other) == []


def test_rows_of_the_future_change_no_bit_of_what_is_fitted_to(order_file, future):
    """A fit is shown nothing else, so that one stands for both above."""
    one, other = (patterns_before(database, AS_OF, True) for database in (order_file, future))
    assert bytes_of(one) == bytes_of(other)


@pytest.mark.usefixtures("planted")
def test_a_peer_that_looks_ahead_is_caught(order_file, future, tmp_path, looks_at):
    tables = []
    for database in (order_file, future):
        looks_at(database)
        tables.append(forecast("looks_ahead", database, tmp_path))
    assert differences(*tables) == ["expected_orders"]


@pytest.mark.usefixtures("planted")
def test_a_row_before_the_date_does_change_what_a_model_is_shown(order_file, tmp_path):
    earlier = tmp_path / "earlier.duckdb"
    earlier.write_bytes(order_file.read_bytes())
    with duckdb.connect(str(earlier)) as conn:
        add_line(conn, product_id=1, customer_id=FIRST_CUSTOMER_ID, day=-1)
    shown = [bytes_of(patterns_before(database, AS_OF, True)) for database in (order_file, earlier)]
    assert shown[0] != shown[1]
    one, other = (forecast("records", database, tmp_path) for database in (order_file, earlier))
    assert one.pairs.expected_orders.iloc[-1] != other.pairs.expected_orders.iloc[-1]
