"""A champion with a backtest behind it, in a store of its own."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from backtests.evidence.gate import Gate
from backtests.run.tracked import track
from tests.backtests.conftest import backtest, experiment
from toolkit.model import default_model
from toolkit.tracking.promotion import promote
from toolkit.tracking.registration import register_fit
from toolkit.tracking.store import Store, open_store

FIRST = date(2021, 9, 6)
DATES = tuple(FIRST + timedelta(weeks=4 * i) for i in range(8))
SEED = 7


@pytest.fixture(scope="session")
def promoted(order_file, tmp_path_factory) -> Path:
    """A folder with ``mlflow.db``, whose champion is ``pair_conjugate``, and ``runs``."""
    folder = tmp_path_factory.mktemp("promoted")
    asked = experiment("pair_conjugate", dates=DATES, seed=SEED)
    run = backtest(asked, order_file, folder / "runs")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = open_store(uri)
    register_fit(store, default_model())
    promote(store, "1", Gate(), force=True, reason="for a test")
    track(run.folder, uri)
    return folder


@pytest.fixture
def store(promoted, tmp_path) -> Store:
    """The store, for one test alone."""
    shutil.copy(promoted / "mlflow.db", tmp_path / "mlflow.db")
    shutil.copytree(promoted / "mlartifacts", tmp_path / "mlartifacts", dirs_exist_ok=True)
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
