"""Copies of runs in an object store, read as the folders are."""

import json
import shutil
from pathlib import Path

import pytest
import s3fs

from backtests.run.folder import RunFolder
from backtests.run.stored import restore_run, run_at, upload_run
from tests.backtests.conftest import tables
from tests.conftest import AS_OF
from tests.object_store import empty_bucket, object_store
from tests.processes import TOOLKIT, error_of, start
from toolkit.errors import ArgumentError

pytestmark = pytest.mark.slow

EXPERIMENT = f"""
name = "small"
draws = 50
pairs_per_shard = 100
dates = {{ list = [{AS_OF}] }}
versions = [
    {{ model = "pair_conjugate" }},
    {{ model = "pair_conjugate", label = "other", seed = 5 }},
]
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with object_store(tmp_path) as endpoint:
        empty_bucket(endpoint, "shop", monkeypatch)
        yield s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def test_a_run_is_uploaded_read_and_not_done_anew(store, order_file, tmp_path):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    call = ("backtest", "small.toml", "--db", order_file, "--jobs", 1, "--no-log", "--json")
    there = ("--runs", "s3://shop/runs", "--work")
    done = start(TOOLKIT, *call, *there, "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "here").iterdir()
    address = f"s3://shop/runs/{run.name}"
    assert f"Uploaded to {address}" in done.stderr
    again = start(TOOLKIT, *call, *there, "elsewhere", cwd=tmp_path)  # another machine
    assert json.loads(again.stdout)["kept"] == json.loads(again.stdout)["tasks"] == 8
    assert tables(tmp_path / "elsewhere" / run.name) == tables(run) != {}
    said = [
        json.loads(start(TOOLKIT, "compare", at, "--json", cwd=tmp_path).stdout)
        for at in (run, address)
    ]
    assert said[0] == said[1]
    page = start(TOOLKIT, "report", address, "--db", order_file, "--json", cwd=tmp_path)
    assert json.loads(page.stdout)["report"] == "report.html"
    assert (tmp_path / "report.html").stat().st_size > 1000
    lost = start(TOOLKIT, *call, "--runs", "s3://nowhere/runs", cwd=tmp_path)
    assert lost.returncode == 2
    assert "s3://nowhere/runs could not be written: there is no bucket nowhere" in error_of(lost)


def test_half_an_upload_is_no_run_and_only_what_changed_is_sent_again(store, run, tmp_path):
    runs, copy = Path("s3://shop/runs"), shutil.copytree(run.path, tmp_path / run.path.name)
    address = upload_run(copy, runs)
    assert tables(run_at(Path(address))) == tables(run.path)
    store.rm_file(f"{address}/manifest.json")
    with pytest.raises(ArgumentError, match=f"{address} holds no run that was uploaded whole"):
        run_at(Path(address))
    upload_run(copy, runs)
    first = {*store.find("shop/runs")}
    (copy / "report.html").write_text("another page")
    upload_run(copy, runs)
    assert len({*store.find("shop/runs")} - first) == 1
    found = RunFolder(run_at(Path(address)))
    assert found.description == run.description
    assert (found.path / "report.html").read_text() == "another page"
    restored = tmp_path / "restored" / copy.name
    restore_run(restored, runs)
    assert tables(restored) == tables(run.path)
