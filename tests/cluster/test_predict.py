"""``toolkit predict`` on a real Dask cluster writes the bytes that it writes here."""

import duckdb
import pytest
from filelock import FileLock

from models.pair_conjugate import PairConjugate
from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF
from tests.processes import run as run_command
from toolkit.cluster.orders import OrdersAt
from toolkit.cluster.workers import open_workers
from toolkit.errors import ClusterError, OrdersReplacedError, PredictionError
from toolkit.model import default_model
from toolkit.sources.embedded.database import open_database
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import as_source
from toolkit.stages import prediction
from toolkit.stages.patterns import read_patterns
from toolkit.stages.predict_shards import LOCK, Asked, predict_on
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
    return predictor, patterns, asked_of(predictor, patterns, database)


def asked_of(predictor, patterns, database):
    return Asked.of(
        predictor, patterns.as_of_date, OrdersAt.now(database), database.parent / "fits"
    )


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


def test_two_predictions_into_one_folder_are_refused(asked, tmp_path):
    """The second would remove what the first has under way."""
    _, patterns, spec = asked
    with open_workers(1) as workers:
        with (
            FileLock(tmp_path / LOCK, blocking=False),
            pytest.raises(PredictionError, match=f"another prediction is at work in {tmp_path}"),
        ):
            predict_on(workers, spec, [patterns], tmp_path, [].append)
        predict_on(workers, spec, [patterns], tmp_path, [].append)
    assert {path.name for path in tmp_path.glob(".*")} == set()


def test_workers_use_the_parameters_of_a_model_that_needs_no_fit(asked, database, tmp_path):
    _, patterns, _ = asked
    predictor = CustomerPredictor(PairConjugate(rate_shape=1.0), 12, 50, 5)
    write_predictions(predictor, patterns, tmp_path / "here")
    spec = asked_of(predictor, patterns, database)
    with open_workers(2) as workers:
        predict_on(workers, spec, [patterns], tmp_path / "there", [].append)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    plain = asked_of(CustomerPredictor(default_model(), 12, 50, 5), patterns, database)
    assert plain.predictor().model is default_model()


def test_an_import_meanwhile_ends_it(asked, database, tmp_path):
    """Workers would read its orders, of which the products and the key know nothing."""
    _, patterns, spec = asked

    def replace(pairs):
        if pairs:  # a shard is done
            part = database.with_name("part")
            part.unlink(missing_ok=True)
            with duckdb.connect(str(part)) as conn:
                load_orders(generate_orders(Truth(customers=20, products=12, pairs=90), 6), conn)
            part.replace(database)

    with (
        open_workers(1) as workers,
        pytest.raises(OrdersReplacedError, match="an import took their place"),
    ):
        predict_on(workers, spec, [patterns], tmp_path / "there", replace)
    assert not (tmp_path / "there" / PAIRS).exists()
