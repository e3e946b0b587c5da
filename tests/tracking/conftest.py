"""One store for the tests that only add to it: creating one takes a second or more."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.tracking.store import Store, open_store

type Script = Callable[..., subprocess.Popen[str]]

ROOT = Path(__file__).parents[2]
UNLIKE_A_TEST = ("PYTEST_CURRENT_TEST", "CI", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """The file of a store without experiments, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    open_store(f"sqlite:///{file}")
    return file


@pytest.fixture
def store(empty_store, tmp_path) -> Store:
    """A store for one test alone."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def script(tmp_path) -> Script:
    """Starts a Python process that runs some text in ``tmp_path``, as a user would."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: object, cwd: Path = tmp_path) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if k not in UNLIKE_A_TEST}
        process = subprocess.Popen(
            [sys.executable, "-c", text, *map(str, arguments)],
            cwd=cwd,
            env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> str:
    """What the process wrote, once it has ended well."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err == ""
    return out
