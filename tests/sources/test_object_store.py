"""Orders in Parquet in an object store."""

import pytest

from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF
from tests.object_store import NOWHERE, SETTINGS, empty_bucket, object_store
from tests.processes import TOOLKIT, error_of, start
from tests.sources.helpers import assert_same_events
from toolkit.errors import SourceError
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.sources.open import open_source
from toolkit.sources.parquet.place import place_at, read_manifest
from toolkit.sources.parquet.writing import write_parquet, writing_to
from toolkit.sources.sql import as_source

ADDRESS = "s3://orders/of/2024"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with object_store(tmp_path_factory.mktemp("store")) as address:
        yield address


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """An empty bucket, and what its client finds in the environment."""
    empty_bucket(endpoint, "orders", monkeypatch)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_answers_as_a_folder_does(file, written):
    with writing_to(ADDRESS, 1000) as writing:
        writing.write(file)
    place = place_at(ADDRESS)
    assert [p.sha256 for p in read_manifest(place).files] == [
        p.sha256 for p in read_manifest(place_at(written)).files
    ]
    with open_database(written) as one, open_source(ADDRESS) as other:
        mine = as_source(one)
        for ids in (None, [3], [1, 7]):
            events = other.source.order_events(AS_OF, ids)
            assert_same_events(mine.order_events(AS_OF, ids), events)
        customers = [FIRST_CUSTOMER_ID + 2]
        days = [source.customer_days(AS_OF, customers) for source in (mine, other.source)]
        assert days[0].day.tolist() == days[1].day.tolist() != []


@pytest.mark.usefixtures("bucket")
def test_an_import_replaces_what_is_there_and_readers_go_on(file):
    write_parquet(file, ADDRESS)
    with open_database(ADDRESS) as before:
        first = read_manifest(place_at(ADDRESS)).parts
        write_parquet(file, ADDRESS)
        assert read_manifest(place_at(ADDRESS)).parts != first
        assert len(as_source(before).order_events(AS_OF))
        assert check_database(before).ok
        write_parquet(file, ADDRESS)
        with pytest.raises(SourceError, match="imported anew meanwhile: open them again"):
            as_source(before).order_events(AS_OF)


@pytest.mark.usefixtures("bucket")
def test_a_part_that_is_missing_is_named(file):
    write_parquet(file, ADDRESS)
    place = place_at(ADDRESS)
    path = read_manifest(place).lines[0].path
    place._files.rm(f"{ADDRESS}/{path}")
    with open_database(ADDRESS) as conn:
        with pytest.raises(SourceError, match=f"{path} is missing; import the orders again"):
            as_source(conn).order_events(AS_OF)
        assert [str(finding) for finding in check_database(conn).fatal] == [f"{path}: is missing"]


def test_the_command_takes_an_address(endpoint, file, tmp_path, bucket):
    write_parquet(file, ADDRESS)
    done = start(
        TOOLKIT, "predict", "pair_conjugate", "--db", ADDRESS, "--as-of", AS_OF, "--out", "out",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "pairs.parquet").exists()
    nothing = start(TOOLKIT, "check", "--db", "s3://orders/elsewhere", cwd=tmp_path)
    assert nothing.returncode == 2
    assert "s3://orders/elsewhere holds no manifest.json" in error_of(nothing)


def test_workers_of_a_cluster_take_an_address(file, tmp_path, bucket):
    write_parquet(file, ADDRESS)
    call = ("predict", "pair_conjugate", "--db", ADDRESS, "--as-of", AS_OF, "--draws", 50)
    with dask_cluster(tmp_path / "dask", workers=1) as (head, _):
        for out, more in (("here", ()), ("there", ("--cluster", head.address))):
            done = start(TOOLKIT, *call, "--out", out, *more, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    here, there = ((tmp_path / out / "pairs.parquet").read_bytes() for out in ("here", "there"))
    assert here == there


@pytest.mark.usefixtures("bucket")
def test_an_import_makes_no_bucket(file):
    """A mistyped name would leave one."""
    with pytest.raises(SourceError, match="there is no bucket typo"):
        write_parquet(file, "s3://typo/of/2024")
    assert place_at(ADDRESS)._files.ls("") == ["orders"]
    write_parquet(file, ADDRESS)
    place = place_at(ADDRESS)
    assert not [path for path in place._files.find(place.name) if "probe" in path]


def test_missing_credentials_are_one_sentence(endpoint, tmp_path, monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    done = start(
        TOOLKIT, "check", "--db", ADDRESS, cwd=tmp_path, HOME=tmp_path,
        AWS_ENDPOINT_URL=endpoint, **NOWHERE,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{ADDRESS} could not be read: Unable to locate credentials" in error_of(done)
