"""A real server of S3's protocol, in a process of its own."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cache.conftest import until

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "reader",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
NOWHERE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere"}
"""No credentials are found."""


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """The server's address, until the context ends."""
    log = folder / "log.txt"  # a pipe that nobody reads would fill
    server = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as file, subprocess.Popen(server, stderr=file) as process:
        assert until(lambda: "Running on http" in log.read_text() or process.poll() is not None)
        yield log.read_text().split("Running on ")[1].splitlines()[0].strip()
        process.terminate()


def empty_bucket(endpoint: str, bucket: str, monkeypatch) -> None:
    """Nothing is there but a bucket, which clients find by the environment."""
    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    for path, method in (("moto-api/reset", "POST"), (bucket, "PUT")):
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{path}", method=method))
