"""Folders of the user's that are called as our packages are, where commands run."""

import os
import sys

import duckdb
import pytest

from tests.processes import CODE, MODULE, TOOLKIT, error_of, start
from toolkit.sources.generator import Truth, generate_orders, load_orders

OURS = ("models", "backtests", "experiments", "toolkit")
EXPERIMENT = """
name = "own"
draws = 20
horizon_weeks = 4
[dates]
last = 1
[[versions]]
model = "pair_conjugate"
"""
FIND = (sys.executable, "-c", "from toolkit.model import find_model; print(find_model('rhythm'))")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    file = tmp_path_factory.mktemp("orders") / "orders.duckdb"
    with duckdb.connect(str(file)) as conn:
        load_orders(
            generate_orders(Truth(customers=20, products=4, pairs=40, days=400), seed=3), conn
        )
    return file


@pytest.fixture
def place(tmp_path):
    (tmp_path / "own.toml").write_text(EXPERIMENT)
    return tmp_path


def plant(place, names, *, packages) -> None:
    for name in names:
        (place / name).mkdir()
        (place / name / "rhythm.py").write_text("MODEL = 'not ours'\n")
        if packages:
            (place / name / "__init__.py").write_text("'''The user's own.'''\n")


def first(folder) -> str:
    """Python's path with ``folder`` before all others."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def backtest(command, place, database):
    asked = ("backtest", "own.toml", "--db", database, "--jobs", 2, "--no-log")
    done = start(command, *asked, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 tasks scored" in done.stdout


@pytest.mark.slow
def test_folders_that_are_no_packages_hide_nothing(place, database):
    plant(place, OURS, packages=False)
    backtest(MODULE, place, database)
    assert "RhythmVersion" in start(FIND, cwd=place).stdout


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(TOOLKIT, marks=pytest.mark.slow),
        pytest.param(MODULE, marks=pytest.mark.slow),
        pytest.param(CODE, marks=pytest.mark.slow),
    ],
    ids=["script", "module", "code"],
)
def test_commands_load_past_packages_in_their_folder(command, place, database):
    plant(place, ("models", "backtests", "experiments"), packages=True)
    backtest(command, place, database)  # its worker processes, too
    said = error_of(start(command, "fit", "pair_conjugate", "--db", database, cwd=place))
    assert said == "Error: pair_conjugate needs no fit: it can predict as it is"


@pytest.mark.slow
def test_even_past_a_package_of_our_own_name(place, database):
    plant(place, OURS, packages=True)
    backtest(TOOLKIT, place, database)
    backtest((sys.executable, "-P", "-m", "toolkit"), place, database)


@pytest.mark.parametrize("with_rhythm", [True, False])
def test_a_process_of_the_users_is_told_what_hides_a_model(place, with_rhythm):
    plant(place, ("models",), packages=True)
    if not with_rhythm:
        (place / "models" / "rhythm.py").unlink()
    done = start(FIND, cwd=place)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"toolkit.errors.ModelError: {place / 'models'} hides the installed package 'models', "
        "which holds 'rhythm': rename it, or keep it off Python's path (`python -P` leaves the "
        "working folder out)"
    )


def test_a_module_of_that_name_hides_it_as_well(place):
    (place / "models.py").write_text("")
    last = start(FIND, cwd=place).stderr.splitlines()[-1]
    assert f"{place / 'models.py'} hides the installed package 'models'" in last
    done = start((sys.executable, "-P", *FIND[1:]), cwd=place)
    assert "RhythmVersion" in done.stdout, done.stderr  # the remedy is one


@pytest.mark.parametrize("name", ["models", "backtests"])
def test_commands_say_what_hides_a_package_on_the_path(name, place, database):
    plant(place, (name,), packages=True)
    asked = ("predict", "rhythm", "--db", database, "--out", "out")
    done = start(TOOLKIT, *asked, cwd=place.parent, PYTHONPATH=first(place))
    assert done.returncode == 2
    assert f"{place / name} hides the installed package {name!r}" in error_of(done)


def test_an_entry_point_that_leads_nowhere_is_told(place, database):
    info = place / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toolkit.models]\nlost = nowhere.to_be:FOUND\n")
    asked = ("predict", "lost", "--db", database, "--out", "out")
    done = start(MODULE, *asked, cwd=place.parent, PYTHONPATH=first(place))
    assert done.returncode == 2
    assert error_of(done) == (
        "Error: 'lost' (nowhere.to_be:FOUND) cannot be loaded: No module named 'nowhere'"
    )
