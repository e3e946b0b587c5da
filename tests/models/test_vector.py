"""Exponential and logarithm against the C library's."""

import shutil
import subprocess
import sys

import numpy as np

from models.parts.kernels import vector
from models.parts.kernels.vector import LEAST_EXPONENT, exp, log, side_by_side

INNER = """
from kernels.vector import compiled

@compiled
def inner(x):
    return x + {}
"""
OUTER = """
from kernels.inner import inner
from kernels.vector import compiled

@compiled
def outer(x):
    return inner(x)
"""
BOTH_AT_ONCE = """
import sys, time
from pathlib import Path
from kernels.inner import inner
from kernels.outer import outer

Path("ready", sys.argv[1]).touch()
while len(list(Path("ready").iterdir())) < 2:
    time.sleep(0.001)
assert outer(0.0) == 1.0
print(sum(sum(function.stats.cache_misses.values()) for function in (inner, outer)))
"""


@side_by_side
def all_exp(x, out):
    for i in range(len(x)):
        out[i] = exp(x[i])


@side_by_side
def all_log(x, out):
    for i in range(len(x)):
        out[i] = log(x[i])


def applied(function, x):
    out = np.empty_like(x)
    function(x, out)
    return out


def test_exp_to_the_last_digits():
    x = np.concatenate([np.linspace(-708, 709, 100_003), np.linspace(-1, 1, 10_001), [0.0]])
    error = np.abs(applied(all_exp, x) / np.exp(x) - 1)
    assert np.all(error < 1e-15 + 1e-16 * np.abs(x))
    least = applied(all_exp, np.array([-1e6, -np.inf]))
    assert np.allclose(least, np.exp(LEAST_EXPONENT), rtol=1e-12, atol=0)


def test_log_to_the_last_digits():
    x = np.concatenate([np.logspace(-300, 300, 100_003), np.linspace(0.5, 2, 10_001)])
    error = np.abs(applied(all_log, x) - np.log(x))
    assert np.max(error / np.maximum(np.abs(np.log(x)), 1e-2)) < 1e-14


def test_machine_code_is_not_kept_beyond_a_change_in_another_file(tmp_path):
    """A function that calls one of another file is compiled anew when that file changes."""
    parts = tmp_path / "kernels"
    parts.mkdir()
    shutil.copy(vector.__file__, parts)
    (parts / "inner.py").write_text(INNER.format(1.0))
    (parts / "outer.py").write_text(OUTER)

    def run() -> float:
        command = [sys.executable, "-c", "from kernels.outer import outer; print(outer(0.0))"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert run() == run() == 1.0
    (parts / "inner.py").write_text(INNER.format(2.0))
    assert run() == 2.0


def test_of_processes_that_start_at_once_one_compiles(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "ready").mkdir()
    shutil.copy(vector.__file__, tmp_path / "kernels")
    (tmp_path / "kernels/inner.py").write_text(INNER.format(1.0))
    (tmp_path / "kernels/outer.py").write_text(OUTER)
    asked = [sys.executable, "-c", BOTH_AT_ONCE]
    started = [
        subprocess.Popen([*asked, name], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for name in ("one", "other")
    ]
    compiled = [int(process.communicate()[0]) for process in started]
    assert sorted(compiled) == [0, 2]


def test_machine_code_whose_types_have_moved_is_not_looked_at(tmp_path):
    """As after an upgrade: what was kept names a class of a module that has it no more."""
    parts = tmp_path / "kernels"
    parts.mkdir()
    shutil.copy(vector.__file__, parts)
    there = "from typing import NamedTuple\nclass Two(NamedTuple):\n    a: float\n    b: float\n"
    whole = (
        "from kernels.vector import compiled\n{}\n"
        "@compiled\ndef added(two):\n    return two.a + two.b\n"
    )
    asked = "from kernels.whole import Two, added; print(added(Two(1.0, 2.0)))"

    def run() -> float:
        command = [sys.executable, "-c", asked]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(done.stdout)

    (parts / "types.py").write_text(there)
    (parts / "whole.py").write_text(whole.format("from kernels.types import Two"))
    assert run() == run() == 3.0
    (parts / "types.py").rename(parts / "types_.py")
    (parts / "whole.py").write_text(whole.format("from kernels.types_ import Two"))
    assert run() == 3.0
