"""Versions whose files were damaged: no alias moves to them, and ``register`` repairs them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backtests.evidence.gate import Gate
from tests.tracking.fits import rhythm_fit
from tests.tracking.test_promotion_commands import toolkit as toolkit_fixture
from toolkit.engine import ForecastEngine
from toolkit.errors import ModelError, ToolkitError, TrackingError
from toolkit.fits import save_fit
from toolkit.tracking.history import history
from toolkit.tracking.loading import load_registered
from toolkit.tracking.promotion import promote, roll_back, set_alias
from toolkit.tracking.pyfunc import load_model
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import aliases, attach_thresholds, find, thresholds_of
from toolkit.tracking.store import Store, open_store

toolkit = toolkit_fixture


@pytest.fixture(scope="module")
def promoted(promotable, tmp_path_factory) -> Path:
    """The folder of a store, to be copied: 1 was the champion before 2 is."""
    folder = tmp_path_factory.mktemp("promoted")
    shutil.copytree(promotable, folder, dirs_exist_ok=True)
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    return folder


@pytest.fixture
def store(promoted, tmp_path) -> Store:
    shutil.copytree(promoted, tmp_path, dirs_exist_ok=True)
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")


def package(store: Store, number: int) -> Path:
    """The folder of a version's artefacts."""
    run_id = find(store, str(number)).run_id
    return store.file.parent / "mlartifacts" / "inter-order" / run_id / "artifacts" / "model"


def _cut(store: Store, number: int) -> None:
    posterior = package(store, number) / "artifacts/fit/posterior.nc"
    posterior.write_bytes(posterior.read_bytes()[:-1000])


def _flip_a_bit(store: Store, number: int) -> None:
    posterior = package(store, number) / "artifacts/fit/posterior.nc"
    content = bytearray(posterior.read_bytes())
    content[len(content) // 2] ^= 1
    posterior.write_bytes(content)


def _lose_the_card(store: Store, number: int) -> None:
    (package(store, number) / "artifacts/fit/card.json").unlink()


def _lose_all(store: Store, number: int) -> None:
    shutil.rmtree(package(store, number))


def _swap(store: Store, number: int) -> None:
    """Another fit's files, whole in themselves."""
    fit = package(store, number) / "artifacts/fit"
    shutil.rmtree(fit)
    shutil.copytree(package(store, 2 if number != 2 else 1) / "artifacts/fit", fit)


def _change_the_card(store: Store, number: int) -> None:
    card = package(store, number) / "artifacts/fit/card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"seed": "x"}))


FIT = [_cut, _lose_the_card, _lose_all, _swap, _change_the_card]
MOVES: list[tuple[int, Callable[[Store], object]]] = [
    (3, lambda store: promote(store, "3", Gate())),
    (3, lambda store: promote(store, "3", Gate(), force=True, reason="now")),
    (1, roll_back),
    (1, lambda store: roll_back(store, to="1")),
    (3, lambda store: set_alias(store, "champion", "3")),
]


@pytest.mark.parametrize("damage", FIT)
def test_no_alias_moves_to_a_version_that_cannot_be_loaded(store, damage):
    damage(store, 1)
    damage(store, 3)
    before = history(store)
    for number, move in MOVES:
        said = rf"inter-order version {number} .*toolkit register rhy"
        with pytest.raises(ToolkitError, match=said):
            move(store)
        assert aliases(store) == {"champion": 2, "previous": 1}
        assert history(store) == before


@pytest.mark.parametrize("damage", [*FIT, _flip_a_bit])
def test_register_repairs_what_is_damaged(store, damage, tmp_path, caplog):
    fit = save_fit(rhythm_fit(), tmp_path / "fits")
    damage(store, 1)
    ref = register_fit(store, fit)
    assert ref.number == 1
    assert "Its files are written anew: inter-order version 1 " in caplog.text or damage is (
        _flip_a_bit  # it may hit a byte that means nothing
    )
    assert load_registered(store, ref).version == rhythm_fit().version
    assert roll_back(store).version.number == 1


@pytest.mark.parametrize("file", ["MLmodel", "served_model.py"])
def test_register_repairs_what_mlflow_loads(store, file):
    (package(store, 3) / file).write_text("{")
    register_fit(store, rhythm_fit(0.2))
    loaded = load_model(str(package(store, 3))).unwrap_python_model().fitted
    assert loaded.version == rhythm_fit(0.2).version


def test_what_is_whole_is_not_written_again(store):
    files = [file for file in package(store, 1).rglob("*") if file.is_file()]
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    register_fit(store, rhythm_fit())
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files} == before


@pytest.mark.parametrize("damage", ["lost", "changed"])
def test_thresholds_that_are_damaged_move_nothing_until_attached_again(store, damage):
    choice = thresholds_of(store, find(store, "1"))
    (file,) = package(store, 1).parent.glob("thresholds-*.json")
    file.unlink() if damage == "lost" else file.write_text("{}")
    with pytest.raises(TrackingError, match=r"version 1 .*`toolkit thresholds RUN --attach rhythm"):
        roll_back(store)
    assert aliases(store) == {"champion": 2, "previous": 1}
    attach_thresholds(store, "1", choice)
    assert roll_back(store).version.number == 1


def test_the_commands_say_it_in_a_sentence(toolkit, store, tmp_path):
    _cut(store, 1)
    fits = tmp_path / "fits"
    save_fit(rhythm_fit(), fits)
    name = find(store, "1").fit
    code, out, err = toolkit("rollback")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: inter-order version 1 ({name}) cannot be loaded: ")
    assert "Traceback" not in err
    assert aliases(store) == {"champion": 2, "previous": 1}
    code, out, err = toolkit("register", name, "--fits", fits)
    assert (code, out) == (0, f"inter-order version 1 ({name}): models:/inter-order/1\n")
    assert toolkit("rollback")[0] == 0


def test_an_engine_of_a_damaged_champion_says_how_to_repair_it(store, database):
    _cut(store, 2)
    with pytest.raises(ModelError, match="writes them anew from the fit"):
        ForecastEngine.from_registry(database, store=store)
