"""``python -m toolkit``, ``--version``, completion, shipped experiments: cheap, and quick."""

import subprocess
import sys
from importlib.metadata import distribution, version

import pytest

from tests.processes import MODULE, TOOLKIT, error_of, run, start
from toolkit.installed import DISTRIBUTION, ENTRY_POINT_GROUP

HEAVY = {
    "arviz", "duckdb", "h5py", "jinja2", "matplotlib", "mlflow", "numba", "numpy", "nutpie",
    "pandas", "plotly", "pyarrow", "pymc", "pytensor", "redis", "scipy", "sqlalchemy", "xarray",
}  # fmt: skip
"""A quarter of a second goes to Typer; any of these would take as long again, or far longer."""
EXPERIMENTS = ["peers", "quick", "versions"]


@pytest.mark.parametrize("command", [TOOLKIT, MODULE], ids=["script", "module"])
def test_the_version_is_the_installed_one(command, tmp_path):
    done = start(command, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{version('interorder-toolkit')}\n")


def test_the_module_is_the_command(tmp_path):
    said = [start(command, "--help", cwd=tmp_path).stdout for command in (TOOLKIT, MODULE)]
    assert said[0].split()[2:] == said[1].replace("python -m toolkit", "toolkit").split()[2:]
    assert all(word in said[0] for word in ("--version", "--install-completion", "backtest"))


def complete(*words: str, cwd) -> list[str]:
    """What the shell would offer for the last of ``words``."""
    asked = {"COMP_WORDS": " ".join(["toolkit", *words]), "COMP_CWORD": len(words)}
    done = run(cwd=cwd, _TOOLKIT_COMPLETE="complete_bash", **asked)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("re",), ["read", "register", "replay", "report"]),
        (("fit", "ly"), []),
        (("fit", "rh"), ["rhythm", "rhythm_boosted"]),
        (("predict", "po"), ["pooled_gamma"]),
        (("register", "la"), ["lapse_gamma", "last_26_weeks"]),
        (("forecast", "1", "--model", "pa"), ["pair_conjugate", "pareto_nbd"]),
        (("backtest", ""), EXPERIMENTS),
        (("backtest", "q"), ["quick"]),
    ],
)
def test_the_shell_completes_commands_models_and_experiments(words, offered, tmp_path):
    assert sorted(complete(*words, cwd=tmp_path)) == sorted(offered)


def test_every_installed_model_is_offered(tmp_path):
    ours = distribution(DISTRIBUTION).entry_points.select(group=ENTRY_POINT_GROUP)
    assert complete("fit", "", cwd=tmp_path) == sorted(point.name for point in ours)


def test_bash_takes_the_script_that_is_shown(tmp_path):
    asked = ("bash", "-c", f"{TOOLKIT[0]} --show-completion; exit $?")  # it asks who its parent is
    shown = start(asked, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    bash = f"""{shown.stdout}
COMP_WORDS=({TOOLKIT[0]} backtest v); COMP_CWORD=2
_toolkit_completion {TOOLKIT[0]}; echo "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", bash], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("versions\n", "")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"_TOOLKIT_COMPLETE": "complete_bash", "COMP_WORDS": "toolkit fit r", "COMP_CWORD": "2"},
        {"_TOOLKIT_COMPLETE": "complete_bash", "COMP_WORDS": "toolkit backtest", "COMP_CWORD": "2"},
    ],
    ids=["help", "models", "experiments"],
)
def test_help_and_completion_import_nothing_heavy(variables, tmp_path):
    code = (
        "import atexit, sys; sys.argv = ['toolkit', '--help']; "
        f"atexit.register(lambda: print(sorted({HEAVY} & set(sys.modules)))); "
        "from toolkit.cli.app import main; main()"
    )
    said = start((sys.executable, "-c", code), cwd=tmp_path, **variables).stdout
    assert said.splitlines()[-1] == "[]"


def test_an_experiment_is_known_by_its_name(tmp_path):
    done = run("backtest", "quick", cwd=tmp_path)
    assert error_of(done) == f"Error: there is no database {tmp_path}/demo/orders.duckdb"
    (tmp_path / "quick").mkdir()  # a folder of that name is no experiment
    assert error_of(run("backtest", "quick", cwd=tmp_path)) == error_of(done)


def test_a_file_goes_before_a_name(tmp_path):
    (tmp_path / "quick").write_text("horizon = 1")
    assert "quick has 4 mistakes" in error_of(run("backtest", "quick", cwd=tmp_path))


def test_an_unknown_name_is_told_with_those_there_are(tmp_path):
    done = run("backtest", "slow", cwd=tmp_path)
    assert done.returncode == 2
    assert error_of(done) == (
        "Error: there is no experiment slow: name a TOML file, or one that is shipped: "
        "peers, quick, versions"
    )
