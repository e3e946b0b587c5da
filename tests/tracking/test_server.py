"""A local store behind MLflow's own server: its artefacts load over HTTP, from another folder."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from backtests.evidence.gate import Gate
from tests.tracking.fits import rhythm_fit
from toolkit.model import default_model
from toolkit.tracking.loading import load_registered
from toolkit.tracking.promotion import promote
from toolkit.tracking.pyfunc import load_model
from toolkit.tracking.registration import register_fit
from toolkit.tracking.serving import EXAMPLE
from toolkit.tracking.store import open_store

pytestmark = pytest.mark.slow

LONGEST_START_S = 180


@pytest.fixture
def server(store, tmp_path):
    """The address of a server that was started in the folder of the store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    asked = ("--backend-store-uri", store.uri, "--port", str(port), "--workers", "1")
    running = subprocess.Popen(
        [mlflow, "server", "--host", "127.0.0.1", *asked],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/health")
        yield url
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _wait_for(url: str) -> None:
    until = time.monotonic() + LONGEST_START_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")


def test_artefacts_load_over_http(store, server, tmp_path, monkeypatch):
    register_fit(store, rhythm_fit())
    register_fit(store, default_model())
    promote(store, "2", Gate(), force=True, reason="for a test")
    place = store.experiment_id("a name with spaces")
    run = store.client.create_run(place)
    file = tmp_path / "page.html"
    file.write_text("as it was")
    store.artifacts(run.info.artifact_uri).log_artifact(str(file))

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    remote = open_store(server)
    assert load_registered(remote, "1").version == rhythm_fit().version
    found = remote.artifacts(run.info.artifact_uri).download_artifacts("page.html", str(elsewhere))
    assert Path(found).read_text() == "as it was"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    lines = pd.DataFrame(
        {
            "customer_id": 1,
            "product_id": 2,
            "order_date": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"]),
            "quantity": 3.0,
        }
    )
    model = load_model("models:/inter-order@champion")
    table = model.predict(lines, params={"as_of_date": "2024-01-20", "weeks": 2, "draws": 20})
    assert len(table) == 2  # weeks of one product
    orders, params = EXAMPLE
    assert model.input_example.shape == orders.shape
    assert len(model.predict(model.input_example, params=params)) == params["weeks"]


def test_what_is_registered_over_http_is_in_the_store_s_folder(store, server):
    register_fit(store, rhythm_fit())
    ref = register_fit(open_store(server), rhythm_fit(0.1))
    assert load_registered(store, str(ref.number)).version == rhythm_fit(0.1).version
