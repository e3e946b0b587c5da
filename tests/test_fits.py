"""Fitting from the command line: what is saved, what is refused, what an interruption leaves."""

import errno
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import arviz as az
import numpy as np
import pytest
import typer
import xarray as xr

from tests.conftest import AS_OF
from tests.processes import TOOLKIT, error_of, limit_files, namespace, run, run_text, start
from tests.sources.helpers import write_folder
from toolkit.cli import room
from toolkit.errors import ModelError
from toolkit.fits import fit_folder, load_fit, save_fit
from toolkit.installed import HOME
from toolkit.model import find_model
from toolkit.results.fit import FitCard

QUICK = ["--draws", "60", "--tune", "60", "--chains", "2"]


@pytest.fixture(scope="module")
def place(orders, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("fits")
    (place / "orders").mkdir()
    write_folder(orders, place / "orders", "csv")
    assert run("import", "orders", "--db", "orders.duckdb", cwd=place).returncode == 0
    return place


@pytest.fixture(scope="module")
def fitted(place):
    done = run(
        "fit",
        "pooled_gamma",
        "--db",
        "orders.duckdb",
        "--as-of",
        AS_OF,
        *QUICK,
        "--json",
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_c_compiler_without_the_headers_of_python_ends_no_fit(place, tmp_path):
    """As where a distribution's Python is installed without its ``-dev`` package."""
    hidden = f'mount -t tmpfs none {sysconfig.get_path("include")} && exec "$@"'
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", AS_OF, *QUICK)
    flags = f"base_compiledir={tmp_path / 'compiled'}"
    command = (*namespace("--mount"), "sh", "-c", hidden, "sh", *TOOLKIT)
    done = start(command, *asked, cwd=place, PYTENSOR_FLAGS=flags)
    assert done.returncode == 0, done.stderr


def test_a_fit_is_saved_with_its_card_and_says_that_it_has_not_converged(place, fitted):
    shown = json.loads(fitted.stdout)
    folder = place / shown["folder"]
    assert folder == place / "fits" / "pooled_gamma" / shown["version"]
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "posterior.nc"]
    assert shown["as_of_date"] == str(AS_OF)
    assert shown["diagnostics"]["ess_bulk"] < 400
    assert f"NOT CONVERGED: pooled_gamma@{shown['version']}: " in fitted.stderr
    assert "bulk ESS of " in fitted.stderr
    assert "typical interval" in shown["description"]


def test_the_saved_version_predicts(place, fitted):
    version = json.loads(fitted.stdout)["version"]
    for name in ("pooled_gamma", f"pooled_gamma@{version}"):
        done = run(
            *("predict", name, "--db", "orders.duckdb", "--as-of", AS_OF, "--out", name),
            cwd=place,
        )
        assert done.returncode == 0, done.stderr
        assert "NOT CONVERGED" in done.stderr
    one, other = ((place / n / "pairs.parquet").read_bytes() for n in (name, "pooled_gamma"))
    assert one == other


def test_one_product_is_forecast_by_the_version_that_is_asked_for(place, fitted):
    version = json.loads(fitted.stdout)["version"]
    forecast = ("forecast", "1", "--db", "orders.duckdb", "--as-of", AS_OF, "--json")
    done = run(*forecast, "--model", f"pooled_gamma@{version}", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "NOT CONVERGED" in done.stderr
    shown = json.loads(done.stdout)
    assert shown["model_metadata"]["model_version"] == version
    assert shown["summary"] != json.loads(run(*forecast, cwd=place).stdout)["summary"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("predict", "lapse_gamma"), "lapse_gamma has not been fitted in fits"),
        (("predict", "pooled_gamma@1-0"), "fits holds no version '1-0' of pooled_gamma; it holds"),
        (("fit", "pair_conjugate"), "pair_conjugate needs no fit"),
        (("fit", "nothing"), "unknown model 'nothing'; known models: adida, auto_ets, "),
        (("fit", "pooled_gamma", "--chains", "1"), "chains has to be a whole number"),
    ],
)
def test_wrong_arguments_are_reported_in_a_sentence(place, fitted, arguments, sentence):
    out = ("--out", "out") if arguments[0] == "predict" else ()
    done = run(*arguments, *out, "--db", "orders.duckdb", "--as-of", AS_OF, cwd=place)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_date_before_the_first_order_has_nothing_to_fit(place):
    done = run("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", "1999-01-01", cwd=place)
    assert done.returncode == 1
    assert "holds no order before 1999-01-01" in done.stderr


def test_arviz_opens_what_was_saved(place, fitted):
    tree = az.from_netcdf(place / json.loads(fitted.stdout)["folder"] / "posterior.nc")
    assert {*tree.children} >= {
        "posterior", "sample_stats", "prior", "posterior_predictive", "observed_data",
        "constant_data",
    }  # fmt: skip
    assert tree.attrs["model"] == "pooled_gamma"
    posterior = tree["posterior"]
    assert dict(posterior["shape"].sizes) == {"chain": 2, "draw": 60}
    customers = tree["constant_data"]["customer_id"].to_numpy()
    assert np.array_equal(posterior["customer"].customer_effect, customers)
    assert posterior["regularity"].multiple_of_shape.to_numpy().tolist() == [1, 2, 4, 8, 16]
    summary = az.summary(tree, var_names=["shape", "regularity"], round_to="none")
    assert summary.index.tolist() == ["shape", *(f"regularity[{n}]" for n in (1, 2, 4, 8, 16))]
    assert summary["mean"]["shape"] == pytest.approx(float(posterior["shape"].mean()))
    for plot in (az.plot_trace, az.plot_rank, az.plot_forest):
        plot(tree, var_names=["shape"], backend="none")
    az.plot_energy(tree, backend="none")
    az.plot_prior_posterior(tree, var_names=["shape"], backend="none")


def test_arviz_judges_what_was_saved(place, fitted):
    """A hundred and twenty draws are few: what is tested is that each is one line."""
    saved = place / json.loads(fitted.stdout)["folder"] / "posterior.nc"
    shown = json.loads(fitted.stdout)["sensitivity"]["parameters"]
    table = az.psense_summary(az.from_netcdf(saved), var_names=["~customer", "~product"])
    assert table.index.tolist() == [each["parameter"] for each in shown]
    assert table["prior"].tolist() == pytest.approx([e["prior"] for e in shown], abs=6e-4)
    assert table["likelihood"].tolist() == pytest.approx([e["likelihood"] for e in shown], abs=6e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some k̂ are high
        found = az.loo(az.from_netcdf(saved), var_name="orders")
        table = az.compare({n: az.from_netcdf(saved) for n in ("one", "two")}, var_name="orders")
    assert found.n_data_points == min(1000, json.loads(fitted.stdout)["pairs"])
    assert np.isfinite(found.elpd)
    assert table["elpd_diff"].tolist() == [0.0, 0.0]


def test_saved_again_it_is_the_same(copied, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    load_fit("pooled_gamma", tmp_path).save(again)
    one, two = (az.from_netcdf(folder / "posterior.nc") for folder in (copied, again))
    assert one.identical(two)
    kinds = [
        {
            f"{node.path}/{name}": array.dtype.kind
            for node in tree.subtree
            for name, array in node.data_vars.items()
        }
        for tree in (one, two)
    ]
    assert kinds[0] == kinds[1]
    assert kinds[0]["/sample_stats/diverging"] == "b"


@pytest.mark.slow
def test_two_priors_of_rhythm_are_compared_on_the_same_products_in_windows(place, tmp_path):
    asked = ("fit", "rhythm", "--db", "orders.duckdb", "--as-of", AS_OF, "--method", "laplace")
    trees, cards = [], []
    for given in ((), ("--prior", "rate_slopes=0.01", "--prior", "rate_constant=2,0.1")):
        done = run(*asked, *given, "--fits", tmp_path, "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        trees.append(az.from_netcdf(Path(shown["folder"]) / "posterior.nc"))
        cards.append(FitCard.read(Path(shown["folder"])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some k̂ are high
        found = az.compare(dict(zip(("wide", "tight"), trees, strict=True)), var_name="orders")
        assert np.isfinite(az.loo(trees[0], var_name="orders").elpd)
    assert found.index.tolist() == ["wide", "tight"]
    assert found["elpd_diff"]["tight"] < -4 * found["dse"]["tight"]
    table = az.psense_summary(trees[0])
    assert {"rate[own_rate]", "product_shock", "arrival[constant]"} <= set(table.index)
    wide, tight = (card.sensitivity for card in cards)
    assert len(wide.parameters) == len(table)
    of_rate = [
        {one.parameter for one in found.in_conflict if one.parameter.startswith("rate[")}
        for found in (wide, tight)
    ]
    assert of_rate[1] - of_rate[0]
    assert len(of_rate[0]) < len(of_rate[1])


@pytest.mark.slow
def test_a_fit_is_diagnosed_in_the_terminal_and_as_a_page(place, fitted, tmp_path):
    page = tmp_path / "fit.html"
    done = run("diagnose", "pooled_gamma", "--out", page, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "NOT CONVERGED: bulk ESS of " in done.stdout
    assert "R-hat" in done.stdout
    assert re.search(r"sensitive to the prior \d+ of 11 parameters", done.stdout)
    assert "sensitive to the prior" in page.read_text()
    assert page.read_text().count("data:image/png;base64,") == 4
    shown = json.loads(run("diagnose", "pooled_gamma", "--json", cwd=place).stdout)
    worst = min(each["ess_bulk"] for each in shown["parameters"].values())
    assert worst == pytest.approx(shown["diagnostics"]["ess_bulk"], rel=1e-6)
    assert len(shown["sensitivity"]["parameters"]) == 11
    assert "has not been fitted" in error_of(run("diagnose", "lapse_gamma", cwd=place))


def test_a_posterior_of_the_former_format_says_how_to_make_it_anew(copied, tmp_path):
    xr.Dataset({"shape": ("shape_0", np.ones(9))}).to_netcdf(copied / "posterior.nc")
    with pytest.raises(ModelError, match="older format: fit it anew: `toolkit fit pooled_gamma`"):
        load_fit("pooled_gamma", tmp_path)


@pytest.mark.slow
def test_a_prior_is_given_and_written_down(place, tmp_path):
    given = ("--prior", "shape=0,0.01", "--prior", "customer_scale=0.001")
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", AS_OF, "--json")
    enough = ("--draws", "400", "--tune", "100", "--chains", "2")  # for what the card says of it
    done = run(*asked, *enough, *given, "--fits", tmp_path, cwd=place)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["settings"]["prior"] == {"shape": [0.0, 0.01], "customer_scale": [0.001]}
    tree = az.from_netcdf(Path(shown["folder"]) / "posterior.nc")
    assert abs(np.log(tree["prior"]["shape"].to_numpy())).max() < 0.1
    assert abs(np.log(tree["posterior"]["shape"].to_numpy())).max() < 0.1
    assert tree["posterior"]["customer_scale"].to_numpy().max() < 0.1
    card = FitCard.read(Path(shown["folder"]))
    flagged = [each.parameter for each in card.sensitivity.to_prior]
    assert {"shape", "customer_scale"} <= set(flagged)
    assert "customer_scale" in card.to_card().text()


def test_every_wrong_prior_is_named(place, tmp_path):
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", AS_OF, "--fits", tmp_path)
    wrong = ("--prior", "lapse=1,4", "--prior", "shape=0", "--prior", "product_scale=-1")
    said = error_of(run(*asked, *wrong, cwd=place))
    assert "prior lapse is unknown; pooled_gamma has shape, log_typical, customer_scale" in said
    assert "prior shape has to be two numbers, the second of them above 0, got [0.0]" in said
    assert "prior product_scale has to be a number above 0, got [-1.0]" in said
    said = error_of(run(*asked, "--prior", "shape", cwd=place))
    assert said == "Error: --prior has to be NAME=NUMBER[,NUMBER], got 'shape'"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copied(place, fitted, tmp_path) -> Path:
    """The folder of a copy of the fit, below ``tmp_path``."""
    version = json.loads(fitted.stdout)["version"]
    target = tmp_path / "pooled_gamma" / version
    shutil.copytree(place / "fits" / "pooled_gamma" / version, target)
    return target


def test_a_posterior_cut_short_is_refused(copied, tmp_path):
    posterior = copied / "posterior.nc"
    for share in (0.0, 0.3, 0.99):
        whole = posterior.read_bytes()
        posterior.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=r"cannot be read|does not hold"):
            load_fit("pooled_gamma", tmp_path)
        posterior.write_bytes(whole)
    assert load_fit("pooled_gamma", tmp_path).name == "pooled_gamma"


def test_a_posterior_of_another_model_is_refused(copied, tmp_path):
    other = tmp_path / "lapse_gamma" / copied.name
    shutil.copytree(copied, other)
    with pytest.raises(ModelError, match="holds a fit of pooled_gamma, not of lapse_gamma"):
        load_fit("lapse_gamma", tmp_path)


def test_a_fit_by_older_formulas_is_refused(copied, tmp_path):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps(card | {"formulas": "0"}))
    with pytest.raises(ModelError, match=r"by version 0 of pooled_gamma's formulas.*fit it anew"):
        load_fit("pooled_gamma", tmp_path)


def test_a_posterior_that_is_not_the_cards_is_refused(copied, tmp_path):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps(card | {"version": "1-00000000"}))
    with pytest.raises(ModelError, match="does not hold the posterior"):
        load_fit("pooled_gamma", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"as_of_date": "2019-01-01"}, {"as_of_date": "zzz"}, {"pairs": "x"}, {"warnings": None},
        {"warnings": "abc"}, {"fitted_at": "2024-01-02T00:00:00"}, {"diagnostics": None},
        {"checks": ["x"]}, {"settings": None},
    ],
)  # fmt: skip
def test_a_card_that_was_changed_is_refused(copied, tmp_path, change):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(
        ModelError,
        match=r"does not hold the posterior|is not the card of a fit: \w+(\[1\])?: has to be",
    ):
        load_fit("pooled_gamma", tmp_path)


def test_a_fit_passed_off_as_another_models_is_refused(copied, tmp_path):
    """Both gamma versions have formulas 1."""
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps(card | {"model": "lapse_gamma"}))
    other = tmp_path / "lapse_gamma" / copied.name
    shutil.copytree(copied, other)
    with pytest.raises(ModelError, match="does not hold the posterior"):
        load_fit("lapse_gamma", tmp_path)
    assert "does not hold" in error_of(run("diagnose", "lapse_gamma", "--fits", tmp_path, cwd="."))


def test_a_damaged_fit_is_saved_anew(copied, tmp_path):
    fitted = load_fit("pooled_gamma", tmp_path)
    (copied / "posterior.nc").write_bytes(b"")
    assert save_fit(fitted, tmp_path) == copied
    assert load_fit("pooled_gamma", tmp_path).version == fitted.version


def test_the_latest_fit_is_the_last_to_be_made_by_its_own_word(copied, tmp_path):
    """A copied or restored folder is younger than its fit."""
    card = json.loads((copied / "card.json").read_text())
    for name, made in (("1-0", "2024-01-02T00:00:00Z"), ("1-1", None)):
        other = shutil.copytree(copied, copied.with_name(name))
        (other / "card.json").write_text(json.dumps(card | {"fitted_at": made}))
        os.utime(other, (4e9, 4e9))
    assert fit_folder("pooled_gamma", tmp_path) == copied
    shutil.rmtree(copied)
    assert fit_folder("pooled_gamma", tmp_path).name == "1-0"


SAVES = """
import sys
from pathlib import Path
from tests.processes import limit_files
from toolkit.fits import load_fit, save_fit
fitted = load_fit("pooled_gamma", Path(sys.argv[1]))
limit_files(0, int(sys.argv[3]))
try:
    save_fit(fitted, Path(sys.argv[2]))
except OSError as exc:
    print(exc.strerror, exc.filename)
limit_files(0, -1)
print(save_fit(fitted, Path(sys.argv[2])))
"""


@pytest.mark.parametrize("most_bytes", [0, 50_000])
def test_a_full_disk_leaves_nothing_of_a_fit_and_the_fit_in_memory(copied, tmp_path, most_bytes):
    """HDF5 would take the process with it."""
    again = tmp_path / "again"
    done = run_text(SAVES, tmp_path, again, most_bytes, cwd=tmp_path)
    target = again / "pooled_gamma" / copied.name
    assert done.stdout.splitlines() == [f"No space left on device {target}", str(target)]
    assert [path.name for path in target.parent.iterdir()] == [target.name]


FILLS_THE_DISK = """
import os
from dataclasses import dataclass
from models.pair_conjugate import PairConjugate
from tests.processes import limit_files

@dataclass(frozen=True)
class Fills(PairConjugate):
    name = "fills"

class Version:
    name, reads_customer_days, granularities = "fills", False, Fills.granularities

    def fit(self, patterns, **settings):
        limit_files(os.getpid(), 10)
        return Fills()

    def load(self, folder):
        return Fills()

MODEL = Version()
"""


def test_a_fit_waits_in_memory_until_there_is_room(place, tmp_path):
    (tmp_path / "fills.py").write_text(FILLS_THE_DISK)
    asked = ("fit", f"{tmp_path}/fills.py:MODEL", "--db", "orders.duckdb", "--as-of", str(AS_OF))
    command = [*TOOLKIT, *asked, "--fits", str(tmp_path / "fits")]
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    with subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for(process, b"The fit is kept in memory, and saved once there is room")
            assert list((tmp_path / "fits" / "fills").iterdir()) == []
            limit_files(process.pid, resource.RLIM_INFINITY)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert len(list((tmp_path / "fits" / "fills").iterdir())) == 1


IMPATIENT = """
import toolkit.cli.room as room
from toolkit.cli.app import main
room.ROOM_PATIENCE_S = room.ROOM_TOLD_S = 0.5
room.ROOM_POLL_S = 0.1
main()
"""


def test_a_fit_for_which_there_is_no_room_ends_in_a_script(place, tmp_path):
    """The disk has no room for files of more than 10 bytes: neither has that of temporary files."""
    (tmp_path / "fills.py").write_text(FILLS_THE_DISK)
    (tmp_path / "temporary").mkdir()
    asked = ("fit", f"{tmp_path}/fills.py:MODEL", "--db", "orders.duckdb", "--as-of", AS_OF)
    text = "import tempfile; tempfile.tempdir = None" + IMPATIENT  # where TMPDIR says
    known = {"TMPDIR": tmp_path / "temporary"}
    done = run_text(text, *asked, "--fits", tmp_path / "fits", cwd=place, **known)
    assert done.returncode == 1
    assert "The fit is kept in memory, and saved once there is room; after 0.5 s it goes to" in (
        done.stderr
    )
    said = error_of(done)
    assert re.match(
        rf"Error: {tmp_path}/fits/fills/[^ ]+: No space left on device for \d s; ", said
    )
    assert said.endswith("/temporary does not take it either: No space left on device")
    assert f"; the fit is lost, for {tmp_path}/" in said
    assert list((tmp_path / "fits" / "fills").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_fit_that_finds_no_room_goes_to_temporary_files(tmp_path, monkeypatch, capsys):
    full, real = OSError(errno.ENOSPC, "No space left on device", "fits/x"), save_fit
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("ROOM_PATIENCE_S", "ROOM_POLL_S"):
        monkeypatch.setattr(room, name, 0.0)

    def save(fitted, folder):
        if folder == Path("fits"):
            raise full
        return real(fitted, folder)

    monkeypatch.setattr(room, "save_fit", save)
    with pytest.raises(typer.Exit):
        room.saved(find_model("pair_conjugate"), Path("fits"))
    (saved,) = tmp_path.glob("fits-*/pair_conjugate/*")
    said = capsys.readouterr().err
    assert f"the fit is in {saved}: move it to fits/pair_conjugate, or name --fits" in said


def test_a_fit_waits_for_as_long_as_somebody_sits_at_the_terminal(place, tmp_path, heeded_ctrl_c):
    (tmp_path / "fills.py").write_text(FILLS_THE_DISK)
    asked = ("fit", f"{tmp_path}/fills.py:MODEL", "--db", "orders.duckdb", "--as-of", str(AS_OF))
    command = [sys.executable, "-c", IMPATIENT, *asked, "--fits", str(tmp_path / "fits")]
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    with subprocess.Popen(command, cwd=place, env=environment, stderr=theirs) as process:
        os.close(theirs)
        try:
            shown = b""
            while shown.count(b"Not saved yet") < 4:  # long after a script would have ended
                shown += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            with suppress(OSError):  # it has hung up
                while os.read(ours, 4096):
                    pass
            process.wait(timeout=60)
        finally:
            process.kill()
    os.close(ours)
    assert b"Ctrl-C gives it up" in b" ".join(shown.split())
    assert process.returncode == 130
    assert list((tmp_path / "fits" / "fills").iterdir()) == []


def test_a_page_that_finds_no_room_leaves_what_was_there(place, fitted, tmp_path):
    page = tmp_path / "fit.html"
    page.write_text("before")
    asked = ("diagnose", "pooled_gamma", "--out", page)
    done = run(*asked, cwd=place, most_bytes=10_000)
    assert error_of(done).startswith(f"Error: {page}: No space left on device; make room there")
    assert done.returncode == 1
    assert page.read_text() == "before"
    assert list(tmp_path.iterdir()) == [page]


def test_what_needs_no_fit_has_none_to_diagnose(place):
    assert "pair_conjugate needs no fit" in error_of(run("diagnose", "pair_conjugate", cwd=place))


@pytest.fixture
def heeded_ctrl_c():
    """A suite run in the background hands on that a Ctrl-C is ignored; a fit's test must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_for(process, text: bytes) -> None:
    """Until the process has shown this on stderr, which it shows a terminal only."""
    shown = b""
    while text not in shown:
        more = process.stderr.read1()
        assert more, shown
        shown += more


@pytest.mark.slow
@pytest.mark.parametrize(
    "shown", [b"Compiling and sampling", b"/400600"], ids=["compiling", "sampling"]
)
def test_an_interrupted_fit_leaves_nothing(place, tmp_path, heeded_ctrl_c, shown):
    with subprocess.Popen(
        [
            *(*TOOLKIT, "fit", "lapse_gamma", "--db", "orders.duckdb", "--as-of", str(AS_OF)),
            *("--draws", "100000", "--fits", str(tmp_path / "fits")),
        ],
        cwd=place,
        stderr=subprocess.PIPE,
        env=os.environ | {"FORCE_COLOR": "1"},
    ) as process:
        try:
            wait_for(process, shown)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=600)
        finally:
            process.kill()
        assert process.returncode == 130
    assert not (tmp_path / "fits").exists()


FIT = """
import sys
from datetime import date
from pathlib import Path
from backtests import patterns_before
from toolkit import FitSettings, find_model
model, cores = find_model(sys.argv[1]), int(sys.argv[2])
known = patterns_before(Path("orders.duckdb"), date.fromisoformat(sys.argv[3]), customer_days=True)
settings = FitSettings(draws=60, tune=60, chains=4, cores=cores)
print(model.fit(known, seed=3, settings=settings).version)
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", ["pooled_gamma", "lapse_gamma", "rhythm"])
def test_fits_of_one_seed_are_one_version(place, tmp_path, model):
    """Whether their code was just compiled or found, and on how many cores they ran."""
    variables = {
        "NUMBA_CACHE_DIR": tmp_path / "numba",
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
    }
    done = [
        start((sys.executable, "-c", FIT), model, cores, AS_OF, cwd=place, **variables)
        for cores in (2, 2, 1, 4)
    ]
    assert [each.returncode for each in done] == [0, 0, 0, 0], done[0].stderr
    assert len({each.stdout for each in done}) == 1
