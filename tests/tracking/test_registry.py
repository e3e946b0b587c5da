"""Versions of ``inter-order``: registered once, named, given thresholds, loaded again."""

import json
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

from backtests.evidence.gate import Gate
from tests.tracking.conftest import finished
from tests.tracking.fits import WARNING, rhythm_fit
from toolkit.errors import ModelError, TrackingError
from toolkit.fits import save_fit
from toolkit.model import find_model
from toolkit.tracking.loading import load_for_engine, load_registered
from toolkit.tracking.promotion import promote, set_alias
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import (
    aliases,
    attach_thresholds,
    find,
    move_aliases,
    thresholds_of,
    versions,
)
from toolkit.tracking.store import open_store

DATA = {"sha256": "ab" * 32, "rows": 1000}


@pytest.fixture(scope="module")
def shared(empty_store, tmp_path_factory):
    """A store with three versions: two fits, of which one has not converged, and no fit."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    register_fit(store, rhythm_fit(), data=DATA)
    register_fit(store, rhythm_fit(0.1, warnings=(WARNING, "3 transitions diverged")))
    register_fit(store, find_model("pair_conjugate"))
    return store


def test_a_version_says_what_it_is_and_what_it_was_fitted_to(shared):
    fit = rhythm_fit()
    ref = find(shared, "1")
    assert (ref.number, ref.fit, ref.aliases) == (1, f"rhythm@{fit.version}", ())
    assert (ref.converged, ref.warnings, ref.as_of_date) == (True, (), "2022-06-06")
    assert (ref.tags["data.sha256"], ref.tags["data.rows"]) == ("ab" * 32, "1000")
    run = shared.client.get_run(ref.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["draws"] == "1000"
    assert run.data.metrics == {"r_hat": 1.003, "divergences": 0}
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("orders", "ab" * 18)
    assert [tag.value for tag in given.tags] == ["training"]


def test_a_fit_that_has_not_converged_is_registered_as_unfit(shared):
    ref = find(shared, "2")
    assert not ref.converged
    assert ref.warnings == (WARNING, "3 transitions diverged")


def test_a_model_that_needs_no_fit_has_no_date(shared):
    ref = find(shared, "pair_conjugate")
    assert (ref.number, ref.converged, ref.as_of_date) == (3, True, None)
    assert load_registered(shared, "3") == find_model("pair_conjugate")


def test_no_file_runs_because_a_tag_names_it(store, tmp_path):
    register_fit(store, find_model("pair_conjugate"))
    (tmp_path / "foreign.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    foreign = f"{tmp_path / 'foreign.py'}:MODEL"
    with store.errors():
        store.client.set_model_version_tag("inter-order", "1", "fit", f"{foreign}@1")
    for load in (load_registered, load_for_engine):
        with pytest.raises(ModelError, match="stored data may name no file or module"):
            load(store, "1")
    with pytest.raises(ModelError, match="stored data may name no file or module"):
        promote(store, "1", Gate())
    assert not (tmp_path / "ran").exists()


def test_what_is_kept_is_data_and_three_lines_of_code(shared):
    folder = shared.file.parent / "mlartifacts" / "inter-order" / find(shared, "1").run_id
    kept = {str(p.relative_to(folder / "artifacts")) for p in folder.rglob("*") if p.is_file()}
    assert kept == {
        "model/MLmodel",
        "model/artifacts/fit/card.json",
        "model/artifacts/fit/posterior.nc",
        "model/conda.yaml",
        "model/input_example.json",
        "model/python_env.yaml",
        "model/requirements.txt",
        "model/served_model.py",
        "model/serving_input_example.json",
    }
    requirements = (folder / "artifacts/model/requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in requirements] == [
        "interorder-toolkit",
        "mlflow",
        "pandas",
    ]


def test_a_loaded_version_is_the_fit(shared):
    fit = rhythm_fit()
    loaded = load_registered(shared, f"rhythm@{fit.version}")
    assert (loaded.card, loaded.version) == (fit.card, fit.version)
    assert loaded.arrays.keys() == fit.arrays.keys()
    assert all(np.array_equal(loaded.arrays[name], fit.arrays[name]) for name in fit.arrays)


def test_a_local_version_is_read_where_it_lies(shared, monkeypatch, tmp_path):
    """A folder made for it would stay behind with whoever is killed while it loads."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert load_registered(shared, "1").version == rhythm_fit().version


def test_the_same_fit_is_one_version_and_learns_what_was_not_known(store, tmp_path):
    fit = rhythm_fit()
    first = register_fit(store, fit)
    assert "data.sha256" not in first.tags
    again = register_fit(store, save_fit(fit, tmp_path / "fits"), data=DATA)
    assert (again.number, again.run_id) == (first.number, first.run_id)
    assert again.tags["data.sha256"] == "ab" * 32
    assert len(versions(store)) == 1


def test_a_folder_without_a_fit_is_refused(store, tmp_path):
    (tmp_path / "notes.json").write_text("[1]")
    with pytest.raises(ModelError, match="does not hold a saved fit"):
        register_fit(store, tmp_path)


@pytest.mark.parametrize("reference", ["1", "inter-order@1", "rhythm@{}", "{}", "inter-order@{}"])
def test_a_version_is_found_by_number_and_by_fit(shared, reference):
    assert find(shared, reference.format(rhythm_fit().version)).number == 1


def test_the_latest_of_a_model_is_meant_by_its_name(shared):
    assert find(shared, "rhythm").number == 2


@pytest.mark.parametrize("reference", ["champion", "inter-order@7", "rhythm@1-0", "prophet", ""])
def test_an_unknown_version_is_told_with_those_there_are(shared, reference):
    with pytest.raises(TrackingError, match=r"holds 1 \(rhythm@.*\), 2 .*, 3 \(pair_con") as told:
        find(shared, reference)
    assert not told.value.unavailable


def test_an_empty_registry_says_how_to_fill_it(store):
    assert versions(store) == []
    assert aliases(store) == {}
    with pytest.raises(TrackingError, match="holds no version of inter-order: `toolkit register"):
        load_registered(store, "champion")


def test_a_version_whose_files_are_gone_is_told(store):
    ref = register_fit(store, rhythm_fit())
    (store.file.parent / "mlartifacts").rename(store.file.parent / "lost")
    with pytest.raises(TrackingError, match="No such artifact"):
        load_registered(store, ref)


def test_aliases_name_versions_and_move(store):
    for shift in (0.0, 0.1):
        register_fit(store, rhythm_fit(shift))
    assert set_alias(store, "champion", "1").aliases == ("champion",)
    assert find(store, "inter-order@champion").aliases == ("champion",)
    move_aliases(store, {"previous": 1, "champion": 2}, expected={"champion": 1, "previous": None})
    assert aliases(store) == {"champion": 2, "previous": 1}
    move_aliases(store, {"previous": None}, expected={})
    assert aliases(store) == {"champion": 2}


def test_aliases_stay_where_somebody_else_has_moved_them(store):
    register_fit(store, rhythm_fit())
    set_alias(store, "champion", "1")
    with pytest.raises(TrackingError, match="champion names version 1 by now, not nothing"):
        move_aliases(store, {"champion": 1, "previous": 1}, expected={"champion": None})
    assert aliases(store) == {"champion": 1}


def test_an_alias_that_mlflow_does_not_take_is_told(store):
    register_fit(store, rhythm_fit())
    with pytest.raises(TrackingError, match="refused"):
        set_alias(store, "v1", "1")


PROMOTE = """
from tests.tracking.processes import at_once
from toolkit.errors import TrackingError
from toolkit.tracking.registry import move_aliases

def promote(store, number):
    try:
        move_aliases(store, {"previous": 1, "champion": number}, expected={"champion": 1})
        return "won"
    except TrackingError as exc:
        return exc

at_once(lambda store: promote(store, 2), lambda store: promote(store, 3), opened=True)
"""


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(store, script):
    for shift in (0.0, 0.1, 0.2):
        register_fit(store, rhythm_fit(shift))
    set_alias(store, "champion", "1")
    said = sorted(finished(script(PROMOTE)).splitlines())
    champion = aliases(store)["champion"]
    assert said == [
        f"inter-order@champion names version {champion} by now, not version 1: "
        "somebody else has moved it",
        "won",
    ]
    assert aliases(store)["previous"] == 1


REGISTER = """
from tests.tracking.fits import rhythm_fit
from tests.tracking.processes import at_once, killed
from toolkit.tracking.registration import register_fit
"""


def test_processes_that_register_one_fit_at_once_make_one_version(store, script):
    text = "at_once(*[lambda store: register_fit(store, rhythm_fit()).number] * 2, opened=True)"
    assert finished(script(REGISTER + text)) == "1\n1\n"
    assert len(versions(store)) == 1


@pytest.mark.slow
def test_a_registration_that_was_killed_is_completed(store, script):
    text = "killed([6, 14, 20], lambda store: register_fit(store, rhythm_fit()))"
    out = finished(script(REGISTER + text)).split()
    assert out[0] == str(-signal.SIGKILL)
    assert set(out) <= {"0", str(-signal.SIGKILL)}
    ref = register_fit(store, rhythm_fit())
    assert (ref.number, len(versions(store))) == (1, 1)
    experiment = store.client.get_experiment_by_name("inter-order").experiment_id
    assert len(store.client.search_runs([experiment])) == 1
    assert load_registered(store, ref).version == rhythm_fit().version


def test_thresholds_are_attached_replaced_and_read_back(store):
    ref = register_fit(store, rhythm_fit())
    assert thresholds_of(store, ref) is None
    short = {"global": {"min_orders": 2, "min_confidence": 0.3}, "rule": "≥ 80 %"}
    ref = attach_thresholds(store, ref, short)
    assert thresholds_of(store, ref) == short
    assert json.loads(ref.tags["thresholds"])["thresholds"] == short
    long = {"products": {str(i): [2, 0.35] for i in range(3000)}}
    ref = attach_thresholds(store, "rhythm", long)
    assert thresholds_of(store, ref) == long
    assert len(ref.tags["thresholds"]) < 200


def test_thresholds_that_are_not_those_attached_are_refused(store):
    ref = attach_thresholds(store, register_fit(store, rhythm_fit()), {"min_orders": 2})
    file = json.loads(ref.tags["thresholds"])["file"]
    (path,) = Path(store.file.parent).rglob(file)
    path.write_text('{"min_orders": 1}')
    with pytest.raises(TrackingError, match="does not hold the thresholds attached to inter-order"):
        thresholds_of(store, ref)
