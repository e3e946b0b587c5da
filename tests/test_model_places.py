"""A model named by where it is: a file or a module, in this process and in those it starts."""

import json
import os
import re
import subprocess
import sys

import duckdb
import pytest

from backtests.run.experiment import read_experiment
from backtests.run.folder import RunFolder
from backtests.run.harness import run_backtest
from models.pair_conjugate import MODEL as PAIR_CONJUGATE
from toolkit.diagnosis import Diagnosis
from toolkit.errors import ModelError
from toolkit.model import MODELS_VARIABLE, find_model, known_model, model_file
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.tracking.registration import load_saved

OWN = """
from dataclasses import dataclass
from models.pair_conjugate import PairConjugate

@dataclass(frozen=True)
class Own(PairConjugate):
    @property
    def name(self) -> str:
        return {name!r}

MODEL = Own()
A_CLASS = Own
NO_MODEL = dict(name="own")
"""


@pytest.fixture(autouse=True)
def _forget(tmp_path, monkeypatch):
    """Nothing is known from other tests, nor left to them."""
    monkeypatch.setenv(MODELS_VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    find_model.cache_clear()
    yield
    find_model.cache_clear()


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN.format(name="own"))
    return tmp_path / "own.py"


def test_a_file_gives_its_object_and_then_its_name_does(own):
    model = find_model("own.py:MODEL")
    assert model.name == "own"
    assert find_model(f"{own}:MODEL") is find_model("own") is model
    assert os.environ[MODELS_VARIABLE] == f"{own}:MODEL"


def test_its_file_is_known(own):
    assert model_file("own.py:MODEL") == model_file("own") == own
    assert model_file("pair_conjugate") is None


def test_a_process_that_is_started_knows_it_by_its_name(own, tmp_path_factory):
    find_model("own.py:MODEL")
    code = "from toolkit.model import find_model; print(find_model('own').name)"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert said.stdout == "own\n"


def test_the_variable_alone_is_enough(own, tmp_path, monkeypatch):
    (tmp_path / "more.py").write_text(OWN.format(name="more"))
    monkeypatch.setenv(MODELS_VARIABLE, "own.py:MODEL; more.py:MODEL")
    assert [find_model(name).name for name in ("more", "own")] == ["more", "own"]
    assert find_model("./own.py:MODEL") is find_model("own")


def test_a_module_gives_its_object():
    assert find_model("models.pair_conjugate:MODEL") is PAIR_CONJUGATE
    assert os.environ[MODELS_VARIABLE] == ""  # it is installed under its name


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("gone.py:MODEL", "there is no file {folder}/gone.py to take a model from"),
        ("own.py:MODLE", "{folder}/own.py has no 'MODLE'; it has MODEL"),
        ("own.py:NO_MODEL", "own.py:NO_MODEL is a dict, not a model version: it lacks name, "),
        ("own.py:A_CLASS", "is the class Own, not a model version: make an object of it"),
        ("own.py", "; the object in a file is named own.py:MODEL"),
        ("own", "; one in a file is named path/to/file.py:MODEL, or listed in TOOLKIT_MODELS"),
        ("gone.module:MODEL", "the module 'gone.module' cannot be imported: No module named"),
        ("json:MODEL", "json has no 'MODEL'; it holds no model"),
        (":MODEL", "the module '' cannot be imported"),
    ],
)
def test_what_cannot_be_used_is_reported_in_a_sentence(own, tmp_path, place, said):
    with pytest.raises(ModelError, match=re.escape(said.format(folder=tmp_path))) as caught:
        find_model(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MODEL = 1 +", "SyntaxError: invalid syntax"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        (OWN.format(name="a name"), "the name of own.py:MODEL has to be letters, digits"),
        (OWN.format(name="rhythm"), "is called 'rhythm', as an installed model is"),
    ],
)
def test_a_file_that_cannot_be_used_stays_unknown(tmp_path, text, said):
    (tmp_path / "own.py").write_text(text)
    for _ in range(2):
        with pytest.raises(ModelError, match=re.escape(said)):
            find_model("own.py:MODEL")
    assert os.environ[MODELS_VARIABLE] == ""


def test_two_models_of_one_name_are_refused(own, tmp_path):
    (tmp_path / "copy.py").write_text(own.read_text())
    find_model("own.py:MODEL")
    with pytest.raises(ModelError, match=r"copy\.py:MODEL is called 'own', as another one in"):
        find_model("copy.py:MODEL")
    assert find_model("own") is find_model("own.py:MODEL")


def test_no_file_runs_because_data_name_it(own, tmp_path):
    own.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    fit = tmp_path / "fit"
    fit.mkdir()
    card = {"model": f"{own}:MODEL", "formulas": "1", "version": "1-0"}
    (fit / "card.json").write_text(json.dumps(card | {"diagnostics": {"r_hat": 1.0}}))
    for read in (load_saved, Diagnosis.of, lambda folder: known_model(f"{own}:MODEL")):
        with pytest.raises(ModelError, match="stored data may name no file or module"):
            read(fit)
    with pytest.raises(ModelError, match="stored data may name no file or module"):
        known_model("models.pair_conjugate:MODEL")
    assert not (tmp_path / "ran").exists()


def test_a_backtest_takes_it_from_its_experiment(own, tmp_path):
    orders = generate_orders(Truth(customers=20, products=4, pairs=40, days=400), seed=3)
    with duckdb.connect(str(tmp_path / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    (tmp_path / "own.toml").write_text(
        'name = "own"\ndraws = 20\nhorizon_weeks = 4\n[dates]\nlast = 1\n'
        '[[versions]]\nmodel = "own.py:MODEL"\nlabel = "mine"\n'
        '[[versions]]\nmodel = "pair_conjugate"\n'
    )
    asked = read_experiment(tmp_path / "own.toml")
    folders = {"runs": tmp_path / "runs", "fits": tmp_path / "fits"}
    report = run_backtest(asked, tmp_path / "orders.duckdb", **folders, jobs=1)
    assert report.errors == ()
    tasks = {task.version: task.model for task in RunFolder(report.folder).tasks()}
    assert tasks == {"mine": "own", "pair_conjugate": "pair_conjugate"}
