"""An export whose forecasts are made by a real Dask cluster: what readers get is the same."""

import duckdb
import pytest

from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF, known_products
from tests.export.test_job import SETTINGS, plain
from toolkit.cluster.workers import open_workers
from toolkit.engine import ForecastEngine
from toolkit.export import job
from toolkit.export.job import export_release
from toolkit.export.shards import made_by
from toolkit.sources.generator import load_orders

pytestmark = pytest.mark.slow


@pytest.fixture
def file(orders, tmp_path):
    path = tmp_path / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


def said(client, product_ids):
    """What consumers read, but for the release that it is of, and when it was made."""
    values = {i: plain(client, i) for i in product_ids}
    for value in values.values():
        value["model_metadata"].pop("generated_at", None)
        value.pop("release")
        value.pop("crc32")
    return values


def test_workers_make_the_forecasts_that_the_engine_makes(file, client, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "BATCH", 5)
    with duckdb.connect(str(file), read_only=True) as conn:
        engine, ids = ForecastEngine(conn, 8, draws=50, seed=3), known_products(conn)
        here = export_release(engine, client, SETTINGS)
        first = said(client, ids)
        client.flushall()
        with (
            dask_cluster(tmp_path / "dask") as (head, _),
            open_workers(1, head.address) as workers,
        ):
            make = made_by(workers, engine, file, tmp_path / "work", job.MOST_ERRORS)
            told = []
            there = export_release(
                engine, client, SETTINGS, lambda done, total: told.append((done, total)), make
            )
    assert there.published
    assert said(client, ids) == first
    assert there.products == here.products
    assert there.counts == here.counts
    assert told[0] == (0, 12)
    assert told[-1] == (12, 12)
    assert len(told) == 4
    assert not list((tmp_path / "work").iterdir())
    assert there.as_of_date == AS_OF
