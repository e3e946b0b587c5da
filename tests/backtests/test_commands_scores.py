"""``toolkit compare`` and ``toolkit thresholds`` on a run's folder."""

import json
import shutil
import sys
from dataclasses import dataclass

import pytest

from backtests.compare.comparison import compare_versions
from backtests.evidence.found import find_evidence
from backtests.run.folder import RunFolder
from backtests.thresholds.choice import ThresholdChoice, kept_choices
from tests.tracking.fits import rhythm_fit
from toolkit.cli.app import main
from toolkit.model import find_model
from toolkit.stages.listing import ProductThresholds
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import find, thresholds_of
from toolkit.tracking.store import open_store
from toolkit.validation import parse, plain


@pytest.fixture
def folder(run, tmp_path):
    """A copy of the small backtest, to write into."""
    return RunFolder(shutil.copytree(run.path, tmp_path / "run")).path


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def toolkit(monkeypatch, capsys):
    """The command line, in this process."""

    def call(*arguments) -> Said:
        monkeypatch.setattr(sys, "argv", ["toolkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        return Said(int(exited.value.code or 0), *capsys.readouterr())

    return call


def test_compares_versions_of_a_run(toolkit, folder):
    said = toolkit("compare", folder)
    assert said.returncode == 0, said.stderr
    assert "Best of each score" in said.stdout
    assert "log loss of an order within 28 days" in " ".join(said.stdout.split())
    assert "no difference beyond noise on" in said.stdout
    assert "Note: Too few dates" in said.stdout
    kept = json.loads((folder / "comparison.json").read_text())
    assert kept == plain(compare_versions(RunFolder(folder)))


def test_brief_leaves_out_the_tables(toolkit, folder):
    for command in ("compare", "thresholds"):
        whole, brief = (toolkit(command, folder, *more).stdout for more in ((), ("--brief",)))
        lines = whole.splitlines()
        titles = ("Best of each", "Lowest ", "rhythm −")
        said = [line for line in brief.splitlines() if line]
        assert said == [line for line in lines if line in said]
        assert 0 < len(said) < len(whole.splitlines()) / 4
        assert not any(line.startswith(titles) for line in said)


EXPERIMENT = """
name = "small"
draws = 50
pairs_per_shard = 100
[dates]
list = [{dates}]
[[versions]]
model = "pair_conjugate"
[[versions]]
model = "pair_conjugate"
label = "other"
seed = 5
"""


def test_a_backtest_keeps_its_comparison_and_logs_it(toolkit, folder, run, order_file, tmp_path):
    asked = tmp_path / "small.toml"
    asked.write_text(EXPERIMENT.format(dates=", ".join(map(str, run.dates))))
    runs = tmp_path / "runs"
    shutil.copytree(folder, runs / run.path.name)  # it goes on from there: nothing is left to do
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    said = toolkit("backtest", asked, "--db", order_file, "--runs", runs, "--store", store.uri)
    assert said.returncode == 0, said.stderr
    kept = json.loads((runs / run.path.name / "comparison.json").read_text())
    assert kept == plain(compare_versions(run))
    (logged,) = tmp_path.glob("mlartifacts/small/*/artifacts/comparison.json")
    assert json.loads(logged.read_text()) == kept
    found = find_evidence(store, register_fit(store, find_model("pair_conjugate")))
    assert (found.exact, found.candidate.label, found.candidate.tasks) == (
        True,
        "pair_conjugate",
        8,
    )
    difference = found.difference("log_loss", "other")
    (row,) = [row for row in kept["differences"] if row["score"] == "log_loss"]
    assert (difference.value, difference.low) == (row["value_against"], -row["high"])
    assert 0.5 < found.scores["product_week/coverage_80"] < 1


def test_compares_for_scripts(toolkit, folder):
    said = toolkit("compare", folder, "other", "pair_conjugate", "--score", "log_loss", "--json")
    content = json.loads(said.stdout)
    assert content["versions"] == ["other", "pair_conjugate"]
    assert [row["score"] for row in content["differences"]] == ["log_loss"]
    assert not (folder / "comparison.json").exists()  # not all versions and scores


def test_chooses_thresholds(toolkit, folder):
    said = toolkit("thresholds", folder, "--coverage", "0.5")
    assert said.returncode == 0, said.stderr
    assert "what thresholds cost and bring" in said.stdout
    assert "Not verified" in said.stdout
    kept = kept_choices(folder / "thresholds.json").choices
    assert [choice.version for choice in kept] == ["pair_conjugate", "other"]


def test_chooses_thresholds_for_scripts(toolkit, folder):
    said = toolkit("thresholds", folder, "--version", "other", "--error", "brier", "--json")
    (choice,) = json.loads(said.stdout)["choices"]
    assert choice["rule"]["error"] == "brier"


@pytest.fixture
def store(tmp_path):
    """Where pair_conjugate is version 1."""
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    register_fit(store, find_model("pair_conjugate"))
    return store


def test_attaches_thresholds_to_a_registered_version(toolkit, folder, store):
    asked = ("thresholds", folder, "--attach", "pair_conjugate", "--store", store.uri)
    ambiguous = toolkit(*asked)
    assert ambiguous.returncode == 2
    assert "pair_conjugate, other of" in ambiguous.stderr
    assert "are all pair_conjugate: say with --version LABEL" in ambiguous.stderr
    assert thresholds_of(store, find(store, "1")) is None
    said = toolkit(*asked, "--version", "other")
    assert said.returncode == 0, said.stderr
    assert "Those of other are attached to inter-order version 1 (pair_conj" in said.stdout
    attached = thresholds_of(store, find(store, "1"))
    assert attached["evidence"] == RunFolder(folder).description.key
    choice = parse(ThresholdChoice, attached, "attached")
    own = ProductThresholds.from_dict(attached)
    assert (choice.version, choice.overall.min_orders) == ("other", own.overall.min_orders)
    assert own.known_before == choice.known_before


def test_thresholds_of_another_model_are_not_attached(toolkit, folder, store):
    register_fit(store, rhythm_fit())
    said = toolkit("thresholds", folder, "--attach", "rhythm", "--store", store.uri)
    assert said.returncode == 2
    assert "holds nothing of rhythm among pair_conjugate, other: thresholds for" in said.stderr
    unknown = toolkit("thresholds", folder, "--attach", "inter-order@9", "--store", store.uri)
    assert unknown.returncode == 2
    assert "holds no version 'inter-order@9'" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "other"), "needs two versions, got other"),
        (("compare", "other", "new"), "no version new"),
        (("thresholds", "--error", "wape"), "one of miss"),
        (("thresholds", "--coverage", "80"), "from 0 to 1, got 80"),
    ],
)
def test_says_what_is_allowed(toolkit, run, arguments, message):
    command, *rest = arguments
    said = toolkit(command, run.path, *rest)
    assert said.returncode == 2
    assert message in said.stderr
