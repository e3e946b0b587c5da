"""Many products together, summed by workers: what comes out is the same, byte for byte."""

import json
import os
import pickle
import shutil
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from models.pair_conjugate import PairConjugate
from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF, NOON
from tests.processes import error_of
from tests.processes import run as run_command
from tests.tracking.fits import rhythm_fit
from toolkit.cluster.on_workers import OnWorkers, on_workers
from toolkit.cluster.orders import OrdersAt
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, ClusterError, OrdersReplacedError, PredictionError
from toolkit.sources.embedded.database import add_category, open_database
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.parquet.writing import writing_to
from toolkit.sources.sql import as_source
from toolkit.stages.listing import ProductThresholds, Thresholds
from toolkit.views import portfolio_parts, portfolio_shards

NEVER = 4711
BATCH = 5
"""12 products in three blocks."""


class InTurn:
    """Workers, as far as tasks can tell, in this process: tasks and results are pickled."""

    @contextmanager
    def seeing(self, reads, folder):
        folder.mkdir(parents=True, exist_ok=True)
        yield

    def each(self, do, tasks, key):
        assert len({key(task) for task in tasks}) == len(tasks)
        for task in reversed(tasks):
            yield task, pickle.loads(pickle.dumps(do(pickle.loads(pickle.dumps(task)))))


class Dying(InTurn):
    """Every process that tries a task dies."""

    def each(self, do, tasks, key):
        yield tasks[0], None


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (portfolio_parts, portfolio_shards):
        monkeypatch.setattr(module, "BLOCK", BATCH)


@pytest.fixture
def file(orders, tmp_path):
    """Products in two categories or none: the first block has all of them, the last one."""
    path = tmp_path / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
        add_category(conn)
        for product, category in {1: "Dairy", 2: "Frozen", 11: "Dairy", 12: "Dairy"}.items():
            conn.execute("UPDATE dbo.Product SET Category = ? WHERE ID = ?", [category, product])
        conn.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 4")
    return path


@pytest.fixture
def engine(file):
    with duckdb.connect(str(file), read_only=True) as conn:
        yield engine_of(conn)


def engine_of(conn, model=None):
    own = {1: Thresholds(50, 1.0), 11: Thresholds(1, 0.0)}
    thresholds = ProductThresholds(Thresholds(2, 0.3), own)
    return ForecastEngine(
        conn, 8, model=model, thresholds=thresholds, draws=50, seed=3, clock=lambda: NOON
    )


def in_turn(file, work, workers=None):
    return OnWorkers(workers or InTurn(), OrdersAt.now(file), work)


def text_of(forecast):
    return json.dumps(forecast.to_dict())


@pytest.mark.parametrize("model", [None, rhythm_fit, lambda: PairConjugate(rate_shape=1.0)])
def test_blocks_are_added_up_to_the_last_bit(model, file, tmp_path):
    by = in_turn(file, tmp_path / "work")
    with duckdb.connect(str(file), read_only=True) as conn:
        engine = engine_of(conn, None if model is None else model())
        for asked in ({}, {"product_ids": [12, NEVER, 3]}, {"category": ["Dairy", "Frozen"]}):
            here = engine.forecast_portfolio(as_of_date=AS_OF, **asked)
            there = engine.forecast_portfolio(as_of_date=AS_OF, **asked, by=by)
            assert text_of(there) == text_of(here)
    assert not list((tmp_path / "work").iterdir())


def test_what_blocks_hold_is_seen(engine, file, tmp_path):
    found = engine.forecast_portfolio(None, AS_OF, by=in_turn(file, tmp_path))
    assert [category["category"] for category in found.categories] == ["Dairy", "Frozen", None]
    assert [category["products"] for category in found.categories] == [3, 1, 8]
    assert found.at_risk_customers
    assert found.summary["unpriced_products"] == 1
    assert found.summary["revenue_quantiles"] is not None
    of_product = {row["product_id"]: row["unit_price"] for row in found.products}
    assert of_product[4] is None


def test_orders_in_parquet_are_read_bucket_by_bucket(engine, file, tmp_path):
    """Blocks end within buckets."""
    folder = tmp_path / "orders"
    with writing_to(folder, 300) as writing:
        writing.write(file)
    with open_database(folder) as conn:
        assert len(as_source(conn).product_parts(AS_OF)) > 2
        other = engine_of(conn).forecast_portfolio(None, AS_OF, by=in_turn(folder, tmp_path))
    assert text_of(other) == text_of(engine.forecast_portfolio(None, AS_OF))


def test_nothing_was_ordered(engine, file, tmp_path):
    by = in_turn(file, tmp_path)
    assert engine.forecast_portfolio([NEVER], AS_OF, by=by) is None
    assert engine.forecast_portfolio([], AS_OF, by=by) is None


def test_a_block_of_which_every_pair_fails_is_left_out(file, tmp_path):
    """Products 11 and 12 are a block of their own; their pairs are none, or the model's to fail."""
    with duckdb.connect(str(file)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Qty = 'nan' WHERE ProductID IN (11, 12)")
    with duckdb.connect(str(file), read_only=True) as conn:
        engine = engine_of(conn)
        here = engine.forecast_portfolio(None, AS_OF)
        there = engine.forecast_portfolio(None, AS_OF, by=in_turn(file, tmp_path / "work"))
        assert here.summary["product_count"] == 10
        assert here.model_metadata["failed_pairs"] > 0
        assert text_of(there) == text_of(here)
        with pytest.raises(PredictionError, match="no pair could be predicted"):
            engine.forecast_portfolio([11, 12], AS_OF, by=in_turn(file, tmp_path / "work"))


def test_a_block_that_kills_its_processes_ends_it(engine, file, tmp_path):
    with pytest.raises(PredictionError, match="products 1 to 5 died, more than once"):
        engine.forecast_portfolio(None, AS_OF, by=in_turn(file, tmp_path / "work", Dying()))


def test_an_import_meanwhile_ends_it(engine, orders, file, tmp_path):
    by = in_turn(file, tmp_path / "work")
    replace(file)
    with pytest.raises(OrdersReplacedError, match="holds other orders than when this began"):
        engine.forecast_portfolio(None, AS_OF, by=by)
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").iterdir())


def test_an_engine_of_other_orders_than_those_of_the_workers_is_refused(engine, file, tmp_path):
    """Else the sums of one would stand beside the names and dates of the other."""
    other = tmp_path / "other.duckdb"
    shutil.copy(file, other)
    with duckdb.connect(str(other)) as conn:
        conn.execute("UPDATE dbo.OrderItem SET Qty = Qty + 1 WHERE ProductID = 7")
    lines = pd.DataFrame(
        {"customer_id": [1], "product_id": [1], "ordered_at": ["2022-01-03"], "quantity": [1.0]}
    ).assign(unit_price=2.0)
    by = in_turn(other, tmp_path / "work")
    for elsewhere in (engine, ForecastEngine.from_frame(lines)):
        with pytest.raises(OrdersReplacedError, match="holds other orders than those that"):
            elsewhere.forecast_portfolio(None, AS_OF, by=by)
    same = engine.forecast_portfolio([1, 2], AS_OF, by=by)
    assert text_of(same) == text_of(engine.forecast_portfolio([1, 2], AS_OF))


def test_what_a_killed_forecast_left_is_removed_by_a_later_one(engine, file, tmp_path):
    left, young = (tmp_path / f".part-{digits}-forecast" for digits in ("0123abcd", "abcd0123"))
    for folder in (left, young):
        folder.mkdir()
        (folder / "000000.arrow").touch()
    os.utime(left, (0, 0))
    engine.forecast_portfolio([1], AS_OF, by=in_turn(file, tmp_path))
    assert young.exists()
    assert [path.name for path in tmp_path.glob(".part-*")] == [young.name]


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2", True, 9_000_000_000])
def test_jobs_that_are_no_number_of_processes_are_refused(jobs, file):
    with (
        pytest.raises(ArgumentError, match="jobs has to be a whole number from 1 to 1000, got"),
        on_workers(str(file), jobs),
    ):
        pass


def replace(file):
    part = file.with_name("part")
    with duckdb.connect(str(part)) as conn:
        load_orders(generate_orders(Truth(customers=20, products=12, pairs=90), seed=6), conn)
    part.replace(file)


def test_a_place_in_an_object_store_is_refused(engine, file):
    with pytest.raises(ArgumentError, match="got s3://shop/work"):
        engine.forecast_portfolio(None, AS_OF, by=in_turn(file, Path("s3://shop/work")))


@pytest.mark.slow
def test_processes_and_killed_workers_make_the_same(engine, file, tmp_path):
    here = text_of(engine.forecast_portfolio(None, AS_OF))
    with on_workers(file, jobs=2) as by:
        assert text_of(engine.forecast_portfolio(None, AS_OF, by=by)) == here
    told = []
    with dask_cluster(tmp_path / "dask") as (head, hands):

        def kill(done, total):
            told.append((done, total))
            if done == 1:
                hands[0].kill_worker()

        with on_workers(file, 1, head.address, tmp_path / "work", kill) as by:
            assert text_of(engine.forecast_portfolio(None, AS_OF, by=by)) == here
        assert told == [(1, 3), (2, 3), (3, 3)]
        assert not list((tmp_path / "work").iterdir())
        with (
            on_workers(file, 1, head.address, tmp_path / "work", lambda *_: head.kill()) as by,
            pytest.raises(ClusterError, match="was lost; nothing was kept: run it again"),
        ):
            engine.forecast_portfolio(None, AS_OF, by=by)
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.slow
def test_the_command_prints_the_same(file, tmp_path):
    call = ("forecast", "--db", file, "--as-of", AS_OF, "--json")
    with dask_cluster(tmp_path / "dask", workers=1) as (head, _):
        at = ("--cluster", head.address, "--work", tmp_path / "work")
        for what in (["--all"], ["--category", "Dairy"], ["1", "12", "--together"]):
            here, there = (run_command(*call, *what, *more, cwd=tmp_path) for more in ((), at))
            assert there.returncode == here.returncode == 0, there.stderr
            assert said(there) == said(here)
        alone = run_command(*call, "1", *at, cwd=tmp_path)
        assert alone.returncode == 2
        assert "--cluster is of --all, of --category, or of products --together" in error_of(alone)


def said(done):
    found = json.loads(done.stdout)
    found["model_metadata"].pop("generated_at")
    return found
