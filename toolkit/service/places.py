"""Where a service listens, and what is decided before anything of it is imported."""

import ipaddress
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.errors import ArgumentError
from toolkit.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses and ports; a port of 0 is any that is free, None: no metrics."""

    host: str
    port: int
    metrics_host: str
    metrics_port: int | None


def check(places: Places, settings: ServiceSettings) -> None:
    """``ArgumentError`` for a service that anybody on the network could ask."""
    if settings.is_open and not is_loopback(places.host):
        raise ArgumentError(
            f"without --keys or --oidc-issuer a service listens on loopback only, got --host"
            f" {places.host}: `toolkit key NAME --keys FILE` makes a key"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def metrics_folder() -> Iterator[None]:
    """A folder that all processes of the service write their counts into, before they start."""
    with tempfile.TemporaryDirectory(prefix="toolkit-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]
