"""Folders and files that cannot be written to: one sentence with the remedy, no traceback.

Rights bind the processes that are started here, even where the tests run as root.
"""

import shutil
import sys

import duckdb
import pytest

from backtests.run.experiment import read_experiment
from tests.backtests.conftest import backtest
from tests.processes import error_of
from tests.processes import run as run_as_root
from tests.sources.helpers import write_folder
from toolkit.cache.server import embedded_server
from toolkit.installed import HOME
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.tracking.store import open_store

EXPERIMENT = """
name = "own"
draws = 20
horizon_weeks = 4
[dates]
last = 1
[[versions]]
model = "pair_conjugate"
[[versions]]
model = "mean_interval"
"""
NAME_ANOTHER = (
    "; name a place that you can write to with the options of the command (--help lists them), "
    "or run it in another folder"
)
STORE = "--store or MLFLOW_TRACKING_URI names a store that you can write to"


def run(*arguments, cwd, **variables):
    """A command of somebody whose home cannot be written to either, unless said."""
    return run_as_root(*arguments, cwd=cwd, obey=True, **variables)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Orders, a database, a backtest."""
    place = tmp_path_factory.mktemp("place")
    orders = generate_orders(Truth(customers=20, products=4, pairs=60, days=500), seed=3)
    (place / "orders").mkdir()
    write_folder(orders, place / "orders", "parquet")
    with duckdb.connect(str(place / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    (place / "own.toml").write_text(EXPERIMENT)
    report = backtest(read_experiment(place / "own.toml"), place / "orders.duckdb", place / "runs")
    (place / "run").symlink_to(report.folder)
    return place


@pytest.fixture
def locked(tmp_path):
    """A folder that cannot be written to."""
    tmp_path.chmod(0o555)
    yield tmp_path
    tmp_path.chmod(0o755)


CASES = {
    "import": (("import", "{place}/orders", "--db", "new.duckdb"), 2,
               "{here}/new.duckdb could not be written: Permission denied; "
               "name a file in a folder that you can write to"),
    "fit": (("fit", "pooled_gamma", "--db", "{place}/orders.duckdb", "--as-of", "2022-01-03"), 2,
            "{here}: Permission denied" + NAME_ANOTHER),
    "predict": (("predict", "pair_conjugate", "--db", "{place}/orders.duckdb", "--as-of",
                 "2022-01-03", "--out", "out"), 2, "{here}/out: Permission denied" + NAME_ANOTHER),
    "plot": (("forecast", "1", "--db", "{place}/orders.duckdb", "--as-of", "2022-01-03", "--plot",
              "weeks.png"), 2, "{here}/weeks.png: Permission denied" + NAME_ANOTHER),
    "backtest": (("backtest", "{place}/own.toml", "--db", "{place}/orders.duckdb"), 2,
                 "{here}/runs: Permission denied" + NAME_ANOTHER),
    "report": (("report", "{place}/run", "--out", "page.html"), 2,
               "{here}/page.html: Permission denied" + NAME_ANOTHER),
    "register": (("register", "pair_conjugate"), 1,
                 "{here}/mlflow.db.lock cannot be made: Permission denied; " + STORE),
    "promote": (("promote", "pair_conjugate"), 1,
                "{here}/mlflow.db.lock cannot be made: Permission denied; " + STORE),
    "demo": (("demo",), 2, "{here}/demo: Permission denied" + NAME_ANOTHER),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_working_folder_that_cannot_be_written_to(name, place, locked):
    arguments, code, said = CASES[name]
    done = run(*(argument.format(place=place) for argument in arguments), cwd=locked)
    assert error_of(done) == f"Error: {said.format(here=locked)}"
    assert done.returncode == code
    assert list(locked.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compare", "thresholds", "report"])
def test_a_run_that_cannot_be_written_to(command, place, tmp_path):
    copy = shutil.copytree(place / "run", tmp_path / "run")
    copy.chmod(0o555)
    done = run(command, copy, cwd=tmp_path)
    copy.chmod(0o755)
    assert error_of(done).startswith(f"Error: {copy}/")
    assert ".part-" not in error_of(done)
    assert error_of(done).endswith(f": Permission denied{NAME_ANOTHER}")
    assert done.returncode == 2


def test_a_file_where_a_folder_should_be(place):
    done = run("predict", "pair_conjugate", "--db", "orders.duckdb", "--out", "own.toml", cwd=place)
    assert error_of(done) == f"Error: {place}/own.toml: File exists{NAME_ANOTHER}"
    asked = ("backtest", "own.toml", "--db", "orders.duckdb", "--runs", "own.toml/runs")
    said = error_of(run(*asked, cwd=place))
    assert said.startswith(f"Error: {place}/own.toml/runs")
    assert said.endswith(f": Not a directory{NAME_ANOTHER}")


def test_the_place_of_a_fit_is_tried_before_minutes_are_spent(place):
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", "2022-01-03")
    done = run(*asked, "--fits", "own.toml/fits", cwd=place)
    assert error_of(done) == f"Error: {place}/own.toml: Not a directory{NAME_ANOTHER}"


def test_the_room_for_a_fit_is_tried_before_minutes_are_spent(place):
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", "2022-01-03")
    done = run(*asked, "--fits", "full", cwd=place, most_bytes=1_000_000)
    room = NAME_ANOTHER.replace("name", "make room there, or name", 1)
    assert error_of(done) == f"Error: {place}: No space left on device{room}"
    assert done.returncode == 1
    assert not (place / "full").exists()


def test_a_folder_that_the_system_does_not_let_anybody_make(place):
    done = run("backtest", "own.toml", "--db", "orders.duckdb", "--runs", "/proc/runs", cwd=place)
    assert error_of(done) == f"Error: /proc/runs: No such file or directory{NAME_ANOTHER}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_disk_that_is_full_is_no_fault_of_the_call(place):
    asked = ("forecast", "1", "--db", "orders.duckdb", "--as-of", "2022-01-03")
    (place / "full.png").symlink_to("/dev/full")
    done = run(*asked, "--plot", "full.png", cwd=place)
    assert "No space left on device" in error_of(done)
    assert done.returncode == 1


def test_predictions_that_find_no_room_leave_what_was_there(place, tmp_path):
    asked = ("predict", "pair_conjugate", "--db", place / "orders.duckdb", "--as-of", "2022-01-03")
    done = run(*asked, "--out", "out", cwd=tmp_path, most_bytes=3_000)
    assert error_of(done).startswith(f"Error: {tmp_path}/out/p")
    assert ": No space left on device; make room there, or name" in error_of(done)
    assert done.returncode == 1
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_store_that_cannot_be_written_to(tmp_path):
    open_store(f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mlflow.db").chmod(0o444)
    again = run("register", "pair_conjugate", cwd=tmp_path)
    assert error_of(again).endswith(f"attempt to write a readonly database; {STORE}")
    (tmp_path / "mlflow.db").chmod(0o644)
    (tmp_path / "mlartifacts").mkdir(0o555)
    artefacts = run("register", "pair_conjugate", cwd=tmp_path)
    assert f"Permission denied: '{tmp_path}/mlartifacts/" in error_of(artefacts)
    assert error_of(artefacts).endswith(f"; {STORE}")


@pytest.mark.slow
def test_an_export_is_published_where_only_the_log_cannot_be_written(place, locked):
    with embedded_server() as server:
        asked = ("export", "--db", place / "orders.duckdb", "--redis", server.url)
        done = run(*asked, cwd=locked)
    assert done.returncode == 0, done.stderr
    assert f"Not logged: {locked}/mlflow.db.lock cannot be made" in done.stderr


@pytest.mark.slow  # as a user starts it, with all imports
def test_a_home_without_compile_caches(place, locked):
    """PyTensor's folder is in the home, and Numba's where the package's cannot be written to."""
    asked = ("fit", "pooled_gamma", "--db", "orders.duckdb", "--as-of", "2022-01-03")
    done = run(*asked, cwd=place, HOME=locked, PYTENSOR_FLAGS="", NUMBA_CACHE_DIR=place)
    assert "PyTensor has no folder to keep compiled code in: set PYTENSOR_FLAGS=" in error_of(done)
    assert done.returncode == 2
    assert not list((place / "fits").rglob("card.json"))


def test_no_place_for_numbas_compiled_code(place, locked):
    """A package that is installed by somebody else, as its users mostly have it."""
    copy = locked / "site"
    locked.chmod(0o755)
    for package in ("toolkit", "models", "backtests"):
        shutil.copytree(
            HOME / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir()), locked):
        folder.chmod(0o555)
    asked = ("predict", "rhythm", "--db", "orders.duckdb", "--out", "out")
    done = run(*asked, cwd=place, HOME=locked, PYTHONPATH=copy, NUMBA_CACHE_DIR="")
    for folder in copy.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    copy.chmod(0o755)
    assert "Numba has no folder to keep compiled code in: set NUMBA_CACHE_DIR" in error_of(done)
    assert done.returncode == 2
