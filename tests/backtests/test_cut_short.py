"""Backtests that are cut short, by a kill or a fault of their caller, go on and end the same."""

import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from backtests.cli.scores import keep_comparison
from backtests.run.experiment import read_experiment
from backtests.run.folder import SCORES, RunFolder, only_one
from backtests.run.tracked import tracked_backtest
from tests.backtests.conftest import EARLIER, TOOLKIT, backtest, of_the_run, tables
from tests.conftest import AS_OF
from tests.processes import Forked, run_text
from toolkit.errors import ToolkitError

WHOLE = "tasks/*/*/[0-9]*/task.json"  # one of ``.part-…`` is not


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_the_same(order_file, tmp_path):
    """SIGKILL, to the parent alone: its workers end by themselves and leave nothing half done."""
    file, runs = tmp_path / "e.toml", tmp_path / "runs"
    file.write_text(
        f'name = "killed"\ndraws = 50\npairs_per_shard = 15\ndates.list = [{EARLIER}, {AS_OF}]\n'
        '[[versions]]\nmodel = "pair_conjugate"\n'
    )
    command = [TOOLKIT, "backtest", file, "--db", order_file, "--jobs", "2", "--runs", runs]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not list(runs.glob(f"*/{WHOLE}")):
            assert process.poll() is None
            time.sleep(0.005)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert psutil.wait_procs(workers, timeout=120)[1] == []
    (folder,) = runs.iterdir()
    finished = len(list(folder.glob(WHOLE)))
    half = folder / "tasks" / str(AS_OF) / "pair_conjugate" / ".part-left"
    half.mkdir(parents=True)
    (half / "task.json").write_text("{")

    asked = read_experiment(file)
    again = backtest(asked, order_file, runs, jobs=2)
    once = backtest(asked, order_file, tmp_path / "through", jobs=2)
    assert 0 < finished == again.kept < again.tasks == once.tasks
    assert once.kept == 0
    assert again.folder == folder
    assert tables(folder) == tables(once.folder)
    assert not list(folder.rglob(".part-*"))
    untouched = backtest(asked, order_file, runs)
    assert untouched.kept == untouched.tasks


KILLED_BEFORE_ITS_SCORES = """
import os, signal, sys
from pathlib import Path
from backtests.run import harness
from tests.backtests.conftest import of_the_run
harness.summarize = lambda run, **_: os.kill(os.getpid(), signal.SIGKILL)
file, runs = map(Path, sys.argv[1:])
harness.run_backtest(of_the_run(), file, runs=runs, fits=runs / "no fits", jobs=1)
"""


def test_scores_of_fewer_tasks_do_not_outlive_a_kill(run, order_file, tmp_path):
    """A run has all its tasks anew, and is killed before their scores take the place of the old."""
    folder = tmp_path / run.path.name
    shutil.copytree(run.path, folder)
    keep_comparison(folder)
    tags = tracked_backtest(RunFolder(folder)).tags
    assert tags["complete"] == "true"
    assert "- **pair_conjugate** is ahead on " in tags["mlflow.note.content"]
    shutil.rmtree(folder / "tasks" / str(AS_OF) / "other" / "0000")

    done = run_text(KILLED_BEFORE_ITS_SCORES, order_file, tmp_path, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert tables(folder) == tables(run.path)
    killed = tracked_backtest(RunFolder(folder))
    assert killed.tags["complete"] == "false"
    assert "mlflow.note.content" not in killed.tags
    assert {file.file.name for file in killed.artifacts} == {"run.json"}

    report = backtest(of_the_run(), order_file, tmp_path)
    assert report.kept == report.tasks
    assert tracked_backtest(RunFolder(folder)).tags["complete"] == "true"
    assert (folder / SCORES).read_bytes() == (run.path / SCORES).read_bytes()


def test_a_script_without_a_guard_is_told_so_at_once(order_file, tmp_path):
    (tmp_path / "e.toml").write_text(
        f'name = "bare"\ndates.list = [{AS_OF}]\n[[versions]]\nmodel = "pair_conjugate"\n'
    )
    (tmp_path / "bare.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "from backtests.run.experiment import read_experiment\n"
        "from backtests.run.harness import run_backtest\n"
        'run_backtest(read_experiment(Path("e.toml")), Path(sys.argv[1]), runs=Path("runs"),'
        ' fits=Path("fits"), jobs=2)\n'
    )
    command = [sys.executable, "bare.py", order_file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob(f"runs/*/{WHOLE}"))


def test_only_one_process_works_in_a_folder(tmp_path):
    holder = "from backtests.run.folder import only_one; import pathlib, sys, time\n"
    holder += "with only_one(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    other = Forked(holder, tmp_path / "run", cwd=tmp_path)
    try:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(ToolkitError, match="another process is at work"),
            only_one(tmp_path / "run"),
        ):
            pass
    finally:
        other.close()
    with only_one(tmp_path / "run"):
        pass
