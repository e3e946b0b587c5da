"""What a service is started with; goes to its worker processes as it is."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.cache.records import MEMORY_BYTES, PATIENCE_S, STALE_S
from toolkit.errors import ArgumentError

MAX_AGE_S = 60
"""A client may use an answer again for so long before it asks whether that changed."""


@dataclass(frozen=True, slots=True)
class Oidc:
    """Who issues tokens, and the audience that they have to be for."""

    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the explorer's engine reads orders: a file, or the SQL Server of ``config``.

    ``version``: alias, number or fit of the registered model, or ``pair_conjugate``; None for the
    version that made the release. ``store``: MLflow's, which holds it.
    """

    db: Path | None = None
    config: Path | None = None
    version: str | None = None
    store: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service reads, who may ask, and how often.

    ``keys``: the file of API keys; without it and ``oidc`` everybody may ask. ``rate``: requests a
    minute of each key and worker; None for any number. ``oldest_s``: from which age on a release
    is too old to be ready. ``max_age_s`` goes into ``Cache-Control``. A request
    waits ``patience_s`` for the cache. ``engine`` and ``store``, MLflow's, are for the explorer
    alone; None for what it has to do without.
    """

    redis_url: str
    keys: Path | None = None
    oidc: Oidc | None = None
    rate: int | None = None
    oldest_s: float | None = None
    max_age_s: int = MAX_AGE_S
    patience_s: float = PATIENCE_S
    stale_s: float = STALE_S
    memory_bytes: int = MEMORY_BYTES
    access_log: bool = True
    engine: EngineSettings | None = None
    store: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether everybody may ask."""
        return self.keys is None and self.oidc is None


def oidc_of(issuer: str | None, audience: str | None) -> Oidc | None:
    """Both or neither; ``ArgumentError`` for one of them."""
    if issuer is None and audience is None:
        return None
    if not issuer or not audience:
        raise ArgumentError("--oidc-issuer and --oidc-audience are given together, got one of them")
    return Oidc(issuer, audience)
