"""A run's key hangs on what its tasks import, and on nothing else."""

import sys

import pytest

from backtests.run.provenance import TASKS, _imported, code_version, roots_of

SHOP = {
    "__init__": "",
    "tasks": "import shop.direct\nfrom shop import named, thing\nraise OSError\n",
    "direct": "def later():\n    from shop.inside import thing\n",
    "named": "from shop.tasks import json\n",
    "inside": "thing = 1\n",
    "beside": "thing = 2\n",
}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in SHOP.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def test_modules_are_found_through_one_another_and_inside_functions(shop):
    found = _imported(frozenset({"shop.tasks"}), frozenset({"shop"}))
    modules = ("direct", "inside", "named", "tasks")
    assert found == {"shop": shop / "__init__.py"} | {
        f"shop.{name}": shop / f"{name}.py" for name in modules
    }


def test_tasks_import_what_makes_their_rows_and_not_what_reads_them():
    found = _imported(frozenset(TASKS), frozenset({"backtests", "toolkit"}))
    assert {*TASKS, "backtests.scores.metrics", "toolkit.stages.prediction"} <= found.keys()
    rooms = {".".join(name.split(".")[:2]) for name in found}
    assert not rooms & {
        "backtests.report", "backtests.compare", "backtests.cli", "toolkit.cache",
        "toolkit.tracking", "toolkit.export", "toolkit.demo",
    }  # fmt: skip


def test_the_module_that_names_a_model_counts():
    """Versions of one class differ in it alone."""
    assert {"models.peers.series", "models.rhythm", *TASKS} <= roots_of(["tsb", "rhythm"])
    assert code_version(["hiatus"]) != code_version(["mean_interval"])


def test_a_models_own_modules_count():
    assert code_version(["rhythm"]) != code_version(["pooled_gamma"])
    assert code_version(["rhythm"]) == code_version(["rhythm"])
