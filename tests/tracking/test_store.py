"""Where the store is, and what happens when it is being made, locked, away or moved."""

import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import error_of, run, run_text
from tests.tracking.conftest import finished
from toolkit.errors import TrackingError
from toolkit.tracking.store import Store, masked, open_store, without_secrets

OPEN = "from toolkit.tracking.store import open_store; "
RACE = OPEN + "from tests.tracking.processes import at_once; "
SPY = """
import socket
asked, real = [], socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: asked.append(host) or real(host, *rest, **more)
"""


def test_processes_that_create_one_store_at_once_all_get_it(script, tmp_path):
    text = RACE + "at_once(*[lambda: open_store().experiment_id('e')] * 3)"
    assert finished(script(text)) == "1\n" * 3
    assert (tmp_path / "mlflow.db").exists()


def test_nobody_is_asked_and_nothing_is_written_elsewhere(fresh_script, tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    text = SPY + OPEN + "s = open_store(); s.client.create_run(s.experiment_id('e')); print(asked)"
    done = fresh_script(text)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


def test_the_address_comes_from_the_caller_or_the_environment(store, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.chdir(tmp_path)
    assert open_store().uri == store.uri
    assert open_store("sqlite:///mlflow.db").uri == store.uri
    assert open_store("sqlite:///mlflow.db").file == tmp_path / "mlflow.db"


def test_a_store_that_is_locked_is_told_in_time(store):
    holder = sqlite3.connect(store.file, isolation_level=None)
    with closing(holder):
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(
            TrackingError, match=r"mlflow\.db is locked by another process$"
        ) as told:
            open_store(store.uri, patience_s=0.3)
        assert 0.3 <= time.monotonic() - began < 30  # 0.3 s, where MLflow itself waits longer
        assert told.value.unavailable
    open_store(store.uri, patience_s=0.3)


def test_the_lock_waits_for_its_holder_and_its_death_gives_it_back(store, script, monkeypatch):
    text = (
        OPEN + "import signal, sys\ns = open_store(sys.argv[1])\n"
        "with s.alone(): print(flush=True); signal.pause()"
    )
    holder = script(text, store.uri)
    holder.stdout.readline()
    monkeypatch.setattr("toolkit.tracking.store.LOCK_PATIENCE_S", 0.3)
    with pytest.raises(TrackingError, match=r"another process has held .*lock for 0\.3 s"):
        open_store(store.uri)
    holder.close()
    with store.alone():
        pass


def test_a_server_that_is_not_there_is_told(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for uri in (f"http://127.0.0.1:{port}", f"postgresql://me:secret@127.0.0.1:{port}/mlflow"):
        with pytest.raises(TrackingError, match=r"cannot be used.*refused") as told:
            open_store(uri)
        assert told.value.unavailable
        assert "secret" not in str(told.value)


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(TrackingError, match="timed out"):
            open_store(f"http://127.0.0.1:{mute.getsockname()[1]}", patience_s=0.3)
        assert time.monotonic() - began < 30  # 0.3 s, where MLflow itself waits two minutes


def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("customer_id,product_id\n" * 100)
    with pytest.raises(TrackingError, match="file is not a database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text() == "customer_id,product_id\n" * 100


@pytest.mark.slow
def test_a_store_that_finds_no_room_is_not_left_half_made(tmp_path):
    asked = ("register", "pair_conjugate", "--store", f"sqlite:///{tmp_path}/mlflow.db")
    done = run(*asked, cwd=tmp_path, most_bytes=300_000)
    assert error_of(done).startswith("Error: the tracking store sqlite:///")
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db.lock"]
    killed = tmp_path / ".part-mlflow.db"
    killed.mkdir()
    (killed / "mlflow.db").write_bytes(b"SQLite format 3\0" + bytes(4080))
    done = run(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not killed.exists()


def test_artefacts_that_find_no_room_are_told(tmp_path, store):
    with store.errors():
        logged = store.client.create_run(store.experiment_id("e"))
    large = tmp_path / "large"
    large.write_bytes(bytes(2_000_000))
    done = run_text(LOGS, store.uri, logged.info.run_id, large, cwd=tmp_path, most_bytes=10**6)
    assert done.stdout == (
        f"the tracking store {store.uri} cannot be written: no space is left on its disk; make "
        "room there, or --store or MLFLOW_TRACKING_URI names a store that you can write to\n"
    ), done.stderr


LOGS = """
import sys
from toolkit.errors import TrackingError
from toolkit.tracking.store import open_store
store = open_store(sys.argv[1])
try:
    with store.errors():
        place = store.client.get_run(sys.argv[2]).info.artifact_uri
        store.artifacts(place).log_artifact(sys.argv[3])
except TrackingError as exc:
    print(exc)
"""


def test_a_deleted_experiment_is_named(store):
    store.client.delete_experiment(store.experiment_id("gone"))
    with pytest.raises(TrackingError, match=r"'gone' was deleted .*`mlflow experiments restore"):
        store.experiment_id("gone")


def test_a_moved_store_finds_its_artefacts(store, tmp_path):
    run = store.client.create_run(store.experiment_id("a ? b/c"))
    store.client.log_dict(run.info.run_id, {"a": 1}, "deep/file.json")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        (tmp_path / name).rename(moved / name)
    again = open_store(f"sqlite:///{moved / 'mlflow.db'}")
    found = again.artifacts(again.client.get_run(run.info.run_id).info.artifact_uri)
    assert Path(found.download_artifacts("deep/file.json")).read_text() == '{\n  "a": 1\n}'


def test_artefacts_stay_in_their_folder(store):
    for uri in ("beside-store:/../../etc", "beside-store:/%2e%2e/%2e%2e/etc"):
        with pytest.raises(TrackingError, match="leads out of"), store.errors():
            store.artifacts(uri)


HARMLESS = {
    "http://h:5000/x": "http://h:5000/x",
    "sqlite:////a/b@c": "sqlite:////a/b@c",
    "postgresql://me@h/x?sslmode=require": "postgresql://me@h/x?sslmode=require",
    "mysql+pymysql://me:p-w@h:1/x?a=b": "mysql+pymysql://me:***@h:1/x?a=b",
    "https://h/x?a=b&token=t&c=d": "https://h/x?a=b&token=***&c=d",
}


@pytest.mark.parametrize(("uri", "shown"), HARMLESS.items())
def test_addresses_lose_their_secrets_and_nothing_else(uri, shown):
    assert masked(uri) == shown


SECRET = "q7Z!Wx"
PIECES = st.lists(st.sampled_from(["/", "@", ":", "?", "#", ";", "=", "%40", " ", "a", "{", "é"]))
SHAPES = [
    "postgresql://me:{}@host:5432/mlflow",
    "mysql+pymysql://:{}@host/mlflow?charset=utf8",
    "https://{}@host/path",
    "https://me:{}@host/path?a=b@c",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BUID%3Dme%3BPWD%3D{}",
    "mssql+pyodbc:///?odbc_connect=Driver=X;Uid=me;Pwd={};Encrypt=yes",
    "postgresql://host/mlflow?user=me&password={}",
    "https://host/path?access_token={}&a=b",
    "redis://host?Api-Key={}",
]


@pytest.mark.parametrize("shape", SHAPES)
@given(before=PIECES, after=PIECES)
def test_no_secret_is_shown_whatever_it_holds(shape, before, after):
    """Alone, and in another's sentence about it. What ends an address needs no defence."""
    ends = "&" if "?" in shape.partition("{}")[0] else ""
    if shape.startswith("https://{}"):
        ends = "/?#:"  # a token that stands alone is a user's name: no server takes these in it
    hidden = "".join(piece for piece in [*before, SECRET, *after] if piece not in [*ends])
    uri = shape.format(hidden)
    assert SECRET not in masked(uri)
    assert SECRET not in without_secrets(f"could not reach '{uri}' ({uri})", uri)
    if " " not in uri:
        assert SECRET not in without_secrets(f"could not reach {uri} again", "sqlite:///x.db")


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://me@corp:{SECRET}@host/mlflow",  # as Azure's servers called their users
        f"postgresql://corp/me:{SECRET}@host/mlflow",
        f"HTTPS://{SECRET}@host/mlflow",
        f"https://host/container?sv=2024&sig={SECRET}",
        f"https://host/bucket?X-Amz-Signature={SECRET}&X-Amz-Expires=9",
        f"https://host/#access_token={SECRET}",
        f"https://host/?authorization={SECRET}",
    ],
)
def test_a_secret_in_a_strange_place_is_masked(uri):
    assert SECRET not in masked(uri)
    assert "host" in masked(uri)
    assert SECRET not in without_secrets(f"could not reach {uri} again", "sqlite:///x.db")
    assert SECRET not in repr(Store(uri, None))
