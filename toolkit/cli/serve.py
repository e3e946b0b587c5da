"""``toolkit serve`` and ``toolkit key``; imports what it needs when it runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.export import DEFAULT_REDIS
from toolkit.cli.options import (
    REDIS_VARIABLE,
    Config,
    MaybeDatabase,
    Mssql,
    one_of,
)
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.service.settings import EngineSettings

STORE_VARIABLE = "MLFLOW_TRACKING_URI"

Redis = Annotated[
    str | None,
    typer.Option("--redis", help=f"Where from. Default {REDIS_VARIABLE}, else {DEFAULT_REDIS}."),
]
Port = Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")]
Host = Annotated[str, typer.Option(help="Anything but loopback needs --keys or --oidc-issuer.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")]
Keys = Annotated[Path | None, typer.Option(help="The file of API keys; `toolkit key` adds one.")]
KeyFile = Annotated[Path, typer.Option("--keys", help="The file that the key is added to.")]
Name = Annotated[str, typer.Argument(help="Whose key: it stands in the access log.")]
Issuer = Annotated[
    str | None, typer.Option(help="URL of the OpenID provider whose tokens are taken, too.")
]
Audience = Annotated[str | None, typer.Option(help="The audience that its tokens have to be for.")]
Rate = Annotated[
    int | None,
    typer.Option(min=1, help="Forecasts a minute of each key, by every worker. Default any."),
]
MaxAge = Annotated[
    int, typer.Option(min=0, help="Seconds that a client may use an answer again, unasked.")
]
Patience = Annotated[
    float, typer.Option(min=0.01, help="Seconds that a request waits for the cache.")
]
Oldest = Annotated[
    float | None,
    typer.Option(min=0, help="Hours from which on a release is too old to be ready."),
]
MetricsPort = Annotated[
    int | None, typer.Option(help="Where Prometheus reads /metrics; 0 takes a free port.")
]
MetricsHost = Annotated[str, typer.Option(help="The address of that port.")]
Version = Annotated[
    str | None,
    typer.Option(
        "--version",
        help="With --db: alias, number or fit of the registered model inter-order; or "
        "pair_conjugate. Default that of the release.",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        help=f"MLflow's tracking store, for the pages of versions. Default {STORE_VARIABLE}."
    ),
]
AccessLog = Annotated[bool, typer.Option(help="A line for each request, on stderr.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(serve)
    app.command()(key)


def serve(
    redis: Redis = None,
    port: Port = 8000,
    host: Host = "127.0.0.1",
    workers: Workers = 1,
    keys: Keys = None,
    oidc_issuer: Issuer = None,
    oidc_audience: Audience = None,
    rate: Rate = None,
    max_age: MaxAge = 60,
    patience: Patience = 0.5,
    oldest: Oldest = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    access_log: AccessLog = True,
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    version: Version = None,
    store: Store = None,
) -> None:
    """Serve the current release over HTTP, until Ctrl-C or SIGTERM.

    Pages for people are at `/`. --db (or --mssql) adds to them what only the orders tell: history,
    explanations, customers, scenarios; --store the versions and promotions. Exit code 1: the cache
    cannot be read; 2: something was wrong with the call.
    """
    from toolkit.service.places import Places, check, metrics_folder
    from toolkit.service.settings import ServiceSettings, oidc_of

    settings = ServiceSettings(
        redis_url=redis or os.environ.get(REDIS_VARIABLE) or DEFAULT_REDIS,
        keys=keys,
        oidc=oidc_of(oidc_issuer, oidc_audience),
        rate=rate,
        max_age_s=max_age,
        patience_s=patience,
        oldest_s=None if oldest is None else 3600 * oldest,
        access_log=access_log,
        engine=_engine(db, mssql, config, version, store),
        store=store or os.environ.get(STORE_VARIABLE),
    )
    places = Places(host, port, metrics_host, metrics_port)
    check(places, settings)
    with metrics_folder():
        from toolkit.service.server import serve as run

        run(settings, places, workers, typer.echo)


def _engine(
    db: Path | None, mssql: bool, config: Path | None, version: str | None, store: str | None
) -> "EngineSettings | None":
    """Where the explorer's engine reads; None where no orders were named."""
    from toolkit.service.settings import EngineSettings

    if db is None and not mssql:
        idle = {"--config": config, "--version": version}
        if given := [name for name, value in idle.items() if value is not None]:
            raise ArgumentError(f"{' and '.join(given)}: with --db or --mssql only")
        return None
    one_of("--db", db is not None, mssql, config=config)
    return EngineSettings(db, config, version, store)


def key(name: Name, keys: KeyFile) -> None:
    """Make an API key for a service, and print it, this once.

    The file holds its hash, and takes the key out again when its line goes.
    """
    from toolkit.service.keys import make_key

    typer.echo(make_key(keys, name))
    typer.echo(f"Added to {keys}, as a hash: keep the key, nobody can show it again.", err=True)
