"""The same kills where MLflow is behind a server, and PostgreSQL is its store."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from tests.cache.conftest import until
from tests.faults.kills import Work, agree, halfway, killed
from tests.faults.processes import Command, asked
from tests.faults.replica import free_port
from tests.faults.tally import Tally
from tests.tracking.fits import rhythm_fit
from toolkit.tracking.registration import register_fit
from toolkit.tracking.store import open_store

OWNER = "postgres"
START_S = 120.0
FORCED = ("--force", "--reason", "to be killed")


def central_kills(times: int, chance: random.Random) -> Iterator[Tally]:
    """Promotions and rollbacks, half of the kills each."""
    if not (shutil.which("initdb") and shutil.which("postgres") and find_spec("psycopg2")):
        yield Tally("kills at a server with PostgreSQL", figures=["no PostgreSQL here"])
        return
    with TemporaryDirectory(prefix="faults-") as root:
        folder = Path(root)
        folder.chmod(0o755)  # PostgreSQL refuses to be root
        with _postgres(folder / "postgres") as backend, _mlflow(folder, backend) as uri:
            asked(_register, uri)
            works = _promote(folder, uri), _rollback(folder, uri)
            yield from killed([(work, times // 2) for work in works], chance)


def _promote(folder: Path, uri: str) -> Work:
    return Work(
        "promote, MLflow's server and PostgreSQL",
        ("promote", "2", *FORCED, "--store", uri),
        ("history", "--store", uri),
        partial(_champions, folder, uri, "1"),
        lambda folder: halfway(open_store(uri), 1, 2),
        lambda folder: agree(open_store(uri)),
    )


def _rollback(folder: Path, uri: str) -> Work:
    return Work(
        "rollback, MLflow's server and PostgreSQL",
        ("rollback", "--store", uri),
        ("history", "--store", uri),
        partial(_champions, folder, uri, "1", "2"),
        lambda folder: halfway(open_store(uri), 2, 1),
        lambda folder: agree(open_store(uri)),
    )


def _champions(folder: Path, uri: str, *numbers: str) -> Path:
    """One after the other; the last is the champion now."""
    for number in numbers:
        done = Command(folder, ("promote", number, *FORCED, "--store", uri)).ended()
        assert done.code == 0, done.said
    return folder


def _register(uri: str) -> None:
    store = open_store(uri)
    for shift in (0.0, 0.1):
        register_fit(store, rhythm_fit(shift))


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A server that only this machine reaches; its address for SQLAlchemy."""
    folder.mkdir()
    owner = OWNER if os.geteuid() == 0 else None
    if owner:
        shutil.chown(folder, owner)
    data = folder / "data"
    made = ["initdb", "-D", data, "-A", "trust", "-U", OWNER, "--no-sync"]
    subprocess.run(made, user=owner, cwd=folder, check=True, capture_output=True)
    started = ["postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with subprocess.Popen(
        started, user=owner, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            asks = ["psql", "-h", folder, "-U", OWNER, "-c", "SELECT 1"]
            tried = partial(subprocess.run, asks, capture_output=True, check=False)
            assert until(lambda: tried().returncode == 0, START_S), "PostgreSQL did not start"
            yield f"postgresql+psycopg2://{OWNER}@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown


@contextmanager
def _mlflow(folder: Path, backend: str) -> Iterator[str]:
    """``mlflow server``; its address."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", backend, "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: _answers(uri), START_S), (folder / "log").read_text()
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(uri: str) -> bool:
    try:
        urlopen(f"{uri}/health", timeout=1).close()
    except (URLError, OSError):
        return False
    return True
