"""Fits and predictions in an object store: whole or not at all, and the same as on a disk."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import s3fs
import typer

from backtests.run.experiment import VersionSpec
from backtests.run.fitting import frozen_fit
from models.pair_conjugate import PairConjugate
from models.parts.rhythm.version import FittedRhythm
from tests.cluster.servers import dask_cluster
from tests.conftest import AS_OF
from tests.object_store import NOWHERE, SETTINGS, empty_bucket, object_store
from tests.processes import TOOLKIT, error_of, start
from tests.tracking.fits import rhythm_fit
from toolkit import stored_folders
from toolkit.cli import room
from toolkit.errors import ArgumentError, ModelError, SourceError
from toolkit.fits import check_place, fit_folder, keep_model, kept_model, load_fit, save_fit
from toolkit.results.fit import FitCard
from toolkit.sources.generator import load_orders
from toolkit.sources.parquet.remote import Remote, remote_at
from toolkit.sources.parquet.writing import write_parquet
from toolkit.stored_folders import StoredFile, cache_folder, cached, manifest_at, uploaded
from toolkit.validation import parse

FITS = Path("s3://shop/of/fits")
FIRST, LATER = (datetime(2022, 6, day, tzinfo=UTC) for day in (6, 7))
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with object_store(tmp_path_factory.mktemp("store")) as address:
        yield address


@pytest.fixture
def store(endpoint, tmp_path, monkeypatch):
    """An empty bucket and an empty cache of the user's."""
    empty_bucket(endpoint, "shop", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def fitted_at(when: datetime, shift: float = 0.0) -> FittedRhythm:
    made = rhythm_fit(shift)
    return FittedRhythm.of(replace(made.card, fitted_at=when), made.inference)


def objects(store):
    return sorted(path.removeprefix("shop/of/fits/") for path in store.find("shop/of/fits"))


@slow
def test_a_fit_comes_back_as_it_was(store, tmp_path):
    fit = fitted_at(FIRST)
    folder = save_fit(fit, FITS)
    assert FitCard.read(folder).fitted_at == FIRST
    first = objects(store)
    assert [name.rpartition("/")[2] for name in first] == [
        "manifest.json", "card.json", "posterior.nc",
    ]  # fmt: skip
    assert save_fit(fit, FITS) == folder
    assert objects(store) == first
    shutil.rmtree(cache_folder("fits"))
    assert load_fit("rhythm", FITS).version == fit.version
    assert load_fit(f"rhythm@{fit.version}", FITS).version == fit.version
    assert not list(Path().glob("s3:*"))


@slow
def test_the_latest_is_taken_and_others_by_name(store):
    late, early = fitted_at(LATER), fitted_at(FIRST, shift=0.5)
    for fit in (late, early):
        save_fit(fit, FITS)
    assert load_fit("rhythm", FITS).version == late.version
    assert load_fit(f"rhythm@{early.version}", FITS).version == early.version
    known = ", ".join(sorted((late.version, early.version)))
    with pytest.raises(ModelError, match=f"s3://shop/of/fits holds no version .*holds {known}"):
        load_fit("rhythm@other", FITS)
    with pytest.raises(ModelError, match="has not been fitted in s3://shop/of/fits"):
        load_fit("pooled_gamma", FITS)


@slow
def test_half_an_upload_is_never_read_and_the_next_one_heals_it(store):
    fit = fitted_at(FIRST)
    save_fit(fit, FITS)
    store.rm_file(f"shop/of/fits/rhythm/{fit.version}/manifest.json")
    for name in ("rhythm", f"rhythm@{fit.version}"):
        with pytest.raises(ModelError, match="rhythm has not been fitted in s3://shop/of/fits"):
            load_fit(name, FITS)
    save_fit(fit, FITS)
    assert load_fit("rhythm", FITS).version == fit.version


@slow
def test_what_was_damaged_is_told_and_saved_anew(store):
    fit = fitted_at(FIRST)
    cached = save_fit(fit, FITS)
    (cached / "posterior.nc").write_bytes(b"of another")
    assert load_fit("rhythm", FITS).version == fit.version  # read again
    shutil.rmtree(cache_folder("fits"))
    (posterior,) = (path for path in store.find("shop/of/fits") if path.endswith(".nc"))
    store.pipe_file(posterior, b"x" * store.info(posterior)["size"])
    with pytest.raises(ModelError, match=r"posterior\.nc is not what was saved: save it again"):
        load_fit("rhythm", FITS)
    store.rm_file(posterior)
    with pytest.raises(ModelError, match=r"posterior\.nc is missing: save it again"):
        load_fit("rhythm", FITS)
    save_fit(fit, FITS)
    assert load_fit("rhythm", FITS).version == fit.version
    store.pipe_file(f"shop/of/fits/rhythm/{fit.version}/manifest.json", b"{}")
    with pytest.raises(ModelError, match=r"manifest\.json is no manifest of results"):
        load_fit(f"rhythm@{fit.version}", FITS)


@slow
def test_a_place_without_a_bucket_or_credentials_is_one_sentence(store, monkeypatch):
    check_place(FITS)
    assert objects(store) == []
    for ask in (check_place, lambda fits: load_fit("rhythm", fits)):
        with pytest.raises(ModelError, match="there is no bucket nowhere"):
            ask(Path("s3://nowhere/fits"))
    for name in SETTINGS:
        monkeypatch.delenv(name)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    for ask in (check_place, lambda fits: load_fit("rhythm", fits)):
        with pytest.raises(ModelError, match="Unable to locate credentials"):
            ask(FITS)


@slow
@pytest.mark.usefixtures("store")
def test_a_fit_that_a_store_does_not_take_goes_elsewhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(typer.Exit):
        room.saved(rhythm_fit(), Path("s3://nowhere/fits"))
    told = capsys.readouterr().err
    (kept,) = tmp_path.glob("fits-*")
    assert f"; the fit is in {kept}/rhythm/" in told
    assert told.endswith(f": name --fits {kept}\n")
    assert load_fit("rhythm", kept).version == rhythm_fit().version


def write_results(out, *texts, work=None):
    with uploaded(out, work) as folder:
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_text(text)
            (folder / ".hidden").mkdir(exist_ok=True)
            (folder / ".hidden" / "part").touch()
    return folder


@slow
def test_results_take_the_place_of_others_and_the_manifest_comes_last(store, tmp_path, monkeypatch):
    out, place, send = Path("s3://shop/results"), remote_at("s3://shop/results"), Remote.send
    assert not write_results(out, "a", "b").exists()
    first, _ = manifest_at(place)
    assert [file.path for file in first.files] == ["0.txt", "1.txt"]
    seen = []

    def watched(remote, file, path):
        seen.append(manifest_at(place))
        send(remote, file, path)

    monkeypatch.setattr(Remote, "send", watched)
    assert not write_results(out, "c", work=tmp_path / "work").exists()
    assert seen == [None]  # what is half replaced has no manifest
    assert cached(place, "results", "r").joinpath("0.txt").read_text() == "c"


@slow
def test_results_never_take_the_place_of_orders_or_of_a_fit(store, tmp_path, orders):
    save_fit(fitted_at(FIRST), FITS)
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    write_parquet(tmp_path / "orders.duckdb", "s3://shop/orders")
    before = {path: store.cat_file(path) for path in store.find("shop")}
    refused = {
        "s3://shop/orders": "no manifest of results",
        f"{FITS}/rhythm/{rhythm_fit().version}": "holds a fit or a run: name another folder",
    }
    for out, why in refused.items():
        with pytest.raises(SourceError, match=why):
            write_results(Path(out), "a")
    assert {path: store.cat_file(path) for path in store.find("shop")} == before


@slow
def test_a_manifest_of_another_format_is_told_apart(store):
    write_results(Path("s3://shop/results"), "a")
    place = remote_at("s3://shop/results")
    for said, why in (
        ({"format": 2, "anything": []}, "is written in format 2, .* reads format 1: save it again"),
        ({"format": "new"}, "is no manifest of results"),
    ):
        place.replace_manifest(json.dumps(said).encode())
        with pytest.raises(SourceError, match=why):
            manifest_at(place)


@slow
@pytest.mark.usefixtures("store")
def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch, capsys):
    """And a fit that took minutes is not lost."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(typer.Exit):
        room.saved(rhythm_fit(), FITS)
    told = capsys.readouterr().err
    assert "a folder that cannot be written" in told
    assert "XDG_CACHE_HOME names another" in told
    assert load_fit("rhythm", *tmp_path.glob("fits-*")).version == rhythm_fit().version


def test_a_cache_is_never_below_the_working_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert cache_folder("fits") == Path.home() / ".cache" / "interorder-toolkit" / "fits"


def test_what_is_under_way_lies_on_a_disk(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="got s3://shop/work"):
        stored_folders._room(Path("s3://shop/work"), "s3://shop/results")
    for address in ("S3://shop/results", "GS://shop/results"):
        with pytest.raises(ArgumentError, match=f"got {address}"), uploaded(Path(address)):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["s3://KEY:HIDDEN@shop/fits", "s3:/KEY:HIDDEN@shop"])
def test_credentials_in_an_address_are_refused_and_not_repeated(address):
    with pytest.raises(SourceError, match="without credentials") as told:
        remote_at(address)
    assert "HIDDEN" not in str(told.value)


def test_credentials_in_an_endpoint_are_not_repeated(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "user:HIDDEN@store.example.com:9000")
    with pytest.raises(SourceError, match="Invalid endpoint: …@store") as told:
        remote_at("s3://shop/fits").read("manifest.json")
    assert "HIDDEN" not in str(told.value)


@slow
def test_results_that_the_store_does_not_take_stay_here(store):
    with pytest.raises(SourceError, match="there is no bucket nowhere"):
        write_results(Path("s3://nowhere/results"), "a")
    lost = uploaded(Path("s3://shop/results"))
    (lost.__enter__() / "0.txt").write_text("kept")
    store.rmdir("shop")
    with pytest.raises(SourceError, match=r"results could not be written: .* bucket") as told:
        lost.__exit__(None, None, None)
    (kept,) = re.findall(r"; the files are in (.*)", str(told.value))
    assert Path(kept, "0.txt").read_text() == "kept"
    shutil.rmtree(kept)


@slow
def test_what_is_interrupted_stays_in_the_folder_for_what_is_under_way(store, tmp_path):
    out, work = Path("s3://shop/results"), tmp_path / "work"
    cut_short = uploaded(out, work)
    (cut_short.__enter__() / "done").touch()
    assert not cut_short.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert manifest_at(remote_at(out)) is None
    with uploaded(out, work) as again:
        assert (again / "done").exists()
    assert store.exists("s3://shop/results/done")


@slow
def test_a_model_that_needs_no_fit_is_kept_with_its_parameters(store):
    model = PairConjugate(rate_shape=1.0)
    assert kept_model(keep_model(model, FITS), FITS) == model


@slow
def test_a_frozen_version_of_a_backtest_is_read_from_there(store):
    fit = fitted_at(FIRST)
    save_fit(fit, FITS)
    version = VersionSpec(model=f"rhythm@{fit.version}", refit="frozen")
    assert frozen_fit(version, date(2022, 6, 6), FITS).version == fit.version
    with pytest.raises(ArgumentError, match="after the first as-of date 2022-06-05"):
        frozen_fit(version, date(2022, 6, 5), FITS)


@slow
def test_commands_take_the_address_and_so_do_workers(store, orders, tmp_path):
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    asked = ("--db", "orders.duckdb", "--as-of", AS_OF)
    done = start(
        TOOLKIT, "fit", "pooled_gamma", *asked, "--fits", FITS, "--method", "laplace", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place = json.loads(done.stdout)["folder"]
    assert place.startswith("s3://shop/of/fits/pooled_gamma/")
    assert fit_folder("pooled_gamma", FITS).is_dir()
    call = ("predict", "pooled_gamma", *asked, "--draws", 50, "--fits", FITS, "--out")
    out = "s3://shop/predictions"
    with dask_cluster(tmp_path / "dask", workers=1) as (head, _):
        for more in (["here"], [out, "--cluster", head.address, "--work", tmp_path / "work"]):
            done = start(TOOLKIT, *call, *more, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    assert f"{out}/pairs.parquet" in done.stdout
    for name in ("pairs.parquet", "product_weeks.parquet"):
        assert store.cat_file(f"{out}/{name}") == (tmp_path / "here" / name).read_bytes()
    assert len(json.loads(store.cat_file(f"{out}/manifest.json"))["files"]) == 2
    assert not list((tmp_path / "work").iterdir())
    nowhere = start(
        TOOLKIT, "fit", "pooled_gamma", *asked, "--fits", "s3://nowhere/fits", cwd=tmp_path
    )
    assert nowhere.returncode == 2
    assert "there is no bucket nowhere" in error_of(nowhere)
    assert not list(tmp_path.glob("s3*"))


@pytest.mark.parametrize(
    "name", ["../card.json", "/etc/passwd", "a/../../b", "..", ".", "", "a\0b", "C:/card.json"]
)
def test_a_manifest_names_nothing_outside_the_folder(name):
    with pytest.raises(ArgumentError, match="has to be a path in the folder"):
        parse(StoredFile, {"name": name, "path": "a", "bytes": 1, "sha256": "0"}, "a manifest")


def test_other_stores_are_refused():
    with pytest.raises(ArgumentError, match="got gs://shop/fits"):
        load_fit("rhythm", Path("gs://shop/fits"))
