"""An export whose values are made by other processes: what readers get is the same."""

import pickle
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from models.pair_conjugate import PairConjugate
from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF
from tests.export.test_job import SETTINGS
from tests.tracking.fits import rhythm_fit
from toolkit.cache.releases.catalog import Releases
from toolkit.cluster.workers import open_workers
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, ClusterError, SourceError
from toolkit.export import job, shards
from toolkit.export.job import ExportSettings, export_release
from toolkit.export.shards import EngineSpec, workers_maker
from toolkit.model import find_model
from toolkit.results.metadata import RegisteredVersion
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.parquet.writing import writing_to
from toolkit.stages.listing import ProductThresholds, Thresholds

LENIENT = ExportSettings(AS_OF, allowed_errors=0.5)
WHEN = re.compile(rb'"generated_at":"[^"]*"|"crc32":\d+')
OWN = ("published_at", "epoch", "until", "expires_at", "at")
"""Fields that tell when a release was published."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """12 products in four."""
    monkeypatch.setattr(job, "BATCH", 3)


@pytest.fixture
def file(orders, tmp_path):
    path = tmp_path / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


@pytest.fixture
def engine(file):
    """With thresholds of its own for one product."""
    with duckdb.connect(str(file), read_only=True) as conn:
        yield ForecastEngine(
            conn,
            8,
            thresholds=ProductThresholds(Thresholds(2, 0.3), {1: Thresholds(50, 1.0)}),
            default_price=2.5,
            draws=50,
            seed=3,
        )


def everything(client):
    """All that the server holds, but for times, and digests of what tells one."""
    return {key: _held(client, key) for key in sorted(client.scan_iter())}


def _held(client, key):
    kind = client.type(key)
    if kind == b"string":
        return WHEN.sub(b"", client.get(key)) if b":product:" in key else b""
    if kind == b"hash":
        fields = client.hgetall(key)
        if key.endswith(b":index"):
            return {field: entry.rpartition(b":")[2] for field, entry in fields.items()}
        return {field: said for field, said in fields.items() if field.decode() not in OWN}
    return client.lrange(key, 0, -1) if kind == b"list" else kind


@contextmanager
def processes(folder):
    with open_workers(2) as workers:
        yield workers, []


@contextmanager
def dask(folder):
    with (
        dask_cluster(folder / "dask") as (head, hands),
        open_workers(1, head.address) as workers,
    ):
        yield workers, hands


@pytest.mark.slow
@pytest.mark.parametrize("kind", [processes, dask])
def test_the_release_is_the_same(kind, engine, file, client, tmp_path):
    here = export_release(engine, client, SETTINGS)
    expected = everything(client)
    client.flushall()
    told = []

    def progress(done, total):
        told.append((done, total))
        if len(told) == 2:
            for hand in hands[:1]:
                hand.kill_worker()

    with kind(tmp_path) as (workers, hands):
        make = workers_maker(workers, engine, file, tmp_path / "work")
        there = export_release(engine, client, SETTINGS, progress, make=make)
    assert there.published
    assert there.release == here.release
    assert everything(client) == expected
    assert any(b":pairs:" in key for key in expected)
    assert any(key.endswith(b":at-risk") for key in expected)
    assert there.products == here.products
    assert there.details == here.details
    assert told == [(0, 12), (3, 12), (6, 12), (9, 12), (12, 12)]
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.slow
def test_products_that_fail_are_named_as_they_are_here(file, client, tmp_path):
    with duckdb.connect(str(file)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET PricePerItem = 1e308 WHERE ProductID = 2")
    with duckdb.connect(str(file), read_only=True) as conn, open_workers(2) as workers:
        engine = ForecastEngine(conn, 8, draws=50)
        here = export_release(engine, client, LENIENT)
        make = workers_maker(workers, engine, file, tmp_path / "work")
        there = export_release(engine, client, LENIENT, make=make)
    assert there.failed == here.failed
    assert [product.product_id for product in there.failed] == [2]
    assert there.products == here.products


@pytest.mark.slow
def test_the_scheduler_is_lost_and_readers_keep_what_they_had(engine, file, client, tmp_path):
    first = export_release(engine, client, SETTINGS)
    other = ForecastEngine(engine.conn, 8, draws=50, seed=4)
    with dask_cluster(tmp_path / "dask", workers=1) as (head, _):

        def kill(done, total):
            if done == 6:
                head.kill()

        with open_workers(1, head.address) as workers:
            make = workers_maker(workers, other, file, tmp_path / "work")
            with pytest.raises(ClusterError, match="lost"):
                export_release(other, client, SETTINGS, kill, make=make)
    assert Releases(client).current().release_id == first.release
    assert not list((tmp_path / "work").iterdir())
    again = export_release(other, client, SETTINGS)
    assert again.resumed >= 6
    assert Releases(client).current().release_id == again.release


def test_a_fit_that_workers_have_not_goes_along_and_is_loaded_once(database, tmp_path):
    version = RegisteredVersion(3, "a" * 32)
    engine = ForecastEngine(database, 8, model=rhythm_fit(), registered=version, seed=3)
    spec = EngineSpec.of(engine, tmp_path / "orders.duckdb", None, tmp_path / "fits")
    told = pickle.loads(pickle.dumps(spec))
    assert told == spec
    assert {path.exists() for path in told.reads[1:]} == {True}
    model = shards._model(told.model, told.fits)
    assert (model.name, model.version) == ("rhythm", rhythm_fit().version)
    assert shards._model(spec.model, spec.fits) is model
    assert (told.weeks, told.draws, told.seed) == (8, engine.predictor.draws, 3)
    assert told.registered == version


def test_workers_use_the_parameters_of_a_model_that_needs_no_fit(database, tmp_path):
    model = PairConjugate(rate_shape=1.0)
    spec = EngineSpec.of(
        ForecastEngine(database, model=model), tmp_path / "orders.duckdb", None, tmp_path / "fits"
    )
    assert shards._model(spec.model, spec.fits) == model != find_model("pair_conjugate")
    plain = EngineSpec.of(ForecastEngine(database), tmp_path / "orders.duckdb", None, tmp_path)
    assert shards._model(plain.model, plain.fits) is find_model("pair_conjugate")


def test_what_the_report_counts_is_not_warned_of_by_workers_either(orders, tmp_path, caplog):
    file = tmp_path / "orders.duckdb"
    _import(orders, file, "file")
    with duckdb.connect(str(file)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Qty = 'nan' WHERE ID = (SELECT min(ID) FROM"
                     " dbo.OrderItem WHERE ProductID = 2)")  # fmt: skip
        spec = EngineSpec.of(ForecastEngine(conn), file, None, tmp_path / "fits")
    spec = replace(spec, orders=shards.digest_of(file))
    task = shards.Batch(spec, AS_OF, "r1", (1, 2), 100, tmp_path / "values.arrow")
    assert shards.make_batch(task) == {}
    assert not caplog.records
    with duckdb.connect(str(file), read_only=True) as conn:
        assert ForecastEngine(conn).generate_forecast(2, AS_OF) is not None
    assert "Left out customer" in caplog.text


def test_a_place_for_tasks_in_an_object_store_is_refused(database, client):
    engine = ForecastEngine(database)
    with open_workers(2) as workers:
        make = workers_maker(workers, engine, Path("orders.duckdb"), Path("s3://shop/work"))
        with pytest.raises(ArgumentError, match="got s3://shop/work: only orders"):
            export_release(engine, client, SETTINGS, make=make)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_import_meanwhile_ends_the_export(kind, engine, orders, tmp_path):
    """Workers would read its orders, of which the plan and the release's digest know nothing."""
    database = tmp_path / kind
    _import(orders, database, kind)
    spec = EngineSpec.of(engine, database, shards.digest_of(database), tmp_path / "fits")
    task = shards.Batch(spec, AS_OF, "r1", (1, 2), 100, tmp_path / "values.arrow")
    assert shards.make_batch(task) == {}
    _import(generate_orders(Truth(customers=20, products=12, pairs=90), seed=6), database, kind)
    with pytest.raises(SourceError, match="holds other orders than when the export began"):
        shards.make_batch(task)


def _import(orders, database, kind):
    """Its orders take the place of those that were there, as an import's do."""
    part = database.with_name("part")
    with duckdb.connect(":memory:" if kind == "folder" else str(part)) as conn:
        load_orders(orders, conn)
        if kind == "folder":
            with writing_to(database) as writing:
                writing.write_from(conn)
    if kind == "file":
        part.replace(database)


@pytest.mark.slow
def test_a_release_is_never_of_two_imports(engine, orders, file, client, tmp_path):
    first = export_release(engine, client, SETTINGS)
    other = ForecastEngine(engine.conn, 8, draws=50, seed=4)
    with open_workers(2) as workers:
        make = workers_maker(workers, other, file, tmp_path / "work")

        def replace(done, total):
            if done == 3:
                _import(
                    generate_orders(Truth(customers=20, products=12, pairs=90), seed=6),
                    file,
                    "file",
                )

        with pytest.raises(SourceError, match="an import took their place"):
            export_release(other, client, SETTINGS, replace, make=make)
    assert Releases(client).current().release_id == first.release
    assert not list((tmp_path / "work").iterdir())
