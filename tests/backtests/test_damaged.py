"""Run folders that were damaged, and disks that are full: told in a sentence, and done again."""

import json
import shutil
import sys

import pytest

from backtests.cli.scores import keep_comparison
from backtests.compare.comparison import compare_versions
from backtests.report.page import write_report
from backtests.report.population import scalars
from backtests.run.folder import RunFolder
from backtests.run.tracked import tracked_backtest
from backtests.scores.summaries import summarize
from tests.backtests.conftest import EARLIER, backtest, experiment, of_the_run, tables
from tests.conftest import AS_OF
from tests.processes import error_of, run, start
from toolkit.errors import ArgumentError
from toolkit.installed import HOME

TASK = f"tasks/{AS_OF}/other/0001"


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the run's folder."""
    return shutil.copytree(run.path, tmp_path / run.path.name)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a table is gone": lambda task: (task / "pairs.parquet").unlink(),
    "a table is cut short": lambda task: cut(task / "pairs.parquet"),
    "a table is empty": lambda task: (task / "pairs.parquet").write_bytes(b""),
    "a bit is another": lambda task: flip(task / "pairs.parquet"),
    "a table is another": lambda task: shutil.copy(
        task / "product_weeks.parquet", task / "pairs.parquet"
    ),
    "the card is gone": lambda task: (task / "task.json").unlink(),
    "the card is cut short": lambda task: cut(task / "task.json"),
    "the task is gone": shutil.rmtree,
    "all tasks of a date are gone": lambda task: shutil.rmtree(task.parents[1]),
}
READERS = {
    "compare": lambda folder: compare_versions(RunFolder(folder)),
    "summarize": lambda folder: summarize(RunFolder(folder)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_task_is_never_left_out_of_scores(damage, read, copied):
    damage(copied / TASK)
    with pytest.raises(ArgumentError, match=r"`toolkit backtest`.* makes .* anew"):
        read(copied)


def test_damaged_tasks_are_done_again(run, copied, order_file):
    tasks = RunFolder(copied).task_folders()
    for task, damage in zip(tasks, list(DAMAGE.values())[:-1], strict=False):
        damage(task)
    report = backtest(of_the_run(), order_file, copied.parent)
    assert report.folder == copied
    assert report.kept == report.tasks - (len(DAMAGE) - 1)
    assert tables(copied) == tables(run.path)
    assert (copied / "scores.parquet").read_bytes() == (run.path / "scores.parquet").read_bytes()


def test_commands_say_which_file_is_damaged(copied):
    cut(copied / TASK / "pairs.parquet")
    for command in ("compare", "thresholds"):
        done = run(command, copied, cwd=copied)
        assert error_of(done) == (
            f"Error: {copied}/{TASK}/pairs.parquet is damaged; `toolkit backtest`, asked the same "
            "again, makes it anew"
        )
        assert done.returncode == 2


def test_damaged_scores_are_told(copied):
    keep_comparison(copied)
    cut(copied / "scores.parquet")
    for read in (write_report, lambda folder: tracked_backtest(RunFolder(folder))):
        with pytest.raises(ArgumentError, match=r"scores\.parquet is damaged: "):
            read(copied)


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_damaged_description_is_written_anew(content, run, copied, order_file):
    (copied / "run.json").unlink()
    if content is not None:
        (copied / "run.json").write_bytes(content)
    report = backtest(of_the_run(), order_file, copied.parent)
    assert report.kept == report.tasks
    assert RunFolder(copied).description == run.description


@pytest.fixture
def learned(order_file, planted, tmp_path):
    """A run of a version that was fitted once."""
    report = backtest(LEARNED, order_file, tmp_path / "runs")
    assert not report.failed
    return report.folder


LEARNED = experiment("learns", dates=(EARLIER, AS_OF))

FITS_DAMAGE = {
    "the fit is gone": lambda fit, record: shutil.rmtree(fit),
    "the fit is damaged": lambda fit, record: cut(fit / "card.json"),
    "the record is gone": lambda fit, record: record.unlink(),
    "the record is damaged": lambda fit, record: record.write_bytes(b"{"),
}


@pytest.mark.parametrize("damage", FITS_DAMAGE.values(), ids=FITS_DAMAGE)
def test_a_damaged_fit_is_made_again(damage, learned, order_file):
    before = tables(learned)
    (fit,) = (path for path in (learned / "fits/learns").iterdir() if path.is_dir())
    (record,) = (learned / "fits/learns").glob("*.json")
    damage(fit, record)
    shutil.rmtree(learned / "tasks" / str(AS_OF) / "learns" / "0000")
    report = backtest(LEARNED, order_file, learned.parent)
    assert not report.failed
    assert tables(learned) == before


def test_a_damaged_posterior_is_told_by_the_report(tmp_path):
    (tmp_path / "posterior.nc").write_bytes(b"no netCDF")
    with pytest.raises(ArgumentError, match=r"posterior\.nc is damaged: "):
        scalars(tmp_path / "posterior.nc")


def test_a_record_of_a_fit_runs_no_file(learned, order_file, tmp_path):
    (tmp_path / "foreign.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nMODEL = None\n")
    (record,) = (learned / "fits/learns").glob("*.json")
    foreign = {"model": f"{tmp_path / 'foreign.py'}:MODEL@1"}
    record.write_text(json.dumps(json.loads(record.read_text()) | foreign))
    shutil.rmtree(learned / "tasks" / str(AS_OF) / "learns" / "0000")
    report = backtest(LEARNED, order_file, learned.parent)
    assert not report.failed
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_full_disk_ends_a_backtest_in_a_sentence_and_it_is_resumed(order_file, tmp_path):
    (tmp_path / "e.toml").write_text(
        f'name = "full"\ndraws = 50\ndates.list = [{AS_OF}]\n[[versions]]\n'
        'model = "pair_conjugate"\n'
    )
    asked = ("backtest", "e.toml", "--db", order_file, "--jobs", 1, "--no-log")
    done = run(*asked, cwd=tmp_path, most_bytes=10_000)
    (folder,) = (tmp_path / "runs").iterdir()
    assert error_of(done).startswith(
        f"Error: {folder}/tasks/{AS_OF}/pair_conjugate/0000: No space left on device; make room "
        "there, or name a place that you can write to"
    )
    assert done.returncode == 1
    assert not list(folder.rglob(".part-*"))
    done = run(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


READS = """
import os
import sys
from pathlib import Path
import pandas as pd
from backtests.run.folder import read_scores
pd.DataFrame({"a": range(100_000), "b": 0.5}).to_parquet(sys.argv[1])
before = len(os.listdir("/proc/self/task"))
assert len(read_scores(Path(sys.argv[1]))) == 100_000
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_no_thread_that_reads_a_table_is_left_at_the_end(tmp_path):
    """Where Arrow's were at work still, one command in a few hundred was aborted when it ended."""
    done = start((sys.executable, "-c", READS), tmp_path / "table.parquet", cwd=HOME)
    assert done.stdout == "0\n", done.stderr
