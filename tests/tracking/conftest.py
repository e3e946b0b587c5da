"""One store for the tests that only add to it: creating one takes a second or more."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import Forked
from tests.tracking.evidence import CHOICE, log
from tests.tracking.fits import rhythm_fit
from toolkit.model import find_model
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import attach_thresholds
from toolkit.tracking.store import Store, open_store

type Script = Callable[..., Forked]

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


@pytest.fixture(scope="session")
def promotable(empty_store, tmp_path_factory) -> Path:
    """The folder of a store, to be copied: 1 to 3 are fits of rhythm that the gate lets pass, 4 is
    pair_conjugate, without thresholds; a backtest holds both models.
    """
    folder = tmp_path_factory.mktemp("promotable")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    for number, shift in enumerate((0.0, 0.1, 0.2), start=1):
        register_fit(store, rhythm_fit(shift))
        attach_thresholds(store, str(number), CHOICE)
    register_fit(store, find_model("pair_conjugate"))
    log(store, "1bbdf4be")
    return folder


@pytest.fixture
def script(tmp_path) -> Iterator[Script]:
    """Starts a process that runs some text in ``tmp_path``, without the seconds of its imports."""
    started: list[Forked] = []

    def start(text: str, *arguments: object) -> Forked:
        started.append(Forked(text, *arguments, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.close()


def finished(process: Forked) -> str:
    """What the process wrote, once it has ended well."""
    done = process.ended(timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def fresh_script(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs some text in a new interpreter, as a user would; what came of it, if it ended well."""

    def run(
        text: str, *arguments: object, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in UNLIKE_A_TEST}
        done = subprocess.run(
            [sys.executable, "-c", text, *map(str, arguments)],
            cwd=cwd,
            env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
