"""The examples in docstrings are run: a docstring that lies is a defect."""

import doctest
import importlib
from pathlib import Path

import pytest

import backtests
import toolkit

ROOTS = [Path(package.__path__[0]) for package in (backtests, toolkit)]

MODULES = sorted(
    ".".join(path.relative_to(root.parent).with_suffix("").parts)
    for root in ROOTS
    for path in root.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    if name.startswith("toolkit.tracking"):
        importlib.import_module("toolkit.tracking.store")  # the way in: MLflow imports the others
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
