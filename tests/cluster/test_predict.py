"""``toolkit predict`` on a real Dask cluster writes the bytes that it writes here."""

import duckdb
import pytest

from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF
from tests.processes import run as run_command
from toolkit.cluster.workers import open_workers
from toolkit.errors import ClusterError
from toolkit.model import default_model
from toolkit.sources.embedded.database import open_database
from toolkit.sources.generator import load_orders
from toolkit.sources.sql import as_source
from toolkit.stages import prediction
from toolkit.stages.patterns import read_patterns
from toolkit.stages.predict_shards import Asked, predict_on
from toolkit.stages.predict_tables import PAIRS, PRODUCT_WEEKS, write_predictions
from toolkit.stages.prediction import CustomerPredictor

pytestmark = pytest.mark.slow


@pytest.fixture
def database(orders, tmp_path):
    path = tmp_path / "orders.duckdb"
    with duckdb.connect(str(path)) as conn:
        load_orders(orders, conn)
    return path


@pytest.fixture
def dask(tmp_path):
    with dask_cluster(tmp_path / "dask") as (head, hands):
        yield head, hands


@pytest.fixture
def small_shards(monkeypatch):
    """12 products in six shards or so."""
    monkeypatch.setattr(prediction, "NUMBERS_PER_CHUNK", 12 * 50 * 70)


@pytest.fixture
def asked(database, small_shards):
    """What is predicted, and the patterns."""
    with open_database(database) as conn:
        patterns, _ = read_patterns(as_source(conn), AS_OF)
    predictor = CustomerPredictor(default_model(), 12, 50, 5)
    return predictor, patterns, Asked.of(predictor, patterns, database, database.parent / "fits")


def tables(folder):
    return {name: (folder / name).read_bytes() for name in (PRODUCT_WEEKS, PAIRS)}


def test_the_command_writes_the_same_bytes(database, dask, tmp_path):
    head, _ = dask
    call = ("predict", "pair_conjugate", "--db", database, "--as-of", AS_OF, "--draws", 50)
    for out, more in (("here", ()), ("there", ("--cluster", head.address))):
        done = run_command(*call, "--out", out, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert {path.name for path in (tmp_path / "there").iterdir()} == {PRODUCT_WEEKS, PAIRS}


def test_many_shards_are_joined_to_the_same_bytes(asked, dask, tmp_path):
    predictor, patterns, spec = asked
    here = write_predictions(predictor, patterns, tmp_path / "here")
    done = []
    with open_workers(1, dask[0].address) as workers:
        there = predict_on(workers, spec, [patterns], tmp_path / "there", done.append)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert (there.products, there.pair_count) == (here.products, here.pair_count)
    assert (there.products, there.pair_count) == (12, len(patterns))
    assert sum(done) == len(patterns)
    assert len(done) > 5


def test_what_was_predicted_before_the_scheduler_died_is_not_again(asked, dask, tmp_path):
    predictor, patterns, spec = asked
    write_predictions(predictor, patterns, tmp_path / "here")
    out, first = tmp_path / "there", []

    def kill(pairs):
        first.append(pairs)
        if len(first) == 3:
            dask[0].kill()

    with open_workers(1, dask[0].address) as workers, pytest.raises(ClusterError, match="was lost"):
        predict_on(workers, spec, [patterns], out, kill)
    assert not (out / PAIRS).exists()
    again = []
    with open_workers(2) as workers:
        predict_on(workers, spec, [patterns], out, again.append)
    assert again[0] >= sum(first) > 0
    assert sum(again) == len(patterns)
    assert tables(out) == tables(tmp_path / "here")
    assert {path.name for path in out.iterdir()} == {PRODUCT_WEEKS, PAIRS}
