"""Reads over HTTP, of one worker: ``python -m tests.bench.service`` on a machine that idles."""

import random
from collections.abc import Iterator

import httpx
import psutil

from tests.bench.figure import Figure
from tests.bench.http_load import Load, load
from tests.cache.conftest import PATIENT_S, Releases, put, spec, until
from tests.service.conftest import running
from toolkit.cache.server import embedded_server

PRODUCTS = range(1, 101)
SECONDS = 10
TARGET, TARGET_304 = 3_000, 6_000


def measure_service() -> Iterator[Figure]:
    """Whole answers, half of their target's rate, and those that have not changed."""
    with embedded_server(512) as server:
        asked = spec("bench", PRODUCTS)
        with Releases(server.client()).stage(asked, lock_s=PATIENT_S) as staging:
            put(staging, forecast_of_20_kb())
            staging.publish()
        with running(server.url, "--no-access-log", patience_s=0.5) as service:
            assert until(service.ready)
            yield from _figures(service)


def _figures(service) -> Iterator[Figure]:
    paths = [f"/v1/forecasts/{i}" for i in PRODUCTS]
    plain = {"accept-encoding": "identity"}
    answer = httpx.get(f"{service.url}{paths[0]}", headers=plain, trust_env=False)
    load(service.url, paths, 2)
    whole, cpu_us = _measured(service, paths)
    name = f"reads over HTTP, 1 worker, {len(answer.content):,} bytes"
    yield Figure(name, whole.rate, "/s", TARGET, at_most=False)
    yield Figure("of it the service's processor", cpu_us, "µs")
    half, _ = _measured(service, paths, rate=TARGET / 2)
    yield Figure(f"{name}, at half of that, 99 %", 1000 * half.quantile(0.99), "ms", 15)
    tag = {"if-none-match": answer.headers["etag"]}
    same, cpu_us = _measured(service, paths[:1], headers=tag)
    assert set(same.statuses) == {304}
    yield Figure("304s over HTTP, 1 worker", same.rate, "/s", TARGET_304, at_most=False)
    yield Figure("of it the service's processor", cpu_us, "µs")


def _measured(service, paths, **more) -> tuple[Load, float]:
    """A load, and what an answer of it costs the service's processor, in microseconds."""
    process = psutil.Process(service.process.pid)
    before = sum(process.cpu_times()[:2])
    found = load(service.url, paths, SECONDS, **more)
    used = sum(process.cpu_times()[:2]) - before
    return found, 1e6 * used / sum(found.statuses.values())


def forecast_of_20_kb() -> dict[str, object]:
    """A forecast with customers in every week, as long as real ones."""
    chosen = random.Random(5)

    def customer() -> dict[str, object]:
        return {
            "customer_id": chosen.randrange(10**6),
            "customer_name": f"Customer {chosen.randrange(10**5)}",
            "predicted_quantity": chosen.expovariate(0.01),
            "expected_orders": chosen.random(),
            "confidence": chosen.random(),
        }

    return {
        "product_id": 0,
        "forecast_period_weeks": 12,
        "summary": {"product_name": "Product"},
        "weekly_forecasts": [
            {"week_number": week, "expected_customers": [customer() for _ in range(10)]}
            for week in range(1, 13)
        ],
        "top_customers_by_volume": [customer() for _ in range(5)],
        "at_risk_customers": [],
        "model_metadata": {},
    }


if __name__ == "__main__":
    for figure in measure_service():
        print(f"{figure.figure}: {figure.value:,.1f} {figure.unit}", figure.met)
