import logging
import random
import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from toolkit.cache import lane as lane_module
from toolkit.cache.adhoc.forecasts import (
    PATIENCE_S,
    CacheClient,
    Fields,
    ForecastCache,
    ForecastKey,
    Hit,
)
from toolkit.cache.limited_log import LIMITED
from toolkit.cache.releases.catalog import Release, Releases, ReleaseSpec
from toolkit.cache.server import EmbeddedServer, embedded_server

PATIENT_S = 20.0
"""Where an answer comes and time is not what is tested: enough on any machine, however busy."""

DAY = date(2025, 11, 11)
GENERATED = "2025-11-11T03:00:00Z"

COMPUTED_WITH: dict[str, str | int | float] = {
    "forecast_weeks": 12,
    "min_orders": 2,
    "min_confidence": 0.3,
    "model_name": "pair_conjugate",
    "model_version": "1.0",
    "draws": 200,
    "seed": 7,
}


def until(condition: Callable[[], object], limit_s: float = 60.0) -> bool:
    """Whether it comes to be true, looked at every now and then; the limit is for what hangs."""
    deadline = time.monotonic() + limit_s
    while not (came := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(came)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[EmbeddedServer]:
    with embedded_server() as server:
        yield server


@pytest.fixture
def server(shared_server: EmbeddedServer) -> EmbeddedServer:
    """A healthy server, empty."""
    shared_server.client().flushall()
    return shared_server


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that a test may break."""
    with embedded_server() as server:
        yield server


@pytest.fixture
def key() -> ForecastKey:
    return ForecastKey(123, date(2025, 11, 11), COMPUTED_WITH)


@pytest.fixture
def forecast() -> Fields:
    """About 20 KB, with names from many scripts and floats of 17 digits."""
    random_ = random.Random(5)

    def customer() -> Fields:
        name = random_.choice(['Café "Žluť" \\', "Ресторан №", "寿司 🍣", "O'Hara\n", "\ud800"])
        return {
            "customer_id": random_.randrange(10**6),
            "customer_name": f"{name}{random_.randrange(10**5)}",
            "predicted_quantity": random_.expovariate(0.01),
            "expected_orders": random_.random() * 10.0 ** random_.randrange(-20, 20),
            "confidence": random_.random(),
        }

    return {
        "product_id": 123,
        "forecast_period_weeks": 12,
        "summary": {"total_predicted_quantity": 0.1 + 0.2, "tiny": 5e-324, "big": 1.7e308},
        "weekly_forecasts": [
            {"week_number": week, "expected_customers": [customer() for _ in range(8)]}
            for week in range(1, 13)
        ],
        "top_customers_by_volume": [customer(), {"next_order_date": None}],
        "at_risk_customers": [],
        "model_metadata": {"as_of_date": "2025-11-11", "seed": 2**63 - 1, "good": True},
    }


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings (and worse) logged since the last look."""
    caplog.set_level(logging.INFO, logger="toolkit.cache")

    def look() -> list[str]:
        found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        caplog.clear()
        LIMITED.reset()
        return found

    return look


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long each operation on the server could have been waited for, one after another.

    What a call may wait is decided by the program, and how long it took by the machine as well:
    tests look at the former.
    """
    granted: list[float] = []
    done_within = lane_module._Job.done_within

    def noted(job: lane_module._Job, patience_s: float) -> bool:
        granted.append(patience_s)
        return done_within(job, patience_s)

    monkeypatch.setattr(lane_module._Job, "done_within", noted)
    return granted


type Call = Callable[..., tuple[str, float]]


@pytest.fixture
def call(key: ForecastKey, forecast: Fields, waits: list[float]) -> Call:
    """What a cached call does around its computation: what came of it, and what it cost.

    Its read and its write together never wait for longer than it has patience.
    """

    def cached_call(client: CacheClient, patience_s: float = PATIENCE_S) -> tuple[str, float]:
        waits.clear()
        start = time.perf_counter()
        cache = ForecastCache(client, patience_s=patience_s)
        found = cache.read(key)
        if isinstance(found, Hit):
            outcome = "hit"
        else:
            outcome = "stored" if cache.write(key, forecast, after=found) else "miss"
        took = time.perf_counter() - start
        assert len(waits) <= 2
        assert waits[:1] in ([], [patience_s])
        assert waits == sorted(waits, reverse=True)
        return outcome, took

    return cached_call


@pytest.fixture
def patient_call(call: Call) -> Call:
    """The same without haste, where time is not what is tested."""
    return lambda client: call(client, patience_s=PATIENT_S)


@pytest.fixture
def publish(server: EmbeddedServer, forecast: Fields) -> Callable[..., Release]:
    """Make a release current: product ids, an as-of date; each value says ``mark``."""

    def made(ids=range(1, 6), as_of=DAY, mark="", client=None, **spec) -> Release:
        spec = ReleaseSpec(as_of, {"mark": mark, **COMPUTED_WITH}, list(ids), **spec)
        with Releases(client or server.client()).stage(spec, lock_s=PATIENT_S) as staging:
            staging.put({i: product(forecast, i, as_of, mark) for i in spec.product_ids})
            return staging.publish()

    return made


def product(forecast: Fields, product_id: int, as_of: date, mark: str) -> Fields:
    metadata = {"as_of_date": as_of.isoformat(), "mark": mark, "generated_at": GENERATED}
    return {**forecast, "product_id": product_id, "model_metadata": metadata}


def spec(mark="", ids=range(1, 6), as_of=DAY, **more):
    return ReleaseSpec(as_of, {"mark": mark, **COMPUTED_WITH}, list(ids), **more)


def put(staging, forecast, ids=None):
    asked = staging.spec
    mark = asked.computed_with["mark"]
    staging.put({i: product(forecast, i, asked.as_of_date, mark) for i in ids or asked.product_ids})
