"""A real service in a process of its own, before a real server of its own."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.cache.conftest import (
    PATIENT_S,
    forecast,
    own_server,
    publish,
    server,
    shared_server,
    until,
)

__all__ = ["forecast", "own_server", "publish", "server", "shared_server"]

START_S = 60.0


@dataclass
class Running:
    """A service that runs: where, and what it has written so far."""

    process: subprocess.Popen
    url: str
    metrics_url: str = ""
    log: list[str] = field(default_factory=list)

    def client(self, **settings) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False, **settings)

    def ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200

    def all_ready(self, connections=8) -> bool:
        """As far as so many connections tell, of several workers."""
        return all(self.ready() for _ in range(connections))


@contextmanager
def running(redis_url, *options, patience_s=PATIENT_S):
    """``toolkit serve`` at a free port; it is told to end at the end, and ends well."""
    command = [sys.executable, "-m", "toolkit", "serve", "--redis", redis_url, "--port", "0"]
    command += ["--patience", str(patience_s)]
    with subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        found = Running(process, "")
        reader = threading.Thread(target=lambda: found.log.extend(process.stderr), daemon=True)
        reader.start()
        try:
            for line in process.stdout:
                name, _, url = line.strip().rpartition(" ")
                if name == "Metrics at":
                    found.metrics_url = url
                if name == "Serving at":
                    found.url = url
                    break
            assert found.url, "".join(found.log)
            assert until(lambda: answers(found.url), START_S)
            yield found
        finally:
            process.terminate()
            code = process.wait(30)
            reader.join(10)
    assert code == 0, "".join(found.log)
    assert "Traceback" not in "".join(found.log)


def answers(url) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def shared_service(shared_server):
    with running(shared_server.url) as found:
        yield found


@pytest.fixture
def service(server, shared_service):
    """A service before the shared server, which is empty; it knows that."""
    assert until(lambda: not shared_service.ready(), 5)
    return shared_service


@pytest.fixture
def http(service):
    with service.client() as client:
        yield client


@pytest.fixture
def publish_and_wait(publish, service):
    """Make a release current, and wait until the service is ready with it."""

    def made(*arguments, **more):
        release = publish(*arguments, **more)
        assert until(service.ready, 5)
        return release

    return made
