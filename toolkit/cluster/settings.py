"""Where a cluster is: an address, or a TOML file that says more.

.. code-block:: toml

    address = "tls://scheduler.example.com:8786"
    connect_timeout_seconds = 10
    patience_seconds = 120       # so long no worker may be able to work
    tries = 3                    # of a task whose workers die, each on several of them

    [tls]                        # files in PEM format, from the folder of this one
    ca = "ca.pem"
    cert = "client.pem"
    key = "client-key.pem"
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from toolkit.errors import ArgumentError
from toolkit.validation import CLOSED, has_to_be, parse, read_toml

ADDRESS = "tcp://HOST:PORT or tls://HOST:PORT"
_ADDRESS = re.compile(r"(tcp|tls)://[^/\s@?#]+:[0-9]{1,5}")

type Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, config=CLOSED)
class Tls:
    """Files that prove who is who: the authority's certificate, the client's own, and its key."""

    ca: Text
    cert: Text
    key: Text

    def below(self, folder: Path) -> "Tls":
        """The same files by their places, where they are named from ``folder``."""
        return Tls(str(folder / self.ca), str(folder / self.cert), str(folder / self.key))

    @property
    def missing(self) -> list[str]:
        """Those of them that are not there."""
        return [file for file in (self.ca, self.cert, self.key) if not Path(file).is_file()]


@dataclass(frozen=True, slots=True, config=CLOSED)
class ClusterSettings:
    """How to reach a scheduler, and how long to wait for its workers.

    ``patience_seconds``: so long there may be no worker that takes work. ``tries``: so often a
    task is handed out whose workers die; each time the scheduler tries several.
    """

    address: Annotated[str, has_to_be(ADDRESS)]
    tls: Tls | None = None
    connect_timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    patience_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120
    tries: Annotated[int, Field(ge=1, le=100)] = 3

    @field_validator("address")
    @classmethod
    def _leads_to_a_scheduler(cls, address: str) -> str:
        if _ADDRESS.fullmatch(address) is None:
            raise ValueError(f"has to be {ADDRESS}, got {address!r}")
        return address


def read_cluster(place: str) -> ClusterSettings:
    """The cluster at an address, or the one that a TOML file describes.

    Raises ``ArgumentError`` with all that is wrong.
    """
    if "://" in place:
        return _at(place)
    path = Path(place)
    settings = parse(ClusterSettings, read_toml(path), str(path))
    encrypted, tls = settings.address.startswith("tls://"), settings.tls
    if encrypted != (tls is not None):
        lacks = "is missing, and the address is tls://…" if encrypted else "is for tls://… only"
        raise ArgumentError(f"{path}: tls {lacks}; got {settings.address}")
    if tls is None:
        return settings
    tls = tls.below(path.parent)
    if tls.missing:
        raise ArgumentError(f"{path}: there is no file {', '.join(tls.missing)}")
    return replace(settings, tls=tls)


def _at(address: str) -> ClusterSettings:
    if _ADDRESS.fullmatch(address) is None:
        raise ArgumentError(f"--cluster has to be {ADDRESS}, or a TOML file, got {address!r}")
    if address.startswith("tls://"):
        raise ArgumentError(
            f"{address} wants certificates: --cluster takes a TOML file that has the address and a "
            "table [tls] with ca, cert and key"
        )
    return ClusterSettings(address)
